//! What one level says of a call of each direction and network, with `any` folded in.

use std::sync::Arc;

use crate::document::{Format, Networks, Parameters, Settings, Switch};

/// Direction and network of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    InboundOnnet,
    InboundOffnet,
    OutboundOnnet,
    OutboundOffnet,
}

impl Way {
    pub const ALL: [Self; 4] =
        [Self::InboundOnnet, Self::InboundOffnet, Self::OutboundOnnet, Self::OutboundOffnet];

    #[must_use]
    pub const fn inbound(onnet: bool) -> Self {
        if onnet { Self::InboundOnnet } else { Self::InboundOffnet }
    }

    #[must_use]
    pub const fn outbound(onnet: bool) -> Self {
        if onnet { Self::OutboundOnnet } else { Self::OutboundOffnet }
    }

    #[must_use]
    pub const fn is_inbound(self) -> bool {
        matches!(self, Self::InboundOnnet | Self::InboundOffnet)
    }

    #[must_use]
    pub const fn is_onnet(self) -> bool {
        matches!(self, Self::InboundOnnet | Self::OutboundOnnet)
    }

    /// As documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InboundOnnet => "inbound.onnet",
            Self::InboundOffnet => "inbound.offnet",
            Self::OutboundOnnet => "outbound.onnet",
            Self::OutboundOffnet => "outbound.offnet",
        }
    }
}

/// What is said; `None` leaves it to the next level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub enabled: Option<bool>,
    pub format: Option<Format>,
    pub min_s: Option<u32>,
    pub on_answer: Option<bool>,
    pub on_bridge: Option<bool>,
    pub sample_rate: Option<u32>,
    pub time_limit_s: Option<u32>,
    pub url: Option<Arc<str>>,
}

impl Cell {
    fn of(parameters: &Parameters) -> Self {
        Self {
            enabled: parameters.enabled,
            format: parameters.format,
            min_s: parameters.record_min_sec,
            on_answer: parameters.record_on_answer,
            on_bridge: parameters.record_on_bridge,
            sample_rate: parameters.record_sample_rate,
            time_limit_s: parameters.time_limit,
            url: parameters.url.as_deref().map(Arc::from),
        }
    }

    /// Takes from `next` what it does not say itself.
    pub fn fill(&mut self, next: &Self) {
        let Self { enabled, format, min_s, on_answer, on_bridge, sample_rate, time_limit_s, url } =
            self;
        *enabled = enabled.or(next.enabled);
        *format = format.or(next.format);
        *min_s = min_s.or(next.min_s);
        *on_answer = on_answer.or(next.on_answer);
        *on_bridge = on_bridge.or(next.on_bridge);
        *sample_rate = sample_rate.or(next.sample_rate);
        *time_limit_s = time_limit_s.or(next.time_limit_s);
        if url.is_none() {
            url.clone_from(&next.url);
        }
    }
}

/// The four.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cells([Cell; 4]);

impl Cells {
    /// Of a level; `None` where it says nothing. `record` says of all calls whether they are recorded.
    #[must_use]
    pub fn compile(record: Switch, settings: Option<&Settings>) -> Option<Box<Self>> {
        let mut cells = Self::default();
        for (cell, way) in cells.0.iter_mut().zip(Way::ALL) {
            cell.enabled = record.said();
            settings
                .into_iter()
                .flat_map(|settings| exact_first(settings, way))
                .for_each(|next| cell.fill(&next));
        }
        (cells != Self::default()).then(|| Box::new(cells))
    }

    #[must_use]
    pub const fn get(&self, way: Way) -> &Cell {
        &self.0[way as usize]
    }
}

/// The settings that hold for `way`, the most exact first: direction and network, direction, network, neither.
fn exact_first(settings: &Settings, way: Way) -> impl Iterator<Item = Cell> {
    let direction = if way.is_inbound() { &settings.inbound } else { &settings.outbound };
    let exact = |networks: &Networks| {
        let network = if way.is_onnet() { &networks.onnet } else { &networks.offnet };
        [network.as_ref().map(Cell::of), networks.any.as_ref().map(Cell::of)]
    };
    let of = |networks: &Option<Networks>| networks.as_ref().map(exact).unwrap_or_default();
    of(direction).into_iter().chain(of(&settings.any)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POL-2: the more exact cell goes first, key by key.
    #[test]
    fn the_more_exact_cell_goes_first() {
        let settings: Settings = serde_json::from_str(
            r#"{ "inbound": { "offnet": { "enabled": false }, "any": { "time_limit": 5 } },
                 "any": { "offnet": { "time_limit": 6, "format": "mp3" }, "any": { "enabled": true, "format": "wav" } } }"#,
        )
        .expect("valid");
        let cells = Cells::compile(Switch::Default, Some(&settings)).expect("it says something");
        let cell = cells.get(Way::InboundOffnet);
        assert_eq!(
            (cell.enabled, cell.time_limit_s, cell.format),
            (Some(false), Some(5), Some(Format::Mp3))
        );
        let cell = cells.get(Way::OutboundOffnet);
        assert_eq!(
            (cell.enabled, cell.time_limit_s, cell.format),
            (Some(true), Some(6), Some(Format::Mp3))
        );
        let cell = cells.get(Way::OutboundOnnet);
        assert_eq!(
            (cell.enabled, cell.time_limit_s, cell.format),
            (Some(true), None, Some(Format::Wav))
        );
        let off = Cells::compile(Switch::Off, Some(&settings)).expect("it says something");
        assert!(Way::ALL.iter().all(|way| off.get(*way).enabled == Some(false)));
        assert_eq!(Cells::compile(Switch::Default, None), None);
    }
}
