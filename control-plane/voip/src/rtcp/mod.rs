//! RTCP as an observer needs it: reports, names, goodbyes, and the VoIP metrics of RFC 3611.

mod packet;
mod reader;

pub use packet::{Packet, ReportBlock, SenderInfo, VoipMetrics};
pub use reader::{Packets, RtcpError, packets};
