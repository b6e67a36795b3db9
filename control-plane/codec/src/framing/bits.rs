//! Reading payloads bit by bit, most significant first.

/// A position among the bits of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }

    /// The next `count` bits (at most 32) as a number.
    pub(crate) fn take(&mut self, count: usize) -> Option<u32> {
        if count > 32 || self.left() < count {
            return None;
        }
        let value = (self.position..self.position + count).fold(0, |value, position| {
            value << 1 | u32::from(self.bytes[position / 8] >> (7 - position % 8) & 1)
        });
        self.position += count;
        Some(value)
    }

    /// The next bit, which stays.
    pub(crate) fn peek(&self) -> Option<u32> {
        self.clone().take(1)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        (self.left() >= count).then(|| self.position += count)
    }

    /// Appends the next `count` bits to `out`, from the top of a byte; the last byte is filled up
    /// with zeros.
    pub(crate) fn copy(&mut self, count: usize, out: &mut Vec<u8>) -> Option<()> {
        if self.left() < count {
            return None;
        }
        let shift = self.position % 8;
        let start = self.position / 8;
        for n in 0..count.div_ceil(8) {
            let here = u16::from(self.bytes[start + n]) << 8;
            let next = self.bytes.get(start + n + 1).map_or(0, |&byte| u16::from(byte));
            out.push(((here | next) << shift >> 8) as u8);
        }
        if let Some(last) = out.last_mut().filter(|_| !count.is_multiple_of(8)) {
            *last &= !(0xff >> (count % 8));
        }
        self.position += count;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REC-2 (RFC 4867 section 4.3): bits across bytes come out as they went in.
    #[test]
    fn bits_cross_bytes() {
        let mut bits = Bits::new(&[0b1010_1100, 0b0101_0011, 0xff]);
        assert_eq!(bits.take(3), Some(0b101));
        let mut out = Vec::new();
        assert_eq!(bits.copy(10, &mut out), Some(()));
        assert_eq!(out, [0b0110_0010, 0b1000_0000]);
        assert_eq!((bits.position(), bits.left(), bits.peek()), (13, 11, Some(0)));
        assert_eq!(bits.take(12), None);
        assert_eq!(bits.skip(12), None);
    }
}
