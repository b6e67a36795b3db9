//! Indexes of the per-CPU counters. Each frame moves `Received` and exactly one exit, so that the sum closes (CAP-8).

use earwitness_wire::Reject;

/// Counters there are: those of [`Counter`], then one for each [`Reject`].
pub const COUNTERS: usize = Counter::COUNT + Reject::COUNT;

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Frames the program saw. Equals the sum of all exits.
    Received = 0,
    /// Exit: into the signalling ring or to a socket.
    Signalling = 1,
    /// Exit: fragments, into the signalling ring or to a socket.
    Fragment = 2,
    /// Exit: into the media ring or to a socket.
    Media = 3,
    /// Exit: a flow whose verdict is ignore.
    Ignored = 4,
    /// Exit: parsed, and of no interest. Frames that could not be parsed are counted by cause.
    Unmatched = 5,
    /// Exit: lost because the signalling ring was full.
    SignallingRingFull = 6,
    /// Exit: lost because the media ring was full.
    MediaRingFull = 7,
    /// Exit: lost because the CPU has no ring.
    RingMissing = 8,
    /// Exit: lost because the queue has no socket.
    SocketMissing = 9,
    /// Exit: lost because the frame could not be copied.
    CopyFailed = 10,
    /// Not an exit: frames cut to the largest record.
    Truncated = 11,
    /// Not an exit: TCP connections learned because a segment began like SIP.
    Learned = 12,
    /// Not an exit: bytes of all received frames.
    ReceivedBytes = 13,
}

impl Counter {
    pub const COUNT: usize = 14;

    pub const ALL: [Self; Self::COUNT] = [
        Self::Received,
        Self::Signalling,
        Self::Fragment,
        Self::Media,
        Self::Ignored,
        Self::Unmatched,
        Self::SignallingRingFull,
        Self::MediaRingFull,
        Self::RingMissing,
        Self::SocketMissing,
        Self::CopyFailed,
        Self::Truncated,
        Self::Learned,
        Self::ReceivedBytes,
    ];

    /// Ends the way of a frame, so that the sum of all exits, and of all rejects, is `Received`.
    #[must_use]
    pub const fn is_exit(self) -> bool {
        !matches!(self, Self::Received | Self::Truncated | Self::Learned | Self::ReceivedBytes)
    }

    /// The name that metrics and logs use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Signalling => "signalling",
            Self::Fragment => "fragment",
            Self::Media => "media",
            Self::Ignored => "ignored",
            Self::Unmatched => "unmatched",
            Self::SignallingRingFull => "signalling_ring_full",
            Self::MediaRingFull => "media_ring_full",
            Self::RingMissing => "ring_missing",
            Self::SocketMissing => "socket_missing",
            Self::CopyFailed => "copy_failed",
            Self::Truncated => "truncated",
            Self::Learned => "learned",
            Self::ReceivedBytes => "received_bytes",
        }
    }
}

/// The index of a reject.
#[must_use]
#[inline(always)]
pub const fn reject_index(reject: Reject) -> usize {
    Counter::COUNT + reject as usize
}

// ALL is in the order of the discriminants, so that an index of one is an index of the other.
const _: () = {
    let mut at = 0;
    while at < Counter::COUNT {
        assert!(Counter::ALL[at] as usize == at);
        at += 1;
    }
};
