//! The configuration file: typed, strict, every key with its default and meaning beside it.
//!
//! `docs/configuration.md` is generated from these types (`earwitness config reference`), so the page
//! cannot say something else than the program does. What is not here: reading the command line.

mod control;
mod limits;
mod section;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use earwitness_wire::Endpoint;
use earwitness_wire::limits::VXLAN_PORTS_MAX;

pub use control::Control;
pub use limits::{CORRELATE_HEADERS_MAX, RING_MIB_MAX};
pub use section::{Key, Section};
pub use values::{
    CaptureSource, Commander, FileFormat, Layout, OnDemand, PauseStyle, RecordDefault, RecordedLeg,
    Unmatched, UnmatchedMedia,
};

use section::settings;

settings! {
    /// Where packets come from and how long they may wait.
    pub struct Capture in "capture" {
        /// Taps: names of network interfaces. `run` needs at least one.
        pub interfaces: Vec<String> = Vec::new(),
        /// How packets are received: `auto` takes the best that the driver has and says why.
        pub source: CaptureSource = CaptureSource::Auto,
        /// Ports on which SIP is expected. SIP on other ports is found by its first bytes.
        pub sip_ports: Vec<u16> = vec![5060],
        /// Longest time that media waits in memory for its verdict, in milliseconds.
        pub hold_ms: u64 = 2000,
        /// Media that no call announced once `hold_ms` has passed: `drop` or `keep`.
        pub unmatched_media: UnmatchedMedia = UnmatchedMedia::Drop,
        /// Packets that are neither signalling nor media: `drop` on a tap port, `pass` beside a live host.
        pub unmatched: Unmatched = Unmatched::Drop,
        /// UDP ports that carry VXLAN, at most four.
        pub vxlan_ports: Vec<u16> = vec![4789],
        /// Memory for waiting media of each core, in MiB (rounded up to a power of two).
        pub ring_mib: u32 = 64,
        /// Size of a segment file, in MiB.
        pub segment_mib: u32 = 64,
        /// Captured packets kept on disk after their calls are finished, in MiB; the oldest go first.
        pub log_mib_max: u64 = 16_384,
        /// Released segment files that each core keeps to use again, in MiB, beside `log_mib_max`.
        pub spare_mib: u32 = 256,
        /// The capture program; empty: beside this one, or on PATH.
        pub program: PathBuf = PathBuf::new(),
    }
}

settings! {
    /// How calls are followed.
    pub struct Calls in "calls" {
        /// Calls followed at once; past that the oldest idle one is given up, counted and logged.
        pub calls_max: usize = 200_000,
        /// An answered call whose media stopped this long ago without BYE is over, in milliseconds.
        pub media_idle_ms: u64 = 60_000,
        /// A call that was never answered is given up after this time, in milliseconds.
        pub unanswered_ms: u64 = 300_000,
        /// Longest call, in seconds.
        pub length_max_s: u64 = 43_200,
        /// Media that still belongs to a call after its BYE, in milliseconds.
        pub trailing_media_ms: u64 = 500,
        /// Headers that have the same value in all legs of a call; the legs are shown, and recorded, as one call.
        pub correlate_headers: Vec<String> = vec!["X-Session-Id".to_owned()],
        /// How far apart INVITEs before and behind a box may be to be joined by their numbers, in milliseconds.
        pub correlate_window_ms: u64 = 3000,
        /// Least confidence at which legs are joined, in percent: 100 only what says so, 80 also media addresses, 70 also calling and called number, 60 also the calling number alone.
        pub correlate_confidence: u8 = 60,
        /// Address translation: `from=to`, each `address` or `address:port`: media from the first counts as media from the second.
        pub aliases: Vec<String> = Vec::new(),
    }
}

