//! Calls a second into the catalog, and out: `cargo bench -p earwitness-catalog [-- FOLDER]`.

#[path = "../tests/calls/mod.rs"]
mod calls;

use std::path::PathBuf;
use std::time::Instant;

use earwitness_catalog::{After, Catalog, Write};

const CALLS: u64 = 200_000;
const BATCH: u64 = 2_000;

fn main() {
    let root = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let root = root.map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = root.join(format!("earwitness-catalog-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(bench(&dir));
    std::fs::remove_dir_all(&dir).expect("the folder was made here");
}

async fn bench(dir: &std::path::Path) {
    let catalog = Catalog::open(dir).await.expect("a catalog");
    for round in ["insert", "replace"] {
        let batches: Vec<Vec<Write>> = (0..CALLS / BATCH)
            .map(|batch| {
                let numbers = batch * BATCH..(batch + 1) * BATCH;
                numbers.map(|number| Write::Call(Box::new(calls::call(number)))).collect()
            })
            .collect();
        let started = Instant::now();
        for batch in &batches {
            catalog.write(batch).await.expect("a batch");
        }
        report(round, started);
    }
    let started = Instant::now();
    let mut after: Option<After> = None;
    let mut count = 0;
    loop {
        let page = catalog.calls(after.as_ref()).await.expect("a page");
        let Some(last) = page.last() else { break };
        count += page.len() as u64;
        after = Some(After { started_ms: last.started_at.0, id: last.id.clone() });
    }
    assert_eq!(count, CALLS);
    report("list", started);
    catalog.close().await;
}

fn report(what: &str, started: Instant) {
    let rate = CALLS as f64 / started.elapsed().as_secs_f64();
    println!("{what:10} {rate:9.0} calls a second");
}
