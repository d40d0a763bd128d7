//! The control loop: waits for sockets, workers, answers, signals and the next deadline, tells the switch, and does what
//! it wants done.
//!
//! ```text
//!   poll ─▶ read the clocks ─▶ signals ─▶ sockets ─▶ reports ─▶ answers ─▶ deadline ─▶ carry out ─▶ poll …
//! ```
//!
//! It never blocks anywhere else. A turn is bounded: each source has a share, and one that has more to give is asked
//! again in the next turn.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use clock::{Now, Tick};
use engine::WorkerLink;
use link::{Command, Report};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use signaling::{ConnectionId, ListenerId};
use switch::{Cause, Request, Switch};

use crate::events;
use crate::fence::Fence;
use crate::ready::Readiness;
use crate::reload::Reloader;
use crate::service::Service;
use crate::service::records::Records;
use crate::settings::Loaded;
use crate::settings::assemble::{Numbers, assemble};
use crate::signals::{Signal, Signals};
use crate::sockets::{Sockets, Upper};
use crate::time::Clock;

/// Rung by the other threads: answers, and reloads that are done.
pub const WAKER: Token = Token(0);
/// The ends of signals.
pub const SIGNALS: Token = Token(1);
/// Tokens of workers begin here.
const WORKERS: usize = 16;
/// Readiness that is taken up in one turn; what is beyond stays with the kernel.
const EVENTS_PER_TURN_MAX: usize = 1_024;
/// Reports of one worker in one turn.
const REPORTS_PER_TURN_MAX: usize = 1_024;
/// Answers in one turn.
const ANSWERS_PER_TURN_MAX: usize = 256;
/// Rounds in which what is sent may lead to more that is to be sent; the rest waits for the next turn.
const ROUNDS_PER_TURN_MAX: usize = 16;
/// Commands that may wait for a worker which does not fetch them. Beyond, the worker is taken for dead.
const COMMANDS_WAITING_MAX: usize = 262_144;
/// When a worker whose queue was full is tried again.
const COMMANDS_RETRY: Duration = Duration::from_millis(1);
/// How long calls that were hung up may take to be over: their BYEs are out, their records are coming.
const ENDING_MAX: Duration = Duration::from_secs(2);
/// The same after a second signal.
const ENDING_AT_ONCE_MAX: Duration = Duration::from_millis(300);

/// One worker, as the loop sees it.
struct Worker {
    link: WorkerLink,
    /// Commands its queue had no room for, in order.
    waiting: VecDeque<Command>,
    dropped: u64,
    is_lost: bool,
}

/// Where the process stands between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new calls; the others may go on until then.
    Draining {
        until: Tick,
    },
    /// All are hung up; the process ends then at the latest.
    Ending {
        until: Tick,
    },
}

/// Everything the loop works with.
pub struct Parts {
    /// What it waits with.
    pub poll: Poll,
    /// The clocks.
    pub clock: Clock,
    /// The calls.
    pub switch: Switch,
    /// SIP sockets, bound.
    pub sockets: Sockets,
    /// Media workers, running.
    pub workers: Vec<WorkerLink>,
    /// The service thread.
    pub service: Service,
    /// The writer of records.
    pub records: Records,
    /// Signals.
    pub signals: Signals,
    /// Loads again on SIGHUP.
    pub reloader: Reloader,
    /// Numbers of profiles and listeners.
    pub numbers: Numbers,
    /// Says the line when calls can be placed.
    pub readiness: Readiness,
    /// How long calls may go on after a signal.
    pub shutdown_grace: Duration,
}

/// The loop.
pub struct Control {
    poll: Poll,
    clock: Clock,
    switch: Switch,
    sockets: Sockets,
    workers: Vec<Worker>,
    service: Service,
    records: Records,
    signals: Signals,
    reloader: Reloader,
    numbers: Numbers,
    readiness: Readiness,
    shutdown_grace: Duration,
    phase: Phase,
    fence: Fence,
    /// A source had more than its share.
    is_unfinished: bool,
}

