//! Verdicts, ports, connections, rings and sockets, as the program obeys them.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use earwitness_abi::ring::CHUNK_BYTES;
use earwitness_abi::{Class, Counter};
use earwitness_capture::program::{
    AttachMode, Output, Program, ProgramError, ProgramOptions, Unmatched,
};
use earwitness_wire::{Endpoint, Kind, Verdict};

use crate::frames::{
    self, DST, GET, HANDSHAKE, INVITE, IPV4, TCP, ethernet, ipv4, plain, rtp, tcp,
};
use crate::kernel::{Kernel, RINGS, options};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

/// CAP-9: what policy ignores is dropped in the driver, counted there, and never copied.
#[test]
fn ignored_flows_are_dropped_and_counted() {
    let mut kernel = Kernel::load(&options(RINGS));
    let dst = Endpoint::v4(DST, 30_000);
    kernel.set_verdict(dst, Verdict::Ignore);
    let frame = plain(40_000, 30_000, &rtp());
    for _ in 0..5 {
        assert_eq!(kernel.run(&frame), XDP_DROP);
    }
    assert_eq!(kernel.counters().get(Counter::Ignored), 5);
    assert_eq!(kernel.program.verdict(&dst), Some(Verdict::Ignore));
    assert!(kernel.records().is_empty());
    // A changed verdict is obeyed at once.
    kernel.set_verdict(dst, Verdict::Record);
    kernel.run(&frame);
    assert_eq!(kernel.records().len(), 1);
    assert!(kernel.program.forget_verdict(&dst));
    assert!(!kernel.program.forget_verdict(&dst));
    assert_eq!(kernel.program.verdict(&dst), None);
    kernel.run(&frame);
    let (header, _) = kernel.records()[0];
    assert_eq!((header.class, header.kind), (Class::Media as u8, Kind::Rtp as u8));
    assert_eq!(header.verdict, Verdict::Undecided as u8);
}

/// S10: the table of verdicts has a bound, and says when it is reached.
#[test]
fn verdicts_are_bounded() {
    let program = Program::load(&ProgramOptions { verdicts_max: 8, ..options(RINGS) }).unwrap();
    let set = |port| program.set_verdict(&Endpoint::v4(DST, port), Verdict::Record);
    let refused = (0..100).find_map(|port| set(port).err());
    assert!(matches!(refused, Some(ProgramError::VerdictsFull { max: 8 })), "{refused:?}");
    // Known flows can still be changed.
    set(0).unwrap();
}

/// CAP-1: ports can be changed while the program runs.
#[test]
fn sip_ports_can_be_changed() {
    let mut kernel = Kernel::load(&options(RINGS));
    let frame = plain(40_000, 6060, b"\r\n\r\n");
    kernel.run(&frame);
    assert!(kernel.records().is_empty());
    kernel.program.set_sip_ports(&[6060]).unwrap();
    kernel.run(&frame);
    kernel.run(&plain(40_000, 5060, b"\r\n\r\n"));
    let records = kernel.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0.class, Class::Signalling as u8);
}

/// CAP-7: a connection becomes signalling because it began like SIP, or because the control plane says so.
#[test]
fn tcp_connections_are_learned_and_forgotten() {
    let mut kernel = Kernel::load(&options(RINGS));
    let segment = |src, dst, data: &[u8]| ethernet(IPV4, &ipv4(TCP, &tcp(src, dst, data)));
    let rest = segment(40_000, 15_061, b"v=0\r\no=- 1 1 IN IP4");
    kernel.run(&rest);
    assert!(kernel.records().is_empty());
    kernel.run(&segment(40_000, 15_061, INVITE));
    assert_eq!(kernel.counters().get(Counter::Learned), 1);
    kernel.run(&rest);
    kernel.run(&segment(40_000, 15_061, INVITE));
    assert_eq!((kernel.records().len(), kernel.counters().get(Counter::Learned)), (3, 1));
    let (client, server) = (Endpoint::v4(frames::SRC, 40_000), Endpoint::v4(DST, 15_061));
    assert!(kernel.program.forget_tcp(&server, &client).unwrap());
    kernel.run(&rest);
    assert!(kernel.records().is_empty());
    kernel.program.learn_tcp(&server, &client).unwrap();
    kernel.run(&rest);
    assert_eq!(kernel.records().len(), 1);
}

