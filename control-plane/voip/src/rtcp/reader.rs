//! From bytes to RTCP packets.

use thiserror::Error;

use super::packet::{Packet, ReportBlock, SenderInfo, VoipMetrics};
use crate::limits::RTCP_BLOCKS_MAX;

/// Why bytes, or the rest of them, are no RTCP. `error as usize` indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
pub enum RtcpError {
    /// Fewer bytes than the header says.
    #[error("the packet is shorter than its header says")]
    Truncated,
    /// The version is not 2.
    #[error("the version is not 2")]
    Version,
    /// The packet type is none of RTCP (192 to 223).
    #[error("the packet type is not one of RTCP")]
    PacketType,
    /// A packet that is too short for what it must hold.
    #[error("the packet is too short for its type")]
    Content,
}

impl RtcpError {
    /// Every cause, in the order of its index.
    pub const ALL: [Self; 4] = [Self::Truncated, Self::Version, Self::PacketType, Self::Content];

    /// The name of the cause as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::PacketType => "packet_type",
            Self::Content => "content",
        }
    }
}

/// The packets of a compound, in order (RFC 3550 section 6.1). Rules for compounds are not enforced: reduced-size
/// RTCP (RFC 5506) breaks them rightly. After an error it ends.
#[must_use]
pub const fn packets(bytes: &[u8]) -> Packets<'_> {
    Packets { rest: bytes }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;

impl Iterator for Packets<'_> {
    type Item = Result<Packet, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.read();
        if packet.is_err() {
            self.rest = b"";
        }
        Some(packet)
    }
}

impl Packets<'_> {
    fn read(&mut self) -> Result<Packet, RtcpError> {
        let Some(header) = self.rest.first_chunk::<4>() else {
            return Err(RtcpError::Truncated);
        };
        if header[0] >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        let packet_type = header[1];
        // RFC 5761 section 4.
        if !matches!(packet_type, 192..=223) {
            return Err(RtcpError::PacketType);
        }
        let length = (usize::from(u16::from_be_bytes([header[2], header[3]])) + 1) * 4;
        if length > self.rest.len() {
            return Err(RtcpError::Truncated);
        }
        let (packet, rest) = self.rest.split_at(length);
        let count = usize::from(header[0] & 0x1f).min(RTCP_BLOCKS_MAX);
        let is_padded = header[0] & 0x20 != 0;
        self.rest = rest;
        read_packet(packet_type, count, unpad(&packet[4..], is_padded))
    }
}

/// Cuts padding off; padding that does not fit is kept as content.
fn unpad(content: &[u8], is_padded: bool) -> &[u8] {
    let padding = content.last().map_or(0, |last| usize::from(*last));
    match is_padded && padding <= content.len() {
        true => &content[..content.len() - padding],
        false => content,
    }
}

fn read_packet(packet_type: u8, count: usize, content: &[u8]) -> Result<Packet, RtcpError> {
    match packet_type {
        SOURCE_DESCRIPTION => {
            return Ok(Packet::SourceDescription { cnames: read_cnames(count, content) });
        }
        GOODBYE => {
            let ssrcs = content.chunks_exact(4).take(count).map(|c| word(c, 0)).collect();
            return Ok(Packet::Goodbye { ssrcs });
        }
        _ => {}
    }
    if content.len() < 4 {
        return Err(RtcpError::Content);
    }
    let ssrc = word(content, 0);
    match packet_type {
        SENDER_REPORT => {
            let Some(info) = content.get(4..24) else {
                return Err(RtcpError::Content);
            };
            let info = SenderInfo {
                ntp: u64::from(word(info, 0)) << 32 | u64::from(word(info, 4)),
                rtp_timestamp: word(info, 8),
                packets: word(info, 12),
                octets: word(info, 16),
            };
            Ok(Packet::SenderReport { ssrc, info, reports: read_reports(count, &content[24..]) })
        }
        RECEIVER_REPORT => {
            Ok(Packet::ReceiverReport { ssrc, reports: read_reports(count, &content[4..]) })
        }
        EXTENDED_REPORT => Ok(Packet::ExtendedReport { ssrc, voip: read_metrics(&content[4..]) }),
        _ => Ok(Packet::Other { packet_type, ssrc }),
    }
}

