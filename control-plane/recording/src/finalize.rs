//! A finished call becomes files, in the order that S4 asks for.
//!
//! 1. The audio goes to a temporary name in its folder, and is synced.
//! 2. The sidecars likewise.
//! 3. All three get their names, the audio last: who sees it sees its sidecars.
//! 4. The folder is synced, and those above it that were made.
//!
//! Any failure removes what was made; no file is synced a second time (S6).

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use earwitness_codec::Decoders;

use crate::archive::ArchiveName;
use crate::digest::DigestWriter;
use crate::disk::{Disk, DiskFile};
use crate::encode::Target;
use crate::facts::CallFacts;
use crate::options::{Format, RenderOptions};
use crate::render::{Plan, RenderError};
use crate::report::RenderReport;
use crate::stream::StreamInput;
use crate::{json, xml};

/// Which file operation failed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DiskStep {
    CreateDir,
    CreateFile,
    OpenFile,
    Read,
    Write,
    Sync,
    Rename,
    SyncDir,
}

/// Why there is no recording. Nothing of it is left in the archive, but folders; the call stays
/// unfinished, and the caller tries again later, which writes new files (S6).
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    #[error("audio could not be rendered")]
    Render {
        #[source]
        source: RenderError,
    },
    #[error("sidecar could not be written as JSON")]
    Json {
        #[source]
        source: serde_json::Error,
    },
    #[error("{step:?} failed for {}", path.display())]
    Disk {
        step: DiskStep,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What is on disk for good; the catalog's row is made of this.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedRecording {
    pub id: String,
    /// Of the audio, relative to the archive's root, `/` between folders.
    pub path: String,
    pub json_path: String,
    pub xml_path: String,
    pub format: Format,
    pub bytes: u64,
    /// Of the audio file, in lower-case hex.
    pub sha256: String,
    pub report: RenderReport,
}

/// Audio is handed to the file system in pieces of this size at least; longer ones, as a WAV file's, as they come.
const WRITE_BYTES: usize = 32 * 1024;
/// No sidecar is longer: the trace of the longest call takes a few megabytes.
const SIDECAR_BYTES_MAX: u64 = 256 << 20;

