//! The door as capture serves it: one control plane at a time, which may go and come back.
//!
//! Undecided media waits without a limit of time while nobody is there, and for `hold` after somebody came: a control
//! plane that starts anew gets as long to say its verdicts as one that was there.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use earwitness_ipc::{
    CaptureDoor, Command, DoorError, Event, Fault, LaneInfo, Listener, SourceInfo, VERSION,
};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

/// What capture says of itself.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// Of the configuration, where the command line gave it.
    pub(crate) config_digest: Option<[u8; 32]>,
    pub(crate) sources: Vec<SourceInfo>,
    pub(crate) lanes: Vec<LaneInfo>,
}

#[derive(Debug)]
pub(crate) struct Doorkeeper {
    listener: Listener,
    token: Token,
    guest: Option<Guest>,
    introduction: Introduction,
    hold: Duration,
    dropped: u64,
}

#[derive(Debug)]
struct Guest {
    door: CaptureDoor,
    /// When its `Hello` came.
    greeted: Option<Instant>,
}

impl Doorkeeper {
    pub(crate) fn new(
        listener: Listener,
        token: Token,
        introduction: Introduction,
        hold: Duration,
    ) -> Self {
        Self { listener, token, guest: None, introduction, hold, dropped: 0 }
    }

    /// Lets in who knocks, unless somebody is in; true if somebody entered.
    pub(crate) fn admit(&mut self, registry: &Registry) -> bool {
        loop {
            let door = match self.listener.accept() {
                Ok(Some(door)) => door,
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(%error, "door");
                    return false;
                }
            };
            if self.guest.is_some() {
                tracing::warn!("a second control plane was turned away");
                continue;
            }
            let fd = door.as_raw_fd();
            let interest = Interest::READABLE | Interest::WRITABLE;
            match registry.register(&mut SourceFd(&fd), self.token, interest) {
                Ok(()) => {
                    self.guest = Some(Guest { door, greeted: None });
                    return true;
                }
                Err(error) => tracing::error!(%error, "door"),
            }
        }
    }

    /// The next command, if there is one. `Hello` is answered here.
    pub(crate) fn receive(&mut self, registry: &Registry) -> Option<Command> {
        loop {
            let guest = self.guest.as_mut()?;
            match guest.door.receive() {
                Ok(Some(Command::Hello { config_digest, .. })) => {
                    guest.greeted = Some(Instant::now());
                    self.greet(config_digest);
                }
                Ok(Some(command)) => return Some(command),
                Ok(None) => return None,
                Err(DoorError::Message(error)) => {
                    self.send(Event::error(Fault::Malformed, &error.to_string()));
                }
                Err(error) => {
                    if let DoorError::Version { theirs } = error {
                        let text = format!("capture speaks version {VERSION}, not {theirs}");
                        self.send(Event::error(Fault::Version, &text));
                    }
                    self.part(registry, &error);
                }
            }
        }
    }

    /// Sends what was queued before.
    pub(crate) fn flush(&mut self, registry: &Registry) {
        let flushed = self.guest.as_mut().map(|guest| guest.door.flush());
        if let Some(Err(error)) = flushed {
            self.part(registry, &error);
        }
    }

    /// Tells the control plane, if one is there. What it does not fetch is given up; true if it was taken.
    pub(crate) fn send(&mut self, event: Event) -> bool {
        let Some(guest) = &mut self.guest else { return false };
        match guest.door.send(event) {
            Ok(()) => true,
            Err(error) => {
                // That it has gone shows when it is read.
                self.dropped += 1;
                tracing::debug!(%error, dropped = self.dropped, "event given up");
                false
            }
        }
    }

    /// Somebody said hello, and fetches announcements.
    pub(crate) fn is_greeted(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.greeted.is_some())
    }

    /// Somebody has had the time to decide.
    pub(crate) fn decides(&self) -> bool {
        let greeted = self.guest.as_ref().and_then(|guest| guest.greeted);
        greeted.is_some_and(|since| since.elapsed() >= self.hold)
    }

    fn greet(&mut self, theirs: [u8; 32]) {
        let Introduction { config_digest, sources, lanes } = &self.introduction;
        let differs = config_digest.is_some_and(|ours| ours != theirs);
        let hello = Event::Hello {
            version: VERSION,
            pid: std::process::id(),
            config_digest: config_digest.unwrap_or_default(),
            sources: sources.clone(),
            lanes: lanes.clone(),
        };
        self.send(hello);
        if differs {
            let text = "the control plane runs with another configuration: restart capture";
            self.send(Event::error(Fault::Config, text));
        }
        tracing::info!("a control plane connected");
    }

    fn part(&mut self, registry: &Registry, why: &DoorError) {
        let Some(guest) = self.guest.take() else { return };
        // The descriptor is closed next in any case.
        let _ = registry.deregister(&mut SourceFd(&guest.door.as_raw_fd()));
        tracing::info!(%why, "the control plane went; undecided media waits");
    }
}
