//! What messages of several legs come to: calls, their legs and parties.

use std::net::SocketAddr;
use std::sync::Arc;

use earwitness_policy as policy;
use earwitness_voip::dialog::Seen;

use super::super::correlator::Correlation;
use super::Signalling;
use crate::call::coverage::By;
use crate::call::known::Known;
use crate::call::leg::{Evidence, Said};
use crate::call::limits::INVITES_MAX;
use crate::call::parties::{End, Together};
use crate::call::table::{CallTable, Timing};
use crate::call::{Call, LegIndex, Party};
use crate::config::{Config, RecordDefault};
use crate::control::{Command, Control, Operation, Outcome};
use crate::metrics::Metrics;
use crate::rules::Rules;

const SECOND_NS: u64 = 1_000_000_000;
const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;
const DAVE: u8 = 4;
const ERIN: u8 = 5;
const BOX: u8 = 10;

struct Scene {
    signalling: Signalling,
    table: CallTable,
    metrics: Arc<Metrics>,
    now_ns: u64,
}

impl Scene {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new());
        let mut config = Config::default();
        config.control.allow = vec!["10.0.0.0/8".to_owned()];
        let control = config.control.settings().expect("defaults are valid");
        let control = Control::new(control, Arc::clone(&metrics));
        let settings = Correlation {
            headers: vec![b"X-Session-Id".to_vec()],
            window_ns: 3 * SECOND_NS,
            confidence_min: 60,
        };
        Self {
            signalling: Signalling::new(settings, control, Arc::clone(&metrics)),
            table: CallTable::new(
                Rules::without_policies(RecordDefault::All),
                Timing::OF_TESTS,
                100,
            ),
            metrics,
            now_ns: SECOND_NS,
        }
    }

    fn see(&mut self, (from, to): (u8, u8), text: &str) {
        self.now_ns += SECOND_NS / 100;
        let host = |host| SocketAddr::from(([10, 0, 0, host], 5060));
        let seen = Seen { ts_ns: self.now_ns, src: host(from), dst: host(to) };
        let bytes = text.replace('\n', "\r\n");
        self.signalling.bytes(seen, bytes.as_bytes(), &mut std::iter::empty(), &mut self.table);
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now_ns += SECOND_NS;
            self.signalling.tick(self.now_ns, &mut self.table);
            self.table.tick(self.now_ns);
        }
    }

    fn calls(&self) -> Vec<&Call> {
        self.table.iter().collect()
    }

    fn joined(&self, by: Evidence) -> u64 {
        self.metrics.legs_joined.with_label_values(&[by.name()]).get()
    }
}

/// A message of a dialog: its first line, Call-ID, From and To (user and tag), CSeq, and what else there is.
fn message(line: &str, id: &str, (from, to): (&str, &str), cseq: &str, more: &str) -> String {
    let address = |text: &str| match text.split_once(';') {
        Some((user, tag)) => format!("<sip:{user}@h>;tag={tag}"),
        None => format!("<sip:{text}@h>"),
    };
    format!(
        "{line}\nVia: SIP/2.0/UDP h;branch=z9hG4bK{id}{cseq}\nFrom: {}\nTo: {}\nCall-ID: {id}\nCSeq: {cseq}\n{more}\n",
        address(from),
        address(to)
    )
}

fn invite(id: &str, from: &str, to: &str, more: &str) -> String {
    message(&format!("INVITE sip:{to}@h SIP/2.0"), id, (from, to), "1 INVITE", more)
}

fn ok(id: &str, from: &str, to: &str) -> String {
    message("SIP/2.0 200 OK", id, (from, to), "1 INVITE", "Contact: <sip:desk@10.0.0.2>\n")
}

/// The same message at a later hop: a proxy has a Via of its own for each (RFC 3261 section 16.6).
fn passed_on(text: &str, branch: u8) -> String {
    text.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{branch}"))
}

fn bye(id: &str, from: &str, to: &str) -> String {
    message("BYE sip:x@h SIP/2.0", id, (from, to), "9 BYE", "")
}

