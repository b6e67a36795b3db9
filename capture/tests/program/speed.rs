//! What the program costs: the table of `design/xdp.md`.

use earwitness_capture::program::Output;
use earwitness_wire::{Endpoint, Verdict};

use crate::frames::{DST, INVITE, IPV4, TCP, ethernet, ipv4, plain, rtp, tcp};
use crate::kernel::{Kernel, options};

const REPEAT: u32 = 2000;
const ROUNDS: usize = 300;

/// Prints nanoseconds a frame, the best of many short runs: others' work on the machine only ever adds.
#[test]
#[ignore = "a measurement, for an otherwise idle machine"]
fn nanoseconds_a_frame() {
    let output = Output::Rings { media_bytes: 64 << 20, signalling_bytes: 64 << 20 };
    let mut kernel = Kernel::load(&options(output));
    kernel.set_verdict(Endpoint::v4(DST, 30_000), Verdict::Record);
    kernel.set_verdict(Endpoint::v4(DST, 30_002), Verdict::Ignore);
    let arp = ethernet(0x0806, &[0; 46]);
    let mut long = rtp();
    long.resize(1400, 1);
    let in_vxlan =
        crate::frames::encapsulations(&rtp()).into_iter().find(|(name, _)| *name == "vxlan");
    let http = ethernet(IPV4, &ipv4(TCP, &tcp(40_000, 8080, &browser_request(1400))));
    let data = ethernet(IPV4, &ipv4(TCP, &tcp(40_000, 443, &[22; 200])));
    for (name, frame) in [
        ("not IP", arp),
        ("UDP, unmatched", plain(40_000, 30_010, &[0xff; 172])),
        ("TCP, unmatched", data),
        ("RTP, ignored", plain(40_000, 30_002, &rtp())),
        ("RTP, recorded: 214 bytes copied", plain(40_000, 30_000, &rtp())),
        ("RTP, undecided: 214 bytes copied", plain(40_000, 30_020, &rtp())),
        ("RTP in VXLAN, recorded: 264 bytes copied", in_vxlan.unwrap().1),
        ("1,442 bytes copied", plain(40_000, 30_000, &long)),
        ("SIP, 110 bytes copied", plain(40_000, 5060, INVITE)),
        ("HTTP GET, read and 1,454 bytes copied", http),
    ] {
        let mut best = u128::MAX;
        for _ in 0..ROUNDS {
            best = best.min(kernel.run_with(&frame, None, REPEAT).1);
            kernel.records();
        }
        println!("| {name} | {best} |");
    }
    let info = kernel.program.xdp().unwrap().info().unwrap();
    println!("verified instructions: {:?}", info.verified_instruction_count());
    println!("bytes of machine code: {}", info.size_jitted());
}

/// A request without a WebSocket, of so many bytes: all of it must be read.
fn browser_request(bytes: usize) -> Vec<u8> {
    let mut text = "GET /a/page HTTP/1.1\r\nHost: www.example.org\r\nCookie: session=".to_owned();
    while text.len() < bytes - 2 {
        let field = "0123456789abcdef\r\nAccept-Language: en-GB,en;q=0.5\r\nX-Field: ";
        text.push_str(field);
    }
    text.truncate(bytes - 4);
    text.push_str("\r\n\r\n");
    text.into_bytes()
}
