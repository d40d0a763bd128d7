//! Where a dial string of `sofia/` leads (`bridge.md` §15).
//!
//! What came from the network is a number, a name or a host and nothing else: none of its characters separates
//! anything here, and none of them leaves the part of the URI where it stands.

use dialplan::Text;
use signaling::Transport;
use signaling::uri::{encode_param, encode_user};

use crate::Cause;
use crate::origin::by_origin;
use crate::settings::{Configuration, Gateway, Profile};

/// A found destination.
pub(super) struct Target<'a> {
    pub(super) profile: &'a Profile,
    pub(super) gateway: Option<&'a Gateway>,
    /// Request-URI.
    pub(super) uri: String,
    /// The same without parameters.
    pub(super) bare_uri: String,
    /// What was dialled, for callee id and names.
    pub(super) number: String,
    /// To, where it differs from the Request-URI.
    pub(super) to: Option<String>,
    /// The next hop, where it differs from the Request-URI.
    pub(super) next_hop: Option<String>,
    pub(super) transport: Option<Transport>,
}

/// Reads what stands behind `sofia/`.
pub(super) fn locate<'a>(configuration: &'a Configuration, data: &Text) -> Result<Target<'a>, Cause> {
    let data = data.trim_syntax();
    let (first, rest) = split(&data, b'/').unwrap_or_else(|| (data.clone(), Text::new()));
    if first.as_str().eq_ignore_ascii_case("gateway") {
        return locate_gateway(configuration, &rest);
    }
    let profile = configuration.profile_named(first.as_str()).ok_or(Cause::INVALID_PROFILE)?;
    let (address, to) = split_to(&rest);
    if address.is_empty() {
        return Err(Cause::INVALID_URL);
    }
    let bare = without_scheme(&address);
    let is_uri = bare.len() < address.len();
    let (user_host, params) = split(&bare, b';').unwrap_or_else(|| (bare.clone(), Text::new()));
    let Some(at) = user_host.rfind_syntax(b'@') else {
        // `user%domain` and a bare user are looked up among registrations, of which there are none yet.
        return Err(Cause::USER_NOT_REGISTERED);
    };
    let user = user_host.slice(0..at);
    let host = host_of(&user_host.slice(at + 1..user_host.len()))?;
    let params = Params::read(&params);
    let at = if user.is_empty() { "" } else { "@" };
    let bare_uri = format!("sip:{}{at}{host}", user_part(&user, is_uri));
    Ok(Target {
        profile,
        gateway: None,
        uri: format!("{bare_uri}{}", params.kept),
        bare_uri,
        number: user.as_str().to_owned(),
        to: to.map(|to| to_uri(&to, &host)).transpose()?,
        next_hop: params.next_hop.or_else(|| profile.outbound_proxy.clone()),
        transport: params.transport,
    })
}

fn locate_gateway<'a>(configuration: &'a Configuration, rest: &Text) -> Result<Target<'a>, Cause> {
    let (name, destination) = split(rest, b'/').ok_or(Cause::INVALID_URL)?;
    let name = name.as_str().rsplit("::").next().unwrap_or_default();
    let gateway = configuration.gateway(name).ok_or(Cause::INVALID_GATEWAY)?;
    if gateway.register {
        return Err(Cause::GATEWAY_DOWN);
    }
    let profile = configuration.profile(gateway.profile).ok_or(Cause::INVALID_GATEWAY)?;
    let (destination, to) = split_to(&destination);
    let (number, params) = split(&destination, b';').unwrap_or_else(|| (destination.clone(), Text::new()));
    let params = Params::read(&params);
    if params.transport.is_some_and(|transport| transport != gateway.transport) {
        return Err(Cause::DESTINATION_OUT_OF_ORDER);
    }
    let (user, host) = match number.rfind_syntax(b'@') {
        Some(at) => (number.slice(0..at), host_of(&number.slice(at + 1..number.len()))?),
        None => {
            let proxy = gateway.proxy.trim_start_matches("sips:").trim_start_matches("sip:");
            (number, proxy.split(';').next().unwrap_or(proxy).to_owned())
        }
    };
    let transport_param = if gateway.transport == Transport::Tcp { ";transport=tcp" } else { "" };
    let bare_uri = format!("sip:{}{}@{host}", gateway.destination_prefix, user_part(&user, false));
    Ok(Target {
        profile,
        uri: format!("{bare_uri}{transport_param}{}", params.kept),
        bare_uri,
        number: user.as_str().to_owned(),
        to: to.map(|to| to_uri(&to, &host)).transpose()?,
        next_hop: params.next_hop.or_else(|| gateway.outbound_proxy.clone()),
        transport: Some(gateway.transport),
        gateway: Some(gateway),
    })
}

