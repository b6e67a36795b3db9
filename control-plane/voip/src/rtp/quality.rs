//! How good a call sounds, from what the network did to it: the E-model (ITU-T G.107) with the equipment
//! impairments of G.113.

/// Equipment impairment and robustness of a codec (ITU-T G.113 appendix I).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie: what the codec itself costs.
    pub ie: f64,
    /// Bpl: how well it takes loss.
    pub bpl: f64,
}

/// The impairment of a codec by its SDP name and clock. `fmtp` tells G.723.1's and iLBC's rates apart.
///
/// G.113 lists codecs on the narrowband scale. For wideband codecs, and for those that it does not list (Opus,
/// Speex), Ie is 0 here and Bpl is that of G.711 with concealment: their loss counts, their wider band does not.
#[must_use]
pub fn impairment(encoding: &str, fmtp: &str) -> Impairment {
    let value = |ie, bpl| Impairment { ie, bpl };
    match encoding.to_ascii_uppercase().as_str() {
        "G729" => value(11.0, 19.0),
        "G723" if fmtp.contains("5.3") => value(19.0, 24.0),
        "G723" => value(15.0, 16.1),
        "GSM" => value(20.0, 10.0),
        "GSM-EFR" | "AMR" => value(5.0, 10.0),
        "ILBC" if fmtp.contains("mode=30") => value(14.0, 32.0),
        "ILBC" => value(11.0, 32.0),
        "G726-40" => value(2.0, 25.1),
        "G726-32" | "G721" => value(7.0, 25.1),
        "G726-24" => value(25.0, 25.1),
        "G726-16" => value(50.0, 25.1),
        "G728" => value(7.0, 17.0),
        // G.711 with the concealment of its appendix I, and all that G.113 does not list.
        _ => value(0.0, 25.1),
    }
}

/// What the network did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Packets lost, in percent.
    pub loss_percent: f64,
    /// 1 for random loss, more for bursts; [`Report::burst_ratio`](super::Report::burst_ratio).
    pub burst_ratio: f64,
    /// One-way delay from mouth to ear; a tap does not know it: 0 leaves it out.
    pub delay_ms: f64,
}

/// Transmission rating (ITU-T G.107 section 7.1) with the default values of everything but codec, loss and delay.
#[must_use]
pub fn rating(codec: Impairment, network: Network) -> f64 {
    // G.107 section 7.7: the default values give 93.2.
    const R_DEFAULT: f64 = 93.2;
    let loss = network.loss_percent.clamp(0.0, 100.0);
    // G.107 section 7.5, equation 7-29.
    let ie_effective = codec.ie
        + (95.0 - codec.ie) * loss
            / (loss / network.burst_ratio.max(1.0) + codec.bpl.max(f64::EPSILON));
    (R_DEFAULT - delay_impairment(network.delay_ms) - ie_effective).clamp(0.0, 100.0)
}

/// Idd (ITU-T G.107 section 7.4, equation 7-27) with perfect echo cancellation.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    let root = |value: f64| (1.0 + value.powi(6)).powf(1.0 / 6.0);
    25.0 * (root(x) - 3.0 * root(x / 3.0) + 2.0)
}

/// Mean opinion score of a rating (ITU-T G.107 annex B): 1 to 4.5.
#[must_use]
pub fn mos(rating: f64) -> f64 {
    match rating {
        r if r <= 0.0 => 1.0,
        r if r >= 100.0 => 4.5,
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Impairment, Network, delay_impairment, impairment, mos, rating};

    fn network(loss_percent: f64) -> Network {
        Network { loss_percent, burst_ratio: 1.0, delay_ms: 0.0 }
    }

    // CALL-7: values of ITU-T G.107 annex B and G.113 appendix I.
    #[test]
    fn known_values() {
        assert!((mos(93.2) - 4.41).abs() < 0.01);
        assert!((mos(50.0) - 2.58).abs() < 0.01);
        assert!((mos(60.0) - 3.10).abs() < 0.01);
        let g711 = impairment("PCMU", "");
        assert!((rating(g711, network(0.0)) - 93.2).abs() < 1e-9);
        let g729 = impairment("g729", "");
        assert!((rating(g729, network(0.0)) - 82.2).abs() < 1e-9);
        // 5 % random loss: Ie,eff = 11 + 84 * 5 / 24.
        assert!((rating(g729, network(5.0)) - (93.2 - 28.5)).abs() < 1e-9);
        // G.107 appendix: 200 ms costs about 3, 400 ms about 24.
        assert!((delay_impairment(200.0) - 3.0).abs() < 0.5);
        assert!((delay_impairment(400.0) - 24.0).abs() < 1.0);
    }

    // CALL-7: bursts are worse than random loss.
    #[test]
    fn bursts_cost_more() {
        let random = rating(impairment("PCMA", ""), network(3.0));
        let bursts = rating(impairment("PCMA", ""), Network { burst_ratio: 4.0, ..network(3.0) });
        assert!(bursts < random);
    }

    proptest! {
        // CALL-7: more loss or delay is never better, and the score stays on its scale.
        #[test]
        fn worse_is_never_better(ie in 0.0f64..60.0, bpl in 1.0f64..40.0, loss in 0.0f64..100.0,
            more in 0.0f64..50.0, burst_ratio in 1.0f64..10.0, delay_ms in 0.0f64..2000.0) {
            let codec = Impairment { ie, bpl };
            let score = |loss_percent, delay_ms| mos(rating(codec, Network { loss_percent, burst_ratio, delay_ms }));
            let (better, worse) = (score(loss, delay_ms), score(loss + more, delay_ms + more));
            prop_assert!((1.0..=4.5).contains(&better));
            prop_assert!(worse <= better + 1e-2);
        }
    }
}
