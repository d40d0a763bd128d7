//! From whom packets are taken, and where ours go: source learning (symmetric RTP), hardened.
//!
//! ```text
//!              signalled address or destination heard
//!            ┌────────────────────────────────────────┐
//!   remote   │                                        ▼
//!   ───────▶ Open ── N valid packets in a row ──▶ Closed ──┐ signalled address heard:
//!            │  from one other source: learned        ▲ ▲  │ it is the destination again
//!            └── window used up ──────────────────────┘ └──┘
//!                             destination silent, N packets of its SSRC from
//!                             another port of its host: followed (NAT rebinding)
//! ```
//!
//! A source that is neither the signalled address nor the destination is delivered nothing, sent nothing and remembered
//! in one place only, however many there are. What counts as a valid packet is the caller's to say; junk neither helps
//! nor closes the window.

use core::time::Duration;
use std::net::SocketAddr;

use clock::Tick;
use link::state::LearningState;
use link::{Learning, StreamPlan};

use super::budget::Budget;
use super::destinations::is_same;
use super::shell::DropReason;

/// How long the destination must have been silent before another port of its host may take its place. Long enough that
/// a running stream (a packet each 20 ms, or comfort noise) never looks silent by jitter; short enough that a rebinding
/// is followed within a second, the packets that prove it included.
pub(super) const REBIND_SILENCE: Duration = Duration::from_millis(500);

/// Packets per second that are sent to an address which has never sent us anything: as many as audio in the shortest
/// usual frames has. What SDP names may be a victim who never asked for it.
const UNPROVEN_PACKETS_PER_SECOND_MAX: u32 = 200;

/// What a source address is to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The signalled address or the destination: what it sends is taken.
    Known,
    /// It may prove itself as the peer, in the window.
    Candidate,
    /// It may prove itself as the peer's new port, by its SSRC.
    Rebinding,
    /// Nothing of it is looked at.
    Stranger,
}

/// What a packet of a known source has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Again,
    /// The destination is proved, or nobody else can take its place any more.
    Settled,
    /// The signalled address has taken the place of one that was learned.
    Moved,
}

/// The source side of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    signalled: Option<SocketAddr>,
    destination: Option<SocketAddr>,
    learning: Learning,
    window: LearningState,
    /// When the destination was last heard; `None`: never since it came into force.
    heard_at: Option<Tick>,
    /// What may still be sent to a destination that was never heard.
    unproven: Budget,
}

impl Source {
    /// Nobody, until [`Source::arm`].
    pub(super) fn new() -> Source {
        Source {
            signalled: None,
            destination: None,
            learning: Learning::Off,
            window: LearningState::default(),
            heard_at: None,
            unproven: Budget::default(),
        }
    }

    /// Goes on where another worker left off. `heard` tells whether the destination has ever sent anything.
    pub(super) fn from_state(
        now: Tick,
        signalled: Option<SocketAddr>,
        destination: Option<SocketAddr>,
        window: LearningState,
        heard: bool,
    ) -> Source {
        let heard_at = heard.then_some(now);
        Source { signalled, destination, window, heard_at, ..Source::new() }
    }

    /// Takes a new description of the remote side: the window is open again. A destination that was learned stays while
    /// the signalled address stays, because audio goes on during a re-INVITE.
    pub(super) fn arm(&mut self, signalled: Option<SocketAddr>, learning: Learning) {
        let is_known = |address: SocketAddr| self.destination.is_some_and(|known| is_same(known, address));
        if !same(self.signalled, signalled) {
            if !signalled.is_some_and(is_known) {
                self.heard_at = None;
            }
            self.destination = signalled;
        }
        self.signalled = signalled;
        self.learning = learning;
        self.window = LearningState::default();
    }

    /// Takes another way of learning without opening the window.
    pub(super) fn set_learning(&mut self, learning: Learning) {
        self.learning = learning;
    }

