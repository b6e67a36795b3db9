//! Threads and what they say to each other. Each owns its tables; verdicts reach it as messages (S8), and all queues
//! have bounds (S10).

use std::io;
use std::sync::{Arc, Barrier};
use std::thread::Builder;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use earwitness_ipc::{CaptureStats, Command, FlowSeen, LostBy};
use earwitness_line::Door;
use mio::Waker;

use crate::affinity;
use crate::limits::{ORDERS_MAX, REPORTS_MAX};

/// From the main thread to those that receive and write.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Command(Arc<Command>),
    /// Whether somebody decides, and whether somebody fetches announcements.
    Door {
        door: Door,
        announce: bool,
    },
    /// Lost before the lines, since the start: for the log.
    Lost(LostBy),
    /// The interface of a source was made anew, with this number.
    Renew {
        source: u8,
        index: u32,
    },
    Stop,
}

/// From a thread to the main thread.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) thread: usize,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Flows(Vec<FlowSeen>),
    /// Since the start, by source.
    Stats(Vec<CaptureStats>),
    /// The last ones, and what went wrong at the end.
    Stopped {
        stats: Vec<CaptureStats>,
        failure: Option<String>,
    },
    /// Masked media with keys in it, perhaps.
    Overheard(Vec<earwitness_ipc::Overheard>),
    /// Payloads are overwritten.
    Erased(Vec<earwitness_ipc::Erased>),
    /// Something that the control plane should know.
    Fault {
        fault: earwitness_ipc::Fault,
        text: String,
    },
}

/// A thread's end of its queues.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) thread: usize,
    orders: Receiver<Order>,
    reports: Sender<Report>,
    waker: Arc<Waker>,
}

impl Mailbox {
    /// The next order, if there is one. That main is gone means stop.
    pub(crate) fn order(&self) -> Option<Order> {
        match self.orders.try_recv() {
            Ok(order) => Some(order),
            Err(crossbeam_channel::TryRecvError::Empty) => None,
            Err(crossbeam_channel::TryRecvError::Disconnected) => Some(Order::Stop),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.reports.is_full()
    }

    /// Tells main, if there is room: statistics come again, and flows are only taken when there is.
    pub(crate) fn tell(&self, content: Content) {
        let wake = !matches!(content, Content::Stats(_));
        let report = Report { thread: self.thread, content };
        if let Err(TrySendError::Disconnected(_) | TrySendError::Full(_)) =
            self.reports.try_send(report)
        {
            return;
        }
        if wake {
            // Main looks every tick in any case.
            let _ = self.waker.wake();
        }
    }

    /// Tells main, and waits for room: for what is said once.
    pub(crate) fn tell_last(&self, content: Content) {
        // Main is gone: there is nobody to tell.
        let _ = self.reports.send(Report { thread: self.thread, content });
        let _ = self.waker.wake();
    }
}

/// The main thread's view of the others.
#[derive(Debug)]
pub(crate) struct Crew {
    reports: Receiver<Report>,
    to_main: Sender<Report>,
    waker: Arc<Waker>,
    hands: Vec<Hand>,
    starting: Vec<Starting>,
}

/// A thread that takes orders. It says when it ends; nobody joins it.
#[derive(Debug)]
struct Hand {
    orders: Sender<Order>,
}

/// A thread that will be started with the others.
struct Starting {
    name: String,
    core: Option<usize>,
    work: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Starting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starting").field("name", &self.name).field("core", &self.core).finish()
    }
}

impl Crew {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        let (to_main, reports) = bounded(REPORTS_MAX);
        Self { reports, to_main, waker, hands: Vec::new(), starting: Vec::new() }
    }

    /// Plans a thread; gives its number.
    pub(crate) fn plan(
        &mut self,
        name: String,
        core: Option<usize>,
        work: impl FnOnce(Mailbox) + Send + 'static,
    ) -> usize {
        let (orders, inbox) = bounded(ORDERS_MAX);
        let thread = self.hands.len();
        let mailbox = Mailbox {
            thread,
            orders: inbox,
            reports: self.to_main.clone(),
            waker: Arc::clone(&self.waker),
        };
        self.hands.push(Hand { orders });
        self.starting.push(Starting { name, core, work: Box::new(move || work(mailbox)) });
        thread
    }

    /// Starts what was planned. All are on their cores, and have made every call that starting takes, when this
    /// returns; they work once `go` is waited for, too.
    pub(crate) fn start(&mut self, go: &Arc<Barrier>) -> io::Result<()> {
        let ready = Arc::new(Barrier::new(self.starting.len() + 1));
        for starting in self.starting.drain(..) {
            let (ready, go) = (Arc::clone(&ready), Arc::clone(go));
            let Starting { name, core, work } = starting;
            let body = move || {
                if let Some(core) = core
                    && let Err(error) = affinity::pin(core)
                {
                    tracing::warn!(core, %error, "thread is not pinned");
                }
                ready.wait();
                go.wait();
                work();
            };
            Builder::new().name(name).spawn(body)?;
        }
        ready.wait();
        Ok(())
    }

    /// How many threads were planned.
    pub(crate) fn len(&self) -> usize {
        self.hands.len()
    }

    /// Whether each thread takes another order.
    pub(crate) fn has_room(&self) -> bool {
        self.hands.iter().all(|hand| !hand.orders.is_full())
    }

    /// Gives an order to one thread; false if it has no room, or has ended.
    pub(crate) fn order(&self, thread: usize, order: Order) -> bool {
        self.hands.get(thread).is_some_and(|hand| hand.orders.try_send(order).is_ok())
    }

    /// Gives an order to all threads. Who asks first whether there [is room](Crew::has_room) loses none.
    pub(crate) fn order_all(&self, order: &Order) {
        for hand in &self.hands {
            // A thread that has ended needs no order.
            let _ = hand.orders.try_send(order.clone());
        }
    }

    pub(crate) fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    /// A way to report for a thread that takes no orders.
    pub(crate) fn reporter(&self) -> (Sender<Report>, Arc<Waker>) {
        (self.to_main.clone(), Arc::clone(&self.waker))
    }
}
