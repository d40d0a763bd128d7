//! One RTP packet of the harness. Its payload says who sent it, the how-manieth it is and when it was sent, and fills
//! the rest with a pattern of both, so that the far end can tell loss, delay, order and every changed byte.
//!
//! ```text
//!  0           4         8            12                  20             160
//!  | mark 'XPP1' | sender  | number     | sent at, ns         | pattern … |
//! ```
//!
//! All big-endian. A target that transcodes changes the payload; such a run needs another kind of check.

use clock::Tick;

/// Bytes of an RTP header without extension.
pub const HEADER_LEN: usize = 12;
/// 20 ms of G.711.
pub const PAYLOAD_LEN: usize = 160;
/// Bytes of a whole packet.
pub const PACKET_LEN: usize = HEADER_LEN + PAYLOAD_LEN;
/// Samples that the timestamp advances by.
const SAMPLES_PER_PACKET: u32 = 160;

const MARK: [u8; 4] = *b"XPP1";
const STAMP_LEN: usize = 20;

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The end that sent it.
    pub sender: u32,
    /// The how-manieth of that end, from 0.
    pub number: u32,
    /// When it was sent, by the harness's clock.
    pub sent_at: Tick,
}

/// Why a datagram is not what an end of ours sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It is not an RTP packet as we send it: length, version, padding, extension or payload type.
    #[error("not an RTP packet of the expected form")]
    Form,
    /// The payload is not what was sent.
    #[error("the payload was changed")]
    Changed,
}

/// Writes the packet that `stamp` describes.
pub fn write(stamp: Stamp, payload_type: u8, out: &mut [u8; PACKET_LEN]) {
    let first = u32::from(stamp.number == 0);
    out[0] = 0x80;
    // The first packet of a talk spurt is marked (RFC 3551 §4.1).
    out[1] = payload_type | (first as u8) << 7;
    // Where sequence numbers and timestamps begin differs between ends, and wraps within the run for some.
    let origin = stamp.sender.wrapping_mul(0x9E37_79B9);
    out[2..4].copy_from_slice(&(origin as u16).wrapping_add(stamp.number as u16).to_be_bytes());
    let timestamp = origin.wrapping_add(stamp.number.wrapping_mul(SAMPLES_PER_PACKET));
    out[4..8].copy_from_slice(&timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&(origin ^ 0xC0DE_C0DE).to_be_bytes());
    let payload = &mut out[HEADER_LEN..];
    payload[..4].copy_from_slice(&MARK);
    payload[4..8].copy_from_slice(&stamp.sender.to_be_bytes());
    payload[8..12].copy_from_slice(&stamp.number.to_be_bytes());
    payload[12..20].copy_from_slice(&stamp.sent_at.as_nanos().to_be_bytes());
    for (word, chunk) in pattern(stamp).zip(payload[STAMP_LEN..].chunks_exact_mut(4)) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
}

/// Reads a datagram and proves that every byte of its payload is as it was sent.
pub fn read(bytes: &[u8], payload_type: u8) -> Result<Stamp, PacketError> {
    if bytes.len() != PACKET_LEN || bytes[0] != 0x80 || bytes[1] & 0x7f != payload_type {
        return Err(PacketError::Form);
    }
    let payload = &bytes[HEADER_LEN..];
    let word =
        |at: usize| u32::from_be_bytes([payload[at], payload[at + 1], payload[at + 2], payload[at + 3]]);
    let sent_at = Tick::from_nanos(u64::from(word(12)) << 32 | u64::from(word(16)));
    let stamp = Stamp { sender: word(4), number: word(8), sent_at };
    let is_whole = payload[..4] == MARK
        && pattern(stamp)
            .zip(payload[STAMP_LEN..].chunks_exact(4))
            .all(|(word, chunk)| word.to_be_bytes() == chunk);
    if is_whole { Ok(stamp) } else { Err(PacketError::Changed) }
}

/// Words that depend on every bit of the stamp: a changed stamp no longer fits its pattern.
fn pattern(stamp: Stamp) -> impl Iterator<Item = u32> {
    let mut state =
        u64::from(stamp.sender) << 32 ^ u64::from(stamp.number) ^ stamp.sent_at.as_nanos().rotate_left(17);
    std::iter::repeat_with(move || {
        // Knuth's MMIX generator: cheap, and its high bits are good enough to differ.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Stamp, [u8; PACKET_LEN]) {
        let stamp = Stamp { sender: 7, number: 3, sent_at: Tick::from_millis(1_234) };
        let mut packet = [0; PACKET_LEN];
        write(stamp, 8, &mut packet);
        (stamp, packet)
    }

    #[test]
    fn what_is_written_is_read() {
        let (stamp, packet) = example();
        assert_eq!(read(&packet, 8), Ok(stamp));
    }

    #[test]
    fn a_rewritten_header_does_not_matter_but_every_byte_of_the_payload_does() {
        let (stamp, packet) = example();
        for at in 2..PACKET_LEN {
            let mut changed = packet;
            changed[at] ^= 0x10;
            let expected = if at < HEADER_LEN { Ok(stamp) } else { Err(PacketError::Changed) };
            assert_eq!(read(&changed, 8), expected, "byte {at}");
        }
    }

    #[test]
    fn another_payload_type_or_length_is_refused() {
        let (_, packet) = example();
        assert_eq!(read(&packet, 0), Err(PacketError::Form));
        assert_eq!(read(&packet[..PACKET_LEN - 1], 8), Err(PacketError::Form));
        assert_eq!(read(&[], 8), Err(PacketError::Form));
    }
}