impl Control {
    /// Puts the workers under watch.
    pub fn new(parts: Parts) -> Result<Control> {
        for (index, link) in parts.workers.iter().enumerate() {
            let fd = link.report_fd().as_raw_fd();
            let token = Token(WORKERS + index);
            parts.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        let worker = |link| Worker { link, waiting: VecDeque::new(), dropped: 0, is_lost: false };
        Ok(Control {
            poll: parts.poll,
            clock: parts.clock,
            switch: parts.switch,
            sockets: parts.sockets,
            workers: parts.workers.into_iter().map(worker).collect(),
            service: parts.service,
            records: parts.records,
            signals: parts.signals,
            reloader: parts.reloader,
            numbers: parts.numbers,
            readiness: parts.readiness,
            shutdown_grace: parts.shutdown_grace,
            phase: Phase::Serving,
            fence: Fence::default(),
            is_unfinished: false,
        })
    }

    /// Turns until a signal ends it; returns when all records are written.
    pub fn run(mut self) -> Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        while !self.is_over() {
            let timeout = self.sleep_max();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the control loop cannot wait for its sockets"),
            }
            let now = self.clock.read();
            self.turn(now, &events);
        }
        self.tell_counters();
        self.records.finish();
        Ok(())
    }

    /// The last word on what was refused, dropped or lost.
    fn tell_counters(&self) {
        let own = [
            ("panics_caught", self.fence.caught()),
            ("commands_dropped", self.workers.iter().map(|worker| worker.dropped).sum()),
            ("commands_refused", self.workers.iter().map(|worker| worker.link.commands_refused()).sum()),
        ];
        let sockets = self.sockets.counters().iter();
        let (switch, signaling) = (self.switch.counters(), self.switch.signaling_counters());
        for (counter, value) in own.into_iter().chain(sockets).chain(switch.iter()).chain(signaling) {
            if value > 0 {
                tracing::info!(counter, value, "counted");
            }
        }
    }

    fn turn(&mut self, now: Now, events: &Events) {
        self.is_unfinished = false;
        let mut upper = Told { switch: &mut self.switch, fence: &mut self.fence, now };
        self.sockets.handle_unfinished(&mut upper);
        let mut has_signal = false;
        for event in events {
            if Sockets::owns(event.token()) {
                self.sockets.handle_ready(event, &mut upper);
            }
            has_signal |= event.token() == SIGNALS;
        }
        self.take_reports(now);
        self.take_answers(now);
        if has_signal {
            self.take_signals(now);
        }
        if let Some(loaded) = self.reloader.poll() {
            self.replace_configuration(now, loaded);
        }
        if self.switch.next_deadline().is_some_and(|(due, _)| due <= now.tick) {
            self.fence.run("a timer", || self.switch.handle_timeout(now));
        }
        self.move_on(now);
        self.carry_out(now);
        self.readiness.check(now.tick);
    }

    /// How long the loop may sleep: not at all when something is left to do, for ever when nothing is due.
    fn sleep_max(&mut self) -> Option<Duration> {
        let may_sleep = self.workers.iter_mut().all(|worker| worker.is_lost || worker.link.prepare_sleep());
        if !may_sleep || self.is_unfinished || self.sockets.is_unfinished() {
            return Some(Duration::ZERO);
        }
        let retry = self.workers.iter().any(|worker| !worker.waiting.is_empty()).then_some(COMMANDS_RETRY);
        let now = self.clock.read().tick;
        let switch = self.switch.next_deadline().map(|(due, _)| due - now);
        let phase = match self.phase {
            Phase::Serving => None,
            Phase::Draining { until } | Phase::Ending { until } => Some(until - now),
        };
        let ready = self.readiness.deadline().map(|due| due - now);
        [retry, switch, phase, ready].into_iter().flatten().min()
    }

    fn take_reports(&mut self, now: Now) {
        for worker in &mut self.workers {
            let id = worker.link.id;
            let mut taken = 0;
            while let Some(report) = worker.link.poll_report() {
                if let Report::PortReady { .. } | Report::PortsExhausted { .. } = &report {
                    self.readiness.handle_report(id, &report);
                }
                self.fence.run("a worker's report", || self.switch.handle_report(now, id, report));
                taken += 1;
                if taken == REPORTS_PER_TURN_MAX {
                    self.is_unfinished = true;
                    break;
                }
            }
            if !worker.is_lost && taken == 0 && !worker.link.is_alive() {
                worker.is_lost = true;
                tracing::error!(worker = id.0, "a media worker is gone; its calls have no audio any more");
            }
        }
    }

    fn take_answers(&mut self, now: Now) {
        for _ in 0..ANSWERS_PER_TURN_MAX {
            let Some((id, answer)) = self.service.poll_answer() else { return };
            self.fence.run("an answer", || self.switch.handle_answer(now, id, answer));
        }
        self.is_unfinished = true;
    }

    fn take_signals(&mut self, now: Now) {
        for signal in self.signals.take() {
            match (signal, self.phase) {
                (Signal::HangUp, _) => {
                    tracing::info!("SIGHUP: the configuration is loaded again, records are rotated");
                    self.records.rotate();
                    self.service.reload();
                    if let Err(error) = self.reloader.start() {
                        tracing::error!(%error, "the configuration cannot be loaded again");
                    }
                }
                (Signal::Terminate, Phase::Serving) => {
                    let calls = self.switch.census().channels;
                    tracing::info!(channels = calls, grace_s = self.shutdown_grace.as_secs(), "draining");
                    self.switch.drain(now);
                    self.phase = Phase::Draining { until: now.tick + self.shutdown_grace };
                }
                (Signal::Terminate, Phase::Draining { .. }) => self.end_calls(now, ENDING_AT_ONCE_MAX),
                (Signal::Terminate, Phase::Ending { .. }) => self.phase = Phase::Ending { until: now.tick },
            }
        }
    }

    /// From draining to ending when the last call is over or the grace has run out.
    fn move_on(&mut self, now: Now) {
        if self.sockets.has_retired() && self.is_empty() {
            self.sockets.end_retired();
        }
        let Phase::Draining { until } = self.phase else { return };
        if self.switch.census().channels == 0 || until <= now.tick {
            self.end_calls(now, ENDING_MAX);
        }
    }

    fn end_calls(&mut self, now: Now, ending_max: Duration) {
        let channels = self.switch.census().channels;
        if channels > 0 {
            tracing::info!(channels, "hanging up what is still there");
        }
        // Nobody is named, so nobody can be missing.
        let _ = self.switch.handle_request(now, Request::HangupAll { cause: Cause::SYSTEM_SHUTDOWN });
        self.phase = Phase::Ending { until: now.tick + ending_max };
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving | Phase::Draining { .. } => false,
            Phase::Ending { until } => self.is_empty() || until <= self.clock.read().tick,
        }
    }

    /// Whether nothing of any call is left, the answers to our BYEs included.
    fn is_empty(&self) -> bool {
        self.switch.census().channels == 0 && self.switch.signaling_census().legs == 0
    }

    /// A configuration with an error never replaces the running one.
    fn replace_configuration(&mut self, now: Now, loaded: Loaded) {
        let Loaded { settings, mut problems } = loaded;
        let Some(settings) = settings else {
            for problem in problems.errors() {
                tracing::error!("{problem}");
            }
            return tracing::error!("the configuration was refused; the one that runs stays");
        };
        let assembly = assemble(&settings, &mut self.numbers, &mut problems);
        for problem in problems.warnings() {
            tracing::warn!("{problem}");
        }
        for failure in self.sockets.listen(&assembly.listeners()) {
            tracing::error!("{failure}");
        }
        self.records.configure(settings.records);
        self.shutdown_grace = settings.core.shutdown_grace;
        self.switch.set_profiles(now, assembly.endpoint);
        self.switch.reload(now, Arc::new(assembly.configuration));
        tracing::info!("the configuration was replaced");
    }

    /// Does what the switch wants done, until it wants nothing more.
    fn carry_out(&mut self, now: Now) {
        for round in 0..ROUNDS_PER_TURN_MAX {
            let mut is_quiet = true;
            // Commands leave before messages: who is told of an answer talks at once, and his first packet must find
            // the plan that lets it through.
            while let Some((id, command)) = self.switch.poll_command() {
                is_quiet = false;
                if let Some(worker) = self.workers.get_mut(usize::from(id.0)) {
                    worker.keep(command);
                }
            }
            self.workers.iter_mut().for_each(Worker::send_waiting);
            while let Some(transmit) = self.switch.poll_transmit() {
                is_quiet = false;
                self.sockets
                    .transmit(transmit, &mut Told { switch: &mut self.switch, fence: &mut self.fence, now });
            }
            self.sockets.flush(&mut Told { switch: &mut self.switch, fence: &mut self.fence, now });
            while let Some((id, ask)) = self.switch.poll_ask() {
                is_quiet = false;
                self.service.ask(id, ask);
            }
            while let Some(event) = self.switch.poll_event() {
                events::tell(event, &mut self.records);
            }
            self.is_unfinished |= !is_quiet && round + 1 == ROUNDS_PER_TURN_MAX;
            if is_quiet {
                break;
            }
        }
    }
}

