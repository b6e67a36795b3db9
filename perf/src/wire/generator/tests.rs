//! What the program in the kernel makes: needs root, as it must be loaded.

use std::collections::HashMap;

use earwitness_generator_abi::{NETWORKS, SILENCE, place, slot_of_change, ssrc};
use earwitness_wire::{Endpoint, Kind as PayloadKind, LinkType, kind, parse};

use super::*;

const CALLS: u64 = 3;

fn traffic(prologue: bool) -> Traffic {
    Traffic { calls: CALLS, set_ups: 2, background: 100, prologue }
}

/// The first packets, each in a frame that held the one before, as pages that are used again do.
fn first(traffic: &Traffic, count: u64) -> Vec<Vec<u8>> {
    let mut generator = Generator::load(traffic).unwrap();
    generator.limit(count).unwrap();
    let mut frame = vec![0xff; MEDIA_FRAME_BYTES];
    let mut packets = Vec::new();
    while (packets.len() as u64) < count {
        if let Some(packet) = generator.next(&frame).unwrap() {
            frame = packet.clone();
            // The kernel gives the length back that it made the page with.
            frame.resize(MEDIA_FRAME_BYTES, 0);
            packets.push(packet);
        }
    }
    let words = generator.words().unwrap();
    let bytes: usize = packets.iter().map(Vec::len).sum();
    assert_eq!((words[state::SENT], words[state::SENT_BYTES]), (count, bytes as u64));
    packets
}

/// RFC 791: the sum of a whole header is all ones.
fn header_sum(packet: &[u8]) -> u32 {
    let pairs = packet[14..34].chunks(2);
    let sum: u32 = pairs.map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (sum & 0xffff) + (sum >> 16)
}

fn payload(packet: &[u8]) -> (Endpoint, Endpoint, &[u8]) {
    let parsed = parse(packet, LinkType::Ethernet).expect("a frame");
    let start = usize::from(parsed.payload);
    (parsed.src, parsed.dst, &packet[start..start + usize::from(parsed.payload_len)])
}

#[test]
fn every_packet_is_sound() {
    let packets = first(&traffic(false), 2000);
    let mut kinds = HashMap::new();
    for packet in &packets {
        assert_eq!(header_sum(packet), 0xffff, "{packet:02x?}");
        let total = usize::from(u16::from_be_bytes([packet[16], packet[17]]));
        assert_eq!(total + 14, packet.len());
        let (_, dst, payload) = payload(packet);
        *kinds.entry(format!("{:?}", kind(payload))).or_insert(0) += 1;
        assert_eq!(kind(payload) == PayloadKind::Sip, dst.port == 5060, "{packet:02x?}");
    }
    assert!(kinds["Rtp"] > 1600 && kinds["Sip"] > 80 && kinds["Rtcp"] > 2, "{kinds:?}");
    assert!(kinds["Other"] > 150, "what is to be ignored: {kinds:?}");
}

/// Each flow counts for itself, at its own address, with the source of its call.
#[test]
fn media_goes_on_in_each_flow() {
    let quiet = Traffic { set_ups: 0, background: 0, ..traffic(false) };
    let mut flows: HashMap<_, Vec<_>> = HashMap::new();
    for packet in first(&quiet, 600).iter().filter(|packet| packet.len() == MEDIA_FRAME_BYTES) {
        let (src, dst, rtp) = payload(packet);
        assert_eq!(rtp[..2], [0x80, 8]);
        assert!(rtp[12..].iter().all(|&byte| byte == SILENCE), "{rtp:02x?}");
        let word = |at: usize| u32::from_be_bytes(rtp[at..at + 4].try_into().unwrap());
        let sequence = u16::from_be_bytes([rtp[2], rtp[3]]);
        flows.entry((src, dst)).or_default().push((sequence, word(4), word(8)));
    }
    assert_eq!(flows.len() as u64, 2 * CALLS);
    for slot in 0..CALLS {
        let (octet, port) = place(slot);
        let [caller, called] =
            NETWORKS.map(|[a, b, c]| Endpoint::v4([a, b, c, octet as u8], port as u16));
        for (direction, key) in [(caller, called), (called, caller)].iter().enumerate() {
            let packets = &flows[key];
            for (at, (sequence, time, source)) in packets.iter().enumerate() {
                assert_eq!((*sequence, *time), (at as u16, 160 * at as u32));
                assert_eq!(*source, ssrc(slot as u32, direction as u32));
            }
        }
    }
}