settings! {
    /// What becomes of calls.
    pub struct Recording in "recording" {
        /// Which calls are recorded of which no policy speaks: `all` or `none`.
        pub default: RecordDefault = RecordDefault::All,
        /// File format: `wav`, `mp3` or `opus`.
        pub format: FileFormat = FileFormat::Wav,
        /// Samples a second; 0: the highest that the call's codecs have.
        pub sample_rate: u32 = 0,
        /// Which leg of a conversation is recorded: `best` (on which both parties are heard best), `first` (the caller's) or `last` (the one of who answered).
        pub leg: RecordedLeg = RecordedLeg::Best,
        /// `stereo` (caller left, callee right) or `mono` (mixed).
        pub layout: Layout = Layout::Stereo,
        /// A recording ends by itself after so many seconds; 0: with its call.
        pub time_limit_s: u64 = 0,
        /// A recording that is shorter, in seconds, is not kept.
        pub length_min_s: u64 = 0,
        /// Threads that finish recordings; 0: one for each core but one.
        pub workers: usize = 0,
        /// The decoder program for foreign formats; empty: beside this one, or on PATH.
        pub codec_program: PathBuf = PathBuf::new(),
    }
}

settings! {
    /// Who is recorded, in which form.
    pub struct PolicyFiles in "policy" {
        /// Policy files, JSON or TOML, and folders of them; read as a whole at the start, on SIGHUP, and for `earwitness policy reload`, `apply` and `remove`.
        pub files: Vec<PathBuf> = Vec::new(),
    }
}

settings! {
    /// Web, API and metrics.
    pub struct Http in "http" {
        /// Address and port; loopback by default.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)),
    }
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder: segments, recordings, catalog.
    pub data_dir: PathBuf,
    pub capture: Capture,
    pub calls: Calls,
    pub recording: Recording,
    pub policy: PolicyFiles,
    pub control: Control,
    pub http: Http,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/earwitness"),
            capture: Capture::default(),
            calls: Calls::default(),
            recording: Recording::default(),
            policy: PolicyFiles::default(),
            control: Control::default(),
            http: Http::default(),
        }
    }
}

/// Why a configuration was refused. The file is named; the remedy is in the text.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("configuration {path} is not valid: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("configuration: {key} = {value}: {remedy}")]
    Value { key: &'static str, value: String, remedy: &'static str },
}

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown or ill-typed key, or a value out of its range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: one_line(&text, &error),
        })?;
        config.check()?;
        Ok(config)
    }

    /// `calls.aliases`, read; port 0 stands for any.
    ///
    /// # Errors
    /// The first entry that is not `from=to`.
    pub fn aliases(&self) -> Result<Vec<(Endpoint, Endpoint)>, ConfigError> {
        let read = |entry: &String| {
            let (from, to) = entry.split_once('=')?;
            Some((endpoint(from.trim())?, endpoint(to.trim())?))
        };
        let refused = |entry: &String| ConfigError::Value {
            key: "calls.aliases",
            value: entry.clone(),
            remedy: "write \"198.51.100.7=10.0.0.7\" or \"198.51.100.7:4000=10.0.0.7:4000\"",
        };
        self.calls.aliases.iter().map(|entry| read(entry).ok_or_else(|| refused(entry))).collect()
    }

    /// Refuses values that parse but cannot be meant.
    ///
    /// # Errors
    /// The first value out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let capture = &self.capture;
        in_range("capture.hold_ms", capture.hold_ms, 1, 60_000, "use 1 to 60000")?;
        let ring_mib = capture.ring_mib.into();
        in_range("capture.ring_mib", ring_mib, 1, RING_MIB_MAX.into(), "use 1 to 2048")?;
        in_range("capture.segment_mib", capture.segment_mib.into(), 1, 2048, "use 1 to 2048")?;
        in_range(
            "calls.calls_max",
            self.calls.calls_max as u64,
            1,
            10_000_000,
            "use 1 to 10000000",
        )?;
        in_range(
            "calls.media_idle_ms",
            self.calls.media_idle_ms,
            1000,
            86_400_000,
            "use 1000 or more",
        )?;
        in_range("calls.length_max_s", self.calls.length_max_s, 1, 604_800, "use 1 to 604800")?;
        in_range(
            "calls.trailing_media_ms",
            self.calls.trailing_media_ms,
            0,
            10_000,
            "use 0 to 10000",
        )?;
        let window_ms = self.calls.correlate_window_ms;
        in_range("calls.correlate_window_ms", window_ms, 0, 60_000, "use 0 to 60000")?;
        let confidence = self.calls.correlate_confidence.into();
        in_range("calls.correlate_confidence", confidence, 1, 100, "use 1 to 100")?;
        if self.calls.correlate_headers.len() > CORRELATE_HEADERS_MAX {
            return Err(ConfigError::Value {
                key: "calls.correlate_headers",
                value: format!("{:?}", self.calls.correlate_headers),
                remedy: "name at most 4 headers",
            });
        }
        if capture.sip_ports.is_empty() || capture.sip_ports.len() > 64 {
            return Err(ConfigError::Value {
                key: "capture.sip_ports",
                value: format!("{:?}", capture.sip_ports),
                remedy: "name 1 to 64 ports",
            });
        }
        if capture.vxlan_ports.len() > VXLAN_PORTS_MAX {
            return Err(ConfigError::Value {
                key: "capture.vxlan_ports",
                value: format!("{:?}", capture.vxlan_ports),
                remedy: "name at most 4 ports",
            });
        }
        self.aliases()?;
        self.control.settings()?;
        let rate = self.recording.sample_rate;
        if rate != 0 && !matches!(rate, 8000 | 16_000 | 24_000 | 32_000 | 44_100 | 48_000) {
            return Err(ConfigError::Value {
                key: "recording.sample_rate",
                value: rate.to_string(),
                remedy: "use 0, 8000, 16000, 24000, 32000, 44100 or 48000",
            });
        }
        Ok(())
    }
}

