//! A network namespace with a tap, and who sends into it. It goes when it is dropped.

use std::process::Command;

/// One end of a veth pair is the tap, in `name`; the other end, `span`, is in a namespace of its own.
#[derive(Debug)]
pub struct Space {
    pub name: String,
    sender: String,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip is installed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {complaint}; these tests need root");
}

impl Space {
    /// Makes both namespaces; `tag` tells tests of one process apart.
    pub fn new(tag: &str) -> Self {
        let name = format!("ewt{}{tag}", std::process::id());
        let space = Self { sender: format!("{name}s"), name };
        let (tap, sender) = (&space.name, &space.sender);
        ip(&format!("netns add {tap}"));
        ip(&format!("netns add {sender}"));
        ip(&format!("link add span netns {sender} type veth peer name tap0 netns {tap}"));
        for (space, interface) in [(tap, "tap0"), (tap, "lo"), (sender, "span")] {
            ip(&format!("-n {space} link set {interface} up"));
        }
        space
    }

    /// The cable is pulled.
    pub fn tap_down(&self) {
        ip(&format!("-n {} link set tap0 down", self.name));
    }

    /// The program, to be started beside the tap.
    pub fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` on a thread of its own that is in the sender's namespace.
    pub fn sending<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        within(&self.sender, work)
    }

    /// The same beside the tap.
    pub fn inside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        within(&self.name, work)
    }
}

fn within<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let path = format!("/run/netns/{namespace}");
    std::thread::spawn(move || {
        let file = std::fs::File::open(&path).expect("ip made the namespace");
        // SAFETY: setns takes an open descriptor and moves this thread alone; it touches no memory.
        let entered =
            unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&file), libc::CLONE_NEWNET) };
        let error = std::io::Error::last_os_error();
        assert_eq!(entered, 0, "the namespace can be entered: {error}");
        work()
    })
}

impl Drop for Space {
    fn drop(&mut self) {
        for name in [&self.sender, &self.name] {
            // Nothing is to be done about a namespace that does not go.
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}
