//! What the switch must know of the configuration: plain values, filled by the server's `settings/`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use codecs::AudioCodec;
use dialplan::Dialplan;
use link::AddressId;
use signaling::{ProfileId, Transport};

use crate::acl::AccessList;

/// Everything a call is decided with. Replaced whole on reload; a running call keeps the dialplan it hunted with.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// SIP profiles, found by [`Profile::id`], name or alias.
    pub profiles: Vec<Profile>,
    /// Gateways of all profiles.
    pub gateways: Vec<Gateway>,
    /// The compiled dialplan.
    pub dialplan: Arc<Dialplan>,
    /// Global variables.
    pub globals: BTreeMap<String, String>,
    /// Access lists by name.
    pub access_lists: BTreeMap<String, AccessList>,
    /// How many calls are taken.
    pub limits: Limits,
    /// Zone of stamps in records, as a fixed name or POSIX rule; `None` is UTC.
    pub time_zone: Option<String>,
}

/// Admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Channels, both legs of a call counted.
    pub sessions_max: u32,
    /// New inbound calls per second.
    pub sessions_per_second_max: u32,
    /// What `Retry-After` says when a call is refused for lack of room, in seconds.
    pub retry_after_s: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { sessions_max: 1_000, sessions_per_second_max: 30, retry_after_s: 300 }
    }
}

/// A SIP profile, as far as calls are concerned; sockets and timers are `signaling`'s.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its number in `signaling`.
    pub id: ProfileId,
    /// Its name.
    pub name: String,
    /// Other names of it in dial strings.
    pub aliases: Vec<String>,
    /// Context of its inbound calls.
    pub context: String,
    /// Dialplans of its inbound calls.
    pub dialplan: String,
    /// Host part of our From towards peers.
    pub host: String,
    /// User name in `o=` and `s=` of our SDP.
    pub sdp_username: String,
    /// Media addresses, used in turn.
    pub media_addresses: Vec<AddressId>,
    /// What SDP says instead of the socket's own address.
    pub media_advertised: Option<IpAddr>,
    /// Our preferences when answering.
    pub inbound_codecs: Vec<CodecPreference>,
    /// Our preferences when offering.
    pub outbound_codecs: Vec<CodecPreference>,
    /// Whose order wins.
    pub codec_negotiation: CodecNegotiation,
    /// SDP is matched when media is first needed, not when the INVITE arrives.
    pub late_negotiation: bool,
    /// Inbound calls begin in bypass mode.
    pub bypass_media: bool,
    /// Inbound calls begin in proxy mode.
    pub proxy_media: bool,
    /// Early media goes to the caller as 180 instead of 183.
    pub early_use_180: bool,
    /// A 183 without SDP is no ring.
    pub ignore_183_without_sdp: bool,
    /// How the caller is told to the far end.
    pub caller_id_type: CallerIdType,
    /// RTP payload type of telephone-events in our offers.
    pub telephone_event_payload_type: u8,
    /// No comfort noise in SDP.
    pub suppress_comfort_noise: bool,
    /// Source learning.
    pub media_learning: bool,
    /// Hang up after so much silence, in milliseconds; 0: never.
    pub media_timeout_ms: u32,
    /// The same while on hold.
    pub media_hold_timeout_ms: u32,
    /// RTCP is relayed between the legs.
    pub rtcp_passthrough: bool,
    /// Calls from sources outside these lists are refused or challenged.
    pub inbound_access: Vec<AccessRule>,
    /// Inbound calls must authenticate.
    pub authenticate_calls: bool,
    /// Whom to send every request to, whatever its target.
    pub outbound_proxy: Option<String>,
    /// Follow hold (`sendonly`, `inactive`) to the other leg.
    pub proxy_hold: bool,
    /// Direction attributes of the peer are not looked at.
    pub disable_hold: bool,
}

impl Profile {
    /// A profile with the reference's code defaults.
    pub fn new(id: ProfileId, name: &str, host: &str) -> Profile {
        Profile {
            id,
            name: name.to_owned(),
            aliases: Vec::new(),
            context: "default".to_owned(),
            dialplan: "XML".to_owned(),
            host: host.to_owned(),
            sdp_username: "Crosspoint".to_owned(),
            media_addresses: vec![AddressId(0)],
            media_advertised: None,
            inbound_codecs: CodecPreference::defaults(),
            outbound_codecs: CodecPreference::defaults(),
            codec_negotiation: CodecNegotiation::Generous,
            late_negotiation: false,
            bypass_media: false,
            proxy_media: false,
            early_use_180: false,
            ignore_183_without_sdp: false,
            caller_id_type: CallerIdType::Rpid,
            telephone_event_payload_type: 101,
            suppress_comfort_noise: false,
            media_learning: true,
            media_timeout_ms: 0,
            media_hold_timeout_ms: 0,
            rtcp_passthrough: false,
            inbound_access: Vec::new(),
            authenticate_calls: false,
            outbound_proxy: None,
            proxy_hold: false,
            disable_hold: false,
        }
    }

