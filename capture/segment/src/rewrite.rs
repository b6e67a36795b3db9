//! S6: what a failed sync may have lost is written again, to a new file that takes the old one's name.
//!
//! Every position stays what it was. The bytes come from the old file's page cache, by reading, so that
//! a page the disk cannot give back is an error here and not a SIGBUS.

use std::sync::Arc;

use crate::SegmentError;
use crate::block_reader::{BlockReader, Identity};
use crate::depot::{Depot, Segment};
use crate::file_name::Role;
use crate::limits::{BLOCK_HEADER_BYTES, HEADER_BYTES};
use crate::map::{Extent, WriteMap};

/// Returns the bytes of blocks that could not be saved.
pub(crate) fn rewrite(depot: &Depot, old: &Segment) -> Result<u64, SegmentError> {
    let name = depot.live_name(old.seq());
    let partial = name.as_role(Role::Partial).in_dir(&depot.dir);
    // A former attempt's; that it is missing is the rule.
    let _ = depot.disk.remove(&partial);
    let copied = copy(depot, old, &partial);
    match copied {
        Ok(lost) => {
            old.map.set_moved();
            Ok(lost)
        }
        Err(source) => {
            let _ = depot.disk.remove(&partial);
            Err(SegmentError::Sync { lane: depot.lane, seq: old.seq(), source })
        }
    }
}

fn copy(depot: &Depot, old: &Segment, partial: &std::path::Path) -> std::io::Result<u64> {
    let name = depot.live_name(old.seq());
    let header = old.header;
    let committed = old.map.words().committed();
    let file = depot.disk.create(partial, header.segment_bytes)?;
    let identity = Identity { seq: old.seq(), epoch: Some(header.epoch) };
    let mut reader = BlockReader::new(Arc::clone(&depot.disk), old.file.try_clone()?, identity);
    let mut at = HEADER_BYTES;
    let mut lost = 0;
    while let Some(block) = reader.find_valid(at, committed) {
        lost += block.offset() - at;
        let sealed = block.seal(reader.stored(&block));
        depot.disk.write_at(&file, &sealed, block.offset())?;
        let stored = reader.stored(&block);
        depot.disk.write_at(&file, stored, block.offset() + BLOCK_HEADER_BYTES)?;
        at = block.end();
    }
    lost += committed.saturating_sub(at);
    let map = WriteMap::new(&file, Extent::HeaderPage, header.segment_bytes)?;
    map.initialise(&header);
    map.set_committed(committed);
    map.close();
    depot.disk.sync_file(&file)?;
    map.set_synced(committed);
    depot.disk.rename(partial, &name.in_dir(&depot.dir))?;
    depot.disk.sync_dir(&depot.dir)?;
    Ok(lost)
}
