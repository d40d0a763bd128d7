//! One stream: what it is to do, and all that it remembers.

use core::time::Duration;
use std::net::SocketAddr;

use clock::Tick;
use link::state::StreamState;
use link::{AddressId, PortId, Report, RtcpPlan, Socket, StreamId, StreamPlan, StreamStatistics};

use super::budget::Budget;
use super::destinations::Destinations;
use super::learning::{self, Source};
use super::outgoing::Outgoing;
use super::playback::Playback;
use super::statistics::Incoming;
use crate::slot::Slot;

/// A stream's place, plan and memory.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) plan: StreamPlan,
    pub(super) slot: Slot,
    pub(super) source: Source,
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
    pub(super) statistics: StreamStatistics,
    /// Where the partner stands, if it stood there when it was last looked for.
    pub(super) partner: Option<usize>,
    pub(super) playback: Option<Playback>,
    pub(super) rtcp: Option<RtcpSocket>,
    /// Where RTCP goes and comes from, when that is an address that may be sent to.
    pub(super) rtcp_remote: Option<SocketAddr>,
    pub(super) rtcp_budget: Budget,
    pub(super) silence: Silence,
    /// The destination has been silent for so long that others are heard beside it.
    pub(super) is_quiet: bool,
    /// The peer that the shell was told of as the only one.
    pub(super) settled: Option<SocketAddr>,
    /// The table has this stream in its list of those whose shell has something to hear.
    pub(super) is_settling: bool,
    pub(super) marks: Marks,
    pub(super) port: PortId,
    pub(super) address: AddressId,
    pub(super) local: SocketAddr,
    pub(super) leaving: Option<Leaving>,
}

/// The socket beside the RTP socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtcpSocket {
    pub(super) slot: Slot,
    /// Whether it is there yet.
    pub(super) is_bound: bool,
}

/// Sockets that the shell has handed over for a move.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    pub(super) rtp: Option<Option<Socket>>,
    pub(super) rtcp: Option<Option<Socket>>,
    pub(super) expects_rtcp: bool,
}

impl Leaving {
    /// Whether everything is here.
    pub(super) fn is_complete(&self) -> bool {
        self.rtp.is_some() && (self.rtcp.is_some() || !self.expects_rtcp)
    }
}

/// Watch for silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// The last accepted packet, or the moment from which one was expected.
    pub(super) since: Tick,
    /// Reported, until the next packet.
    pub(super) is_said: bool,
}

/// What the control plane is still to be told. Kept as marks so that packets make no queue grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// The table has this stream in its list of those with something to say.
    pub(super) is_listed: bool,
    /// A packet of this description has been accepted.
    pub(super) has_first: bool,
    first_from: Option<SocketAddr>,
    has_learned: bool,
    silent_ms: Option<u32>,
}

impl Marks {
    /// Nothing to say. `has_first`: the first packet has been told of already.
    pub(super) fn new(has_first: bool) -> Marks {
        Marks { has_first, ..Marks::default() }
    }

    /// The first packet came.
    pub(super) fn first(&mut self, from: SocketAddr) {
        self.has_first = true;
        self.first_from = Some(from);
    }

    /// The destination has changed.
    pub(super) fn learned(&mut self) {
        self.has_learned = true;
    }

    /// Nothing came for so long.
    pub(super) fn silent(&mut self, silence_ms: u32) {
        self.silent_ms = Some(silence_ms);
    }
}

impl Stream {
    /// The next report that the marks stand for.
    pub(super) fn take_mark(&mut self) -> Option<Report> {
        let stream = self.id;
        if let Some(from) = self.marks.first_from.take() {
            return Some(Report::FirstPacket { stream, from });
        }
        if std::mem::take(&mut self.marks.has_learned)
            && let Some(remote) = self.source.destination()
        {
            return Some(Report::Learned { stream, remote });
        }
        self.marks.silent_ms.take().map(|silence_ms| Report::Silent { stream, silence_ms })
    }

    /// Takes a plan in place of the one before.
    pub(super) fn take_plan(&mut self, now: Tick, plan: StreamPlan, destinations: &Destinations) {
        if learning::is_rearmed(&self.plan, &plan) {
            self.source.arm(destinations.admit(self.local, plan.remote), plan.learning);
            self.marks.has_first = false;
        } else {
            self.source.set_learning(plan.learning);
        }
        self.partner = self.partner.filter(|_| self.plan.forward_to == plan.forward_to);
        self.rtcp_remote = match plan.rtcp {
            RtcpPlan::Relay { remote } => destinations.admit(self.local, Some(remote)),
            RtcpPlan::Off | RtcpPlan::Mux => None,
        };
        self.silence = Silence { since: now, is_said: false };
        self.is_quiet = false;
        self.plan = plan;
    }

    /// When silence is to be reported, if it is to be and nothing comes before. What is not to be received is not missed.
    pub(super) fn silence_at(&self) -> Option<Tick> {
        let is_watched = self.plan.silence_ms_max > 0 && self.plan.direction.receive && !self.silence.is_said;
        is_watched.then(|| self.silence.since + Duration::from_millis(u64::from(self.plan.silence_ms_max)))
    }

    /// The only source that counts now, if there is only one.
    pub(super) fn sole_peer(&self) -> Option<SocketAddr> {
        self.source.settled().filter(|_| !self.is_quiet)
    }

    /// Figures so far.
    pub(super) fn figures(&self) -> StreamStatistics {
        let mut statistics = self.statistics;
        self.incoming.report(&mut statistics);
        statistics
    }

    /// Takes everything along to another worker.
    pub(super) fn into_state(self, now: Tick) -> StreamState {
        let statistics = self.figures();
        let leaving = self.leaving.unwrap_or_default();
        StreamState {
            socket: leaving.rtp.flatten(),
            rtcp_socket: leaving.rtcp.flatten(),
            local: self.local,
            address: self.address,
            port: self.port,
            plan: self.plan,
            destination: self.source.destination(),
            learning: self.source.window(),
            outgoing: self.outgoing.state(),
            incoming: self.incoming.state(),
            playback: self.playback.map(|playback| playback.into_state(now)),
            statistics,
        }
    }
}
