//! Kernel, memory, privileges, programs.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Finding, Level};
use crate::programs;

/// What capture takes before it drops everything, by its number in linux/capability.h.
const CAPABILITIES: [(u8, &str); 6] = [
    (8, "CAP_SETPCAP"),
    (12, "CAP_NET_ADMIN"),
    (13, "CAP_NET_RAW"),
    (14, "CAP_IPC_LOCK"),
    (38, "CAP_PERFMON"),
    (39, "CAP_BPF"),
];

pub(super) fn examine() -> Vec<Finding> {
    let mut findings =
        vec![kernel(), btf(), privileges(), bpf_for_others(), memory(), swap(), cores()];
    findings.extend(programs_found());
    findings
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// 5.15 brought what the program needs of ring buffers; 5.18 multi-buffer frames (jumbo).
fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version {
        (0..=4, _) | (5, 0..=14) => Finding::lack(
            Level::Slow,
            "kernel",
            release,
            "5.15 or later is needed for XDP here; until then source = \"af_packet\" is taken",
        ),
        (5, 15..=17) => Finding::lack(
            Level::Slow,
            "kernel",
            release,
            "5.18 or later is needed for XDP with jumbo frames",
        ),
        _ => Finding::ok("kernel", release),
    }
}

fn btf() -> Finding {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Finding::ok("kernel BTF", "present");
    }
    Finding::lack(
        Level::Slow,
        "kernel BTF",
        "absent",
        "use a kernel with CONFIG_DEBUG_INFO_BTF; until then source = \"af_packet\" is taken",
    )
}

fn privileges() -> Finding {
    let status = read("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let of_program =
        programs::find(programs::CAPTURE, Path::new("")).map_or(0, |path| file_capabilities(&path));
    let lacking: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| (effective | of_program) & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if lacking.is_empty() {
        return Finding::ok("privileges", "root, or all that capture takes before it drops them");
    }
    Finding::lack(
        Level::Missing,
        "privileges",
        format!("this user lacks {}", lacking.join(", ")),
        "run as root, or: setcap cap_bpf,cap_ipc_lock,cap_net_admin,cap_net_raw,cap_perfmon,cap_setpcap+ep \
         earwitness-capture",
    )
}

/// What a program may do whoever starts it (`setcap`): `struct vfs_cap_data` of linux/capability.h.
fn file_capabilities(program: &Path) -> u64 {
    let Ok(path) = CString::new(program.as_os_str().as_bytes()) else { return 0 };
    let mut data = [0_u8; 24];
    // SAFETY: both strings end in NUL, and the kernel writes at most the length that is given.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            data.as_mut_ptr().cast(),
            data.len(),
        )
    };
    // Magic, then permitted and inheritable of the lower 32, then of the upper.
    if length < 20 {
        return 0;
    }
    let word = |at: usize| {
        u64::from(u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]))
    };
    word(4) | word(12) << 32
}

fn bpf_for_others() -> Finding {
    match read("/proc/sys/kernel/unprivileged_bpf_disabled").as_deref() {
        Some("0") => Finding::lack(
            Level::Slow,
            "unprivileged BPF",
            "open to every user",
            "sysctl kernel.unprivileged_bpf_disabled=2: nothing here needs it open",
        ),
        _ => Finding::ok("unprivileged BPF", "closed"),
    }
}

