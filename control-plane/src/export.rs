//! `recordings export`: a copy of a recording, in its format or another, or its packets as pcapng (REC-8); of a call
//! in progress what there is of it (REC-4).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use earwitness_catalog::{Catalog, CatalogError, RecordingRow};
use earwitness_codec::Resampler;
use earwitness_codec::sink::{self, AudioShape, Sink, SinkError};
use earwitness_line::pcap::Writer;
use earwitness_segment::{LaneId, Log, ReadError, RecordMeta, RecordPos, SegmentError};
use earwitness_wire::LinkType;

use crate::call::Call;
use crate::cli::{Export, ExportFormat};
use crate::config::{Config, ConfigError, FileFormat};
use crate::finish::Places;
use crate::follow::{self, CURSORS};
use crate::listen::{self, ListenError};
use crate::setup::segments_dir;

/// Samples converted at a time.
const CHUNK_FRAMES: usize = 8192;
/// What every sink takes.
const COMMON_RATES: [u32; 5] = [8000, 12_000, 16_000, 24_000, 48_000];

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("recording {id} is {format}; only wav can be converted: export it without --format")]
    NotWav { id: String, format: String },
    #[error("{path} is not the wav file that was recorded: {reason}")]
    BadWav { path: PathBuf, reason: &'static str },
    #[error("cannot convert to {path}")]
    Convert { path: PathBuf, source: SinkError },
    #[error("--output - takes the recording as it is or pcapng: name a file for a conversion")]
    NeedsFile,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(
        "no recording and no call in progress begins with id {id}: see `earwitness recordings list` and \
         `earwitness calls list`"
    )]
    Unknown { id: String },
    #[error("call {id} has no recording: {why}")]
    NotRecorded { id: String, why: &'static str },
    #[error("nobody has been heard yet in call {id}: try again later")]
    Unheard { id: String },
    #[error("the segment log cannot be read")]
    Log { source: SegmentError },
    #[error(
        "the packets of recording {id} are no longer in the log; capture.log_mib_max says how many are kept"
    )]
    PacketsGone { id: String, source: Option<ReadError> },
}

/// Whose packets are exported.
struct Subject<'a> {
    /// For errors: what was asked for.
    id: &'a str,
    comment: String,
}

/// Does what the command line asks for.
///
/// # Errors
/// [`ExportError`]; a file that was begun is removed.
pub async fn export(asked: &Export) -> Result<(), ExportError> {
    let catalog = Catalog::open_existing(&asked.data_dir).await?;
    let result = match catalog.recording(&asked.id).await {
        Ok(row) => recording(asked, &catalog, &row).await,
        Err(CatalogError::NoRecording { .. }) => call(asked, &catalog).await,
        Err(error) => Err(error.into()),
    };
    if result.is_err() && asked.output.as_os_str() != "-" {
        // What is left would look like a whole export.
        let _ = std::fs::remove_file(&asked.output);
    }
    result
}

async fn recording(
    asked: &Export,
    catalog: &Catalog,
    row: &RecordingRow,
) -> Result<(), ExportError> {
    let places = catalog.places(&row.call).await?;
    match asked.format {
        Some(ExportFormat::Pcapng) => {
            let comment = format!("call {}, recording {}, {}", row.call, row.id, row.call_id);
            let places = places.as_deref().and_then(Places::from_bytes);
            packets(asked, &Subject { id: &row.id, comment }, places)
        }
        Some(format) if format_name(format) != row.format => convert(asked, row, format),
        Some(_) | None => copy(asked, row),
    }
}

/// A call by its id: its recording, if it is over, or what there is of it.
async fn call(asked: &Export, catalog: &Catalog) -> Result<(), ExportError> {
    let config = asked.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    if let Some(row) = catalog.call(&asked.id).await?.filter(|row| row.state == "ended") {
        let Some(id) = row.recordings.first() else {
            let why =
                if row.decision.recorded { "nobody was heard" } else { "policy did not want it" };
            return Err(ExportError::NotRecorded { id: row.id, why });
        };
        return recording(asked, catalog, &catalog.recording(id).await?).await;
    }
    let note = catalog.memory(CURSORS).await?;
    let note = note.as_deref().map(follow::from_bytes).unwrap_or_default();
    let found = listen::find(&asked.data_dir, &config, &note, &asked.id)?;
    let call = found.ok_or_else(|| ExportError::Unknown { id: asked.id.clone() })?;
    in_progress(asked, config, &call)
}

