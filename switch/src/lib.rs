//! What a back-to-back user agent decides: channels, applications, originate, bridge, media plans.
//!
//! No sockets, no clock, no threads: the shell tells the time and moves the bytes. A call's way through this room:
//! `inbound` makes a channel of an INVITE, `stories` hunts and executes, `apps` does what the dialplan says,
//! `originate` calls other legs through `endpoints`, `bridge` joins them, `negotiation` and `media` decide on
//! codecs and bodies, `media_plan` tells the workers, `hangup` and `record` end it.

#![forbid(unsafe_code)]

mod acl;
mod admission;
mod api;
mod apps;
mod ask;
mod auth;
mod bridge;
mod call;
mod cause;
mod channel;
mod core;
mod counters;
mod desk;
mod endpoints;
mod event;
mod hangup;
mod headers;
mod ids;
mod inbound;
mod learn;
mod media;
mod media_plan;
mod negotiation;
mod origin;
mod originate;
mod profile;
mod progress;
mod random;
mod record;
mod relay;
mod reports;
mod scope;
mod settings;
mod signals;
mod stories;
mod story;
mod switch;
#[cfg(test)]
mod testing;
mod transfer;
mod variables;

pub use acl::{AccessList, AccessNode};
pub use apps::names as application_names;
pub use ask::{Answer, Ask, Request, RequestRefused};
pub use cause::{Cause, parse_list};
pub use counters::Counters;
pub use endpoints::kinds as endpoint_kinds;
pub use event::{Event, EventKind, LogLevel, Record};
pub use ids::{AskId, BridgeId, ChannelId, Uuid};
pub use profile::CallerProfile;
pub use settings::{
    AccessRule, CallerIdType, CodecNegotiation, CodecPreference, Configuration, Gateway, GatewayCredentials,
    Limits, Profile,
};
pub use switch::{Census, Switch};
pub use variables::Variables;
