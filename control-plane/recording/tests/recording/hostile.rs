//! S9, S10: whatever arrives, rendering ends, within bounds that arrival times set.

use crate::traffic::{Dice, MS, START_NS, Sender, Stream, codec, decoders, hear, noise, rtp};
use earwitness_recording::{
    PayloadType, RenderError, RenderOptions, Side, StreamInput, StreamKey, render,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

fn types() -> Vec<PayloadType> {
    vec![
        PayloadType::always(0, codec("PCMU", 8_000, 1)),
        PayloadType::always(13, codec("CN", 8_000, 1)),
        PayloadType::always(96, codec("L16", 16_000, 2)),
        PayloadType::always(97, codec("L16", 44_100, 1)),
        PayloadType::always(101, codec("telephone-event", 8_000, 1)),
        PayloadType::always(102, codec("PCMU", 1, 1)),
        PayloadType::always(103, codec("L16", u32::MAX, 255)),
    ]
}

/// Recordings last no longer than arrivals do, and a little.
fn check(packets: Vec<(u64, Vec<u8>)>, span_ms: u64) {
    let stream = Stream { packets, ..Stream::new(Side::Callee, 7, types()) }.sorted();
    let heard = hear(&[stream]);
    assert!(heard.report.duration_ms <= span_ms + 4_000, "{} ms", heard.report.duration_ms);
}

/// Timestamps that claim ten hours, a million years, or nothing.
#[test]
fn timestamps_make_no_long_file() {
    let mut dice = Dice(3);
    let mut packets = |step: &mut dyn FnMut(&mut Dice) -> u32| -> Vec<(u64, Vec<u8>)> {
        let mut timestamp = 0_u32;
        (0..5_000_u64)
            .map(|n| {
                timestamp = timestamp.wrapping_add(step(&mut dice));
                let at_ns = START_NS + n * 2 * MS;
                (at_ns, rtp(0, false, n as u16, timestamp, 7, &[0x55; 160]))
            })
            .collect()
    };
    check(packets(&mut |_| 160), 10_000);
    check(packets(&mut |_| 1 << 30), 10_000);
    check(packets(&mut |_| 0), 10_000);
    check(packets(&mut |_| 4_000), 10_000);
    check(packets(&mut |_| 0_u32.wrapping_sub(160)), 10_000);
    check(packets(&mut |dice| dice.roll(1 << 32) as u32), 10_000);
    check(packets(&mut |dice| dice.roll(9_000) as u32), 10_000);
}

/// Everything at one moment.
#[test]
fn burst_makes_no_long_file() {
    let packets = Sender::new(7, START_NS).talk(&noise(1, 1_600_000), 20);
    check(packets.into_iter().map(|(_, packet)| (START_NS, packet)).collect(), 0);
}

/// A stream of random sequence numbers, timestamps and SSRCs.
#[test]
fn random_headers_end() {
    let mut dice = Dice(17);
    let packets = (0..30_000_u64).map(|n| {
        let (sequence, timestamp) = (dice.roll(1 << 16) as u16, dice.roll(1 << 32) as u32);
        let number = [0, 13, 96, 97, 101, 102, 103, 77][dice.roll(8) as usize];
        (START_NS + n * MS, rtp(number, false, sequence, timestamp, 7, &[1; 80]))
    });
    check(packets.collect(), 30_000);
}

fn packet() -> impl Strategy<Value = (u64, Vec<u8>)> {
    let number =
        prop_oneof![Just(0_u8), Just(13), Just(96), Just(97), Just(101), Just(102), 0..=127_u8];
    let sequence = prop_oneof![0..40_u16, any::<u16>()];
    let timestamp = prop_oneof![0..40_000_u32, any::<u32>()];
    let made = (number, any::<bool>(), sequence, timestamp, vec(any::<u8>(), 0..400)).prop_map(
        |(number, marker, sequence, timestamp, payload)| {
            rtp(number, marker, sequence, timestamp, 7, &payload)
        },
    );
    let bytes = prop_oneof![9 => made, 1 => vec(any::<u8>(), 0..64)];
    (0..5_000_u64, bytes).prop_map(|(ms, bytes)| (START_NS + ms * MS, bytes))
}

proptest! {
    /// S9: no packets make it panic, or longer than they arrived.
    #[test]
    fn any_packets_end(mut packets in vec(packet(), 1..200)) {
        // One of them can be read: else there is no media.
        packets.push((START_NS, rtp(0, false, 7, 7, 7, &[1; 80])));
        check(packets, 5_000);
    }

    /// S9: any options at all give a recording or an error.
    #[test]
    fn any_options_end(
        start_ns in prop_oneof![Just(None), (0..30_000_u64).prop_map(|ms| Some(START_NS + ms * MS)), any::<u64>().prop_map(Some)],
        end_ns in prop_oneof![Just(None), (0..30_000_u64).prop_map(|ms| Some(START_NS + ms * MS)), any::<u64>().prop_map(Some)],
        sample_rate in prop_oneof![Just(None), Just(Some(8_000)), Just(Some(16_000)), any::<u32>().prop_map(Some)],
    ) {
        let packets = Sender::new(7, START_NS).talk(&noise(1, 8_000), 20);
        let (types, address) = (types(), std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
        let input = StreamInput {
            side: Side::Caller,
            key: StreamKey { src: address, dst: address, ssrc: 7 },
            payload_types: &types,
            priority: 0,
            packets: &packets,
        };
        let options = RenderOptions { start_ns, end_ns, sample_rate, ..RenderOptions::default() };
        let mut counted = Counted { bytes: 0 };
        match render(&[input], &options, &mut counted, &decoders()) {
            Ok(report) => assert!(counted.bytes >= report.frames * 4),
            Err(RenderError::Sink { .. } | RenderError::SampleRate { .. } | RenderError::Span { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Takes a megabyte, then is full.
struct Counted {
    bytes: u64,
}

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes > 1 << 20 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
