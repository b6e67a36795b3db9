//! The closed sets of words that configuration keys take.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ( $( #[doc = $doc:literal] pub enum $name:ident { $( $word:literal => $variant:ident ),* $(,)? } )* ) => { $(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
        pub enum $name { $( #[serde(rename = $word)] #[value(name = $word)] $variant ),* }

        impl $name {
            /// The word as the file has it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }
    )* };
}

words! {
    /// `capture.source`.
    pub enum CaptureSource { "auto" => Auto, "bpf_ring" => BpfRing, "af_xdp" => AfXdp, "af_packet" => AfPacket }
    /// `capture.unmatched_media`.
    pub enum UnmatchedMedia { "drop" => Drop, "keep" => Keep }
    /// `capture.unmatched`.
    pub enum Unmatched { "drop" => Drop, "pass" => Pass }
    /// `recording.default`.
    pub enum RecordDefault { "all" => All, "none" => None }
    /// `recording.format`.
    pub enum FileFormat { "wav" => Wav, "mp3" => Mp3, "opus" => Opus }
    /// `control.from`.
    pub enum Commander { "caller" => Caller, "callee" => Callee, "either" => Either }
    /// `control.on_demand`.
    pub enum OnDemand { "off" => Off, "now" => Now, "call_start" => CallStart }
    /// `control.pause`.
    pub enum PauseStyle { "silence" => Silence, "cut" => Cut }
    /// `recording.leg`.
    pub enum RecordedLeg { "best" => Best, "first" => First, "last" => Last }
    /// `recording.layout`.
    pub enum Layout { "stereo" => Stereo, "mono" => Mono }
}
