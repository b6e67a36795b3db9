//! G.711 by table: A-law and µ-law, as ITU-T G.191 (STL) computes them.

use crate::CodecId;
use crate::decode::Outcome;
use crate::voice::Core;

/// The two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Companding {
    A,
    Mu,
}

/// A-law codes to 16-bit samples.
pub(crate) static A_LAW: [i16; 256] = table(Companding::A);
/// µ-law codes to 16-bit samples.
pub(crate) static MU_LAW: [i16; 256] = table(Companding::Mu);

/// The decoder's core: one byte, one sample.
#[derive(Debug)]
pub(crate) struct G711 {
    table: &'static [i16; 256],
}

impl G711 {
    pub(crate) fn new(law: Companding) -> Self {
        Self { table: law.table() }
    }
}

impl Core for G711 {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        out.extend(payload.iter().map(|&code| self.table[usize::from(code)]));
        Ok(payload.len())
    }
}

/// What each byte of a G.711 codec stands for.
#[must_use]
pub fn expansion(codec: CodecId) -> Option<&'static [i16; 256]> {
    Some(match law(codec)? {
        Companding::A => &A_LAW,
        Companding::Mu => &MU_LAW,
    })
}

impl Companding {
    /// Codes to samples.
    pub(crate) fn table(self) -> &'static [i16; 256] {
        match self {
            Self::A => &A_LAW,
            Self::Mu => &MU_LAW,
        }
    }
}

/// The law of a codec, if it is G.711.
pub(crate) fn law(codec: CodecId) -> Option<Companding> {
    match codec {
        CodecId::Pcma => Some(Companding::A),
        CodecId::Pcmu => Some(Companding::Mu),
        _ => None,
    }
}

/// One sample as an A-law code.
#[must_use]
pub(crate) fn to_a_law(sample: i16) -> u8 {
    // G.711 table 1a: 12 magnitude bits of 13; even bits are inverted on the line.
    let magnitude = if sample < 0 { (!sample) >> 4 } else { sample >> 4 };
    let (mut exponent, mut mantissa) = (0, magnitude);
    if mantissa > 15 {
        exponent = 1;
        while mantissa > 31 {
            mantissa >>= 1;
            exponent += 1;
        }
        mantissa -= 16;
    }
    let code = (exponent << 4 | mantissa) as u8;
    (if sample >= 0 { code | 0x80 } else { code }) ^ 0x55
}

/// One sample as a µ-law code.
#[must_use]
pub(crate) fn to_mu_law(sample: i16) -> u8 {
    // G.711 table 2a: 13 magnitude bits of 14 with a bias of 33; all bits are inverted on the line.
    let magnitude = i32::from(if sample < 0 { !sample } else { sample } >> 2);
    let biased = (magnitude + 33).min(0x1fff);
    let segment = 32 - (biased >> 6).leading_zeros();
    let step = (biased >> (segment + 1)) & 0x0f;
    let code = !((segment << 4) as u8 | step as u8) & 0x7f;
    if sample >= 0 { code | 0x80 } else { code }
}

const fn table(law: Companding) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = match law {
            Companding::A => from_a_law(code as u8),
            Companding::Mu => from_mu_law(code as u8),
        };
        code += 1;
    }
    table
}

#[inline(always)]
pub(crate) const fn from_a_law(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i16;
    let magnitude =
        if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

#[inline(always)]
pub(crate) const fn from_mu_law(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i16;
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 tables 1a and 2a, computed otherwise: value of step `n` in segment `s`, in units of
    /// the coder (13 bits for A, 14 for µ), scaled to 16 bits as G.191 does.
    fn a_value(segment: u32, step: u32) -> i32 {
        let units = if segment == 0 { 2 * step + 1 } else { (2 * step + 33) << (segment - 1) };
        (units * 8) as i32
    }

    fn mu_value(segment: u32, step: u32) -> i32 {
        ((((2 * step + 33) << segment) - 33) * 4) as i32
    }

    // REC-2: all 256 codes of both laws decode to the values of G.191.
    #[test]
    fn all_codes_have_their_values() {
        for code in 0..=255_u8 {
            let a = code ^ 0x55;
            let value = a_value(u32::from(a >> 4 & 7), u32::from(a & 15));
            let sign = if a & 0x80 == 0 { -1 } else { 1 };
            assert_eq!(i32::from(A_LAW[usize::from(code)]), sign * value, "A-law {code:#x}");

            let mu = !code;
            let value = mu_value(u32::from(mu >> 4 & 7), u32::from(mu & 15));
            let sign = if mu & 0x80 == 0 { 1 } else { -1 };
            assert_eq!(i32::from(MU_LAW[usize::from(code)]), sign * value, "mu-law {code:#x}");
        }
    }

    // REC-2: what the standards say in words, as a check of the formulas above.
    #[test]
    fn landmarks_are_right() {
        assert_eq!((A_LAW[0xd5], A_LAW[0x55]), (8, -8));
        assert_eq!((A_LAW[0xaa], A_LAW[0x2a]), (32_256, -32_256));
        assert_eq!((MU_LAW[0xff], MU_LAW[0x7f]), (0, 0));
        assert_eq!((MU_LAW[0x80], MU_LAW[0x00]), (32_124, -32_124));
    }

    // REC-2: encoding a code's value gives the code again (but for µ-law's second zero).
    #[test]
    fn codes_survive_a_round_trip() {
        for code in 0..=255_u8 {
            assert_eq!(to_a_law(A_LAW[usize::from(code)]), code);
            if code != 0x7f {
                assert_eq!(to_mu_law(MU_LAW[usize::from(code)]), code, "{code:#x}");
            }
        }
    }

    // REC-2: quantisation errs by half a step at most.
    #[test]
    fn every_sample_is_near_its_code() {
        for sample in i16::MIN..=i16::MAX {
            let (a, mu) = (
                i32::from(A_LAW[usize::from(to_a_law(sample))]),
                i32::from(MU_LAW[usize::from(to_mu_law(sample))]),
            );
            let bound = (i32::from(sample).abs() >> 5) + 16;
            let clipped = i32::from(sample).clamp(-32_124, 32_124);
            assert!((a - i32::from(sample)).abs() <= bound.max(512), "{sample} {a}");
            assert!((mu - clipped).abs() <= bound, "{sample} {mu}");
        }
    }
}
