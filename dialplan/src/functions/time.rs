//! `strftime` and `strftime_tz`.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::scope::Scope;
use crate::text::{Text, floor_boundary};
use crate::times::{instant, named_zone, parse_time};

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

/// The time that a text names in the server's zone, or now, in units of so many microseconds since 1970.
pub(super) fn strepoch(text: &Text, scope: &dyn Scope, unit_micros: i64) -> Text {
    let zone = scope.zone();
    let now = present(scope);
    let at = if text.is_empty() {
        Some(now)
    } else {
        parse_time(text.as_str(), now.to_zoned(zone.clone()).datetime()).and_then(|time| instant(time, &zone))
    };
    Text::trusted(at.map_or(0, |at| at.as_microsecond().div_euclid(unit_micros)).to_string())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Call;

    fn at(zone: &str) -> Call {
        let mut call = Call::new();
        call.zone = named_zone(zone).unwrap();
        call
    }

    #[test]
    fn times_are_formatted_in_the_servers_zone() {
        let format = |text: &str, zone: &str| strftime(&text.into(), &at(zone)).into_string();
        assert_eq!(format("", "UTC"), "2026-11-20 10:00:00");
        assert_eq!(format("%H:%M %z", "Europe/Berlin"), "11:00 +0100");
        assert_eq!(format("1234567890| %Y-%m-%d %H:%M:%S", "UTC"), "2009-02-13 23:31:30");
        assert_eq!(format("1234567890|%Y-%m", "UTC"), "Y-02");
        assert_eq!(format("x| %s %%", "UTC"), "1795168800 %");
        assert_eq!(format("%A %j %e %! %", "UTC"), "Friday 324 20 %! %");
        assert_eq!(format(&"é".repeat(100), "UTC").len(), 78);
    }

    #[test]
    fn times_are_formatted_in_a_named_zone() {
        let format = |text: &str| strftime_tz(&text.into(), &at("UTC")).into_string();
        assert_eq!(format("Asia/Tokyo 1234567890|%Y-%m-%d %H:%M"), "2009-02-14 08:31");
        assert_eq!(format("Asia/Tokyo %H"), "19");
        assert_eq!(format("Nowhere/Town %H"), "-ERR Invalid timezone/format");
    }

    #[test]
    fn times_are_read_in_the_servers_zone() {
        let read = |text: &str, unit: i64| strepoch(&text.into(), &at("Europe/Berlin"), unit).into_string();
        assert_eq!(read("2026-11-20 11:00:00", 1_000_000), "1795168800");
        assert_eq!(read("", 1), "1795168800000000");
        assert_eq!(read("never", 1_000_000), "0");
    }
}
