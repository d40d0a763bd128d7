//! RTCP (RFC 3550 §6), only as far as a relay has to know it: what is RTCP, and whether it is whole.
//!
//! Reports are passed on unchanged or not at all. Nothing that RTCP says (BYE, feedback) has an effect on a stream, so
//! that forging it gains nothing.

/// Bytes of the header that all RTCP packets share.
const HEADER_BYTES: usize = 4;

/// First and last packet type that RFC 5761 §4 sets apart from RTP's.
const PACKET_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// Why a datagram was refused as RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// A packet of the compound reaches past the datagram, or its end is not that of a packet.
    #[error("truncated")]
    Truncated,
    /// Another version than 2.
    #[error("version {0}")]
    Version(u8),
    /// A packet type that is not RTCP's.
    #[error("packet type {0}")]
    PacketType(u8),
}

/// What a compound consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compound {
    /// Packets in it.
    pub packets: u32,
    /// Whether one of them is BYE.
    pub has_bye: bool,
}

/// Packet type of BYE (RFC 3550 §6.6).
const BYE: u8 = 203;

/// Whether a datagram on a port that both share is RTCP rather than RTP (RFC 5761 §4). It may still be broken.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, packet_type, ..] if first >> 6 == 2 && PACKET_TYPES.contains(packet_type))
}

/// Walks a compound (or a single packet of reduced size, RFC 5506) from header to header.
pub fn parse(bytes: &[u8]) -> Result<Compound, RtcpError> {
    let mut compound = Compound::default();
    let mut rest = bytes;
    loop {
        let header: [u8; HEADER_BYTES] = *rest.first_chunk().ok_or(RtcpError::Truncated)?;
        if header[0] >> 6 != 2 {
            return Err(RtcpError::Version(header[0] >> 6));
        }
        if !PACKET_TYPES.contains(&header[1]) {
            return Err(RtcpError::PacketType(header[1]));
        }
        // RFC 3550 §6.4.1: the length in words, less one.
        let len = 4 * (usize::from(u16::from_be_bytes([header[2], header[3]])) + 1);
        rest = rest.get(len..).ok_or(RtcpError::Truncated)?;
        compound.packets += 1;
        compound.has_bye |= header[1] == BYE;
        if rest.is_empty() {
            return Ok(compound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver report without blocks, then a BYE of one source.
    const REPORT_AND_BYE: [u8; 16] = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4];

    #[test]
    fn a_compound_is_walked_to_its_end() {
        assert_eq!(parse(&REPORT_AND_BYE), Ok(Compound { packets: 2, has_bye: true }));
        assert_eq!(parse(&REPORT_AND_BYE[..8]), Ok(Compound { packets: 1, has_bye: false }));
    }

    #[test]
    fn every_cut_inside_a_packet_is_refused() {
        for cut in (0..16).filter(|&cut| cut != 8) {
            assert_eq!(parse(&REPORT_AND_BYE[..cut]), Err(RtcpError::Truncated), "cut to {cut}");
        }
    }

    #[test]
    fn rtp_and_rtcp_are_told_apart_by_the_second_byte() {
        assert!(is_rtcp(&REPORT_AND_BYE));
        assert!(!is_rtcp(&[0x80, 0x80 | 8, 0, 1]), "marker and PCMA");
        assert!(!is_rtcp(&[0x00, 200, 0, 1]), "version 0");
        assert!(!is_rtcp(&[0x80]));
        assert_eq!(parse(&[0x80, 8, 0, 0]), Err(RtcpError::PacketType(8)));
        assert_eq!(parse(&[0x40, 200, 0, 0]), Err(RtcpError::Version(1)));
    }
}
