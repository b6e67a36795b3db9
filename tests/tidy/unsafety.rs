//! `unsafe` stands in named modules only, each with the reason why it is sound.

use crate::tree::{Source, assert_none, sources};

/// How many lines of one statement may stand between the comment and the block.
const REACH_LINES: usize = 6;

/// Files that may hold `unsafe`, and what for. The XDP program is unsafe by nature: each access to a packet or
/// a map goes through a pointer that the verifier has seen.
const NAMED: [(&str, &str); 26] = [
    ("capture/ipc/src/socket.rs", "SOCK_SEQPACKET, which std lacks"),
    ("capture/ipc/src/wiping.rs", "an allocator"),
    ("capture/line/src/prefetch.rs", "a hint to the cache"),
    ("capture/line/src/region.rs", "locked memory"),
    ("capture/line/src/ring.rs", "the ring in that memory"),
    ("capture/segment/src/map.rs", "mapped segments"),
    ("capture/segment/src/syscall.rs", "fallocate, madvise, msync"),
    ("capture/src/", "rings shared with the kernel, privileges, affinity, clocks"),
    ("capture/tests/", "raw sockets, namespaces, forbidden calls, BPF_PROG_TEST_RUN"),
    ("control-plane/catalog/src/batch.rs", "a connection of sqlx, used through its handle"),
    ("control-plane/codec/src/", "FFmpeg, shared memory with its worker, the sandbox"),
    ("control-plane/codec/tests/", "FFmpeg as the oracle"),
    (
        "control-plane/src/daemon/desk.rs",
        "who is at the other end of a socket, which std cannot tell",
    ),
    ("control-plane/src/daemon/process.rs", "pidfd, which std lacks"),
    ("control-plane/src/doctor/machine.rs", "a program's capabilities, which std cannot read"),
    ("control-plane/src/doctor/storage.rs", "free space, which std cannot tell"),
    ("control-plane/src/rules/folder.rs", "two folders change places, which std lacks"),
    ("control-plane/src/setup.rs", "system calls of the start"),
    ("ebpf/program/src/", "packets and maps of the XDP program"),
    ("perf/generator/src/", "packets and maps of the load generator"),
    ("perf/src/wire/memory.rs", "a mapped file"),
    ("perf/src/wire/socket.rs", "rings shared with the kernel"),
    ("perf/src/stages/allocations.rs", "an allocator that counts"),
    ("tests/fixtures/src/codec/foreign.rs", "FFmpeg's contexts"),
    ("tests/fixtures/src/live.rs", "raw sockets"),
    ("tests/system/", "namespaces entered, processes killed"),
];

/// Whether a line has an unsafe block or implementation; declarations have `# Safety` in their documentation.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe impl"]
        .iter()
        .any(|mark| code.contains(mark) && !code.contains(&format!("\"{mark}")))
}

/// Whether the comment above says why: directly, or above the statement that the line belongs to.
fn is_explained(lines: &[&str], number: usize) -> bool {
    let from = number.saturating_sub(REACH_LINES);
    let above = &lines[from..=number];
    let statement = above
        .iter()
        .rposition(|line| line.trim_end().ends_with([';', '}']) && !line.contains("unsafe"));
    above[statement.map_or(0, |place| place + 1)..].iter().any(|line| line.contains("SAFETY"))
        || lines[..number]
            .iter()
            .rev()
            .take_while(|line| line.trim_start().starts_with("//"))
            .any(|line| line.contains("SAFETY"))
}

#[test]
fn each_unsafe_says_why_it_is_sound() {
    let mut faults = Vec::new();
    for Source { path, text } in sources("rs") {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if is_unsafe(line) && !is_explained(&lines, number) {
                faults.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none("unsafe without SAFETY above", &faults);
}

#[test]
fn unsafe_is_in_named_modules() {
    let holds = |file: &Source| file.text.lines().any(is_unsafe);
    let unnamed = sources("rs")
        .into_iter()
        .filter(|file| holds(file) && !NAMED.iter().any(|(named, _)| file.path.starts_with(named)));
    assert_none(
        "unsafe outside of the named modules",
        &unnamed.map(|f| f.path).collect::<Vec<_>>(),
    );
}
