//! A WAV file in memory, its channels apart.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("{path}: not a WAV file", path = path.display())]
    Read { path: PathBuf, source: hound::Error },
    #[error("{path}: {bits} bits a sample, not 16", path = path.display())]
    Bits { path: PathBuf, bits: u16 },
}

#[derive(Clone, Debug)]
pub struct Wav {
    pub rate_hz: u32,
    pub channels: Vec<Vec<i16>>,
}

impl Wav {
    pub fn read(path: &Path) -> Result<Self, WavError> {
        let failed = |source| WavError::Read { path: path.to_owned(), source };
        let reader = hound::WavReader::open(path).map_err(failed)?;
        let spec = reader.spec();
        if spec.bits_per_sample != 16 {
            return Err(WavError::Bits { path: path.to_owned(), bits: spec.bits_per_sample });
        }
        let count = usize::from(spec.channels);
        let mut channels = vec![Vec::with_capacity(reader.duration() as usize); count];
        for (place, sample) in reader.into_samples::<i16>().enumerate() {
            channels[place % count].push(sample.map_err(failed)?);
        }
        Ok(Self { rate_hz: spec.sample_rate, channels })
    }

    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        let frames = self.channels.first().map_or(0, Vec::len);
        (frames as i64 * 1_000 + i64::from(self.rate_hz) / 2) / i64::from(self.rate_hz)
    }
}