/// A dialog of seven messages, whose session is where the media of its slot goes; while it is made, the slot is silent.
#[test]
fn signalling_tells_of_the_media() {
    let packets = first(&traffic(false), 3000);
    let messages: Vec<String> = packets
        .iter()
        .filter(|packet| payload(packet).1.port == 5060)
        .map(|packet| String::from_utf8(payload(packet).2.to_vec()).expect("text"))
        .collect();
    for (change, dialog) in messages.chunks_exact(7).enumerate() {
        let starts =
            ["BYE", "SIP/2.0 200", "INVITE", "SIP/2.0 100", "SIP/2.0 180", "SIP/2.0 200", "ACK"];
        let call = format!("Call-ID: {:08x}@a.example\r\n", CALLS + change as u64);
        for (message, start) in dialog.iter().zip(starts) {
            assert!(message.starts_with(start), "{message}");
            let (head, body) = message.split_once("\r\n\r\n").expect("an empty line");
            let length = head.rsplit("Content-Length: ").next().expect("a length");
            assert_eq!(length, body.len().to_string(), "{message}");
        }
        assert!(dialog[2..].iter().all(|message| message.contains(&call)), "{dialog:#?}");
        let (octet, port) = place(slot_of_change(change as u64, CALLS));
        let media = format!("m=audio {port} RTP/AVP 8 101\r\n");
        assert!(dialog[2].contains(&format!("c=IN IP4 10.1.1.{octet}\r\n")), "{}", dialog[2]);
        assert!(dialog[5].contains(&format!("c=IN IP4 10.1.2.{octet}\r\n")), "{}", dialog[5]);
        assert!(dialog[2].contains(&media) && dialog[5].contains(&media));
    }
}

#[test]
fn a_prologue_sets_every_call_up() {
    let packets = first(&traffic(true), 5 * CALLS + 6);
    let is_sip = |packet: &&Vec<u8>| payload(packet).1.port == 5060;
    assert_eq!(packets.iter().take_while(is_sip).count() as u64, 5 * CALLS);
}

/// The product makes a call of each dialog, and a recording of each call that was answered: nothing in it is wrong.
#[test]
fn replay_makes_calls_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, data) = (folder.path().join("offered.pcap"), folder.path().join("data"));
    let traffic = Traffic { calls: 10, ..traffic(true) };
    let mut generator = Generator::load(&traffic).unwrap();
    generator.write(&capture, &traffic, 10_000).unwrap();
    let sent = sent(&generator.words().unwrap());
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("earwitness");
    assert!(
        program.is_file(),
        "{} is missing: cargo build -p earwitness --bins",
        program.display()
    );
    let output = std::process::Command::new(program)
        .arg("replay")
        .arg(&capture)
        .args(["--json", "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["packets"], sent.packets, "{summary}");
    assert_eq!(summary["unmatched_packets"], sent.background, "{summary}");
    assert_eq!(summary["stored_packets"], sent.packets - sent.background, "{summary}");
    assert_eq!(summary["sip_flaws"], serde_json::json!({}), "{summary}");
    let changes = (sent.sip - 5 * traffic.calls).div_ceil(7);
    let calls = summary["calls"].as_u64().unwrap();
    assert!((traffic.calls + changes - 1..=traffic.calls + changes).contains(&calls), "{summary}");
}
