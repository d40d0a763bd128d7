//! Audio codecs, files and tones: bytes in, samples out.

pub mod g711;
mod name;
pub mod resample;
pub mod wav;

pub use name::{AudioCodec, CodecParameters};
