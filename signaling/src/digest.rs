//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): MD5 and SHA-256, `qop=auth` or none.
//!
//! ```text
//!   WWW-Authenticate ──▶ Challenge ──answer()──▶ Credentials ──▶ Authorization      (we are challenged)
//!   Authorization ──▶ Credentials ──verify()──▶ right or wrong                      (we challenge)
//! ```
//!
//! Nonces are the caller's: he makes, remembers and ages them, and watches that `nc` rises. Session variants
//! (`MD5-sess`) and `auth-int` are refused; no trunk asks for them alone.

use core::fmt;

use crate::text::{is_token, quote};

mod fields;
mod hash;

use fields::{Fields, fields};
pub use hash::Algorithm;

/// Longest header value that is looked at. Real ones have some 300 bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// What a server asks for: the value of WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where the user name is known.
    pub realm: String,
    /// The server's token.
    pub nonce: String,
    /// To be repeated as it is.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is offered; otherwise the old form of RFC 2069 is meant.
    pub qop_auth: bool,
    /// The nonce was too old, the password may be right.
    pub stale: bool,
}

/// What a client proves: the value of Authorization or Proxy-Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// The challenge's realm.
    pub realm: String,
    /// The challenge's nonce.
    pub nonce: String,
    /// The Request-URI as the client hashed it.
    pub uri: String,
    /// The proof, in hexadecimal.
    pub response: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// The challenge's opaque.
    pub opaque: Option<String>,
    /// Client nonce and count, if the proof is of `qop=auth`.
    pub qop_auth: Option<Counted>,
}

/// What `qop=auth` adds to a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The client's token.
    pub cnonce: String,
    /// How many requests were proved with this nonce, this one included.
    pub nc: u32,
}

/// Whom we prove to be, or whom the other side should be.
#[derive(Clone, Copy)]
pub struct Secret<'a> {
    /// The user name.
    pub username: &'a str,
    /// The password, or what was stored instead.
    pub key: Key<'a>,
}

