//! Capture as it runs: the real binary, on the end of a veth pair in a network namespace of its own. Needs root;
//! where that is missing these tests fail, they do not pass by doing nothing.

mod capture;
mod door;
mod frames;
mod links;
mod overload;
mod privileges;
mod receive;
mod restart;
mod tunnels;
mod verdicts;
mod websocket;
mod wire;