/// What stands behind `^` becomes the To header.
fn split_to(text: &Text) -> (Text, Option<Text>) {
    match split(text, b'^') {
        Some((address, to)) => (address, Some(to).filter(|to| !to.is_empty())),
        None => (text.clone(), None),
    }
}

fn to_uri(to: &Text, host: &str) -> Result<String, Cause> {
    let to = without_scheme(to);
    let Some(at) = to.rfind_syntax(b'@') else {
        return Ok(format!("sip:{}@{host}", user_part(&to, false)));
    };
    let (user, rest) = (to.slice(0..at), to.slice(at + 1..to.len()));
    let end = rest.find_syntax(b';', 0).unwrap_or(rest.len());
    let (host, params) = (host_of(&rest.slice(0..end))?, rest.slice(end..rest.len()));
    Ok(format!("sip:{}@{host}{}", user_part(&user, true), in_param(&params)))
}

/// URI parameters, sorted: `fs_path` is a next hop, other `fs_…` are ours, `transport` counts and stays.
#[derive(Default)]
struct Params {
    kept: String,
    next_hop: Option<String>,
    transport: Option<Transport>,
}

impl Params {
    fn read(params: &Text) -> Params {
        let mut read = Params::default();
        let mut rest = params.clone();
        while !rest.is_empty() {
            let (param, behind) = split(&rest, b';').unwrap_or_else(|| (rest.clone(), Text::new()));
            if !param.is_empty() {
                read.take(&param);
            }
            rest = behind;
        }
        read
    }

    fn take(&mut self, param: &Text) {
        let (name, value) = split(param, b'=').unwrap_or_else(|| (param.clone(), Text::new()));
        let (name, value) = (name.as_str().to_ascii_lowercase(), value.as_str());
        if name == "fs_path" {
            let path = signaling::uri::unescape(value);
            self.next_hop = Some(path.trim_start_matches("sips:").trim_start_matches("sip:").to_owned());
            return;
        }
        if name.starts_with("fs_") {
            return;
        }
        if name == "transport" {
            self.transport = match value.to_ascii_lowercase().as_str() {
                "tcp" => Some(Transport::Tcp),
                "udp" => Some(Transport::Udp),
                _ => None,
            };
        }
        self.kept.push(';');
        self.kept.push_str(&in_param(param));
    }
}

/// Before and behind the first `separator` that is syntax.
fn split(text: &Text, separator: u8) -> Option<(Text, Text)> {
    let at = text.find_syntax(separator, 0)?;
    Some((text.slice(0..at), text.slice(at + 1..text.len())))
}

fn without_scheme(text: &Text) -> Text {
    let scheme = ["sips:", "sip:"].into_iter().find(|scheme| text.has_syntax(scheme, 0));
    text.slice(scheme.map_or(0, str::len)..text.len())
}

/// A user as a URI has it. One that the operator has written as part of a URI is escaped already.
fn user_part(user: &Text, is_uri: bool) -> String {
    by_origin(
        user,
        |piece| if is_uri { piece.to_owned() } else { encode_user(piece).into_owned() },
        |piece| encode_user(piece).into_owned(),
    )
}

/// Parameters as a URI has them, what came from the network escaped.
fn in_param(params: &Text) -> String {
    by_origin(params, str::to_owned, |piece| encode_param(piece).into_owned())
}

