//! SIP and SDP without sockets: messages, transactions, dialogs, the endpoint.
//!
//! The lower half reads and writes text and knows no state: [`message`] with its parts ([`header_name`], [`uri`],
//! [`name_addr`], [`via`], [`reason`]), [`builder`], [`framing`] of TCP streams, [`sdp`] and [`digest`].
//!
//! The upper half knows state and no text: the four machines of [`transaction`], the [`dialog`], a session for each INVITE,
//! and the [`endpoint`], which wires them to octets below and to decisions above.

#![forbid(unsafe_code)]

pub mod builder;
pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod framing;
pub mod header_name;
pub mod message;
pub mod method;
pub mod name_addr;
pub mod params;
pub mod random;
pub mod reason;
pub mod sdp;
mod session;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod transaction;
pub mod uri;
pub mod via;

pub use builder::Builder;
pub use endpoint::{
    Account, Advertised, Body, Census, ConnectionId, Counters, Endpoint, Event, FailureOrigin, Hangup,
    Invite, InviteError, LegId, Limits, ListenerId, ListenerSettings, ProfileId, ProfileSettings, QueryId,
    Reply, RequestError, RequestId, Source, Transmit, Transport,
};
pub use framing::{FramingError, StreamFramer};
pub use header_name::HeaderName;
pub use message::{Message, ParseError};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use uri::{Scheme, Uri};
pub use via::Via;
