//! A wire to tap: a veth pair in a namespace, which goes when it is dropped.
#![expect(unsafe_code, reason = "raw sockets and namespaces have no safe interface in std")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The end that capture taps.
pub const TAP: &str = "tap0";
/// The end that frames are sent into.
pub const FAR: &str = "far0";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Whether the tap's driver runs XDP programs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Native,
    /// Only the network stack does: veth refuses where the far end sends by more queues than the tap receives by.
    Generic,
}

pub struct Wire {
    pub namespace: String,
    driver: Driver,
    sender: OwnedFd,
}

impl Wire {
    pub fn new() -> Self {
        Self::with(Driver::Native)
    }

    pub fn with(driver: Driver) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("ewcap-{}-{number}", std::process::id());
        run(&["ip", "netns", "add", &namespace]);
        // Nothing but what the test sends: no neighbour discovery.
        let quiet =
            "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
        run(&["ip", "netns", "exec", &namespace, "sh", "-c", quiet]);
        make_links(&namespace, driver);
        let sender = sender(&namespace);
        Self { namespace, driver, sender }
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the kernel reads `frame.len()` bytes.
        let sent =
            unsafe { libc::send(self.sender.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }

    pub fn send_all<'f>(&self, frames: impl IntoIterator<Item = &'f Vec<u8>>) -> u64 {
        frames.into_iter().map(|frame| self.send(frame)).count() as u64
    }

    /// Takes the pair away, and makes it anew.
    pub fn replace(&mut self) {
        ip(&self.namespace, &["link", "del", TAP]);
        make_links(&self.namespace, self.driver);
        self.sender = sender(&self.namespace);
    }

    pub fn set(&self, end: &str, state: &str) {
        ip(&self.namespace, &["link", "set", end, state]);
    }

    /// Runs something on a thread of its own in the namespace.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        inside(&self.namespace, body)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
    }
}

fn make_links(namespace: &str, driver: Driver) {
    let queues = match driver {
        Driver::Native => "1",
        Driver::Generic => "2",
    };
    // Without a number of its own for the tap, the kernel uses one queue of either end.
    let tap = ["link", "add", TAP, "numrxqueues", "1", "numtxqueues", "1", "type", "veth"];
    let far = ["peer", "name", FAR, "numtxqueues", queues];
    ip(namespace, &[&tap[..], &far].concat());
    for end in [TAP, FAR] {
        ip(namespace, &["link", "set", end, "up"]);
    }
}

fn ip(namespace: &str, arguments: &[&str]) {
    run(&[&["ip", "-n", namespace][..], arguments].concat());
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("iproute2 is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} (are you root?): {said}");
}

fn inside<T: Send>(namespace: &str, body: impl FnOnce() -> T + Send) -> T {
    let file = File::open(format!("/run/netns/{namespace}")).expect("the namespace is there");
    let work = || {
        // SAFETY: moves this thread, which ends below, to another namespace.
        let moved = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(moved, 0, "{}", std::io::Error::last_os_error());
        body()
    };
    thread::scope(|scope| scope.spawn(work).join().expect("did not panic"))
}

fn sender(namespace: &str) -> OwnedFd {
    inside(namespace, || {
        let name = CString::new(FAR).expect("no zero within");
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the kernel just made it, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the structure is numbers only, for which zeros are valid.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        // SAFETY: `name` ends with a zero.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
        // SAFETY: `address` lives through the call, and is as long as said.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
        socket
    })
}
