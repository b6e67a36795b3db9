//! Files of every kind, whole, cut, bent; and another parser's opinion of them.

use earwitness_wire::LinkType;
use proptest::prelude::*;

use super::*;
use crate::limits::PCAP_BUFFER_BYTES;

/// Bytes of a file under construction, in one byte order.
struct Build {
    big: bool,
    bytes: Vec<u8>,
}

impl Build {
    fn new(big: bool) -> Self {
        Self { big, bytes: Vec::new() }
    }

    fn u16(mut self, value: u16) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn classic(big: bool, magic: u32, link: u32) -> Self {
        Self::new(big).u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link)
    }

    fn record(self, seconds: u32, fraction: u32, wire_len: u32, frame: &[u8]) -> Self {
        self.u32(seconds).u32(fraction).u32(frame.len() as u32).u32(wire_len).raw(frame)
    }

    fn block(self, kind: u32, body: &[u8]) -> Self {
        let body_len = body.len().next_multiple_of(4);
        let padding = vec![0; body_len - body.len()];
        let span = body_len as u32 + 12;
        self.u32(kind).u32(span).raw(body).raw(&padding).u32(span)
    }

    fn section(self) -> Self {
        let body = Self::new(self.big).u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]).bytes;
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, snap: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Self::new(self.big).u16(link).u16(0).u32(snap);
        for (code, value) in options {
            body = body.u16(*code).u16(value.len() as u16).raw(value);
            let padding = body.bytes.len().next_multiple_of(4) - body.bytes.len();
            body = body.raw(&vec![0; padding]);
        }
        let body = if options.is_empty() { body } else { body.u32(0) }.bytes;
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, units: u64, wire_len: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.big)
            .u32(interface)
            .u32((units >> 32) as u32)
            .u32(units as u32)
            .u32(frame.len() as u32)
            .u32(wire_len)
            .raw(frame)
            .bytes;
        self.block(6, &body)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    ts_ns: u64,
    wire_len: u32,
    link: LinkType,
    bytes: Vec<u8>,
}

fn open(bytes: &[u8]) -> Result<Reader, PcapError> {
    Reader::from_input("test".into(), Box::new(std::io::Cursor::new(bytes.to_vec())), 3)
}

/// Everything a file gives, and how it ended.
fn read(bytes: &[u8]) -> (Vec<Seen>, Result<Omissions, PcapError>) {
    let mut seen = Vec::new();
    let mut reader = match open(bytes) {
        Ok(reader) => reader,
        Err(error) => return (seen, Err(error)),
    };
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                assert_eq!(frame.source, 3);
                let Frame { ts_ns, wire_len, link, .. } = frame;
                seen.push(Seen { ts_ns, wire_len, link, bytes: frame.bytes.to_vec() });
            }
            Ok(None) => return (seen, Ok(reader.omissions())),
            Err(error) => {
                assert!(matches!(reader.next(), Ok(None)), "an error ends the file");
                return (seen, Err(error));
            }
        }
    }
}

fn offset_of(error: &PcapError) -> u64 {
    match error {
        PcapError::Malformed { offset, .. }
        | PcapError::LinkType { offset, .. }
        | PcapError::HeaderTruncated { offset, .. } => *offset,
        PcapError::NotCapture { .. } => 0,
        other => panic!("{other}"),
    }
}

/// CAP-4: classic files of both resolutions, both byte orders and each link type.
#[test]
fn classic_files_of_every_kind() {
    let links = [
        (1, LinkType::Ethernet, 0),
        (12, LinkType::RawIp, 0),
        (14, LinkType::RawIp, 0),
        (101, LinkType::RawIp, 0),
        (113, LinkType::Sll, 0),
        (276, LinkType::Sll2, 0),
        (0, LinkType::RawIp, 4),
        (108, LinkType::RawIp, 4),
    ];
    for big in [false, true] {
        for (magic, ts_ns) in [(0xa1b2_c3d4, 7_000_123_000), (0xa1b2_3c4d, 7_000_000_123)] {
            for (number, link, prefix) in links {
                let file = Build::classic(big, magic, number)
                    .record(7, 123, 100, b"\x02\0\0\0clipped")
                    .record(7, 123, 3, b"abc")
                    .bytes;
                let (seen, end) = read(&file);
                assert_eq!(end.expect("good"), Omissions::default());
                let whole = b"\x02\0\0\0clipped";
                let first = Seen {
                    ts_ns,
                    wire_len: 100 - prefix,
                    link,
                    bytes: whole[prefix as usize..].into(),
                };
                assert_eq!(seen[0], first, "{number} {magic:x} {big}");
                assert_eq!(seen[1].bytes.len() as u32, 3u32.saturating_sub(prefix));
                assert_eq!(seen.len(), 2);
            }
        }
    }
}

