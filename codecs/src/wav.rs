//! WAV files (RIFF): bytes in, samples out.
//!
//! ```text
//!   "RIFF" length "WAVE"  { id length bytes [pad] }…     of which "fmt " and "data" are read, the rest skipped
//! ```
//!
//! Files come from whoever records prompts, so nothing that they say of sizes is believed.

use crate::g711;

/// Largest file: six minutes of 48,000 Hz stereo. A prompt is held in memory whole.
pub const WAV_BYTES_MAX: usize = 64 << 20;
/// Most samples over all channels: an hour of 8,000 Hz. G.711 would double [`WAV_BYTES_MAX`] in memory.
pub const WAV_SAMPLES_MAX: usize = 32 << 20;
/// Most chunks looked at before audio is given up for lost; real files have fewer than ten.
pub const WAV_CHUNKS_MAX: usize = 64;
/// Lowest rate taken; lower ones are not telephony, and would multiply when resampled.
pub const WAV_RATE_HZ_MIN: u32 = 4_000;
/// Highest rate taken.
pub const WAV_RATE_HZ_MAX: u32 = 192_000;
/// Mono and stereo.
pub const WAV_CHANNELS_MAX: u16 = 2;

// Whatever is accepted stays within what an index can count, after the samples have doubled by resampling too.
const _: () = assert!(WAV_SAMPLES_MAX.checked_mul(4).is_some() && WAV_SAMPLES_MAX <= WAV_BYTES_MAX);

/// Length that a writer leaves in a header when it could not go back to correct it.
const LENGTH_UNKNOWN: u32 = u32::MAX;
/// `wFormatTag` values.
const FORMAT_PCM: u16 = 0x0001;
const FORMAT_FLOAT: u16 = 0x0003;
const FORMAT_ALAW: u16 = 0x0006;
const FORMAT_ULAW: u16 = 0x0007;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;
/// Bytes of "fmt " before any extension.
const FORMAT_LEN_MIN: usize = 16;
/// Where the extensible form keeps the tag proper: the first two bytes of its GUID.
const FORMAT_SUBTYPE_AT: usize = 24;

/// Linear audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcm {
    /// Frames per second.
    pub rate_hz: u32,
    /// Samples per frame.
    pub channels: u16,
    /// Frame after frame.
    pub samples: Vec<i16>,
}

/// Why a file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Does not begin like one.
    #[error("not a WAV file")]
    NotWav,
    /// A chunk says it is longer than what is left of the file.
    #[error("truncated: a chunk of {length} bytes where {left} are left")]
    Truncated {
        /// What the chunk says.
        length: usize,
        /// What is there.
        left: usize,
    },
    /// "fmt " is missing before "data", or too short.
    #[error("no usable format chunk")]
    NoFormat,
    /// "data" is missing.
    #[error("no audio in the file")]
    NoData,
    /// An encoding that is not read.
    #[error("unsupported: format tag {tag:#06x} with {bits} bits")]
    Unsupported {
        /// `wFormatTag`.
        tag: u16,
        /// `wBitsPerSample`.
        bits: u16,
    },
    /// More channels than [`WAV_CHANNELS_MAX`], or none.
    #[error("{0} channels; 1 or 2 are played")]
    Channels(u16),
    /// Outside [`WAV_RATE_HZ_MIN`] to [`WAV_RATE_HZ_MAX`].
    #[error("{0} Hz; {WAV_RATE_HZ_MIN} to {WAV_RATE_HZ_MAX} are played")]
    Rate(u32),
    /// Beyond [`WAV_BYTES_MAX`], [`WAV_SAMPLES_MAX`] or [`WAV_CHUNKS_MAX`].
    #[error("over our limit of size")]
    TooLarge,
}

/// How samples are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// Unsigned, as all PCM of up to 8 bits.
    Pcm8,
    Pcm16,
    Pcm24,
    Pcm32,
    Float32,
    Alaw,
    Ulaw,
}

