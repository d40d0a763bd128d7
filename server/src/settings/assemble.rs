//! From settings to what the other rooms are started with: the one place where profiles, listeners and media addresses
//! get their numbers.
//!
//! Numbers stay the same over reloads as long as what they name stays the same, so that calls keep their profile and
//! sockets are not bound anew.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use config::Problems;
use engine::{BackEndChoice, MediaSettings};
use link::AddressId;
use signaling::{ListenerId, ListenerSettings, ProfileId, ProfileSettings, Transport};
use switch::{Configuration, Limits};

use super::Settings;
use super::profile::SipProfile;
use crate::cli::MediaBackEnd;

/// Streams that one worker can have at most; its tables are made for them at the start.
const STREAMS_MAX: usize = 65_536;
/// Fewest streams, so that a small `max-sessions` leaves room for calls that are ending.
const STREAMS_MIN: usize = 64;
/// Bound sockets that are kept ready per address and worker, fewest and most. A tenth of a second of new legs, so that
/// none waits for a socket.
const STOCK_MIN: usize = 16;
const STOCK_MAX: usize = 256;
/// What `Retry-After` says to a call that is refused for lack of room (sip.md §3).
const RETRY_AFTER_S: u32 = 300;

/// Numbers that were given, kept over reloads.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    profiles: BTreeMap<String, ProfileId>,
    listeners: BTreeMap<(String, Transport, SocketAddr), ListenerId>,
    /// Addresses the workers were started with; fixed from then on.
    addresses: Option<Vec<IpAddr>>,
    /// The range of ports they were started with.
    ports: Option<(u16, u16)>,
}

/// Everything the other rooms need.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// For `signaling`.
    pub endpoint: Vec<ProfileSettings>,
    /// For `switch`.
    pub configuration: Configuration,
    /// For `engine`; looked at once, at the start.
    pub media: MediaSettings,
}

impl Assembly {
    /// The sockets that are wanted.
    pub fn listeners(&self) -> Vec<(ProfileId, ListenerSettings)> {
        let of = |profile: &ProfileSettings| {
            let id = profile.id;
            profile.listeners.iter().map(move |listener| (id, listener.clone())).collect::<Vec<_>>()
        };
        self.endpoint.iter().flat_map(of).collect()
    }
}

/// Puts the settings together. What takes effect only at the next start is told.
pub fn assemble(settings: &Settings, numbers: &mut Numbers, problems: &mut Problems) -> Assembly {
    let media = media(settings, numbers, problems);
    let mut endpoint = Vec::new();
    let mut profiles = Vec::new();
    for profile in &settings.profiles {
        let id = numbers.profile(&profile.calls.name);
        endpoint.push(endpoint_settings(profile, id, numbers));
        let mut calls = profile.calls.clone();
        calls.id = id;
        calls.media_addresses = media_addresses(profile, &media.addresses, problems);
        profiles.push(calls);
    }
    let mut gateways = Vec::new();
    for (profile, gateway) in &settings.gateways {
        let mut gateway = gateway.clone();
        gateway.profile = numbers.profile(profile);
        gateways.push(gateway);
    }
    let configuration = Configuration {
        profiles,
        gateways,
        dialplan: Arc::clone(&settings.dialplan),
        globals: settings.globals.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        access_lists: settings.access_lists.clone(),
        limits: Limits {
            sessions_max: settings.core.sessions_max,
            sessions_per_second_max: settings.core.sessions_per_second_max,
            retry_after_s: RETRY_AFTER_S,
        },
        time_zone: settings.time_zone.clone(),
    };
    Assembly { endpoint, configuration, media }
}

fn endpoint_settings(profile: &SipProfile, id: ProfileId, numbers: &mut Numbers) -> ProfileSettings {
    let mut endpoint = profile.endpoint.clone();
    endpoint.id = id;
    for listener in &mut endpoint.listeners {
        listener.id = numbers.listener(&profile.calls.name, listener.transport, listener.local);
    }
    endpoint
}

fn media(settings: &Settings, numbers: &mut Numbers, problems: &mut Problems) -> MediaSettings {
    let mut wanted: Vec<IpAddr> = Vec::new();
    for address in settings.profiles.iter().flat_map(|profile| &profile.media_addresses) {
        if !wanted.contains(address) {
            wanted.push(*address);
        }
    }
    let addresses = numbers.addresses.get_or_insert(wanted.clone()).clone();
    for late in wanted.iter().filter(|address| !addresses.contains(address)) {
        problems.warning(None, format!("the media address {late} is used from the next start on"));
    }
    let core = &settings.core;
    let wanted_ports = (core.rtp_port_start, core.rtp_port_end);
    let (port_start, port_end) = *numbers.ports.get_or_insert(wanted_ports);
    if wanted_ports != (port_start, port_end) {
        let (start, end) = wanted_ports;
        problems.warning(None, format!("RTP ports {start} to {end} are used from the next start on"));
    }
    // Of both legs of a call, one stream each; all may come to lie on one worker.
    let streams = (core.sessions_max as usize).min(core.rtp_ports() as usize * addresses.len().max(1));
    MediaSettings {
        port_start,
        port_end,
        workers: core.workers.map(usize::from),
        back_end: match core.media_back_end {
            MediaBackEnd::Auto => BackEndChoice::Auto,
            MediaBackEnd::IoUring => BackEndChoice::IoUring,
            MediaBackEnd::Mmsg => BackEndChoice::Mmsg,
        },
        streams_max: streams.clamp(STREAMS_MIN, STREAMS_MAX),
        stock_per_address: (core.sessions_per_second_max as usize / 5).clamp(STOCK_MIN, STOCK_MAX),
        addresses,
        ..MediaSettings::default()
    }
}

/// The numbers of a profile's media addresses. One whose addresses are all unknown to the workers has none, and its calls
/// fail for want of a port.
fn media_addresses(profile: &SipProfile, known: &[IpAddr], problems: &mut Problems) -> Vec<AddressId> {
    let number = |address: &IpAddr| known.iter().position(|other| other == address);
    let found: Vec<AddressId> =
        profile.media_addresses.iter().filter_map(number).map(|at| AddressId(at as u16)).collect();
    if found.is_empty() {
        let what =
            format!("profile `{}` has no media address: calls with audio fail on it", profile.calls.name);
        problems.warning(profile.place.clone(), what);
    }
    found
}

impl Numbers {
    fn profile(&mut self, name: &str) -> ProfileId {
        let next = ProfileId(self.profiles.len() as u16);
        *self.profiles.entry(name.to_ascii_lowercase()).or_insert(next)
    }

    fn listener(&mut self, profile: &str, transport: Transport, local: SocketAddr) -> ListenerId {
        let next = ListenerId(self.listeners.len() as u32);
        *self.listeners.entry((profile.to_ascii_lowercase(), transport, local)).or_insert(next)
    }
}