/// As many report blocks as there are bytes for, of those that are announced.
fn read_reports(count: usize, bytes: &[u8]) -> Vec<ReportBlock> {
    let blocks = bytes.chunks_exact(24).take(count);
    blocks
        .map(|block| ReportBlock {
            ssrc: word(block, 0),
            fraction_lost: block[4],
            // A signed number of 24 bits.
            lost: (word(block, 4) << 8).cast_signed() >> 8,
            highest: word(block, 8),
            jitter: word(block, 12),
            last_sr: word(block, 16),
            delay_since_last_sr: word(block, 20),
        })
        .collect()
}

fn read_cnames(count: usize, mut bytes: &[u8]) -> Vec<(u32, String)> {
    const CNAME: u8 = 1;
    let mut cnames = Vec::new();
    for _ in 0..count {
        let Some((ssrc, mut items)) = bytes.split_first_chunk::<4>() else {
            break;
        };
        let mut length = 4;
        while let [kind @ 1..=u8::MAX, size, rest @ ..] = items {
            let Some(text) = rest.get(..usize::from(*size)) else {
                return cnames;
            };
            if *kind == CNAME {
                let name = String::from_utf8_lossy(text).into_owned();
                cnames.push((u32::from_be_bytes(*ssrc), name));
            }
            items = &rest[text.len()..];
            length += 2 + text.len();
        }
        // RFC 3550 section 6.5: a zero ends the items, and chunks begin at 32-bit boundaries.
        bytes = bytes.get((length + 1).next_multiple_of(4)..).unwrap_or(b"");
    }
    cnames
}

fn read_metrics(mut bytes: &[u8]) -> Vec<VoipMetrics> {
    const VOIP_METRICS: u8 = 7;
    let mut metrics = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) * 4;
        let Some(block) = rest.get(..length) else {
            break;
        };
        bytes = &rest[length..];
        if header[0] == VOIP_METRICS && length >= 32 && metrics.len() < RTCP_BLOCKS_MAX {
            metrics.push(VoipMetrics {
                ssrc: word(block, 0),
                loss_rate: block[4],
                discard_rate: block[5],
                burst_density: block[6],
                gap_density: block[7],
                burst_duration_ms: half(block, 8),
                gap_duration_ms: half(block, 10),
                round_trip_ms: half(block, 12),
                end_system_delay_ms: half(block, 14),
                r_factor: block[20],
                mos_lq: block[22],
                mos_cq: block[23],
            });
        }
    }
    metrics
}