/// CAP-7: a WebSocket that was asked for SIP is known with the request, so that not even the next frame is missed; a
/// connection of other HTTP is not followed.
#[test]
fn websockets_are_learned_with_their_request() {
    let mut kernel = Kernel::load(&options(RINGS));
    let segment = |src, dst, data: &[u8]| ethernet(IPV4, &ipv4(TCP, &tcp(src, dst, data)));
    let message = [0x82, 4, 1, 2, 3, 4];
    for (server, request, followed) in [(443, HANDSHAKE, true), (80, GET, false)] {
        kernel.run(&segment(40_000, server, request));
        assert_eq!(kernel.records().len(), 1, "the request is signalling either way");
        for (client, wanted) in [(40_000, followed), (40_001, false)] {
            kernel.run(&segment(client, server, &message));
            assert_eq!(kernel.records().len(), usize::from(wanted), "{client} to {server}");
        }
    }
    assert_eq!(kernel.counters().get(Counter::Learned), 1);
}

/// CAP-8: a full ring loses what finds no room, each ring its own, and the sum closes.
#[test]
fn full_rings_are_counted() {
    let output = Output::Rings { media_bytes: CHUNK_BYTES, signalling_bytes: 2 * CHUNK_BYTES };
    let mut kernel = Kernel::load(&options(output));
    kernel.run_with(&plain(40_000, 30_000, &rtp()), None, 5000);
    kernel.run_with(&plain(40_000, 5060, INVITE), None, 5000);
    let counters = kernel.counters();
    let (media, signalling) = (counters.get(Counter::Media), counters.get(Counter::Signalling));
    assert!(media >= 500 && signalling > media, "{counters:?}");
    assert_eq!(media + counters.get(Counter::MediaRingFull), 5000);
    assert_eq!(signalling + counters.get(Counter::SignallingRingFull), 5000);
    assert_eq!(counters.get(Counter::Received), counters.exits());
    assert_eq!(kernel.records().len() as u64, media + signalling);
    // Once read, there is room again.
    kernel.run(&plain(40_000, 30_000, &rtp()));
    assert_eq!(kernel.records().len(), 1);
}

/// CAP-2, CAP-8: frames of all lengths come out of a ring as they went in, over the ends of its chunks and round it.
#[test]
fn records_survive_the_ends_of_chunks() {
    let output = Output::Rings { media_bytes: 2 * CHUNK_BYTES, signalling_bytes: CHUNK_BYTES };
    let mut kernel = Kernel::load(&options(output));
    let frame = |number: u32| {
        let mut payload = rtp();
        payload.resize(172 + (number * 377 % 1200) as usize, number as u8);
        plain(40_000, 30_000, &payload)
    };
    let (mut sent, mut bytes) = (0, 0);
    while bytes < 10 * CHUNK_BYTES as usize {
        let some: Vec<_> = (sent..sent + 1 + sent % 97).map(frame).collect();
        some.iter().for_each(|frame| _ = kernel.run(frame));
        sent += some.len() as u32;
        bytes += some.iter().map(Vec::len).sum::<usize>();
        let read: Vec<_> = kernel.records().into_iter().map(|(_, frame)| frame).collect();
        assert_eq!(read, some);
    }
    assert_eq!(kernel.counters().get(Counter::Media), u64::from(sent));
}

/// CAP-1: beside a live host every frame is passed on, even one that policy ignores, and what is wanted is copied.
#[test]
fn a_live_host_gets_every_frame() {
    let pass = ProgramOptions { unmatched: Unmatched::Pass, ..options(RINGS) };
    let mut kernel = Kernel::load(&pass);
    kernel.set_verdict(Endpoint::v4(DST, 30_002), Verdict::Ignore);
    let arp = ethernet(0x0806, &[0; 46]);
    for frame in [plain(1, 30_000, &rtp()), plain(1, 30_002, &rtp()), plain(1, 5060, INVITE), arp] {
        assert_eq!(kernel.run(&frame), XDP_PASS);
    }
    assert_eq!(kernel.counters().get(Counter::Ignored), 1);
    assert_eq!(kernel.records().len(), 1);
    let dropping = Kernel::load(&options(RINGS));
    assert_eq!(dropping.run(&plain(40_000, 30_000, &rtp())), XDP_DROP);
}

