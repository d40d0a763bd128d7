//! A call comes in: admission, access, and the channel made of the INVITE (`sip.md` §3, §9.1, §10).

use std::net::IpAddr;

use dialplan::Text;
use signaling::{HeaderName, LegId, Message, NameAddr, Reply, Source};

use crate::admission::Refused;
use crate::channel::{Birth, Channel, SipLeg};
use crate::core::Core;
use crate::media::Media;
use crate::settings::{Gateway, Profile};
use crate::story::Beginning;
use crate::{CallerProfile, ChannelId, Uuid, Variables, headers};

/// Hops a request may make when it says nothing (RFC 3261 §8.1.1.6).
pub(crate) const MAX_FORWARDS_DEFAULT: u8 = 70;

/// Who may call, and into which context.
enum Access {
    Granted { context: Option<String> },
    Challenged,
    Refused,
}

impl Core {
    /// Makes a channel of an INVITE, or refuses it.
    pub(crate) fn take_invite(&mut self, leg: LegId, source: Source, request: Message) {
        let configuration = self.configuration.clone();
        let Some(profile) = configuration.profile(source.profile) else {
            return self.refuse(leg, 503, None);
        };
        if let Err(why) = self.admission.admit(self.now.tick, self.channels.len(), &configuration.limits) {
            *match why {
                Refused::Draining => &mut self.counters.refused_draining,
                Refused::SessionsMax => &mut self.counters.refused_sessions_max,
                Refused::SessionsPerSecond => &mut self.counters.refused_sessions_per_second,
            } += 1;
            return self.refuse(leg, 503, Some(configuration.limits.retry_after_s));
        }
        let context = match self.access(profile, source.address.ip()) {
            Access::Granted { context } => context,
            Access::Challenged if self.authorized(profile, &request) => None,
            Access::Challenged => return self.challenge(leg, profile),
            Access::Refused => {
                self.counters.refused_access += 1;
                return self.refuse(leg, 403, None);
            }
        };
        let channel = self.inbound_channel(leg, source, request, profile, context);
        let id = channel.id;
        self.enter(channel, Beginning::Inbound);
        self.take_offer_of_invite(id);
    }

    fn refuse(&mut self, leg: LegId, status: u16, retry_after_s: Option<u32>) {
        let mut headers = Vec::new();
        headers.extend(retry_after_s.map(|seconds| ("Retry-After".to_owned(), seconds.to_string())));
        let phrase = (status == 503).then(|| "Maximum Calls In Progress".to_owned());
        self.endpoint.refuse(self.now, leg, Reply { status, phrase, headers, body: None });
    }

    /// `apply-inbound-acl` and `auth-calls`: the table of `sip.md` §3.
    fn access(&self, profile: &Profile, address: IpAddr) -> Access {
        if profile.inbound_access.is_empty() {
            return if profile.authenticate_calls {
                Access::Challenged
            } else {
                Access::Granted { context: None }
            };
        }
        let matching = profile.inbound_access.iter().find(|rule| self.list_allows(&rule.list, address));
        if let Some(rule) = matching {
            return Access::Granted { context: rule.context_pass.clone() };
        }
        if profile.authenticate_calls {
            return Access::Challenged;
        }
        match profile.inbound_access.iter().find_map(|rule| rule.context_fail.clone()) {
            Some(context) => Access::Granted { context: Some(context) },
            None => Access::Refused,
        }
    }

    pub(crate) fn list_allows(&self, list: &str, address: IpAddr) -> bool {
        if let Some(list) = self.configuration.access_lists.get(list) {
            return list.allows(address);
        }
        crate::acl::AccessNode::parse(list, true).is_some_and(|node| node.holds(address))
    }

    fn inbound_channel(
        &mut self,
        leg: LegId,
        source: Source,
        request: Message,
        profile: &Profile,
        access_context: Option<String>,
    ) -> Channel {
        let id = self.next_channel_id();
        let uuid = self.random.uuid();
        let configuration = self.configuration.clone();
        let gateway = gateway_of(&request, &configuration.gateways, profile);
        let mut variables = Variables::default();
        inbound_variables(&mut variables, &request, &source, profile);
        headers::learn(&mut variables, &request, "sip_h_");
        let mut caller = caller_profile(&request, &source, profile, &mut variables);
        if let Some(gateway) = gateway {
            enter_by_gateway(gateway, &request, &mut caller, &mut variables);
        }
        if let Some(context) = access_context {
            caller.context = Text::trusted(context);
        }
        variables.set("user_context", caller.context.clone());
        let number = caller.caller_id_number.as_str();
        let name = format!("sofia/{}/{}@{}", profile.name, number, source.address.ip());
        variables.set_str("call_uuid", uuid.as_str());
        variables.set_str("session_id", id.0.to_string());
        let mut channel = Channel::new(Birth {
            id,
            uuid,
            inbound: true,
            name,
            profile: caller,
            variables,
            media: Media::for_inbound(profile),
            dialplan: configuration.dialplan.clone(),
            max_forwards: request.max_forwards().unwrap_or(MAX_FORWARDS_DEFAULT),
            now: self.now.wall,
        });
        channel.sip = Some(SipLeg {
            leg,
            profile: profile.id,
            over: false,
            invite: Some(request),
            source: Some(source),
            offered_in_2xx: false,
        });
        channel
    }

    /// Early negotiation: an offer that we cannot meet ends the call before the dialplan sees it.
    fn take_offer_of_invite(&mut self, id: ChannelId) {
        if let Err(cause) = self.take_offer(id) {
            self.hangup(id, cause);
        }
    }
}

