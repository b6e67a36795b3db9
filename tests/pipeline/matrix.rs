//! Every encapsulation × SIP transport × codec, and each of them with every trouble (CAP-5, CAP-7, CALL-1 to
//! CALL-4, REC-2): one capture file for each encapsulation, each call's audio against what was said.

use std::collections::HashSet;

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::encapsulation::{Encapsulation, Family};
use earwitness_fixtures::pcap::{ByteOrder, Format, Link};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::sdp::Rtcp;
use earwitness_fixtures::sip::Style;
use earwitness_fixtures::spec::{
    CallSpec, Digits, Hold, Quiet, SCENE_START_NS, Scenario, Transport, Trouble,
};
use earwitness_fixtures::truth::Truth;
use earwitness_tests::program::{Container, Replayed};

use crate::verdict::assert_right;

const TALK_MS: u32 = 2_400;
const SPACING_MS: u64 = 13;
/// From the BYE of a call to the INVITE of the one that takes its ports over.
const REUSE_AFTER_MS: u64 = 40;

/// What is unusual about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Case {
    Trouble(Trouble),
    Scenario(Scenario),
    /// The next call takes the ports over at once.
    PortReuse,
}

fn cases() -> Vec<Case> {
    let troubles = Trouble::ALL.into_iter().map(Case::Trouble);
    let scenarios = Scenario::ALL.into_iter().filter(|s| *s != Scenario::Basic).map(Case::Scenario);
    troubles.chain(scenarios).chain([Case::PortReuse]).collect()
}

/// What cannot be known by anyone: a connection whose beginning was not seen.
fn possible(case: Case, transport: Transport) -> bool {
    let late = matches!(case, Case::Scenario(Scenario::InProgress | Scenario::AnswerOnly));
    !(late && transport.is_stream())
}

/// The case of a cell of the cube: strides make each pair meet, which a test below proves.
fn case_of(cases: &[Case], e: usize, t: usize, c: usize) -> Case {
    let case = cases[(7 * e + 11 * t + c) % cases.len()];
    if possible(case, Transport::ALL[t]) { case } else { Case::Trouble(Trouble::None) }
}

fn specs(e: usize) -> Vec<CallSpec> {
    let cases = cases();
    let mut specs = Vec::new();
    for t in 0..Transport::ALL.len() {
        for c in 0..Codec::ALL.len() {
            let index = specs.len() as u32;
            let case = case_of(&cases, e, t, c);
            let spec = spec(index, case, e, t, c);
            if case == Case::PortReuse {
                let ended_ns = Truth::of(&spec).ended_ns.expect("a basic call ends");
                let next = CallSpec::new(index + 1);
                specs.push(spec.clone());
                specs.push(CallSpec {
                    index: next.index,
                    seed: next.seed,
                    start_ms: (ended_ns - SCENE_START_NS) / 1_000_000 + REUSE_AFTER_MS,
                    ports_of: Some(index),
                    ..spec
                });
            } else {
                specs.push(spec);
            }
        }
    }
    specs
}

fn spec(index: u32, case: Case, e: usize, t: usize, c: usize) -> CallSpec {
    let turn = e + t + c;
    let codec = Codec::ALL[c];
    let basic = CallSpec::new(index);
    let transport = Transport::ALL[t];
    let styles = [Style::Canonical, Style::Compact, Style::Folded, Style::BareLf];
    let plain = case == Case::Trouble(Trouble::None);
    let packet_times = codec.packet_times();
    let spec = CallSpec {
        seed: basic.seed + 10_000 * e as u64,
        start_ms: u64::from(index) * SPACING_MS,
        talk_ms: TALK_MS,
        scenario: if let Case::Scenario(scenario) = case { scenario } else { Scenario::Basic },
        trouble: if let Case::Trouble(trouble) = case { trouble } else { Trouble::None },
        transport,
        style: if transport == Transport::Udp { styles[turn % 4] } else { styles[turn % 3] },
        packet_ms: packet_times[turn % packet_times.len()],
        family: [Family::V4, Family::V6][turn % 2],
        rtcp: [Rtcp::NextPort, Rtcp::Mux, Rtcp::None][turn % 3],
        quiet: if plain && codec.voiced() && codec.clock_hz() == 8_000 {
            Quiet::ComfortNoise
        } else {
            Quiet::Coded
        },
        digits: match case {
            Case::Trouble(Trouble::Duplicate | Trouble::Reorder(_)) => Digits::Events("5#".into()),
            Case::Scenario(Scenario::Challenged) => Digits::Info("19".into()),
            _ => Digits::None,
        },
        ..basic.codec(codec)
    };
    CallSpec { packet_ms: packet_times[turn % packet_times.len()], ..spec }
        .inside(Encapsulation::ALL[e])
}