struct Format {
    encoding: Encoding,
    channels: u16,
    rate_hz: u32,
}

/// Reads a whole file.
pub fn decode(file: &[u8]) -> Result<Pcm, WavError> {
    if file.len() > WAV_BYTES_MAX {
        return Err(WavError::TooLarge);
    }
    // The length that the RIFF header states is wrong in so many files that nobody reads it.
    let mut rest = match (file.get(..4), file.get(8..12)) {
        (Some(b"RIFF"), Some(b"WAVE")) => &file[12..],
        _ => return Err(WavError::NotWav),
    };
    let mut format = None;
    for _ in 0..WAV_CHUNKS_MAX {
        let Some((id, body, after)) = next_chunk(rest)? else { return Err(WavError::NoData) };
        match &id {
            b"fmt " => format = Some(parse_format(body)?),
            b"data" => return decode_data(&format.ok_or(WavError::NoFormat)?, body),
            _ => {}
        }
        rest = after;
    }
    Err(WavError::TooLarge)
}

type Chunk<'a> = ([u8; 4], &'a [u8], &'a [u8]);

/// The next chunk's id and body, and what follows it; `None` at the end.
fn next_chunk(bytes: &[u8]) -> Result<Option<Chunk<'_>>, WavError> {
    let Some((id, bytes)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some((length, bytes)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length);
    if length == LENGTH_UNKNOWN && id == b"data" {
        return Ok(Some((*id, bytes, &[])));
    }
    let length = length as usize;
    let Some((body, after)) = bytes.split_at_checked(length) else {
        return Err(WavError::Truncated { length, left: bytes.len() });
    };
    // Chunks begin at even offsets; the pad byte of the last one is often missing.
    let after = if length % 2 == 1 { after.get(1..).unwrap_or_default() } else { after };
    Ok(Some((*id, body, after)))
}

fn parse_format(chunk: &[u8]) -> Result<Format, WavError> {
    if chunk.len() < FORMAT_LEN_MIN {
        return Err(WavError::NoFormat);
    }
    let u16_at = |at: usize| chunk.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let field = |at| u16_at(at).ok_or(WavError::NoFormat);
    let (channels, bits) = (field(2)?, field(14)?);
    let rate_hz = u32::from(field(4)?) | u32::from(field(6)?) << 16;
    let tag = match field(0)? {
        FORMAT_EXTENSIBLE => field(FORMAT_SUBTYPE_AT)?,
        tag => tag,
    };
    if channels == 0 || channels > WAV_CHANNELS_MAX {
        return Err(WavError::Channels(channels));
    }
    if !(WAV_RATE_HZ_MIN..=WAV_RATE_HZ_MAX).contains(&rate_hz) {
        return Err(WavError::Rate(rate_hz));
    }
    let encoding = Encoding::of(tag, bits).ok_or(WavError::Unsupported { tag, bits })?;
    Ok(Format { encoding, channels, rate_hz })
}

impl Encoding {
    fn of(tag: u16, bits: u16) -> Option<Encoding> {
        match (tag, bits) {
            (FORMAT_PCM, 8) => Some(Encoding::Pcm8),
            (FORMAT_PCM, 16) => Some(Encoding::Pcm16),
            (FORMAT_PCM, 24) => Some(Encoding::Pcm24),
            (FORMAT_PCM, 32) => Some(Encoding::Pcm32),
            (FORMAT_FLOAT, 32) => Some(Encoding::Float32),
            // Some writers leave the bits of G.711 at 0 or state those of the decoded sample.
            (FORMAT_ALAW, 0 | 8 | 16) => Some(Encoding::Alaw),
            (FORMAT_ULAW, 0 | 8 | 16) => Some(Encoding::Ulaw),
            _ => None,
        }
    }

