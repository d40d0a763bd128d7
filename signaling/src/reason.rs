//! The Reason header (RFC 3326): why a call ends, in SIP's or Q.850's numbers.

use core::fmt;

use crate::params::Params;
use crate::text::{self, is_token, number};

/// One reason: `Q.850;cause=16;text="Normal call clearing"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose numbers: `SIP`, `Q.850`, or another token.
    pub protocol: String,
    /// The number; one that is missing or malformed is none.
    pub cause: Option<u16>,
    /// The text, without quotes.
    pub text: Option<String>,
}

impl Reason {
    /// A reason with a text, which may be empty.
    pub fn new(protocol: &str, cause: u16, text: &str) -> Reason {
        let text = (!text.is_empty()).then(|| text.to_owned());
        Reason { protocol: protocol.to_owned(), cause: Some(cause), text }
    }

    /// Parses one entry; `None` if it is malformed.
    pub fn parse(entry: &str) -> Option<Reason> {
        let entry = text::trim(entry);
        let (protocol, params) = entry.split_at(entry.find(';').unwrap_or(entry.len()));
        let protocol = text::trim(protocol);
        let params = Params::parse_header(params).filter(|_| is_token(protocol))?;
        let cause = params.get_unquoted("cause");
        Some(Reason {
            protocol: protocol.to_owned(),
            cause: cause.and_then(|cause| u16::try_from(number(&cause)?).ok()),
            text: params.get_unquoted("text").map(|text| text.into_owned()),
        })
    }

    /// The well-formed entries of a header value.
    pub fn parse_list(value: &str) -> impl Iterator<Item = Reason> {
        text::split_list(value).filter_map(Reason::parse)
    }

    /// Whether the numbers are those of `protocol`, compared without regard to case.
    pub fn is(&self, protocol: &str) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if is_token(&self.protocol) { &self.protocol } else { "SIP" })?;
        self.cause.map_or(Ok(()), |cause| write!(f, ";cause={cause}"))?;
        self.text.as_ref().map_or(Ok(()), |text| write!(f, ";text={}", text::quote(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_read_and_printed_again() {
        let value =
            r#"Q.850 ; cause = 16 ;text="Normal \"call\", clearing", SIP;cause=200;text=Elsewhere,;,SIP"#;
        let reasons: Vec<_> = Reason::parse_list(value).collect();
        assert_eq!(reasons[0], Reason::new("Q.850", 16, "Normal \"call\", clearing"));
        assert_eq!(reasons[1], Reason::new("SIP", 200, "Elsewhere"));
        assert_eq!(reasons[2], Reason { protocol: "SIP".to_owned(), cause: None, text: None });
        assert_eq!(reasons.len(), 3);
        for reason in reasons {
            assert_eq!(Reason::parse(&reason.to_string()), Some(reason));
        }
    }

    #[test]
    fn a_cause_that_is_no_number_is_none() {
        for value in ["Q.850;cause=x", "Q.850;cause", "Q.850;cause=70000", "Q.850;cause=-1"] {
            let reason = Reason::parse(value).expect("well-formed");
            assert!(reason.is("q.850") && reason.cause.is_none(), "{value}");
        }
        assert_eq!(Reason::parse("Q 850;cause=1"), None);
        assert_eq!(Reason::parse("Q.850;cause=1;;"), None);
    }

    #[test]
    fn a_text_cannot_begin_another_header() {
        let reason = Reason::new("SIP", 500, "a\r\nVia: b\"");
        assert_eq!(reason.to_string(), "SIP;cause=500;text=\"a  Via: b\\\"\"");
    }
}
