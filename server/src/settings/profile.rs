//! `<profile>` of `sofia.conf`: a SIP address of its own, with the rules of its calls.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::{Element, Place, Problems, Settings, Unit};
use signaling::{Advertised, ListenerId, ListenerSettings, ProfileId, ProfileSettings, Transport};
use switch::{AccessRule, CallerIdType, CodecNegotiation, CodecPreference, Profile};

use super::Context;

mod ignored;

/// Value of User-Agent and Server where the configuration has none.
const USER_AGENT: &str = concat!("Crosspoint/", env!("CARGO_PKG_VERSION"));
/// The word by which a configuration takes a header away.
const NOTHING: &str = "_undef_";
/// Longest T1 that makes sense; RFC 3261 advises 500 ms.
const TIMER_MS_MAX: u32 = 300_000;
/// Rules of `apply-inbound-acl` on one profile, as in the reference.
const ACCESS_RULES_MAX: usize = 100;
/// Longest silence that can be waited for.
const SILENCE_MAX: Duration = Duration::from_secs(86_400);

/// A profile, complete but for the numbers that are given when all profiles are known.
#[derive(Clone, Debug)]
pub struct SipProfile {
    /// Where it is defined.
    pub place: Place,
    /// What `signaling` must know; ids are 0.
    pub endpoint: ProfileSettings,
    /// What `switch` must know; its id and its media addresses are 0.
    pub calls: Profile,
    /// Its media addresses.
    pub media_addresses: Vec<IpAddr>,
    /// Its domains, which may name it in dial strings.
    pub access_place: Option<Place>,
}

/// Reads one profile. One whose address this machine lacks is read all the same: the rest of the configuration may
/// speak of it, and the sockets will say that it cannot be bound.
pub fn read(element: &Element, context: &Context<'_>, problems: &mut Problems) -> Option<SipProfile> {
    let Some(name) = element.attribute("name").filter(|name| !name.is_empty()) else {
        problems.warning(element.place(), "a `<profile>` without a name has no effect");
        return None;
    };
    let mut settings = element.child("settings").map_or_else(Settings::empty, Settings::new);
    let sip_ip = own_address(&mut settings, "sip-ip", context, problems);
    let endpoint = read_endpoint(name, sip_ip, &mut settings, problems);
    let media_addresses = read_media_addresses(&mut settings, sip_ip, context, problems);
    let host =
        endpoint.listeners.first().map_or_else(|| sip_ip.to_string(), |first| first.advertised.host.clone());
    let mut calls = Profile::new(ProfileId(0), name, &host);
    calls.aliases = read_aliases(element);
    calls.media_advertised = external_address(&mut settings, "ext-rtp-ip", problems);
    read_routing(&mut calls, &mut settings);
    read_media(&mut calls, &mut settings, problems);
    let access_place = settings.place("apply-inbound-acl");
    ignored::accept(&mut settings);
    settings.finish(problems);
    Some(SipProfile { place: element.place(), endpoint, calls, media_addresses, access_place })
}

impl SipProfile {
    /// The address it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.listeners.first().map(|listener| listener.local)
    }
}

fn read_endpoint(
    name: &str,
    sip_ip: IpAddr,
    settings: &mut Settings<'_>,
    problems: &mut Problems,
) -> ProfileSettings {
    let mut endpoint = ProfileSettings::new(ProfileId(0), name);
    let port = settings.number("sip-port", 5_060, 1..=u16::MAX);
    let external = external_address(settings, "ext-sip-ip", problems);
    let local = SocketAddr::new(sip_ip, port);
    let advertised = Advertised::from(SocketAddr::new(external.unwrap_or(sip_ip), port));
    for transport in transports(settings) {
        let advertised = advertised.clone();
        endpoint.listeners.push(ListenerSettings { id: ListenerId(0), transport, local, advertised });
    }
    endpoint.user_agent = match settings.text_or("user-agent-string", USER_AGENT) {
        NOTHING => None,
        text => Some(text.to_owned()),
    };
    if let Some(user) = settings.text("contact-user").filter(|user| !user.is_empty()) {
        endpoint.contact_user = user.to_owned();
    }
    endpoint.t1_ms = settings.number("timer-T1", endpoint.t1_ms, 1..=TIMER_MS_MAX);
    endpoint.t1x64_ms = settings.number("timer-T1X64", endpoint.t1x64_ms, 1..=TIMER_MS_MAX);
    endpoint.t2_ms = settings.number("timer-T2", endpoint.t2_ms, 1..=TIMER_MS_MAX);
    endpoint.t4_ms = settings.number("timer-T4", endpoint.t4_ms, 1..=TIMER_MS_MAX);
    endpoint.max_proceeding = settings.number("max-proceeding", endpoint.max_proceeding, 0..=u32::MAX);
    let requests_max = endpoint.max_recv_requests_per_second;
    endpoint.max_recv_requests_per_second =
        settings.number("max-recv-requests-per-second", requests_max, 0..=u32::MAX);
    endpoint
}

