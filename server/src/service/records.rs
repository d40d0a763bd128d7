//! Call records: one row per leg, appended by a thread of their own.
//!
//! ```text
//!   control thread ──record──▶ bounded queue ──▶ rows waiting ──append──▶ <log-base>/cdr-csv/*.csv
//!                                                   ▲    │
//!                                                   └────┘ the disk refuses: kept, tried again each second
//! ```
//!
//! Apart from the service thread's runtime, so that a disk that takes five seconds to sync delays no resolver's answer.
//! The row in the file is the journal: it is appended whole as soon as it is known, and brought to the disk at least
//! once a second.

mod files;
mod template;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clock::Wall;
use dialplan::{Scope, Text};
use switch::Record;

use crate::settings::cdr_csv::{Legs, RecordSettings};
use files::Files;
pub use template::Template;

/// Records between the control thread and this one.
const QUEUE_LEN: usize = 65_536;
/// Rows that wait for a disk which refuses them: a minute of 10,000 calls per second with both legs.
pub const ROWS_WAITING_MAX: u64 = 1_200_000;
/// Bytes of these rows. Whichever limit is reached first holds.
pub const ROW_BYTES_WAITING_MAX: usize = 512 << 20;
/// Records taken from the queue before what they became is appended.
const RECORDS_PER_BATCH_MAX: usize = 4_096;
/// How long a row may stay out of the disk, and when a refused one is tried again.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// How often the disk is tried again at the end of the process.
const LAST_ATTEMPTS: u32 = 5;
/// Longest account code that names a file.
const ACCOUNT_CODE_LEN_MAX: usize = 64;

enum Order {
    Record(Arc<Record>),
    Configure(Option<Box<RecordSettings>>),
    /// SIGHUP.
    Rotate,
    Finish,
}

/// Figures of the writer, readable from any thread.
#[derive(Debug, Default)]
pub struct RecordCounters {
    /// Rows that are in files.
    pub rows_written: AtomicU64,
    /// Rows that wait because the disk refused them.
    pub rows_waiting: AtomicU64,
    /// Rows that were given up because too many waited. Each is money.
    pub rows_lost: AtomicU64,
}

/// The control thread's end.
pub struct Records {
    sender: SyncSender<Order>,
    /// What the queue had no room for. Kept in order, sent before anything else.
    overflow: VecDeque<Order>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<RecordCounters>,
}

impl Records {
    /// Starts the writer.
    pub fn start(settings: Option<RecordSettings>) -> std::io::Result<Records> {
        let (sender, receiver) = sync_channel(QUEUE_LEN);
        let counters = Arc::new(RecordCounters::default());
        let mut writer = Writer::new(settings, Arc::clone(&counters));
        let run = move || writer.run(&receiver);
        let thread = std::thread::Builder::new().name("crosspoint-cdr".to_owned()).spawn(run)?;
        Ok(Records { sender, overflow: VecDeque::new(), thread: Some(thread), counters })
    }

    /// Hands over a leg's record. Never blocks.
    pub fn record(&mut self, record: Arc<Record>) {
        self.send(Order::Record(record));
    }

    /// Replaces the settings; what came before is written by the old ones.
    pub fn configure(&mut self, settings: Option<RecordSettings>) {
        self.send(Order::Configure(settings.map(Box::new)));
    }

    /// Begins new files, where the settings want that on SIGHUP, and opens all anew in any case.
    pub fn rotate(&mut self) {
        self.send(Order::Rotate);
    }

    /// Figures so far.
    pub fn counters(&self) -> &RecordCounters {
        &self.counters
    }

    /// Whether so much waits that no further call should be taken: its record could be lost.
    pub fn is_overloaded(&self) -> bool {
        self.overflow.len() >= QUEUE_LEN
            || self.counters.rows_waiting.load(Ordering::Relaxed) >= ROWS_WAITING_MAX / 2
    }

    /// Writes everything and ends the thread.
    pub fn finish(self) {
        drop(self);
    }

