//! Calls into the catalog.

use earwitness_catalog::{Catalog, Write};

use super::meter::Round;
use super::packets::folder;
use super::{Scale, Stage};
use crate::stages::signalling;

/// Calls of a round, in batches as finishing makes them.
const CALLS: u32 = 10_000;
const BATCH: usize = 2_000;

pub const STAGES: &[Stage] =
    &[Stage { name: "catalog insert", scale: Scale::Each("call"), prepare: insert }];

/// Each call with where its packets lie; each batch is durable before the next.
fn insert() -> anyhow::Result<Round> {
    let rows = signalling::finished_rows(CALLS)?;
    Ok(Box::new(move |meter| {
        let folder = folder()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let catalog = runtime.block_on(Catalog::open(folder.path()))?;
        let batches: Vec<&[Write]> = rows.chunks(2 * BATCH).collect();
        meter.measure(u64::from(CALLS), || {
            batches.iter().try_for_each(|batch| runtime.block_on(catalog.write(batch)))
        })?;
        runtime.block_on(catalog.close());
        Ok(())
    }))
}
