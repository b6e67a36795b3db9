//! The worker's cell holds: each forbidden thing is tried by a process that has locked itself in
//! with the same function. Without the usual harness, whose threads are not part of the cell.

use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use earwitness_codec::sandbox;

const ATTEMPT: &str = "SANDBOX_ATTEMPT";

fn main() {
    match std::env::var(ATTEMPT) {
        Ok(attempt) => inmate(&attempt),
        Err(_) => {
            escapes_end_the_process();
            honest_work_goes_on();
            println!("sandbox: the cell holds");
        }
    }
}

/// What the process that locked itself in does.
fn inmate(attempt: &str) {
    let held = File::open("/dev/null").expect("open");
    sandbox::enter().expect("locked in");
    match attempt {
        "nothing" => {}
        "compute" => {
            let memory: Vec<u64> = (0..4 << 20).collect();
            assert!(memory.iter().sum::<u64>() > 0);
        }
        "open" => drop(File::open("/etc/passwd")),
        "socket" => drop(UdpSocket::bind("127.0.0.1:0")),
        "exec" => drop(Command::new("/bin/true").status()),
        "thread" => drop(std::thread::Builder::new().spawn(|| {})),
        "sleep" => std::thread::sleep(std::time::Duration::from_millis(1)),
        "descriptor" => {
            // Closed by the cell: the write fails, and nothing else happens.
            assert!((&held).write(b"x").is_err());
            std::mem::forget(held);
        }
        "memory" => {
            let mut memory: Vec<u8> = Vec::new();
            assert!(memory.try_reserve_exact(1 << 30).is_err());
        }
        other => panic!("unknown attempt {other}"),
    }
    std::process::exit(7);
}

/// How an inmate that tries something ends.
fn end_of(attempt: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().expect("this test"))
        .env(ATTEMPT, attempt)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("inmate")
}

// S9, DESIGN idea 4: no file, no network, no program, no thread: the attempt ends the process.
fn escapes_end_the_process() {
    for attempt in ["open", "socket", "exec", "thread", "sleep"] {
        let status = end_of(attempt);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{attempt}: {status}");
    }
}

// DESIGN idea 4: inside the cell there is room to compute, in bounds, with nothing left open.
fn honest_work_goes_on() {
    for attempt in ["nothing", "compute", "descriptor", "memory"] {
        assert_eq!(end_of(attempt).code(), Some(7), "{attempt}");
    }
}
