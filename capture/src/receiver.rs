//! A receiving thread of sources that copy: takes frames from sockets, steers them, and puts them into the rings that
//! a writing thread empties.

use std::thread;
use std::time::Duration;

use earwitness_ipc::{CaptureStats, Fault};
use earwitness_line::Producer;

use crate::af_packet::PacketSource;
use crate::af_xdp::XdpSocket;
use crate::clock::now_ns;
use crate::limits::{
    EXPIRE_INTERVAL_NS, LAST_ROUNDS_MAX, PACKET_BLOCK_RETIRE_MS, REPORT_INTERVAL_NS,
};
use crate::pace::Pace;
use crate::thread::{Content, Mailbox, Order};

/// Where frames come from.
#[derive(Debug)]
pub(crate) enum Intake {
    Packet(Box<PacketSource>),
    /// Sockets of some queues of one interface.
    Xdp(Vec<XdpSocket>),
}

/// One interface, as far as this thread serves it.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) source: u8,
    pub(crate) intake: Intake,
    pub(crate) producer: Producer,
}

#[derive(Debug)]
pub(crate) struct Receiving {
    taps: Vec<Tap>,
    sources: u8,
}

impl Receiving {
    pub(crate) fn new(taps: Vec<Tap>, sources: u8) -> Self {
        Self { taps, sources }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self, mailbox: &Mailbox) {
        let mut pace = Pace::new();
        let (mut reported_ns, mut expired_ns) = (0, 0);
        loop {
            while let Some(order) = mailbox.order() {
                if matches!(order, Order::Stop) {
                    return self.stop(mailbox);
                }
                self.take(&order, mailbox);
            }
            let now = now_ns();
            let bytes = self.receive(now);
            if now.saturating_sub(expired_ns) >= EXPIRE_INTERVAL_NS {
                expired_ns = now;
                self.taps.iter_mut().for_each(|tap| tap.producer.expire(now));
            }
            if now.saturating_sub(reported_ns) >= REPORT_INTERVAL_NS {
                reported_ns = now;
                let stats = self.stats();
                mailbox.tell(Content::Stats(stats));
            }
            pace.rest(bytes);
        }
    }

    fn receive(&mut self, now_ns: u64) -> u64 {
        let mut bytes = 0;
        for tap in &mut self.taps {
            let all = match &mut tap.intake {
                Intake::Packet(source) => {
                    let taken = source.receive(&mut tap.producer, now_ns);
                    bytes += taken.bytes;
                    taken.all
                }
                // Frames have the time at which they are taken here.
                Intake::Xdp(sockets) => {
                    for socket in sockets {
                        bytes += socket.receive(&mut tap.producer);
                    }
                    true
                }
            };
            // Datagrams may have become whole by expiry of others.
            if all {
                tap.producer.publish_all_before(now_ns);
            } else {
                tap.producer.publish();
            }
        }
        bytes
    }

    fn take(&mut self, order: &Order, mailbox: &Mailbox) {
        match order {
            Order::Command(command) => {
                self.taps.iter_mut().for_each(|tap| tap.producer.apply(command));
            }
            Order::Renew { source, index } => {
                for tap in self.taps.iter_mut().filter(|tap| tap.source == *source) {
                    let Intake::Packet(socket) = &mut tap.intake else { continue };
                    if let Err(error) = socket.renew(*index) {
                        let text =
                            format!("the interface is back; restart capture to use it: {error}");
                        mailbox.tell(Content::Fault { fault: Fault::Source, text });
                    }
                }
            }
            // The writers' affair, and `run`'s.
            Order::Door { .. } | Order::Lost(_) | Order::Stop => {}
        }
    }

    fn stats(&mut self) -> Vec<CaptureStats> {
        let mut stats = vec![CaptureStats::default(); usize::from(self.sources)];
        for tap in &mut self.taps {
            let mut own = tap.producer.stats();
            // One command changes the tables of both ends: the writer counts.
            own.verdicts_evicted = 0;
            match &mut tap.intake {
                Intake::Packet(source) => {
                    own.lost.receive_ring = source.lost();
                    own.received += own.lost.receive_ring;
                }
                Intake::Xdp(sockets) => {
                    // The program has counted what it handed over.
                    (own.received, own.received_bytes) = (0, 0);
                    for losses in sockets.iter().map(XdpSocket::losses) {
                        own.lost.fill_ring += losses.fill_ring;
                        own.lost.receive_ring += losses.receive_ring;
                    }
                }
            }
            if let Some(of) = stats.get_mut(usize::from(tap.source)) {
                of.add(&own);
            }
        }
        stats
    }

    fn stop(mut self, mailbox: &Mailbox) {
        // What the kernel hands over by now still counts; what comes later is for nobody.
        thread::sleep(2 * Duration::from_millis(PACKET_BLOCK_RETIRE_MS.into()));
        for _ in 0..LAST_ROUNDS_MAX {
            if self.receive(now_ns()) == 0 {
                break;
            }
        }
        for tap in &mut self.taps {
            tap.producer.abandon_fragments();
            tap.producer.publish();
        }
        let stats = self.stats();
        mailbox.tell_last(Content::Stopped { stats, failure: None });
    }
}
