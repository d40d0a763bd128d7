//! Headers that carry a call's identity and its passengers: From, identity (RFC 3325), Privacy (RFC 3323), and
//! the `sip_h_` family (`sip.md` §9, §10).

use dialplan::Text;
use signaling::text::quote;
use signaling::{HeaderName, Message, NameAddr};

use crate::Variables;
use crate::channel::Channel;
use crate::origin::in_brackets;
use crate::settings::{CallerIdType, Gateway, Profile};

/// Custom headers kept of one message; more are dropped.
pub const CUSTOM_HEADERS_MAX: usize = 64;

/// Kinds of custom headers that pass between joined legs.
const FAMILIES: [&str; 4] = ["sip_h_", "sip_ph_", "sip_rh_", "sip_bye_h_"];

/// Headers that are passed on although they begin with nothing special.
const PASSENGERS: [&str; 4] = ["User-to-User", "Diversion", "Accept-Language", "Call-Info"];

/// Who calls, as the INVITE tells it.
pub(crate) struct CallerIdentity {
    pub(crate) name: String,
    pub(crate) number: String,
    pub(crate) hide_name: bool,
    pub(crate) hide_number: bool,
    pub(crate) screen: bool,
    /// `rpid` or `pid`, by what was found.
    pub(crate) kind: Option<&'static str>,
}

/// From < Remote-Party-ID < P-Asserted-Identity < P-Preferred-Identity.
pub(crate) fn caller_identity(request: &Message) -> CallerIdentity {
    let mut identity = CallerIdentity {
        name: String::new(),
        number: String::new(),
        hide_name: false,
        hide_number: false,
        screen: false,
        kind: None,
    };
    identity.take(&request.from());
    for (header, kind) in [
        (HeaderName::RemotePartyId, "rpid"),
        (HeaderName::PAssertedIdentity, "pid"),
        (HeaderName::PPreferredIdentity, "pid"),
    ] {
        let Some(value) = request.header(header) else { continue };
        let Some(party) = first_of_list(value) else { continue };
        identity.take(&party);
        identity.kind = Some(kind);
        if header == HeaderName::RemotePartyId {
            identity.screen = party.params.get("screen").is_some_and(|word| word.eq_ignore_ascii_case("yes"));
            let privacy = party.params.get("privacy").unwrap_or_default().to_ascii_lowercase();
            identity.hide_name |= matches!(privacy.as_str(), "full" | "name" | "uri");
            identity.hide_number |= matches!(privacy.as_str(), "full" | "uri");
        }
        if header == HeaderName::PAssertedIdentity {
            identity.screen = true;
        }
    }
    if let Some(privacy) = request.header(HeaderName::Privacy) {
        for word in privacy.split([';', ',']).map(str::trim) {
            match word.to_ascii_lowercase().as_str() {
                "id" | "header" | "user" => (identity.hide_name, identity.hide_number) = (true, true),
                "none" => (identity.hide_name, identity.hide_number) = (false, false),
                _ => {}
            }
        }
    }
    identity
}

impl CallerIdentity {
    fn take(&mut self, party: &NameAddr<'_>) {
        let number = party.uri.user_unescaped().unwrap_or_default().into_owned();
        let name = party.display_name().into_owned();
        self.name = if name.is_empty() { number.clone() } else { name };
        self.number = number;
    }
}

fn first_of_list(value: &str) -> Option<NameAddr<'_>> {
    signaling::text::split_list(value).next().and_then(|entry| NameAddr::parse(entry).ok())
}

/// Keeps the custom headers of a message as variables `PREFIX` + name; repeats get `-1`, `-2`.
pub(crate) fn learn(variables: &mut Variables, message: &Message, prefix: &str) {
    let mut seen: Vec<(String, usize)> = Vec::new();
    let custom = message.all_headers().filter(|(name, _)| is_custom(name)).take(CUSTOM_HEADERS_MAX);
    for (name, value) in custom {
        let key = name.to_ascii_lowercase();
        let suffix = match seen.iter_mut().find(|(other, _)| *other == key) {
            Some((_, count)) => {
                *count += 1;
                format!("-{count}")
            }
            None => {
                seen.push((key, 0));
                String::new()
            }
        };
        variables.set(&format!("{prefix}{name}{suffix}"), Text::network(value));
    }
}

fn is_custom(name: &str) -> bool {
    let starts =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if PASSENGERS.iter().any(|passenger| passenger.eq_ignore_ascii_case(name)) {
        return true;
    }
    starts("X-") || (starts("P-") && HeaderName::parse(name) == HeaderName::Other)
}