/// A host, with or without port. From the network only what can be one.
fn host_of(host: &Text) -> Result<String, Cause> {
    let may_be_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let atoms = host.atoms().iter().flat_map(|atom| host.as_str()[atom.clone()].bytes());
    if host.is_empty() || !atoms.into_iter().all(may_be_host) {
        return Err(Cause::INVALID_URL);
    }
    Ok(host.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use signaling::ProfileId;

    use super::*;

    fn configuration() -> Configuration {
        let profile = Profile::new(ProfileId(0), "out", "192.0.2.1");
        let gateway = Gateway {
            name: "gw".to_owned(),
            profile: ProfileId(0),
            proxy: "192.0.2.9:5080".to_owned(),
            outbound_proxy: None,
            transport: Transport::Udp,
            from_user: String::new(),
            from_domain: "192.0.2.9".to_owned(),
            caller_id_in_from: false,
            credentials: None,
            register: false,
            destination_prefix: "00".to_owned(),
            extension: None,
            context: None,
            contact_params: String::new(),
            inbound_variables: Vec::new(),
            outbound_variables: Vec::new(),
        };
        let usual = crate::testing::core().borrow().configuration.as_ref().clone();
        Configuration { profiles: vec![profile], gateways: vec![gateway], ..usual }
    }

    /// `⟨…⟩` marks what came from the network.
    fn text(marked: &str) -> Text {
        let mut text = Text::new();
        for (index, piece) in marked.split(['⟨', '⟩']).enumerate() {
            if index % 2 == 0 { text.push_str(piece) } else { text.push_network(piece) }
        }
        text
    }

    fn uri(data: &str) -> Result<String, Cause> {
        locate(&configuration(), &text(data)).map(|target| target.uri)
    }

    #[test]
    fn the_operators_own_words_have_their_meaning() {
        for (data, expected) in [
            ("out/100@192.0.2.7:5070", "sip:100@192.0.2.7:5070"),
            ("out/sip:a%20b@h;transport=tcp;x=1;fs_x=2", "sip:a%20b@h;transport=tcp;x=1"),
            ("out/a b@h", "sip:a%20b@h"),
            ("gateway/gw/49", "sip:0049@192.0.2.9:5080"),
            ("gateway/out::gw/49@h;x=1", "sip:0049@h;x=1"),
        ] {
            assert_eq!(uri(data).as_deref(), Ok(expected), "{data}");
        }
        let configuration = configuration();
        let target =
            locate(&configuration, &text("out/1@h;fs_path=sip%3Ap:5080^2@h2;user=phone")).expect("found");
        assert_eq!(target.next_hop.as_deref(), Some("p:5080"));
        assert_eq!(target.to.as_deref(), Some("sip:2@h2;user=phone"));
    }

    #[test]
    fn what_came_from_the_network_is_a_number_and_nothing_else() {
        for (data, expected) in [
            ("gateway/gw/⟨1@evil⟩", "sip:001%40evil@192.0.2.9:5080"),
            ("gateway/gw/⟨1;fs_path=sip:evil⟩", "sip:001;fs_path=sip%3Aevil@192.0.2.9:5080"),
            ("gateway/gw/⟨1^2@evil⟩", "sip:001%5E2%40evil@192.0.2.9:5080"),
            ("gateway/gw/⟨1>\r\nX: y⟩", "sip:001%3E%0D%0AX%3A%20y@192.0.2.9:5080"),
            ("out/⟨1@evil⟩@h", "sip:1%40evil@h"),
            ("out/sip:⟨1@evil> ⟩@h", "sip:1%40evil%3E%20@h"),
            ("out/1@h;x=⟨a;transport=tcp>⟩", "sip:1@h;x=a%3Btransport%3Dtcp%3E"),
            ("out/1@⟨192.0.2.7⟩:5060", "sip:1@192.0.2.7:5060"),
        ] {
            let configuration = configuration();
            let target = locate(&configuration, &text(data)).expect(data);
            assert_eq!(target.uri, expected, "{data}");
            assert_eq!((target.next_hop, target.to), (None, None), "{data}");
        }
        assert_eq!(uri("out/1@⟨h;fs_path=evil⟩"), Err(Cause::INVALID_URL));
        assert_eq!(uri("out/1@⟨h> x⟩"), Err(Cause::INVALID_URL));
        assert_eq!(uri("out/⟨1@evil⟩"), Err(Cause::USER_NOT_REGISTERED));
        assert_eq!(uri("⟨gateway/gw/1⟩"), Err(Cause::INVALID_PROFILE));
        assert_eq!(uri("gateway/⟨gw/1⟩"), Err(Cause::INVALID_URL));
    }
}
