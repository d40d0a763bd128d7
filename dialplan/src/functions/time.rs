//! `strftime` and `strftime_tz`.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::scope::Scope;
use crate::text::{Text, floor_boundary};
use crate::times::named_zone;

/// What a formatted time may take, in bytes.
const FORMATTED_LEN_MAX: usize = 79;
const FORMAT: &str = "%Y-%m-%d %T";

/// `[EPOCH|xFORMAT]` or `FORMAT` in the server's zone. After the bar one character is skipped, as FreeSWITCH does.
pub(super) fn strftime(text: &Text, scope: &dyn Scope) -> Text {
    let (at, format) = match text.find_syntax(b'|', 0) {
        Some(bar) => {
            let rest = text.as_str().get(bar + 1..).unwrap_or_default();
            let skipped = rest.char_indices().nth(1).map_or("", |(second, _)| &rest[second..]);
            (epoch(&text.as_str()[..bar]), skipped)
        }
        None => (None, text.as_str()),
    };
    let at = at.unwrap_or_else(|| present(scope));
    Text::trusted(formatted(at, scope.zone(), format)).with_provenance_of(text)
}

/// `ZONE [EPOCH|]FORMAT`.
pub(super) fn strftime_tz(text: &Text, scope: &dyn Scope) -> Text {
    let error = || Text::trusted("-ERR Invalid timezone/format");
    let (zone, rest) = match text.find_syntax(b' ', 0) {
        Some(blank) => (&text.as_str()[..blank], &text.as_str()[blank + 1..]),
        None => (text.as_str(), ""),
    };
    let Some(zone) = named_zone(zone) else { return error() };
    let (at, format) = match rest.split_once('|') {
        Some((seconds, format)) => (epoch(seconds), format),
        None => (None, rest),
    };
    let at = at.unwrap_or_else(|| present(scope));
    Text::trusted(formatted(at, zone, format)).with_provenance_of(text)
}

fn epoch(text: &str) -> Option<Timestamp> {
    let seconds = crate::words::read_integer(text)?.0;
    Timestamp::from_second(seconds).ok()
}

fn present(scope: &dyn Scope) -> Timestamp {
    Timestamp::from_microsecond(scope.now().as_micros()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn formatted(at: Timestamp, zone: TimeZone, format: &str) -> String {
    let format = if format.is_empty() { FORMAT } else { format };
    let time = strtime::BrokenDownTime::from(&at.to_zoned(zone));
    let mut out = String::new();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        let len = directive_len(&rest[percent..]);
        let directive = &rest[percent..percent + len];
        // A directive that C's strftime would not know either is shown as it is.
        out.push_str(&time.to_string(directive).unwrap_or_else(|_| directive.to_owned()));
        rest = &rest[percent + len..];
    }
    out.push_str(rest);
    out.truncate(floor_boundary(&out, FORMATTED_LEN_MAX));
    out
}

/// Length of `%`, optional flags and one letter.
fn directive_len(text: &str) -> usize {
    let flags = text[1..].bytes().take_while(|byte| b"-_0^#EO".contains(byte)).count();
    let letter = text[1 + flags..].chars().next().map_or(0, char::len_utf8);
    1 + flags + letter
}

impl Text {
    /// The same characters; an atom as a whole if anything in `source` was one.
    pub(super) fn with_provenance_of(self, source: &Text) -> Text {
        if source.has_atoms() { self.into_network() } else { self }
    }
}
