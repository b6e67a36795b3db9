//! Kernel, memory, privileges, programs.

use std::path::Path;

use super::{Finding, Level};
use crate::programs;

/// `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_IPC_LOCK`, `CAP_BPF` (linux/capability.h).
const CAPABILITIES: [(u8, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (14, "CAP_IPC_LOCK"), (39, "CAP_BPF")];

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![kernel(), btf(), privileges(), bpf_for_others(), memory(), cores()];
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
    let lacking: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(bit, _)| effective & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if lacking.is_empty() {
        return Finding::ok("privileges", "root, or all that capture takes before it drops them");
    }
    Finding::lack(
        Level::Missing,
        "privileges",
        format!("this user lacks {}", lacking.join(", ")),
        "run as root, or: setcap cap_bpf,cap_net_admin,cap_net_raw,cap_ipc_lock+ep earwitness-capture",
    )
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

fn memory() -> Finding {
    let meminfo = read("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let available_mib = kib("MemAvailable:").unwrap_or(0) / 1024;
    let found = format!("{available_mib} MiB free for rings");
    if available_mib >= 512 {
        return Finding::ok("memory", found);
    }
    Finding::lack(Level::Slow, "memory", found, "free some, or set capture.ring_mib lower than 64")
}

fn cores() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
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
