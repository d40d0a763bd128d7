//! The first reader of what happened: lines for the log, records for the files.

use switch::{Event, EventKind, LogLevel};

use crate::logging::{one_line, take_panic_place};
use crate::service::records::Records;

/// Tells one event.
pub fn tell(event: Event, records: &mut Records) {
    let channel = event.channel.as_ref().map(switch::Uuid::as_str).unwrap_or_default();
    match event.kind {
        EventKind::Record(record) => records.record(record),
        EventKind::Created { name, inbound } => tracing::info!(channel, name, inbound, "created"),
        EventKind::Progress => tracing::debug!(channel, "rings"),
        EventKind::ProgressMedia => tracing::debug!(channel, "early media"),
        EventKind::Answered => tracing::info!(channel, "answered"),
        EventKind::Executing { application, data } => tracing::debug!(channel, application, data, "executes"),
        EventKind::Executed { application } => tracing::debug!(channel, application, "executed"),
        EventKind::Bridged { with } => tracing::info!(channel, with = with.as_str(), "bridged"),
        EventKind::Unbridged { from } => tracing::debug!(channel, from = from.as_str(), "unbridged"),
        EventKind::Parked => tracing::debug!(channel, "parked"),
        EventKind::Held { held } => tracing::debug!(channel, held, "hold"),
        EventKind::Hangup { cause } => tracing::info!(channel, %cause, "hangs up"),
        EventKind::Destroyed => tracing::debug!(channel, "destroyed"),
        EventKind::Logged { level, text } => tell_line(channel, level, &text),
        EventKind::Fault { text } => {
            let place = take_panic_place().unwrap_or_default();
            tracing::error!(channel, text, place, "this call panicked and was ended; no other is touched");
        }
        EventKind::Draining => tracing::info!("no new calls are taken"),
    }
}

/// A line that the dialplan or the switch wrote.
fn tell_line(channel: &str, level: LogLevel, text: &str) {
    let text = one_line(text);
    match level {
        LogLevel::Console | LogLevel::Alert | LogLevel::Critical | LogLevel::Error => {
            tracing::error!(channel, "{text}")
        }
        LogLevel::Warning => tracing::warn!(channel, "{text}"),
        LogLevel::Notice | LogLevel::Info => tracing::info!(channel, "{text}"),
        LogLevel::Debug => tracing::debug!(channel, "{text}"),
    }
}
