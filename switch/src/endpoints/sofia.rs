//! `sofia/PROFILE/user@host[:port][;params][^to]` and `sofia/gateway/NAME/number` (`bridge.md` §15).

use dialplan::{Leg, Text};
use signaling::uri::encode_user;
use signaling::{Account, Invite, Transport};

use super::Variables;
use crate::call::Call;
use crate::channel::{Birth, Channel, SipLeg};
use crate::core::Core;
use crate::media::Media;
use crate::settings::{Configuration, Gateway, Profile};
use crate::story::Beginning;
use crate::{CallerProfile, Cause, ChannelId, Uuid, headers};

/// Where a dial string leads.
struct Target<'a> {
    profile: &'a Profile,
    gateway: Option<&'a Gateway>,
    /// Request-URI.
    uri: String,
    /// What was dialled, for callee id and names.
    number: String,
    /// To, where it differs from the Request-URI.
    to: Option<String>,
    /// The next hop, where it differs from the Request-URI.
    next_hop: Option<String>,
    transport: Option<Transport>,
}

/// Creates the leg and sends its INVITE.
pub(crate) fn dial(call: &Call, leg: &Leg, variables: &Variables<'_>) -> Result<ChannelId, Cause> {
    let configuration = call.core(|core| core.configuration.clone());
    let target = locate(&configuration, leg.data.as_str().trim_end())?;
    let channel = call.core(|core| make_channel(core, call.id, &target, variables))?;
    let id = channel.id;
    call.core(|core| {
        core.enter(channel, Beginning::Called);
        core.channels.entry(call.id).and_modify(|caller| caller.had_originatee = true);
        let caller_uuid = core.channels.get(&call.id).map(|caller| caller.uuid.clone());
        if let (Some(channel), Some(uuid)) = (core.channels.get_mut(&id), caller_uuid) {
            channel.originator = Some(call.id);
            channel.had_originator = true;
            channel.variables.set_str("originating_leg_uuid", uuid.as_str());
            channel.variables.set_str("call_uuid", uuid.as_str());
            channel.variables.set_str("originate_endpoint", "sofia");
            channel.variables.set_str("signal_bond", uuid.as_str());
            channel.variables.set_str("originator", uuid.as_str());
        }
        let sent = send_invite(core, call.id, id, &target);
        match sent {
            Ok(()) => {
                note_leg(core, call.id, id);
                Ok(id)
            }
            Err(cause) => {
                core.hangup(id, cause);
                Err(cause)
            }
        }
    })
}

/// Pushes `uuid;name;number` to the caller's `originated_legs`.
fn note_leg(core: &mut Core, caller: ChannelId, id: ChannelId) {
    let Some(leg) = core.channels.get(&id) else { return };
    let mut note = Text::trusted(format!("{};", leg.uuid));
    note.push_text(&leg.profile.callee_id_name);
    note.push_str(";");
    note.push_text(&leg.profile.callee_id_number);
    if let Some(caller) = core.channels.get_mut(&caller) {
        caller.variables.push("originated_legs", note);
    }
}

fn locate<'a>(configuration: &'a Configuration, data: &str) -> Result<Target<'a>, Cause> {
    let (first, rest) = data.split_once('/').unwrap_or((data, ""));
    if first.eq_ignore_ascii_case("gateway") {
        return locate_gateway(configuration, rest);
    }
    let profile = configuration.profile_named(first).ok_or(Cause::INVALID_PROFILE)?;
    let (address, to) = split_to(rest);
    if address.is_empty() {
        return Err(Cause::INVALID_URL);
    }
    let bare = strip_scheme(address);
    let (user_host, params) = bare.split_once(';').unwrap_or((bare, ""));
    let Some((user, host)) = user_host.rsplit_once('@') else {
        // `user%domain` and a bare user are looked up among registrations, of which there are none yet.
        return Err(Cause::USER_NOT_REGISTERED);
    };
    if host.is_empty() {
        return Err(Cause::INVALID_URL);
    }
    let (params, next_hop, transport) = read_params(params);
    let user_part =
        if address.len() == bare.len() { encode_user(user).into_owned() } else { user.to_owned() };
    let at = if user.is_empty() { "" } else { "@" };
    Ok(Target {
        profile,
        gateway: None,
        uri: format!("sip:{user_part}{at}{host}{params}"),
        number: user.to_owned(),
        to: to.map(|to| to_uri(to, host)),
        next_hop: next_hop.or_else(|| profile.outbound_proxy.clone()),
        transport,
    })
}

