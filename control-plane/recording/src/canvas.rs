//! The samples of one run, of a little more than a chunk, at its native rate.
//!
//! Positions are native samples since the run's line began. Where nothing was drawn is silence, and
//! so is what masks cover, before anything is derived from it.

use crate::resample::Resampler;

#[derive(Debug)]
pub(crate) struct Canvas {
    samples: Vec<i16>,
    /// Behind so many of them nothing was drawn.
    drawn: usize,
    /// Position of `samples[0]`.
    base: i64,
    /// Stretches that must stay silent: in order, apart.
    masks: Vec<(i64, i64)>,
}

impl Canvas {
    pub(crate) fn new(length: usize, base: i64, masks: Vec<(i64, i64)>) -> Self {
        Self { samples: vec![0; length], drawn: 0, base, masks }
    }

    pub(crate) fn base(&self) -> i64 {
        self.base
    }

    /// Position after the last that there is room for.
    pub(crate) fn reach(&self) -> i64 {
        self.base + self.samples.len() as i64
    }

    /// Forgets what lies before `base`.
    pub(crate) fn advance(&mut self, base: i64) {
        let shift = usize::try_from(base - self.base).unwrap_or(0).min(self.drawn);
        self.samples.copy_within(shift..self.drawn, 0);
        let kept = self.drawn - shift;
        self.samples[kept..self.drawn].fill(0);
        self.drawn = kept;
        self.base = self.base.max(base);
    }

    /// Draws as much of `audio` as there is room for. Says whether a mask took any of it.
    pub(crate) fn draw(&mut self, at: i64, audio: &[i16]) -> bool {
        let offset = at - self.base;
        let skip = usize::try_from(-offset).unwrap_or(0).min(audio.len());
        let from = usize::try_from(offset).unwrap_or(0);
        if let Some(room) = self.samples.get_mut(from..) {
            let audio = &audio[skip..];
            let count = audio.len().min(room.len());
            room[..count].copy_from_slice(&audio[..count]);
            self.drawn = self.drawn.max(from + count);
        }
        self.cut(at, at + audio.len() as i64)
    }

    /// What lies before `at`, and the room from there to `until`.
    pub(crate) fn around(&mut self, at: i64, until: i64) -> Option<(&[i16], &mut [i16])> {
        let from = usize::try_from(at - self.base).ok()?;
        let (history, room) = self.samples.split_at_mut_checked(from)?;
        let count = usize::try_from(until - at).unwrap_or(0).min(room.len());
        self.drawn = self.drawn.max(from + count);
        Some((history, &mut room[..count]))
    }

    /// Silences what masks cover of `from..until`; whether there was any.
    pub(crate) fn cut(&mut self, from: i64, until: i64) -> bool {
        let first = self.masks.partition_point(|mask| mask.1 <= from);
        let mut found = false;
        let length = self.samples.len() as i64;
        for &(begin, end) in self.masks[first..].iter().take_while(|mask| mask.0 < until) {
            found = true;
            let a = (begin.max(from) - self.base).clamp(0, length) as usize;
            let b = (end.min(until) - self.base).clamp(0, length) as usize;
            self.samples[a..b].fill(0);
        }
        found
    }

    /// The samples from `at` on, as they are; silence where there are none.
    pub(crate) fn copy_to(&self, at: i64, out: &mut [i16]) {
        let from = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        let there = self.samples.get(from..).unwrap_or(&[]);
        let count = there.len().min(out.len());
        out[..count].copy_from_slice(&there[..count]);
        out[count..].fill(0);
    }

    /// The samples at another rate, from sample `first` of that rate on.
    pub(crate) fn resample_to(&self, resampler: &Resampler, first: i64, out: &mut [i16]) {
        resampler.run(&self.samples, self.base, first, out);
    }
}

#[cfg(test)]
mod tests {
    use super::Canvas;

    /// REC-2: audio that began before the canvas, or ends past it, is drawn as far as there is room.
    #[test]
    fn edges_are_kept() {
        let mut canvas = Canvas::new(4, 10, Vec::new());
        canvas.draw(8, &[1, 2, 3]);
        canvas.draw(12, &[4, 5, 6]);
        canvas.draw(100, &[7]);
        canvas.draw(-100, &[8]);
        let mut out = [9; 6];
        canvas.copy_to(10, &mut out);
        assert_eq!(out, [3, 0, 4, 5, 0, 0]);
        canvas.advance(12);
        canvas.copy_to(12, &mut out);
        assert_eq!(out, [4, 5, 0, 0, 0, 0]);
        assert_eq!(canvas.reach(), 16);
    }

    /// Masked stretches stay silent, to the sample.
    #[test]
    fn masks_cut() {
        let mut canvas = Canvas::new(8, 0, vec![(1, 2), (5, 7)]);
        assert!(canvas.draw(0, &[1; 4]));
        assert!(!canvas.draw(2, &[1; 2]));
        assert!(canvas.draw(4, &[1; 4]));
        let mut out = [0; 8];
        canvas.copy_to(0, &mut out);
        assert_eq!(out, [1, 0, 1, 1, 1, 0, 0, 1]);
    }
}
