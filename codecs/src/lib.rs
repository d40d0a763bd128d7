//! Audio codecs, files and tones: bytes in, samples out.

mod name;

pub use name::{AudioCodec, CodecParameters};