fn in_progress(asked: &Export, mut config: Config, call: &Call) -> Result<(), ExportError> {
    config.recording.format = match asked.format {
        Some(ExportFormat::Pcapng) => {
            let comment = format!("call {} in progress, {}", call.id, call.call_id);
            return packets(asked, &Subject { id: &call.id, comment }, Some(Places::of(call)));
        }
        Some(ExportFormat::Wav) => FileFormat::Wav,
        Some(ExportFormat::Mp3) => FileFormat::Mp3,
        Some(ExportFormat::Opus) => FileFormat::Opus,
        None => config.recording.format,
    };
    let mut output = create(&asked.output)?;
    let report = listen::render(&asked.data_dir, &config, call, &mut output)?;
    output.flush().map_err(|source| ExportError::Write { path: asked.output.clone(), source })?;
    match report {
        Some(report) => {
            tracing::info!(call = %call.id, duration_ms = report.duration_ms, "the call goes on");
            Ok(())
        }
        None => Err(ExportError::Unheard { id: call.id.clone() }),
    }
}

const fn format_name(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Wav => "wav",
        ExportFormat::Mp3 => "mp3",
        ExportFormat::Opus => "opus",
        ExportFormat::Pcapng => "pcapng",
    }
}

fn open(path: PathBuf) -> Result<BufReader<File>, ExportError> {
    File::open(&path).map(BufReader::new).map_err(|source| ExportError::Read { path, source })
}

fn create(path: &Path) -> Result<Box<dyn Write>, ExportError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdout()));
    }
    let file = File::create(path)
        .map_err(|source| ExportError::Write { path: path.to_owned(), source })?;
    Ok(Box::new(BufWriter::new(file)))
}

fn copy(asked: &Export, row: &RecordingRow) -> Result<(), ExportError> {
    let mut from = open(asked.data_dir.join(&row.path))?;
    let mut to = create(&asked.output)?;
    io::copy(&mut from, &mut to)
        .and_then(|_| to.flush())
        .map_err(|source| ExportError::Write { path: asked.output.clone(), source })
}

fn convert(asked: &Export, row: &RecordingRow, format: ExportFormat) -> Result<(), ExportError> {
    if row.format != "wav" {
        return Err(ExportError::NotWav { id: row.id.clone(), format: row.format.clone() });
    }
    if asked.output.as_os_str() == "-" {
        return Err(ExportError::NeedsFile);
    }
    let path = asked.data_dir.join(&row.path);
    let mut from = open(path.clone())?;
    skip_header(&mut from, &path)?;
    let rate = match COMMON_RATES.contains(&row.sample_rate) {
        true => row.sample_rate,
        false => 48_000,
    };
    let shape = AudioShape { sample_rate: rate, channels: row.channels };
    let failed = |source| ExportError::Convert { path: asked.output.clone(), source };
    let format = match format {
        ExportFormat::Mp3 => sink::Format::mp3(row.channels),
        ExportFormat::Opus => sink::Format::ogg_opus(row.channels),
        ExportFormat::Wav | ExportFormat::Pcapng => sink::Format::Wav,
    };
    let file = File::create(&asked.output)
        .map_err(|source| ExportError::Write { path: asked.output.clone(), source })?;
    let mut sink = format.create(shape, BufWriter::new(file)).map_err(failed)?;
    pour(&mut from, &path, row, rate, sink.as_mut()).map_err(|error| match error {
        Pouring::Read(error) => error,
        Pouring::Sink(source) => failed(source),
    })?;
    let (mut file, _) = sink.finish().map_err(failed)?;
    file.flush().map_err(|source| ExportError::Write { path: asked.output.clone(), source })
}

enum Pouring {
    Read(ExportError),
    Sink(SinkError),
}

