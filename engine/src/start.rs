//! Starting the workers: how many, on which cores, with which back end; and the control plane's ends of the queues.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;
use std::thread::JoinHandle;

use core_affinity::CoreId;
use link::spsc::{self, Consumer, Full, Producer};
use link::{Command, Report, WorkerId};
use nix::sys::resource::{Resource, getrlimit};

use crate::bell::Bell;
use crate::mmsg::Mmsg;
use crate::mover::{BackEnd, Mover};
use crate::ring::{Ring, RingError};
use crate::settings::{BackEndChoice, Limits, MediaSettings, SettingsError};
use crate::stream_table::StreamTable;
use crate::worker::{Ends, Worker};

/// Keeps the seeds of workers apart (the golden ratio's fraction in 64 bits).
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Why the media path could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// io_uring was asked for and cannot be had.
    #[error("io_uring was asked for, but {0}")]
    Ring(#[source] RingError),
    /// The second back end cannot be had either.
    #[error("no media back end: {0}")]
    Mmsg(#[source] io::Error),
    /// No thread or no eventfd.
    #[error("a media worker could not be started: {0}")]
    Worker(#[source] io::Error),
}

/// The running media path.
#[derive(Debug)]
pub struct Engine {
    /// One per worker, in the order of their ids. Dropping one ends its worker and waits for it.
    pub links: Vec<WorkerLink>,
    back_end: BackEnd,
    fallback_reason: Option<String>,
    streams_max: usize,
}

impl Engine {
    /// Which back end the workers use.
    pub fn back_end(&self) -> BackEnd {
        self.back_end
    }

    /// Why it is not io_uring, when that was to be chosen automatically.
    pub fn fallback_reason(&self) -> Option<&str> {
        self.fallback_reason.as_deref()
    }

    /// Streams that one worker may have: as set, or as many as the limit of open files allows.
    pub fn streams_max(&self) -> usize {
        self.streams_max
    }
}

/// The control plane's end of one worker. Both directions are bounded; neither side ever waits for the other.
#[derive(Debug)]
pub struct WorkerLink {
    /// Which worker.
    pub id: WorkerId,
    /// The core it was pinned to, if that was possible.
    pub core: Option<usize>,
    commands: Producer<Command>,
    reports: Consumer<Report>,
    /// Wakes the worker.
    worker_bell: Bell,
    /// Wakes us.
    own_bell: Bell,
    asleep: bool,
    commands_refused: u64,
    thread: Option<JoinHandle<()>>,
}

impl WorkerLink {
    /// Sends a command. `Full`: the worker is behind, or waits for us to fetch reports; nothing was sent, and the
    /// control plane decides whether to try again later or to refuse the call.
    #[expect(clippy::result_large_err, reason = "the command comes back whole, without an allocation")]
    pub fn send(&mut self, command: Command) -> Result<(), Full<Command>> {
        match self.commands.push(command) {
            Ok(wake) => {
                if wake.is_needed() {
                    self.worker_bell.ring();
                }
                Ok(())
            }
            Err(full) => {
                self.commands_refused += 1;
                Err(full)
            }
        }
    }

    /// The oldest report.
    pub fn poll_report(&mut self) -> Option<Report> {
        if std::mem::take(&mut self.asleep) {
            self.reports.awake();
            self.own_bell.clear();
        }
        self.reports.pop()
    }

    /// To be called before sleeping on [`report_fd`](WorkerLink::report_fd). False: reports came meanwhile.
    pub fn prepare_sleep(&mut self) -> bool {
        self.asleep = self.reports.prepare_sleep();
        self.asleep
    }

    /// Becomes readable when a report comes while we sleep, or when the worker is gone.
    pub fn report_fd(&self) -> BorrowedFd<'_> {
        self.own_bell.as_fd()
    }

    /// How often [`send`](WorkerLink::send) has said `Full`.
    pub fn commands_refused(&self) -> u64 {
        self.commands_refused
    }

    /// Whether the worker is there. What it reported before its end can still be polled.
    pub fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }
}

