//! How alike two signals are: where one is thought to lie in the other, or anywhere.

/// Normalised correlation of two signals as they lie: 1 when equal but for a factor, 0 for strangers.
/// Two silences are alike.
#[must_use]
pub fn aligned(a: &[i16], b: &[i16]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0_i64, 0_i64, 0_i64);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (i64::from(*x), i64::from(*y));
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa == 0 && bb == 0 {
        return 1.0;
    }
    ab as f64 / (aa as f64 * bb as f64).sqrt().max(1.0)
}

/// The shift within `reach` at which `part`, thought to begin at `at`, is most like `whole`, and how alike.
#[must_use]
pub fn nearest(whole: &[i16], part: &[i16], at: i64, reach: i64) -> (i64, f64) {
    let mut best = (0, -1.0);
    // From the middle outwards, so that of equals the nearest wins.
    for step in 0..=reach {
        for shift in [step, -step] {
            let from = at + shift;
            if from < 0 || from as usize + part.len() > whole.len() {
                continue;
            }
            let found = aligned(&whole[from as usize..][..part.len()], part);
            if found > best.1 {
                best = (shift, found);
            }
        }
    }
    best
}

/// The greatest correlation of two signals at any shift, relative to the energy of both.
#[must_use]
pub fn anywhere(a: &[i16], b: &[i16]) -> f64 {
    let length = (a.len() + b.len()).next_power_of_two();
    let mut x = spectrum(a, length);
    let y = spectrum(b, length);
    for (x, y) in x.iter_mut().zip(&y) {
        *x = multiply(*x, (y.0, -y.1));
    }
    transform(&mut x, 1.0);
    let most = x.iter().map(|value| value.0.abs()).fold(0.0, f64::max) / length as f64;
    let energy = |signal: &[i16]| signal.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    most / (energy(a) * energy(b)).sqrt().max(1.0)
}

type Complex = (f64, f64);

fn multiply(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn spectrum(signal: &[i16], length: usize) -> Vec<Complex> {
    let mut values = vec![(0.0, 0.0); length];
    for (value, sample) in values.iter_mut().zip(signal) {
        value.0 = f64::from(*sample);
    }
    transform(&mut values, -1.0);
    values
}

/// Cooley and Tukey's transform in place, forwards for a `sign` of -1; the length is a power of two.
fn transform(values: &mut [Complex], sign: f64) {
    let length = values.len();
    let mut place = 0;
    for index in 1..length {
        let mut bit = length >> 1;
        while place & bit != 0 {
            place ^= bit;
            bit >>= 1;
        }
        place |= bit;
        if index < place {
            values.swap(index, place);
        }
    }
    let mut half = 1;
    while half < length {
        let angle = sign * std::f64::consts::PI / half as f64;
        let turns: Vec<Complex> =
            (0..half).map(|k| ((angle * k as f64).cos(), (angle * k as f64).sin())).collect();
        for block in values.chunks_exact_mut(half * 2) {
            let (low, high) = block.split_at_mut(half);
            for ((low, high), turn) in low.iter_mut().zip(high).zip(&turns) {
                let turned = multiply(*high, *turn);
                *high = (low.0 - turned.0, low.1 - turned.1);
                *low = (low.0 + turned.0, low.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::{aligned, anywhere, nearest};
    use earwitness_fixtures::voice::Voice;

    fn voice(seed: u64) -> Vec<i16> {
        let mut pcm = vec![0; 16_000];
        Voice::new(seed, 8_000).fill(&mut pcm);
        pcm
    }

    #[test]
    fn finds_a_part_where_it_lies() {
        let whole = voice(1);
        let (shift, found) = nearest(&whole, &whole[4_000..6_000], 3_970, 50);
        assert_eq!(shift, 30);
        assert!(found > 0.999);
    }

    #[test]
    fn anywhere_tells_kin_from_strangers() {
        let (a, b) = (voice(1), voice(2));
        assert!(anywhere(&a[3_000..], &a) > 0.7);
        assert!(anywhere(&a, &b) < 0.25, "{}", anywhere(&a, &b));
        assert!((aligned(&a, &a) - 1.0).abs() < 1e-9);
    }
}