impl Worker {
    fn keep(&mut self, command: Command) {
        if self.is_lost || self.waiting.len() >= COMMANDS_WAITING_MAX {
            if self.dropped == 0 && !self.is_lost {
                tracing::error!(worker = self.link.id.0, "a media worker does not take its commands");
            }
            self.dropped += 1;
            return;
        }
        self.waiting.push_back(command);
    }

    /// Sends in order. A full queue keeps the rest here: a command is never lost while its worker lives.
    fn send_waiting(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            if let Err(full) = self.link.send(command) {
                return self.waiting.push_front(full.0);
            }
        }
    }
}

/// The switch, told what sockets have to say.
struct Told<'a> {
    switch: &'a mut Switch,
    fence: &'a mut Fence,
    now: Now,
}

impl Told<'_> {
    fn tell<T>(&mut self, what: &'static str, input: impl FnOnce(&mut Switch, Now) -> T) -> Option<T> {
        let now = self.now;
        self.fence.run(what, || input(self.switch, now))
    }
}

impl Upper for Told<'_> {
    fn datagram(&mut self, listener: ListenerId, source: SocketAddr, bytes: Bytes) {
        self.tell("a datagram", |switch, now| switch.handle_datagram(now, listener, source, bytes));
    }

    fn accepted(&mut self, listener: ListenerId, source: SocketAddr) -> Option<ConnectionId> {
        self.tell("a new connection", |switch, now| switch.handle_accepted(now, listener, source))
    }

    fn connected(&mut self, connection: ConnectionId, local: SocketAddr) {
        self.tell("a connection", |switch, now| switch.handle_connected(now, connection, local));
    }

    fn connect_failed(&mut self, connection: ConnectionId) {
        self.tell("a failed connection", |switch, now| switch.handle_connect_failed(now, connection));
    }

    fn stream(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.tell("bytes of a connection", |switch, now| switch.handle_stream(now, connection, bytes));
    }

    fn closed(&mut self, connection: ConnectionId) {
        self.tell("the end of a connection", |switch, now| switch.handle_closed(now, connection));
    }

    fn transport_error(&mut self, listener: ListenerId, destination: SocketAddr) {
        self.tell("a transport error", |switch, now| {
            switch.handle_transport_error(now, listener, destination)
        });
    }
}