/// The gateway an inbound request belongs to: `gw+NAME` as user of the Request-URI, or its `gw` parameter.
fn gateway_of<'a>(request: &Message, gateways: &'a [Gateway], profile: &Profile) -> Option<&'a Gateway> {
    let uri = signaling::Uri::parse(request.request_uri()).ok()?;
    let by_user = uri.user.and_then(|user| user.strip_prefix("gw+").map(str::to_owned));
    let name = by_user.or_else(|| uri.param("gw").map(str::to_owned))?;
    gateways.iter().find(|gateway| gateway.name == name && gateway.profile == profile.id)
}

fn enter_by_gateway(
    gateway: &Gateway,
    request: &Message,
    caller: &mut CallerProfile,
    variables: &mut Variables,
) {
    variables.set_str("sip_gateway", gateway.name.as_str());
    match gateway.extension.as_deref() {
        Some("auto_to_user") => {
            caller.destination_number = Text::network(user_of(&request.to()));
        }
        Some("auto") | None => {}
        Some(extension) => caller.destination_number = Text::trusted(extension),
    }
    if let Some(context) = &gateway.context {
        caller.context = Text::trusted(context.as_str());
    }
    for (name, value) in &gateway.inbound_variables {
        variables.set_str(name, value.as_str());
    }
}

fn caller_profile(
    request: &Message,
    source: &Source,
    profile: &Profile,
    variables: &mut Variables,
) -> CallerProfile {
    let identity = headers::caller_identity(request);
    if let Some(kind) = identity.kind {
        variables.set_str("sip_cid_type", kind);
    }
    let destination = signaling::Uri::parse(request.request_uri())
        .ok()
        .and_then(|uri| uri.user_unescaped())
        .unwrap_or_default()
        .into_owned();
    let number = Text::network(identity.number);
    CallerProfile {
        username: number.clone(),
        dialplan: Text::trusted(profile.dialplan.as_str()),
        caller_id_name: Text::network(identity.name),
        ani: number.clone(),
        caller_id_number: number,
        network_addr: Text::trusted(source.address.ip().to_string()),
        destination_number: Text::network(destination),
        source: Text::trusted("mod_sofia"),
        context: Text::trusted(profile.context.as_str()),
        privacy_hide_name: identity.hide_name,
        privacy_hide_number: identity.hide_number,
        screen: identity.screen,
        ..CallerProfile::default()
    }
}

fn inbound_variables(variables: &mut Variables, request: &Message, source: &Source, profile: &Profile) {
    let mut network = |name: &str, value: &str| variables.set(name, Text::network(value));
    network("sip_call_id", request.call_id());
    network("sip_full_from", request.header(HeaderName::From).unwrap_or_default());
    network("sip_full_to", request.header(HeaderName::To).unwrap_or_default());
    network("sip_from_display", &request.from().display_name());
    network("sip_from_tag", request.from().tag().unwrap_or_default());
    for (prefix, party) in [("sip_from", request.from()), ("sip_to", request.to())] {
        network(&format!("{prefix}_user"), &user_of(&party));
        network(&format!("{prefix}_uri"), party.uri.as_str().trim_start_matches("sip:"));
        network(&format!("{prefix}_host"), party.uri.host.as_str());
    }
    network("sip_req_uri", request.request_uri());
    if let Ok(uri) = signaling::Uri::parse(request.request_uri()) {
        network("sip_req_user", uri.user.unwrap_or_default());
        network("sip_req_host", uri.host.as_str());
    }
    if let Some(Ok(contact)) = request.contacts().next() {
        network("sip_contact_uri", contact.uri.as_str().trim_start_matches("sip:"));
        network("sip_contact_user", &user_of(&contact));
        network("sip_contact_host", contact.uri.host.as_str());
    }
    for (name, header) in [
        ("sip_user_agent", HeaderName::UserAgent),
        ("sip_subject", HeaderName::Subject),
        ("sip_P-Asserted-Identity", HeaderName::PAssertedIdentity),
        ("sip_Remote-Party-ID", HeaderName::RemotePartyId),
        ("sip_Privacy", HeaderName::Privacy),
        ("sip_history_info", HeaderName::HistoryInfo),
    ] {
        if let Some(value) = request.header(header) {
            network(name, value);
        }
    }
    let address = source.address;
    for prefix in ["sip_received", "sip_network"] {
        variables.set_str(&format!("{prefix}_ip"), address.ip().to_string());
        variables.set_str(&format!("{prefix}_port"), address.port().to_string());
    }
    variables.set_str("sip_via_protocol", source.transport.uri_name());
    variables.set_str("sofia_profile_name", profile.name.as_str());
    variables.set_str("endpoint_disposition", "RECEIVED");
    if let Some(max_forwards) = request.max_forwards() {
        variables.set_str("max_forwards", max_forwards.to_string());
    }
}

/// The user part of a name-addr, percent-decoded.
fn user_of(address: &NameAddr<'_>) -> String {
    address.uri.user_unescaped().unwrap_or_default().into_owned()
}

impl Core {
    /// The SIP profile of a channel.
    pub(crate) fn sip_profile(&self, id: ChannelId) -> Option<&Profile> {
        self.configuration.profile(self.channels.get(&id)?.profile_id()?)
    }

    /// The channel of a name.
    pub(crate) fn find_uuid(&self, uuid: &str) -> Option<ChannelId> {
        self.by_uuid.get(&Uuid::from_text(uuid)).copied()
    }
}