/// Renders the call and makes file and sidecars durable below `root`, which exists.
///
/// When this returns `Ok`, and not before, the row may enter the catalog (S4). Calling it again
/// for the same call replaces the files by the same bytes.
pub fn finalize(
    facts: &CallFacts,
    streams: &[StreamInput<'_>],
    options: &RenderOptions,
    root: &Path,
    disk: &dyn Disk,
    decoders: &Decoders,
) -> Result<FinishedRecording, FinalizeError> {
    let plan = Plan::new(streams, options).map_err(|source| FinalizeError::Render { source })?;
    let (name, replaces) = choose_name(facts, plan.start_ns(), root, disk)?;
    let made = make_folders(&name, root, disk)?;
    let folder = folder_of(&name, root);
    let mut files = Files { disk, folder: &folder, replaces, written: Vec::new(), published: 0 };
    let done = write_all(facts, &name, plan, options.format, decoders, &mut files)
        .and_then(|done| files.publish().map(|()| done))
        .and_then(|done| sync_folders(&folder, &made, disk).map(|()| done));
    if done.is_err() {
        files.discard();
    }
    done
}

/// The short name, unless it is another recording's; and whether this recording is there already.
fn choose_name(
    facts: &CallFacts,
    start_ns: u64,
    root: &Path,
    disk: &dyn Disk,
) -> Result<(ArchiveName, bool), FinalizeError> {
    let name = ArchiveName::new(facts, start_ns);
    let path = root.join(name.path("json"));
    let there = disk.open_file(&path).map_err(|source| at(DiskStep::OpenFile, &path, source))?;
    let replaces = there.is_some();
    let mut sidecar = Vec::new();
    if let Some(file) = there {
        let mut file = file.take(SIDECAR_BYTES_MAX);
        file.read_to_end(&mut sidecar).map_err(|source| at(DiskStep::Read, &path, source))?;
    }
    if replaces && json::id_of(&sidecar).as_deref() != Some(&facts.id) {
        return Ok((ArchiveName::in_full(facts, start_ns), replaces));
    }
    Ok((name, replaces))
}

fn folder_of(name: &ArchiveName, root: &Path) -> PathBuf {
    name.folders.iter().fold(root.to_owned(), |path, folder| path.join(folder))
}

/// Makes the folders from the root down; returns the parents of those that were new.
fn make_folders(
    name: &ArchiveName,
    root: &Path,
    disk: &dyn Disk,
) -> Result<Vec<PathBuf>, FinalizeError> {
    let mut path = root.to_owned();
    let mut parents = Vec::new();
    for folder in &name.folders {
        let parent = path.clone();
        path.push(folder);
        if disk.create_dir(&path).map_err(|source| at(DiskStep::CreateDir, &path, source))? {
            parents.push(parent);
        }
    }
    Ok(parents)
}

fn sync_folders(folder: &Path, parents: &[PathBuf], disk: &dyn Disk) -> Result<(), FinalizeError> {
    for path in [folder].into_iter().chain(parents.iter().rev().map(PathBuf::as_path)) {
        disk.sync_dir(path).map_err(|source| at(DiskStep::SyncDir, path, source))?;
    }
    Ok(())
}

fn write_all(
    facts: &CallFacts,
    name: &ArchiveName,
    plan: Plan<'_>,
    format: Format,
    decoders: &Decoders,
    files: &mut Files<'_>,
) -> Result<FinishedRecording, FinalizeError> {
    let sidecar = |extension: &str| format!("{}.{extension}", name.stem);
    let (json_file, xml_file) = (sidecar("json"), sidecar("xml"));
    let (audio_path, file) = files.create(&sidecar(format.extension()))?;
    let audio = match format {
        Format::Wav | Format::OggOpus => write_streamed(plan, file, &audio_path, decoders)?,
        Format::Mp3 => write_patched(plan, file, &audio_path, files.disk, decoders)?,
    };
    let Audio { report, bytes, sha256 } = audio;
    let done = FinishedRecording {
        id: facts.id.clone(),
        path: name.audio_path(format),
        json_path: name.path("json"),
        xml_path: name.path("xml"),
        format,
        bytes,
        sha256,
        report,
    };
    let json = json::sidecar(facts, &done).map_err(|source| FinalizeError::Json { source })?;
    files.write(&json_file, &json)?;
    let xml =
        xml::details(facts, &done).map_err(|source| at(DiskStep::Write, &audio_path, source))?;
    files.write(&xml_file, &xml)?;
    Ok(done)
}

/// What was written and synced.
struct Audio {
    report: RenderReport,
    bytes: u64,
    sha256: String,
}

/// Audio that is written from front to back is hashed on its way.
fn write_streamed(
    plan: Plan<'_>,
    file: Box<dyn DiskFile>,
    path: &Path,
    decoders: &Decoders,
) -> Result<Audio, FinalizeError> {
    let mut out = BufWriter::with_capacity(WRITE_BYTES, DigestWriter::new(file));
    let (report, _) =
        plan.run(Target::Stream(&mut out), decoders).map_err(|error| rendering(error, path))?;
    let digest = out.into_inner().map_err(|error| at(DiskStep::Write, path, error.into_error()))?;
    let (file, bytes, sha256) = digest.finish();
    sync(file, path)?;
    Ok(Audio { report, bytes, sha256 })
}

/// Audio whose beginning is written last is hashed when it is whole, out of the page cache.
fn write_patched(
    plan: Plan<'_>,
    file: Box<dyn DiskFile>,
    path: &Path,
    disk: &dyn Disk,
    decoders: &Decoders,
) -> Result<Audio, FinalizeError> {
    let (report, file) =
        plan.run(Target::File(file), decoders).map_err(|error| rendering(error, path))?;
    if let Some(file) = file {
        sync(file, path)?;
    }
    let there = disk.open_file(path).map_err(|source| at(DiskStep::OpenFile, path, source))?;
    let mut audio =
        there.ok_or_else(|| at(DiskStep::OpenFile, path, io::ErrorKind::NotFound.into()))?;
    let mut digest = DigestWriter::new(io::sink());
    io::copy(&mut audio, &mut digest).map_err(|source| at(DiskStep::Read, path, source))?;
    let (_, bytes, sha256) = digest.finish();
    Ok(Audio { report, bytes, sha256 })
}

fn rendering(error: RenderError, path: &Path) -> FinalizeError {
    match error {
        RenderError::Sink { source } => at(DiskStep::Write, path, source),
        source => FinalizeError::Render { source },
    }
}

fn sync(mut file: Box<dyn DiskFile>, path: &Path) -> Result<(), FinalizeError> {
    file.sync().map_err(|source| at(DiskStep::Sync, path, source))
}

fn at(step: DiskStep, path: &Path, source: io::Error) -> FinalizeError {
    FinalizeError::Disk { step, path: path.to_owned(), source }
}

/// The files of one recording while they are made, audio first.
struct Files<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    /// Files of an earlier attempt may have the final names, and a row of the catalog with them.
    replaces: bool,
    /// Temporary and final path.
    written: Vec<(PathBuf, PathBuf)>,
    /// How many of them, from the last, have their final names.
    published: usize,
}

impl Files<'_> {
    fn create(&mut self, name: &str) -> Result<(PathBuf, Box<dyn DiskFile>), FinalizeError> {
        let temporary = self.folder.join(format!(".{name}.part"));
        let file = self
            .disk
            .create_file(&temporary)
            .map_err(|source| at(DiskStep::CreateFile, &temporary, source))?;
        self.written.push((temporary.clone(), self.folder.join(name)));
        Ok((temporary, file))
    }

    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), FinalizeError> {
        let (path, mut file) = self.create(name)?;
        file.write_all(content).map_err(|source| at(DiskStep::Write, &path, source))?;
        sync(file, &path)
    }

    /// Gives all their final names, the audio last.
    fn publish(&mut self) -> Result<(), FinalizeError> {
        for (temporary, path) in self.written.iter().rev() {
            self.disk
                .rename(temporary, path)
                .map_err(|source| at(DiskStep::Rename, path, source))?;
            self.published += 1;
        }
        Ok(())
    }

    /// Removes what this attempt made. What cannot be removed is replaced by the next attempt. A
    /// final name that was taken before stays: its content is the same, and a row may need it.
    fn discard(&self) {
        let unpublished = self.written.len() - self.published;
        for (temporary, _) in &self.written[..unpublished] {
            let _ = self.disk.remove_file(temporary);
        }
        for (_, path) in self.written[unpublished..].iter().filter(|_| !self.replaces) {
            let _ = self.disk.remove_file(path);
        }
    }
}