/// An address with or without port.
fn endpoint(text: &str) -> Option<Endpoint> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0));
    with_port.or_else(alone).map(Endpoint::from)
}

fn in_range(
    key: &'static str,
    value: u64,
    min: u64,
    max: u64,
    remedy: &'static str,
) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Value { key, value: value.to_string(), remedy })
}

/// The place and the complaint of a TOML error on one line.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let line =
        error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
    format!("line {line}: {}", error.message().replace('\n', " "))
}

/// The sections in the order of the reference page.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        Capture::section(),
        Calls::section(),
        Recording::section(),
        PolicyFiles::section(),
        Control::section(),
        Http::section(),
    ]
}

/// `docs/configuration.md`, generated.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\nOne TOML file, given with `--config`. Every key is optional but `capture.interfaces`, which `run` needs;\n\
         an unknown key is refused. This page is generated: `earwitness config reference > docs/configuration.md`.\n\n\
         | key | default | meaning |\n|---|---|---|\n",
    );
    page += "| `data_dir` | `\"/var/lib/earwitness\"` | The data folder: segments, recordings, catalog. |\n";
    for section in sections() {
        page += &format!(
            "\n## [{}]\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n",
            section.name, section.doc
        );
        for key in section.keys {
            page += &format!("| `{}` | `{}` | {} |\n", key.name, key.default, key.doc);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_smallest_file_takes_every_default() {
        let config = parse("[capture]\ninterfaces = [\"eth1\"]\n").expect("valid");
        assert_eq!(config.capture.interfaces, ["eth1"]);
        assert_eq!(config.capture.hold_ms, 2000);
        assert_eq!(config.recording.default, RecordDefault::All);
        config.check().expect("defaults are in range");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = parse("[capture]\nhold = 3\n").expect_err("unknown");
        assert!(error.to_string().contains("hold"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_names_its_key() {
        let config = parse("[capture]\nhold_ms = 0\n").expect("parses");
        assert!(config.check().expect_err("refused").to_string().contains("capture.hold_ms"));
        let config = parse("[capture]\nring_mib = 2049\n").expect("parses");
        assert!(config.check().expect_err("refused").to_string().contains("capture.ring_mib"));
        let config = parse("[capture]\nvxlan_ports = [1, 2, 3, 4, 5]").expect("parses");
        assert!(config.check().expect_err("refused").to_string().contains("capture.vxlan_ports"));
    }

    #[test]
    fn the_reference_page_is_the_committed_one() {
        let committed = include_str!("../../../docs/configuration.md");
        assert_eq!(
            committed,
            reference(),
            "run: earwitness config reference > docs/configuration.md"
        );
    }
}
