//! Hang-up causes: names, numbers (ITU-T Q.850 up to 127), and their SIP statuses both ways.

use std::fmt;

macro_rules! causes {
    ($($constant:ident = $number:literal, $status:literal;)*) => {
        impl Cause {
            $(
                #[doc = concat!("Number ", stringify!($number), ", SIP status ", stringify!($status), ".")]
                pub const $constant: Cause = Cause($number);
            )*

            const TABLE: &'static [(u16, &'static str, u16)] = &[$(($number, stringify!($constant), $status),)*];
        }
    };
}

/// Why a leg ended. Any number can be carried; only those of the table have a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause(u16);

causes! {
    NONE = 0, 480;
    UNALLOCATED_NUMBER = 1, 404;
    NO_ROUTE_TRANSIT_NET = 2, 404;
    NO_ROUTE_DESTINATION = 3, 404;
    CHANNEL_UNACCEPTABLE = 6, 480;
    CALL_AWARDED_DELIVERED = 7, 480;
    NORMAL_CLEARING = 16, 480;
    USER_BUSY = 17, 486;
    NO_USER_RESPONSE = 18, 408;
    NO_ANSWER = 19, 480;
    SUBSCRIBER_ABSENT = 20, 480;
    CALL_REJECTED = 21, 603;
    NUMBER_CHANGED = 22, 410;
    REDIRECTION_TO_NEW_DESTINATION = 23, 410;
    EXCHANGE_ROUTING_ERROR = 25, 483;
    DESTINATION_OUT_OF_ORDER = 27, 502;
    INVALID_NUMBER_FORMAT = 28, 484;
    FACILITY_REJECTED = 29, 501;
    RESPONSE_TO_STATUS_ENQUIRY = 30, 480;
    NORMAL_UNSPECIFIED = 31, 480;
    NORMAL_CIRCUIT_CONGESTION = 34, 503;
    NETWORK_OUT_OF_ORDER = 38, 503;
    NORMAL_TEMPORARY_FAILURE = 41, 503;
    SWITCH_CONGESTION = 42, 503;
    ACCESS_INFO_DISCARDED = 43, 480;
    REQUESTED_CHAN_UNAVAIL = 44, 503;
    PRE_EMPTED = 45, 480;
    FACILITY_NOT_SUBSCRIBED = 50, 480;
    OUTGOING_CALL_BARRED = 52, 403;
    INCOMING_CALL_BARRED = 54, 403;
    BEARERCAPABILITY_NOTAUTH = 57, 403;
    BEARERCAPABILITY_NOTAVAIL = 58, 503;
    SERVICE_UNAVAILABLE = 63, 480;
    BEARERCAPABILITY_NOTIMPL = 65, 488;
    CHAN_NOT_IMPLEMENTED = 66, 480;
    FACILITY_NOT_IMPLEMENTED = 69, 501;
    SERVICE_NOT_IMPLEMENTED = 79, 501;
    INVALID_CALL_REFERENCE = 81, 480;
    INCOMPATIBLE_DESTINATION = 88, 488;
    INVALID_MSG_UNSPECIFIED = 95, 480;
    MANDATORY_IE_MISSING = 96, 480;
    MESSAGE_TYPE_NONEXIST = 97, 480;
    WRONG_MESSAGE = 98, 480;
    IE_NONEXIST = 99, 480;
    INVALID_IE_CONTENTS = 100, 480;
    WRONG_CALL_STATE = 101, 480;
    RECOVERY_ON_TIMER_EXPIRE = 102, 504;
    MANDATORY_IE_LENGTH_ERROR = 103, 480;
    PROTOCOL_ERROR = 111, 480;
    INTERWORKING = 127, 480;
    SUCCESS = 142, 480;
    ORIGINATOR_CANCEL = 487, 487;
    CRASH = 700, 480;
    SYSTEM_SHUTDOWN = 701, 480;
    LOSE_RACE = 702, 480;
    MANAGER_REQUEST = 703, 480;
    BLIND_TRANSFER = 800, 480;
    ATTENDED_TRANSFER = 801, 480;
    ALLOTTED_TIMEOUT = 802, 480;
    USER_CHALLENGE = 803, 480;
    MEDIA_TIMEOUT = 804, 480;
    PICKED_OFF = 805, 480;
    USER_NOT_REGISTERED = 806, 480;
    PROGRESS_TIMEOUT = 807, 480;
    INVALID_GATEWAY = 808, 484;
    GATEWAY_DOWN = 809, 503;
    INVALID_URL = 810, 484;
    INVALID_PROFILE = 811, 502;
    NO_PICKUP = 812, 480;
    SRTP_READ_ERROR = 813, 480;
    BOWOUT = 814, 480;
    BUSY_EVERYWHERE = 815, 600;
    DECLINE = 816, 603;
    DOES_NOT_EXIST_ANYWHERE = 817, 604;
    NOT_ACCEPTABLE = 818, 606;
    UNWANTED = 819, 607;
    NO_IDENTITY = 820, 428;
    BAD_IDENTITY_INFO = 821, 429;
    UNSUPPORTED_CERTIFICATE = 822, 437;
    INVALID_IDENTITY = 823, 438;
    STALE_DATE = 824, 403;
    REJECT_ALL = 825, 603;
}