    /// What `from` is to this stream now.
    pub(super) fn standing(&self, now: Tick, from: SocketAddr) -> Standing {
        let Some(destination) = self.destination else { return Standing::Stranger };
        if is_same(destination, from) || self.signalled.is_some_and(|signalled| is_same(signalled, from)) {
            return Standing::Known;
        }
        let Learning::Window { signalling_peer, same_host_only, .. } = self.learning else {
            return Standing::Stranger;
        };
        if self.window.closed {
            let silent = self.heard_at.is_some_and(|heard_at| now.since(heard_at) >= REBIND_SILENCE);
            return match silent && from.ip() == destination.ip() {
                true => Standing::Rebinding,
                false => Standing::Stranger,
            };
        }
        let is_expected_host = || {
            let signalled = self.signalled.map(|signalled| signalled.ip());
            [signalled, signalling_peer].contains(&Some(from.ip()))
        };
        if same_host_only && !is_expected_host() { Standing::Stranger } else { Standing::Candidate }
    }

    /// Notes a valid packet of a known source.
    pub(super) fn hear(&mut self, now: Tick, from: SocketAddr) -> Heard {
        let is_other = !self.destination.is_some_and(|destination| is_same(destination, from));
        let is_first = self.heard_at.is_none();
        let is_open = !self.window.closed || self.window.candidate.is_some();
        self.heard_at = Some(now);
        if is_other {
            self.destination = Some(from);
        }
        if is_open {
            self.window = LearningState { closed: true, ..LearningState::default() };
        }
        match () {
            () if is_other => Heard::Moved,
            () if is_first || is_open => Heard::Settled,
            () => Heard::Again,
        }
    }

    /// Notes a valid packet of a candidate. True: it has proved itself and is the destination from now on.
    pub(super) fn prove(&mut self, now: Tick, from: SocketAddr) -> bool {
        let Learning::Window { packets, window_packets, .. } = self.learning else { return false };
        let run = match self.window.candidate {
            Some((candidate, run)) if is_same(candidate, from) => run.saturating_add(1),
            _ => 1,
        };
        if run >= packets {
            self.hear(now, from);
            return true;
        }
        self.window.candidate = Some((from, run));
        self.window.seen = self.window.seen.saturating_add(1);
        if !self.window.closed && self.window.seen >= window_packets {
            self.window = LearningState { closed: true, ..LearningState::default() };
        }
        false
    }

    /// Where to send a packet now, if anywhere.
    pub(super) fn send_to(&mut self, now: Tick) -> Result<SocketAddr, DropReason> {
        let destination = self.destination.ok_or(DropReason::NoDestination)?;
        if self.heard_at.is_some() {
            return Ok(destination);
        }
        match self.unproven.take(now, UNPROVEN_PACKETS_PER_SECOND_MAX) {
            true => Ok(destination),
            false => Err(DropReason::Unproven),
        }
    }

    /// The destination that holds now.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.destination
    }

    /// The window, for a move.
    pub(super) fn window(&self) -> LearningState {
        self.window
    }

    /// The only source that counts, when there is only one: the signalled address has been heard. Beside a learned
    /// destination the signalled address must stay audible, because it would win.
    pub(super) fn settled(&self) -> Option<SocketAddr> {
        let is_settled = self.heard_at.is_some() && same(self.destination, self.signalled);
        // A window that was opened anew with the same address is closed by the next packet.
        let is_closed = self.window.closed || self.learning == Learning::Off;
        self.destination.filter(|_| is_settled && is_closed)
    }

    /// When the destination will have been silent for so long that another port of its host has to be heard; `None` when
    /// that will not be, however silent it is.
    pub(super) fn rebind_at(&self) -> Option<Tick> {
        let heard_at = self.heard_at.filter(|_| self.learning != Learning::Off)?;
        Some(heard_at + REBIND_SILENCE)
    }
}

/// The signalled address of a plan, as learning sees it.
pub(super) fn is_rearmed(before: &StreamPlan, after: &StreamPlan) -> bool {
    before.generation != after.generation || !same(before.remote, after.remote)
}

fn same(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests;