/// A password in one of the two forms in which it is stored.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// The password itself.
    Password(&'a str),
    /// Hexadecimal hash of `user:realm:password`, made with the algorithm in use.
    Ha1(&'a str),
}

/// Why a value proves or asks nothing. Unless a variant says otherwise the sender broke RFC 7616.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Another scheme than Digest; to be treated as if the header were not there (RFC 4475 §3.3.7). Unsupported.
    #[error("not the Digest scheme")]
    Scheme,
    /// Longer than [`VALUE_BYTES_MAX`]; over our limit.
    #[error("longer than {VALUE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a list of `name=value`.
    #[error("a malformed parameter")]
    Parameter,
    /// A parameter stands twice.
    #[error("a repeated parameter")]
    Repeated,
    /// A parameter that must be there is missing or empty.
    #[error("no {0}")]
    Missing(&'static str),
    /// A value is not what it should be: `nc` of eight digits, for example.
    #[error("a malformed {0}")]
    Malformed(&'static str),
    /// An algorithm that we do not have; unsupported.
    #[error("an unsupported algorithm")]
    Algorithm,
    /// Only `auth-int` is offered, or another quality used; unsupported.
    #[error("an unsupported quality of protection")]
    Qop,
}

impl Challenge {
    /// Parses one header value.
    pub fn parse(value: &str) -> Result<Challenge, DigestError> {
        let f = fields(value)?;
        let qop = f.get("qop");
        let offered = |qop: &str| qop.split(',').any(|one| one.trim_ascii().eq_ignore_ascii_case("auth"));
        if qop.is_some_and(|qop| !offered(qop)) {
            return Err(DigestError::Qop);
        }
        Ok(Challenge {
            // An empty realm is odd and legal: it is a quoted string.
            realm: f.get("realm").ok_or(DigestError::Missing("realm"))?.to_owned(),
            nonce: f.required("nonce")?,
            opaque: f.get("opaque").map(str::to_owned),
            algorithm: f.algorithm()?,
            qop_auth: qop.is_some(),
            stale: f.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The first of several challenges that we can answer: servers list the one they prefer first (RFC 8760 §2.4).
    pub fn choose<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Challenge, DigestError> {
        let mut first_error = None;
        for value in values {
            match Challenge::parse(value) {
                Ok(challenge) => return Ok(challenge),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(DigestError::Missing("challenge")))
    }

    /// The proof for a request. `nc` counts the requests proved with this nonce from 1; `cnonce` is random text of
    /// the caller's making. Both are left out where the challenge offers no `qop`.
    pub fn answer(&self, secret: Secret<'_>, method: &str, uri: &str, nc: u32, cnonce: &str) -> Credentials {
        let mut credentials = Credentials {
            username: secret.username.to_owned(),
            realm: self.realm.clone(),
            nonce: self.nonce.clone(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm: self.algorithm,
            opaque: self.opaque.clone(),
            qop_auth: self.qop_auth.then(|| Counted { cnonce: cnonce.to_owned(), nc }),
        };
        credentials.response = credentials.proof(secret.key, method);
        credentials
    }
}

impl Credentials {
    /// Parses one header value.
    pub fn parse(value: &str) -> Result<Credentials, DigestError> {
        let f = fields(value)?;
        Ok(Credentials {
            username: f.required("username")?,
            realm: f.get("realm").ok_or(DigestError::Missing("realm"))?.to_owned(),
            nonce: f.required("nonce")?,
            uri: f.required("uri")?,
            response: f.required("response")?,
            algorithm: f.algorithm()?,
            opaque: f.get("opaque").map(str::to_owned),
            qop_auth: counted(&f)?,
        })
    }

    /// Whether the proof is right for a request of `method`. Time does not tell how much of it was.
    ///
    /// The caller checks that nonce and realm are his, that `nc` rose, and that [`Credentials::uri`] is the
    /// Request-URI.
    pub fn verify(&self, secret: Secret<'_>, method: &str) -> bool {
        let proof = self.proof(secret.key, method);
        let right = is_equal(proof.as_bytes(), self.response.to_ascii_lowercase().as_bytes());
        right & is_equal(secret.username.as_bytes(), self.username.as_bytes())
    }

    fn proof(&self, key: Key<'_>, method: &str) -> String {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let ha1 = match key {
            Key::Password(password) => hash(&[&self.username, &self.realm, password]),
            Key::Ha1(ha1) => ha1.to_ascii_lowercase(),
        };
        let ha2 = hash(&[method, &self.uri]);
        match &self.qop_auth {
            Some(counted) => {
                hash(&[&ha1, &self.nonce, &format!("{:08x}", counted.nc), &counted.cnonce, "auth", &ha2])
            }
            None => hash(&[&ha1, &self.nonce, &ha2]),
        }
    }
}

/// `nc` and `cnonce` stand with `qop`, and only there.
fn counted(f: &Fields) -> Result<Option<Counted>, DigestError> {
    match f.get("qop") {
        None => Ok(None),
        Some(qop) if qop.eq_ignore_ascii_case("auth") => {
            let nc = f.required("nc")?;
            let digits = nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit());
            let nc = digits.then(|| u32::from_str_radix(&nc, 16).ok()).flatten();
            let nc = nc.ok_or(DigestError::Malformed("nc"))?;
            Ok(Some(Counted { cnonce: f.required("cnonce")?, nc }))
        }
        Some(_) => Err(DigestError::Qop),
    }
}

/// Compares in a time that depends on the lengths only.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}

impl fmt::Display for Challenge {
    /// The header value; `stale` stands only when true.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quote(&self.realm), quote(&self.nonce))?;
        self.opaque.as_ref().map_or(Ok(()), |opaque| write!(f, ", opaque={}", quote(opaque)))?;
        write!(f, ", algorithm={}", self.algorithm)?;
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if self.qop_auth { f.write_str(", qop=\"auth\"") } else { Ok(()) }
    }
}

impl fmt::Display for Credentials {
    /// The header value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username={}, realm={}", quote(&self.username), quote(&self.realm))?;
        write!(f, ", nonce={}, uri={}", quote(&self.nonce), quote(&self.uri))?;
        write!(f, ", response={}, algorithm={}", quote(&self.response), self.algorithm)?;
        self.opaque.as_ref().map_or(Ok(()), |opaque| write!(f, ", opaque={}", quote(opaque)))?;
        match &self.qop_auth {
            Some(counted) => {
                write!(f, ", qop=auth, cnonce={}, nc={:08x}", quote(&counted.cnonce), counted.nc)
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Secret<'_> {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Whether `value` begins with that scheme.
fn has_scheme(value: &str) -> bool {
    value
        .split([' ', '\t'])
        .next()
        .is_some_and(|scheme| is_token(scheme) && scheme.eq_ignore_ascii_case("Digest"))
}

#[cfg(test)]
mod tests;
