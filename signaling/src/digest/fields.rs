//! The parameters of a Digest value: `name=value`, comma-separated, values tokens or quoted strings.

use std::borrow::Cow;

use super::{Algorithm, DigestError, VALUE_BYTES_MAX, has_scheme};
use crate::text::{LWS, is_token, quoted_end, split_list, trim, unquote};

/// The parameters that mean something to us. Others are read and left out.
const KNOWN: [&str; 12] = [
    "algorithm",
    "cnonce",
    "nc",
    "nonce",
    "opaque",
    "qop",
    "realm",
    "response",
    "stale",
    "uri",
    "username",
    "domain",
];

/// Parameters by their place in [`KNOWN`].
#[derive(Default)]
pub(super) struct Fields<'a>([Option<Cow<'a, str>>; KNOWN.len()]);

pub(super) fn fields(value: &str) -> Result<Fields<'_>, DigestError> {
    let value = trim(value);
    if value.len() > VALUE_BYTES_MAX {
        return Err(DigestError::TooLong);
    }
    if !has_scheme(value) {
        return Err(DigestError::Scheme);
    }
    let mut fields = Fields::default();
    for entry in split_list(value.split_once(LWS).map_or("", |split| split.1)) {
        let (name, value) = entry.split_once('=').ok_or(DigestError::Parameter)?;
        let (name, value) = (trim(name), trim(value));
        let quoted = quoted_end(value) == Some(value.len());
        // Lenient: some write URIs and base64 without quotes.
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if !is_token(name) || !(quoted || plain) {
            return Err(DigestError::Parameter);
        }
        if let Some(at) = KNOWN.iter().position(|known| known.eq_ignore_ascii_case(name))
            && fields.0[at].replace(unquote(value)).is_some()
        {
            return Err(DigestError::Repeated);
        }
    }
    Ok(fields)
}

impl Fields<'_> {
    /// The value of a known parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let at = KNOWN.iter().position(|known| *known == name)?;
        self.0[at].as_deref()
    }

    /// A parameter that must be there and not be empty.
    pub(super) fn required(&self, name: &'static str) -> Result<String, DigestError> {
        self.get(name).filter(|value| !value.is_empty()).map(str::to_owned).ok_or(DigestError::Missing(name))
    }

    /// MD5 when nothing is said (RFC 7616 §3.3).
    pub(super) fn algorithm(&self) -> Result<Algorithm, DigestError> {
        self.get("algorithm")
            .map_or(Ok(Algorithm::Md5), |name| Algorithm::parse(name).ok_or(DigestError::Algorithm))
    }
}
