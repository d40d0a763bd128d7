//! Parameters of header values and URIs: `;name=value;name;name="quoted"` (RFC 3261 §7.3.1, §19.1.1).

use std::borrow::Cow;

use crate::text::{self, trim};

/// Parameters as they were written, proved well-formed once. Names are compared without regard to case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// Empty, or a run of parameters each introduced by its semicolon.
    text: &'a str,
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name as written.
    pub name: &'a str,
    /// Its value as written, quotes included; `None` for a bare name.
    pub value: Option<&'a str>,
}

impl<'a> Params<'a> {
    /// Parses the parameters of a header value; `text` is blank or starts with a semicolon.
    ///
    /// Names must be tokens. Values may hold any visible characters but `;`, `,` and quotes, because hosts, IPv6
    /// references and vendors' inventions stand there. `None` means malformed.
    pub fn parse_header(text: &'a str) -> Option<Params<'a>> {
        let text = trim(text);
        if !text.is_empty() && !text.starts_with(';') {
            return None;
        }
        let params = Params { text };
        params.iter().all(Param::is_header_param).then_some(params)
    }

    /// Parses the parameters of a URI: no white space, no quotes (RFC 3261 §25.1 `uri-parameters`).
    pub(crate) fn parse_uri(text: &'a str) -> Option<Params<'a>> {
        let params = Params { text };
        params.iter().all(Param::is_uri_param).then_some(params)
    }

    /// The text as written, first semicolon included; empty without parameters.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Each parameter in its order.
    pub fn iter(&self) -> ParamIter<'a> {
        ParamIter { rest: self.text }
    }

    /// Whether a parameter of that name is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of that name as written: `Some("")` for a bare name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| param.value.unwrap_or(""))
    }

    /// The value of the first parameter of that name with its quotes and escapes taken off.
    pub fn get_unquoted(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(text::unquote)
    }
}

impl<'a> Param<'a> {
    fn is_header_param(self) -> bool {
        text::is_token(self.name)
            && self.value.is_none_or(|value| match text::quoted_end(value) {
                Some(end) => end == value.len(),
                None => value.bytes().all(|b| b > b' ' && b != 0x7f && !matches!(b, b'"' | b',' | b';')),
            })
    }

    fn is_uri_param(self) -> bool {
        let plain =
            |text: &str| text.bytes().all(|b| b > b' ' && b != 0x7f && !matches!(b, b'"' | b'<' | b'>'));
        !self.name.is_empty() && plain(self.name) && self.value.is_none_or(plain)
    }
}

/// What [`Params::iter`] returns.
#[derive(Clone, Debug)]
pub struct ParamIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let text = self.rest.strip_prefix(';')?;
        let end = param_end(text);
        self.rest = &text[end..];
        Some(match text[..end].split_once('=') {
            Some((name, value)) => Param { name: trim(name), value: Some(trim(value)) },
            None => Param { name: trim(&text[..end]), value: None },
        })
    }
}

/// Where the first parameter ends: at a semicolon outside quotes, or with the text.
fn param_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b';' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_regard_to_case_and_white_space() {
        let params =
            Params::parse_header(" ;  Branch  =  z9hG4bKa ; lr; Text = \"a;b \\\" c\"").expect("legal");
        assert_eq!(params.get("branch"), Some("z9hG4bKa"));
        assert_eq!(params.get("LR"), Some(""));
        assert_eq!(params.get_unquoted("text").as_deref(), Some("a;b \" c"));
        assert!(!params.has("rport"));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn empty_and_broken_parameters_are_refused() {
        for text in
            [";", ";;", ";a;", ";a;;b", "a=b", ";=b", ";a=\"b", ";a=\"b\"c", ";a=b c", ";a b=c", ";a,b"]
        {
            assert_eq!(Params::parse_header(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_and_ipv6_references_may_be_values() {
        let params = Params::parse_header(";received=2001:db8::9:255;maddr=[::1]").expect("lenient");
        assert_eq!(params.get("received"), Some("2001:db8::9:255"));
        assert_eq!(params.get("maddr"), Some("[::1]"));
    }
}
