//! `<gateway>`: a peer with a name.

use config::{Element, Problems, Settings};
use signaling::{ProfileId, Transport};
use switch::{Gateway, GatewayCredentials};

/// Parameters of the reference that nothing here depends on: all that concerns registering and pinging.
const WITHOUT_EFFECT: [&str; 24] = [
    "908-retry-seconds",
    "cid-type",
    "contact-host",
    "contact-in-ping",
    "distinct-to",
    "expire-seconds",
    "extension-in-contact",
    "fail-908-retry-seconds",
    "gw-auth-acl",
    "ping",
    "ping-max",
    "ping-min",
    "ping-monitoring",
    "ping-user-agent",
    "rfc-5626",
    "reg-id",
    "register-proxy",
    "register-proxy-port",
    "retry-seconds",
    "sip-port",
    "subscriptions",
    "timeout-seconds",
    "unregister-on-options-fail",
    "contact-user",
];

/// Reads one gateway; `None` when it cannot be used at all. Its profile is filled in when profiles have numbers.
pub fn read(element: &Element, problems: &mut Problems) -> Option<Gateway> {
    let name = element.attribute("name").unwrap_or_default();
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
    {
        let what = format!("the gateway `{name}` cannot be used");
        problems.warning_expecting(
            element.place_of("name"),
            what,
            "a name of letters, digits, `_`, `.` and `-`",
        );
        return None;
    }
    let mut settings = Settings::new(element);
    let register = settings.boolean("register", true);
    if register {
        let place = settings.place("register").unwrap_or_else(|| element.place());
        let what = format!("gateway `{name}` would have to register, which does not exist here: it is down");
        problems.warning_expecting(place, what, "`register` = `false`");
    }
    let gateway = read_settings(name, register, &mut settings, element, problems);
    settings.without_effect(&WITHOUT_EFFECT);
    settings.finish(problems);
    Some(gateway)
}

fn read_settings<'a>(
    name: &'a str,
    register: bool,
    settings: &mut Settings<'a>,
    element: &'a Element,
    problems: &mut Problems,
) -> Gateway {
    let username = settings.text_or("username", "");
    let realm_given = settings.text("realm").filter(|realm| !realm.is_empty());
    let proxy_given = settings.text("proxy").filter(|proxy| !proxy.is_empty());
    let realm = realm_given.or(proxy_given).unwrap_or(name);
    let proxy = proxy_given.unwrap_or(realm);
    let transports = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
    let extension = settings.text_or("extension", username);
    let (inbound_variables, outbound_variables) = read_variables(element, problems);
    let credentials =
        settings.text("password").filter(|_| !username.is_empty()).map(|password| GatewayCredentials {
            username: settings
                .text("auth-username")
                .filter(|user| !user.is_empty())
                .unwrap_or(username)
                .to_owned(),
            password: password.to_owned(),
            realm: realm_given.map(str::to_owned),
        });
    if credentials.is_none() {
        settings.accept(&["password", "auth-username"]);
    }
    Gateway {
        name: name.to_owned(),
        profile: ProfileId(0),
        proxy: without_scheme(proxy).to_owned(),
        outbound_proxy: settings
            .text("outbound-proxy")
            .filter(|host| !host.is_empty())
            .map(|h| without_scheme(h).to_owned()),
        transport: settings.choice("register-transport", Transport::Udp, &transports),
        from_user: settings.text_or("from-user", username).to_owned(),
        from_domain: settings.text_or("from-domain", host_of(realm)).to_owned(),
        caller_id_in_from: settings.boolean("caller-id-in-from", false),
        credentials,
        register,
        destination_prefix: settings.text_or("destination-prefix", "").to_owned(),
        extension: Some(extension.to_owned()).filter(|extension| !extension.is_empty()),
        context: settings.text("context").filter(|context| !context.is_empty()).map(str::to_owned),
        contact_params: settings.text_or("contact-params", "").to_owned(),
        inbound_variables,
        outbound_variables,
    }
}

