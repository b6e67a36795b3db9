//! Header parsing and steering: the same code in the XDP program and in user space.
//!
//! The only place of Earwitness that knows link headers, VLAN tags, MPLS, IP, tunnels, UDP, TCP and the first
//! bytes of RTP. What a packet *means* (SIP dialogs, streams) does not belong here.
//!
//! - [`bytes`]: where bytes come from; the program reads a packet, user space a slice.
//! - [`parse`]: from the first byte of a frame to the innermost flow.
//! - [`plain`]: the same for the frame that nearly all are, in a few words.
//! - [`kind`]: what a payload is, by its first bytes.
//! - [`steer`]: where a parsed frame goes.
//! - [`endpoint`]: address and port, the key of the flow map.
//! - [`upgrade`]: whether an HTTP request may ask for SIP over WebSocket.
//! - [`limits`]: every bound.

#![no_std]
#![forbid(unsafe_code)]

pub mod bytes;
pub mod endpoint;
pub mod kind;
pub mod limits;
pub mod parse;
pub mod plain;
pub mod reject;
pub mod steer;
pub mod upgrade;

pub use bytes::{Bytes, Walk};
pub use endpoint::Endpoint;
pub use kind::{Kind, kind};
pub use parse::{
    Fragment, LinkType, Options, Parsed, TcpFields, Transport, VxlanPorts, Way, parse, parse_bytes,
    parse_walk,
};
pub use plain::parse_plain;
pub use reject::Reject;
pub use steer::{Decision, Steer, Tables, Verdict, decide, decide_bytes, steer};
