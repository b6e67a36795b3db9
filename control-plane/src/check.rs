//! `earwitness check`: proves the storage invariants of a data folder, one line for each breach (OPS-3).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use earwitness_catalog::{After, Catalog, CatalogError, RecordingRow};
use earwitness_segment::SegmentError;
use sha2::{Digest, Sha256};

use crate::setup::segments_dir;

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the segments cannot be listed")]
    Segments { source: SegmentError },
}

/// Checks segments (S1, S2), the catalog, and every recording against its files (S4).
///
/// # Errors
/// The catalog cannot be read at all.
pub async fn check(data_dir: &Path) -> Result<Vec<String>, CheckError> {
    let segments = earwitness_segment::verify(&segments_dir(data_dir))
        .map_err(|source| CheckError::Segments { source })?;
    let mut breaches: Vec<String> = segments.iter().map(ToString::to_string).collect();
    let catalog = Catalog::open(data_dir).await?;
    breaches.extend(catalog.integrity().await?.into_iter().map(|line| format!("catalog: {line}")));
    let mut after: Option<After> = None;
    loop {
        let page = catalog.recordings(after.as_ref()).await?;
        let Some(last) = page.last() else { break };
        after = Some(After { started_ms: last.started_at.0, id: last.id.clone() });
        page.iter().for_each(|row| check_recording(data_dir, row, &mut breaches));
    }
    breaches.extend(leftovers(&data_dir.join("recordings")));
    Ok(breaches)
}

/// S4: a row has its audio, with this size and hash, and both sidecars.
fn check_recording(data_dir: &Path, row: &RecordingRow, breaches: &mut Vec<String>) {
    let id = &row.id;
    match digest(&data_dir.join(&row.path)) {
        Ok((bytes, sha256)) => {
            if bytes != row.bytes {
                breaches.push(format!(
                    "S4: recording {id}: {} has {bytes} bytes, its row says {}",
                    row.path, row.bytes
                ));
            } else if sha256 != row.sha256 {
                breaches.push(format!(
                    "S4: recording {id}: {} has another hash than its row",
                    row.path
                ));
            }
        }
        Err(error) => breaches.push(format!("S4: recording {id}: {}: {error}", row.path)),
    }
    for sidecar in [&row.json_path, &row.xml_path] {
        if !data_dir.join(sidecar).is_file() {
            breaches.push(format!("S4: recording {id}: {sidecar} is missing"));
        }
    }
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            let text = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok((bytes, text));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}

/// Unfinished files of a recording that was cut short are no breach while a process works on them, but audio
/// without its sidecar is: it was renamed before they were durable.
fn leftovers(root: &Path) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_audio = path
                .extension()
                .is_some_and(|ending| ending == "wav" || ending == "mp3" || ending == "opus");
            if is_audio && !path.with_extension("json").is_file() {
                breaches.push(format!("S4: {} has no sidecar", path.display()));
            }
        }
    }
    breaches
}
