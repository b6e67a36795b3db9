//! The system calls that capture makes after start-up: each with what for. Everything else ends the process.
//! `design/capture.md` has the same table in words.

use libc::{SYS_bpf, SYS_fcntl, SYS_getsockopt, SYS_ioctl, SYS_mmap, SYS_mprotect, SYS_prctl};
use libc::{SYS_setsockopt, SYS_tgkill};
use seccompiler::{
    BackendError, SeccompCmpArgLen::Dword, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq,
    SeccompCmpOp::MaskedEq, SeccompCondition,
};

/// Calls that may be made with any arguments.
pub(crate) const ALLOWED: &[i64] = &[
    // Memory of the allocator, and of segments. `mmap` and `mprotect` are below: never executable.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Time, naps, and waiting for each other.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // Seeds of hash tables.
    libc::SYS_getrandom,
    // The main thread's event loop, its waker and the signal pipe.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    // The door; news of links; the packet sockets that are bound again when an interface comes back; the wake-up of
    // AF_XDP. No call on the list makes a socket, and `accept4` only takes those that knocked.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    // Segments: made, allocated, renamed, deleted, synced, listed, read back after a failed sync. Landlock says where.
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_msync,
    libc::SYS_getdents64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    // Signals: SIGTERM's handler returns; a thread that ends gives up its signal stack; a panic aborts.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

const BPF_COMMAND_MAX: u64 = 3;
/// The kernel's numbers, which `libc` lacks.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Calls that may be made with some arguments: any one of the lines of a call suffices.
pub(crate) fn conditional() -> Result<Vec<(i64, Vec<SeccompCondition>)>, BackendError> {
    let is = |argument, value: u64| SeccompCondition::new(argument, Dword, Eq, value);
    let not_executable = || SeccompCondition::new(2, Qword, MaskedEq(libc::PROT_EXEC as u64), 0);
    let mut calls = vec![
        (SYS_mmap, vec![not_executable()?]),
        (SYS_mprotect, vec![not_executable()?]),
        // abort() signals this process, and no other.
        (SYS_tgkill, vec![is(0, u64::from(std::process::id()))?]),
        // The allocator names its memory.
        (SYS_prctl, vec![is(0, PR_SET_VMA)?]),
        // Promiscuous mode and statistics of packet sockets; statistics of AF_XDP; errors of the door.
        (SYS_setsockopt, vec![is(1, libc::SOL_PACKET as u64)?]),
        (SYS_getsockopt, vec![is(1, libc::SOL_PACKET as u64)?]),
        (SYS_getsockopt, vec![is(1, libc::SOL_XDP as u64)?]),
        (SYS_getsockopt, vec![is(1, libc::SOL_SOCKET as u64)?]),
        // New segments are overwritten in place, where the file system would otherwise copy.
        (SYS_ioctl, vec![is(1, libc::FS_IOC_GETFLAGS)?]),
        (SYS_ioctl, vec![is(1, libc::FS_IOC_SETFLAGS)?]),
    ];
    // Elements of the maps that are open: looked up, updated, deleted. No map or program is made.
    for command in 1..=BPF_COMMAND_MAX {
        calls.push((SYS_bpf, vec![is(0, command)?]));
    }
    for command in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC] {
        calls.push((SYS_fcntl, vec![is(1, command as u64)?]));
    }
    Ok(calls)
}
