//! What parsing costs: ns per SIP message, per session description, per RTP header, per dialog step.
//!
//! `cargo run --release -p earwitness-voip --example parse_cost`

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use earwitness_voip::dialog::{Dialogs, Seen, Timeouts};
use earwitness_voip::{rtcp, rtp, sdp, sip};

const SDP: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\n\
    t=0 0\r\nm=audio 49172 RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn invite() -> String {
    format!(
        "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
         To: Bob <sip:bob@biloxi.example.com>\r\nCall-ID: 3848276298220188511@atlanta.example.com\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:alice@client.atlanta.example.com;transport=udp>\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, INFO, NOTIFY\r\n\
         Supported: replaces, timer, 100rel\r\nSession-Expires: 1800\r\nUser-Agent: softphone 1.0\r\n\
         P-Asserted-Identity: \"Alice\" <sip:+12125551212@atlanta.example.com>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
}

/// The best of many short runs, in ns per round: short, so that some are not interrupted.
fn cost(name: &str, mut round: impl FnMut()) {
    const ROUNDS: u32 = 1_000;
    let best_ns = (0..500)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| round());
            start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:<28} {best_ns:>9.1} ns");
}

fn main() {
    let invite = invite();
    let bye = "BYE sip:alice@client.atlanta.example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP client.biloxi.example.com:5060;branch=z9hG4bKnashds7\r\nMax-Forwards: 70\r\n\
        From: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n\
        To: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
        Call-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n";
    let mut packet = vec![0x80, 0, 1, 2, 0, 0, 0, 160, 1, 2, 3, 4];
    packet.extend([0xff; 160]);
    let rr = [0x81, 201, 0, 7].into_iter().chain([0; 28]).collect::<Vec<u8>>();

    cost("SIP INVITE, 15 headers", || {
        black_box(sip::parse(black_box(invite.as_bytes())).is_ok());
    });
    cost("SIP BYE, 7 headers", || {
        black_box(sip::parse(black_box(bye.as_bytes())).is_ok());
    });
    cost("SDP, 4 formats", || {
        black_box(sdp::parse(black_box(SDP.as_bytes())).is_ok());
    });
    cost("RTP header", || {
        black_box(rtp::Header::parse(black_box(&packet)).is_ok());
    });
    let mut stats = rtp::Stats::new(8000);
    let mut sequence = 0u16;
    cost("RTP header and statistics", || {
        sequence = sequence.wrapping_add(1);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        if let Ok(header) = rtp::Header::parse(black_box(&packet)) {
            black_box(stats.receive(&header, u64::from(sequence) * 20_000_000, rtp::Timing::Media));
        }
    });
    cost("RTCP receiver report", || {
        black_box(rtcp::packets(black_box(&rr)).count());
    });

    let mut dialogs = Dialogs::new(Timeouts::default());
    let (mut events, mut call, mut text) = (Vec::new(), 0u32, invite.clone().into_bytes());
    let at = text.windows(10).position(|w| w == b"3848276298").unwrap_or(0);
    let port = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    cost("INVITE of a new leg, all told", || {
        call += 1;
        text[at..at + 10].copy_from_slice(format!("{call:010}").as_bytes());
        if let Ok(message) = sip::parse(&text) {
            let seen = Seen { ts_ns: u64::from(call), src: port(5060), dst: port(5070) };
            black_box(dialogs.observe(seen, &message, &mut events));
            events.clear();
        }
    });
}