/// `bind-params` may name one transport; otherwise both are bound.
fn transports(settings: &mut Settings<'_>) -> Vec<Transport> {
    let read = |text: &str| {
        let named = text.split([';', ' ']).find_map(|part| part.strip_prefix("transport="))?;
        let all: Option<Vec<Transport>> = named.split(',').map(Transport::parse).collect();
        all.filter(|transports| !transports.is_empty())
    };
    let named = settings.parsed("bind-params", "`transport=udp` or `transport=tcp`", read);
    named.unwrap_or_else(|| vec![Transport::Udp, Transport::Tcp])
}

/// The address of a parameter, or the machine's own where it is missing, `auto` or unspecified.
fn own_address(
    settings: &mut Settings<'_>,
    name: &str,
    context: &Context<'_>,
    problems: &mut Problems,
) -> IpAddr {
    let found = settings.parsed(name, "an IP address, or `auto`", |text| parse_address(text, context));
    let address = found.unwrap_or_else(|| context.machine.default_address(false));
    warn_of_absent(address, settings.place(name), context, problems);
    address
}

fn read_media_addresses(
    settings: &mut Settings<'_>,
    sip_ip: IpAddr,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Vec<IpAddr> {
    let place = settings.place("rtp-ip");
    let mut addresses = Vec::new();
    for text in settings.all("rtp-ip").into_iter().map(str::trim).filter(|text| !text.is_empty()) {
        let Some(address) = parse_address(text, context) else {
            problems.error_expecting(
                place.clone(),
                format!("`rtp-ip` is `{text}`"),
                "an IP address, or `auto`",
            );
            continue;
        };
        if !addresses.contains(&address) {
            warn_of_absent(address, place.clone(), context, problems);
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        addresses.push(sip_ip);
    }
    addresses
}

fn parse_address(text: &str, context: &Context<'_>) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("auto") {
        return Some(context.machine.default_address(false));
    }
    let address: IpAddr = text.trim_matches(['[', ']']).parse().ok()?;
    // Peers must be told one address; which, when any would do, is the default route's to say.
    Some(if address.is_unspecified() { context.machine.default_address(address.is_ipv6()) } else { address })
}

fn warn_of_absent(address: IpAddr, place: Option<Place>, context: &Context<'_>, problems: &mut Problems) {
    if !context.machine.has_address(address) {
        problems.warning(place, format!("this machine does not have the address {address}"));
    }
}

/// The address that peers are told instead of ours; forms that would have to be found out have no effect.
fn external_address(settings: &mut Settings<'_>, name: &str, problems: &mut Problems) -> Option<IpAddr> {
    let text = settings.text(name).map(str::trim).filter(|text| !text.is_empty())?;
    let place = settings.place(name);
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(address).filter(|address| !address.is_unspecified());
    }
    let kind = text.split(':').next().unwrap_or_default();
    if ["auto", "auto-nat", "stun", "host"].contains(&kind) {
        if kind != "auto" {
            let what = format!("`{name}` is `{text}`, which does not exist here: our own address is told");
            problems.warning_expecting(place, what, "an IP address");
        }
    } else {
        problems.error_expecting(place, format!("`{name}` is `{text}`"), "an IP address, or `auto`");
    }
    None
}

fn read_aliases(element: &Element) -> Vec<String> {
    let aliases = element.child("aliases");
    let aliases = aliases.into_iter().flat_map(|aliases| aliases.children_named("alias"));
    let domains = element.child("domains");
    let domains = domains.into_iter().flat_map(|domains| domains.children_named("domain"));
    let domains = domains.filter(|domain| domain.attribute("alias").is_some_and(config::is_true));
    aliases.chain(domains).filter_map(|element| element.attribute("name")).map(str::to_owned).collect()
}

/// What decides where a call goes.
fn read_routing(calls: &mut Profile, settings: &mut Settings<'_>) {
    calls.context = settings.text_or("context", "default").to_owned();
    calls.dialplan = settings.text_or("dialplan", "XML").to_owned();
    if let Some(username) = settings.text("username").filter(|username| !username.is_empty()) {
        calls.sdp_username = username.to_owned();
    }
    calls.authenticate_calls = settings.boolean("auth-calls", calls.authenticate_calls);
    calls.inbound_access = settings
        .all("apply-inbound-acl")
        .into_iter()
        .take(ACCESS_RULES_MAX)
        .filter_map(access_rule)
        .collect();
    calls.outbound_proxy =
        settings.text("outbound-proxy").filter(|proxy| !proxy.is_empty()).map(str::to_owned);
    let kinds = [("rpid", CallerIdType::Rpid), ("pid", CallerIdType::Pid), ("none", CallerIdType::None)];
    calls.caller_id_type = settings.choice("caller-id-type", calls.caller_id_type, &kinds);
    calls.early_use_180 = settings.boolean("early-use-180", calls.early_use_180);
    calls.ignore_183_without_sdp = settings.boolean("ignore-183nosdp", calls.ignore_183_without_sdp);
    calls.proxy_hold = settings.boolean("proxy-hold", calls.proxy_hold);
    calls.disable_hold = settings.boolean("disable-hold", calls.disable_hold);
}

