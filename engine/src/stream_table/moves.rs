//! Streams that leave for another worker or come from one.
//!
//! ```text
//!   here     ──Release──▶ Leaving ──taken_out (all sockets)──▶ gone, its port lent
//!                          packets still pass both ways
//!   there    ──Adopt────▶ Open; what came meanwhile lies in the socket
//! ```
//!
//! A port number belongs to the worker that bound it, wherever its stream is. When a stream ends elsewhere, the control
//! plane returns the port to its owner ([`PortId::worker`](link::PortId::worker), [`Command::ReturnPort`](link::Command)).

use clock::Tick;
use link::state::StreamState;
use link::{Refusal, Report, RtcpPlan, Socket, StreamId, StreamPlan};

use super::budget::Budget;
use super::learning::Source;
use super::outgoing::Outgoing;
use super::playback::Playback;
use super::shell::Action;
use super::slots::Role;
use super::statistics::Incoming;
use super::stream::{Leaving, Marks, RtcpSocket, Silence, Stream};
use super::{Stage, StreamTable, TimerKind};
use crate::slot::Slot;

impl StreamTable {
    /// Has the shell take the stream's sockets out. A stream that leaves already just goes on leaving.
    pub(super) fn release(&mut self, _now: Tick, index: usize) {
        let stream = &mut self.streams[index];
        if stream.leaving.is_some() {
            return;
        }
        stream.leaving = Some(Leaving { expects_rtcp: stream.rtcp.is_some(), ..Leaving::default() });
        self.actions.push_back(Action::TakeOut { slot: stream.slot });
        if let Some(rtcp) = stream.rtcp {
            self.actions.push_back(Action::TakeOut { slot: rtcp.slot });
        }
    }

    /// A socket is out. With the last one of its stream the stream is gone.
    pub(super) fn take_socket(&mut self, now: Tick, slot: Slot, socket: Option<Socket>) {
        let index = match self.slots.role(slot) {
            Role::Rtp(index) | Role::Rtcp(index) => index,
            // The stream was closed while it left; its socket is dropped here.
            Role::Ending => return self.forget_slot(now, slot),
            Role::Free | Role::Binding { .. } | Role::Stock(_) => return,
        };
        let stream = &mut self.streams[index];
        let is_rtp = stream.slot == slot;
        let Some(leaving) = &mut stream.leaving else { return };
        match is_rtp {
            true => leaving.rtp = Some(socket),
            false => leaving.rtcp = Some(socket),
        }
        self.leave_if_complete(now, index);
    }

    /// Reports a stream that has all its sockets in hand.
    pub(super) fn leave_if_complete(&mut self, now: Tick, index: usize) {
        if !self.streams[index].leaving.as_ref().is_some_and(Leaving::is_complete) {
            return;
        }
        let stream = self.remove(index);
        self.slots.give_back(stream.slot);
        if let Some(rtcp) = stream.rtcp {
            self.slots.give_back(rtcp.slot);
        }
        self.ports.lend(stream.port);
        let id = stream.id;
        let state = Box::new(stream.into_state(now));
        self.reports.push_back(Report::Released { stream: id, state });
        self.replenish(now);
    }

    /// Takes up a stream. What cannot be taken up is dropped, its sockets with it.
    pub(super) fn adopt(&mut self, now: Tick, id: StreamId, state: StreamState, plan: StreamPlan) {
        if self.names.contains_key(&id) {
            return self.refuse(id, Refusal::StreamExists);
        }
        let is_full = self.streams.len() >= self.streams_max || self.stage != Stage::Running;
        let Some(slot) = Some(()).filter(|()| !is_full).and_then(|()| self.slots.take(Role::Ending)) else {
            return self.refuse(id, Refusal::TooManyStreams);
        };
        self.ports.adopt(state.port, state.address, state.local);
        let (index, sockets) = self.settle_in(now, id, slot, state);
        self.slots.assign(slot, Role::Rtp(index));
        let local = self.streams[index].local;
        self.actions.push_back(Action::PutIn { slot, local, socket: sockets.0 });
        self.put_in_rtcp(index, sockets.1);
        self.set_plan(now, index, plan);
        if let Some(playback) = &self.streams[index].playback {
            self.timers.set(TimerKind::Playback.key(index), playback.next_at());
        }
    }

    /// Makes a stream of what another worker gave out, following the plan it had there.
    fn settle_in(
        &mut self,
        now: Tick,
        id: StreamId,
        slot: Slot,
        state: StreamState,
    ) -> (usize, (Option<Socket>, Option<RtcpSide>)) {
        let has_rtcp = matches!(state.plan.rtcp, RtcpPlan::Relay { .. });
        let rtcp_side = has_rtcp.then_some(RtcpSide { socket: state.rtcp_socket });
        let admit = |remote| self.destinations.admit(state.local, remote);
        let has_heard = state.statistics.received_packets > 0;
        let source = Source::from_state(
            now,
            admit(state.plan.remote),
            admit(state.destination),
            state.learning,
            has_heard,
        );
        let index = self.insert(Stream {
            id,
            plan: state.plan,
            slot,
            source,
            outgoing: Outgoing::from_state(now, &state.outgoing),
            incoming: Incoming::from_state(&state.incoming, &state.statistics),
            statistics: state.statistics,
            partner: None,
            playback: state.playback.map(|playback| Playback::from_state(now, playback)),
            rtcp: None,
            rtcp_remote: None,
            rtcp_budget: Budget::default(),
            silence: Silence { since: now, is_said: false },
            is_quiet: false,
            settled: None,
            is_settling: false,
            marks: Marks::new(has_heard),
            port: state.port,
            address: state.address,
            local: state.local,
            leaving: None,
        });
        (index, (state.socket, rtcp_side))
    }

    /// Puts the RTCP socket in that came along. If it is not wanted any more, the new plan gives it up.
    fn put_in_rtcp(&mut self, index: usize, side: Option<RtcpSide>) {
        let Some(side) = side else { return };
        let Some(slot) = self.slots.take(Role::Rtcp(index)) else { return };
        let stream = &mut self.streams[index];
        stream.rtcp = Some(RtcpSocket { slot, is_bound: false });
        let mut local = stream.local;
        local.set_port(local.port() | 1);
        self.actions.push_back(Action::PutIn { slot, local, socket: side.socket });
    }
}

/// The RTCP side of a stream in motion.
struct RtcpSide {
    /// `None` in a simulated world.
    socket: Option<Socket>,
}
