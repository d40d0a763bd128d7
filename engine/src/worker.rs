//! A media worker: the loop that carries bytes, commands and time to a stream table, and what comes of them away.
//!
//! One turn is one wait (which also submits what the last turn wants sent), one reading of the clock, at most
//! [`COMMANDS_PER_TURN_MAX`] commands and what they ask for, the packets, the timers that are due, and the table's
//! actions and reports.
//! Nothing in it allocates, locks, logs or formats per packet.
//!
//! **Full queues.** A report is never lost: while the control plane does not fetch its reports, they wait in the
//! table, and above [`REPORTS_WAITING_MAX`] of them no more commands are
//! taken, so that the command queue fills in turn and the control plane is told `Full`. The only report that is left
//! out (and counted) is [`Report::Load`], which the next one replaces.

use std::time::Duration;

use clock::Tick;
use link::spsc::{Consumer, Producer};
use link::{Command, Report, WorkerCounters};
use nix::time::{ClockId, clock_gettime};

use crate::bell::Bell;
use crate::mover::{Mover, MoverError};
use crate::pace::{Pace, Wait};
use crate::slot::Slot;
use crate::socket;
use crate::stream_table::{Action, BindError, REPORTS_WAITING_MAX, StreamTable};

/// Commands of one turn. Each may bind or close a socket, some 10 µs of system calls.
const COMMANDS_PER_TURN_MAX: usize = 32;

/// How often the load is reported while there are streams.
const LOAD_EVERY: Duration = Duration::from_secs(1);

/// How soon to look again whether the control plane has fetched reports, which wakes nobody.
const REPORTS_AGAIN: Duration = Duration::from_millis(5);

/// What the back ends, the clock and the two queues feed.
pub(crate) struct Worker {
    pub(crate) table: StreamTable,
    pub(crate) mover: Mover,
    pub(crate) ends: Ends,
    pub(crate) receive_buffer_bytes: usize,
    clock: Clock,
    pace: Pace,
    load: Load,
    leaving: Vec<Leaving>,
    /// What the worker itself counts; the mover has the rest.
    counters: WorkerCounters,
    stop_told: bool,
}

/// The worker's ends of the queues.
pub(crate) struct Ends {
    pub(crate) commands: Consumer<Command>,
    pub(crate) reports: Producer<Report>,
    /// Rung when the control plane sleeps.
    pub(crate) bell: Bell,
}

/// What becomes of a socket whose receive is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    Closed,
    HandedOver,
}

impl Worker {
    /// A worker at rest.
    pub(crate) fn new(table: StreamTable, mover: Mover, ends: Ends, receive_buffer_bytes: usize) -> Worker {
        let clock = Clock::start();
        let leaving = vec![Leaving::Closed; table.slots_max()];
        Worker {
            load: Load::new(clock.read()),
            table,
            mover,
            ends,
            receive_buffer_bytes,
            clock,
            pace: Pace::default(),
            leaving,
            counters: WorkerCounters::default(),
            stop_told: false,
        }
    }

    /// Turns until told to stop, or until the control plane is gone.
    pub(crate) fn run(&mut self) -> Result<(), MoverError> {
        let mut now = self.clock.read();
        self.act(now);
        self.report(now);
        while !self.is_done() {
            now = self.turn(now)?;
        }
        Ok(())
    }

    /// One turn; the result is its time.
    fn turn(&mut self, last: Tick) -> Result<Tick, MoverError> {
        self.wait(last)?;
        let now = self.clock.read();
        self.take_commands(now);
        // Before the packets: some may leave by a socket that a command has just brought.
        self.act(now);
        let packets = self.mover.take(now, &mut self.table);
        self.pace.note(now, packets);
        while let Some(slot) = self.mover.poll_send_failed() {
            self.table.send_failed(now, slot);
        }
        if self.table.next_deadline().is_some_and(|(due, _)| due <= now) {
            self.table.handle_timeout(now);
        }
        self.act(now);
        self.report(now);
        Ok(now)
    }

    fn wait(&mut self, now: Tick) -> Result<(), MoverError> {
        let table = self.table.next_deadline().map(|(due, _)| due);
        let load = (self.table.streams() > 0).then_some(self.load.due);
        let stuck = self.table.reports_waiting() > 0;
        let again = stuck.then(|| now + REPORTS_AGAIN);
        let deadline = [table, self.mover.next_deadline(), load, again].into_iter().flatten().min();
        let mut wait = self.pace.wait(now, deadline);
        // Commands that may not be taken now must not keep us awake.
        if wait.events > 0 && self.takes_commands() && !self.ends.commands.prepare_sleep() {
            wait = Wait::NOT;
        }
        let waited = self.mover.wait(wait);
        self.ends.commands.awake();
        waited
    }

    fn take_commands(&mut self, now: Tick) {
        for _ in 0..COMMANDS_PER_TURN_MAX {
            if !self.takes_commands() {
                return;
            }
            match self.ends.commands.pop() {
                Some(command) => self.obey(now, command),
                None if self.ends.commands.is_closed() => return self.obey(now, Command::Stop),
                None => return,
            }
        }
    }