fn locate_gateway<'a>(configuration: &'a Configuration, rest: &str) -> Result<Target<'a>, Cause> {
    let (name, destination) = rest.split_once('/').ok_or(Cause::INVALID_URL)?;
    let name = name.rsplit("::").next().unwrap_or(name);
    let gateway = configuration.gateway(name).ok_or(Cause::INVALID_GATEWAY)?;
    if gateway.register {
        return Err(Cause::GATEWAY_DOWN);
    }
    let profile = configuration.profile(gateway.profile).ok_or(Cause::INVALID_GATEWAY)?;
    let (destination, to) = split_to(destination);
    let (number, params) = destination.split_once(';').unwrap_or((destination, ""));
    let (params, next_hop, transport) = read_params(params);
    if transport.is_some_and(|transport| transport != gateway.transport) {
        return Err(Cause::DESTINATION_OUT_OF_ORDER);
    }
    let proxy = strip_scheme(&gateway.proxy);
    let (user, host) = match number.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => (number, proxy.split(';').next().unwrap_or(proxy)),
    };
    let transport_param = if gateway.transport == Transport::Tcp { ";transport=tcp" } else { "" };
    Ok(Target {
        profile,
        uri: format!(
            "sip:{}{}@{host}{transport_param}{params}",
            gateway.destination_prefix,
            encode_user(user)
        ),
        number: user.to_owned(),
        to: to.map(|to| to_uri(to, host)),
        next_hop: next_hop.or_else(|| gateway.outbound_proxy.clone()),
        transport: Some(gateway.transport),
        gateway: Some(gateway),
    })
}

/// What stands behind `^` becomes the To header.
fn split_to(text: &str) -> (&str, Option<&str>) {
    match text.split_once('^') {
        Some((address, to)) => (address, Some(to).filter(|to| !to.is_empty())),
        None => (text, None),
    }
}

fn to_uri(to: &str, host: &str) -> String {
    let to = strip_scheme(to);
    if to.contains('@') { format!("sip:{to}") } else { format!("sip:{}@{host}", encode_user(to)) }
}

fn strip_scheme(text: &str) -> &str {
    text.strip_prefix("sips:").or_else(|| text.strip_prefix("sip:")).unwrap_or(text)
}

/// Sorts URI parameters: `fs_path` is a next hop, other `fs_…` are ours, `transport` counts and stays.
fn read_params(params: &str) -> (String, Option<String>, Option<Transport>) {
    let (mut kept, mut next_hop, mut transport) = (String::new(), None, None);
    for param in params.split(';').filter(|param| !param.is_empty()) {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        if name.eq_ignore_ascii_case("fs_path") {
            next_hop = Some(strip_scheme(&signaling::uri::unescape(value)).to_owned());
            continue;
        }
        if name.to_ascii_lowercase().starts_with("fs_") {
            continue;
        }
        if name.eq_ignore_ascii_case("transport") {
            transport = match value.to_ascii_lowercase().as_str() {
                "tcp" => Some(Transport::Tcp),
                "udp" => Some(Transport::Udp),
                _ => None,
            };
        }
        kept.push(';');
        kept.push_str(param);
    }
    (kept, next_hop, transport)
}

/// The called channel, with its caller id (§13) and variables, not in the tables yet.
fn make_channel(
    core: &mut Core,
    caller: ChannelId,
    target: &Target<'_>,
    variables: &Variables<'_>,
) -> Result<Channel, Cause> {
    let id = core.next_channel_id();
    let uuid = match variables.text("origination_uuid") {
        Some(wanted) if core.find_uuid(wanted).is_some() => return Err(Cause::DESTINATION_OUT_OF_ORDER),
        Some(wanted) => Uuid::from_text(wanted),
        None => core.random.uuid(),
    };
    let now = core.now.wall;
    let from = core.channels.get(&caller).ok_or(Cause::ORIGINATOR_CANCEL)?;
    let effective = |field: &str, own: &Text| {
        variables
            .get(&format!("origination_{field}"))
            .cloned()
            .or_else(|| core.variable(caller, &format!("effective_{field}")))
            .unwrap_or_else(|| own.clone())
    };
    let number = Text::network(target.number.as_str());
    let profile = CallerProfile {
        caller_id_name: effective("caller_id_name", &from.profile.caller_id_name),
        caller_id_number: effective("caller_id_number", &from.profile.caller_id_number),
        ani: effective("ani", &from.profile.ani),
        rdnis: effective("rdnis", &from.profile.rdnis),
        callee_id_name: variables
            .get("origination_callee_id_name")
            .cloned()
            .unwrap_or_else(|| Text::trusted("Outbound Call")),
        callee_id_number: variables
            .get("origination_callee_id_number")
            .cloned()
            .unwrap_or_else(|| number.clone()),
        destination_number: number,
        ..from.profile.clone()
    };
    let own = own_variables(&from.variables, target, variables);
    let shown = target.uri.trim_start_matches("sip:");
    let name = variables.text("origination_channel_name").map_or_else(
        || format!("sofia/{}/{}", target.profile.name, shown.split(';').next().unwrap_or(shown)),
        str::to_owned,
    );
    Ok(Channel::new(Birth {
        id,
        uuid,
        inbound: false,
        name,
        profile: with_privacy(profile, variables.text("origination_privacy")),
        variables: own,
        media: Media::for_called(from, target.profile),
        dialplan: from.dialplan.clone(),
        max_forwards: from.max_forwards.saturating_sub(1),
        now,
    }))
}

