//! A capture file in, recordings out: the shipped program on generated calls.

mod control;
mod crowd;
mod denied;
mod deterministic;
mod inputs;
mod legs;
mod matrix;
mod policy;
mod torture;
mod tshark;
mod verdict;
