//! The receiving side: parse, put fragments together, steer, push.
//!
//! Signalling goes to its own ring and is published at once; media goes to the delay line and is
//! published in batches. Everything else ends here, and is counted by cause (CAP-8).

use earwitness_ipc::{CaptureStats, Command};
use earwitness_wire::{Parsed, Reject, Steer, decide, parse_bytes};

use crate::{
    frame::Frame,
    held::Hint,
    limits::DATAGRAM_NESTING_MAX,
    options::SteeringOptions,
    reassembly::{Datagram, Reassembly, ReassemblyStats},
    ring::{Meta, PushError, Sender},
    tables::SteeringTables,
};

/// Steers frames into two rings. One receiving thread owns it (S8).
#[derive(Debug)]
pub struct Producer {
    signalling: Sender,
    media: Sender,
    tables: SteeringTables,
    wire: earwitness_wire::Options,
    reassembly: Reassembly,
    /// Whole datagrams are built here, those of each depth in their own.
    whole: [Vec<u8>; DATAGRAM_NESTING_MAX as usize],
    stats: CaptureStats,
}

impl Producer {
    #[must_use]
    pub fn new(signalling: Sender, media: Sender, options: &SteeringOptions) -> Self {
        Self {
            signalling,
            media,
            tables: SteeringTables::new(&options.sip_ports),
            wire: options.wire,
            reassembly: Reassembly::new(),
            whole: std::array::from_fn(|_| Vec::new()),
            stats: CaptureStats::default(),
        }
    }

    /// Takes a received frame, and says where it went; a fragment that makes its datagram whole goes
    /// where that goes. Media is seen by the consumer after [`Producer::publish`].
    #[inline]
    pub fn offer(&mut self, frame: &Frame<'_>) -> Steer {
        self.stats.received += 1;
        self.stats.received_bytes += u64::from(frame.wire_len);
        self.steer(frame)
    }

    /// Takes a frame that another stage counted as received: a fragment that the kernel passed on.
    pub fn steer(&mut self, frame: &Frame<'_>) -> Steer {
        match parse_bytes(frame.bytes, frame.link, &self.wire) {
            Ok(parsed) => self.place(frame, &parsed, 1, 0),
            Err(reject) => self.reject(reject, 1),
        }
    }

    /// Shows the consumer everything pushed so far.
    #[inline]
    pub fn publish(&mut self) {
        self.signalling.publish();
        self.media.publish();
    }

    /// Shows it, and says that it is everything that came before `now_ns`.
    #[inline]
    pub fn publish_all_before(&mut self, now_ns: u64) {
        self.publish();
        self.signalling.set_heard(now_ns);
        self.media.set_heard(now_ns);
    }

    /// Lets the media ring begin anew where it is empty; see [`Sender::rewind`].
    pub fn rewind(&mut self, room: u64) {
        self.media.rewind(room);
    }

    /// Takes over what a command says of steering.
    pub fn apply(&mut self, command: &Command) {
        self.tables.apply(command);
    }

    /// Gives up datagrams whose rest did not come in time.
    pub fn expire(&mut self, now_ns: u64) {
        self.reassembly.expire(now_ns);
    }

    /// Gives up every datagram that is not whole: the input has ended.
    pub fn abandon_fragments(&mut self) {
        self.reassembly.abandon();
    }

    /// What became of the frames that did not enter a ring. `held` counts fragments that wait.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        let fragments = self.reassembly.stats();
        let mut stats = self.stats.clone();
        stats.held = fragments.held;
        stats.lost.reassembly = fragments.lost;
        stats.verdicts_evicted = self.tables.verdicts_evicted();
        stats
    }

    /// What became of fragments.
    #[must_use]
    pub fn reassembly(&self) -> ReassemblyStats {
        self.reassembly.stats()
    }

    /// `packets`: how many the frame was put together from. `depth`: how often.
    #[inline]
    fn place(&mut self, frame: &Frame<'_>, parsed: &Parsed, packets: u16, depth: u32) -> Steer {
        let start = usize::from(parsed.payload);
        let payload = frame.bytes.get(start..start + usize::from(parsed.payload_len));
        let decision = decide(parsed, payload.unwrap_or_default(), &self.tables);
        if decision.learn {
            self.tables.learn(parsed.src, parsed.dst);
        }
        match decision.steer {
            Steer::Media(_) => self.push(frame, parsed, packets, Hint::Media),
            Steer::Signalling => self.push(frame, parsed, packets, Hint::Signalling),
            Steer::Fragment => return self.assemble(frame, parsed, packets, depth),
            Steer::Ignored => self.stats.ignored += u64::from(packets),
            Steer::Unmatched => self.stats.unmatched += u64::from(packets),
        }
        decision.steer
    }

    #[inline]
    fn push(&mut self, frame: &Frame<'_>, parsed: &Parsed, packets: u16, hint: Hint) {
        let meta = Meta {
            ts_ns: frame.ts_ns,
            wire_len: frame.wire_len,
            l3: parsed.l3,
            payload: parsed.payload,
            payload_len: parsed.payload_len,
            packets,
            link: frame.link as u8,
            source: frame.source,
            hint,
        };
        let pushed = match hint {
            Hint::Media => self.media.push(&meta, frame.bytes),
            Hint::Signalling | Hint::Fragment => {
                let pushed = self.signalling.push(&meta, frame.bytes);
                self.signalling.publish();
                pushed
            }
        };
        match pushed {
            Ok(()) => {}
            Err(PushError::Full) => self.stats.lost.core_ring += u64::from(packets),
            Err(PushError::TooLarge) => self.stats.lost.oversize += u64::from(packets),
        }
    }

    #[cold]
    fn assemble(&mut self, frame: &Frame<'_>, parsed: &Parsed, packets: u16, depth: u32) -> Steer {
        if depth == DATAGRAM_NESTING_MAX {
            return self.reject(Reject::TooManyTunnels, packets);
        }
        // Taken out, because what is found in the datagram may be a fragment of another one.
        let mut whole = std::mem::take(&mut self.whole[depth as usize]);
        let datagram = self.reassembly.offer(frame, parsed, packets, &mut whole);
        let steer = match datagram {
            None => Steer::Fragment,
            Some(Datagram { frame, packets }) => {
                match parse_bytes(frame.bytes, frame.link, &self.wire) {
                    Ok(parsed) => self.place(&frame, &parsed, packets, depth + 1),
                    Err(reject) => self.reject(reject, packets),
                }
            }
        };
        self.whole[depth as usize] = whole;
        steer
    }

    #[cold]
    fn reject(&mut self, cause: Reject, packets: u16) -> Steer {
        let packets = u64::from(packets);
        self.stats.unmatched += packets;
        self.stats.rejected.set(cause, self.stats.rejected.of(cause) + packets);
        Steer::Unmatched
    }
}