/// The leg's variables: the gateway's, what the caller passes on, then those of the dial string.
fn own_variables(
    from: &crate::Variables,
    target: &Target<'_>,
    variables: &Variables<'_>,
) -> crate::Variables {
    let mut own = crate::Variables::default();
    if let Some(gateway) = target.gateway {
        for (name, value) in &gateway.outbound_variables {
            own.set_str(name, value.as_str());
        }
        for name in ["sip_gateway_name", "sip_use_gateway", "gateway_name"] {
            own.set_str(name, gateway.name.as_str());
        }
    }
    headers::pass_on(from, &mut own, target.gateway.is_none());
    for item in variables.iter() {
        let nested = item.value.as_str().contains("${");
        if !nested || variables.text("origination_nested_vars").is_some_and(dialplan::boolean::is_true) {
            own.set(&item.name, item.value.clone());
        }
    }
    own.set_str("sofia_profile_name", target.profile.name.as_str());
    own
}

/// `origination_privacy` replaces all flags.
fn with_privacy(mut profile: CallerProfile, flags: Option<&str>) -> CallerProfile {
    if let Some(flags) = flags {
        let has = |word: &str| flags.split([':', ',']).any(|flag| flag.trim().eq_ignore_ascii_case(word));
        profile.screen = has("screen");
        profile.privacy_hide_name = has("hide_name");
        profile.privacy_hide_number = has("hide_number");
    }
    profile
}

fn send_invite(core: &mut Core, caller: ChannelId, id: ChannelId, target: &Target<'_>) -> Result<(), Cause> {
    let body = core.offer(id, caller)?;
    let channel = core.channels.get(&id).ok_or(Cause::DESTINATION_OUT_OF_ORDER)?;
    let text = |name: &str| channel.variables.text(name);
    let from = headers::from_of(channel, target.profile, target.gateway);
    let to = match text("sip_invite_to_uri").or_else(|| target.to.clone()) {
        Some(uri) => format!("<{}>", uri.trim_matches(['<', '>'])),
        None => format!("<{}>", target.uri.split(';').next().unwrap_or(&target.uri)),
    };
    let mut extra = headers::identity_of(channel, target.profile);
    extra.extend(headers::custom(&channel.variables, "sip_h_"));
    let route: Vec<String> =
        text("sip_route_uri").into_iter().map(|uri| format!("<{}>", uri.trim_matches(['<', '>']))).collect();
    let credentials = target.gateway.and_then(|gateway| gateway.credentials.as_ref()).map(|own| Account {
        username: own.username.clone(),
        password: own.password.clone(),
        realm: own.realm.clone(),
    });
    let gateway_name = target.gateway.map(|gateway| gateway.name.clone());
    let invite = Invite {
        profile: target.profile.id,
        request_uri: text("sip_invite_req_uri").unwrap_or_else(|| target.uri.clone()),
        route,
        next_hop: target.next_hop.clone(),
        transport: target.transport,
        from,
        to,
        call_id: text("sip_invite_call_id"),
        contact_user: text("sip_contact_user")
            .or_else(|| gateway_name.as_ref().map(|name| format!("gw+{name}"))),
        contact_params: target.gateway.map(|gateway| gateway.contact_params.clone()).unwrap_or_default(),
        max_forwards: channel.max_forwards,
        headers: extra,
        body,
        credentials,
    };
    let now = core.now;
    let leg = core.endpoint.invite(now, invite).map_err(|_| Cause::NORMAL_TEMPORARY_FAILURE)?;
    core.by_leg.insert(leg, id);
    if let Some(channel) = core.channels.get_mut(&id) {
        channel.sip = Some(SipLeg {
            leg,
            profile: target.profile.id,
            over: false,
            invite: None,
            source: None,
            offered_in_2xx: false,
        });
    }
    Ok(())
}
