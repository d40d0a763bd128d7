//! WAV files from anywhere: read or refused, within the limits, and resampled without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pcm) = codecs::wav::decode(bytes) {
        assert!(pcm.samples.len() <= bytes.len());
        let _ = codecs::resample::resample(&pcm, 8_000);
    }
});