/// CAP-10: time is CLOCK_MONOTONIC, whose distance from UTC is measured; place is interface and queue.
#[test]
fn records_have_time_and_place() {
    let mut kernel = Kernel::load(&options(RINGS));
    let clock = || {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is ours.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) }, 0);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    let before = clock();
    kernel.run(&plain(40_000, 5060, INVITE));
    let (header, _) = kernel.records()[0];
    assert!((before..=clock()).contains(&header.ts_ns), "{header:?}");
    // The kernel runs tests as if frames came from loopback.
    assert_eq!((header.interface, header.queue), (1, 0));
}

fn af_xdp_socket() -> OwnedFd {
    // SAFETY: makes a socket.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just made it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// CAP-1, CAP-4: in AF_XDP mode flows are spread over the sockets of a queue, each with one of them; what finds no
/// socket is lost and counted.
#[test]
fn sockets_share_a_queue() {
    let output = Output::Sockets { queues: 1, sockets_per_queue: 2 };
    let mut kernel = Kernel::load(&options(output));
    assert!(kernel.program.rings().is_empty());
    let media = plain(40_000, 30_000, &rtp());
    assert_eq!(kernel.run(&media), XDP_DROP);
    assert_eq!(kernel.counters().get(Counter::SocketMissing), 1);
    let sockets = [af_xdp_socket(), af_xdp_socket()];
    for (index, socket) in sockets.iter().enumerate() {
        kernel.program.insert_socket(0, index as u32, socket.as_fd()).unwrap();
    }
    let wrong = kernel.program.insert_socket(0, 2, sockets[0].as_fd());
    assert!(matches!(wrong, Err(ProgramError::NoSlot { queue: 0, index: 2 })), "{wrong:?}");
    for port in (30_000..30_100).step_by(2) {
        assert_eq!(kernel.run(&plain(40_000, port, &rtp())), XDP_REDIRECT);
    }
    assert_eq!(kernel.run(&plain(40_000, 5060, INVITE)), XDP_REDIRECT);
    let (_, fragment) =
        frames::oddities().into_iter().find(|(name, _)| *name == "ipv4 last fragment").unwrap();
    assert_eq!(kernel.run(&fragment), XDP_REDIRECT);
    assert_eq!(kernel.run(&ethernet(0x0806, &[0; 46])), XDP_DROP);
    let counters = kernel.counters();
    let taken = [Counter::Media, Counter::Signalling, Counter::Fragment]
        .map(|counter| counters.get(counter));
    assert_eq!(taken, [50, 1, 1]);
    assert_eq!(counters.get(Counter::Received), counters.exits());
}

/// OPS-2: options that exclude each other are refused before anything is loaded.
#[test]
fn impossible_options_are_refused() {
    let sockets = Output::Sockets { queues: 1, sockets_per_queue: 1 };
    let refused = |options: ProgramOptions| Program::load(&options).expect_err("impossible");
    let passing = ProgramOptions { unmatched: Unmatched::Pass, ..options(sockets) };
    assert!(matches!(refused(passing), ProgramError::SocketsCannotPass));
    let none = options(Output::Sockets { queues: 4, sockets_per_queue: 0 });
    assert!(matches!(refused(none), ProgramError::NoSockets { .. }));
    let odd = options(Output::Rings { media_bytes: 5000, signalling_bytes: 4096 });
    assert!(matches!(refused(odd), ProgramError::RingBytes { bytes: 5000 }));
    let many = ProgramOptions { vxlan_ports: vec![1, 2, 3, 4, 5], ..options(RINGS) };
    assert!(matches!(refused(many), ProgramError::TooManyVxlanPorts { count: 5 }));
    let mut program = Program::load(&options(RINGS)).unwrap();
    assert!(program.attach("no-such-if0", AttachMode::Auto).is_err());
}