/// Reads samples to the end of the file, through a resampler for each channel where rates differ.
fn pour<W>(
    from: &mut impl Read,
    path: &Path,
    row: &RecordingRow,
    rate: u32,
    sink: &mut dyn Sink<W>,
) -> Result<(), Pouring> {
    let channels = usize::from(row.channels);
    let mut resamplers: Vec<Resampler> = match rate == row.sample_rate {
        true => Vec::new(),
        false => (0..channels).map(|_| Resampler::new(row.sample_rate, rate)).collect(),
    };
    let mut bytes = vec![0; CHUNK_FRAMES * channels * 2];
    loop {
        let count = read_full(from, &mut bytes)
            .map_err(|source| Pouring::Read(ExportError::Read { path: path.to_owned(), source }))?;
        let samples: Vec<i16> = bytes[..count]
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let is_last = count < bytes.len();
        if resamplers.is_empty() {
            sink.write(&samples).map_err(Pouring::Sink)?;
        } else {
            sink.write(&resample(&mut resamplers, &samples, is_last)).map_err(Pouring::Sink)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn resample(resamplers: &mut [Resampler], samples: &[i16], is_last: bool) -> Vec<i16> {
    let channels = resamplers.len();
    let planes: Vec<Vec<i16>> = resamplers
        .iter_mut()
        .enumerate()
        .map(|(channel, resampler)| {
            let own: Vec<i16> = samples.iter().skip(channel).step_by(channels).copied().collect();
            let mut out = Vec::new();
            resampler.push(&own, &mut out);
            if is_last {
                resampler.finish(&mut out);
            }
            out
        })
        .collect();
    let frames = planes.iter().map(Vec::len).min().unwrap_or(0);
    (0..frames).flat_map(|frame| planes.iter().map(move |plane| plane[frame])).collect()
}

fn read_full(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match from.read(&mut bytes[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// RIFF or RF64: chunks until the samples. Written by ourselves, so nothing but their order is looked at.
fn skip_header(from: &mut impl Read, path: &Path) -> Result<(), ExportError> {
    let read = |source| ExportError::Read { path: path.to_owned(), source };
    let bad = |reason| ExportError::BadWav { path: path.to_owned(), reason };
    let mut head = [0; 12];
    from.read_exact(&mut head).map_err(read)?;
    if &head[8..] != b"WAVE" {
        return Err(bad("no WAVE header"));
    }
    for _ in 0..16 {
        let mut chunk = [0; 8];
        from.read_exact(&mut chunk).map_err(read)?;
        let length = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        if &chunk[..4] == b"data" {
            return Ok(());
        }
        io::copy(&mut from.by_ref().take(u64::from(length)), &mut io::sink()).map_err(read)?;
    }
    Err(bad("no samples"))
}

/// A packet's place with its time, to write them in order.
type Found = (u64, LaneId, RecordPos);

fn packets(
    asked: &Export,
    subject: &Subject<'_>,
    places: Option<Places>,
) -> Result<(), ExportError> {
    let gone = |source| ExportError::PacketsGone { id: subject.id.to_owned(), source };
    let places = places.ok_or_else(|| gone(None))?;
    let log = Log::open(&segments_dir(&asked.data_dir));
    let mut log = log.map_err(|source| ExportError::Log { source })?;
    let mut found: Vec<Found> = Vec::new();
    for (lane, pos) in places.messages() {
        let record = log.read(lane, pos).map_err(|source| gone(Some(source)))?;
        found.push((record.meta.ts_ns, lane, pos));
    }
    for place in &places.chains {
        let chain = place.chain();
        let mut pos = chain.last;
        while !pos.is_none() && pos.seq() >= chain.first_seq {
            let meta = log.read(chain.lane, pos).map_err(|source| gone(Some(source)))?.meta;
            if meta.ts_ns < place.first_ns {
                break;
            }
            if meta.ts_ns <= place.last_ns {
                found.push((meta.ts_ns, chain.lane, pos));
            }
            pos = meta.prev;
        }
    }
    // In order of time; what several flows or hops name twice, once.
    found.sort_unstable();
    found.dedup();
    let output = create(&asked.output)?;
    write_packets(output, &subject.comment, &mut log, &found).map_err(|error| match error {
        Ok(source) => ExportError::Write { path: asked.output.clone(), source },
        Err(source) => gone(Some(source)),
    })
}

/// Fails with `Ok` of the output's error, or `Err` of the log's.
fn write_packets(
    output: Box<dyn Write>,
    comment: &str,
    log: &mut Log,
    found: &[Found],
) -> Result<(), Result<io::Error, ReadError>> {
    let mut writer = Writer::new(output, "earwitness", Some(comment)).map_err(Ok)?;
    let mut interfaces = Vec::new();
    for (_, lane, pos) in found {
        let record = log.read(*lane, *pos).map_err(Err)?;
        let RecordMeta { ts_ns, wire_len, link, source, .. } = record.meta;
        let known = interfaces.iter().find(|(key, _)| *key == (link, source)).map(|(_, id)| *id);
        let interface = match known {
            Some(interface) => interface,
            None => {
                let name = format!("source {source}");
                let interface = writer.interface(link_type(link), &name, None).map_err(Ok)?;
                interfaces.push(((link, source), interface));
                interface
            }
        };
        writer.packet(interface, ts_ns, wire_len, record.frame, None).map_err(Ok)?;
    }
    writer.finish().map(drop).map_err(Ok)
}

const fn link_type(link: u8) -> LinkType {
    match link {
        1 => LinkType::RawIp,
        2 => LinkType::Sll,
        3 => LinkType::Sll2,
        _ => LinkType::Ethernet,
    }
}
