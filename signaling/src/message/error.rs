//! Why bytes are no message that we take, and the answer that the sender gets.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{HEADERS_MAX, IDENTIFIER_BYTES_MAX, MESSAGE_BYTES_MAX, Salvage};
use crate::builder::Builder;
use crate::header_name::HeaderName;
use crate::name_addr::NameAddrError;
use crate::uri::UriError;
use crate::via::{Via, ViaError};

/// What is wrong with a message. Unless a variant says otherwise the sender broke RFC 3261.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line breaks: a keep-alive (RFC 5626 §3.5.1), no fault at all.
    #[error("a keep-alive")]
    KeepAlive,
    /// No SIP start line: some other protocol, or noise.
    #[error("not SIP")]
    NotSip,
    /// Longer than [`MESSAGE_BYTES_MAX`]; over our limit.
    #[error("longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`HEADERS_MAX`] header lines; over our limit.
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    /// An identifier in this header is longer than [`IDENTIFIER_BYTES_MAX`]; over our limit.
    #[error("an identifier in {0} is longer than {IDENTIFIER_BYTES_MAX} bytes")]
    IdentifierTooLong(HeaderName),
    /// No blank line ends the head.
    #[error("no blank line ends the head")]
    NoBlankLine,
    /// A carriage return or line feed stands alone. Elements disagree on what that means, so nobody gets to guess.
    #[error("a line break that is not CRLF")]
    LineBreak,
    /// The start line does not consist of three words with single spaces between.
    #[error("a malformed start line")]
    StartLine,
    /// A version other than SIP/2.0; unsupported.
    #[error("a version other than SIP/2.0")]
    Version,
    /// A status code that is not between 100 and 699.
    #[error("a status code out of range")]
    Status,
    /// The Request-URI is wrong.
    #[error("the Request-URI has {0}")]
    RequestUri(UriError),
    /// A header line without colon, or with a name that is no token.
    #[error("a malformed header line")]
    HeaderLine,
    /// A header that each message must have is missing.
    #[error("no {0}")]
    Missing(HeaderName),
    /// A header that may stand once stands twice.
    #[error("more than one {0}")]
    Repeated(HeaderName),
    /// A value does not follow its grammar, or is out of range.
    #[error("a malformed {0}")]
    Malformed(HeaderName),
    /// The topmost Via is wrong.
    #[error("a malformed Via: {0}")]
    Via(ViaError),
    /// From or To is wrong.
    #[error("a malformed {0}: {1}")]
    NameAddr(HeaderName, NameAddrError),
    /// CSeq names another method than the request line.
    #[error("CSeq names another method than the request line")]
    MethodMismatch,
    /// Content-Length announces more than is there.
    #[error("the body is shorter than Content-Length says")]
    BodyTruncated,
}

/// A message that is refused, with what could still be read of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{fault}")]
pub struct ParseError {
    fault: Fault,
    salvage: Option<Box<Salvage>>,
}

impl Fault {
    /// The status that tells the sender (RFC 3261 §21.4).
    pub fn status(self) -> u16 {
        match self {
            Fault::Version => 505,
            Fault::TooLong => 513,
            Fault::RequestUri(UriError::TooLong) => 414,
            _ => 400,
        }
    }
}

impl ParseError {
    pub(super) fn new(fault: Fault, head: Option<&[u8]>) -> ParseError {
        ParseError { fault, salvage: head.map(|head| Box::new(Salvage::read(head))) }
    }

    /// What is wrong.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What could be read; `None` where nothing looked like SIP.
    pub fn salvage(&self) -> Option<&Salvage> {
        self.salvage.as_deref()
    }

    /// The topmost Via, when that much is well-formed: it tells the port of the answer (RFC 3261 §18.2.2).
    pub fn top_via(&self) -> Option<Via<'_>> {
        Via::parse(self.salvage()?.vias.first()?).ok()
    }

    /// The response to the refused request, to be sent back to `source`; `to_tag` ends up in To.
    ///
    /// `None` for responses, ACKs, and what has no Via: those get silence (RFC 3261 §8.1.3.3, §17.1.1.3, §18.2.2).
    pub fn answer(&self, source: SocketAddr, to_tag: &str) -> Option<Bytes> {
        let salvage = self.salvage().filter(|salvage| salvage.can_be_answered())?;
        let status = self.fault.status();
        let phrase = match status {
            400 => format!("Bad Request: {}", self.fault),
            other => crate::status::phrase(other).to_owned(),
        };
        let mut response = Builder::response(status, &phrase);
        for (at, via) in salvage.vias.iter().enumerate() {
            match Via::parse(via) {
                Ok(top) if at == 0 => response = response.header(HeaderName::Via, &top.with_source(source)),
                _ => response = response.header(HeaderName::Via, via),
            }
        }
        let to = salvage.to.as_deref().map(|to| super::salvage::with_tag(to, to_tag));
        let rest = [
            (HeaderName::From, salvage.from.as_deref()),
            (HeaderName::To, to.as_deref()),
            (HeaderName::CallId, salvage.call_id.as_deref()),
            (HeaderName::CSeq, salvage.cseq.as_deref()),
        ];
        for (name, value) in rest {
            response = value.into_iter().fold(response, |response, value| response.header(name, value));
        }
        Some(response.finish())
    }
}
