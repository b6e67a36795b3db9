//! The program in the kernel, given one frame at a time by `BPF_PROG_TEST_RUN`; and what user space says of it.

use std::cell::RefCell;
use std::collections::HashMap;

use aya::programs::{TestRun, TestRunOptions};
use earwitness_abi::counter::reject_index;
use earwitness_abi::limits::FRAME_BYTES_MAX;
use earwitness_abi::record::FLAG_TRUNCATED;
use earwitness_abi::{COUNTERS, Class, Connection, Counter, FlowKey, RecordHeader};
use earwitness_capture::bpf_ring::BpfRing;
use earwitness_capture::program::{Output, Program, ProgramCounters, ProgramOptions};
use earwitness_line::DelayLine;
use earwitness_wire::{
    Endpoint, LinkType, Options, Reject, Steer, Tables, Verdict, decide, parse_bytes,
};

pub(crate) const SIP_PORT: u16 = 5060;
pub(crate) const VXLAN_PORTS: [u16; 2] = [4789, 8472];
pub(crate) const RINGS: Output = Output::Rings { media_bytes: 1 << 20, signalling_bytes: 1 << 20 };

/// What became of a frame: the counter of its exit, and what stands in a ring, without time and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) exit: usize,
    pub(crate) learned: bool,
    pub(crate) record: Option<(RecordHeader, Vec<u8>)>,
}

/// The program, with the tables that user space keeps beside those of the kernel.
pub(crate) struct Kernel {
    pub(crate) program: Program,
    rings: Vec<BpfRing>,
    pub(crate) tables: UserTables,
}

#[derive(Default)]
pub(crate) struct UserTables {
    verdicts: HashMap<FlowKey, Verdict>,
    connections: RefCell<HashMap<Connection, (Endpoint, Endpoint)>>,
}

impl Tables for UserTables {
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        self.verdicts.get(&FlowKey::new(dst)).copied()
    }

    fn ignores(&self) -> bool {
        self.verdicts.values().any(|verdict| *verdict == Verdict::Ignore)
    }

    fn sip_port(&self, port: u16) -> bool {
        port == SIP_PORT
    }

    fn tcp_signalling(&self, src: &Endpoint, dst: &Endpoint) -> bool {
        self.connections.borrow().contains_key(&Connection::new(src, dst))
    }
}

/// Small tables: a test has few flows.
pub(crate) fn options(output: Output) -> ProgramOptions {
    ProgramOptions {
        verdicts_max: 1024,
        tcp_connections_max: 1024,
        sip_ports: vec![SIP_PORT],
        vxlan_ports: VXLAN_PORTS.to_vec(),
        ..ProgramOptions::new(output)
    }
}

impl Kernel {
    /// Loads the program: needs root, or CAP_BPF and CAP_NET_ADMIN.
    pub(crate) fn load(options: &ProgramOptions) -> Self {
        let program = Program::load(options).unwrap_or_else(|error| {
            panic!("needs root and kernel 6.1: {error}: {}", chain(&error))
        });
        let maps = program.rings().iter().flat_map(|cpu| [&cpu.media, &cpu.signalling]);
        let rings = maps.map(|maps| BpfRing::map(maps, 0).unwrap()).collect();
        Self { program, rings, tables: UserTables::default() }
    }

    pub(crate) fn set_verdict(&mut self, dst: Endpoint, verdict: Verdict) {
        self.program.set_verdict(&dst, verdict).unwrap();
        self.tables.verdicts.insert(FlowKey::new(&dst), verdict);
    }

    pub(crate) fn counters(&self) -> ProgramCounters {
        self.program.counters().unwrap()
    }

    /// Runs the program on a frame; gives its action.
    pub(crate) fn run(&self, frame: &[u8]) -> u32 {
        self.run_with(frame, None, 1).0
    }

    /// With a context, and repeatedly: the action, and the mean duration in nanoseconds.
    pub(crate) fn run_with(&self, frame: &[u8], ctx: Option<&[u8]>, repeat: u32) -> (u32, u128) {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = ctx;
        options.repeat = repeat;
        let result = self.program.xdp().unwrap().test_run(options).unwrap();
        (result.return_value, result.duration.as_nanos())
    }

    /// What the rings hold; they are empty then.
    pub(crate) fn records(&mut self) -> Vec<(RecordHeader, Vec<u8>)> {
        let mut records = Vec::new();
        for ring in &mut self.rings {
            ring.refresh();
            let mut at = ring.released();
            while let Some((header, frame, next)) = ring.record(at) {
                records.push((*header, frame.to_vec()));
                at = next;
            }
            ring.release(at);
        }
        records
    }

