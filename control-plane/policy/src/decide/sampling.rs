//! So many percent of all calls, for quality teams: by the call's id alone, so that asking again gives the same.

use super::start::{Origin, Start, Starts};
use super::view::Seen;
use crate::decision::Parts;
use crate::index::{Cell, Policy};
use crate::trace::{Mark, Tell};

pub fn judge(
    policy: &Policy,
    seen: &Seen<'_>,
    call: &str,
    starts: &mut Starts,
    tell: &mut impl Tell,
) {
    let of_queue = seen
        .queue
        .and_then(|(id, _)| Some((Origin::QueueSampling(id), policy.queues[id.at()].sampling?)));
    let of_tenant = seen.tenant.sampling.map(|percent| (Origin::Sampling, percent));
    for (origin, percent) in of_queue.into_iter().chain(of_tenant) {
        let is_in = share(call) * 100.0 < percent;
        let mark = if is_in { Mark::Yes } else { Mark::No };
        tell.say(mark, || {
            let word = if is_in { "one of" } else { "none of" };
            format!("{}: {word} the {percent} % of calls", origin.text(policy))
        });
        if is_in {
            let parts = Parts { audio: true, video: seen.video() };
            starts.add(Start::new(origin, Cell::default(), parts));
        }
    }
}

/// Where a call lies between 0 and 1; ids that differ little lie far apart (FNV-1a, then the finaliser of MurmurHash3).
fn share(call: &str) -> f64 {
    const BITS: u32 = 53;
    let hash = call.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((hash ^ hash >> 33) >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_evenly() {
        for percent in [1.0, 5.0, 50.0] {
            let within =
                (0..100_000).filter(|n| share(&format!("{n:012x}-{n:012x}")) * 100.0 < percent);
            let found = within.count() as f64 / 1000.0;
            assert!((found - percent).abs() < 0.5, "{percent} % became {found} %");
        }
        assert_eq!(share("a"), share("a"));
    }
}