    fn obey(&mut self, now: Tick, command: Command) {
        if matches!(command, Command::Stop) && std::mem::replace(&mut self.stop_told, true) {
            return;
        }
        self.table.handle_command(now, command);
    }

    fn takes_commands(&self) -> bool {
        self.table.reports_waiting() <= REPORTS_WAITING_MAX
    }

    /// Does what the table asks for, and hands it the sockets that have left.
    fn act(&mut self, now: Tick) {
        loop {
            while let Some(action) = self.table.poll_action() {
                self.carry_out(now, action);
            }
            let Some((slot, socket)) = self.mover.poll_detached() else { return };
            match self.leaving[slot.index()] {
                Leaving::Closed => {
                    drop(socket);
                    self.table.unbound(now, slot);
                }
                Leaving::HandedOver => self.table.taken_out(now, slot, Some(socket)),
            }
        }
    }

    fn carry_out(&mut self, now: Tick, action: Action) {
        match action {
            Action::Bind { slot, local } => {
                let bound = socket::bind(local, self.receive_buffer_bytes);
                let bound = bound.and_then(|socket| self.attach(slot, socket));
                self.answer(now, slot, bound);
            }
            Action::PutIn { slot, local: _, socket } => {
                let bound = socket.ok_or(BindError::Refused).and_then(|socket| self.attach(slot, socket));
                self.answer(now, slot, bound);
            }
            Action::Unbind { slot } => {
                self.leaving[slot.index()] = Leaving::Closed;
                if !self.mover.detach(slot) {
                    self.table.unbound(now, slot);
                }
            }
            Action::TakeOut { slot } => {
                self.leaving[slot.index()] = Leaving::HandedOver;
                if !self.mover.detach(slot) {
                    self.table.taken_out(now, slot, None);
                }
            }
            Action::Send { slot, to, packet } => {
                self.mover.send(slot, to, &packet);
                self.table.recycle(packet);
            }
            Action::Settled { slot, peer } => self.mover.settle(slot, peer),
            Action::Unsettled { slot } => self.mover.unsettle(slot),
        }
    }

    fn attach(&mut self, slot: Slot, socket: link::Socket) -> Result<(), BindError> {
        self.mover.attach(slot, socket).map_err(|(error, _)| socket::blame(&error))
    }

    fn answer(&mut self, now: Tick, slot: Slot, bound: Result<(), BindError>) {
        self.counters.bind_errors += u64::from(bound.is_err());
        self.table.bound(now, slot, bound);
    }

    fn report(&mut self, now: Tick) {
        let mut wake = false;
        while self.ends.reports.free() > 0 {
            let Some(report) = self.table.poll_report() else { break };
            wake |= self.tell(report);
        }
        if self.table.streams() > 0
            && let Some(busy_per_mille) = self.load.measure(now)
        {
            let streams = u32::try_from(self.table.streams()).unwrap_or(u32::MAX);
            let counters = self.counters();
            wake |= self.tell(Report::Load { busy_per_mille, streams, counters });
        }
        if wake {
            self.ends.bell.ring();
        }
    }

    /// Queues a report; true: the control plane sleeps.
    fn tell(&mut self, report: Report) -> bool {
        match self.ends.reports.push(report) {
            Ok(wake) => wake.is_needed(),
            Err(_) => {
                self.counters.reports_dropped += 1;
                false
            }
        }
    }

    fn counters(&self) -> WorkerCounters {
        let WorkerCounters { bind_errors, reports_dropped, .. } = self.counters;
        WorkerCounters { bind_errors, reports_dropped, ..*self.mover.counters() }
    }

    /// Whether all has ended and all is told, or nobody listens any more.
    fn is_done(&self) -> bool {
        self.table.is_stopped() && (self.table.reports_waiting() == 0 || self.ends.reports.is_closed())
    }
}

impl Drop for Ends {
    /// Lets the control plane see that the worker is gone, however it went.
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// The only place where a worker reads a clock.
struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock { origin: std::time::Instant::now() }
    }

    fn read(&self) -> Tick {
        Tick::ZERO + self.origin.elapsed()
    }
}

/// How busy the worker is: the CPU time of its thread against the time that passed.
struct Load {
    due: Tick,
    since: Tick,
    cpu: Duration,
}

impl Load {
    fn new(now: Tick) -> Load {
        Load { due: now + LOAD_EVERY, since: now, cpu: cpu_of_this_thread() }
    }

    /// Thousandths of the time since the last result, once a second.
    fn measure(&mut self, now: Tick) -> Option<u16> {
        if now < self.due {
            return None;
        }
        let cpu = cpu_of_this_thread();
        let (busy, passed) = (cpu.saturating_sub(self.cpu), now.since(self.since));
        let per_mille = busy.as_nanos() * 1_000 / passed.as_nanos().max(1);
        *self = Load { due: now + LOAD_EVERY, since: now, cpu };
        Some(per_mille.min(1_000) as u16)
    }
}

fn cpu_of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