/// The 32-bit number at `at`, which is there.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Packet, ReportBlock, RtcpError, SenderInfo, packets};

    fn oracle_sdes() -> Vec<u8> {
        let chunk = rtcp_types::SdesChunk::builder(0x1122_3344)
            .add_item(rtcp_types::SdesItem::builder(rtcp_types::SdesItem::CNAME, "alice@h"));
        built(&rtcp_types::Sdes::builder().add_chunk(chunk))
    }

    fn built(writer: &impl rtcp_types::RtcpPacketWriter) -> Vec<u8> {
        let mut bytes = vec![0; writer.calculate_size().unwrap()];
        writer.write_into_unchecked(&mut bytes);
        bytes
    }

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 0xaabb_ccdd,
            fraction_lost: 64,
            lost: 1000,
            highest: 0x1_2345,
            jitter: 42,
            last_sr: 0x1000_0000,
            delay_since_last_sr: 0x0001_0000,
        }
    }

    fn oracle_block() -> rtcp_types::ReportBlockBuilder {
        let b = block();
        rtcp_types::ReportBlock::builder(b.ssrc)
            .fraction_lost(b.fraction_lost)
            .cumulative_lost(b.lost as u32)
            .extended_sequence_number(b.highest)
            .interarrival_jitter(b.jitter)
            .last_sender_report_timestamp(b.last_sr)
            .delay_since_last_sender_report_timestamp(b.delay_since_last_sr)
    }

    fn compound() -> Vec<u8> {
        let sr = rtcp_types::SenderReport::builder(7)
            .ntp_timestamp(0x0102_0304_0506_0708)
            .rtp_timestamp(99)
            .packet_count(5)
            .octet_count(800)
            .add_report_block(oracle_block());
        let rr = rtcp_types::ReceiverReport::builder(8).add_report_block(oracle_block());
        let bye = rtcp_types::Bye::builder().add_source(7).reason("done");
        [built(&sr), oracle_sdes(), built(&rr), built(&bye)].concat()
    }

    // CALL-7: what another implementation writes is read.
    #[test]
    fn compounds_are_read() {
        let read: Vec<_> = packets(&compound()).collect::<Result<_, _>>().unwrap();
        let info =
            SenderInfo { ntp: 0x0102_0304_0506_0708, rtp_timestamp: 99, packets: 5, octets: 800 };
        assert_eq!(
            read,
            [
                Packet::SenderReport { ssrc: 7, info, reports: vec![block()] },
                Packet::SourceDescription { cnames: vec![(0x1122_3344, "alice@h".into())] },
                Packet::ReceiverReport { ssrc: 8, reports: vec![block()] },
                Packet::Goodbye { ssrcs: vec![7] },
            ]
        );
    }

    // CALL-7: RFC 3550 section 6.4.1, figure 2: a round trip of 6.125 s.
    #[test]
    fn round_trips_are_measured() {
        let block =
            ReportBlock { last_sr: 0xb705_2000, delay_since_last_sr: 0x0005_4000, ..block() };
        assert_eq!(block.round_trip_ms(0xb44d_b710_8000_0000 >> 16 << 16), Some(6125.0));
        let never = ReportBlock { last_sr: 0, ..block };
        assert_eq!(never.round_trip_ms(0), None);
    }

    // CALL-7: RFC 3611 section 4.7 and a negative count of lost packets.
    #[test]
    fn metrics_and_negative_loss_are_read() {
        let mut xr = vec![0x80, 207, 0, 10, 0, 0, 0, 9, 7, 0, 0, 8, 0, 0, 0, 5];
        xr.extend([1, 2, 3, 4, 0, 50, 0, 60, 0, 70, 0, 80, 0, 0, 0, 0, 93, 127, 41, 40]);
        xr.extend([0; 8]);
        let Packet::ExtendedReport { ssrc: 9, voip } = packets(&xr).next().unwrap().unwrap() else {
            panic!("no XR");
        };
        assert_eq!(
            (voip[0].ssrc, voip[0].round_trip_ms, voip[0].r_factor, voip[0].mos_lq),
            (5, 70, 93, 41)
        );
        let mut rr =
            built(&rtcp_types::ReceiverReport::builder(8).add_report_block(oracle_block()));
        rr[13..16].copy_from_slice(&[0xff, 0xff, 0xfe]);
        let Packet::ReceiverReport { reports, .. } = packets(&rr).next().unwrap().unwrap() else {
            panic!("no RR");
        };
        assert_eq!(reports[0].lost, -2);
    }

    // S9: troubles have kinds, and what came before them counts.
    #[test]
    fn troubles_have_kinds() {
        let good = compound();
        for (bytes, error) in [
            (vec![0x80, 200], RtcpError::Truncated),
            (vec![0x40, 200, 0, 0], RtcpError::Version),
            (vec![0x80, 100, 0, 0], RtcpError::PacketType),
            (vec![0x80, 200, 0, 1, 0, 0, 0, 1], RtcpError::Content),
            (good[..good.len() - 1].to_vec(), RtcpError::Truncated),
        ] {
            assert_eq!(packets(&bytes).last(), Some(Err(error)), "{bytes:?}");
        }
        assert_eq!(packets(&good[..good.len() - 1]).count(), 4);
    }

    proptest! {
        // S9: any bytes, and mutated good ones, do not make it panic.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300),
            mutations in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            packets(&bytes).for_each(drop);
            let mut mutated = compound();
            for (at, byte) in mutations {
                let length = mutated.len();
                mutated[at % length] = byte;
            }
            prop_assert!(packets(&mutated).count() <= mutated.len() / 4);
        }
    }
}
