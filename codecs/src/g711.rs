//! G.711: µ-law and A-law (ITU-T Recommendation G.711), all by table, the tables made at compile time.
//!
//! Linear samples are 16 bits wide: the 14 bits of µ-law and the 13 bits of A-law stand at the top. Transcoding between the
//! laws follows tables 3 and 4 of the Recommendation, which differ in a few codes from decoding and encoding again.

/// What µ-law codes mean, as linear samples.
static ULAW_TO_LINEAR: [i16; 256] = ulaw_values();
/// What A-law codes mean, as linear samples.
static ALAW_TO_LINEAR: [i16; 256] = alaw_values();
/// Table 3 of the Recommendation.
static ULAW_TO_ALAW: [u8; 256] = ulaw_to_alaw_table();
/// Table 4 of the Recommendation.
static ALAW_TO_ULAW: [u8; 256] = alaw_to_ulaw_table();

/// The µ-law code of digital silence.
pub const ULAW_SILENCE: u8 = 0xff;
/// The A-law code nearest to digital silence; A-law has no zero.
pub const ALAW_SILENCE: u8 = 0xd5;

/// Added to a µ-law magnitude so that segments begin at powers of two.
const ULAW_BIAS: i32 = 132;
/// Largest magnitude that µ-law can tell from larger ones.
const ULAW_MAGNITUDE_MAX: i32 = 32_635;
/// A-law codes travel with every second bit inverted (G.711 §3, note to table 1a).
const ALAW_EVEN_BITS: u8 = 0x55;

/// Encodes one linear sample as µ-law.
pub fn encode_ulaw(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let magnitude = sample.abs().min(ULAW_MAGNITUDE_MAX) + ULAW_BIAS;
    // 132 ≤ magnitude ≤ 32,767: the highest bit is one of 7 to 14 and names the segment.
    let segment = 24 - magnitude.leading_zeros() as i32;
    let step = (magnitude >> (segment + 3)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) | step) as u8
}

/// Encodes one linear sample as A-law.
pub fn encode_alaw(sample: i16) -> u8 {
    // The complement of a negative sample is its magnitude less one: the intervals of both signs are alike.
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let magnitude = u32::from(magnitude.unsigned_abs()) >> 4;
    let code = if magnitude < 32 {
        magnitude
    } else {
        let segment = 28 - magnitude.leading_zeros();
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)
    };
    (sign | code as u8) ^ ALAW_EVEN_BITS
}

/// Decodes one µ-law code.
pub fn decode_ulaw(code: u8) -> i16 {
    ULAW_TO_LINEAR[usize::from(code)]
}

/// Decodes one A-law code.
pub fn decode_alaw(code: u8) -> i16 {
    ALAW_TO_LINEAR[usize::from(code)]
}

/// Encodes as many samples as both slices have room for; returns how many.
pub fn encode_ulaw_slice(samples: &[i16], codes: &mut [u8]) -> usize {
    samples.iter().zip(codes).map(|(&sample, code)| *code = encode_ulaw(sample)).count()
}

/// Encodes as many samples as both slices have room for; returns how many.
pub fn encode_alaw_slice(samples: &[i16], codes: &mut [u8]) -> usize {
    samples.iter().zip(codes).map(|(&sample, code)| *code = encode_alaw(sample)).count()
}

/// Decodes as many codes as both slices have room for; returns how many.
pub fn decode_ulaw_slice(codes: &[u8], samples: &mut [i16]) -> usize {
    codes.iter().zip(samples).map(|(&code, sample)| *sample = decode_ulaw(code)).count()
}

/// Decodes as many codes as both slices have room for; returns how many.
pub fn decode_alaw_slice(codes: &[u8], samples: &mut [i16]) -> usize {
    codes.iter().zip(samples).map(|(&code, sample)| *sample = decode_alaw(code)).count()
}