    /// What the kernel says of a frame. Panics if the frame took no exit, or more than one.
    pub(crate) fn answer(&mut self, frame: &[u8]) -> Answer {
        self.answer_with(frame, None)
    }

    pub(crate) fn answer_with(&mut self, frame: &[u8], ctx: Option<&[u8]>) -> Answer {
        let before = self.counters();
        self.run_with(frame, ctx, 1);
        let after = self.counters();
        let moved = |counter| after.get(counter) - before.get(counter);
        assert_eq!(moved(Counter::Received), 1);
        assert_eq!(moved(Counter::ReceivedBytes), frame.len() as u64);
        assert_eq!(after.exits() - before.exits(), 1, "one exit");
        let is_exit = |at: &usize| match Counter::ALL.get(*at) {
            Some(counter) => counter.is_exit() && moved(*counter) == 1,
            None => {
                let reject = Reject::ALL[*at - Counter::COUNT];
                after.rejected(reject) > before.rejected(reject)
            }
        };
        let exit = (0..COUNTERS).find(is_exit).unwrap();
        let mut records = self.records();
        assert!(records.len() <= 1, "one record");
        let record = records.pop().map(|(mut header, frame)| {
            assert_ne!(header.ts_ns, 0);
            (header.ts_ns, header.interface, header.queue) = (0, 0, 0);
            (header, frame)
        });
        Answer { exit, learned: moved(Counter::Learned) == 1, record }
    }

    /// What user space says of the same frame, with the same tables.
    pub(crate) fn expected(&self, frame: &[u8]) -> Answer {
        let [a, b] = VXLAN_PORTS;
        let options = Options { vxlan_ports: [a, b, 0, 0] };
        let parsed = match parse_bytes(frame, LinkType::Ethernet, &options) {
            Ok(parsed) => parsed,
            Err(reject) => {
                return Answer { exit: reject_index(reject), learned: false, record: None };
            }
        };
        let payload = &frame[usize::from(parsed.payload)..][..usize::from(parsed.payload_len)];
        let decision = decide(&parsed, payload, &self.tables);
        if decision.learn {
            let connection = Connection::new(&parsed.src, &parsed.dst);
            self.tables.connections.borrow_mut().insert(connection, (parsed.src, parsed.dst));
        }
        let (exit, class, verdict) = match decision.steer {
            Steer::Signalling => (Counter::Signalling, Class::Signalling, Verdict::Undecided),
            Steer::Fragment => (Counter::Fragment, Class::Fragment, Verdict::Undecided),
            Steer::Media(verdict) => (Counter::Media, Class::Media, verdict),
            Steer::Ignored | Steer::Unmatched => {
                let ignored = decision.steer == Steer::Ignored;
                let exit = if ignored { Counter::Ignored } else { Counter::Unmatched };
                return Answer { exit: exit as usize, learned: false, record: None };
            }
        };
        let cap_len = frame.len().min(FRAME_BYTES_MAX as usize);
        let header = RecordHeader {
            wire_len: frame.len() as u32,
            cap_len: cap_len as u32,
            flow_hash: parsed.flow_hash(),
            l3: parsed.l3,
            payload: parsed.payload,
            payload_len: parsed.payload_len,
            src_port: parsed.src.port,
            dst_port: parsed.dst.port,
            class: class as u8,
            verdict: verdict as u8,
            kind: decision.kind as u8,
            flags: if cap_len < frame.len() { FLAG_TRUNCATED } else { 0 },
            ..RecordHeader::default()
        };
        let record = Some((header, frame[..cap_len].to_vec()));
        Answer { exit: exit as usize, learned: decision.learn, record }
    }

    /// Kernel and user space must say the same.
    pub(crate) fn check(&mut self, name: &str, frame: &[u8]) {
        let expected = self.expected(frame);
        let answer = self.answer(frame);
        assert_eq!(answer, expected, "{name}: {frame:02x?}");
    }

    /// Both forget what they have learned.
    pub(crate) fn forget_connections(&mut self) {
        for (one, other) in std::mem::take(self.tables.connections.get_mut()).values() {
            assert!(self.program.forget_tcp(one, other).unwrap(), "the kernel learned it, too");
        }
    }
}

/// Whole chain of an error, shortened: the verifier is talkative.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}{source}: ");
        next = source.source();
    }
    text.chars().take(4000).collect()
}
