//! What the control plane asks for, apart from moves.

use std::sync::Arc;

use clock::Tick;
use link::{
    Command, PlaybackId, PortId, Prompt, Refusal, Report, RtcpPlan, StreamId, StreamPlan, StreamStatistics,
};

use super::budget::Budget;
use super::learning::Source;
use super::outgoing::Outgoing;
use super::playback::{self, Playback};
use super::ports::Port;
use super::shell::Action;
use super::slots::Role;
use super::statistics::Incoming;
use super::stream::{Marks, RtcpSocket, Silence, Stream};
use super::{Stage, StreamTable, TimerKind};
use crate::slot::Slot;

impl StreamTable {
    pub(super) fn obey(&mut self, now: Tick, command: Command) {
        match command {
            Command::Open { stream, port, plan } => self.open(now, stream, port, plan),
            Command::Update { stream, plan } => {
                self.with(stream, |table, index| table.set_plan(now, index, plan))
            }
            Command::Close { stream } => self.with(stream, |table, index| table.close(now, index)),
            Command::Query { stream } => self.with(stream, |table, index| {
                let statistics = table.streams[index].figures();
                table.reports.push_back(Report::Statistics { stream, statistics });
            }),
            Command::Play { stream, playback, prompt, times } => {
                self.with(stream, |table, index| table.play(now, index, playback, prompt, times));
            }
            Command::StopPlay { stream, playback } => self.with(stream, |table, index| {
                if table.streams[index].playback.as_ref().is_some_and(|playing| playing.name == playback) {
                    table.end_playback(index, false);
                }
            }),
            Command::Release { stream } => self.with(stream, |table, index| table.release(now, index)),
            Command::Adopt { stream, state, plan } => self.adopt(now, stream, *state, plan),
            Command::ReturnPort { port } => self.lay_to_rest(now, port),
            Command::Both(commands) => commands.into_iter().for_each(|command| self.obey(now, command)),
            Command::Stop => self.stop(now),
        }
    }

    /// Gives the stream of that name to `act`, or says that there is none.
    fn with(&mut self, stream: StreamId, act: impl FnOnce(&mut StreamTable, usize)) {
        match self.names.get(&stream).copied() {
            Some(index) => act(self, index),
            None => self.refuse(stream, Refusal::UnknownStream),
        }
    }

    pub(super) fn refuse(&mut self, stream: StreamId, why: Refusal) {
        self.reports.push_back(Report::Refused { stream, why });
    }

    fn open(&mut self, now: Tick, stream: StreamId, port: PortId, plan: StreamPlan) {
        let why = match () {
            () if self.names.contains_key(&stream) => Refusal::StreamExists,
            () if self.streams.len() >= self.streams_max || self.stage != Stage::Running => {
                Refusal::TooManyStreams
            }
            () => match self.ports.take(port) {
                Some((slot, taken)) => return self.make(now, stream, (port, slot, taken), plan),
                None => Refusal::UnknownPort,
            },
        };
        self.lay_to_rest(now, port);
        self.refuse(stream, why);
    }

    fn make(&mut self, now: Tick, id: StreamId, (name, slot, port): (PortId, Slot, Port), plan: StreamPlan) {
        let outgoing = Outgoing::new(&mut self.random);
        let at_rest = StreamPlan { remote: None, forward_to: None, rtcp: RtcpPlan::Off, ..plan };
        let stream = Stream {
            id,
            plan: at_rest,
            slot,
            source: Source::new(),
            outgoing,
            incoming: Incoming::default(),
            statistics: StreamStatistics::default(),
            partner: None,
            playback: None,
            rtcp: None,
            rtcp_remote: None,
            rtcp_budget: Budget::default(),
            silence: Silence { since: now, is_said: false },
            is_quiet: false,
            settled: None,
            is_settling: false,
            marks: Marks::new(false),
            port: name,
            address: port.address,
            local: port.local,
            leaving: None,
        };
        let index = self.insert(stream);
        self.slots.assign(slot, Role::Rtp(index));
        self.set_plan(now, index, plan);
        self.replenish(now);
    }

    /// Enters a stream into the table.
    pub(super) fn insert(&mut self, stream: Stream) -> usize {
        let id = stream.id;
        let index = self.streams.insert(stream);
        self.names.insert(id, index);
        index
    }

    /// Takes a plan, and all that follows from it.
    pub(super) fn set_plan(&mut self, now: Tick, index: usize, plan: StreamPlan) {
        self.streams[index].take_plan(now, plan, &self.destinations);
        self.watch_silence(index);
        self.watch_rebinding(index);
        self.note_settlement(index);
        self.settle_rtcp(index);
    }

