//! A stream of G.711 to samples without a decoder: each code is a sample, whatever came before.
#![expect(unsafe_code, reason = "calls code for processors that have the instructions for it")]

use crate::CodecSpec;
use crate::g711::{Companding, from_a_law, from_mu_law, law};
use crate::limits::{CHANNELS_MAX, PAYLOAD_BYTES_MAX, RATE_MAX_HZ, RATE_MIN_HZ};

/// Expands the payloads of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expander {
    law: Companding,
}

impl Expander {
    /// For a stream of G.711; `None` for any other, and where a decoder would refuse it.
    #[must_use]
    pub fn of(spec: &CodecSpec) -> Option<Self> {
        let fits = (RATE_MIN_HZ..=RATE_MAX_HZ).contains(&spec.sample_rate());
        let law = law(spec.id).filter(|_| fits && spec.channels <= CHANNELS_MAX)?;
        Some(Self { law })
    }

    /// The samples of a payload, in place of what is in `out`. False for one that a decoder would refuse.
    #[inline]
    #[must_use]
    pub fn expand(self, payload: &[u8], out: &mut Vec<i16>) -> bool {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return false;
        }
        out.resize(payload.len(), 0);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as it has just said.
            unsafe { expand_wide(self.law, payload, out) };
            return true;
        }
        let table = self.law.table();
        for (sample, &code) in out.iter_mut().zip(payload) {
            *sample = table[usize::from(code)];
        }
        true
    }
}

/// Computes instead of looking up: the compiler makes it sixteen at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn expand_wide(law: Companding, payload: &[u8], out: &mut [i16]) {
    match law {
        Companding::A => {
            for (sample, &code) in out.iter_mut().zip(payload) {
                *sample = from_a_law(code);
            }
        }
        Companding::Mu => {
            for (sample, &code) in out.iter_mut().zip(payload) {
                *sample = from_mu_law(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoders, WorkerOptions, WorkerPool};

    /// REC-2: every code, in payloads of every length up to some, is what a decoder makes of it; what a decoder
    /// refuses is refused.
    #[test]
    fn codes_are_what_a_decoder_makes_of_them() {
        let decoders =
            Decoders::new(std::sync::Arc::new(WorkerPool::new(WorkerOptions::default())));
        for name in ["PCMU", "PCMA"] {
            let spec = CodecSpec::from_sdp(name, 8_000, 1, "");
            let expander = Expander::of(&spec).expect("G.711");
            let mut decoder = decoders.open(&spec).expect("a decoder");
            let codes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
            let mut samples = vec![7; 3];
            for length in 0..codes.len() {
                let payload = &codes[codes.len() - length..];
                let mut decoded = Vec::new();
                decoder.decode(payload, &mut decoded).expect("decoded");
                assert!(expander.expand(payload, &mut samples));
                assert_eq!(samples, decoded, "{name}, {length}");
            }
            let long = vec![0; PAYLOAD_BYTES_MAX + 1];
            assert!(!expander.expand(&long, &mut samples));
            assert!(decoder.decode(&long, &mut Vec::new()).is_err());
        }
        assert_eq!(Expander::of(&CodecSpec::from_sdp("G722", 8_000, 1, "")), None);
        for (clock_hz, channels) in [(1, 1), (u32::MAX, 1), (8_000, 255)] {
            let spec = CodecSpec::from_sdp("PCMU", clock_hz, channels, "");
            assert_eq!(Expander::of(&spec).is_some(), decoders.open(&spec).is_ok(), "{spec:?}");
        }
    }
}