    const fn sample_len(self) -> usize {
        match self {
            Encoding::Pcm8 | Encoding::Alaw | Encoding::Ulaw => 1,
            Encoding::Pcm16 => 2,
            Encoding::Pcm24 => 3,
            Encoding::Pcm32 | Encoding::Float32 => 4,
        }
    }
}

/// Samples of the data chunk; a frame that is not whole is left out.
fn decode_data(format: &Format, data: &[u8]) -> Result<Pcm, WavError> {
    let frame_len = format.encoding.sample_len() * usize::from(format.channels);
    let data = &data[..data.len() - data.len() % frame_len];
    if data.len() / format.encoding.sample_len() > WAV_SAMPLES_MAX {
        return Err(WavError::TooLarge);
    }
    let samples = match format.encoding {
        Encoding::Pcm8 => data.iter().map(|&byte| (i16::from(byte) - 128) << 8).collect(),
        Encoding::Alaw => data.iter().map(|&code| g711::decode_alaw(code)).collect(),
        Encoding::Ulaw => data.iter().map(|&code| g711::decode_ulaw(code)).collect(),
        Encoding::Pcm16 => words(data, i16::from_le_bytes),
        // Of wider samples the upper 16 bits are what a telephone can tell apart.
        Encoding::Pcm24 => words(data, |[_, low, high]: [u8; 3]| i16::from_le_bytes([low, high])),
        Encoding::Pcm32 => words(data, |[_, _, low, high]: [u8; 4]| i16::from_le_bytes([low, high])),
        // `as` saturates and makes silence of what is not a number.
        Encoding::Float32 => words(data, |bytes| (f32::from_le_bytes(bytes) * 32_767.0) as i16),
    };
    Ok(Pcm { rate_hz: format.rate_hz, channels: format.channels, samples })
}

