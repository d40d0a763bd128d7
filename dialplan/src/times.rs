//! Date and time attributes of a condition (dialplan.md §10).

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::Zoned;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use crate::scope::Scope;
use crate::words::{is_number, leading_integer, read_integer};

mod compare;

pub(crate) use compare::parse_time;
use compare::{date_time_holds, day_holds, number_holds, time_of_day_holds};

/// The attributes in the order in which they are looked at.
pub const ATTRIBUTES: [&str; 14] = [
    "tz-offset",
    "dst",
    "date-time",
    "year",
    "yday",
    "mon",
    "mday",
    "week",
    "mweek",
    "wday",
    "hour",
    "minute",
    "minute-of-day",
    "time-of-day",
];

/// The time-zone table comes with the program, so that no file is read while a call is hunted for.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A zone of the time-zone table by its name.
pub(crate) fn named_zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// The time attributes of one condition; all must hold.
#[derive(Clone, Debug)]
pub struct TimeRule {
    /// Attribute by its place in [`ATTRIBUTES`], and its text.
    checks: Vec<(usize, String)>,
}

impl TimeRule {
    /// Reads the attributes through `attribute`; `None` if there is none.
    pub fn new<'a>(attribute: impl Fn(&str) -> Option<&'a str>) -> Option<TimeRule> {
        let given = ATTRIBUTES.iter().enumerate();
        let checks: Vec<_> =
            given.filter_map(|(index, name)| Some((index, attribute(name)?.to_owned()))).collect();
        if checks.is_empty() { None } else { Some(TimeRule { checks }) }
    }

    /// Whether all attributes hold now.
    pub fn holds(&self, scope: &dyn Scope) -> bool {
        let clock = Clock::new(scope);
        self.checks.iter().all(|(index, text)| clock.holds(ATTRIBUTES[*index], text))
    }

    /// What can be said about the attributes before any call: those that can never hold.
    pub fn complaints(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.checks.iter().filter_map(|(index, text)| {
            let name = ATTRIBUTES[*index];
            let complaint = match name {
                "dst" if !config::is_true(text) => "only dst=\"true\" can hold",
                "date-time" if !text.contains('~') => "a date-time without `~` never holds",
                "time-of-day" if !text.contains('-') => "a time-of-day that is no range never holds",
                _ => return None,
            };
            Some((name, complaint))
        })
    }
}

/// The moment of a check, in the zones that the attributes speak of.
struct Clock {
    now: Timestamp,
    /// Now in the reference zone.
    local: Zoned,
    server: TimeZone,
}