/// CALL-5: a call keeps its id when another one turns out to be a part of it, and the other one's row is taken back; it
/// is over with its last leg.
#[test]
fn what_turns_out_later_makes_two_calls_one() {
    let mut scene = Scene::new();
    scene.see((ALICE, BOX), &invite("one", "alice;a", "bob", ""));
    scene.see((BOX, BOB), &invite("two", "main;m", "desk", ""));
    let ids: Vec<String> = scene.calls().iter().map(|call| call.id.clone()).collect();
    assert_eq!(ids.len(), 2);
    // Each answer names the same session.
    let session = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\n";
    let answer = |id, from, to| message("SIP/2.0 200 OK", id, (from, to), "1 INVITE", session);
    scene.see((BOB, BOX), &answer("two", "main;m", "desk;d"));
    scene.see((BOX, ALICE), &answer("one", "alice;a", "bob;b"));
    assert_eq!(scene.joined(Evidence::SessionId), 1);
    assert_eq!(scene.table.take_superseded(), ids[1..]);
    let calls = scene.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0].id, calls[0].legs.len()), (&ids[0], 2));
    // As if it had been known from the beginning.
    let parties = calls[0].parties();
    let named = |known: &Together| {
        let address = |end| calls[0].address(end).map(str::to_owned);
        (address(known.caller), address(known.callee), known.until_ns)
    };
    let [alice, desk] = ["alice@h", "desk@h"].map(|name| Some(name.to_owned()));
    assert_eq!(parties.iter().map(named).collect::<Vec<_>>(), [(alice, desk, None)]);
    scene.see((BOB, BOX), &bye("two", "desk;d", "main;m"));
    assert!(scene.calls()[0].ended_ns.is_none());
    scene.see((BOX, ALICE), &bye("one", "bob;b", "alice;a"));
    let calls = scene.calls();
    assert_eq!(calls[0].end_reason.as_deref(), Some("bye_callee"));
    assert_eq!(calls[0].ended_ns, Some(scene.now_ns));
}

