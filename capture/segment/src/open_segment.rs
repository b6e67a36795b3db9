//! A segment file opened for reading: its header, its words, its length.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::SegmentError;
use crate::disk::{Access, Disk};
use crate::file_name::FileName;
use crate::header::Header;
use crate::limits::{BLOCK_ALIGN, HEADER_BYTES};
use crate::map::ReadMap;

#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) header: Header,
    pub(crate) map: ReadMap,
    /// When it was opened.
    pub(crate) file_bytes: u64,
    /// It had been replaced before it was opened: nonsense, not to be looked into again and again.
    moved_before: bool,
}

impl OpenSegment {
    /// `None` if there is no such file. The file is returned, too, for those who read blocks from it.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        name: FileName,
    ) -> Result<Option<(Self, File)>, SegmentError> {
        let path = name.in_dir(dir);
        let file = match disk.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SegmentError::io("open", &path, source)),
        };
        let file_bytes =
            file.metadata().map_err(|source| SegmentError::io("stat", &path, source))?.len();
        if file_bytes < HEADER_BYTES {
            return Err(SegmentError::Format { path, reason: "shorter than a header" });
        }
        let map = ReadMap::new(&file).map_err(|source| SegmentError::io("map", &path, source))?;
        let header = match Header::decode(&map.words().fixed()) {
            Ok(header) => header,
            Err(reason) => return Err(SegmentError::Format { path, reason }),
        };
        if (header.lane, header.kind, header.seq) != (name.lane, name.kind, name.seq) {
            let reason = "its header and its name differ";
            return Err(SegmentError::Format { path, reason });
        }
        let moved_before = map.words().is_moved();
        Ok(Some((Self { header, map, file_bytes, moved_before }, file)))
    }

    /// Another file has the segment's name since this one was opened (S6).
    pub(crate) fn is_moved(&self) -> bool {
        self.map.words().is_moved() && !self.moved_before
    }

    /// The committed mark, as far as the file reaches.
    pub(crate) fn committed(&self) -> u64 {
        let mark = self.map.words().committed();
        mark.clamp(HEADER_BYTES, self.file_bytes.max(HEADER_BYTES)) / BLOCK_ALIGN * BLOCK_ALIGN
    }
}