    fn send(&mut self, order: Order) {
        self.overflow.push_back(order);
        while let Some(order) = self.overflow.pop_front() {
            match self.sender.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => return self.overflow.push_front(order),
                // The thread is gone, which its panic has told.
                Err(TrySendError::Disconnected(_)) => {
                    self.counters.rows_lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Drop for Records {
    /// Also when the control thread ends by a panic: what is over is billed.
    fn drop(&mut self) {
        for order in std::mem::take(&mut self.overflow) {
            let _ = self.sender.send(order);
        }
        let _ = self.sender.send(Order::Finish);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Rows of one file that are not in it yet.
#[derive(Default)]
struct Waiting {
    rows: u64,
    lines: String,
}

/// The thread's own.
struct Writer {
    settings: Option<RecordSettings>,
    files: Files,
    waiting: BTreeMap<PathBuf, Waiting>,
    waiting_rows: u64,
    waiting_len: usize,
    /// When the disk refused last; it is left alone for [`SYNC_INTERVAL`].
    refused_at: Option<Instant>,
    /// Since when something has been appended that may not have reached the disk.
    unsynced_since: Option<Instant>,
    counters: Arc<RecordCounters>,
}

impl Writer {
    fn new(settings: Option<RecordSettings>, counters: Arc<RecordCounters>) -> Writer {
        Writer {
            settings,
            files: Files::default(),
            waiting: BTreeMap::new(),
            waiting_rows: 0,
            waiting_len: 0,
            refused_at: None,
            unsynced_since: None,
            counters,
        }
    }

    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            let is_idle = self.waiting.is_empty() && self.unsynced_since.is_none();
            let mut first = if is_idle {
                let Ok(order) = orders.recv() else { return self.finish() };
                Some(order)
            } else {
                match orders.recv_timeout(SYNC_INTERVAL) {
                    Ok(order) => Some(order),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return self.finish(),
                }
            };
            for _ in 0..RECORDS_PER_BATCH_MAX {
                let Some(order) = first.take().or_else(|| orders.try_recv().ok()) else { break };
                match order {
                    Order::Record(record) => self.render(&record),
                    Order::Configure(settings) => self.configure(settings.map(|settings| *settings)),
                    Order::Rotate => self.rotate(),
                    Order::Finish => return self.finish(),
                }
            }
            if self.refused_at.is_none_or(|at| at.elapsed() >= SYNC_INTERVAL) {
                self.write();
            }
            if self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_INTERVAL) {
                self.sync();
            }
        }
    }

    /// Makes the rows of a leg.
    fn render(&mut self, record: &Record) {
        let Some(settings) = &self.settings else { return };
        if !is_wanted(record, settings.legs) {
            return;
        }
        let scope = Leg(record);
        let mut rows = vec![(settings.directory.join("Master.csv"), settings.default_template.row(&scope))];
        let account_code = record.variables.text("accountcode").filter(|code| names_a_file(code));
        if let Some(code) = account_code.filter(|_| !settings.master_file_only) {
            let template = settings.templates.get(&code).unwrap_or(&settings.default_template);
            rows.push((settings.directory.join(format!("{code}.csv")), template.row(&scope)));
        }
        for (path, row) in rows {
            self.keep(path, &row);
        }
    }

    fn keep(&mut self, path: PathBuf, row: &str) {
        if self.waiting_rows >= ROWS_WAITING_MAX || self.waiting_len + row.len() > ROW_BYTES_WAITING_MAX {
            self.counters.rows_lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(row, "a call record is lost: too many wait for the disk");
            return;
        }
        let waiting = self.waiting.entry(path).or_default();
        waiting.rows += 1;
        waiting.lines.push_str(row);
        waiting.lines.push('\n');
        self.waiting_rows += 1;
        self.waiting_len += row.len() + 1;
    }

    /// Appends what waits. What the disk refuses stays.
    fn write(&mut self) {
        let was_refused = self.refused_at.take().is_some();
        for (path, waiting) in std::mem::take(&mut self.waiting) {
            match self.files.append(&path, waiting.lines.as_bytes()) {
                Ok(()) => {
                    self.waiting_rows -= waiting.rows;
                    self.waiting_len -= waiting.lines.len();
                    self.counters.rows_written.fetch_add(waiting.rows, Ordering::Relaxed);
                    self.unsynced_since.get_or_insert_with(Instant::now);
                }
                Err(error) => {
                    if !was_refused && self.refused_at.is_none() {
                        let path = path.display();
                        tracing::error!(%path, %error, "call records cannot be written and wait in memory");
                    }
                    self.refused_at = Some(Instant::now());
                    self.waiting.insert(path, waiting);
                }
            }
        }
        self.counters.rows_waiting.store(self.waiting_rows, Ordering::Relaxed);
        if was_refused && self.refused_at.is_none() {
            tracing::warn!("call records are written again");
        }
    }

    fn sync(&mut self) {
        self.unsynced_since = None;
        if let Err(error) = self.files.sync() {
            tracing::error!(%error, "call records may not have reached the disk");
        }
    }

    fn configure(&mut self, settings: Option<RecordSettings>) {
        self.write();
        self.files.close();
        self.settings = settings;
    }

    fn rotate(&mut self) {
        self.write();
        let Some(settings) = self.settings.as_ref().filter(|settings| settings.rotate_on_hup) else {
            return self.files.close();
        };
        let stamp = jiff::Zoned::now().strftime("%Y-%m-%d-%H-%M-%S").to_string();
        if let Err(error) = self.files.rotate(&settings.directory, &stamp) {
            tracing::error!(%error, "call records could not be rotated");
        }
    }

    fn finish(&mut self) {
        for attempt in 0..LAST_ATTEMPTS {
            self.write();
            if self.waiting.is_empty() {
                break;
            }
            if attempt + 1 < LAST_ATTEMPTS {
                std::thread::sleep(SYNC_INTERVAL);
            }
        }
        for (path, waiting) in std::mem::take(&mut self.waiting) {
            self.counters.rows_lost.fetch_add(waiting.rows, Ordering::Relaxed);
            for row in waiting.lines.lines() {
                // The log is the last place where it can be kept.
                tracing::error!(path = %path.display(), row, "a call record could not be written");
            }
        }
        self.sync();
    }
}

/// Whether a leg gets a row: the rule of `legs`, and the leg's own variables `process_cdr` and `skip_cdr_causes`.
fn is_wanted(record: &Record, legs: Legs) -> bool {
    let by_legs = match legs {
        Legs::A => !record.has_originator,
        Legs::B => !record.has_originatee,
        Legs::Both => true,
    };
    let by_itself = match record.variables.text("process_cdr").as_deref() {
        Some("a_only") => !record.has_originator,
        Some("b_only") => record.has_originator,
        Some(text) => !config::is_false(text),
        None => true,
    };
    let cause = record.variables.text("hangup_cause");
    let skipped = record.variables.text("skip_cdr_causes").is_some_and(|causes| {
        causes
            .split(['|', ','])
            .any(|skipped| cause.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(skipped.trim())))
    });
    by_legs && by_itself && !skipped
}

/// An account code may come from anywhere; only one that cannot lead out of the directory names a file.
fn names_a_file(code: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-+.@".contains(letter);
    (1..=ACCOUNT_CODE_LEN_MAX).contains(&code.len())
        && code.chars().all(is_plain)
        && !code.starts_with('.')
        && !code.eq_ignore_ascii_case("master")
}

/// A record as the scope of a template.
struct Leg<'a>(&'a Record);

impl Scope for Leg<'_> {
    fn variable(&self, name: &str) -> Option<Text> {
        self.0.variables.get(name)
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.0.variables.element(name, index)
    }

    fn field(&self, _name: &str) -> Option<Text> {
        // Fields of the caller profile are among the variables of a record.
        None
    }

    fn now(&self) -> Wall {
        let end = self.0.variables.number("end_uepoch");
        Wall::from_micros(end.unwrap_or(0))
    }
}
