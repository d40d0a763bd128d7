//! Log lines, and what is said of a panic.
//!
//! Lines go to standard error through a thread of their own: a terminal that does not read must not stop a call. What
//! that thread cannot keep up with is dropped. Standard output belongs to what the user asked for.

use std::borrow::Cow;
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
/// Bytes of one text in a line. Names and headers of callers can be far longer, and say no more then.
const TEXT_LEN_MAX: usize = 4_096;
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

/// The text as part of one line: what callers have written into it must not write lines of its own, nor move a terminal's
/// cursor. Fields of an event are escaped by the subscriber, the message itself is not.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=text.len().min(TEXT_LEN_MAX)).rev().find(is_boundary).unwrap_or(0);
    let is_odd = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    if end == text.len() && !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(end + 16);
    for character in text[..end].chars() {
        match character {
            odd if is_odd(odd) => line.extend(odd.escape_default()),
            usual => line.push(usual),
        }
    }
    if end < text.len() {
        line.push('…');
    }
    Cow::Owned(line)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_stays_in_its_line() {
        assert_eq!(one_line("dials \"a b\" äö"), "dials \"a b\" äö");
        assert_eq!(
            one_line("a\r\nERROR\t\u{1b}[2J\0\u{85}\u{2028}"),
            "a\\r\\nERROR\\t\\u{1b}[2J\\u{0}\\u{85}\\u{2028}"
        );
        let long = one_line(&"ä".repeat(TEXT_LEN_MAX)).into_owned();
        assert_eq!((long.len(), long.ends_with("ä…")), (TEXT_LEN_MAX + '…'.len_utf8(), true));
    }
}
