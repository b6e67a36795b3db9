//! One media description.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::payload_type::PayloadType;

/// What a media description carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
    /// T.38 fax.
    Image,
    Text,
    Application,
    Message,
    #[default]
    Other,
}

impl MediaKind {
    pub(super) const fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"audio" => Self::Audio,
            _ if name.eq_ignore_ascii_case(b"audio") => Self::Audio,
            _ if name.eq_ignore_ascii_case(b"video") => Self::Video,
            _ if name.eq_ignore_ascii_case(b"image") => Self::Image,
            _ if name.eq_ignore_ascii_case(b"text") => Self::Text,
            _ if name.eq_ignore_ascii_case(b"application") => Self::Application,
            _ if name.eq_ignore_ascii_case(b"message") => Self::Message,
            _ => Self::Other,
        }
    }
}

/// The transport protocol of a media description (RFC 3551, 3711, 4585, 5124, 5764, ITU-T T.38).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Proto {
    #[default]
    RtpAvp,
    RtpAvpf,
    RtpSavp,
    RtpSavpf,
    UdpTlsRtpSavp,
    UdpTlsRtpSavpf,
    Udptl,
    /// As it came.
    Other(Box<str>),
}

impl Proto {
    pub(super) fn from_bytes(name: &[u8]) -> Self {
        const KNOWN: [(&[u8], Proto); 7] = [
            (b"RTP/AVP", Proto::RtpAvp),
            (b"RTP/AVPF", Proto::RtpAvpf),
            (b"RTP/SAVP", Proto::RtpSavp),
            (b"RTP/SAVPF", Proto::RtpSavpf),
            (b"UDP/TLS/RTP/SAVP", Proto::UdpTlsRtpSavp),
            (b"UDP/TLS/RTP/SAVPF", Proto::UdpTlsRtpSavpf),
            (b"udptl", Proto::Udptl),
        ];
        if name == b"RTP/AVP" {
            return Self::RtpAvp;
        }
        KNOWN
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or_else(|| Self::Other(String::from_utf8_lossy(name).into()), |(_, p)| p)
    }

    /// Whether packets are RTP.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        match self {
            Self::Udptl => false,
            Self::Other(name) => name.to_ascii_uppercase().contains("RTP/"),
            _ => true,
        }
    }

    /// Whether packets are SRTP.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        match self {
            Self::RtpSavp | Self::RtpSavpf | Self::UdpTlsRtpSavp | Self::UdpTlsRtpSavpf => true,
            Self::Other(name) => name.to_ascii_uppercase().contains("SAVP"),
            _ => false,
        }
    }
}

/// Which way media flows, as seen by the side that wrote it (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// Whether the writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// `a=rtcp` (RFC 3605).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpAddress {
    pub port: u16,
    /// None: that of the media.
    pub addr: Option<IpAddr>,
}

/// `a=crypto` (RFC 4568).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    pub tag: u32,
    /// `AES_CM_128_HMAC_SHA1_80`, …
    pub suite: String,
    /// `inline:…`, with lifetime and MKI as they came.
    pub key_params: String,
    /// Session parameters, as they came.
    pub session_params: String,
}

/// How a candidate was found (RFC 8839 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    Host,
    ServerReflexive,
    PeerReflexive,
    Relay,
}

/// `a=candidate` with a literal address over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 is RTP, 2 is RTCP.
    pub component: u16,
    pub address: SocketAddr,
    pub kind: CandidateKind,
}

/// One media description (RFC 8866 section 5.14) with the session's defaults filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    pub kind: MediaKind,
    /// 0: rejected, or in a bundle only.
    pub port: u16,
    /// Ports in a row, 1 unless written.
    pub port_count: u16,
    pub proto: Proto,
    /// Where the writer receives; none where it is no literal address.
    pub connection: Option<IpAddr>,
    /// In order of preference. Most descriptions have the same few: copies share them.
    pub payload_types: Arc<[PayloadType]>,
    pub direction: Direction,
    pub rtcp: Option<RtcpAddress>,
    pub rtcp_mux: bool,
    /// `a=bundle-only` (RFC 9143 section 6): port 0 does not mean rejected.
    pub bundle_only: bool,
    pub ptime_ms: Option<u32>,
    pub maxptime_ms: Option<u32>,
    pub(super) extras: Option<Box<Extras>>,
}

/// What descriptions of browsers have, and few others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extras {
    pub mid: Option<String>,
    pub crypto: Vec<Crypto>,
    pub ssrcs: Vec<u32>,
    pub candidates: Vec<Candidate>,
    /// `a=fingerprint` (RFC 8122): keys come by DTLS.
    pub fingerprint: Option<String>,
    /// `a=setup` (RFC 4145).
    pub setup: Option<String>,
    /// `a=label` (RFC 4574).
    pub label: Option<String>,
}

impl Extras {
    const NONE: Self = Self {
        mid: None,
        crypto: Vec::new(),
        ssrcs: Vec::new(),
        candidates: Vec::new(),
        fingerprint: None,
        setup: None,
        label: None,
    };

    /// What is said of the whole session is said of media that say nothing else.
    pub(super) fn fill(&mut self, defaults: &Self) {
        self.fingerprint = self.fingerprint.take().or_else(|| defaults.fingerprint.clone());
        self.setup = self.setup.take().or_else(|| defaults.setup.clone());
        if self.crypto.is_empty() {
            self.crypto.clone_from(&defaults.crypto);
        }
    }
}

impl Media {
    /// What it says besides; empty of most.
    #[must_use]
    pub fn extras(&self) -> &Extras {
        static NONE: Extras = Extras::NONE;
        self.extras.as_deref().unwrap_or(&NONE)
    }

    pub(super) const fn has_extras(&self) -> bool {
        self.extras.is_some()
    }

    pub(super) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_with(|| Box::new(Extras::NONE))
    }

    /// Whether the media description is refused (RFC 3264 section 6: port zero).
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// Hold as RFC 2543 wrote it: the connection address is all zeros (RFC 3264 section 8.4).
    #[must_use]
    pub fn is_held_by_address(&self) -> bool {
        self.connection.is_some_and(|addr| addr.is_unspecified())
    }

    /// Whether the writer put the other side on hold: it does not receive, by direction or by address.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.direction.receives() || self.is_held_by_address()
    }

    /// Where the writer receives RTP, where that is stated and real.
    #[must_use]
    pub fn receive_rtp(&self) -> Option<SocketAddr> {
        let addr = self.connection.filter(|addr| !addr.is_unspecified())?;
        (self.port != 0).then(|| SocketAddr::new(addr, self.port))
    }

    /// Where the writer receives RTCP when it is not multiplexed: `a=rtcp`, or the next port (RFC 3605).
    #[must_use]
    pub fn receive_rtcp(&self) -> Option<SocketAddr> {
        let rtp = self.receive_rtp()?;
        match self.rtcp {
            Some(rtcp) => Some(SocketAddr::new(rtcp.addr.unwrap_or(rtp.ip()), rtcp.port)),
            None => rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)),
        }
    }

    /// The description of a payload type number.
    #[must_use]
    pub fn payload_type(&self, pt: u8) -> Option<&PayloadType> {
        self.payload_types.iter().find(|payload| payload.pt == pt)
    }
}