/// `LIST[:CONTEXT_PASS[:CONTEXT_FAIL]]`.
fn access_rule(text: &str) -> Option<AccessRule> {
    let mut parts = text.trim().splitn(3, ':').map(str::trim);
    let list = parts.next().filter(|list| !list.is_empty())?.to_owned();
    let mut context = || parts.next().filter(|context| !context.is_empty()).map(str::to_owned);
    Some(AccessRule { list, context_pass: context(), context_fail: context() })
}

/// What decides how audio flows.
fn read_media(calls: &mut Profile, settings: &mut Settings<'_>, problems: &mut Problems) {
    let both = read_codecs(settings, "codec-prefs", problems);
    if let Some(codecs) = read_codecs(settings, "inbound-codec-prefs", problems).or_else(|| both.clone()) {
        calls.inbound_codecs = codecs;
    }
    if let Some(codecs) = read_codecs(settings, "outbound-codec-prefs", problems).or(both) {
        calls.outbound_codecs = codecs;
    }
    let orders = [
        ("generous", CodecNegotiation::Generous),
        ("greedy", CodecNegotiation::Greedy),
        ("scrooge", CodecNegotiation::Scrooge),
    ];
    calls.codec_negotiation = settings.choice("inbound-codec-negotiation", calls.codec_negotiation, &orders);
    calls.late_negotiation = settings.boolean("inbound-late-negotiation", calls.late_negotiation);
    calls.bypass_media = settings.boolean("inbound-bypass-media", calls.bypass_media);
    calls.proxy_media = settings.boolean("inbound-proxy-media", calls.proxy_media);
    let telephone_event = calls.telephone_event_payload_type;
    calls.telephone_event_payload_type = settings.number("rfc2833-pt", telephone_event, 96..=127);
    calls.suppress_comfort_noise = settings.boolean("suppress-cng", calls.suppress_comfort_noise);
    calls.media_learning = !settings.boolean("disable-rtp-auto-adjust", !calls.media_learning);
    calls.media_timeout_ms = silence_ms(settings, "media_timeout", "rtp-timeout-sec").unwrap_or(0);
    let hold = silence_ms(settings, "media_hold_timeout", "rtp-hold-timeout-sec");
    calls.media_hold_timeout_ms = hold.unwrap_or_else(|| calls.media_timeout_ms.saturating_mul(10));
    calls.rtcp_passthrough = read_rtcp(settings, problems);
}

/// A silence in milliseconds; the old parameter of the same meaning counts seconds.
fn silence_ms(settings: &mut Settings<'_>, name: &'static str, name_s: &'static str) -> Option<u32> {
    let mut read = |name, unit| {
        settings.place(name)?;
        let range = Duration::ZERO..=SILENCE_MAX;
        Some(settings.duration(name, unit, Duration::ZERO, range).as_millis() as u32)
    };
    let seconds = read(name_s, Unit::Seconds);
    read(name, Unit::Milliseconds).or(seconds)
}

/// RTCP is passed between the legs or not there; reports of our own do not exist here.
fn read_rtcp(settings: &mut Settings<'_>, problems: &mut Problems) -> bool {
    let name = "rtcp-audio-interval-msec";
    let Some(text) = settings.text(name).map(str::trim).filter(|text| !text.is_empty()) else { return false };
    if text.eq_ignore_ascii_case("passthru") {
        return true;
    }
    let place = settings.place(name);
    if text.parse::<u32>().is_ok() {
        problems.warning_expecting(place, "RTCP reports of our own do not exist here", "`passthru`");
    } else {
        problems.error_expecting(place, format!("`{name}` is `{text}`"), "`passthru` or a number");
    }
    false
}

fn read_codecs(
    settings: &mut Settings<'_>,
    name: &str,
    problems: &mut Problems,
) -> Option<Vec<CodecPreference>> {
    let text = settings.text(name).filter(|text| !text.trim().is_empty())?;
    let (known, unknown) = CodecPreference::parse_list(text);
    for codec in unknown {
        let names = codecs::AudioCodec::ALL.map(|codec| codec.parameters().name);
        let what = format!("codec `{codec}` does not exist here");
        match config::nearest(&codec, names) {
            Some(near) => problems.warning_expecting(settings.place(name), what, format!("`{near}`")),
            None => problems.warning(settings.place(name), what),
        }
    }
    Some(known)
}
