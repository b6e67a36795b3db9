//! The places at which the messages of a leg are seen.

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::event::{Hop, Party};
use super::exchange::is_same_media;
use super::media::PathId;
use crate::limits::HOPS_MAX;
use crate::sdp::Session;

/// One hop, with what its INVITE was.
#[derive(Clone, Debug)]
pub(super) struct HopState {
    pub(super) hop: Hop,
    pub(super) path: PathId,
    /// Of the INVITE that was seen here last.
    pub(super) cseq: Option<u32>,
    pub(super) branch: Option<u64>,
    pub(super) offer: Option<Arc<Session>>,
    /// The final refusal that was seen here.
    pub(super) failed: Option<u16>,
    pub(super) is_cancelled: bool,
}

/// The hops of a leg; never empty once a message was placed.
#[derive(Clone, Debug, Default)]
pub(super) struct Hops {
    /// Most legs are seen at one hop.
    list: SmallVec<[HopState; 1]>,
    paths: u8,
}

/// Where a message was seen, turned so that the caller's end comes first.
pub(super) const fn orient(src: SocketAddr, dst: SocketAddr, sender: Party) -> Hop {
    match sender {
        Party::Caller => Hop::new(src, dst),
        Party::Callee => Hop::new(dst, src),
    }
}

impl Hops {
    pub(super) fn get(&self, index: usize) -> &HopState {
        &self.list[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut HopState {
        &mut self.list[index]
    }

    /// The addresses of every hop.
    pub(super) fn all(&self) -> impl Iterator<Item = Hop> {
        self.list.iter().map(|state| state.hop)
    }

    /// The hops at which the INVITE of this CSeq was seen.
    pub(super) fn tried(&self, cseq: u32) -> impl Iterator<Item = &HopState> {
        self.list.iter().filter(move |hop| hop.cseq == Some(cseq))
    }

    /// The hop of an INVITE that starts or retries: known by its branch or its addresses, else a new one.
    pub(super) fn place_invite(&mut self, hop: Hop, cseq: u32, branch: Option<u64>) -> usize {
        let by_branch = branch.and_then(|branch| {
            self.list.iter().position(|h| h.cseq == Some(cseq) && h.branch == Some(branch))
        });
        let index = by_branch
            .or_else(|| self.list.iter().position(|h| h.hop == hop))
            .or_else(|| self.add(hop))
            .unwrap_or_else(|| self.nearest(hop));
        let state = &mut self.list[index];
        if state.cseq != Some(cseq) {
            state.cseq = Some(cseq);
            state.failed = None;
            state.is_cancelled = false;
            state.offer = None;
        }
        state.branch = branch;
        index
    }

    /// The hop of any other message: by the branch of the INVITE it answers, else the one whose addresses are
    /// most alike; requests within a dialog may come from other ports, or past the proxies.
    pub(super) fn place(&mut self, hop: Hop, invite_branch: Option<u64>) -> usize {
        if let Some(branch) = invite_branch
            && let Some(index) = self.list.iter().position(|h| h.branch == Some(branch))
        {
            return index;
        }
        if self.list.is_empty() {
            self.add(hop);
        }
        self.nearest(hop)
    }

    /// Notes the offer of the INVITE on a hop and finds its path: that of another hop whose offer announces the
    /// same media, or a path of its own.
    pub(super) fn note_offer(&mut self, index: usize, offer: Option<&Arc<Session>>) {
        let cseq = self.list[index].cseq;
        let mut others =
            self.list.iter().enumerate().filter(|(i, h)| *i != index && h.cseq == cseq);
        let same = others.find(|(_, h)| match (&h.offer, offer) {
            (Some(theirs), Some(ours)) => is_same_media(theirs, ours),
            (None, None) => true,
            _ => false,
        });
        let same_path = same.map(|(_, other)| other.path);
        if let Some(path) = same_path {
            self.list[index].path = path;
        } else if self.is_path_shared(index) {
            self.split(index);
        }
        self.list[index].offer = offer.cloned();
    }

    /// The leg is over.
    pub(super) fn forget_offers(&mut self) {
        for hop in &mut self.list {
            hop.offer = None;
        }
    }

    /// Gives a hop a path of its own.
    pub(super) fn split(&mut self, index: usize) -> PathId {
        let path = PathId(self.paths);
        self.paths = self.paths.saturating_add(1);
        self.list[index].path = path;
        path
    }

    /// Whether another hop has the same path.
    pub(super) fn is_path_shared(&self, index: usize) -> bool {
        let path = self.list[index].path;
        self.list.iter().enumerate().any(|(i, hop)| i != index && hop.path == path)
    }

    /// Whether there may be one more path (S10).
    pub(super) fn can_split(&self) -> bool {
        usize::from(self.paths) < HOPS_MAX
    }

    /// Whether no other hop that tried this CSeq lies before this one.
    pub(super) fn is_root(&self, hop: &HopState) -> bool {
        let is_before = |other: &HopState| {
            let is_one_host = other.hop.caller().ip() == other.hop.callee().ip();
            other.hop.callee() == hop.hop.caller()
                || (!is_one_host && other.hop.callee().ip() == hop.hop.caller().ip())
        };
        !self
            .list
            .iter()
            .any(|other| other.hop != hop.hop && other.cseq == hop.cseq && is_before(other))
    }

    /// Whether the INVITE of this CSeq was seen at any hop.
    pub(super) fn has_tried(&self, cseq: u32) -> bool {
        self.tried(cseq).next().is_some()
    }

    /// The refusal that ends the INVITE of this CSeq: there is one as soon as all hops have theirs that are not
    /// behind another hop (a proxy may try elsewhere what one branch refused: RFC 3261 section 16.7).
    pub(super) fn failure(&self, cseq: u32) -> Option<u16> {
        let has_root = self.tried(cseq).any(|hop| self.is_root(hop));
        let mut first = None;
        // Hops in a circle have no root: then each counts.
        for hop in self.tried(cseq).filter(|hop| !has_root || self.is_root(hop)) {
            let code = hop.failed?;
            first = first.or(Some(code));
        }
        first
    }

    fn add(&mut self, hop: Hop) -> Option<usize> {
        if self.list.len() == HOPS_MAX {
            return None;
        }
        let path = self.list.first().map_or(PathId(0), |first| first.path);
        self.paths = self.paths.max(1);
        self.list.push(HopState {
            hop,
            path,
            cseq: None,
            branch: None,
            offer: None,
            failed: None,
            is_cancelled: false,
        });
        Some(self.list.len() - 1)
    }

    fn nearest(&self, hop: Hop) -> usize {
        let score = |other: &Hop| {
            let ends = [(other.caller(), hop.caller()), (other.callee(), hop.callee())];
            ends.iter().map(|(a, b)| u8::from(a.ip() == b.ip()) * 4 + u8::from(a == b)).sum::<u8>()
        };
        let mut best = 0;
        for (index, candidate) in self.list.iter().enumerate() {
            if score(&candidate.hop) > score(&self.list[best].hop) {
                best = index;
            }
        }
        best
    }
}