/// What may still be taken.
pub(super) fn available_mib() -> Option<u64> {
    let meminfo = read("/proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

pub(super) fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn memory() -> Finding {
    let available_mib = available_mib().unwrap_or(0);
    let found = format!("{available_mib} MiB free for rings");
    if available_mib >= 512 {
        return Finding::ok("memory", found);
    }
    Finding::lack(Level::Slow, "memory", found, "free some, or set capture.ring_mib lower than 64")
}

/// What waits in memory shall not come to a disk (C7).
fn swap() -> Finding {
    let text = read("/proc/swaps").unwrap_or_default();
    swap_of(&text, |device| read(&format!("/sys/block/{device}/dm/uuid")))
}

/// Of the text of /proc/swaps, a header and a line for each place; `uuid_of` says what a device-mapper device is.
fn swap_of(text: &str, uuid_of: impl Fn(&str) -> Option<String>) -> Finding {
    let places = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    // Compressed memory is memory.
    let outside: Vec<&str> = places.filter(|place| !place.starts_with("/dev/zram")).collect();
    let is_encrypted = |place: &&str| {
        let uuid = place.strip_prefix("/dev/").and_then(&uuid_of);
        uuid.is_some_and(|uuid| uuid.starts_with("CRYPT-"))
    };
    let open: Vec<&str> = outside.iter().copied().filter(|place| !is_encrypted(place)).collect();
    if open.is_empty() {
        return Finding::ok("swap", if outside.is_empty() { "none" } else { "encrypted" });
    }
    Finding::lack(
        Level::Slow,
        "swap",
        format!("{}: pieces of media that wait in memory may come to it", open.join(", ")),
        "swapoff, or MemorySwapMax=0 in the unit, or swap that is encrypted (`swap` in /etc/crypttab)",
    )
}

fn cores() -> Finding {
    let count = core_count();
    if count > 1 {
        return Finding::ok("cores", count.to_string());
    }
    Finding::lack(
        Level::Slow,
        "cores",
        "1",
        "receiving, writing and finishing share it: two cores or more keep them apart",
    )
}

fn programs_found() -> Vec<Finding> {
    [programs::CAPTURE, programs::CODEC]
        .into_iter()
        .map(|name| match programs::find(name, Path::new("")) {
            Ok(path) => Finding::ok(name, path.display().to_string()),
            Err(error) => Finding::lack(
                Level::Missing,
                name,
                "not found",
                format!("{error}: install it beside earwitness or on PATH"),
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-3, C7: swap is a lack, unless what comes to it stays in memory or cannot be read.
    #[test]
    fn open_swap_is_told() {
        let uuid_of = |device: &str| match device {
            "dm-1" => Some("CRYPT-PLAIN-cswap".to_owned()),
            "dm-2" => Some("LVM-0123".to_owned()),
            _ => None,
        };
        let of = |lines: &[&str]| {
            let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
            let lines = lines.iter().map(|place| format!("{place}  partition\t2097148\t0\t-2\n"));
            swap_of(&(head.to_owned() + &lines.collect::<String>()), uuid_of)
        };
        for (places, level, found) in [
            (vec![], Level::Ok, "none"),
            (vec!["/dev/zram0"], Level::Ok, "none"),
            (vec!["/dev/zram0", "/dev/dm-1"], Level::Ok, "encrypted"),
            (vec!["/dev/dm-1", "/dev/dm-2", "/swapfile"], Level::Slow, "/dev/dm-2, /swapfile: "),
        ] {
            let finding = of(&places);
            assert_eq!(finding.level, level, "{places:?}");
            assert!(finding.found.starts_with(found), "{finding:?}");
        }
        assert_eq!(swap_of("", uuid_of).level, Level::Ok, "a kernel without swap");
    }

    /// OPS-3: a program that was given capabilities needs no root.
    #[test]
    fn capabilities_of_a_file_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, "").unwrap();
        assert_eq!(file_capabilities(&file), 0);
        // VFS_CAP_REVISION_2, effective; permitted CAP_NET_RAW, CAP_BPF.
        let words: [u32; 5] = [0x0200_0001, 1 << 13, 0, 1 << (39 - 32), 0];
        let data: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let path = CString::new(file.as_os_str().as_bytes()).unwrap();
        // SAFETY: both strings end in NUL, and the kernel reads the length that is given.
        let set = unsafe {
            libc::setxattr(
                path.as_ptr(),
                c"security.capability".as_ptr(),
                data.as_ptr().cast(),
                data.len(),
                0,
            )
        };
        assert_eq!(set, 0, "only root may: {}", std::io::Error::last_os_error());
        assert_eq!(file_capabilities(&file), 1 << 13 | 1 << 39);
    }
}