/// Turns µ-law codes into A-law in place (table 3).
pub fn ulaw_to_alaw(codes: &mut [u8]) {
    for code in codes {
        *code = ULAW_TO_ALAW[usize::from(*code)];
    }
}

/// Turns A-law codes into µ-law in place (table 4).
pub fn alaw_to_ulaw(codes: &mut [u8]) {
    for code in codes {
        *code = ALAW_TO_ULAW[usize::from(*code)];
    }
}

const fn ulaw_values() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as u8);
        let (segment, step) = ((bits >> 4) & 7, (bits & 0x0f) as i32);
        let magnitude = (((step << 3) + ULAW_BIAS) << segment) - ULAW_BIAS;
        table[code] = if bits & 0x80 != 0 { -magnitude } else { magnitude } as i16;
        code += 1;
    }
    table
}

const fn alaw_values() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = code as u8 ^ ALAW_EVEN_BITS;
        let (segment, step) = ((bits >> 4) & 7, (bits & 0x0f) as i32);
        // A code stands for the middle of its interval.
        let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 0x108) << (segment - 1) };
        table[code] = if bits & 0x80 != 0 { magnitude } else { -magnitude } as i16;
        code += 1;
    }
    table
}

/// Table 3: decoder output value number of µ-law (0 to 127) to that of A-law, counted from 1.
const fn alaw_number(ulaw_number: u8) -> u8 {
    match ulaw_number {
        0..=15 => ulaw_number / 2 + 1,
        16..=31 => ulaw_number - 7,
        32..=35 => 25 + 2 * (ulaw_number - 32),
        36..=47 => ulaw_number - 3,
        48 => 46,
        49 => 48,
        50..=63 => ulaw_number - 1,
        64..=80 => ulaw_number,
        _ => ulaw_number + 1,
    }
}

/// Table 4: decoder output value number of A-law, counted from 1, to that of µ-law.
const fn ulaw_number(alaw_number: u8) -> u8 {
    match alaw_number {
        0..=8 => (2 * alaw_number).saturating_sub(1),
        9..=24 => alaw_number + 7,
        25..=32 => 32 + (alaw_number - 25) / 2,
        33..=44 => alaw_number + 3,
        45..=48 => 48 + (alaw_number - 45) / 2,
        49..=62 => alaw_number + 1,
        63 => 64,
        64..=80 => alaw_number,
        _ => alaw_number - 1,
    }
}

const fn ulaw_to_alaw_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 128 {
        let alaw = alaw_number(number) - 1;
        table[(0xff ^ number) as usize] = 0x80 ^ ALAW_EVEN_BITS ^ alaw;
        table[(0x7f ^ number) as usize] = ALAW_EVEN_BITS ^ alaw;
        number += 1;
    }
    table
}

