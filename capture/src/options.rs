//! What the command line says. Everything comes as a flag: the privileged process reads no file but
//! what it must, and parses no configuration.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use earwitness_segment::limits::RECYCLE_MAX;
use earwitness_wire::limits::{VXLAN_PORT, VXLAN_PORTS_MAX};
use thiserror::Error;

use crate::limits::{
    CORES_MAX, HOLD_MS_MAX, INTERFACES_MAX, RING_MIB_MAX, SEGMENT_MIB_MAX,
    SIGNALLING_RING_BYTES_MIN, SIGNALLING_RING_DIVISOR, SOCKETS_PER_QUEUE_MAX,
};

const EXAMPLE: &str = "\
Example:
  earwitness-capture run --data-dir /var/lib/earwitness --interface eth1 --sip-port 5060

It is started by `earwitness run` or by systemd; nobody needs to start it by hand.
Exit codes: 0 ended in order, 1 failed (one line on stderr says why), 2 wrong use.";

/// Receives SIP and media from network taps and writes them to the segment log.
#[derive(Debug, Parser)]
#[command(name = "earwitness-capture", version, after_help = EXAMPLE)]
pub struct Cli {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Capture until SIGTERM, SIGINT or the control plane's `Shutdown`
    Run(RunOptions),
}

/// Which kind of source to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SourceChoice {
    /// The best that the interface's driver and the kernel allow
    #[default]
    Auto,
    /// The XDP program copies into BPF ring buffers
    BpfRing,
    /// The XDP program redirects to AF_XDP sockets
    AfXdp,
    /// Packet sockets, without XDP
    AfPacket,
}

/// Media that no call announced, once `hold` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum UnmatchedMedia {
    #[default]
    Drop,
    Keep,
}

/// Frames that are neither signalling nor media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum UnmatchedFrames {
    /// Dropped in the driver: for a port that only taps
    #[default]
    Drop,
    /// Passed to the host, like every other frame: for a port that a live host uses
    Pass,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLE)]
pub struct RunOptions {
    /// Where segments are written and the door is served
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// A tap; may be repeated
    #[arg(long = "interface", value_name = "NAME", required = true)]
    pub interfaces: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    pub source: SourceChoice,
    /// A port at which everything is signalling; may be repeated
    #[arg(long = "sip-port", value_name = "PORT", default_values_t = [5060])]
    pub sip_ports: Vec<u16>,
    /// A UDP port at which VXLAN is looked for; may be repeated, 0 is none
    #[arg(long = "vxlan-port", value_name = "PORT", default_values_t = [VXLAN_PORT])]
    pub vxlan_ports: Vec<u16>,
    /// How long undecided media waits, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(0..=HOLD_MS_MAX))]
    pub hold_ms: u64,
    /// Media that no call announced, once `hold` has passed
    #[arg(long, value_enum, default_value_t)]
    pub unmatched_media: UnmatchedMedia,
    /// Tell the control plane masked audio, too, for it to look for keys as tones; it is in no file
    #[arg(long)]
    pub tones: bool,
    /// Frames that are neither signalling nor media
    #[arg(long, value_enum, default_value_t)]
    pub unmatched: UnmatchedFrames,
    /// Delay line of each core in MiB, a power of two: `hold` times the rate
    #[arg(long, value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=RING_MIB_MAX))]
    pub ring_mib: u64,
    /// Size of a media segment in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=SEGMENT_MIB_MAX))]
    pub segment_mib: u64,
    /// Released segments of each lane that are kept to be used again, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub spare_mib: u64,
    /// The door's socket [default: DATA_DIR/run/capture.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Lanes of sources that copy (af_xdp, af_packet), each with two threads
    /// [default: half as many as cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CORES_MAX))]
    pub lanes: Option<u64>,
    /// AF_XDP sockets for each receive queue, where one core cannot keep up
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=SOCKETS_PER_QUEUE_MAX))]
    pub sockets_per_queue: u32,
    /// SHA-256 of the configuration that these flags were made from, in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = digest)]
    pub config_digest: Option<[u8; 32]>,
}

/// What clap's own checks do not see.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionsError {
    #[error("--ring-mib {mib} is not a power of two: take {next}")]
    RingNotPowerOfTwo { mib: u64, next: u64 },
    #[error("{count} interfaces are more than {INTERFACES_MAX}: start a second capture")]
    TooManyInterfaces { count: usize },
    #[error("--interface {name} is named twice: name it once")]
    InterfaceTwice { name: String },
    #[error("{count} --vxlan-port are more than {VXLAN_PORTS_MAX}: name the ports in use")]
    TooManyVxlanPorts { count: usize },
    #[error("--source af_xdp takes frames away from the host: use --unmatched drop, or bpf_ring")]
    SocketsCannotPass,
}

#[derive(Debug, Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
struct NotADigest;