    /// Binds or gives up the RTCP socket, as the plan wants it.
    fn settle_rtcp(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let is_wanted = matches!(stream.plan.rtcp, RtcpPlan::Relay { .. }) && stream.leaving.is_none();
        match (is_wanted, stream.rtcp) {
            (true, None) => {
                let mut local = stream.local;
                local.set_port(local.port() | 1);
                let Some(slot) = self.slots.take(Role::Rtcp(index)) else {
                    let id = stream.id;
                    return self.refuse(id, Refusal::RtcpPortTaken);
                };
                stream.rtcp = Some(RtcpSocket { slot, is_bound: false });
                self.actions.push_back(Action::Bind { slot, local });
            }
            (false, Some(socket)) if stream.leaving.is_none() => {
                stream.rtcp = None;
                self.give_up(socket.slot);
            }
            (true, Some(_)) | (false, _) => (),
        }
    }

    /// Has the shell close a slot's socket.
    pub(super) fn give_up(&mut self, slot: Slot) {
        self.slots.assign(slot, Role::Ending);
        self.actions.push_back(Action::Unbind { slot });
    }

    /// Ends a stream and lays its port to rest.
    pub(super) fn close(&mut self, now: Tick, index: usize) {
        self.end_playback(index, false);
        let mut stream = self.remove(index);
        let leaving = stream.leaving.take();
        let rtcp_slot = stream.rtcp.map(|socket| socket.slot);
        match leaving {
            None => {
                self.give_up(stream.slot);
                rtcp_slot.into_iter().for_each(|slot| self.give_up(slot));
            }
            // The answer to `TakeOut` is still to come, or has come already.
            Some(leaving) => {
                let slots = [(Some(stream.slot), leaving.rtp.is_some()), (rtcp_slot, leaving.rtcp.is_some())];
                for (slot, is_out) in slots.into_iter().filter_map(|(slot, is_out)| Some((slot?, is_out))) {
                    match is_out {
                        true => drop(self.slots.give_back(slot)),
                        false => self.slots.assign(slot, Role::Ending),
                    }
                }
            }
        }
        self.ports.rest(now, stream.port);
        let statistics = stream.figures();
        self.reports.push_back(Report::Closed { stream: stream.id, statistics });
        self.replenish(now);
    }

    /// Takes a stream out of the table. What it still has to say is said now.
    pub(super) fn remove(&mut self, index: usize) -> Stream {
        for kind in TimerKind::ALL {
            self.timers.clear(kind.key(index));
        }
        self.flush_marks(index);
        self.settling.retain(|&listed| listed != index);
        let stream = self.streams.remove(index);
        self.names.remove(&stream.id);
        stream
    }

    fn play(&mut self, now: Tick, index: usize, name: PlaybackId, prompt: Arc<Prompt>, times: u32) {
        self.end_playback(index, false);
        let stream = &mut self.streams[index];
        stream.playback = Some(Playback::new(now, name, prompt, times));
        if !stream.plan.play_as.is_some_and(playback::can_play) {
            return self.end_playback(index, false);
        }
        stream.outgoing.break_off();
        self.timers.set(TimerKind::Playback.key(index), now);
    }

    /// Gives a port back that no stream has: it may stand in somebody's SDP, so it rests before it is used again.
    fn lay_to_rest(&mut self, now: Tick, port: PortId) {
        if self.ports.is_returnable(port) {
            if let Some(slot) = self.ports.rest(now, port) {
                self.give_up(slot);
            }
            self.replenish(now);
        }
    }

    fn stop(&mut self, now: Tick) {
        if self.stage != Stage::Running {
            return;
        }
        self.stage = Stage::Stopping;
        let streams: Vec<usize> = self.names.values().copied().collect();
        streams.into_iter().for_each(|index| self.close(now, index));
        self.ports.stock().into_iter().for_each(|port| self.lay_to_rest(now, port));
        for slot in (0..self.slots.count() as u32).map(Slot) {
            if let Role::Binding { address, number } = self.slots.role(slot) {
                self.ports.unpick(address, number);
                self.give_up(slot);
            }
        }
        self.end_if_empty();
    }

    /// Says that the worker has ended once nothing is bound any more.
    pub(super) fn end_if_empty(&mut self) {
        if self.stage == Stage::Stopping && self.slots.taken() == 0 {
            self.stage = Stage::Stopped;
            self.reports.push_back(Report::Stopped);
        }
    }
}