impl Clock {
    fn new(scope: &dyn Scope) -> Clock {
        let now = Timestamp::from_microsecond(scope.now().as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
        let server = scope.zone();
        let local = now.to_zoned(reference_zone(scope).unwrap_or_else(|| server.clone()));
        Clock { now, local, server }
    }

    fn holds(&self, attribute: &str, text: &str) -> bool {
        let date = self.local.date();
        let minute_of_day = i64::from(self.local.hour()) * 60 + i64::from(self.local.minute());
        match attribute {
            "tz-offset" => {
                let hours = i64::from(self.local.offset().seconds() / 3_600);
                read_integer(text).is_none_or(|(wanted, _)| wanted == hours)
            }
            "dst" => config::is_true(text) && self.server.to_offset_info(self.now).dst().is_dst(),
            "date-time" => date_time_holds(text, self.now, &self.server),
            "year" => number_holds(text, i64::from(date.year())),
            "yday" => number_holds(text, i64::from(date.day_of_year())),
            "mon" => number_holds(text, i64::from(date.month())),
            "mday" => number_holds(text, i64::from(date.day())),
            "week" => number_holds(text, i64::from((date.day_of_year() - 1) / 7 + 1)),
            "mweek" => number_holds(text, week_of_month(date)),
            "wday" => day_holds(text, i64::from(date.weekday().to_sunday_one_offset())),
            "hour" => number_holds(text, i64::from(self.local.hour())),
            "minute" => number_holds(text, i64::from(self.local.minute())),
            "minute-of-day" => number_holds(text, minute_of_day + 1),
            _ => time_of_day_holds(text, minute_of_day * 60 + i64::from(self.local.second())),
        }
    }
}

/// `tod_tz_offset` in whole hours without daylight saving, else the zone that `timezone` names.
fn reference_zone(scope: &dyn Scope) -> Option<TimeZone> {
    let variable = |name: &str| scope.variable(name).or_else(|| scope.global(name));
    if let Some(hours) = variable("tod_tz_offset").filter(|hours| is_number(hours.as_str()))
        && let Ok(hours) = i8::try_from(leading_integer(hours.as_str()))
        && let Ok(offset) = Offset::from_hours(hours)
    {
        return Some(TimeZone::fixed(offset));
    }
    named_zone(variable("timezone")?.as_str())
}

/// Rows of a calendar whose weeks begin on Sunday.
fn week_of_month(date: Date) -> i64 {
    let first = i64::from(date.first_of_month().weekday().to_sunday_zero_offset());
    (i64::from(date.day()) + first + 6) / 7
}

/// A civil time in a zone as an instant; one that the clock jumped over is moved as the clock was.
pub(crate) fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    Some(time.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Call;

    fn holds(call: &Call, attributes: &[(&str, &str)]) -> bool {
        let find = |name: &str| attributes.iter().find(|&&(given, _)| given == name).map(|&(_, text)| text);
        TimeRule::new(find).unwrap().holds(call)
    }

    fn at(time: &str) -> Call {
        let mut call = Call::new();
        let micros = time.parse::<Timestamp>().unwrap().as_microsecond();
        call.now = clock::Wall::from_micros(micros);
        call
    }

    #[test]
    fn every_attribute_compares_its_own_part_of_the_time() {
        let call = at("2026-11-20T10:05:07Z");
        let true_ones = [
            ("tz-offset", "0"),
            ("date-time", "2026-11-20~2026-11-21"),
            ("year", "2026"),
            ("yday", "324"),
            ("mon", "11"),
            ("mday", "20"),
            ("week", "47"),
            ("mweek", "3"),
            ("wday", "fri"),
            ("hour", "10"),
            ("minute", "5"),
            ("minute-of-day", "606"),
            ("time-of-day", "10:05:07-10:05:07"),
        ];
        for attribute in true_ones {
            assert!(holds(&call, &[attribute]), "{attribute:?}");
        }
        assert!(holds(&call, &true_ones));
        for (name, text) in
            [("week", "48"), ("mweek", "4"), ("wday", "5"), ("minute-of-day", "605"), ("tz-offset", "1")]
        {
            assert!(!holds(&call, &[(name, text)]), "{name}");
        }
        assert!(!holds(&call, &[("year", "2026"), ("mon", "10")]));
        assert!(holds(&call, &[("tz-offset", "here")]));
        assert!(TimeRule::new(|_| None).is_none());
    }

    #[test]
    fn weeks_begin_on_the_first_of_january_and_months_on_sunday() {
        assert!(holds(&at("2027-01-01T00:00:00Z"), &[("week", "1"), ("mweek", "1")]));
        assert!(holds(&at("2027-01-08T00:00:00Z"), &[("week", "2"), ("mweek", "2")]));
        assert!(holds(&at("2026-11-01T00:00:00Z"), &[("mweek", "1"), ("wday", "1")]));
        assert!(holds(&at("2026-08-30T00:00:00Z"), &[("mweek", "6")]));
    }

    #[test]
    fn the_reference_zone_is_the_channels_or_else_the_servers() {
        let mut call = at("2026-07-20T23:30:00Z");
        assert!(holds(&call, &[("hour", "23"), ("mday", "20")]));
        call.zone = named_zone("Europe/Berlin").unwrap();
        assert!(holds(&call, &[("hour", "1"), ("mday", "21"), ("tz-offset", "2")]));
        let call = call.with("timezone", "America/New_York");
        assert!(holds(&call, &[("hour", "19"), ("tz-offset", "-4")]));
        let call = call.with("tod_tz_offset", "-5");
        assert!(holds(&call, &[("hour", "18"), ("tz-offset", "-5")]));
        let call = call.with("tod_tz_offset", "east");
        assert!(holds(&call, &[("hour", "19")]));
        assert!(holds(&at("2026-07-20T23:30:00Z").with_global("timezone", "Asia/Tokyo"), &[("hour", "8")]));
        assert!(holds(&at("2026-07-20T23:30:00Z").with("timezone", "Nowhere/Town"), &[("hour", "23")]));
    }

    #[test]
    fn daylight_saving_is_the_servers_and_only_true_can_hold() {
        let mut call = at("2026-07-20T12:00:00Z").with("timezone", "UTC");
        call.zone = named_zone("Europe/Berlin").unwrap();
        assert!(holds(&call, &[("dst", "true")]) && !holds(&call, &[("dst", "false")]));
        let mut call = at("2026-12-20T12:00:00Z");
        call.zone = named_zone("Europe/Berlin").unwrap();
        assert!(!holds(&call, &[("dst", "true")]) && !holds(&call, &[("dst", "false")]));
    }

    #[test]
    fn dates_are_read_in_the_servers_zone_whatever_the_reference() {
        let mut call = at("2026-11-20T23:30:00Z").with("timezone", "America/New_York");
        call.zone = named_zone("Europe/Berlin").unwrap();
        assert!(holds(&call, &[("date-time", "2026-11-21~2026-11-22")]));
        assert!(holds(&call, &[("date-time", "00:00~01")]));
    }
}
