//! RTCP packets as values.

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// SR (RFC 3550 section 6.4.1).
    SenderReport { ssrc: u32, info: SenderInfo, reports: Vec<ReportBlock> },
    /// RR (RFC 3550 section 6.4.2).
    ReceiverReport { ssrc: u32, reports: Vec<ReportBlock> },
    /// SDES (RFC 3550 section 6.5): the CNAME of each source that has one.
    SourceDescription { cnames: Vec<(u32, String)> },
    /// BYE (RFC 3550 section 6.6).
    Goodbye { ssrcs: Vec<u32> },
    /// XR (RFC 3611) with its VoIP metrics blocks.
    ExtendedReport { ssrc: u32, voip: Vec<VoipMetrics> },
    /// APP, feedback, and what is unknown.
    Other { packet_type: u8, ssrc: u32 },
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time, 32 bits of seconds and 32 of fraction.
    pub ntp: u64,
    /// The same moment as an RTP timestamp.
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// What a receiver says of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    /// Since the beginning; below zero with duplicates.
    pub lost: i32,
    /// Highest sequence number with its count of wraps.
    pub highest: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// The middle of the NTP time of the last SR; 0 without one.
    pub last_sr: u32,
    /// In units of 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Round-trip time when a report is received at this NTP time, in ms; none without an SR before it
    /// (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn round_trip_ms(&self, received_ntp: u64) -> Option<f64> {
        let received = (received_ntp >> 16) as u32;
        let units = received.wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        // A difference below zero is one of clocks, not of time.
        (self.last_sr != 0 && units < 1 << 31).then(|| f64::from(units) * 1000.0 / 65_536.0)
    }
}

/// VoIP metrics (RFC 3611 section 4.7). Fields that are 127, or 0 where that cannot be, mean: not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    pub ssrc: u32,
    /// Of 256.
    pub loss_rate: u8,
    pub discard_rate: u8,
    pub burst_density: u8,
    pub gap_density: u8,
    pub burst_duration_ms: u16,
    pub gap_duration_ms: u16,
    pub round_trip_ms: u16,
    pub end_system_delay_ms: u16,
    pub r_factor: u8,
    /// Times 10.
    pub mos_lq: u8,
    pub mos_cq: u8,
}
