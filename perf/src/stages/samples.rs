//! Messages and packets as they come from the wire: two proxies' worth of headers, G.711 in 20 ms.

use std::net::Ipv4Addr;

use earwitness_wire::Endpoint;

/// A packet time of 20 ms: Ethernet, IP, UDP, RTP and 160 samples.
pub const PACKET_BYTES: usize = 214;

/// Messages of a call from INVITE to the 200 of its BYE.
pub const MESSAGES_PER_CALL: usize = 6;

/// Where the caller of a call receives.
pub fn caller(call: u32) -> Endpoint {
    media(10, call)
}

/// Where the callee of a call receives.
pub fn callee(call: u32) -> Endpoint {
    media(20, call)
}

/// 20,000 ports of as many hosts as it takes.
fn media(network: u8, call: u32) -> Endpoint {
    let (host, port) = (call / 20_000, 16_384 + 2 * (call % 20_000) as u16);
    Endpoint::v4([10, network, (host >> 8) as u8, host as u8], port)
}

fn sdp(at: Endpoint) -> String {
    let (address, port) = (at.to_socket_addr().ip(), at.port);
    format!(
        "v=0\r\no=- {port} {port} IN IP4 {address}\r\ns=call\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

struct Draft<'a> {
    call: u32,
    start: &'a str,
    cseq: &'a str,
    /// The callee has answered.
    tagged: bool,
    sdp: Option<Endpoint>,
}

fn message(draft: &Draft<'_>) -> Vec<u8> {
    let Draft { call, start, cseq, tagged, sdp: at } = draft;
    let body = at.map(sdp).unwrap_or_default();
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let to_tag = if *tagged { format!(";tag=callee{call:06}") } else { String::new() };
    let branch = format!("{call:06}{}", cseq.replace(' ', ""));
    format!(
        "{start}\r\nVia: SIP/2.0/UDP 10.1.0.5:5060;branch=z9hG4bKp{branch};rport\r\n\
         Via: SIP/2.0/UDP 10.1.0.10;branch=z9hG4bKu{branch};rport=5060\r\n\
         Record-Route: <sip:10.1.0.5:5060;lr>\r\nMax-Forwards: 69\r\n\
         From: \"Party {call}\" <sip:1{call:06}@caller.example>;tag=caller{call:06}\r\n\
         To: <sip:+4930{call:06}@callee.example>{to_tag}\r\n\
         Call-ID: a35a546e0c64ddc1-{call}@caller.example\r\nCSeq: {cseq}\r\n\
         Contact: <sip:1{call:06}@10.1.0.10:5060>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER\r\n\
         Supported: replaces, timer\r\nUser-Agent: softphone 1.0\r\n\
         {content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The messages of one call, with whether the caller's side sends them.
pub fn dialog(call: u32) -> [(bool, Vec<u8>); MESSAGES_PER_CALL] {
    let invite = format!("INVITE sip:+4930{call:06}@callee.example SIP/2.0");
    let of = |start, cseq, tagged, sdp| message(&Draft { call, start, cseq, tagged, sdp });
    [
        (true, of(&invite, "1 INVITE", false, Some(caller(call)))),
        (false, of("SIP/2.0 180 Ringing", "1 INVITE", true, None)),
        (false, of("SIP/2.0 200 OK", "1 INVITE", true, Some(callee(call)))),
        (true, of("ACK sip:10.2.0.5:5060 SIP/2.0", "1 ACK", true, None)),
        (true, of("BYE sip:10.2.0.5:5060 SIP/2.0", "2 BYE", true, None)),
        (false, of("SIP/2.0 200 OK", "2 BYE", true, None)),
    ]
}

/// An Ethernet frame with a datagram of IPv4 and UDP.
pub fn frame(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend((28 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(&src.addr[12..]);
    frame.extend(&dst.addr[12..]);
    frame.extend(src.port.to_be_bytes());
    frame.extend(dst.port.to_be_bytes());
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Where both proxies speak SIP.
pub fn proxies() -> [Endpoint; 2] {
    let at = |network| Endpoint::v4(Ipv4Addr::new(10, network, 0, 5).octets(), 5060);
    [at(1), at(2)]
}

/// The frames of a call's signalling.
pub fn signalling(call: u32) -> impl Iterator<Item = Vec<u8>> {
    let [near, far] = proxies();
    dialog(call).into_iter().map(move |(by_caller, message)| match by_caller {
        true => frame(near, far, &message),
        false => frame(far, near, &message),
    })
}

/// A packet of G.711 that the callee sends to the caller (RFC 3550 section 5.1).
pub fn media_frame(call: u32, sequence: u16) -> Vec<u8> {
    let frame = frame(callee(call), caller(call), &rtp(0, sequence, 160, call, &[0x55; 160]));
    debug_assert_eq!(frame.len(), PACKET_BYTES);
    frame
}

/// One RTP packet; `ticks` is its length in units of the codec's clock.
pub fn rtp(payload_type: u8, sequence: u16, ticks: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * ticks).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}