type Variables = Vec<(String, String)>;

/// `<variables>`: those for calls received, those for calls sent. Without a direction they are for both.
fn read_variables(element: &Element, problems: &mut Problems) -> (Variables, Variables) {
    let (mut inbound, mut outbound) = (Vec::new(), Vec::new());
    let variables = element.child("variables");
    for variable in variables.into_iter().flat_map(|variables| variables.children_named("variable")) {
        let Some(name) = variable.attribute("name").filter(|name| !name.is_empty()) else {
            problems.warning(variable.place(), "a `<variable>` without a name has no effect");
            continue;
        };
        let pair = (name.to_owned(), variable.attribute("value").unwrap_or_default().to_owned());
        match variable.attribute("direction").map(str::to_ascii_lowercase).as_deref() {
            Some("inbound") => inbound.push(pair),
            Some("outbound") => outbound.push(pair),
            None | Some("both" | "") => {
                inbound.push(pair.clone());
                outbound.push(pair);
            }
            Some(other) => {
                let what = format!("`direction` is `{other}`");
                problems.error_expecting(variable.place_of("direction"), what, "`inbound` or `outbound`");
            }
        }
    }
    (inbound, outbound)
}

/// A host, and port, that may have been written as a URI.
fn without_scheme(text: &str) -> &str {
    text.strip_prefix("sip:").unwrap_or(text)
}

/// The host of `host:port;params`.
fn host_of(text: &str) -> &str {
    let text = without_scheme(text).split(';').next().unwrap_or_default();
    if text.starts_with('[') {
        return text.split_inclusive(']').next().unwrap_or(text);
    }
    text.split(':').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(xml: &str) -> (Option<Gateway>, Vec<String>) {
        let mut problems = Problems::new();
        let document = config::parse_plain("g.xml", xml.as_bytes(), &mut problems).expect("well-formed");
        let gateway = read(document.root(), &mut problems);
        (gateway, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_static_gateway_is_taken_with_its_defaults() {
        let (gateway, problems) = gateway(
            r#"<gateway name="carrier_1">
                 <param name="proxy" value="sip:192.0.2.7:5080;transport=tcp"/><param name="register" value="false"/>
                 <param name="username" value="u"/><param name="password" value="p"/><param name="ping" value="25"/>
                 <variables><variable name="a" value="1" direction="inbound"/><variable name="b" value="2"/></variables>
               </gateway>"#,
        );
        let gateway = gateway.expect("usable");
        assert_eq!(gateway.proxy, "192.0.2.7:5080;transport=tcp");
        assert_eq!((gateway.from_user.as_str(), gateway.from_domain.as_str()), ("u", "192.0.2.7"));
        assert_eq!(gateway.inbound_variables, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        assert_eq!(gateway.outbound_variables, [("b".into(), "2".into())]);
        assert_eq!(gateway.credentials.map(|credentials| credentials.realm), Some(None));
        assert_eq!(problems, ["g.xml:3:86: `ping` has no effect here"]);
    }

    #[test]
    fn one_that_must_register_is_down_and_one_without_a_usable_name_is_none() {
        let (down, problems) = gateway(r#"<gateway name="x"><param name="proxy" value="h"/></gateway>"#);
        assert!(down.expect("kept, so that calls to it fail by their right cause").register);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("g.xml:1:1: gateway `x` would have to register"));
        let (none, problems) = gateway(r#"<gateway name="a b"/>"#);
        assert!(none.is_none());
        assert!(problems[0].contains("`a b` cannot be used"), "{problems:?}");
    }

    #[test]
    fn hosts_are_found_in_all_their_forms() {
        assert_eq!(host_of("sip:example.com:5080;transport=tcp"), "example.com");
        assert_eq!(host_of("[2001:db8::1]:5060"), "[2001:db8::1]");
        assert_eq!(host_of("example.com"), "example.com");
    }
}
