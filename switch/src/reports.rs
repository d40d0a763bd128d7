//! What workers say, taken to the channel it concerns.

use link::{Refusal, Report, WorkerId};

use crate::core::Core;
use crate::{Cause, LogLevel};

impl Core {
    /// Takes one report.
    pub(crate) fn take_report(&mut self, worker: WorkerId, report: Report) {
        match report {
            Report::PortReady { port, address, local } => self.desk.port_ready(worker, port, address, local),
            Report::Load { busy_per_mille, .. } => self.desk.load(worker, busy_per_mille),
            Report::Closed { stream, statistics } => {
                let Some(id) = self.desk.closed(worker, stream) else { return };
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.media.statistics = Some(statistics);
                    if channel.media.stream.is_some_and(|own| own.id == stream) {
                        channel.media.stream = None;
                    }
                }
                self.wake(id);
            }
            Report::PlaybackEnded { stream, playback, .. } => {
                let Some(id) = self.desk.owner(stream) else { return };
                if let Some(channel) = self.channels.get_mut(&id)
                    && channel.media.playing == Some(playback)
                {
                    channel.media.playing = None;
                }
                self.wake(id);
            }
            Report::Learned { stream, remote } => {
                let Some(channel) = self.desk.owner(stream).and_then(|id| self.channels.get_mut(&id)) else {
                    return;
                };
                channel.variables.set_str("rtp_auto_adjust_audio", "true");
                channel.variables.set_str("remote_audio_ip", remote.ip().to_string());
                channel.variables.set_str("remote_audio_port", remote.port().to_string());
            }
            Report::Silent { stream, silence_ms } => {
                let Some(id) = self.desk.owner(stream) else { return };
                self.log(id, LogLevel::Notice, format!("no audio for {silence_ms} ms"));
                self.hangup(id, Cause::MEDIA_TIMEOUT);
            }
            Report::Statistics { stream, statistics } => {
                if let Some(channel) = self.desk.owner(stream).and_then(|id| self.channels.get_mut(&id)) {
                    channel.media.statistics = Some(statistics);
                }
            }
            Report::Released { stream, state } => self.stream_released(stream, state),
            Report::Refused { stream, why } => self.command_refused(worker, stream, why),
            Report::PortsExhausted { .. } | Report::FirstPacket { .. } | Report::Stopped => {}
        }
    }

    fn stream_released(&mut self, stream: link::StreamId, state: Box<link::state::StreamState>) {
        let Some(id) = self.desk.owner(stream) else { return };
        self.desk.hold(stream, state);
        // Both legs of a call live on one worker: neither is adopted before the other can be, so that no packet
        // finds its partner missing.
        let partner = self.partner(id);
        let waits = partner
            .and_then(|partner| self.channels.get(&partner)?.media.stream)
            .is_some_and(|other| self.desk.moving(other.id).is_some() && !self.desk.is_held(other.id));
        if waits {
            return;
        }
        let sides: Vec<_> = [Some(id), partner].into_iter().flatten().collect();
        let mut streams: Vec<_> = sides
            .iter()
            .map(|side| self.channels.get(side).and_then(|channel| channel.media.stream))
            .collect();
        self.desk.adopt(streams.iter_mut().flatten());
        for (side, stream) in sides.iter().zip(streams) {
            if let Some(channel) = self.channels.get_mut(side) {
                channel.media.stream = stream;
            }
        }
    }

    /// A stream that could not be opened leaves a call without audio: it is ended, not left silent.
    fn command_refused(&mut self, worker: WorkerId, stream: link::StreamId, why: Refusal) {
        self.counters.commands_refused += 1;
        let Some(id) = self.desk.owner(stream) else { return };
        self.log(id, LogLevel::Warning, format!("the media worker refused: {why}"));
        match why {
            Refusal::UnknownPort | Refusal::TooManyStreams | Refusal::StreamExists => {
                self.desk.closed(worker, stream);
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.media.stream = None;
                }
                self.hangup(id, Cause::SWITCH_CONGESTION);
                self.wake(id);
            }
            Refusal::UnknownStream => {
                // It has been closed already, or its worker was rebuilt without it.
                self.desk.closed(worker, stream);
                if let Some(channel) = self.channels.get_mut(&id)
                    && channel.media.stream.is_some_and(|own| own.id == stream)
                {
                    channel.media.stream = None;
                }
                self.wake(id);
            }
            Refusal::RtcpPortTaken => {}
        }
    }
}
