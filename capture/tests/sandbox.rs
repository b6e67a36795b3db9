//! The cage, tried from within: a child enters it as capture does, and then does what it must not.
#![expect(unsafe_code, reason = "forks, and makes the calls that are forbidden")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;
use std::{io, thread};

use earwitness_capture::sandbox;

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
}

const DONE: i32 = 42;

/// Runs `body` in a child that is caged, with a thread that was there before the filter. Needs root: dropping
/// capabilities takes having them.
fn caged(body: impl FnOnce(&Path)) -> End {
    let folder = tempfile::tempdir().unwrap();
    let (segments, run) = (folder.path().join("segments"), folder.path().join("run"));
    for dir in [&segments, &run] {
        fs::create_dir(dir).unwrap();
    }
    // SAFETY: the child only uses what the parent does not hold a lock of: it has its own copy of the allocator, which
    // glibc keeps usable in a child of a process with threads.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", io::Error::last_os_error());
    if pid == 0 {
        let code = match cage(&segments, &run) {
            Ok(()) => {
                body(&segments);
                DONE
            }
            Err(error) => {
                eprintln!("{error}");
                1
            }
        };
        // SAFETY: ends the child, without what the test harness would do at its exit.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    }
}

fn cage(segments: &Path, run: &Path) -> Result<(), sandbox::SandboxError> {
    let entered = sandbox::enter(segments, run)?;
    let (there, is_there) = channel();
    let (stay, stays) = channel::<()>();
    thread::spawn(move || {
        there.send(()).expect("somebody waits");
        let _ = stays.recv();
    });
    is_there.recv().expect("the thread came up");
    entered.seal()?;
    // Outlives this: the thread ends with the process.
    std::mem::forget(stay);
    Ok(())
}

fn forbidden(call: libc::c_long, arguments: [libc::c_long; 3]) {
    let [a, b, c] = arguments;
    // SAFETY: none of the calls that are tried reads memory; the filter ends the process before they are made.
    unsafe { libc::syscall(call, a, b, c, 0, 0, 0) };
}

const KILLED: End = End::Signal(libc::SIGSYS);

/// Security: a caged process can open no socket of any family.
#[test]
fn no_socket() {
    for family in [libc::AF_INET, libc::AF_UNIX, libc::AF_PACKET, libc::AF_NETLINK] {
        let arguments = [family.into(), libc::SOCK_DGRAM.into(), 0];
        assert_eq!(caged(|_| forbidden(libc::SYS_socket, arguments)), KILLED);
    }
}

/// Security: it can start no program, process or thread, and look into none.
#[test]
fn no_process() {
    let none = [0; 3];
    for call in [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_kill,
        libc::SYS_pidfd_open,
    ] {
        assert_eq!(caged(|_| forbidden(call, none)), KILLED, "{call}");
    }
}

/// Security: it can get no privilege, and load no program.
#[test]
fn no_privilege() {
    // BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_LINK_CREATE.
    for command in [0, 5, 28] {
        assert_eq!(caged(|_| forbidden(libc::SYS_bpf, [command, 0, 0])), KILLED, "{command}");
    }
    for call in [
        libc::SYS_setuid,
        libc::SYS_capset,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_seccomp,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_memfd_create,
    ] {
        assert_eq!(caged(|_| forbidden(call, [0; 3])), KILLED, "{call}");
    }
}

/// Security: it can make no memory executable.
#[test]
fn no_code() {
    let protection = libc::c_long::from(libc::PROT_READ | libc::PROT_EXEC);
    assert_eq!(caged(|_| forbidden(libc::SYS_mmap, [0, 4096, protection])), KILLED);
    assert_eq!(caged(|_| forbidden(libc::SYS_mprotect, [0, 4096, protection])), KILLED);
}

/// Security: the filter is on threads that were there before it, too.
#[test]
fn no_thread_is_left_out() {
    let (go, told) = channel();
    let end = {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        // SAFETY: as in `caged`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let entered = sandbox::enter(&path, &path).expect("root enters");
            let (there, is_there) = channel();
            let other = thread::spawn(move || {
                there.send(()).expect("somebody waits");
                let _: Result<(), _> = told.recv();
                forbidden(libc::SYS_socket, [libc::AF_INET.into(), 1, 0]);
            });
            is_there.recv().expect("the thread came up");
            entered.seal().expect("the filter is valid");
            go.send(()).expect("the thread waits");
            let _ = other.join();
            // SAFETY: as in `caged`.
            unsafe { libc::_exit(DONE) };
        }
        let mut status = 0;
        // SAFETY: `status` is writable.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
    };
    assert_eq!(end, Some(libc::SIGSYS));
}

/// CAP-3: what capture does to its segments still works: make, allocate, write, sync, rename, list, delete.
#[test]
fn segments_can_be_written() {
    let end = caged(|segments| {
        let path = segments.join("0000-m-00000001.seg");
        let mut file =
            OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all(b"bytes").unwrap();
        file.set_len(4096).unwrap();
        file.sync_all().unwrap();
        let next = segments.join("0000-m-00000002.seg");
        fs::rename(&path, &next).unwrap();
        assert_eq!(fs::read_dir(segments).unwrap().count(), 1);
        File::open(segments).unwrap().sync_all().unwrap();
        fs::remove_file(&next).unwrap();
    });
    assert_eq!(end, End::Exit(DONE));
}

/// Security: it sees no file but its own.
#[test]
fn no_other_file() {
    let end = caged(|segments| {
        for path in ["/etc/passwd", "/proc/self/maps", "/proc/sys/kernel/hostname"] {
            let error = File::open(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        let beside = segments.parent().unwrap().join("x");
        assert_eq!(File::create(beside).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
    assert_eq!(end, End::Exit(DONE));
}
