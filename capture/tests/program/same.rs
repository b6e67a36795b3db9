//! Kernel and user space say the same of every frame.

use std::cell::RefCell;

use earwitness_abi::Counter;
use earwitness_wire::{Endpoint, Verdict};
use proptest::prelude::*;

use crate::frames::{
    DST, DST6, IPV4, TCP, encapsulations, ethernet, ipv4, oddities, payloads, plain, rtp, tcp,
};
use crate::kernel::{Kernel, RINGS, options};

/// Every frame there is, around payloads of media and of signalling.
fn all_frames() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = encapsulations(&rtp());
    all.extend(encapsulations(crate::frames::INVITE));
    all.extend(oddities());
    all.extend(payloads());
    all
}

/// CAP-1, CAP-5: every encapsulation, payload and oddity.
#[test]
fn every_frame_has_the_same_answer() {
    let mut kernel = Kernel::load(&options(RINGS));
    for (name, frame) in all_frames() {
        kernel.check(name, &frame);
    }
    // Once more with each verdict.
    for verdict in [Verdict::Record, Verdict::Mask, Verdict::Ignore, Verdict::Undecided] {
        for dst in [Endpoint::v4(DST, 30_000), Endpoint::v6(DST6, 30_000)] {
            kernel.set_verdict(dst, verdict);
        }
        for (name, frame) in all_frames() {
            kernel.check(name, &frame);
        }
    }
}

/// CAP-8: every frame cut at every byte; the kernel runs no frame shorter than an Ethernet header.
#[test]
fn every_cut_has_the_same_answer() {
    let mut kernel = Kernel::load(&options(RINGS));
    for (name, frame) in all_frames() {
        for length in 14..frame.len().min(150) {
            kernel.check(name, &frame[..length]);
        }
    }
}

/// CAP-1: a frame that lies in several buffers, with headers that cross from the first into the next.
#[test]
fn frames_in_several_buffers_have_the_same_answer() {
    let mut kernel = Kernel::load(&options(RINGS));
    for (name, frame) in all_frames() {
        for linear in [14, 15, 20, 34, 41, 50, 77, 100] {
            if linear >= frame.len() {
                continue;
            }
            let expected = kernel.expected(&frame);
            // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
            let ctx = [0, linear as u32, 0, 1, 0, 0].map(u32::to_ne_bytes).concat();
            let answer = kernel.answer_with(&frame, Some(&ctx));
            assert_eq!(answer, expected, "{name} with {linear} bytes in the first buffer");
        }
    }
}

/// CAP-1: frames at the limits of each class of records are copied whole, and longer ones are cut and counted.
#[test]
fn frames_of_every_length_are_copied() {
    let mut kernel = Kernel::load(&options(RINGS));
    kernel.set_verdict(Endpoint::v4(DST, 30_000), Verdict::Record);
    for length in
        [42, 239, 240, 241, 511, 512, 513, 2047, 2048, 2049, 9014, 9599, 9600, 9601, 20_000]
    {
        let payload: Vec<u8> = (0..length - 42).map(|at| (at * 7) as u8).collect();
        let cut = kernel.counters().get(Counter::Truncated);
        kernel.check("length", &plain(40_000, 30_000, &payload));
        let cut = kernel.counters().get(Counter::Truncated) - cut;
        assert_eq!(cut, u64::from(length > 9600), "{length}");
    }
}

