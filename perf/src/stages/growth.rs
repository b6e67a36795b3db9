//! What more calls at once cost: time a packet, time a message, memory a call.

use super::meter::{Meter, Round};
use super::packets::Bench;
use super::{Scale, Stage, allocations, samples, signalling};
use earwitness_wire::Verdict;

/// Packets of a round.
const PACKETS: u64 = 200_000;
const PACKET: Scale = Scale::Each("packet");
const CALL: Scale = Scale::Each("call");

pub const STAGES: &[Stage] = &[
    Stage { name: "line, 10 calls", scale: PACKET, prepare: || line(10) },
    Stage { name: "line, 100 calls", scale: PACKET, prepare: || line(100) },
    Stage { name: "line, 1000 calls", scale: PACKET, prepare: || line(1_000) },
    Stage { name: "line, 10000 calls", scale: PACKET, prepare: || line(10_000) },
    Stage { name: "line, 100000 calls", scale: PACKET, prepare: || line(100_000) },
    Stage { name: "media record, 10 calls", scale: PACKET, prepare: || records(10) },
    Stage { name: "media record, 100 calls", scale: PACKET, prepare: || records(100) },
    Stage { name: "media record, 1000 calls", scale: PACKET, prepare: || records(1_000) },
    Stage { name: "media record, 10000 calls", scale: PACKET, prepare: || records(10_000) },
    Stage { name: "media record, 100000 calls", scale: PACKET, prepare: || records(100_000) },
    Stage { name: "calls held, 100", scale: CALL, prepare: || held(100) },
    Stage { name: "calls held, 10000", scale: CALL, prepare: || held(10_000) },
    Stage { name: "calls held, 100000", scale: CALL, prepare: || held(100_000) },
];

/// From the parser to the segment, of recorded calls that take turns.
fn line(calls: u32) -> anyhow::Result<Round> {
    let mut bench = Bench::new(calls, Some(Verdict::Record))?;
    bench.run(u64::from(calls));
    Ok(Box::new(move |meter| {
        bench.keep_house()?;
        meter.measure(PACKETS, || bench.run(PACKETS));
        Ok(())
    }))
}

/// From a media record to its call.
fn records(calls: u32) -> anyhow::Result<Round> {
    let mut intake = answered(calls);
    let frames: Vec<Vec<u8>> = (0..calls).map(|call| samples::media_frame(call, 1)).collect();
    let mut order: Vec<u32> = (0..calls).collect();
    order.sort_unstable_by_key(|call| call.wrapping_mul(0x9e37_79b9));
    let mut heard = 0_u64;
    Ok(Box::new(move |meter| {
        meter.measure(PACKETS, || {
            for _ in 0..PACKETS {
                let call = order[(heard % order.len() as u64) as usize];
                heard += 1;
                let at_ns = SECOND_NS + heard;
                signalling::hear_media(&mut intake, at_ns, 8 * heard, &frames[call as usize]);
            }
        });
        Ok(())
    }))
}

const SECOND_NS: u64 = 1_000_000_000;

/// Calls of which INVITE, 180, 200 and ACK were heard.
fn answered(calls: u32) -> earwitness::intake::Intake {
    let mut intake = signalling::intake();
    for call in 0..calls {
        for frame in samples::signalling(call).take(4) {
            signalling::hear(&mut intake, u64::from(call), call, &frame);
        }
        intake.take_commands();
    }
    intake
}

/// The memory that a call in progress takes in all tables of the control plane, and what it takes to set it up.
fn held(calls: u32) -> anyhow::Result<Round> {
    let frames: Vec<Vec<u8>> =
        (0..calls).flat_map(|call| samples::signalling(call).take(4)).collect();
    Ok(Box::new(move |meter: &mut Meter| {
        let before = allocations::bytes();
        let mut intake = signalling::intake();
        let fixed = allocations::bytes() - before;
        meter.measure(u64::from(calls), || {
            for (index, frame) in frames.iter().enumerate() {
                signalling::hear(&mut intake, index as u64, index as u32, frame);
            }
        });
        drop(intake.take_commands());
        let held = allocations::bytes() - before - fixed;
        meter.bytes_each = Some(held as f64 / f64::from(calls));
        anyhow::ensure!(intake.table.len() == calls as usize, "not every call is held");
        Ok(())
    }))
}