/// POL-9, POL-10: who the parties are now, and what is said of them.
#[test]
fn current_parties_follow_a_transfer() {
    let mut scene = Scene::new();
    let more = "Contact: <sip:alice@10.0.0.1>\nP-Asserted-Identity: <sip:+4930111@h>, <tel:+4930112>\nDiversion: <sip:desk@h>\n";
    scene.see((ALICE, BOB), &invite("one", "alice;a", "bob", more));
    let end = |leg, party| End { leg: LegIndex(leg), party };
    let now = scene.calls()[0].current_parties();
    assert_eq!((now.caller, now.callee), (end(0, Party::Caller), end(0, Party::Callee)));
    let call = scene.calls()[0].clone();
    let said =
        |said| call.invites.iter().next().map(|i| i.said(said, Party::Caller).collect::<Vec<_>>());
    assert_eq!(said(Said::PAssertedIdentity).unwrap(), ["+4930111@h", "+4930112"]);
    assert_eq!(said(Said::Diversion).unwrap(), ["desk@h"]);
    assert_eq!(call.address(now.callee), Some("bob@h"));
    scene.see((BOB, ALICE), &ok("one", "alice;a", "bob;b"));
    let contact = |call: &Call| {
        call.identities(now.callee).map(|id| id.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(contact(scene.calls()[0]), ["desk@10.0.0.2"]);
    let refer = message(
        "REFER sip:x@h SIP/2.0",
        "one",
        ("bob;b", "alice;a"),
        "5 REFER",
        "Refer-To: <sip:carol@h>\n",
    );
    scene.see((BOB, ALICE), &refer);
    scene.see((BOB, ALICE), &bye("one", "bob;b", "alice;a"));
    // The call is not over: who was asked may call.
    scene.wait(5);
    assert!(scene.calls()[0].ended_ns.is_none());
    scene.see((ALICE, CAROL), &invite("two", "alice;x", "carol", ""));
    scene.see((CAROL, ALICE), &ok("two", "alice;x", "carol;c"));
    let calls = scene.calls();
    assert_eq!((calls.len(), calls[0].legs.len()), (1, 2));
    let now = calls[0].current_parties();
    let (caller, callee) = (calls[0].address(now.caller), calls[0].address(now.callee));
    assert_eq!((caller, callee), (Some("alice@h"), Some("carol@h")));
    assert_eq!(calls[0].parties().len(), 2);
}

/// CALL-5: behind a proxy, who was asked to call is not who the request was sent to; nor does its INVITE say by whom it was
/// asked. Another phone that calls the same target was not asked.
#[test]
fn a_transfer_through_a_proxy() {
    let mut scene = Scene::new();
    let call = invite("one", "alice;a", "bob", "");
    scene.see((ALICE, BOX), &call);
    scene.see((BOX, BOB), &passed_on(&call, 1));
    let answer = ok("one", "alice;a", "bob;b");
    scene.see((BOB, BOX), &passed_on(&answer, 1));
    scene.see((BOX, ALICE), &answer);
    let target = "Refer-To: <sip:carol@h>\n";
    let refer = message("REFER sip:x@h SIP/2.0", "one", ("alice;a", "bob;b"), "5 REFER", target);
    scene.see((ALICE, BOX), &refer);
    scene.see((BOX, BOB), &passed_on(&refer, 1));
    scene.see((DAVE, BOX), &invite("other", "dave;x", "carol", ""));
    scene.see((BOB, BOX), &invite("two", "bob;y", "carol", ""));
    assert_eq!(scene.joined(Evidence::Refer), 1);
    let calls: Vec<(&str, usize)> =
        scene.calls().iter().map(|call| (call.call_id.as_str(), call.legs.len())).collect();
    assert_eq!(calls, [("one", 2), ("other", 1)]);
}

/// Alice's call through a box, whose callee gives it to Carol.
fn transferred_behind_a_box(scene: &mut Scene) {
    scene.see((ALICE, BOX), &invite("one", "alice;a", "bob", ""));
    scene.see((BOX, BOB), &invite("two", "alice;m", "bob", ""));
    scene.see((BOB, BOX), &ok("two", "alice;m", "bob;b"));
    scene.see((BOX, ALICE), &ok("one", "alice;a", "bob;n"));
    scene.see((BOB, BOX), &refer_to_carol("two", "bob;b", "alice;m"));
}

fn refer_to_carol(id: &str, from: &str, to: &str) -> String {
    let target = "Refer-To: <sip:carol@h>\n";
    message("REFER sip:x@h SIP/2.0", id, (from, to), "5 REFER", target)
}

/// CALL-5: while a box calls the target of a transfer, others call it through the same box, by its number or by that of a
/// queue: what the box sends there for them is the other side of their own calls.
#[test]
fn strangers_call_the_target_of_a_transfer() {
    let mut scene = Scene::new();
    transferred_behind_a_box(&mut scene);
    scene.see((BOX, CAROL), &invite("three", "alice;o", "carol", ""));
    scene.see((DAVE, BOX), &invite("four", "dave;d", "carol", ""));
    scene.see((BOX, CAROL), &invite("five", "dave;p", "carol", ""));
    scene.see((ERIN, BOX), &invite("six", "erin;e", "queue", ""));
    scene.see((BOX, CAROL), &invite("seven", "erin;q", "carol", ""));
    let calls: Vec<(&str, usize)> =
        scene.calls().iter().map(|call| (call.call_id.as_str(), call.legs.len())).collect();
    assert_eq!(calls, [("one", 3), ("four", 2), ("six", 2)]);
    assert_eq!(scene.joined(Evidence::Refer), 1);
}

/// CALL-5: Referred-By of somebody else is of another transfer to the same target.
#[test]
fn another_transfer_to_the_same_target() {
    let mut scene = Scene::new();
    transferred_behind_a_box(&mut scene);
    let by = |who: &str| format!("Referred-By: <sip:{who}@h>\n");
    scene.see((ERIN, CAROL), &invite("three", "erin;e", "carol", &by("dave")));
    scene.see((ALICE, CAROL), &invite("four", "alice;o", "carol", &by("bob")));
    let calls: Vec<(&str, usize)> =
        scene.calls().iter().map(|call| (call.call_id.as_str(), call.legs.len())).collect();
    assert_eq!(calls, [("one", 3), ("three", 1)]);
}

/// CALL-5: two calls are transferred to one target at a time, by a box that calls it for both.
#[test]
fn two_transfers_to_the_same_target() {
    let mut scene = Scene::new();
    transferred_behind_a_box(&mut scene);
    scene.see((DAVE, BOX), &invite("three", "dave;d", "erin", ""));
    scene.see((BOX, ERIN), &invite("four", "dave;m", "erin", ""));
    scene.see((ERIN, BOX), &ok("four", "dave;m", "erin;e"));
    scene.see((ERIN, BOX), &refer_to_carol("four", "erin;e", "dave;m"));
    scene.see((BOX, CAROL), &invite("five", "alice;o", "carol", ""));
    scene.see((BOX, CAROL), &invite("six", "dave;p", "carol", ""));
    let last = |call: &Call| call.legs.last().map(|leg| leg.call_id.clone()).unwrap_or_default();
    assert_eq!(scene.calls().into_iter().map(last).collect::<Vec<_>>(), ["five", "six"]);
    assert_eq!(scene.joined(Evidence::Refer), 2);
}

/// CALL-5, POL-10: a box passes the REFER on, and then the INVITE that it asked for: one conversation with the target, to
/// which the call was transferred.
#[test]
fn a_transfer_that_a_box_passes_on() {
    let mut scene = Scene::new();
    transferred_behind_a_box(&mut scene);
    scene.see((BOX, ALICE), &refer_to_carol("one", "bob;n", "alice;a"));
    scene.see((ALICE, BOX), &invite("three", "alice;o", "carol", ""));
    scene.see((BOX, CAROL), &invite("four", "alice;p", "carol", ""));
    scene.see((CAROL, BOX), &ok("four", "alice;p", "carol;c"));
    scene.see((BOX, ALICE), &ok("three", "alice;o", "carol;d"));
    let calls = scene.calls();
    assert_eq!((calls.len(), calls[0].legs.len(), calls[0].parties().len()), (1, 4, 2));
    let by =
        Known::of(calls[0]).ask(|facts| facts.callee.transferred_by.map(|by| by.text.to_owned()));
    assert_eq!(by.as_deref(), Some("bob@h"));
}

/// POL-1: what a proxy alone says: who diverted the call, and who the caller is that withholds it. Where a caller says who
/// it is, a main number that is shown to others in its place is not believed.
#[test]
fn what_is_said_past_a_proxy() {
    let mut scene = Scene::new();
    let fields = "CSeq: 1 INVITE\nP-Asserted-Identity: <sip:main@h>\nDiversion: <sip:desk@h>\n";
    for (id, from) in [("one", "anonymous;a"), ("two", "%2B4930111;b")] {
        let call = invite(id, from, "bob", "");
        scene.see((ALICE, BOX), &call);
        scene.see((BOX, BOB), &passed_on(&call, 1).replace("CSeq: 1 INVITE\n", fields));
    }
    let said = |call: &Call, said| {
        let invite = call.invites.iter().next().expect("a call has an INVITE");
        invite.said(said, Party::Caller).map(str::to_owned).collect::<Vec<_>>()
    };
    let calls = scene.calls();
    let told = |said_by| [said(calls[0], said_by), said(calls[1], said_by)];
    assert_eq!(told(Said::PAssertedIdentity), [vec!["main@h"], vec![]]);
    assert_eq!(told(Said::Diversion), [["desk@h"], ["desk@h"]]);
    // RFC 3261 section 19.1.4: an escaped character is that character.
    assert_eq!(calls[1].from.as_deref(), Some("+4930111@h"));
}

/// CALL-5: an INVITE that a proxy sends to one agent after the other names the queue; who rings, and who answers, is known by
/// what the proxy asked for there.
#[test]
fn the_agents_of_a_proxy_have_names() {
    let mut scene = Scene::new();
    let call = invite("one", "alice;a", "queue", "");
    let to = |agent: &str, branch| {
        passed_on(&call, branch).replace("INVITE sip:queue@h", &format!("INVITE sip:{agent}@h"))
    };
    let reply = |line: &str, tag: &str, branch| {
        let contact = "Contact: <sip:desk@10.0.0.2>\n";
        passed_on(&message(line, "one", ("alice;a", tag), "1 INVITE", contact), branch)
    };
    scene.see((ALICE, BOX), &call);
    scene.see((BOX, BOB), &to("bob", 1));
    scene.see((BOB, BOX), &reply("SIP/2.0 486 Busy", "queue;b", 1));
    scene.see((BOX, CAROL), &to("carol", 2));
    scene.see((CAROL, BOX), &reply("SIP/2.0 180 Ringing", "queue;c", 2));
    scene.see((BOX, DAVE), &to("dave", 3));
    scene.see((DAVE, BOX), &reply("SIP/2.0 200 OK", "queue;d", 3));
    scene.see((BOX, ALICE), &ok("one", "alice;a", "queue;d"));
    let calls = scene.calls();
    let names = |leg| calls[0].name(End { leg: LegIndex(leg), party: Party::Callee });
    assert_eq!([names(0), names(1)], ["carol@h", "dave@h"].map(Some), "a refusal is no leg");
    let now = calls[0].current_parties();
    assert_eq!(calls[0].name(now.callee), Some("dave@h"));
    assert_eq!(calls[0].address(now.callee), Some("queue@h"));
    assert_eq!(calls[0].name(now.caller), Some("alice@h"));
}

/// POL-1: of the agents whom a proxy asked for, only who answers is the party, though all of them are registered.
#[test]
fn who_refused_is_no_party() {
    let mut scene = Scene::new();
    for (agent, phone, host) in [("robert", "bob", BOB), ("david", "dave", DAVE)] {
        let contact = format!("Contact: <sip:{phone}@10.0.0.{host}>;expires=600\n");
        let text = |line| message(line, agent, (agent, agent), "1 REGISTER", &contact);
        scene.see((host, BOX), &text("REGISTER sip:h SIP/2.0"));
        scene.see((BOX, host), &text("SIP/2.0 200 OK"));
    }
    let call = invite("one", "alice;a", "queue", "");
    let to = |phone: &str, branch| {
        passed_on(&call, branch).replace("INVITE sip:queue@h", &format!("INVITE sip:{phone}@h"))
    };
    let busy = message("SIP/2.0 486 Busy", "one", ("alice;a", "queue;b"), "1 INVITE", "");
    scene.see((ALICE, BOX), &call);
    scene.see((BOX, BOB), &to("bob", 1));
    scene.see((BOB, BOX), &passed_on(&busy, 1));
    scene.see((BOX, DAVE), &to("dave", 2));
    scene.see((DAVE, BOX), &passed_on(&ok("one", "alice;a", "queue;d"), 2));
    scene.see((BOX, ALICE), &ok("one", "alice;a", "queue;d"));
    let calls = scene.calls();
    let registered: Vec<String> = Known::of(calls[0]).ask(|facts| {
        let of_callee = facts.callee.identities.iter();
        let known = of_callee.filter(|known| known.by == policy::By::Registration);
        known.map(|known| known.text.to_owned()).collect()
    });
    assert_eq!(registered, ["david@h"]);
}

/// CALL-1, CALL-5: a transfer that does not come about keeps the call open for a while, and it ended when it ended.
#[test]
fn a_transfer_that_never_comes() {
    let mut scene = Scene::new();
    scene.see((ALICE, BOB), &invite("one", "alice;a", "bob", ""));
    scene.see((BOB, ALICE), &ok("one", "alice;a", "bob;b"));
    let refer = message(
        "REFER sip:x@h SIP/2.0",
        "one",
        ("bob;b", "alice;a"),
        "5 REFER",
        "Refer-To: <sip:carol@h>\n",
    );
    scene.see((BOB, ALICE), &refer);
    scene.see((BOB, ALICE), &bye("one", "bob;b", "alice;a"));
    let over_ns = scene.now_ns;
    scene.wait(8);
    assert_eq!(scene.calls().len(), 1);
    scene.wait(6);
    let finished = scene.table.next_finished().expect("the call is finished");
    assert!(scene.table.next_finished().is_none());
    assert_eq!(finished.ended_ns, Some(over_ns));
    assert_eq!(finished.end_reason.as_deref(), Some("bye_callee"));
    scene.signalling.forget(&finished);
    assert!(scene.signalling.seats.is_empty());
}

/// CALL-5: another order of messages, as lanes of several cores give it, makes the same call.
#[test]
fn the_order_of_lanes_does_not_matter() {
    let messages = [
        ((ALICE, BOX), invite("one", "4930111;a", "4930222", "")),
        ((BOX, BOB), invite("two", "4930111;m", "4930222", "")),
        ((BOB, BOX), ok("two", "4930111;m", "4930222;d")),
        ((BOX, ALICE), ok("one", "4930111;a", "4930222;b")),
    ];
    for order in [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2], [0, 2, 3, 1]] {
        let mut scene = Scene::new();
        for at in order {
            let (hop, text) = &messages[at];
            scene.see(*hop, text);
        }
        let calls = scene.calls();
        let joined = scene.joined(Evidence::Numbers) + scene.joined(Evidence::Calling);
        assert_eq!((calls.len(), joined), (1, 1), "{order:?}");
        assert_eq!(calls[0].call_id, "one");
    }
}

/// CALL-5: whose number nobody knows belongs to nobody's call.
#[test]
fn anonymous_callers_are_not_joined() {
    let mut scene = Scene::new();
    scene.see((ALICE, BOX), &invite("one", "anonymous;a", "100", ""));
    scene.see((BOX, BOB), &invite("two", "anonymous;m", "200", ""));
    assert_eq!(scene.calls().len(), 2);
}

/// S10: a call that is as large as a call may be gets no more legs, and two that would be larger together stay two: each
/// says so, and it is counted.
#[test]
fn what_is_too_large_stays_apart() {
    let header = |name: &str| format!("X-Session-Id: {name}\n");
    let mut scene = Scene::new();
    for number in 0..=INVITES_MAX {
        let (id, from) = (format!("a{number}"), format!("alice{number};a"));
        scene.see((ALICE, BOX), &invite(&id, &from, "bob", &header("large")));
    }
    assert_eq!(scene.calls().len(), 2);
    assert_eq!(scene.metrics.legs_apart.get(), 1);
    let told = |call: &Call, what: &str| {
        call.trace
            .clone()
            .into_lines()
            .any(|line| line.what == "limit" && line.detail.contains(what))
    };
    assert!(scene.calls().iter().any(|call| told(call, "as large as a call may be")));

    let mut scene = Scene::new();
    for (name, from, to) in [("one", ALICE, BOX), ("two", CAROL, BOB)] {
        for number in 0..INVITES_MAX {
            let (id, user) = (format!("{name}{number}"), format!("{name}{number};a"));
            scene.see((from, to), &invite(&id, &user, "x", &header(name)));
        }
    }
    let session = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\n";
    for (name, from, to) in [("one", BOX, ALICE), ("two", BOB, CAROL)] {
        let (id, user) = (format!("{name}0"), format!("{name}0;a"));
        scene.see((from, to), &message("SIP/2.0 200 OK", &id, (&user, "x;b"), "1 INVITE", session));
    }
    let calls = scene.calls();
    assert_eq!((calls.len(), scene.metrics.legs_apart.get()), (2, 1));
    assert!(calls.iter().all(|call| told(call, "together they are too large for one call")));
}

/// POL-8: a feature code of which some keys were pressed before the call became a part of another, and the rest after.
#[test]
fn a_code_that_is_half_pressed_goes_on() {
    let mut scene = Scene::new();
    scene.see((ALICE, BOX), &invite("one", "alice;a", "bob", ""));
    scene.see((BOX, BOB), &invite("two", "main;m", "desk", ""));
    let session = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\n";
    let answer = |id, from, to| message("SIP/2.0 200 OK", id, (from, to), "1 INVITE", session);
    let press = |scene: &mut Scene, cseq: u32, key: char| {
        let more = format!(
            "Content-Type: application/dtmf-relay\nContent-Length: 24\n\nSignal={key}\nDuration=100"
        );
        let cseq = format!("{cseq} INFO");
        scene.see(
            (BOX, BOB),
            &message("INFO sip:x@h SIP/2.0", "two", ("main;m", "desk;d"), &cseq, &more),
        );
    };
    scene.see((BOB, BOX), &answer("two", "main;m", "desk;d"));
    press(&mut scene, 2, '*');
    press(&mut scene, 3, '4');
    scene.see((BOX, ALICE), &answer("one", "alice;a", "bob;b"));
    assert_eq!(scene.joined(Evidence::SessionId), 1);
    assert!(!scene.calls()[0].coverage.is_paused());
    press(&mut scene, 4, '8');
    assert!(scene.calls()[0].coverage.is_paused(), "{:?}", scene.calls()[0].trace);
}

/// POL-8: what a box between both legs passes on is one command: a code whose keys both carry, a word that is said on both.
#[test]
fn what_both_legs_carry_is_asked_for_once() {
    let mut scene = Scene::new();
    let session = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\n";
    scene.see((ALICE, BOX), &invite("one", "alice;a", "bob", session));
    scene.see((BOX, BOB), &invite("two", "main;m", "desk", session));
    scene.see((BOB, BOX), &ok("two", "main;m", "desk;d"));
    scene.see((BOX, ALICE), &ok("one", "alice;a", "bob;b"));
    assert_eq!(scene.calls().len(), 1);
    let said = |scene: &mut Scene, method: &str, cseq: u32, more: &str| {
        let (line, cseq) = (format!("{method} sip:x@h SIP/2.0"), format!("{cseq} {method}"));
        scene.see((ALICE, BOX), &message(&line, "one", ("alice;a", "bob;b"), &cseq, more));
        scene.see((BOX, BOB), &message(&line, "two", ("main;m", "desk;d"), &cseq, more));
    };
    for (cseq, key) in (2..).zip("7*48".chars()) {
        let more = format!(
            "Content-Type: application/dtmf-relay\nContent-Length: 24\n\nSignal={key}\nDuration=001"
        );
        said(&mut scene, "INFO", cseq, &more);
    }
    let call = scene.calls()[0];
    let digits: String = call.digits.iter().map(|digit| digit.digit).collect();
    assert!(call.coverage.is_paused() && digits == "7", "{digits}: {:?}", call.trace);
    scene.wait(2);
    let toggle = "Content-Type: application/x-media-control+json\nContent-Length: 22\n\n{\"operation\":\"toggle\"}";
    said(&mut scene, "MESSAGE", 10, toggle);
    assert!(!scene.calls()[0].coverage.is_open(), "{:?}", scene.calls()[0].trace);
    said(&mut scene, "MESSAGE", 11, toggle);
    assert!(scene.calls()[0].coverage.is_open(), "{:?}", scene.calls()[0].trace);
    // However much is refused meanwhile, what is sent again is known.
    for number in 0..1_100 {
        let (line, id) = ("MESSAGE sip:x@h SIP/2.0", format!("refused{number}"));
        scene.see((CAROL, BOX), &message(line, &id, ("carol;c", "x"), "1 MESSAGE", toggle));
    }
    said(&mut scene, "MESSAGE", 11, toggle);
    assert!(scene.calls()[0].coverage.is_open(), "{:?}", scene.calls()[0].trace);
}

/// POL-8: a call that has become a part of another is still found by the ids that it had.
#[test]
fn commands_find_what_became_a_part() {
    let mut scene = Scene::new();
    scene.see((ALICE, BOX), &invite("one", "alice;a", "bob", ""));
    scene.see((BOX, BOB), &invite("two", "main;m", "desk", ""));
    let gone = scene.calls()[1].id.clone();
    let session = "Session-ID: ab30317f1a784dc48ff824d0d3715d86\n";
    for (hop, id, from, to) in
        [((BOB, BOX), "two", "main;m", "desk;d"), ((BOX, ALICE), "one", "alice;a", "bob;b")]
    {
        scene.see(hop, &message("SIP/2.0 200 OK", id, (from, to), "1 INVITE", session));
    }
    let now = scene.calls()[0].id.clone();
    for (id, operation) in
        [(&*gone, Operation::Pause), ("two", Operation::Resume), ("one", Operation::Pause)]
    {
        let (side, who, from, party) = (None, None, None, None);
        let command =
            Command { operation, at_ns: scene.now_ns, by: By::Socket, party, side, who, from };
        let obeyed = scene.signalling.command(id, &command, &mut scene.table);
        assert_eq!((obeyed.outcome, obeyed.calls), (Outcome::Done, vec![now.clone()]), "{id}");
    }
}
