//! Log lines, and what is said of a panic.
//!
//! Lines go to standard error through a thread of their own: a terminal that does not read must not stop a call. What
//! that thread cannot keep up with is dropped. Standard output belongs to what the user asked for.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Lines waiting for a slow reader; about 25 MB at most.
const LINES_WAITING_MAX: usize = 100_000;
/// Panics remembered until someone asks. A call that panics is told of in the same turn.
const PANICS_MAX: usize = 64;

/// Begins logging; lines are flushed when the guard is dropped.
pub fn start(filter: &str, format: LogFormat) -> Result<WorkerGuard> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter}"))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("crosspoint-log")
        .finish(std::io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(writer);
    match format {
        LogFormat::Human => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("{error}"))?;
    std::panic::set_hook(Box::new(remember));
    Ok(guard)
}

/// Where panics went that the switch fenced in, oldest first.
static PANICS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Says where it happened, at once, and keeps it for the line that names the call.
fn remember(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
    let place = panic.location().map_or_else(|| "somewhere".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(thread, place, text, %backtrace, "panic");
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    if panics.len() == PANICS_MAX {
        panics.pop_front();
    }
    panics.push_back(place);
}

/// Where the oldest panic happened that was not asked for yet.
pub fn take_panic_place() -> Option<String> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
