//! Names in the folder of segments: `<lane:04>-<s|m>-<seq:08>.<seg|free|tmp>`, `<lane:04>.lock`.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::limits::SEQ_MAX;
use crate::{LaneId, LaneKind, SegmentError};

/// What a file is for.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) enum Role {
    /// A segment with a complete header.
    Live,
    /// Released: its space waits for use again.
    Free,
    /// Not complete; of no worth after a crash.
    Partial,
}

#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) struct FileName {
    pub(crate) lane: LaneId,
    pub(crate) kind: LaneKind,
    pub(crate) seq: u32,
    pub(crate) role: Role,
}

impl FileName {
    pub(crate) fn live(lane: LaneId, kind: LaneKind, seq: u32) -> Self {
        Self { lane, kind, seq, role: Role::Live }
    }

    pub(crate) fn as_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub(crate) fn in_dir(self, dir: &Path) -> PathBuf {
        dir.join(self.to_string())
    }

    fn parse(name: &OsStr) -> Option<Self> {
        let (stem, suffix) = name.to_str()?.split_once('.')?;
        let role = match suffix {
            "seg" => Role::Live,
            "free" => Role::Free,
            "tmp" => Role::Partial,
            _ => return None,
        };
        let mut parts = stem.split('-');
        let lane = LaneId(parts.next()?.parse().ok()?);
        let kind = LaneKind::from_letter(parts.next()?.parse().ok()?)?;
        let seq = parts.next()?.parse().ok().filter(|seq| (1..=SEQ_MAX).contains(seq))?;
        let name_parsed = Self { lane, kind, seq, role };
        // What does not print as it was read is somebody else's file.
        (parts.next().is_none() && name.to_str() == Some(&name_parsed.to_string()))
            .then_some(name_parsed)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.role {
            Role::Live => "seg",
            Role::Free => "free",
            Role::Partial => "tmp",
        };
        write!(f, "{:04}-{}-{:08}.{suffix}", self.lane.0, self.kind.letter(), self.seq)
    }
}

pub(crate) fn lock_path(dir: &Path, lane: LaneId) -> PathBuf {
    dir.join(format!("{:04}.lock", lane.0))
}

/// Blocks that an erasure is about to overwrite.
pub(crate) fn redo_path(dir: &Path, lane: LaneId) -> PathBuf {
    dir.join(format!("{:04}.redo", lane.0))
}

/// All of the log's files in a folder, in order of lane, kind and sequence number.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<FileName>, SegmentError> {
    let names = disk.list(dir).map_err(|source| SegmentError::io("list", dir, source))?;
    let mut found: Vec<_> = names.iter().filter_map(|name| FileName::parse(name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// Sequence numbers of a lane's live segments, ascending, and the lane's kind.
pub(crate) fn live_seqs(
    disk: &dyn Disk,
    dir: &Path,
    lane: LaneId,
) -> Result<Option<(LaneKind, Vec<u32>)>, SegmentError> {
    let mut kind = None;
    let mut seqs = Vec::new();
    for name in list(disk, dir)? {
        if name.lane == lane && name.role == Role::Live {
            kind.get_or_insert(name.kind);
            seqs.push(name.seq);
        }
    }
    Ok(kind.map(|kind| (kind, seqs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-3: names are read back; foreign files in the folder are left alone.
    #[test]
    fn parses_its_own_names_only() {
        let name = FileName::live(LaneId(7), LaneKind::Media, 42);
        assert_eq!(name.to_string(), "0007-m-00000042.seg");
        for role in [Role::Live, Role::Free, Role::Partial] {
            let name = name.as_role(role);
            assert_eq!(FileName::parse(OsStr::new(&name.to_string())), Some(name));
        }
        for foreign in [
            "7-m-42.seg",
            "0007-x-00000042.seg",
            "0007-m-00000000.seg",
            "0007-m-16777216.seg",
            "0007-m-00000042-1.seg",
            "0007-m-00000042.bak",
            "0007-m-+0000042.seg",
            "0007.lock",
            "",
        ] {
            assert_eq!(FileName::parse(OsStr::new(foreign)), None, "{foreign}");
        }
    }
}