#[derive(Debug, Clone)]
enum Change {
    Byte(prop::sample::Index, u8),
    Bit(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    /// A part of the frame once more in the middle of it.
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (any::<prop::sample::Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        2 => any::<prop::sample::Index>().prop_map(Change::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Change::Append),
        1 => (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(a, b)| Change::Repeat(a, b)),
    ]
}

fn apply(frame: &mut Vec<u8>, changes: &[Change]) {
    // Headers are where it matters: most changes hit the first 80 bytes.
    for change in changes {
        let reach = frame.len().min(80);
        match change {
            Change::Byte(at, byte) => frame[at.index(reach)] = *byte,
            Change::Bit(at, bit) => frame[at.index(reach)] ^= 1 << bit,
            Change::Cut(at) => frame.truncate(14 + at.index(frame.len() - 13)),
            Change::Append(bytes) => frame.extend(bytes),
            Change::Repeat(from, to) => {
                let part = frame[from.index(reach)..reach].to_vec();
                let to = to.index(reach);
                frame.splice(to..to, part);
            }
        }
    }
}

/// Requests of every sort: fields that count, fields that nearly do, and cut anywhere.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        3 => prop::sample::select(vec![
            "Sec-WebSocket-Protocol:", "sec-websocket-protocol: ", "SEC-WEBSOCKET-PROTOCOL:\t",
            "Sec-WebSocket-Protocols: ", "Sec-WebSocket-Version: ", "\rec-WebSocket-Protocol: ",
        ]).prop_flat_map(|name| {
            let member = prop::sample::select(vec!["sip", "SiP", "xmpp", "sips", "si", "", "sip;q=1", " "]);
            prop::collection::vec(member, 0..4).prop_map(move |list| format!("{name}{}", list.join(",")))
        }),
        1 => Just("Upgrade: websocket".to_owned()),
        1 => Just("Connection: upgrade".to_owned()),
        2 => "[ -~]{0,40}",
        1 => (0..1500_usize).prop_map(|length| format!("Cookie: {}", "x".repeat(length))),
    ];
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n\r\n"]);
    (prop::collection::vec((field, end), 0..8), any::<bool>(), 4..=2600_usize).prop_map(
        |(fields, whole, cut)| {
            let mut text = "GET /ws HTTP/1.1\r\n".to_owned();
            fields.iter().for_each(|(field, end)| text.extend([field.as_str(), end]));
            if whole {
                text.push_str("\r\n");
            }
            text.truncate(cut);
            text.into_bytes()
        },
    )
}

thread_local! {
    static KERNEL: RefCell<Kernel> = RefCell::new({
        let mut kernel = Kernel::load(&options(RINGS));
        kernel.set_verdict(Endpoint::v4(DST, 30_000), Verdict::Record);
        kernel.set_verdict(Endpoint::v6(DST6, 30_000), Verdict::Ignore);
        kernel
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    /// CAP-1, S9: mutated frames, too.
    #[test]
    fn mutated_frames_have_the_same_answer(
        frame in prop::sample::select(all_frames().into_iter().map(|(_, frame)| frame).collect::<Vec<_>>()),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut frame = frame;
        apply(&mut frame, &changes);
        KERNEL.with_borrow_mut(|kernel| kernel.check("mutated", &frame));
    }

    /// S9: and bytes that were never a frame.
    #[test]
    fn arbitrary_bytes_have_the_same_answer(
        ether_type in prop::sample::select(vec![0x0800_u16, 0x86dd, 0x8100, 0x8847, 0x8864, 0x1234]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let frame = ethernet(ether_type, &bytes);
        KERNEL.with_borrow_mut(|kernel| kernel.check("arbitrary", &frame));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    /// CAP-7: a connection is learned by the same requests, in one buffer or in several.
    #[test]
    fn requests_have_the_same_answer(request in request(), linear in 54..2600_u32) {
        let frame = ethernet(IPV4, &ipv4(TCP, &tcp(40_000, 8080, &request)));
        KERNEL.with_borrow_mut(|kernel| {
            kernel.check("request", &frame);
            kernel.forget_connections();
            if (linear as usize) < frame.len() {
                let expected = kernel.expected(&frame);
                let ctx = [0, linear, 0, 1, 0, 0].map(u32::to_ne_bytes).concat();
                assert_eq!(kernel.answer_with(&frame, Some(&ctx)), expected, "{frame:02x?}");
                kernel.forget_connections();
            }
        });
    }
}