    /// Whether `name` means this profile in a dial string.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// `apply-inbound-acl = LIST[:CONTEXT_PASS[:CONTEXT_FAIL]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Name of the list, or a network.
    pub list: String,
    /// Context of calls that match.
    pub context_pass: Option<String>,
    /// Context of calls that do not.
    pub context_fail: Option<String>,
}

/// One of our codecs, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecPreference {
    /// Which.
    pub codec: AudioCodec,
    /// Audio per packet, where the configuration names it.
    pub ptime_ms: Option<u8>,
}

impl CodecPreference {
    /// What a profile has that names none.
    pub fn defaults() -> Vec<CodecPreference> {
        [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::Speex]
            .into_iter()
            .map(|codec| CodecPreference { codec, ptime_ms: None })
            .collect()
    }

    /// Reads `[module.]NAME[@rate h][@ptime i]…,…`; unknown names are given back.
    pub fn parse_list(text: &str) -> (Vec<CodecPreference>, Vec<String>) {
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for item in text.trim_start_matches('=').split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let item = item.split('~').next().unwrap_or(item);
            let mut parts = item.split('@');
            let full = parts.next().unwrap_or_default();
            let name = full.rsplit('.').next().unwrap_or(full);
            let ptime_ms = parts.find_map(|part| part.strip_suffix('i').and_then(|n| n.parse().ok()));
            match AudioCodec::from_name(name) {
                Some(codec) => known.push(CodecPreference { codec, ptime_ms }),
                None => unknown.push(name.to_owned()),
            }
        }
        (known, unknown)
    }
}

/// `inbound-codec-negotiation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecNegotiation {
    /// The caller's order.
    Generous,
    /// Our order.
    Greedy,
    /// Our order, and a packet time that differs is no obstacle.
    Scrooge,
}

/// `caller-id-type` and `sip_cid_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerIdType {
    /// Remote-Party-ID.
    Rpid,
    /// P-Asserted-Identity or P-Preferred-Identity with Privacy (RFC 3325).
    Pid,
    /// Nothing but From.
    None,
}

impl CallerIdType {
    /// Reads the word; any unknown one means none.
    pub fn parse(text: &str) -> CallerIdType {
        match text.to_ascii_lowercase().as_str() {
            "rpid" => CallerIdType::Rpid,
            "pid" => CallerIdType::Pid,
            _ => CallerIdType::None,
        }
    }
}

/// A gateway: a peer with a name.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its name, unique over all profiles.
    pub name: String,
    /// The profile it belongs to.
    pub profile: ProfileId,
    /// Host, and port where not 5060, that calls go to.
    pub proxy: String,
    /// A next hop that differs from `proxy`.
    pub outbound_proxy: Option<String>,
    /// Transport of everything of this gateway.
    pub transport: Transport,
    /// User part of From.
    pub from_user: String,
    /// Host part of From.
    pub from_domain: String,
    /// The caller's number takes the place of `from_user`.
    pub caller_id_in_from: bool,
    /// Digest user and password, where it has them.
    pub credentials: Option<GatewayCredentials>,
    /// It must register before it can be used, which is not there yet: it is down.
    pub register: bool,
    /// Number put in front of what is dialled.
    pub destination_prefix: String,
    /// Destination number of inbound calls over it.
    pub extension: Option<String>,
    /// Context of inbound calls over it.
    pub context: Option<String>,
    /// Parameters appended to our Contact.
    pub contact_params: String,
    /// Variables set on calls that it sends us.
    pub inbound_variables: Vec<(String, String)>,
    /// Variables set on calls that we send it.
    pub outbound_variables: Vec<(String, String)>,
}

/// Digest credentials of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayCredentials {
    /// Digest user name.
    pub username: String,
    /// Password in clear, as the configuration has it.
    pub password: String,
    /// The realm it belongs to, if the configuration names one: then a challenge of another realm gets no answer.
    pub realm: Option<String>,
}

impl Configuration {
    /// The profile of a number.
    pub fn profile(&self, id: ProfileId) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// The profile that a dial string calls `name`.
    pub fn profile_named(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.is_called(name))
    }

    /// The gateway of a name.
    pub fn gateway(&self, name: &str) -> Option<&Gateway> {
        self.gateways.iter().find(|gateway| gateway.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_lists_name_modules_rates_and_packet_times_and_give_back_what_is_unknown() {
        let (known, unknown) =
            CodecPreference::parse_list("=mod_x.PCMA@8000h@30i,opus@48000h~useinbandfec=1, VP8");
        assert_eq!(
            known,
            [
                CodecPreference { codec: AudioCodec::Pcma, ptime_ms: Some(30) },
                CodecPreference { codec: AudioCodec::Opus, ptime_ms: None },
            ]
        );
        assert_eq!(unknown, ["VP8"]);
    }
}
