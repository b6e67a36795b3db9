//! What is left of a packet that is masked: that it came, when, and where in its stream. Nothing of what it carried.

/// RFC 3550 section 5.1: version to SSRC.
const RTP_BYTES: usize = 12;
/// No byte behind these is left, nor looked at.
pub const LEFT_BYTES_MAX: usize = RTP_BYTES;

/// Masks a datagram's payload. Returns how many bytes of it are left: the fixed header of RTP, without the flags that would
/// promise more behind it; nothing of what is not RTP. What is behind them is the caller's to destroy.
pub fn mask(payload: &mut [u8]) -> usize {
    let Some(header) = payload.first_chunk_mut::<RTP_BYTES>() else { return 0 };
    // RFC 5761 section 4: packet types 192 to 223 are RTCP, which says nothing that a masked stream needs.
    if header[0] >> 6 != 2 || (192..=223).contains(&header[1]) {
        return 0;
    }
    header[0] = 2 << 6;
    RTP_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-9: sequence, time and source are known, and no byte of what was said: neither payload nor extensions
    /// (RFC 6464 tells there how loud it is).
    #[test]
    fn only_the_place_in_the_stream_is_left() {
        let mut packet = [0x7e; 172];
        packet[0] = 0b1011_0010;
        packet[1] = 0x80;
        let before = packet;
        assert_eq!(mask(&mut packet), RTP_BYTES);
        assert_eq!(packet[0], 0x80);
        assert_eq!(packet[1..RTP_BYTES], before[1..RTP_BYTES]);
        packet[1] = 200;
        assert_eq!(mask(&mut packet), 0);
        assert_eq!(mask(&mut [0x40; 172]), 0);
        assert_eq!(mask(&mut [0x80; 11]), 0);
        assert_eq!(mask(&mut []), 0);
    }
}
