//! What happens when time has passed: prompts play on, silences are noticed.

use clock::Tick;
use link::Report;

use super::playback::Due;
use super::shell::Action;
use super::{StreamTable, playback};
use crate::rtp;

/// Timers served in one call. What is left is due at once again, so that packets get their turn in between.
const TIMERS_PER_TURN_MAX: usize = 512;

/// Largest payload of a frame; what is not sent is encoded here.
const FRAME_BYTES_MAX: usize = super::PACKET_BYTES_MAX - rtp::HEADER_BYTES;

/// What a stream's timers are for. A timer's key is the stream's index and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerKind {
    /// The peer may have been silent for too long.
    Silence,
    /// The peer may have been silent for so long that another port of its host has to be heard.
    Rebinding,
    /// The next frame of a prompt is due.
    Playback,
}

impl TimerKind {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [TimerKind; 3] = [TimerKind::Silence, TimerKind::Rebinding, TimerKind::Playback];

    pub(super) fn key(self, index: usize) -> usize {
        index * TimerKind::ALL.len() + self as usize
    }

    pub(super) fn of(key: usize) -> TimerKind {
        TimerKind::ALL[key % TimerKind::ALL.len()]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            TimerKind::Silence => "silence",
            TimerKind::Rebinding => "rebinding",
            TimerKind::Playback => "playback",
        }
    }
}

impl StreamTable {
    pub(super) fn run_timers(&mut self, now: Tick) {
        for _ in 0..TIMERS_PER_TURN_MAX {
            let Some(key) = self.timers.pop_due(now) else { return };
            let index = key / TimerKind::ALL.len();
            match TimerKind::of(key) {
                TimerKind::Silence => self.check_silence(now, index),
                TimerKind::Rebinding => self.check_quiet(now, index),
                TimerKind::Playback => self.play_on(now, index),
            }
        }
    }

    /// Sets the timer by what was heard last. Packets do not touch it: it finds out when it fires.
    pub(super) fn watch_silence(&mut self, index: usize) {
        let key = TimerKind::Silence.key(index);
        match self.streams[index].silence_at() {
            Some(deadline) => self.timers.set(key, deadline),
            None => self.timers.clear(key),
        }
    }

    fn check_silence(&mut self, now: Tick, index: usize) {
        let stream = &mut self.streams[index];
        if stream.silence_at().is_some_and(|deadline| deadline <= now) {
            let silent = now.since(stream.silence.since).as_millis();
            stream.silence.is_said = true;
            stream.marks.silent(u32::try_from(silent).unwrap_or(u32::MAX));
            self.list_mark(index);
        }
        self.watch_silence(index);
    }

    /// Sets the timer that looks whether the sole peer has fallen silent. Where there is none, everybody is heard anyway.
    pub(super) fn watch_rebinding(&mut self, index: usize) {
        let stream = &self.streams[index];
        let key = TimerKind::Rebinding.key(index);
        match stream.source.rebind_at().filter(|_| stream.sole_peer().is_some()) {
            Some(deadline) => self.timers.set(key, deadline),
            None => self.timers.clear(key),
        }
    }

    fn check_quiet(&mut self, now: Tick, index: usize) {
        let stream = &mut self.streams[index];
        if stream.source.rebind_at().is_some_and(|deadline| deadline <= now) {
            stream.is_quiet = true;
        }
        self.watch_rebinding(index);
        self.note_settlement(index);
    }

    /// Sends the frames that are due, or ends a prompt that is over.
    fn play_on(&mut self, now: Tick, index: usize) {
        let stream = &mut self.streams[index];
        let Some(playing) = &mut stream.playback else { return };
        let Some(format) = stream.plan.play_as.filter(|&format| playback::can_play(format)) else {
            return self.end_playback(index, false);
        };
        while playing.next_at() <= now {
            let Due::Frame { samples, is_first } = playing.take_due(now, format) else {
                return self.end_playback(index, true);
            };
            let to = match stream.plan.direction.send {
                true => stream.source.send_to(now).ok(),
                false => None,
            };
            let packet = to.and_then(|to| Some((to, self.packets.pop()?)));
            self.counters.packets_exhausted += u64::from(to.is_some() && packet.is_none());
            let Some((to, mut packet)) = packet else {
                playing.encode(format, &mut [0; FRAME_BYTES_MAX][..samples], false);
                continue;
            };
            let outgoing = &mut stream.outgoing;
            let header = match is_first {
                true => outgoing.begin(now, format.payload_type, link::Prompt::RATE_HZ),
                false => outgoing.go_on(now, format.payload_type, samples as u32),
            };
            let bytes = packet.fill(rtp::HEADER_BYTES + samples);
            if let Some((head, payload)) = bytes.split_first_chunk_mut() {
                header.write_new(head);
                playing.encode(format, payload, true);
            }
            stream.statistics.sent_packets += 1;
            stream.statistics.sent_bytes += samples as u64;
            self.actions.push_back(Action::Send { slot: stream.slot, to, packet });
        }
        let next_at = playing.next_at();
        self.timers.set(TimerKind::Playback.key(index), next_at);
    }

    /// Takes a prompt away, if there is one, and says so.
    pub(super) fn end_playback(&mut self, index: usize, complete: bool) {
        let stream = &mut self.streams[index];
        let Some(ended) = stream.playback.take() else { return };
        self.timers.clear(TimerKind::Playback.key(index));
        let stream = stream.id;
        let (playback, played_ms) = (ended.name, ended.played_ms());
        self.reports.push_back(Report::PlaybackEnded { stream, playback, complete, played_ms });
    }
}