impl Cause {
    /// The cause of a number as it came from a peer; it need not be in the table.
    pub const fn from_number(number: u16) -> Cause {
        Cause(number)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Reads a name in any case, or a decimal number. An unknown name is NORMAL_CLEARING.
    pub fn parse(text: &str) -> Cause {
        let text = text.trim();
        if let Ok(number) = text.parse::<u16>() {
            return Cause(number);
        }
        Cause::from_name(text).unwrap_or(Cause::NORMAL_CLEARING)
    }

    /// The cause of a name in any case.
    pub fn from_name(name: &str) -> Option<Cause> {
        Cause::TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| Cause(row.0))
    }

    /// The name, `UNKNOWN` for numbers that have none.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.1)
    }

    /// The final response of an unanswered leg when no other rule applies.
    pub fn sip_status(self) -> u16 {
        self.row().map_or(480, |row| row.2)
    }

    /// The cause of a leg that was refused with a SIP status.
    pub fn from_sip_status(status: u16) -> Cause {
        match status {
            200..=299 => Cause::NORMAL_CLEARING,
            400 | 481 | 500 | 503 => Cause::NORMAL_TEMPORARY_FAILURE,
            401 | 402 | 403 | 407 | 603 | 608 => Cause::CALL_REJECTED,
            404 => Cause::UNALLOCATED_NUMBER,
            405 => Cause::SERVICE_UNAVAILABLE,
            406 | 415 | 501 => Cause::SERVICE_NOT_IMPLEMENTED,
            408 | 504 => Cause::RECOVERY_ON_TIMER_EXPIRE,
            410 => Cause::NUMBER_CHANGED,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => Cause::INTERWORKING,
            480 => Cause::NO_USER_RESPONSE,
            482 | 483 => Cause::EXCHANGE_ROUTING_ERROR,
            484 => Cause::INVALID_NUMBER_FORMAT,
            485 | 604 => Cause::NO_ROUTE_DESTINATION,
            486 | 600 => Cause::USER_BUSY,
            487 => Cause::ORIGINATOR_CANCEL,
            488 | 606 => Cause::INCOMPATIBLE_DESTINATION,
            502 => Cause::NETWORK_OUT_OF_ORDER,
            428 => Cause::NO_IDENTITY,
            429 => Cause::BAD_IDENTITY_INFO,
            437 => Cause::UNSUPPORTED_CERTIFICATE,
            438 => Cause::INVALID_IDENTITY,
            607 => Cause::UNWANTED,
            _ => Cause::NORMAL_UNSPECIFIED,
        }
    }

    /// What `hangup_cause_q850` shows: numbers beyond Q.850 become 16.
    pub const fn q850(self) -> u16 {
        if self.0 <= 127 { self.0 } else { 16 }
    }

    /// The `Reason` header value that tells this cause (RFC 3326).
    pub fn reason_header(self) -> String {
        let protocol = if (1..=127).contains(&self.0) { "Q.850" } else { "SIP" };
        format!("{protocol};cause={};text=\"{}\"", self.0, self.name())
    }

    fn row(self) -> Option<&'static (u16, &'static str, u16)> {
        Cause::TABLE.iter().find(|row| row.0 == self.0)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// Splits a list of causes as variables hold it: names or numbers, by comma or `^^D`.
pub fn parse_list(text: &str) -> Vec<Cause> {
    let (delimiter, list) =
        match text.strip_prefix("^^").and_then(|rest| rest.chars().next().map(|d| (d, rest))) {
            Some((delimiter, rest)) => (delimiter, &rest[delimiter.len_utf8()..]),
            None => (',', text),
        };
    list.split(delimiter)
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .filter_map(|item| item.parse::<u16>().ok().map(Cause).or_else(|| Cause::from_name(item)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_tables_are_not_inverse() {
        let round = |status| Cause::from_sip_status(status).sip_status();
        for (from, to) in [
            (480, 408),
            (408, 504),
            (503, 503),
            (500, 503),
            (603, 603),
            (403, 603),
            (404, 404),
            (502, 503),
            (405, 480),
            (600, 486),
            (410, 410),
            (604, 404),
        ] {
            assert_eq!(round(from), to, "{from}");
        }
    }

    #[test]
    fn names_and_numbers_are_read_and_unknown_names_are_normal_clearing() {
        assert_eq!(Cause::parse("user_busy"), Cause::USER_BUSY);
        assert_eq!(Cause::parse("17"), Cause::USER_BUSY);
        assert_eq!(Cause::parse("nosuch"), Cause::NORMAL_CLEARING);
        assert_eq!(Cause::parse("47").sip_status(), 480);
        assert_eq!(Cause::parse("47").q850(), 47);
        assert_eq!(Cause::ALLOTTED_TIMEOUT.q850(), 16);
    }

    #[test]
    fn reason_names_q850_only_where_q850_has_the_number() {
        assert_eq!(Cause::USER_BUSY.reason_header(), "Q.850;cause=17;text=\"USER_BUSY\"");
        assert_eq!(Cause::ALLOTTED_TIMEOUT.reason_header(), "SIP;cause=802;text=\"ALLOTTED_TIMEOUT\"");
    }

    #[test]
    fn cause_lists_take_names_numbers_and_another_delimiter() {
        let both = vec![Cause::USER_BUSY, Cause::NO_ANSWER];
        assert_eq!(parse_list("17,NO_ANSWER"), both);
        assert_eq!(parse_list("^^:user_busy:19"), both);
        assert_eq!(parse_list("nosuch"), vec![]);
    }
}