/// The headers that variables `PREFIX…` ask for.
pub(crate) fn custom(variables: &Variables, prefix: &str) -> Vec<(String, String)> {
    variables
        .with_prefix(prefix)
        .into_iter()
        .take(CUSTOM_HEADERS_MAX)
        .filter_map(|(name, value)| {
            let header = name.get(prefix.len()..).filter(|header| is_header_name(header))?;
            Some((header_of(header).to_owned(), value.as_str().to_owned()))
        })
        .collect()
}

/// `X-Foo-1`, a repeat, goes out under its own name again.
fn header_of(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((header, count)) if !header.is_empty() && count.parse::<u8>().is_ok() && is_custom(header) => {
            header
        }
        _ => name,
    }
}

/// A token of RFC 3261 §25.1, and none of the headers that are ours alone to write.
fn is_header_name(name: &str) -> bool {
    const OURS: [&str; 12] = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "content-length",
        "content-type",
        "route",
        "record-route",
        "i",
    ];
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
        && !OURS.contains(&name.to_ascii_lowercase().as_str())
}

/// What a caller's leg hands to the leg it calls.
pub(crate) fn pass_on(from: &Variables, to: &mut Variables, with_identity_kind: bool) {
    if !from.is_false("sip_copy_custom_headers") {
        for family in FAMILIES {
            for (name, value) in from.with_prefix(family) {
                to.set(&name, value);
            }
        }
    }
    if let (true, Some(kind)) = (with_identity_kind, from.get("sip_cid_type")) {
        to.set("sip_cid_type", kind);
    }
}

/// `"name" <sip:number@host>`, without tag.
pub(crate) fn from_of(channel: &Channel, profile: &Profile, gateway: Option<&Gateway>) -> String {
    let text = |name: &str| channel.variables.text(name);
    let number = signaling::uri::encode_user(channel.profile.caller_id_number.as_str());
    let uri = match (channel.variables.get("sip_from_uri"), gateway) {
        (Some(uri), _) => in_brackets(&uri),
        (None, Some(gateway)) => {
            let user = match (gateway.caller_id_in_from, gateway.from_user.as_str()) {
                (true, _) => &*number,
                // One that neither registers nor has a user name must call itself something.
                (false, "") => &*profile.sdp_username,
                (false, user) => user,
            };
            format!("sip:{user}@{}", gateway.from_domain)
        }
        (None, None) => {
            let host = channel.variables.get("sip_invite_domain");
            let host = host.map_or_else(|| profile.host.clone(), |host| in_brackets(&host));
            format!("sip:{number}@{host}")
        }
    };
    let display =
        text("sip_from_display").unwrap_or_else(|| channel.profile.caller_id_name.as_str().to_owned());
    if display.is_empty() || display == "_undef_" {
        return format!("<{uri}>");
    }
    format!("{} <{uri}>", quote(&display))
}

/// Remote-Party-ID, or P-Asserted-Identity with Privacy, or nothing.
pub(crate) fn identity_of(channel: &Channel, profile: &Profile) -> Vec<(String, String)> {
    let kind = channel
        .variables
        .text("sip_cid_type")
        .map_or(profile.caller_id_type, |word| CallerIdType::parse(&word));
    let caller = &channel.profile;
    let number = signaling::uri::encode_user(caller.caller_id_number.as_str());
    let party = format!("{} <sip:{number}@{}>", quote(caller.caller_id_name.as_str()), profile.host);
    match kind {
        CallerIdType::None => Vec::new(),
        CallerIdType::Rpid => {
            let privacy = match (caller.privacy_hide_number, caller.privacy_hide_name) {
                (true, _) => "full",
                (false, true) => "name",
                (false, false) => "off",
            };
            let screen = if caller.screen { "yes" } else { "no" };
            let value = format!("{party};party=calling;screen={screen};privacy={privacy}");
            vec![("Remote-Party-ID".to_owned(), value)]
        }
        CallerIdType::Pid => {
            let header = if caller.screen { "P-Asserted-Identity" } else { "P-Preferred-Identity" };
            let mut headers = vec![(header.to_owned(), party)];
            if caller.privacy_hide_number {
                headers.push(("Privacy".to_owned(), "id".to_owned()));
            } else if !channel.variables.is_true("sip_cid_suppress_privacy_none") {
                headers.push(("Privacy".to_owned(), "none".to_owned()));
            }
            headers
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_custom_headers_pass_and_none_of_ours_can_be_forged() {
        let mut variables = Variables::default();
        for (name, value) in [
            ("sip_h_X-A", "1"),
            ("sip_h_X-A-1", "2"),
            ("sip_h_Via", "evil"),
            ("sip_h_Bad Name", "x"),
            ("sip_h_", "x"),
        ] {
            variables.set_str(name, value);
        }
        let sent = custom(&variables, "sip_h_");
        assert_eq!(sent, [("X-A".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())]);
    }
}
