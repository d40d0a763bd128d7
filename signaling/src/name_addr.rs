//! `"Display" <uri>;params` and the bare `uri;params` of From, To, Contact, Route and their kin (RFC 3261 §20.10).

use std::borrow::Cow;

use crate::params::Params;
use crate::text::{self, trim};
use crate::uri::{Uri, UriError};

/// One entry of a header that names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included; `None` when there is none.
    pub display: Option<&'a str>,
    /// Whom it names.
    pub uri: Uri<'a>,
    /// The header's parameters (never the URI's).
    pub params: Params<'a>,
}

/// Why an entry names nobody. All of these are the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameAddrError {
    /// Its URI is wrong.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// A quote that does not end, or a display name with characters that need quotes.
    #[error("a malformed display name")]
    Display,
    /// `<` without `>`, or something between `>` and the parameters.
    #[error("malformed brackets")]
    Brackets,
    /// Its parameters are no parameters.
    #[error("malformed parameters")]
    Params,
}

impl<'a> NameAddr<'a> {
    /// Parses one entry; lists are split before with [`text::split_list`].
    pub fn parse(text: &'a str) -> Result<NameAddr<'a>, NameAddrError> {
        let text = trim(text);
        let display_end = if text.starts_with('"') {
            let end = text::quoted_end(text).ok_or(NameAddrError::Display)?;
            let rest = &text[end..];
            end + (rest.len() - rest.trim_start_matches(text::LWS).len())
        } else {
            // Parameters may hold `<` too, in quotes: only a bracket before any semicolon opens the URI.
            match text.find(['<', ';', '"']) {
                Some(at) if text.as_bytes()[at] == b'<' => at,
                _ => return NameAddr::parse_bare(text),
            }
        };
        let rest = text[display_end..].strip_prefix('<').ok_or(NameAddrError::Brackets)?;
        let (uri, params) = rest.split_once('>').ok_or(NameAddrError::Brackets)?;
        let display = trim(&text[..display_end]);
        if !is_display(display) {
            return Err(NameAddrError::Display);
        }
        Ok(NameAddr {
            display: (!display.is_empty()).then_some(display),
            uri: Uri::parse(uri)?,
            params: Params::parse_header(params).ok_or(NameAddrError::Params)?,
        })
    }

    /// The display name without quotes and escapes; empty when there is none.
    pub fn display_name(&self) -> Cow<'a, str> {
        text::unquote(self.display.unwrap_or(""))
    }

    /// The dialog tag. An empty one counts as none.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// Without brackets each semicolon begins a header parameter, and `?` may not stand (RFC 3261 §20).
    fn parse_bare(text: &'a str) -> Result<NameAddr<'a>, NameAddrError> {
        let (uri, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let uri = Uri::parse(trim(uri))?;
        if uri.headers.is_some() {
            return Err(NameAddrError::Brackets);
        }
        let params = Params::parse_header(params).ok_or(NameAddrError::Params)?;
        Ok(NameAddr { display: None, uri, params })
    }
}

/// Whether `display` may stand before `<`: a quoted string, or words. The grammar wants tokens; the field writes
/// brackets, apostrophes and UTF-8. What could be taken for syntax is refused (RFC 4475 §3.1.2.15).
fn is_display(display: &str) -> bool {
    text::quoted_end(display) == Some(display.len())
        || display
            .bytes()
            .all(|b| (b >= b' ' || b == b'\t') && !matches!(b, 0x7f | b'"' | b',' | b';' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn header_parameters_and_uri_parameters_are_told_apart() {
        let bare = parse("sip:+1972@gw1.example.net;unknownparam");
        assert!(bare.params.has("unknownparam") && bare.uri.params.is_empty());
        let bracketed = parse("<sip:+1972@gw1.example.net;unknownparam>");
        assert!(bracketed.params.is_empty() && bracketed.uri.params.has("unknownparam"));
    }

    #[test]
    fn display_names_are_unquoted_on_demand() {
        let quoted = parse(r#""J \"Q\" Rosenberg \\"       <sip:jdr@example.com> ;  tag = 98asjd8"#);
        assert_eq!(quoted.display_name(), r#"J "Q" Rosenberg \"#);
        assert_eq!(quoted.tag(), Some("98asjd8"));
        assert_eq!(parse("caller<sip:c@h>;tag=3").display, Some("caller"));
        assert_eq!(parse("A. Müller (Büro) <sip:c@h>").display_name(), "A. Müller (Büro)");
        assert_eq!(parse("<sip:c@h>").display_name(), "");
    }

    #[test]
    fn brackets_in_quotes_are_text() {
        let entry = parse(r#""a <sip:x@y>, b" <sip:c@h>;reason="<>""#);
        assert_eq!(entry.uri.as_str(), "sip:c@h");
        assert_eq!(parse(r#"sip:c@h;+sip.instance="<urn:uuid:1>""#).uri.as_str(), "sip:c@h");
    }

    #[test]
    fn uris_of_any_scheme_may_be_named() {
        assert_eq!(parse("<http://www.example.com>;tag=3").tag(), Some("3"));
        assert_eq!(parse("tel:+4930123;tag=9").tag(), Some("9"));
    }

    #[test]
    fn an_empty_tag_is_none() {
        assert_eq!(parse("<sip:c@h>;tag=").tag(), None);
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        for (text, error) in [
            (r#""Mr. J. User <sip:j@example.com>"#, NameAddrError::Display),
            ("Bell, Alexander <sip:a@example.com>;tag=43", NameAddrError::Display),
            (r#"a "b" <sip:c@h>"#, NameAddrError::Uri(UriError::Character)),
            (r#""Watson" < sip:t@example.org >"#, NameAddrError::Uri(UriError::Character)),
            (r#""Watson" sip:t@example.org"#, NameAddrError::Brackets),
            ("<sip:a@b", NameAddrError::Brackets),
            ("<sip:a@b> x", NameAddrError::Params),
            ("<sip:a@b>;;;;", NameAddrError::Params),
            ("sip:user@example.com?Route=%3Csip:x%3E", NameAddrError::Brackets),
            ("", NameAddrError::Uri(UriError::Scheme)),
        ] {
            assert_eq!(NameAddr::parse(text), Err(error), "{text}");
        }
    }
}
