//! The whole product on real interfaces: namespaces, veth, XDP, phones, and processes that are killed.
//!
//! Needs root. A machine on which this cannot run fails these tests; it does not pass them by skipping.

mod control;
mod crash;
mod daemon;
mod demo;
mod denied;
mod hostile;
mod listen;
mod metrics;
mod policy;
mod privileges;
mod script;
mod space;
mod stacks;
mod wire;
