//! A prompt on its way to one peer: which samples are next, and when.

use core::time::Duration;
use std::sync::Arc;

use clock::Tick;
use codecs::{AudioCodec, g711};
use link::state::PlaybackState;
use link::{AudioFormat, PlaybackId, Prompt};

use super::shell::PACKET_BYTES_MAX;
use crate::rtp;

/// Longest packet that is made; longer frames of a plan are cut to it.
const FRAME_MS_MAX: u8 = 120;

/// Shortest packet that is made: nobody negotiates less, and it must not be nothing.
const FRAME_MS_MIN: u8 = 5;

/// How late a frame may be sent in place of its time. What is later was held up by a stall, and is not hurried after it:
/// the rest of the prompt is played from now on.
const FRAME_LATE_MAX: Duration = Duration::from_millis(100);

const SAMPLES_PER_MS: usize = Prompt::RATE_HZ as usize / 1_000;

const _: () = assert!(rtp::HEADER_BYTES + FRAME_MS_MAX as usize * SAMPLES_PER_MS <= PACKET_BYTES_MAX);

/// A playing prompt.
#[derive(Debug)]
pub(super) struct Playback {
    /// Its name.
    pub(super) name: PlaybackId,
    prompt: Arc<Prompt>,
    position: usize,
    /// 0: for ever.
    rounds_left: u32,
    next_at: Tick,
    /// Whether the next frame follows upon one of this prompt, one frame's time later.
    is_flowing: bool,
    sent_samples: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A frame of so many samples. `is_first`: after a pause, or at the beginning.
    Frame { samples: usize, is_first: bool },
    /// The prompt is over, and its last frame has had its time.
    End,
}

impl Playback {
    /// Begins now.
    pub(super) fn new(now: Tick, name: PlaybackId, prompt: Arc<Prompt>, times: u32) -> Playback {
        Playback {
            name,
            prompt,
            position: 0,
            rounds_left: times,
            next_at: now,
            is_flowing: false,
            sent_samples: 0,
        }
    }

    /// Goes on where another worker left off. The frames before are not counted here.
    pub(super) fn from_state(now: Tick, state: PlaybackState) -> Playback {
        Playback {
            name: state.playback,
            position: state.position_samples.min(state.prompt.samples.len()),
            prompt: state.prompt,
            rounds_left: state.rounds_left,
            next_at: now + Duration::from_nanos(state.next_in_ns),
            is_flowing: true,
            sent_samples: state.sent_samples,
        }
    }

    /// What another worker needs to go on.
    pub(super) fn into_state(self, now: Tick) -> PlaybackState {
        PlaybackState {
            playback: self.name,
            prompt: self.prompt,
            position_samples: self.position,
            rounds_left: self.rounds_left,
            next_in_ns: u64::try_from(self.next_at.since(now).as_nanos()).unwrap_or(u64::MAX),
            sent_samples: self.sent_samples,
        }
    }

    /// When something is due.
    pub(super) fn next_at(&self) -> Tick {
        self.next_at
    }

    /// How much was sent.
    pub(super) fn played_ms(&self) -> u32 {
        u32::try_from(self.sent_samples / SAMPLES_PER_MS as u64).unwrap_or(u32::MAX)
    }

    /// What is to be done now that `next_at` has come; sets the next time. For a frame, [`Playback::encode`] follows.
    pub(super) fn take_due(&mut self, now: Tick, format: AudioFormat) -> Due {
        if !self.has_samples() {
            return Due::End;
        }
        let is_stalled = now.since(self.next_at) > FRAME_LATE_MAX;
        let is_first = is_stalled || !self.is_flowing;
        if is_stalled {
            self.next_at = now;
        }
        let frame_ms = frame_ms(format);
        self.next_at += Duration::from_millis(u64::from(frame_ms));
        Due::Frame { samples: usize::from(frame_ms) * SAMPLES_PER_MS, is_first }
    }

    /// Encodes the next frame, across the ends of rounds and with silence after the last, and steps past it.
    /// `is_sent`: it counts as played. What is not sent (hold) passes all the same, like time.
    pub(super) fn encode(&mut self, format: AudioFormat, payload: &mut [u8], is_sent: bool) {
        let mut written = 0;
        while written < payload.len() && self.has_samples() {
            let count = encode(format.codec, &self.prompt.samples[self.position..], &mut payload[written..]);
            written += count;
            self.position += count;
        }
        self.is_flowing = is_sent;
        if is_sent {
            self.sent_samples += written as u64;
        }
        payload[written..].fill(silence(format.codec));
    }

