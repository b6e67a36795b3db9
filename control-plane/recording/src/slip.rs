//! Audio made longer or shorter by a few samples, where that is heard least.

/// Adds `count` samples, or takes away `-count`: each where the wave is quietest and flattest.
pub(crate) fn slip(audio: &[i16], count: i64) -> Vec<i16> {
    let mut audio = audio.to_vec();
    // Drift of a crystal is a sample in a packet or two; more than a quarter is no drift.
    for _ in 0..count.unsigned_abs().min(audio.len() as u64 / 4) {
        let loudness = |pair: &[i16]| {
            let (a, b) = (i32::from(pair[0]), i32::from(pair[1]));
            a.abs() + b.abs() + 2 * (a - b).abs()
        };
        let quietest = audio.windows(2).enumerate().min_by_key(|(_, pair)| loudness(pair));
        let Some((at, _)) = quietest else { break };
        let mean = ((i32::from(audio[at]) + i32::from(audio[at + 1])) / 2) as i16;
        if count > 0 {
            audio.insert(at + 1, mean);
        } else {
            audio[at] = mean;
            audio.remove(at + 1);
        }
    }
    audio
}

#[cfg(test)]
mod tests {
    use super::slip;

    /// REC-2: the sample goes, or comes, where the wave crosses zero.
    #[test]
    fn quiet_places_are_chosen() {
        let audio = [900, 400, 3, -1, -500, -900, -400, 200];
        assert_eq!(slip(&audio, 1), [900, 400, 3, 1, -1, -500, -900, -400, 200]);
        assert_eq!(slip(&audio, -1), [900, 400, 1, -500, -900, -400, 200]);
        assert_eq!(slip(&audio, 0), audio);
        assert_eq!(slip(&[], 3), [0; 0]);
        assert_eq!(slip(&audio, -1_000).len(), 6);
    }
}