/// CAP-4, CAP-10: pcapng in both byte orders: sections, interfaces with clocks of their own, each
/// packet block, blocks of no interest, link types of no use.
#[test]
fn sections_interfaces_and_clocks() {
    for big in [false, true] {
        let offset = if big { 100i64.to_be_bytes() } else { 100i64.to_le_bytes() };
        let obsolete = Build::new(big).u16(1).u16(9).u32(0).u32(5).u32(4).u32(4).raw(b"obs!").bytes;
        let file = Build::new(big)
            .section()
            .block(0x0bad, b"whatever this is")
            .interface(1, 5, &[(2, b"eth1")])
            .interface(101, 0, &[(9, &[9]), (14, &offset)])
            .interface(276, 0, &[(9, &[0x80 | 10])])
            .interface(113, 0, &[(9, &[12])])
            .interface(147, 0, &[])
            .enhanced(0, 1_500_000, 60, b"micro")
            .enhanced(1, 1_500_000, 4, b"nano")
            .enhanced(2, 1536, 6, b"binary")
            .enhanced(3, 1_500_000, 4, b"pico")
            .enhanced(4, 0, 4, b"left")
            .block(3, &Build::new(big).u32(9).raw(b"simpl").bytes)
            .block(2, &obsolete)
            .bytes;
        let file = Build { big: !big, bytes: file }
            .section()
            .interface(1, 0, &[(9, &[0])])
            .enhanced(0, 3, 6, b"second")
            .bytes;
        let (seen, end) = read(&file);
        let omissions = end.expect("good");
        assert_eq!((omissions.unknown_link, omissions.truncated), (1, 0));
        let said =
            |at: usize| (seen[at].ts_ns, seen[at].link, seen[at].wire_len, &seen[at].bytes[..]);
        assert_eq!(said(0), (1_500_000_000, LinkType::Ethernet, 60, &b"micro"[..]));
        assert_eq!(said(1), (100_001_500_000, LinkType::RawIp, 4, &b"nano"[..]));
        assert_eq!(said(2), (1_500_000_000, LinkType::Sll2, 6, &b"binary"[..]));
        assert_eq!(said(3), (1_500, LinkType::Sll, 4, &b"pico"[..]));
        assert_eq!(said(4), (1_500, LinkType::Ethernet, 9, &b"simpl"[..]), "clipped, no time");
        assert_eq!(said(5), (100_000_000_005, LinkType::RawIp, 4, &b"obs!"[..]));
        assert_eq!(said(6), (3_000_000_000, LinkType::Ethernet, 6, &b"second"[..]));
        assert_eq!((seen.len(), omissions.out_of_order), (7, 3));
    }
}