    /// Whether a sample is left; begins the next round where there is one.
    fn has_samples(&mut self) -> bool {
        if self.position < self.prompt.samples.len() {
            return true;
        }
        if self.rounds_left == 1 || self.prompt.samples.is_empty() {
            return false;
        }
        self.rounds_left = self.rounds_left.saturating_sub(1);
        self.position = 0;
        true
    }
}

/// Whether prompts can be encoded so.
pub(super) fn can_play(format: AudioFormat) -> bool {
    matches!(format.codec, AudioCodec::Pcmu | AudioCodec::Pcma)
}

fn frame_ms(format: AudioFormat) -> u8 {
    format.ptime_ms.clamp(FRAME_MS_MIN, FRAME_MS_MAX)
}

fn encode(codec: AudioCodec, samples: &[i16], payload: &mut [u8]) -> usize {
    match codec {
        AudioCodec::Pcma => g711::encode_alaw_slice(samples, payload),
        _ => g711::encode_ulaw_slice(samples, payload),
    }
}

fn silence(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Pcma => g711::ALAW_SILENCE,
        _ => g711::ULAW_SILENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ULAW: AudioFormat = AudioFormat { codec: AudioCodec::Pcmu, payload_type: 0, ptime_ms: 20 };

    fn prompt(samples: usize) -> Arc<Prompt> {
        Arc::new(Prompt { samples: (0..samples).map(|number| (number as i16).wrapping_mul(16)).collect() })
    }

    /// Plays to the end, each frame on time; the encoded frames.
    fn play(playback: &mut Playback, format: AudioFormat) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Due::Frame { samples, .. } = playback.take_due(playback.next_at(), format) {
            let mut payload = vec![0; samples];
            playback.encode(format, &mut payload, true);
            frames.push(payload);
            assert!(frames.len() < 1_000, "it never ends");
        }
        frames
    }

    #[test]
    fn a_prompt_comes_out_sample_by_sample_with_silence_at_its_end() {
        let prompt = prompt(400);
        let mut playback = Playback::new(Tick::ZERO, PlaybackId(1), Arc::clone(&prompt), 1);
        let frames = play(&mut playback, ULAW).concat();
        let expected: Vec<u8> = prompt.samples.iter().map(|&sample| g711::encode_ulaw(sample)).collect();
        assert_eq!(frames.len(), 480);
        assert_eq!(frames[..400], expected);
        assert_eq!(frames[400..], [g711::ULAW_SILENCE; 80]);
        assert_eq!(playback.played_ms(), 50);
        assert_eq!(playback.next_at(), Tick::from_millis(60), "the last frame has its time, too");
    }

    #[test]
    fn rounds_join_without_a_gap_and_frames_have_the_length_of_the_plan() {
        let format = AudioFormat { codec: AudioCodec::Pcma, payload_type: 8, ptime_ms: 30 };
        let mut playback = Playback::new(Tick::ZERO, PlaybackId(1), prompt(100), 5);
        let frames = play(&mut playback, format);
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [240, 240, 240]);
        let audio = frames.concat();
        assert_eq!(audio[100..200], audio[..100]);
        assert_eq!(audio[400..500], audio[..100]);
        assert!(audio[500..].iter().all(|&code| code == g711::ALAW_SILENCE));
    }

    #[test]
    fn an_endless_prompt_goes_on_and_an_empty_one_ends_at_once() {
        let mut endless = Playback::new(Tick::ZERO, PlaybackId(1), prompt(8), 0);
        for _ in 0..500 {
            assert!(matches!(endless.take_due(endless.next_at(), ULAW), Due::Frame { samples: 160, .. }));
            endless.encode(ULAW, &mut [0; 160], true);
        }
        let mut empty = Playback::new(Tick::ZERO, PlaybackId(1), prompt(0), 0);
        assert_eq!(empty.take_due(Tick::ZERO, ULAW), Due::End);
    }

    #[test]
    fn a_little_lateness_is_made_up_and_a_stall_is_not() {
        let mut playback = Playback::new(Tick::ZERO, PlaybackId(1), prompt(8_000), 1);
        let mut frame_at = |now_ms: u64| {
            let due = playback.take_due(Tick::from_millis(now_ms), ULAW);
            playback.encode(ULAW, &mut [0; 160], true);
            (due, playback.next_at())
        };
        assert_eq!(frame_at(0), (Due::Frame { samples: 160, is_first: true }, Tick::from_millis(20)));
        assert_eq!(frame_at(70), (Due::Frame { samples: 160, is_first: false }, Tick::from_millis(40)));
        assert_eq!(frame_at(5_000), (Due::Frame { samples: 160, is_first: true }, Tick::from_millis(5_020)));
    }
}
