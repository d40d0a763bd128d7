//! Files of any rate to the one rate that prompts have, one channel.
//!
//! Works on whole clips in memory and is called where a file is loaded, never on the packet path.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler, SincInterpolationParameters, WindowFunction};

use crate::wav::Pcm;

/// Frames handed to the resampler at a time. Only memory and speed depend on it.
const CHUNK_FRAMES: usize = 1_024;
/// Taps of the low-pass: 128 at 48,000 Hz leave nothing audible above 4,000 Hz.
const FILTER_TAPS: usize = 128;
/// Linear full scale.
const FULL_SCALE: f32 = 32_768.0;

/// Why a clip could not be brought to another rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// A rate of zero, or no channels.
    #[error("a clip of {channels} channels at {rate_hz} Hz cannot be played")]
    Unplayable {
        /// Rate of the clip.
        rate_hz: u32,
        /// Its channels.
        channels: u16,
    },
    /// The resampler refused: our bug.
    #[error("resampler: {0}")]
    Internal(String),
}

/// The clip as one channel at `rate_hz`. Channels are averaged.
pub fn resample(pcm: &Pcm, rate_hz: u32) -> Result<Vec<i16>, ResampleError> {
    if pcm.rate_hz == 0 || rate_hz == 0 || pcm.channels == 0 {
        return Err(ResampleError::Unplayable { rate_hz: pcm.rate_hz, channels: pcm.channels });
    }
    let mono = to_mono(pcm);
    if pcm.rate_hz == rate_hz || mono.is_empty() {
        return Ok(mono);
    }
    let input: Vec<f32> = mono.iter().map(|&sample| f32::from(sample) / FULL_SCALE).collect();
    let output = convert(&input, f64::from(rate_hz) / f64::from(pcm.rate_hz))
        .map_err(|error| ResampleError::Internal(error.to_string()))?;
    Ok(output.into_iter().map(to_sample).collect())
}

fn to_mono(pcm: &Pcm) -> Vec<i16> {
    let channels = usize::from(pcm.channels);
    if channels == 1 {
        return pcm.samples.clone();
    }
    let average = |frame: &[i16]| {
        let sum: i32 = frame.iter().map(|&sample| i32::from(sample)).sum();
        (sum / frame.len() as i32) as i16
    };
    pcm.samples.chunks_exact(channels).map(average).collect()
}

fn convert(input: &[f32], ratio: f64) -> Result<Vec<f32>, Box<dyn core::error::Error>> {
    let parameters = SincInterpolationParameters::new(FILTER_TAPS, WindowFunction::BlackmanHarris2);
    let mut resampler = Async::<f32>::new_sinc(ratio, 1.0, &parameters, CHUNK_FRAMES, 1, FixedAsync::Input)?;
    let clip = InterleavedSlice::new(input, 1, input.len())?;
    Ok(resampler.process_all(&clip, input.len(), None)?.take_data())
}

fn to_sample(value: f32) -> i16 {
    // `as` saturates, which is what an overshoot of the filter needs.
    (value * FULL_SCALE).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate_hz: u32, frequency_hz: f64, duration_ms: u32, channels: u16) -> Pcm {
        let frames = rate_hz * duration_ms / 1_000;
        let sample = |frame: u32| {
            let phase = std::f64::consts::TAU * frequency_hz * f64::from(frame) / f64::from(rate_hz);
            (10_000.0 * phase.sin()) as i16
        };
        let samples = (0..frames).flat_map(|frame| vec![sample(frame); usize::from(channels)]).collect();
        Pcm { rate_hz, channels, samples }
    }

    fn level(samples: &[i16]) -> f64 {
        let square: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        (square / samples.len() as f64).sqrt()
    }

    /// Amplitude of one frequency, and the level of all that is not it. The phase does not matter: a clip may come
    /// out a fraction of a sample later.
    fn tone_and_rest(samples: &[i16], frequency_hz: f64) -> (f64, f64) {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, &sample) in samples.iter().enumerate() {
            let phase = std::f64::consts::TAU * frequency_hz * at as f64 / 8_000.0;
            real += f64::from(sample) * phase.cos();
            imaginary += f64::from(sample) * phase.sin();
        }
        let amplitude = 2.0 * real.hypot(imaginary) / samples.len() as f64;
        let rest = level(samples).powi(2) - amplitude.powi(2) / 2.0;
        (amplitude, rest.max(0.0).sqrt())
    }

    #[test]
    fn a_tone_keeps_its_length_and_amplitude_from_any_rate() {
        for (rate_hz, channels) in
            [(8_000, 1), (8_000, 2), (11_025, 1), (16_000, 1), (44_100, 2), (48_000, 1)]
        {
            let output = resample(&sine(rate_hz, 1_000.0, 500, channels), 8_000).expect("resamples");
            assert!(output.len().abs_diff(4_000) <= 2, "{rate_hz} Hz gave {} samples", output.len());
            let middle = &output[200..3_800];
            let (amplitude, rest) = tone_and_rest(middle, 1_000.0);
            assert!((9_900.0..10_100.0).contains(&amplitude), "{rate_hz} Hz: amplitude {amplitude}");
            assert!(rest < 30.0, "{rate_hz} Hz: {rest} beside the tone");
        }
    }

    #[test]
    fn what_8_000_hz_cannot_carry_is_gone_and_not_mirrored() {
        let output = resample(&sine(48_000, 7_000.0, 500, 1), 8_000).expect("resamples");
        assert!(level(&output[200..3_800]) < 50.0);
    }

    #[test]
    fn an_empty_clip_stays_empty_and_a_rate_of_zero_is_refused() {
        assert_eq!(resample(&Pcm { rate_hz: 48_000, channels: 1, samples: vec![] }, 8_000), Ok(vec![]));
        let broken = Pcm { rate_hz: 0, channels: 1, samples: vec![1] };
        assert_eq!(resample(&broken, 8_000), Err(ResampleError::Unplayable { rate_hz: 0, channels: 1 }));
    }
}
