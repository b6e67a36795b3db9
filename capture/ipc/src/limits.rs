//! Every bound of the door in one place.

/// Longest message, either way.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Longest text in a message; longer text is cut.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Messages that wait for the other side to read. Past it sending fails, and the sender decides.
pub const OUTGOING_MESSAGES_MAX: usize = 1024;

/// Bytes that wait for the other side to read.
pub const OUTGOING_BYTES_MAX: usize = 4 << 20;

const _: () = {
    assert!(TEXT_BYTES_MAX * 4 < MESSAGE_BYTES_MAX);
    assert!(MESSAGE_BYTES_MAX <= OUTGOING_BYTES_MAX);
};
