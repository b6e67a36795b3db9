//! `earwitness-swappable PID FILE`: writes to FILE every page of a process that the kernel may write to swap, so that it can
//! be searched: of memory that belongs to no file, or that was changed in private, and is not locked.
//!
//! Exit 1 if a page of the process is in swap already.

use std::fs::File;
use std::io::{Error, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

const PAGE_BYTES: u64 = 4096;
/// An entry of the page map (Documentation/admin-guide/mm/pagemap.rst), and what it says.
const ENTRY_BYTES: u64 = 8;
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// Entries that are read at a time.
const ENTRIES: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, path] = arguments.as_slice() else {
        eprintln!("usage: earwitness-swappable PID FILE");
        return ExitCode::from(2);
    };
    match write(pid, path) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(swapped) => {
            eprintln!("earwitness-swappable: {swapped} pages of process {pid} are in swap");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("earwitness-swappable: process {pid}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many pages are in swap.
fn write(pid: &str, path: &str) -> Result<u64, Error> {
    let of = |name: &str| File::open(format!("/proc/{pid}/{name}"));
    let (memory, pagemap) = (of("mem")?, of("pagemap")?);
    let mut out = File::create(path)?;
    let mut swapped = 0;
    for (from, until) in swappable(&std::fs::read_to_string(format!("/proc/{pid}/smaps"))?) {
        let mut entries = [0; ENTRIES * ENTRY_BYTES as usize];
        for start in (from..until).step_by(ENTRIES) {
            let count = (until - start).min(ENTRIES as u64);
            let entries = &mut entries[..(count * ENTRY_BYTES) as usize];
            pagemap.read_exact_at(entries, start * ENTRY_BYTES)?;
            for (entry, page) in entries.chunks_exact(ENTRY_BYTES as usize).zip(start..) {
                let entry = u64::from_ne_bytes(entry.try_into().expect("eight bytes"));
                swapped += u64::from(entry & SWAPPED != 0);
                if entry & PRESENT != 0 {
                    let mut bytes = [0; PAGE_BYTES as usize];
                    // It may have been given back meanwhile.
                    if memory.read_exact_at(&mut bytes, page * PAGE_BYTES).is_ok() {
                        out.write_all(&bytes)?;
                    }
                }
            }
        }
    }
    Ok(swapped)
}

/// Ranges of page numbers of all mappings whose pages would go to swap.
fn swappable(smaps: &str) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut head = "";
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let has = |wanted: &str| flags.split(' ').any(|flag| flag == wanted);
            // What cannot be written holds what its file holds. Locked, or pages of a device.
            if has("wr") && !has("lo") && !has("pf") && !has("io") && belongs_to_no_file(head) {
                found.extend(range(head));
            }
        } else if range(line).is_some() {
            head = line;
        }
    }
    found
}

/// `FROM-UNTIL RIGHTS …`, as page numbers.
fn range(head: &str) -> Option<(u64, u64)> {
    let (from, until) = head.split(' ').next()?.split_once('-')?;
    let page = |text| Some(u64::from_str_radix(text, 16).ok()? / PAGE_BYTES);
    Some((page(from)?, page(until)?))
}

fn belongs_to_no_file(head: &str) -> bool {
    let mut fields = head.split_whitespace();
    let is_private = fields.nth(1).is_some_and(|rights| rights.ends_with('p'));
    let inode = fields.nth(2);
    let path = fields.next().unwrap_or_default();
    is_private
        || inode == Some("0")
        || ["/memfd:", "/dev/shm/", "/SYSV"].iter().any(|kind| path.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
10000-12000 rw-p 00000000 00:00 0                          [heap]
Rss:                   8 kB
VmFlags: rd wr mr mw me ac sd
20000-21000 rw-p 00000000 00:00 0
VmFlags: rd wr mr mw me lo ac
30000-31000 rw-s 00000000 fe:00 12                         /data/segments/0001-m-00000001.seg
VmFlags: rd wr sh mr mw me ms sd
40000-41000 rw-s 00000000 00:01 13                         /memfd:audio (deleted)
VmFlags: rd wr sh mr mw me ms sd
50000-51000 r-xp 00000000 fe:00 14                         /usr/bin/earwitness
VmFlags: rd ex mr mw me sd
";

    #[test]
    fn what_may_be_swapped() {
        assert_eq!(swappable(SMAPS), [(0x10, 0x12), (0x40, 0x41)]);
    }
}