/// CAP-4: a bad file is refused with the place and with what should have stood there.
#[test]
fn a_bad_file_names_the_offset() {
    let pcap = || Build::classic(false, 0xa1b2_c3d4, 1);
    let record = || pcap().record(1, 0, 4, b"good");
    let ng = || Build::new(false).section().interface(1, 0, &[]);
    let mut trailer = ng().enhanced(0, 1, 4, b"good").bytes;
    let at_end = trailer.len() - 4;
    trailer[at_end] ^= 1;
    let cases: [(Vec<u8>, u64, &str, usize); 13] = [
        (b"GIF89a".to_vec(), 0, "magic number", 0),
        (Vec::new(), 0, "it is empty", 0),
        (pcap().bytes[..20].to_vec(), 20, "file header", 0),
        (Build::classic(false, 0xa1b2_c3d4, 147).bytes, 20, "147 is not supported", 0),
        (Build::new(true).u32(0xa1b2_c3d4).u16(3).raw(&[0; 18]).bytes, 4, "major version 2", 0),
        (record().u32(1).u32(0).u32(262_145).u32(9).bytes, 24 + 20 + 8, "at most 262144", 1),
        (Build::new(false).u32(0x0a0d_0d0a).u32(28).u32(7).bytes, 8, "byte-order magic", 0),
        (ng().raw(&[6, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0]).bytes, 48 + 4, "multiple of 4", 0),
        (ng().enhanced(1, 1, 4, b"lost").bytes, 48 + 8, "interface described before", 0),
        (ng().block(6, &[0; 8]).bytes, 48 + 4, "holds a packet block", 0),
        (trailer, 48 + 32, "length again at its end", 0),
        (
            ng().block(6, &Build::new(false).u32(0).u32(0).u32(0).u32(9).u32(9).raw(b"shrt").bytes)
                .bytes,
            48 + 8,
            "fits its block",
            0,
        ),
        (ng().interface(1, 0, &[(9, &[20])]).bytes, 48 + 16, "if_tsresol", 0),
    ];
    for (file, offset, text, frames) in cases {
        let (seen, end) = read(&file);
        let error = end.expect_err(text);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!((offset_of(&error), seen.len()), (offset, frames), "{error}");
    }
}

/// CAP-4: a missing file and a folder say their names.
#[test]
fn what_cannot_be_opened_says_its_name() {
    let dir = tempfile::tempdir().expect("tempdir");
    let missing = Reader::open(&dir.path().join("none.pcap"), 0).expect_err("missing");
    assert!(
        matches!(&missing, PcapError::Open { .. }) && missing.to_string().contains("none.pcap")
    );
    let folder = Reader::open(dir.path(), 0).expect_err("a folder");
    assert!(matches!(folder, PcapError::Read { offset: 0, .. }), "{folder}");
}

/// CAP-4: blocks larger than the buffer are skipped, frames up to the limit are given.
#[test]
fn large_blocks_and_frames() {
    let frame = vec![0x55; 262_144];
    let skipped = vec![0xaa; 3 * PCAP_BUFFER_BYTES];
    let mut build = Build::new(false).section().interface(1, 0, &[]);
    for at in 0..8 {
        build = build.block(0x0bad, &skipped).enhanced(0, at, 262_144, &frame);
    }
    let (seen, end) = read(&build.bytes);
    assert_eq!(end.expect("good"), Omissions::default());
    assert!(seen.len() == 8 && seen.iter().all(|seen| seen.bytes == frame));
}

/// CAP-6: files are merged by time; equal times go by the order of the files.
#[test]
fn files_merge_by_time() {
    let file = |times: &[u32]| {
        let file = times
            .iter()
            .fold(Build::classic(false, 0xa1b2_3c4d, 1), |file, &at| file.record(at, 0, 1, b"x"));
        file.bytes
    };
    let files = [file(&[1, 4, 4, 9]), file(&[2, 4, 3, 10]), file(&[]), file(&[4])];
    let readers = files.iter().zip(0..).map(|(file, source)| {
        let input = Box::new(std::io::Cursor::new(file.clone()));
        Reader::from_input(format!("{source}"), input, source).expect("good")
    });
    let mut merge = Merge::new(readers.collect());
    let mut order = Vec::new();
    while let Some(frame) = merge.next().expect("good") {
        order.push((frame.ts_ns / 1_000_000_000, frame.source));
    }
    let wanted = [(1, 0), (2, 1), (4, 0), (4, 0), (4, 1), (3, 1), (4, 3), (9, 0), (10, 1)];
    assert_eq!(order, wanted);
    assert_eq!(merge.omissions().out_of_order, 1);
    assert_eq!(merge.progress().0, files.iter().map(|file| file.len() as u64).sum::<u64>());
}

/// CAP-4: a file at fault ends alone; the others go on.
#[test]
fn a_bad_file_does_not_stop_the_others() {
    let good = Build::classic(false, 0xa1b2_3c4d, 1).record(2, 0, 1, b"x").bytes;
    let bad = Build::classic(false, 0xa1b2_3c4d, 1).u32(1).u32(0).raw(&[0xff; 8]).bytes;
    let mut merge = Merge::new(vec![open(&bad).expect("header"), open(&good).expect("good")]);
    assert!(merge.next().is_err());
    assert_eq!(merge.next().expect("good").map(|frame| frame.ts_ns), Some(2_000_000_000));
    assert!(merge.next().expect("end").is_none());
}