impl Drop for WorkerLink {
    fn drop(&mut self) {
        // Closed queues tell the worker to stop, and not to wait for anybody to fetch its reports.
        drop(std::mem::replace(&mut self.commands, spsc::channel(1).0));
        drop(std::mem::replace(&mut self.reports, spsc::channel(1).1));
        self.worker_bell.ring();
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// What a worker's thread says once it has its back end.
type Started = Result<(BackEnd, Option<RingError>), EngineError>;

/// Starts the workers.
pub fn start(settings: &MediaSettings, seed: u64) -> Result<Engine, EngineError> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let workers = settings.workers.unwrap_or_else(|| cores.len().saturating_sub(1).max(1));
    settings.check(workers)?;
    let limits = settings.limits(open_files_max(), workers)?;
    let mut engine = Engine {
        links: Vec::with_capacity(workers),
        back_end: BackEnd::IoUring,
        fallback_reason: None,
        streams_max: limits.streams_max,
    };
    for worker in 0..workers {
        let worker_seed = seed.wrapping_add((worker as u64).wrapping_mul(SEED_STEP));
        let table = StreamTable::new(settings.table(worker as u16, workers as u16, limits), worker_seed);
        let core = core_of(worker, &cores);
        let (link, started) = start_worker((settings, limits), table, WorkerId(worker as u16), core)?;
        engine.links.push(link);
        let (back_end, refused) = started?;
        engine.back_end = back_end;
        if let Some(refused) = refused {
            engine.fallback_reason.get_or_insert(refused.to_string());
        }
    }
    Ok(engine)
}

/// How many files this process may have open.
fn open_files_max() -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// The first core is left to the control plane, where there is another.
fn core_of(worker: usize, cores: &[CoreId]) -> Option<CoreId> {
    match cores {
        [] => None,
        [only] => Some(*only),
        [_, others @ ..] => Some(others[worker % others.len()]),
    }
}

fn start_worker(
    (settings, limits): (&MediaSettings, Limits),
    table: StreamTable,
    id: WorkerId,
    core: Option<CoreId>,
) -> Result<(WorkerLink, Started), EngineError> {
    let (commands, commands_end) = spsc::channel(settings.command_queue);
    let (reports_end, reports) = spsc::channel(settings.report_queue);
    let worker_bell = Bell::blocking().map_err(EngineError::Worker)?;
    let own_bell = Bell::polled().map_err(EngineError::Worker)?;
    let wake = worker_bell.try_clone().map_err(EngineError::Worker)?;
    let bell = own_bell.try_clone().map_err(EngineError::Worker)?;
    let ends = Ends { commands: commands_end, reports: reports_end, bell };
    let (tell, started) = mpsc::channel();
    let settings = settings.clone();
    let body = move || run_worker(id, core, (&settings, limits), table, (ends, wake), &tell);
    let thread = std::thread::Builder::new().name(format!("media-{}", id.0)).spawn(body);
    let link = WorkerLink {
        id,
        core: core.map(|core| core.id),
        commands,
        reports,
        worker_bell,
        own_bell,
        asleep: false,
        commands_refused: 0,
        thread: Some(thread.map_err(EngineError::Worker)?),
    };
    let ended = || Err(EngineError::Worker(io::Error::other("its thread ended at once")));
    Ok((link, started.recv().unwrap_or_else(|_| ended())))
}

/// A worker's thread. The back end is opened here, because a ring belongs to the thread that made it.
fn run_worker(
    id: WorkerId,
    core: Option<CoreId>,
    (settings, limits): (&MediaSettings, Limits),
    table: StreamTable,
    (ends, wake): (Ends, Bell),
    tell: &mpsc::Sender<Started>,
) {
    if let Some(core) = core {
        // Unpinned is slower, not wrong.
        core_affinity::set_for_current(core);
    }
    let (mover, started) = match open_mover(settings, (table.slots_max(), limits.connected_max), wake) {
        Ok((mover, refused)) => {
            let back_end = mover.back_end();
            (Some(mover), Ok((back_end, refused)))
        }
        Err(error) => (None, Err(error)),
    };
    // Whoever starts us waits for this; if he is gone, the closed queues end the worker.
    let _ = tell.send(started);
    let Some(mover) = mover else { return };
    let mut worker = Worker::new(table, mover, ends, settings.receive_buffer_bytes);
    if let Err(error) = worker.run() {
        tracing::error!(worker = id.0, %error, "a media worker cannot go on");
    }
}

/// Opens the back end that is wanted; with `Auto`, the reason why it is not io_uring comes along.
fn open_mover(
    settings: &MediaSettings,
    (slots, porches): (usize, usize),
    wake: Bell,
) -> Result<(Mover, Option<RingError>), EngineError> {
    let choice = settings.back_end;
    let slots = u32::try_from(slots).unwrap_or(u32::MAX);
    let mut refused = None;
    if choice != BackEndChoice::Mmsg {
        let wake = wake.try_clone().map_err(EngineError::Worker)?;
        let ring = Ring::open(slots, porches, settings.packet_buffers, wake.into());
        match ring.and_then(|mut ring| ring.probe().map(|()| ring)) {
            Ok(ring) => return Ok((Mover::Ring(ring), None)),
            Err(error) if choice == BackEndChoice::IoUring => return Err(EngineError::Ring(error)),
            Err(error) => refused = Some(error),
        }
    }
    let mmsg = Mmsg::open(slots, porches, wake.into()).map_err(EngineError::Mmsg)?;
    Ok((Mover::Mmsg(mmsg), refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(count: usize) -> Vec<CoreId> {
        (0..count).map(|id| CoreId { id }).collect()
    }

    #[test]
    fn the_first_core_is_left_to_the_control_plane_where_there_is_another() {
        let chosen = |worker, count| core_of(worker, &cores(count)).map(|core| core.id);
        assert_eq!(chosen(0, 0), None);
        assert_eq!(chosen(0, 1), Some(0));
        assert_eq!([chosen(0, 3), chosen(1, 3), chosen(2, 3)], [Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn an_engine_can_be_given_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Engine>();
    }

    #[test]
    fn where_a_ring_cannot_be_had_auto_falls_back_and_says_why_and_force_fails() {
        // A ring for no file at all is refused by every kernel.
        let open = |back_end| {
            let settings = MediaSettings { back_end, ..MediaSettings::default() };
            open_mover(&settings, (0, 0), Bell::blocking().expect("an eventfd"))
        };
        let (mover, refused) = open(BackEndChoice::Auto).expect("the second back end");
        assert_eq!(mover.back_end(), BackEnd::Mmsg);
        assert!(refused.expect("the reason").to_string().contains("io_uring"));
        assert!(matches!(open(BackEndChoice::IoUring), Err(EngineError::Ring(_))));
    }
}