/// Every kind of capture file has its turn; raw IP has no place for tags and labels.
fn container(encapsulation: Encapsulation, e: usize) -> Container {
    let links = [Link::Ethernet, Link::Sll, Link::Sll2, Link::Raw];
    let link = match (links[e % 4], encapsulation) {
        (Link::Raw, Encapsulation::Vlan | Encapsulation::QinQ | Encapsulation::Mpls(_)) => {
            Link::Sll
        }
        (link, _) => link,
    };
    Container {
        format: [Format::PcapNanos, Format::PcapMicros, Format::PcapNg][e % 3],
        order: [ByteOrder::Little, ByteOrder::Big][e % 2],
        link,
    }
}

fn check(e: usize) {
    let encapsulation = Encapsulation::ALL[e];
    let scene = Scene::new(specs(e));
    let replayed = Replayed::of(scene.frames(), container(encapsulation, e), None);
    assert_right(&format!("{encapsulation:?}"), &scene.truths(), &replayed);
}

/// The strides of `case_of` leave no pair out.
#[test]
fn every_pair_meets() {
    let cases = cases();
    let mut met = HashSet::new();
    for e in 0..Encapsulation::ALL.len() {
        for t in 0..Transport::ALL.len() {
            for c in 0..Codec::ALL.len() {
                let case = case_of(&cases, e, t, c);
                met.extend([(case, 'e', e), (case, 't', t), (case, 'c', c)]);
            }
        }
    }
    for case in cases {
        let missing = |kind: char, count: usize| {
            (0..count).filter(|place| !met.contains(&(case, kind, *place))).collect::<Vec<_>>()
        };
        let impossible: Vec<usize> =
            (0..Transport::ALL.len()).filter(|t| !possible(case, Transport::ALL[*t])).collect();
        assert!(
            missing('e', Encapsulation::ALL.len()).is_empty(),
            "{case:?} without encapsulation"
        );
        assert_eq!(missing('t', Transport::ALL.len()), impossible, "{case:?} without transport");
        assert!(missing('c', Codec::ALL.len()).is_empty(), "{case:?} without codec");
    }
}

/// Holds are among the cases, each in its way.
#[test]
fn holds_are_cases() {
    for hold in [Hold::SendOnly, Hold::Inactive, Hold::ZeroAddress] {
        assert!(cases().contains(&Case::Scenario(Scenario::Held(hold))));
    }
}

macro_rules! encapsulations {
    ($($name:ident: $place:literal,)*) => {
        $(
            /// CAP-1, CAP-4, CAP-5, CAP-7, CALL-1 to CALL-4, CALL-8, REC-1, REC-2.
            #[test]
            fn $name() {
                check($place);
            }
        )*

        /// Each encapsulation has its test.
        #[test]
        fn every_encapsulation_is_tested() {
            assert_eq!([$($place),*].len(), Encapsulation::ALL.len());
        }
    };
}

encapsulations! {
    plain: 0,
    vlan: 1,
    qinq: 2,
    mpls_one_label: 3,
    mpls_two_labels: 4,
    mpls_three_labels: 5,
    ipv4_options: 6,
    ipv6_extensions: 7,
    gre: 8,
    gre_key_sequence: 9,
    erspan_1: 10,
    erspan_2: 11,
    erspan_3: 12,
    erspan_3_platform: 13,
    vxlan: 14,
    vlan_in_vxlan: 15,
    ipv4_in_ipv4: 16,
    ipv6_in_ipv4: 17,
    ipv4_in_ipv6: 18,
}
