//! The texts of time attributes: lists of numbers, of days, of times.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::instant;
use crate::words::read_integer;

/// A list of `N` and `N-M`. What is no number reads as 0; a range that goes down wraps around.
pub(super) fn number_holds(list: &str, value: i64) -> bool {
    let mut rest = list;
    loop {
        let low = take_number(&mut rest);
        let holds = if let Some(high_and_more) = rest.strip_prefix('-') {
            rest = high_and_more;
            let high = take_number(&mut rest);
            is_within(value, low, high)
        } else {
            value == low
        };
        if holds {
            return true;
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

fn take_number(rest: &mut &str) -> i64 {
    let (value, len) = read_integer(rest).unwrap_or((0, 0));
    *rest = &rest[len..];
    value
}

fn is_within(value: i64, low: i64, high: i64) -> bool {
    if low <= high { (low..=high).contains(&value) } else { value >= low || value <= high }
}

/// A list of days, 1 or `sun` to 7 or `sat`. What cannot be read ends it: what stood before counts.
pub(super) fn day_holds(list: &str, value: i64) -> bool {
    let mut rest = list;
    loop {
        let Some(low) = take_day(&mut rest) else { return false };
        let holds = if let Some(high_and_more) = rest.strip_prefix('-') {
            rest = high_and_more;
            let Some(high) = take_day(&mut rest) else { return false };
            is_within(value, low, high)
        } else {
            value == low
        };
        if holds {
            return true;
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return false,
        }
    }
}

fn take_day(rest: &mut &str) -> Option<i64> {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let first = rest.bytes().next()?;
    if (b'1'..=b'7').contains(&first) {
        *rest = &rest[1..];
        return Some(i64::from(first - b'0'));
    }
    let name = rest.get(..3)?;
    let index = NAMES.iter().position(|day| name.eq_ignore_ascii_case(day))?;
    *rest = &rest[3..];
    i64::try_from(index).ok().map(|index| index + 1)
}

/// A list of `HH:MM[:SS]-HH:MM[:SS]`, both ends inclusive; an item that is no range never holds.
pub(super) fn time_of_day_holds(list: &str, seconds: i64) -> bool {
    list.split(',').any(|item| {
        let Some((from, to)) = item.split_once('-') else { return false };
        match (seconds_of_day(from), seconds_of_day(to)) {
            (Some(from), Some(to)) => is_within(seconds, from, to),
            _ => false,
        }
    })
}

fn seconds_of_day(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':').map(|part| read_integer(part).map(|(value, _)| value));
    let hour = parts.next()??;
    let minute = parts.next().unwrap_or(Some(0))?;
    let second = parts.next().unwrap_or(Some(0))?;
    hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)
}

/// A list of `START~END`, the end exclusive, in the server's zone. A start that cannot be read is the beginning of
/// time; an end that cannot be read ends the check.
pub(super) fn date_time_holds(list: &str, now: Timestamp, zone: &TimeZone) -> bool {
    for item in list.split(',') {
        let Some((start, end)) = item.split_once('~') else { return false };
        let today = now.to_zoned(zone.clone()).datetime();
        let Some(end) = parse_time(end, today).and_then(|end| instant(end, zone)) else { return false };
        let has_begun = match parse_time(start, today).and_then(|start| instant(start, zone)) {
            Some(start) => start <= now,
            None => true,
        };
        if has_begun && now < end {
            return true;
        }
    }
    false
}

/// `YYYY-MM-DD[ HH[:MM[:SS]]]`, `YYYYMMDDhhmmss`, or `HH[:MM[:SS]]` of today.
pub(crate) fn parse_time(text: &str, today: DateTime) -> Option<DateTime> {
    let text = text.trim();
    if text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
        return date_time([
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14)?,
        ]);
    }
    let Some((year, rest)) = text.split_once('-') else {
        return Some(today.date().to_datetime(time(text)?));
    };
    let (month, rest) = rest.split_once('-')?;
    let (day, clock) = match rest.split_once(' ') {
        Some((day, clock)) => (day, clock.trim_start()),
        None => (rest, ""),
    };
    let number = |digits: &str| digits.parse::<i64>().ok();
    let midnight = date_time([number(year)?, number(month)?, number(day)?, 0, 0, 0])?;
    let time = if clock.is_empty() { Time::midnight() } else { time(clock)? };
    Some(midnight.date().to_datetime(time))
}

fn time(text: &str) -> Option<Time> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse::<i8>().ok());
    let hour = parts.next()??;
    let minute = parts.next().unwrap_or(Some(0))?;
    let second = parts.next().unwrap_or(Some(0))?;
    Time::new(hour, minute, second, 0).ok()
}

fn date_time(parts: [i64; 6]) -> Option<DateTime> {
    let small = |index: usize| i8::try_from(parts[index]).ok();
    let year = i16::try_from(parts[0]).ok()?;
    DateTime::new(year, small(1)?, small(2)?, small(3)?, small(4)?, small(5)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_lists_of_ranges_that_wrap() {
        assert!(number_holds("1-19,21-31", 21) && !number_holds("1-19,21-31", 20));
        assert!(number_holds("22-6", 3) && number_holds("22-6", 22) && !number_holds("22-6", 7));
        assert!(number_holds("5-5", 5) && !number_holds("5-5", 6));
        assert!(number_holds("1, 2", 2) && !number_holds("1 ,2", 2));
        assert!(number_holds("", 0) && number_holds("abc", 0) && number_holds("-3", -3));
    }

    #[test]
    fn days_are_digits_or_three_letters() {
        assert!(day_holds("mon-wed,fri", 6) && !day_holds("mon-wed,fri", 5));
        assert!(day_holds("sat-sun", 1) && day_holds("7-1", 7) && !day_holds("7-1", 4));
        assert!(day_holds("monday-sunday", 2) && !day_holds("monday-sunday", 3));
        assert!(!day_holds("mon, fri", 6) && !day_holds("", 1) && !day_holds("8", 1));
    }

    #[test]
    fn times_of_day_include_both_ends_and_wrap() {
        assert!(time_of_day_holds("09:59:59-10:05:00", 36_000));
        assert!(time_of_day_holds("22:00-06:00", 21_600) && !time_of_day_holds("22:00-06:00", 21_601));
        assert!(!time_of_day_holds("00:00", 0) && time_of_day_holds("x,00:00-23:59:59", 1));
    }

    #[test]
    fn dates_hold_from_the_start_to_before_the_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let holds = |list: &str, now: &str| date_time_holds(list, at(now), &TimeZone::UTC);
        assert!(holds("2026-11-20~2026-11-21", "2026-11-20T00:00:00Z"));
        assert!(!holds("2026-11-20~2026-11-21", "2026-11-21T00:00:00Z"));
        assert!(holds("20261120100000~2026-11-20 10:00:01", "2026-11-20T10:00:00.5Z"));
        assert!(holds("2020-01-01~2020-01-02,09:00~11", "2026-11-20T10:00:00Z"));
        assert!(!holds("2026-01-01~whenever,09:00~11", "2026-11-20T10:00:00Z"));
        assert!(holds("whenever~2027-01-01", "2026-11-20T10:00:00Z"));
        assert!(!holds("2026-11-20", "2026-11-20T10:00:00Z"));
    }
}