/// What another parser reads from a file.
fn oracle(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    use pcap_parser::{Block, PcapBlockOwned, PcapError as Stop, traits::PcapReaderIterator};
    let mut reader =
        pcap_parser::PcapNGReader::new(1 << 20, std::io::Cursor::new(file)).expect("a reader");
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                    let ts_ns = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                    packets.push((ts_ns, packet.data[..packet.caplen as usize].to_vec()));
                }
                reader.consume(used);
            }
            Err(Stop::Incomplete(_)) => reader.refill().expect("memory"),
            Err(_) => return packets,
        }
    }
}

fn packets() -> impl Strategy<Value = Vec<(u64, u32, Vec<u8>)>> {
    let packet = (0u64..1 << 62, 0u32..2000, prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::vec(packet, 0..40)
}

/// A written file, and where in it each packet's block ends.
fn written(packets: &[(u64, u32, Vec<u8>)]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = Writer::new(Vec::new(), "test", Some("a call")).expect("memory");
    let links = [LinkType::Ethernet, LinkType::RawIp, LinkType::Sll, LinkType::Sll2];
    let interfaces =
        links.map(|link| writer.interface(link, "tap0", Some("left")).expect("memory"));
    let mut ends = Vec::new();
    for (at, (ts_ns, wire_len, bytes)) in packets.iter().enumerate() {
        let comment = (at % 3 == 0).then_some("from 192.0.2.1");
        writer.packet(interfaces[at % 4], *ts_ns, *wire_len, bytes, comment).expect("memory");
        ends.push(writer.output().len());
    }
    (writer.finish().expect("memory"), ends)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// REC-8: what is written reads back the same, by us and by another parser.
    #[test]
    fn written_files_read_back(packets in packets()) {
        let (file, _) = written(&packets);
        let (seen, end) = read(&file);
        prop_assert_eq!(end.expect("good").truncated, 0);
        prop_assert_eq!(seen.len(), packets.len());
        for (seen, (ts_ns, wire_len, bytes)) in seen.iter().zip(&packets) {
            prop_assert_eq!((seen.ts_ns, &seen.bytes), (*ts_ns, bytes));
            prop_assert_eq!(seen.wire_len, (*wire_len).max(bytes.len() as u32));
        }
        let theirs = oracle(&file);
        prop_assert_eq!(theirs.len(), packets.len());
        for ((ts_ns, bytes), packet) in theirs.iter().zip(&packets) {
            prop_assert_eq!((ts_ns, bytes), (&packet.0, &packet.2));
        }
    }

    /// CAP-4: cut anywhere, a file gives every packet before the cut and says that it was cut.
    #[test]
    fn a_cut_tail_keeps_what_came_before(packets in packets(), cut in any::<prop::sample::Index>()) {
        let (file, ends) = written(&packets);
        let at = cut.index(file.len() + 1);
        let (seen, end) = read(&file[..at]);
        if at >= 4 {
            let truncated = end.expect("a cut is no error").truncated;
            prop_assert_eq!(seen.len(), ends.iter().filter(|&&end| end <= at).count());
            prop_assert!(truncated == 1 || at == file.len() || ends.contains(&at) || seen.is_empty());
        }
    }

    /// S9: bent bytes give an error or other frames, never a panic and never more than the file.
    #[test]
    fn bent_bytes_are_survived(
        packets in packets(),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        classic in any::<bool>(),
        big in any::<bool>(),
    ) {
        let mut file = if classic {
            let start = Build::classic(big, 0xa1b2_3c4d, 1);
            packets.iter().fold(start, |file, (ts_ns, wire_len, bytes)| {
                file.record(*ts_ns as u32, 0, *wire_len, bytes)
            }).bytes
        } else {
            written(&packets).0
        };
        for (at, byte) in bends {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (seen, _) = read(&file);
        prop_assert!(seen.iter().map(|seen| seen.bytes.len()).sum::<usize>() <= file.len());
    }
}
