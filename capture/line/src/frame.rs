//! A frame as a source gives it.

use earwitness_wire::LinkType;

/// One received frame; borrows the source's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Arrival, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    pub bytes: &'a [u8],
    /// Length on the wire, of which `bytes` may be the beginning.
    pub wire_len: u32,
    pub link: LinkType,
    /// Interface or file.
    pub source: u8,
}
