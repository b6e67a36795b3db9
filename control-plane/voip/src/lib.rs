//! Voice protocols without I/O or clocks: bytes and times come in as arguments, facts go out as values.
//!
//! What belongs here: decoders of SIP, SDP, RTP, RTCP, DTMF, the reassembly that SIP over TCP and
//! WebSocket needs, and the dialog layer that follows calls from the side. What does not: sockets, files,
//! threads, clocks, policy, audio.
//!
//! | module | standard |
//! |---|---|
//! | [`sip`] | RFC 3261, 3262, 3891, 3515, 4028; judged by RFC 4475 |
//! | [`sdp`] | RFC 8866, 3264, 4568, 5761, 9143 |
//! | [`rtp`], [`rtcp`] | RFC 3550, 3551, 3611; ITU-T G.107, G.113 |
//! | [`dtmf`] | RFC 4733, SIP INFO bodies |
//! | [`tcp`] | RFC 9293, as seen from a tap |
//! | [`websocket`] | RFC 6455, 7118 |
//! | [`stream`] | SIP over connections: the three above joined |
//! | [`dialog`] | RFC 3261 section 12, 3264, 6337, from passive observation |
#![forbid(unsafe_code)]

pub mod dialog;
pub mod dtmf;
pub mod limits;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod stream;
pub mod tcp;
pub mod websocket;
