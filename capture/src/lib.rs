//! The privileged part of Earwitness: receives from network taps, and writes segments.
//!
//! It takes its privileges, opens everything, gives them all away, and parses nothing but fixed headers. What threads
//! there are, the order of the start and what each privilege is for stand in `design/capture.md`.
//!
//! - [`run`]: the main thread; [`setup`] opens what it needs, [`options`] and [`limits`] say how much.
//! - [`source`] chooses among [`program`] with [`bpf_ring`], [`af_xdp`] and [`af_packet`].
//! - [`receiver`], [`writer`], [`keeper`]: the other threads; [`thread`] is how they are started and spoken to.
//! - [`door`], [`steering`]: what the control plane says, and where it goes.
//! - [`balance`], [`tapping`], [`interface`], [`link`]: what became of each packet, and of each interface.
//! - [`privilege`], [`sandbox`], [`syscalls`]: what capture may do.
//! - [`clock`], [`pace`], [`affinity`]: time and place.
//! - [`mapping`], [`socket`]: the kernel's memory and sockets, as safe as they can be made.

#![deny(unsafe_code)]

pub mod af_packet;
pub mod af_xdp;
mod affinity;
mod balance;
pub mod bpf_ring;
pub mod clock;
mod door;
pub mod interface;
mod keeper;
pub mod limits;
pub mod link;
mod mapping;
pub mod options;
mod pace;
pub mod privilege;
pub mod program;
mod receiver;
pub mod run;
pub mod sandbox;
pub mod setup;
mod socket;
pub mod source;
mod steering;
mod syscalls;
mod tapping;
mod thread;
mod writer;
