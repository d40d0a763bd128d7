//! RTP packets (RFC 3550 §5.1) where they lie: read, and their headers written anew, without a copy.
//!
//! ```text
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//!  |                           timestamp                           |
//!  |           synchronization source (SSRC) identifier            |
//!  |   CC contributing sources · extension if X · payload · padding if P
//! ```

use std::ops::Range;

/// Bytes of a header without contributing sources and extension.
pub const HEADER_BYTES: usize = 12;

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0f;
const MARKER_BIT: u8 = 0x80;

/// Why a datagram was refused as RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Header, contributing sources or extension reach past the datagram, whose length in bytes this carries.
    #[error("truncated: {0} bytes")]
    Truncated(usize),
    /// Another version than 2.
    #[error("version {0}")]
    Version(u8),
    /// More padding than there is payload, or a count of zero.
    #[error("{0} bytes of padding do not fit")]
    Padding(u8),
}

/// The fields that are decided upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtpHeader {
    /// First packet of a talkspurt, or the like.
    pub marker: bool,
    /// What the payload is: 0 to 127.
    pub payload_type: u8,
    /// Counts packets.
    pub sequence_number: u16,
    /// Sampling instant of the first octet, in units of the payload's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes the fields over the first twelve bytes of a packet; version, padding, extension and CSRC count stay.
    fn write(&self, bytes: &mut [u8; HEADER_BYTES]) {
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & !MARKER_BIT);
        bytes[2..4].copy_from_slice(&self.sequence_number.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }

    /// Makes the header of a packet of our own, without padding, extension and contributing sources.
    pub fn write_new(&self, bytes: &mut [u8; HEADER_BYTES]) {
        bytes[0] = VERSION << 6;
        self.write(bytes);
    }
}

/// A packet that was proved to be RTP: where its payload lies, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpView {
    /// The header's fields.
    pub header: RtpHeader,
    /// The payload without header, extension and padding.
    pub payload: Range<usize>,
}

impl RtpView {
    /// Proves every offset once. Contributing sources, extension and padding are stepped over, never looked into.
    pub fn parse(bytes: &[u8]) -> Result<RtpView, RtpError> {
        let truncated = RtpError::Truncated(bytes.len());
        let fixed: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(truncated)?;
        let first = fixed[0];
        if first >> 6 != VERSION {
            return Err(RtpError::Version(first >> 6));
        }
        let mut start = HEADER_BYTES + 4 * usize::from(first & CSRC_COUNT_MASK);
        if first & EXTENSION_BIT != 0 {
            // RFC 3550 §5.3.1: 16 bits of the profile's, then the length in words of what follows.
            let length: [u8; 2] =
                *bytes.get(start + 2..).and_then(|bytes| bytes.first_chunk()).ok_or(truncated)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes(length));
        }
        if start > bytes.len() {
            return Err(truncated);
        }
        let mut end = bytes.len();
        if first & PADDING_BIT != 0 {
            let padding = bytes[end - 1];
            if padding == 0 || usize::from(padding) > end - start {
                return Err(RtpError::Padding(padding));
            }
            end -= usize::from(padding);
        }
        Ok(RtpView { header: read_header(fixed), payload: start..end })
    }

    /// Writes another header over that of the packet this view was made of. What a shorter buffer does not hold is
    /// not written.
    pub fn rewrite(&mut self, bytes: &mut [u8], header: RtpHeader) {
        if let Some(fixed) = bytes.first_chunk_mut() {
            header.write(fixed);
            self.header = header;
        }
    }

    /// The payload of the packet this view was made of; empty for a shorter buffer.
    pub fn payload_mut<'a>(&self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        bytes.get_mut(self.payload.clone()).unwrap_or_default()
    }
}

fn read_header(fixed: &[u8; HEADER_BYTES]) -> RtpHeader {
    RtpHeader {
        marker: fixed[1] & MARKER_BIT != 0,
        payload_type: fixed[1] & !MARKER_BIT,
        sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 101,
        sequence_number: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: 0xdead_beef,
    };

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        HEADER.write_new(bytes.first_chunk_mut().expect("twelve bytes"));
        bytes[0] = first;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_an_independent_reader_agrees() {
        let bytes = packet(0x80, &[7; 160]);
        let view = RtpView::parse(&bytes).expect("a good packet");
        assert_eq!((view.header, view.payload.clone()), (HEADER, 12..172));
        let theirs = rtp_rs::RtpReader::new(&bytes).expect("a good packet");
        assert!(theirs.mark() && theirs.payload_type() == 101 && theirs.ssrc() == 0xdead_beef);
        assert_eq!(u16::from(theirs.sequence_number()), 0xfffe);
        assert_eq!((theirs.timestamp(), theirs.payload()), (0x0102_0304, &[7; 160][..]));
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_stepped_over_and_survive_a_rewrite() {
        let mut rest = vec![0x11; 8]; // two contributing sources
        rest.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // an extension of one word
        rest.extend([9; 10]);
        rest.extend([0, 0, 3]); // padding
        let mut bytes = packet(0xb2, &rest);
        let before = bytes.clone();
        let mut view = RtpView::parse(&bytes).expect("a good packet");
        assert_eq!(view.payload_mut(&mut bytes), [9; 10]);
        let header = RtpHeader { marker: false, sequence_number: 5, ..HEADER };
        view.rewrite(&mut bytes, header);
        assert_eq!(bytes[HEADER_BYTES..], before[HEADER_BYTES..]);
        assert_eq!(bytes[0], before[0]);
        assert_eq!(RtpView::parse(&bytes), Ok(view));
    }

    #[test]
    fn every_cut_of_a_packet_is_refused_or_read_within_its_bounds() {
        let mut rest = vec![0x11; 8];
        rest.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let bytes = packet(0x92, &rest);
        for cut in 0..bytes.len() {
            assert_eq!(RtpView::parse(&bytes[..cut]), Err(RtpError::Truncated(cut)), "cut to {cut}");
        }
        assert_eq!(RtpView::parse(&bytes).map(|view| view.payload), Ok(28..28));
    }

    #[test]
    fn wrong_versions_and_impossible_padding_are_refused() {
        assert_eq!(RtpView::parse(&packet(0x40, &[0; 4])), Err(RtpError::Version(1)));
        assert_eq!(RtpView::parse(&packet(0xa0, &[0; 4])), Err(RtpError::Padding(0)));
        assert_eq!(RtpView::parse(&packet(0xa0, &[5, 5, 5, 5])), Err(RtpError::Padding(5)));
        assert_eq!(RtpView::parse(&packet(0xa0, &[4, 4, 4, 4])).map(|view| view.payload), Ok(12..12));
        // The padding count of a packet without payload would lie in the header.
        assert!(RtpView::parse(&packet(0xa0, &[])).is_err());
    }
}