impl RunOptions {
    /// Checks what belongs together.
    ///
    /// # Errors
    /// [`OptionsError`], which names the remedy.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !self.ring_mib.is_power_of_two() {
            let next = self.ring_mib.next_power_of_two();
            return Err(OptionsError::RingNotPowerOfTwo { mib: self.ring_mib, next });
        }
        if self.interfaces.len() > INTERFACES_MAX {
            return Err(OptionsError::TooManyInterfaces { count: self.interfaces.len() });
        }
        for (at, name) in self.interfaces.iter().enumerate() {
            if self.interfaces[..at].contains(name) {
                return Err(OptionsError::InterfaceTwice { name: name.clone() });
            }
        }
        self.wire()?;
        if self.source == SourceChoice::AfXdp && self.unmatched == UnmatchedFrames::Pass {
            return Err(OptionsError::SocketsCannotPass);
        }
        Ok(())
    }

    /// How frames are parsed.
    ///
    /// # Errors
    /// There are more ports than it has room for.
    pub fn wire(&self) -> Result<earwitness_wire::Options, OptionsError> {
        let count = self.vxlan_ports.len();
        earwitness_wire::Options::with_vxlan_ports(&self.vxlan_ports)
            .ok_or(OptionsError::TooManyVxlanPorts { count })
    }

    /// The delay line of each core.
    #[must_use]
    pub fn media_ring_bytes(&self) -> usize {
        (self.ring_mib as usize) << 20
    }

    /// Room for signalling beside it.
    #[must_use]
    pub fn signalling_ring_bytes(&self) -> usize {
        (self.media_ring_bytes() / SIGNALLING_RING_DIVISOR).max(SIGNALLING_RING_BYTES_MIN)
    }

    /// How many segments of a size are kept to be used again; one at least, since a used one costs less.
    #[must_use]
    pub fn spare_segments(&self, segment_bytes: u64) -> u32 {
        let segments = self.spare_mib.saturating_mul(1 << 20) / segment_bytes;
        segments.clamp(1, RECYCLE_MAX.into()) as u32
    }

    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.data_dir.join("run").join("capture.sock"))
    }
}

fn digest(text: &str) -> Result<[u8; 32], NotADigest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(NotADigest);
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| NotADigest)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(more: &[&str]) -> Result<RunOptions, clap::Error> {
        let base = ["earwitness-capture", "run", "--data-dir", "/d", "--interface", "eth1"];
        Cli::try_parse_from(base.iter().chain(more)).map(|cli| {
            let Action::Run(options) = cli.action;
            options
        })
    }

    /// OPS-2: the smallest command line is that of the smallest configuration.
    #[test]
    fn defaults_are_the_designs() {
        Cli::command().debug_assert();
        let options = parse(&[]).unwrap();
        assert_eq!((options.hold_ms, options.sip_ports.as_slice()), (2000, &[5060][..]));
        assert_eq!(options.wire(), Ok(earwitness_wire::Options::DEFAULT));
        assert_eq!(options.source, SourceChoice::Auto);
        assert_eq!(options.unmatched_media, UnmatchedMedia::Drop);
        assert_eq!(options.socket_path(), PathBuf::from("/d/run/capture.sock"));
        assert_eq!(options.check(), Ok(()));
    }

    /// CAP-5: the ports that are named take the place of the default one; 0 is none.
    #[test]
    fn vxlan_ports_are_those_named() {
        let ports = |flags: &[&str]| parse(flags).unwrap().wire().unwrap().vxlan_ports;
        let two = ["--vxlan-port", "8472", "--vxlan-port", "4789"];
        assert_eq!(ports(&two), [8472, 4789, 0, 0]);
        assert_eq!(ports(&["--vxlan-port", "0"]), [0; 4]);
    }

    /// OPS-2: wrong use is refused, and the message says what to do.
    #[test]
    fn wrong_use_is_refused() {
        for wrong in [
            &["--ring-mib", "0"][..],
            &["--source", "pcap"],
            &["--hold-ms", "99999999"],
            &["--config-digest", "00ff"],
            &["--config-digest", &"zz".repeat(32)],
            &["--sip-port", "65536"],
            &["--vxlan-port", "65536"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let ring = parse(&["--ring-mib", "48"]).unwrap().check().unwrap_err();
        assert_eq!(ring.to_string(), "--ring-mib 48 is not a power of two: take 64");
        let twice = parse(&["--interface", "eth1"]).unwrap().check();
        assert_eq!(twice, Err(OptionsError::InterfaceTwice { name: "eth1".into() }));
        let pass = parse(&["--source", "af_xdp", "--unmatched", "pass"]).unwrap().check();
        assert_eq!(pass, Err(OptionsError::SocketsCannotPass));
        let five = ["--vxlan-port", "1"].repeat(5);
        let many = parse(&five).unwrap().check();
        assert_eq!(many, Err(OptionsError::TooManyVxlanPorts { count: 5 }));
        let digest = parse(&["--config-digest", &"0f".repeat(32)]).unwrap();
        assert_eq!(digest.config_digest, Some([0x0f; 32]));
    }
}
