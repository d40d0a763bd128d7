//! URIs as SIP uses them: `sip:`, `sips:`, `tel:` and, opaque, all others (RFC 3261 §19.1, RFC 3966).
//!
//! Strict in what the grammar needs to be unambiguous (white space, brackets, escapes, one `@`), lenient in the user
//! part, where the field writes `#`, raw UTF-8 and more.

use std::borrow::Cow;
use std::net::IpAddr;

use core::fmt;

use crate::params::Params;

mod escape;
mod host;

pub(crate) use escape::encode;
pub use escape::{encode_param, encode_user, unescape};
pub(crate) use host::parse_port;
pub use host::{Host, format_host_port, split_host_port};

/// Longest URI that we take. Real ones stay below 300 bytes; a bound keeps what dialogs store small.
pub const URI_BYTES_MAX: usize = 4096;

/// A URI that lies in a message. Copying it copies references only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Which kind of URI it is.
    pub scheme: Scheme,
    /// The user part as written, escapes and its own parameters included; of a `tel:` URI the number.
    pub user: Option<&'a str>,
    /// The password as written.
    pub password: Option<&'a str>,
    /// The host; empty for `tel:` and unknown schemes.
    pub host: Host<'a>,
    /// The port, if written.
    pub port: Option<u16>,
    /// The URI's parameters.
    pub params: Params<'a>,
    /// What stands behind `?`, as written.
    pub headers: Option<&'a str>,
    text: &'a str,
}

/// The kind of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else; only [`Uri::as_str`] says more.
    Other,
}

/// Why a text is no URI. All of these are the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is no `scheme:`.
    #[error("no scheme")]
    Scheme,
    /// White space, control characters, brackets or quotes inside.
    #[error("a character that no URI may hold")]
    Character,
    /// A `%` without two hexadecimal digits.
    #[error("a broken escape")]
    Escape,
    /// An empty user part, or two `@`.
    #[error("a malformed user part")]
    User,
    /// No host, or one that is neither a name, an IPv4 address nor an IPv6 reference in brackets.
    #[error("a malformed host")]
    Host,
    /// A port that is no number up to 65535.
    #[error("a malformed port")]
    Port,
    /// An empty parameter.
    #[error("malformed parameters")]
    Params,
    /// Headers behind `?`, where none may stand: in a Request-URI.
    #[error("headers, which may not stand there")]
    Headers,
    /// Longer than [`URI_BYTES_MAX`]; over our limit.
    #[error("longer than {URI_BYTES_MAX} bytes")]
    TooLong,
}

impl<'a> Uri<'a> {
    /// Parses a whole URI, without brackets around it.
    pub fn parse(text: &'a str) -> Result<Uri<'a>, UriError> {
        if text.len() > URI_BYTES_MAX {
            return Err(UriError::TooLong);
        }
        if text.bytes().any(|b| b <= b' ' || matches!(b, 0x7f | b'<' | b'>' | b'"')) {
            return Err(UriError::Character);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        match Scheme::parse(scheme).ok_or(UriError::Scheme)? {
            scheme @ (Scheme::Sip | Scheme::Sips) => Uri::parse_sip(scheme, text, rest),
            Scheme::Tel => Uri::parse_tel(text, rest),
            Scheme::Other => Ok(Uri::opaque(Scheme::Other, text)),
        }
    }

    /// The whole URI as written.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether it is a `sip:` or `sips:` URI.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part with its escapes undone once. Escapes that do not make UTF-8 stay as they are.
    pub fn user_unescaped(&self) -> Option<Cow<'a, str>> {
        self.user.map(unescape)
    }

    /// The user part up to its first semicolon: the number of `+4930;phone-context=x`.
    pub fn user_without_params(&self) -> Option<&'a str> {
        self.user.map(|user| user.split_once(';').map_or(user, |split| split.0))
    }

    /// The value of a parameter as written; `Some("")` when it has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.get(name)
    }

    /// The host's address, when it is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.address()
    }

    /// Host and port as they would stand in a URI.
    pub fn host_port(&self) -> String {
        format_host_port(self.host.as_str(), self.port)
    }

    fn parse_sip(scheme: Scheme, text: &'a str, rest: &'a str) -> Result<Uri<'a>, UriError> {
        if !escape::is_well_formed(rest) {
            return Err(UriError::Escape);
        }
        // `@` stands unescaped in no other part, and the user part may hold `;`, `?` and `/`: so it is found first.
        let (user, password, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                (Some(user), password, rest)
            }
            None => (None, None, rest),
        };
        if user == Some("") || rest.contains('@') {
            return Err(UriError::User);
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (host_port, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let (host, port) = split_host_port(host_port)?;
        let params = Params::parse_uri(params).ok_or(UriError::Params)?;
        Ok(Uri { scheme, user, password, host, port, params, headers, text })
    }

    fn parse_tel(text: &'a str, rest: &'a str) -> Result<Uri<'a>, UriError> {
        if !escape::is_well_formed(rest) {
            return Err(UriError::Escape);
        }
        let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        if number.is_empty() || number.contains(['@', '?']) {
            return Err(UriError::User);
        }
        let params = Params::parse_uri(params).ok_or(UriError::Params)?;
        Ok(Uri { user: Some(number), params, ..Uri::opaque(Scheme::Tel, text) })
    }

    fn opaque(scheme: Scheme, text: &'a str) -> Uri<'a> {
        Uri {
            scheme,
            user: None,
            password: None,
            host: Host::default(),
            port: None,
            params: Params::default(),
            headers: None,
            text,
        }
    }
}

impl Scheme {
    /// RFC 3986 §3.1: a letter, then letters, digits, `+`, `-` and `.`.
    fn parse(text: &str) -> Option<Scheme> {
        let legal = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !legal {
            return None;
        }
        let known = [("sip", Scheme::Sip), ("sips", Scheme::Sips), ("tel", Scheme::Tel)];
        let found = known.iter().find(|scheme| scheme.0.eq_ignore_ascii_case(text));
        Some(found.map_or(Scheme::Other, |scheme| scheme.1))
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

#[cfg(test)]
mod tests;
