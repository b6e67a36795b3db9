//! `earwitness-heard RECORDING LEFT RIGHT`: whether each channel of a recording holds what was spoken into one
//! microphone. `make demo` ends with it.
//!
//! All three are WAV with the same rate. For each side it prints the correlation with its own microphone where
//! they fit best, and with the other one; exit 1 if a side is not what was said, or holds the other's voice.

use std::process::ExitCode;

use earwitness_tests::check::aligned;

/// What a side must reach with its own voice, and may reach with the other's.
const OWN_MIN: f64 = 0.95;
const OTHER_MAX: f64 = 0.5;
/// How late in the recording a microphone may begin.
const LAG_SECONDS_MAX: usize = 2;

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [recording, left, right] = paths.as_slice() else {
        eprintln!("usage: earwitness-heard RECORDING LEFT RIGHT");
        return ExitCode::from(2);
    };
    match compare(recording, left, right) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("earwitness-heard: the recording is not what was said");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("earwitness-heard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(recording: &str, left: &str, right: &str) -> Result<bool, hound::Error> {
    let (channels, rate) = read(recording)?;
    let spoken = [read(left)?.0.swap_remove(0), read(right)?.0.swap_remove(0)];
    let mut good = channels.len() == 2;
    for (side, (heard, name)) in channels.iter().zip(["caller, left", "callee, right"]).enumerate()
    {
        let (own, lag) = best(heard, &spoken[side], rate);
        let (other, _) = best(heard, &spoken[1 - side], rate);
        let lag_ms = lag * 1000 / rate;
        println!(
            "  {name:14} correlation with what was said {own:.3} (from {lag_ms} ms on), with the other side {other:.3}"
        );
        good &= own >= OWN_MIN && other <= OTHER_MAX;
    }
    Ok(good)
}

fn read(path: &str) -> Result<(Vec<Vec<i16>>, usize), hound::Error> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    let mut channels = vec![Vec::new(); usize::from(spec.channels)];
    for (index, sample) in reader.samples::<i16>().enumerate() {
        channels[index % usize::from(spec.channels)].push(sample?);
    }
    Ok((channels, spec.sample_rate as usize))
}

/// The highest correlation at any lag, and that lag in samples: found coarsely on the envelope of every eighth
/// shift would miss the peak of a voice, so every shift is tried on the loudest second first.
fn best(heard: &[i16], spoken: &[i16], rate: usize) -> (f64, usize) {
    let probe_at = loudest(spoken, rate);
    let probe = &spoken[probe_at..(probe_at + rate).min(spoken.len())];
    let at_lag = |lag: usize| {
        let window = heard.get(lag + probe_at..).unwrap_or_default();
        aligned(window, probe)
    };
    let lag = (0..LAG_SECONDS_MAX * rate)
        .max_by(|a, b| at_lag(*a).total_cmp(&at_lag(*b)))
        .unwrap_or_default();
    (aligned(heard.get(lag..).unwrap_or_default(), spoken), lag)
}

fn loudest(signal: &[i16], length: usize) -> usize {
    let energy = |at: usize| -> u64 {
        let part = &signal[at..(at + length).min(signal.len())];
        part.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum()
    };
    (0..signal.len().saturating_sub(length))
        .step_by(length / 4)
        .max_by_key(|at| energy(*at))
        .unwrap_or_default()
}
