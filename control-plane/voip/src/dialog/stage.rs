//! The stage for scenarios: messages of one call, a tap that sees them, and what is said in short.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::{Class, DialogEvent, Dialogs, EventKind, MediaState, Seen, Timeouts};
use crate::sip;

pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// One message and where it is seen.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) src: u8,
    pub(super) dst: u8,
    pub(super) text: String,
}

/// `10.0.0.n:5060`.
pub(super) fn at(host: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), 5060))
}

/// An SDP of `10.0.0.host` with this port.
pub(super) fn sdp(host: u8, port: u16) -> String {
    sdp_with(host, port, "sendrecv")
}

pub(super) fn sdp_with(host: u8, port: u16, direction: &str) -> String {
    format!(
        "v=0\r\no=- {host} {port} IN IP4 10.0.0.{host}\r\ns=-\r\nc=IN IP4 10.0.0.{host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    )
}

/// A message of call `1`: tags `a` (caller) and whatever `to` says.
pub(super) struct Draft {
    start: String,
    from: String,
    to: String,
    cseq: String,
    branch: String,
    headers: String,
    body: String,
    content_type: &'static str,
}

impl Draft {
    pub(super) fn request(method: &str, cseq: u32) -> Self {
        Self {
            start: format!("{method} sip:bob@example.com SIP/2.0"),
            from: "<sip:alice@example.com>;tag=a".into(),
            to: "<sip:bob@example.com>".into(),
            cseq: format!("{cseq} {method}"),
            branch: format!("z9hG4bK-{method}-{cseq}"),
            headers: String::new(),
            body: String::new(),
            content_type: "application/sdp",
        }
    }

    pub(super) fn response(code: u16, cseq: u32, method: &str) -> Self {
        let start = format!("SIP/2.0 {code} Reason");
        Self { start, ..Self::request(method, cseq) }
    }

    /// To has the callee's tag.
    pub(super) fn tag(mut self, tag: &str) -> Self {
        self.to = format!("<sip:bob@example.com>;tag={tag}");
        self
    }

    /// The request of this transaction came from the callee.
    pub(super) fn by_callee(mut self, tag: &str) -> Self {
        self.from = format!("<sip:bob@example.com>;tag={tag}");
        self.to = "<sip:alice@example.com>;tag=a".into();
        self.branch += "-callee";
        self
    }

    pub(super) fn branch(mut self, branch: &str) -> Self {
        self.branch = format!("z9hG4bK-{branch}");
        self
    }

    pub(super) fn header(mut self, line: &str) -> Self {
        let _ = write!(self.headers, "{line}\r\n");
        self
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    pub(super) fn seen(self, src: u8, dst: u8) -> Line {
        let text = format!(
            "{}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch={}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: 1\r\nCSeq: {}\r\n\
             {}Content-Type: {}\r\nContent-Length: {}\r\n\r\n{}",
            self.start,
            self.branch,
            self.from,
            self.to,
            self.cseq,
            self.headers,
            self.content_type,
            self.body.len(),
            self.body
        );
        Line { src, dst, text }
    }
}

pub(super) const CALLER: u8 = 1;
pub(super) const CALLEE: u8 = 2;
pub(super) const PROXY: u8 = 9;

pub(super) fn from_caller(draft: Draft) -> Line {
    draft.seen(CALLER, CALLEE)
}

pub(super) fn from_callee(draft: Draft) -> Line {
    draft.seen(CALLEE, CALLER)
}

pub(super) struct Tap {
    pub(super) dialogs: Dialogs,
    pub(super) events: Vec<DialogEvent>,
    pub(super) now_ns: u64,
}

impl Tap {
    pub(super) fn new() -> Self {
        Self { dialogs: Dialogs::new(Timeouts::default()), events: Vec::new(), now_ns: 0 }
    }

    pub(super) fn see(&mut self, line: &Line) -> Class {
        self.now_ns += SECOND_NS;
        let message = sip::parse(line.text.as_bytes()).expect("a good message");
        assert!(message.flaws().is_empty(), "{:?}\n{}", message.flaws(), line.text);
        let seen = Seen { ts_ns: self.now_ns, src: at(line.src), dst: at(line.dst) };
        self.dialogs.observe(seen, &message, &mut self.events).class
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now_ns += seconds * SECOND_NS;
        self.dialogs.tick(self.now_ns, &mut self.events);
    }

    /// The events so far, in short; they are taken.
    pub(super) fn said(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| short(&event)).collect()
    }
}

pub(super) fn run(lines: &[Line]) -> Vec<String> {
    let mut tap = Tap::new();
    for line in lines {
        tap.see(line);
    }
    tap.said()
}

/// `fork: what`.
pub(super) fn short(event: &DialogEvent) -> String {
    let what = match &event.kind {
        EventKind::MediaChanged { path, media } => format!("media {} {}", path.0, describe(media)),
        EventKind::Created { origin, hop } => {
            format!("created {origin:?} {}>{}", last(hop.caller()), last(hop.callee()))
        }
        EventKind::Ended { reason, by, leg_over } => {
            let by = by.map_or(String::new(), |by| format!(" by {by:?}"));
            format!("ended {reason:?}{by}{}", if *leg_over { ", leg over" } else { "" })
        }
        other => format!("{other:?}"),
    };
    format!("{}: {what}", event.dialog.fork)
}

pub(super) fn last(addr: SocketAddr) -> u8 {
    match addr {
        SocketAddr::V4(v4) => v4.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// `caller|callee` with ports of the first media in force, pending ones with `?`.
pub(super) fn describe(media: &MediaState) -> String {
    let port = |session: &Option<std::sync::Arc<crate::sdp::Session>>| {
        session.as_ref().map_or("-".to_owned(), |session| session.media[0].port.to_string())
    };
    let pending = |session: &Option<std::sync::Arc<crate::sdp::Session>>| {
        session.as_ref().map_or(String::new(), |session| format!("?{}", session.media[0].port))
    };
    format!(
        "{}{}|{}{}",
        port(&media.caller),
        pending(&media.caller_pending),
        port(&media.callee),
        pending(&media.callee_pending)
    )
}

pub(super) fn invite() -> Line {
    from_caller(Draft::request("INVITE", 1).body(sdp(1, 1000)))
}

pub(super) fn answer() -> Line {
    from_callee(Draft::response(200, 1, "INVITE").tag("b").body(sdp(2, 2000)))
}

pub(super) fn ack() -> Line {
    from_caller(Draft::request("ACK", 1).tag("b").branch("ack"))
}

/// An answered call.
pub(super) fn answered() -> Vec<Line> {
    vec![invite(), answer(), ack()]
}

pub(super) fn after_answer(more: Vec<Line>) -> Vec<String> {
    let mut tap = Tap::new();
    for line in answered() {
        tap.see(&line);
    }
    tap.said();
    for line in &more {
        tap.see(line);
    }
    tap.said()
}

/// A call through a proxy that is seen on both sides of it; `relay` says whether it rewrites media.
pub(super) fn proxied(relay: bool) -> Vec<Line> {
    let (inner, outer) =
        if relay { (sdp(9, 9000), sdp(9, 9002)) } else { (sdp(1, 1000), sdp(2, 2000)) };
    vec![
        Draft::request("INVITE", 1).branch("a").body(sdp(1, 1000)).seen(CALLER, PROXY),
        Draft::request("INVITE", 1).branch("p").body(inner).seen(PROXY, CALLEE),
        Draft::response(180, 1, "INVITE").branch("p").tag("b").seen(CALLEE, PROXY),
        Draft::response(180, 1, "INVITE").branch("a").tag("b").seen(PROXY, CALLER),
        Draft::response(200, 1, "INVITE")
            .branch("p")
            .tag("b")
            .body(sdp(2, 2000))
            .seen(CALLEE, PROXY),
        Draft::response(200, 1, "INVITE").branch("a").tag("b").body(outer).seen(PROXY, CALLER),
        Draft::request("ACK", 1).branch("k").tag("b").seen(CALLER, PROXY),
        Draft::request("ACK", 1).branch("kp").tag("b").seen(PROXY, CALLEE),
        Draft::request("BYE", 3).by_callee("b").seen(CALLEE, PROXY),
        Draft::request("BYE", 3).by_callee("b").seen(PROXY, CALLER),
    ]
}
