//! Every bound of the line, with the relations that must hold between them (S10). What is given up
//! past a bound stands beside it; each has a counter.

/// Longest frame a record can hold: an IP datagram of 64 KiB with tunnels and link headers around it.
/// A longer frame is lost at the ring.
pub const FRAME_BYTES_MAX: usize = 65_535 + 1_024;

/// Least size of a ring. A frame longer than half the ring is lost at the ring.
pub const RING_BYTES_MIN: usize = 64;
/// Largest size of a ring.
pub const RING_BYTES_MAX: usize = 1 << 40;

/// Destinations with a verdict: four (RTP and RTCP of both sides) for each of 262,144 calls. Past it,
/// a destination to be recorded is forgotten for the new one; one that policy ignores stays.
pub const VERDICTS_MAX: usize = 1 << 20;
/// Flows whose records are chained. Past it, one not seen for long is forgotten: its chain ends, and
/// a new one begins with its next packet.
pub const FLOWS_MAX: usize = 1 << 20;
/// Entries of a full table that are looked at for one that may go. Where all of them must stay, the new one finds
/// no place, and the next search goes on behind them.
pub const VICTIMS_MAX: usize = 1 << 12;
/// Destinations whose waiting records are linked. Past it, records of a further destination wait
/// until `hold` has passed and are judged then.
pub const WAITING_DESTINATIONS_MAX: usize = 1 << 16;
/// Least bytes of a record in a media line, for the bound on how many can wait: the header and RTP of
/// a 20-byte frame over IPv4. Past it, what waits longest leaves before its time.
pub const WAITING_RECORD_BYTES: usize = 32 + 14 + 20 + 8 + 12 + 20;
/// Records that wait in one line, whatever its size.
pub const WAITING_MAX: usize = 1 << 24;
/// Masked media waits so long before it is written without its payload: a word that it is wanted again takes as long
/// to come here as any. A longer wait masks less of what comes after that word, and takes more of the ring.
pub const MASK_HOLD_NS: u64 = 400_000_000;
/// Longest RTP packet of masked media in which keys are looked for: telephone events (RFC 4733) take four bytes each.
pub const OVERHEARD_BYTES_MAX: usize = 12 + 16;
/// The same where tones are looked for, too: 40 ms of G.711, and its header.
pub const OVERHEARD_TONES_BYTES_MAX: usize = 12 + 320;
/// Such packets that nobody fetched. Past it the oldest is given up: a key may be missed.
pub const OVERHEARD_MAX: usize = 4096;
/// Of a line's capacity, the part that is kept free: what waits longest leaves before its time when
/// more is taken, so that decided media still finds room.
pub const LINE_FREE_DIVISOR: u64 = 8;
/// `FlowSeen` events that nobody fetched. Past it, a flow is announced by a later packet.
pub const EVENTS_MAX: usize = 4096;
/// Least time between two gap marks.
pub const GAP_NOTE_NS: u64 = 1_000_000_000;
/// Records between two releases of what was written, so that the producer gets room in time.
pub const RELEASE_RECORDS: usize = 256;
/// Records whose flows are asked of the cache together: as many as it fetches at a time.
pub const BATCH_RECORDS: usize = 16;
const _: () = assert!(RELEASE_RECORDS.is_multiple_of(BATCH_RECORDS));

/// TCP connections known to carry SIP on other ports. Past it, one not seen for long is forgotten.
pub const TCP_LEARNED_MAX: usize = 1 << 16;

/// Datagrams being put together. Past it, the oldest is given up and counted lost.
pub const DATAGRAMS_MAX: usize = 1 << 10;
/// Bytes of fragments held for them. Past it, the oldest is given up and counted lost.
pub const DATAGRAM_BYTES_TOTAL_MAX: usize = 16 << 20;
/// Fragments of one datagram, duplicates included. With one more it is given up and counted lost.
pub const FRAGMENTS_MAX: u16 = 512;
/// RFC 791 section 3.2: the initial setting of the timer.
pub const DATAGRAM_NS_MAX: u64 = 15_000_000_000;
/// Length of an IP packet, and so of a datagram.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams within datagrams: fragments of a tunnel's packets may hold fragments.
pub const DATAGRAM_NESTING_MAX: u32 = earwitness_wire::limits::TUNNELS_MAX as u32 + 1;

/// Longest packet or interface block of a capture file. A longer one is refused.
pub const PCAP_BUFFER_BYTES: usize = 1 << 20;
/// What is read of a capture file at a time: a part of a core's cache.
pub const PCAP_READ_BYTES: usize = 128 << 10;
/// Longest packet of a capture file, as in libpcap and Wireshark. A longer one is refused.
pub const PCAP_FRAME_BYTES_MAX: usize = 262_144;
/// Interfaces of one pcapng section. One more is refused.
pub const PCAP_INTERFACES_MAX: usize = 1024;
/// Files read side by side: what `RecordMeta::source` can number.
pub const PCAP_FILES_MAX: usize = 256;

const _: () = {
    // Whole datagrams fit a record, and the total holds at least a few of the longest.
    assert!(DATAGRAM_BYTES_MAX <= FRAME_BYTES_MAX);
    assert!(DATAGRAM_BYTES_TOTAL_MAX >= 16 * DATAGRAM_BYTES_MAX);
    assert!(PCAP_FRAME_BYTES_MAX + 64 <= PCAP_BUFFER_BYTES);

    assert!(RING_BYTES_MIN.is_power_of_two() && RING_BYTES_MAX.is_power_of_two());
    assert!(FRAME_BYTES_MAX <= earwitness_segment::limits::FRAME_BYTES_MAX as usize);
    assert!(FRAME_BYTES_MAX >= 65_535 + earwitness_wire::limits::HEADER_BYTES_MAX as usize);
};
