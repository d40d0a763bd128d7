//! What phones say: every packet of audio names its call, its speaker and its place, and every sample is foreseeable.
//!
//! A packet is 160 symbols of an alphabet of sixteen G.711 codes: 4 symbols call, 2 leg, 1 speaker, 6 index, 3 check,
//! then noise that the others decide. The codes are those whose magnitudes are the same numbers in µ-law and A-law (ITU-T
//! G.711 tables 3 and 4), so that a listener behind a transcoder knows each sample as well.

use std::sync::OnceLock;

use crate::random::Random;

/// Samples of one packet: 20 ms.
pub const SAMPLES_PER_PACKET: usize = 160;

/// Speaker of a call that called; speakers above it were called, [`PROMPT`] is a recording.
pub const CALLER: u8 = 0;

/// Speaker that is no phone: a prompt, whose number stands in place of the call.
pub const PROMPT: u8 = 15;

/// Magnitudes of the alphabet: from the upper three segments, where both laws count alike.
const MAGNITUDES: [u8; 8] = [82, 88, 94, 100, 106, 112, 118, 124];

const HEAD_SYMBOLS: usize = 16;

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// PCMU, payload type 0.
    Ulaw,
    /// PCMA, payload type 8.
    Alaw,
}

/// One speaker of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voice {
    /// Number of the call, or of the prompt.
    pub call: u16,
    /// Which of the speaker's legs in this call: who is called again is another voice.
    pub take: u8,
    /// Who of them.
    pub speaker: u8,
}

/// Audio that nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// Not a whole number of packets' samples.
    Length(usize),
    /// A sample that is no symbol.
    Symbol(usize),
    /// The head contradicts itself.
    Head,
    /// A sample that this voice does not say at this place.
    Sample(usize),
}

impl Voice {
    /// The voice of a prompt.
    pub const fn of_prompt(number: u16) -> Voice {
        Voice { call: number, take: 0, speaker: PROMPT }
    }

    /// The `index`th packet that this voice says.
    pub fn packet(self, index: u32, law: Law) -> [u8; SAMPLES_PER_PACKET] {
        self.symbols(index).map(|symbol| code(symbol, law))
    }

    /// Linear samples of the first packets, as a prompt holds them.
    pub fn samples(self, packets: u32) -> Vec<i16> {
        static LEVELS: OnceLock<Vec<i16>> = OnceLock::new();
        let level = LEVELS.get_or_init(|| (0..16).map(level).collect());
        (0..packets).flat_map(|index| self.symbols(index)).map(|symbol| level[usize::from(symbol)]).collect()
    }

    fn symbols(self, index: u32) -> [u8; SAMPLES_PER_PACKET] {
        let name = u64::from(self.call) << 12 | u64::from(self.take) << 4 | u64::from(self.speaker);
        let key = name << 32 | u64::from(index);
        let mut noise = Random::new(key).fork(0x0076_6f69_6365);
        let check = noise.number();
        let head = name << 36 | u64::from(index & 0x00ff_ffff) << 12 | check & 0xfff;
        let mut symbols = [0; SAMPLES_PER_PACKET];
        for (place, symbol) in symbols[..HEAD_SYMBOLS].iter_mut().enumerate() {
            *symbol = (head >> (4 * (HEAD_SYMBOLS - 1 - place)) & 0xf) as u8;
        }
        for chunk in symbols[HEAD_SYMBOLS..].chunks_mut(16) {
            let mut bits = noise.number();
            for symbol in chunk {
                *symbol = (bits & 0xf) as u8;
                bits >>= 4;
            }
        }
        symbols
    }
}

/// Who says this, and what place it has; every sample is checked.
pub fn read(payload: &[u8], law: Law) -> Result<(Voice, u32), Garbled> {
    if payload.len() != SAMPLES_PER_PACKET {
        return Err(Garbled::Length(payload.len()));
    }
    let mut head: u64 = 0;
    for (place, heard) in payload[..HEAD_SYMBOLS].iter().enumerate() {
        let symbol = symbol(*heard, law).ok_or(Garbled::Symbol(place))?;
        head = head << 4 | u64::from(symbol);
    }
    let voice = Voice {
        call: (head >> 48) as u16,
        take: (head >> 40 & 0xff) as u8,
        speaker: (head >> 36 & 0xf) as u8,
    };
    let index = (head >> 12 & 0x00ff_ffff) as u32;
    let expected = voice.packet(index, law);
    if expected[..HEAD_SYMBOLS] != payload[..HEAD_SYMBOLS] {
        return Err(Garbled::Head);
    }
    match expected.iter().zip(payload).position(|(expected, heard)| expected != heard) {
        Some(place) => Err(Garbled::Sample(place)),
        None => Ok((voice, index)),
    }
}

fn code(symbol: u8, law: Law) -> u8 {
    let magnitude = MAGNITUDES[usize::from(symbol & 7)];
    let sign = if symbol & 8 == 0 { 0x80 } else { 0 };
    match law {
        Law::Ulaw => sign | (0x7f - magnitude),
        Law::Alaw => (sign | magnitude) ^ 0x55,
    }
}

fn symbol(heard: u8, law: Law) -> Option<u8> {
    (0..16).find(|symbol| code(*symbol, law) == heard)
}

/// A linear level that both laws write as this symbol.
fn level(symbol: u8) -> i16 {
    let is_it = |level: i16| {
        codecs::g711::encode_ulaw(level) == code(symbol, Law::Ulaw)
            && codecs::g711::encode_alaw(level) == code(symbol, Law::Alaw)
    };
    let levels = (0..i16::MAX).filter(|level| is_it(if symbol & 8 == 0 { *level } else { -*level }));
    let levels: Vec<i16> = levels.collect();
    let middle = levels[levels.len() / 2];
    if symbol & 8 == 0 { middle } else { -middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: Voice = Voice { call: 4_711, take: 200, speaker: 3 };

    #[test]
    fn a_packet_tells_call_speaker_and_place_in_both_laws() {
        for law in [Law::Ulaw, Law::Alaw] {
            assert_eq!(read(&VOICE.packet(77, law), law), Ok((VOICE, 77)));
        }
    }

    #[test]
    fn each_changed_sample_is_noticed() {
        for place in 0..SAMPLES_PER_PACKET {
            let mut packet = VOICE.packet(5, Law::Ulaw);
            packet[place] ^= 0x80;
            assert!(read(&packet, Law::Ulaw).is_err(), "sample {place}");
        }
        assert!(read(&VOICE.packet(5, Law::Ulaw), Law::Alaw).is_err());
    }

    #[test]
    fn transcoding_and_encoding_give_the_same_symbols() {
        let mut packet = VOICE.packet(9, Law::Ulaw);
        codecs::g711::ulaw_to_alaw(&mut packet);
        assert_eq!(packet, VOICE.packet(9, Law::Alaw));
        let encoded: Vec<u8> = VOICE.samples(1).into_iter().map(codecs::g711::encode_ulaw).collect();
        assert_eq!(encoded, VOICE.packet(0, Law::Ulaw));
    }
}