fn words<const N: usize>(data: &[u8], sample: impl Fn([u8; N]) -> i16) -> Vec<i16> {
    data.as_chunks::<N>().0.iter().map(|&bytes| sample(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = id.to_vec();
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body);
        if body.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes
    }

    fn format(tag: u16, channels: u16, rate_hz: u32, bits: u16) -> Vec<u8> {
        let frame_len = channels * bits.div_ceil(8);
        let mut body = Vec::new();
        body.extend(tag.to_le_bytes());
        body.extend(channels.to_le_bytes());
        body.extend(rate_hz.to_le_bytes());
        body.extend((rate_hz * u32::from(frame_len)).to_le_bytes());
        body.extend(frame_len.to_le_bytes());
        body.extend(bits.to_le_bytes());
        body
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let body = [b"WAVE".as_slice(), &chunks.concat()].concat();
        chunk(b"RIFF", &body)
    }

    fn samples(tag: u16, bits: u16, data: &[u8]) -> Result<Vec<i16>, WavError> {
        decode(&file(&[chunk(b"fmt ", &format(tag, 1, 8_000, bits)), chunk(b"data", data)]))
            .map(|pcm| pcm.samples)
    }

    #[test]
    fn each_encoding_gives_the_same_samples() {
        assert_eq!(samples(1, 8, &[0x80, 0xc0, 0x00]), Ok(vec![0, 0x4000, -0x8000]));
        assert_eq!(samples(1, 16, &[0, 0, 0x00, 0x40, 0x00, 0x80]), Ok(vec![0, 0x4000, -0x8000]));
        assert_eq!(samples(1, 24, &[9, 0, 0, 9, 0x00, 0x40, 9, 0x00, 0x80]), Ok(vec![0, 0x4000, -0x8000]));
        assert_eq!(samples(1, 32, &[9, 9, 0, 0, 9, 9, 0x00, 0x80]), Ok(vec![0, -0x8000]));
        let floats: Vec<u8> =
            [0.0f32, 1.0, -1.0, 7.0, f32::NAN].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(samples(3, 32, &floats), Ok(vec![0, 32_767, -32_767, 32_767, 0]));
        assert_eq!(samples(7, 8, &[0xff, 0x80]), Ok(vec![0, 32_124]));
        assert_eq!(samples(6, 8, &[0xd5, 0xaa]), Ok(vec![8, 32_256]));
    }

    #[test]
    fn the_extensible_form_and_strange_chunks_are_read() {
        let mut extensible = format(0xfffe, 2, 44_100, 16);
        extensible.extend([22, 0, 16, 0, 3, 0, 0, 0, 1, 0]);
        extensible.extend([0; 14]);
        let chunks = [
            chunk(b"LIST", b"odd"),
            chunk(b"fmt ", &extensible),
            chunk(b"fact", &[1, 2, 3, 4]),
            chunk(b"data", &[1, 0, 2, 0, 3, 0, 4]),
        ];
        let pcm = decode(&file(&chunks)).expect("reads");
        assert_eq!(pcm, Pcm { rate_hz: 44_100, channels: 2, samples: vec![1, 2] });
    }

    #[test]
    fn a_writer_that_could_not_go_back_leaves_an_unknown_length() {
        let mut bytes = file(&[chunk(b"fmt ", &format(1, 1, 8_000, 16))]);
        bytes.extend(b"data\xff\xff\xff\xff\x01\x00");
        assert_eq!(decode(&bytes).map(|pcm| pcm.samples), Ok(vec![1]));
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let mut bytes = file(&[chunk(b"fmt ", &format(1, 1, 8_000, 16))]);
        bytes.extend(b"data\xfe\xff\xff\xff\x01\x00");
        assert_eq!(decode(&bytes), Err(WavError::Truncated { length: 0xffff_fffe, left: 2 }));
        assert_eq!(decode(&vec![0; WAV_BYTES_MAX + 1]), Err(WavError::TooLarge));
        let many: Vec<Vec<u8>> = (0..WAV_CHUNKS_MAX + 1).map(|_| chunk(b"junk", b"")).collect();
        assert_eq!(decode(&file(&many)), Err(WavError::TooLarge));
        assert_eq!(decode(b"RIFF"), Err(WavError::NotWav));
        assert_eq!(decode(&file(&[chunk(b"fmt ", &[1, 0])])), Err(WavError::NoFormat));
        assert_eq!(decode(&file(&[chunk(b"data", &[1, 0])])), Err(WavError::NoFormat));
        assert_eq!(decode(&file(&[chunk(b"fmt ", &format(1, 1, 8_000, 16))])), Err(WavError::NoData));
        for (channels, rate_hz, bits, expected) in [
            (0, 8_000, 16, WavError::Channels(0)),
            (3, 8_000, 16, WavError::Channels(3)),
            (1, 0, 16, WavError::Rate(0)),
            (1, 1_000_000, 16, WavError::Rate(1_000_000)),
            (1, 8_000, 12, WavError::Unsupported { tag: 1, bits: 12 }),
        ] {
            assert_eq!(decode(&file(&[chunk(b"fmt ", &format(1, channels, rate_hz, bits))])), Err(expected));
        }
    }

    #[test]
    fn mutated_files_are_read_or_refused_but_never_panic() {
        let seeds = [
            file(&[chunk(b"fmt ", &format(1, 2, 48_000, 24)), chunk(b"data", &[7; 60])]),
            file(&[chunk(b"fmt ", &format(7, 1, 8_000, 8)), chunk(b"LIST", b"abc"), chunk(b"data", &[7; 9])]),
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for round in 0..20_000 {
            let mut bytes = seeds[round % seeds.len()].clone();
            for _ in 0..1 + random(4) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, [0, 1, 0x7f, 0xff][random(4)]),
                }
            }
            if let Ok(pcm) = decode(&bytes) {
                assert!(pcm.samples.len() <= bytes.len());
                assert!((1..=WAV_CHANNELS_MAX).contains(&pcm.channels));
            }
        }
    }
}