const fn alaw_to_ulaw_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 128 {
        let ulaw = ulaw_number(number + 1);
        table[(0x80 ^ ALAW_EVEN_BITS ^ number) as usize] = 0xff ^ ulaw;
        table[(ALAW_EVEN_BITS ^ number) as usize] = 0x7f ^ ulaw;
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of a law in order of the value they stand for.
    fn in_order(decode: fn(u8) -> i16) -> Vec<u8> {
        let mut codes: Vec<u8> = (0..=255).collect();
        codes.sort_by_key(|&code| decode(code));
        codes
    }

    #[test]
    fn the_values_of_the_recommendation_are_met() {
        // Tables 2a and 2b: the largest decoder output is 8,031 of 14 bits; 1a and 1b: 4,032 of 13 bits.
        assert_eq!(decode_ulaw(0x80), 8_031 * 4);
        assert_eq!(decode_ulaw(0x00), -8_031 * 4);
        assert_eq!((decode_ulaw(0xff), decode_ulaw(0x7f)), (0, 0));
        assert_eq!(decode_alaw(0xaa), 4_032 * 8);
        assert_eq!(decode_alaw(0x2a), -4_032 * 8);
        assert_eq!((decode_alaw(0xd5), decode_alaw(0x55)), (8, -8));
        assert_eq!((encode_ulaw(0), encode_alaw(0)), (ULAW_SILENCE, ALAW_SILENCE));
        assert_eq!((encode_ulaw(i16::MAX), encode_ulaw(i16::MIN)), (0x80, 0x00));
        assert_eq!((encode_alaw(i16::MAX), encode_alaw(i16::MIN)), (0xaa, 0x2a));
    }

    #[test]
    fn what_was_decoded_encodes_to_the_same_code() {
        for code in 0..=255 {
            assert_eq!(encode_alaw(decode_alaw(code)), code);
            // µ-law has two zeros; the encoder knows the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(encode_ulaw(decode_ulaw(code)), expected);
        }
    }

    #[test]
    fn every_sample_is_encoded_to_a_value_within_half_a_step() {
        // Both laws decide at powers of two, where the next step's middle may be a little nearer.
        let half_step = |magnitude: i32| (1 << magnitude.max(1).ilog2()) / 32;
        for sample in i16::MIN..=i16::MAX {
            let value = i32::from(sample).clamp(-ULAW_MAGNITUDE_MAX, ULAW_MAGNITUDE_MAX);
            let error = (i32::from(decode_ulaw(encode_ulaw(sample))) - value).abs();
            assert!(error <= half_step(value.abs() + ULAW_BIAS), "µ-law of {sample}: {error} off");
            // A negative interval of A-law includes its far end, which costs one more.
            let value = i32::from(sample);
            let error = (i32::from(decode_alaw(encode_alaw(sample))) - value).abs();
            assert!(error <= half_step(value.abs()).max(8) + 1, "A-law of {sample}: {error} off");
        }
    }

    #[test]
    fn transcoding_keeps_order_and_sign_and_loses_at_most_one_step() {
        for (codes, decode, transcode, decode_other) in [
            (
                in_order(decode_ulaw),
                decode_ulaw as fn(u8) -> i16,
                ulaw_to_alaw as fn(&mut [u8]),
                decode_alaw as fn(u8) -> i16,
            ),
            (in_order(decode_alaw), decode_alaw, alaw_to_ulaw, decode_ulaw),
        ] {
            let mut transcoded = codes.clone();
            transcode(&mut transcoded);
            assert!(transcoded.is_sorted_by_key(|&code| decode_other(code)));
            for (&before, &after) in codes.iter().zip(&transcoded) {
                assert_eq!(before & 0x80, after & 0x80);
                let (before, after) = (i32::from(decode(before)), i32::from(decode_other(after)));
                let step = 16.max(before.abs() / 16);
                assert!((before - after).abs() <= step, "{before} became {after}");
            }
        }
    }

    #[test]
    fn a_second_crossing_of_the_border_changes_nothing_more() {
        // G.711 §3.3: after one µ–A–µ conversion the codes pass further conversions unchanged.
        let mut once: Vec<u8> = (0..=255).collect();
        ulaw_to_alaw(&mut once);
        alaw_to_ulaw(&mut once);
        let mut twice = once.clone();
        ulaw_to_alaw(&mut twice);
        alaw_to_ulaw(&mut twice);
        assert_eq!(once, twice);
        // And all but the eight pairs that A-law has no codes for come back whole.
        let changed = (0..=255u8).zip(&once).filter(|(before, after)| before != *after).count();
        assert_eq!(changed, 2 * 8);
    }

    #[test]
    fn the_shorter_slice_says_how_much_is_done() {
        let mut codes = [0; 2];
        assert_eq!(encode_ulaw_slice(&[0, 100, 200], &mut codes), 2);
        let mut samples = [7; 4];
        assert_eq!(decode_ulaw_slice(&codes, &mut samples), 2);
        assert_eq!(samples[2..], [7, 7]);
        assert_eq!(encode_alaw_slice(&samples, &mut codes), 2);
        assert_eq!(decode_alaw_slice(&codes, &mut samples[..1]), 1);
    }
}
