//! One network interface as a tap.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::planning::{Speed, Tap};
use super::{Finding, Level};

/// Drivers with native XDP (Documentation/networking and the kernel's driver sources, 6.1 and later).
const NATIVE_XDP: [&str; 24] = [
    "atlantic",
    "bnxt_en",
    "cpsw",
    "dpaa2",
    "ena",
    "enetc",
    "fec",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_core",
    "mlx5_core",
    "mvneta",
    "nfp",
    "qede",
    "stmmac",
    "veth",
    "virtio_net",
];
/// Those that also have AF_XDP zero-copy.
const ZERO_COPY: [&str; 9] =
    ["atlantic", "i40e", "ice", "igb", "igc", "ixgbe", "mlx5_core", "nfp", "stmmac"];

pub(super) fn all() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .collect();
    names.sort();
    names
}

pub(super) fn examine(name: &str) -> Vec<Finding> {
    let dir = Path::new("/sys/class/net").join(name);
    if name.is_empty() || name.contains('/') || !dir.exists() {
        let remedy = format!("there is: {}", all().join(", "));
        return vec![Finding::lack(
            Level::Missing,
            format!("{name} interface"),
            "no such interface",
            remedy,
        )];
    }
    vec![driver(name, &dir), state(name, &dir), mtu(name, &dir), drops(name, &dir)]
}

/// What planning wants to know of an interface; `None` if there is none. A speed that was asked for wins.
pub(super) fn tap(name: &str, asked_mbit_s: Option<u64>) -> Option<Tap> {
    let dir = Path::new("/sys/class/net").join(name);
    if name.is_empty() || name.contains('/') || !dir.exists() {
        return None;
    }
    // Drivers that know no speed tell -1, or refuse to be read.
    let told =
        || read(dir.join("speed")).and_then(|text| text.parse().ok()).filter(|mbit| *mbit > 0);
    let speed = match (asked_mbit_s, told()) {
        (Some(mbit_s), _) => Speed::Asked(mbit_s),
        (None, Some(mbit_s)) => Speed::Told(mbit_s),
        (None, None) => Speed::Unknown,
    };
    let entries = std::fs::read_dir(dir.join("queues")).into_iter().flatten().flatten();
    let queues = entries.filter(|entry| entry.file_name().as_bytes().starts_with(b"rx-")).count();
    Some(Tap { name: name.to_owned(), speed, queues: queues.max(1) as u64 })
}

fn read(path: PathBuf) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn driver_name(dir: &Path) -> String {
    let link = std::fs::read_link(dir.join("device/driver")).ok();
    let physical =
        link.and_then(|link| link.file_name().map(|name| name.to_string_lossy().into_owned()));
    physical.unwrap_or_else(|| virtual_kind(dir))
}

/// A virtual interface has no driver link; its kind is in `uevent`, but for veth, which says nothing.
fn virtual_kind(dir: &Path) -> String {
    let uevent = read(dir.join("uevent")).unwrap_or_default();
    let kind = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    let peer = read(dir.join("iflink")) != read(dir.join("ifindex"));
    kind.map_or_else(|| if peer { "veth" } else { "virtual" }.to_owned(), str::to_owned)
}

fn driver(name: &str, dir: &Path) -> Finding {
    let driver = driver_name(dir);
    let subject = format!("{name} driver");
    let known = driver.as_str();
    if ZERO_COPY.contains(&known) {
        return Finding::ok(subject, format!("{driver}: AF_XDP zero-copy and native XDP"));
    }
    if NATIVE_XDP.contains(&known) {
        return Finding::ok(
            subject,
            format!("{driver}: native XDP; the program fills the ring (bpf_ring)"),
        );
    }
    Finding::lack(
        Level::Slow,
        subject,
        format!("{driver}: native XDP is not known of it"),
        "generic mode or af_packet will be taken, at about a third of the speed; a NIC with native XDP helps",
    )
}

fn state(name: &str, dir: &Path) -> Finding {
    let state = read(dir.join("operstate")).unwrap_or_else(|| "unknown".to_owned());
    let subject = format!("{name} link");
    if matches!(state.as_str(), "up" | "unknown") {
        return Finding::ok(subject, state);
    }
    Finding::lack(
        Level::Missing,
        subject,
        state,
        format!("ip link set {name} up, and look at the cable"),
    )
}

fn mtu(name: &str, dir: &Path) -> Finding {
    let mtu: u32 = read(dir.join("mtu")).and_then(|text| text.parse().ok()).unwrap_or(0);
    let subject = format!("{name} MTU");
    if mtu >= 1500 {
        return Finding::ok(subject, mtu.to_string());
    }
    let remedy =
        format!("mirrored frames are longer than that with tunnels: ip link set {name} mtu 1600");
    Finding::lack(Level::Slow, subject, mtu.to_string(), remedy)
}

fn drops(name: &str, dir: &Path) -> Finding {
    let counter = |file: &str| {
        read(dir.join("statistics").join(file))
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let dropped = counter("rx_dropped") + counter("rx_missed_errors") + counter("rx_fifo_errors");
    let subject = format!("{name} losses");
    if dropped == 0 {
        return Finding::ok(subject, "none since it came up");
    }
    let remedy = format!(
        "longer rings: ethtool -G {name} rx 4096; more queues: ethtool -L {name} combined N"
    );
    Finding::lack(Level::Slow, subject, format!("{dropped} packets since it came up"), remedy)
}
