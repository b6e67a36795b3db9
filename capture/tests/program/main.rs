//! The XDP program in the kernel: each frame takes one exit, and it is the exit that `earwitness-wire` gives in user
//! space. Needs root; without, these tests fail.

mod attach;
#[path = "../../../ebpf/wire/tests/frames/mod.rs"]
mod frames;
mod kernel;
mod same;
mod speed;
mod steering;
mod verifier;
