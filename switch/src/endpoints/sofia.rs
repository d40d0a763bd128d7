//! `sofia/PROFILE/user@host[:port][;params][^to]` and `sofia/gateway/NAME/number` (`bridge.md` §15).

use dialplan::{Leg, Text};
use signaling::{Account, Invite};

mod target;

use super::Variables;
use crate::call::Call;
use crate::channel::{Birth, Channel, SipLeg};
use crate::core::Core;
use crate::media::Media;
use crate::origin::in_brackets;
use crate::story::Beginning;
use crate::{CallerProfile, Cause, ChannelId, Uuid, headers};
use target::{Target, locate};

/// Bytes of a channel's name that is given from outside.
const UUID_LEN_MAX: usize = 128;

/// Creates the leg and sends its INVITE.
pub(crate) fn dial(call: &Call, leg: &Leg, variables: &Variables<'_>) -> Result<ChannelId, Cause> {
    let configuration = call.core(|core| core.configuration.clone());
    let target = locate(&configuration, &leg.data)?;
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

/// The called channel, with its caller id (§13) and variables, not in the tables yet.
fn make_channel(
    core: &mut Core,
    caller: ChannelId,
    target: &Target<'_>,
    variables: &Variables<'_>,
) -> Result<Channel, Cause> {
    let id = core.next_channel_id();
    let uuid = match variables.text("origination_uuid") {
        // It names files and stands in commands, and often a header of the caller's is taken for it.
        Some(wanted) if !is_plain(wanted) || core.find_uuid(wanted).is_some() => {
            return Err(Cause::DESTINATION_OUT_OF_ORDER);
        }
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
    let shown = target.bare_uri.trim_start_matches("sip:");
    let name = variables
        .text("origination_channel_name")
        .map_or_else(|| format!("sofia/{}/{}", target.profile.name, shown), str::to_owned);
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

/// Whether a name for a channel can be nothing but a name.
fn is_plain(name: &str) -> bool {
    (1..=UUID_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
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
        let dollars = item.value.as_str().match_indices("${");
        let nested = dollars.into_iter().any(|(at, _)| item.value.has_syntax("${", at));
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
    let uri = |name: &str| channel.variables.get(name).map(|uri| in_brackets(&uri));
    let from = headers::from_of(channel, target.profile, target.gateway);
    let to = uri("sip_invite_to_uri").or_else(|| target.to.clone());
    let to = match to {
        Some(uri) => format!("<{uri}>"),
        None => format!("<{}>", target.bare_uri),
    };
    let mut extra = headers::identity_of(channel, target.profile);
    extra.extend(headers::custom(&channel.variables, "sip_h_"));
    let route: Vec<String> = uri("sip_route_uri").into_iter().map(|uri| format!("<{uri}>")).collect();
    let credentials = target.gateway.and_then(|gateway| gateway.credentials.as_ref()).map(|own| Account {
        username: own.username.clone(),
        password: own.password.clone(),
        realm: own.realm.clone(),
    });
    let gateway_name = target.gateway.map(|gateway| gateway.name.clone());
    let invite = Invite {
        profile: target.profile.id,
        request_uri: uri("sip_invite_req_uri").unwrap_or_else(|| target.uri.clone()),
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
