//! What a caller writes stays what he wrote: no second leg, no variable, no function, no header, no other destination comes
//! of it (faults.md D1, D2, D5, D6).

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::conf::Conf;
use crate::peers::{Invite, Peer, assert_alive, header, response, sdp, status, unique};
use crate::site::Site;
use crate::switch::Switch;

/// A gateway's far end, a caller, and an address that must never hear anything.
struct Stage {
    site: Site,
    switch: Switch,
    caller: Peer,
    gateway: Peer,
    attacker: Peer,
}

impl Stage {
    /// A switch that sends every number by `bridge`.
    fn new(name: &str, bridge: &str) -> Stage {
        let site = Site::new(name);
        let attacker = Peer::bind(SocketAddr::new(site.other_callee().ip(), 5_060));
        let gateway = Peer::bind(site.callee());
        let conf = Conf::new(&site)
            .gateway("gw", &site.callee().to_string())
            .extension("7(?s).*", &[("transfer", "8${destination_number} XML transit")])
            .extension("(?s).*", &[("set", "seen=${caller_id_name}"), ("bridge", bridge)]);
        let switch = Switch::start(&site, &conf);
        let caller = Peer::bind(site.caller());
        Stage { site, switch, caller, gateway, attacker }
    }

    /// Calls with this INVITE; the far end, if it is reached, is busy. Gives the INVITE that it got.
    fn call(&self, invite: &Invite) -> Option<String> {
        self.caller.send(self.site.switch(), invite.text());
        let mut offer = None;
        let answer = crate::wait::until("the end of the call", crate::peers::ANSWER_MAX, || {
            while let Some(request) = self.gateway.receive(Duration::from_millis(1)) {
                if request.starts_with("INVITE ") {
                    let busy = response(&request, "486 Busy Here", self.gateway.local, "", "");
                    self.gateway.send(self.site.switch(), busy);
                    assert!(offer.is_none(), "a second INVITE:\n{request}");
                    offer = Some(request);
                }
            }
            let message = self.caller.receive(Duration::from_millis(1))?;
            (header(&message, "Call-ID") == Some(&*invite.name)
                && status(&message).is_some_and(|status| status >= 300))
            .then_some(message)
        });
        self.caller.send(self.site.switch(), invite.ack_of_refusal(&answer));
        if offer.is_some() {
            assert_eq!(status(&answer), Some(486), "{answer}");
        }
        offer
    }

    /// Nobody but the gateway has heard anything, nothing was left behind, and the switch is well.
    fn finish(self) {
        assert_alive(self.site.switch(), self.attacker.local.ip());
        let heard = self.attacker.receive(Duration::from_millis(100));
        assert_eq!(heard, None, "the attacker was called");
        self.switch.stop_empty();
    }
}

/// Everything that means something somewhere between a header and a dial string.
fn poisons(attacker: SocketAddr, site: &Path) -> Vec<String> {
    let mut poisons: Vec<String> = [
        "100,sofia/transit/evil@ATTACKER",
        "100|sofia/transit/evil@ATTACKER",
        "100:_:sofia/transit/evil@ATTACKER",
        "x},sofia/transit/evil@ATTACKER,{y",
        "x],sofia/transit/evil@ATTACKER,[y",
        "x>sofia/transit/evil@ATTACKER",
        "x}error/USER_BUSY|{y",
        "{sip_h_X-Evil=1}100",
        "[sip_h_X-Evil=1]100",
        "<sip_h_X-Evil=1>100",
        "a,sip_h_X-Evil=1",
        "a',sip_h_X-Evil='1",
        "^^:sip_h_X-Evil=1:",
        "ARRAY::a|:sip_h_X-Evil=1",
        "100@ATTACKER",
        "100@ATTACKER;transport=udp",
        "100;fs_path=sip:ATTACKER",
        "100;maddr=ATTACKER_IP",
        "100^evil@ATTACKER",
        "100?X-Evil=1",
        "100>;tag=1\"",
        "100/evil@ATTACKER",
        "../../gateway/gw/1",
        " inline answer,park",
        "1 XML public",
        "1:XML:public",
        "${system(touch SITE/evil)}",
        "${expand(${system(touch SITE/evil)})}",
        "${uuid_kill(${uuid})}",
        "${destination_number}",
        "${caller_id_name}",
        "$${hostname}",
        "\\${caller_id_name}",
        "\\'\\,\\|\\n\\s\\\\",
        "%s%n%x%99999d",
        "%0d%0aX-Evil: 1",
        "'; DROP TABLE cdr; --",
        "</Record><x>&amp;]]>",
        "$1 $2 ${1}",
        "äöü €",
    ]
    .map(str::to_owned)
    .to_vec();
    for poison in &mut poisons {
        *poison = poison
            .replace("ATTACKER_IP", &attacker.ip().to_string())
            .replace("ATTACKER", &attacker.to_string())
            .replace("SITE", &site.display().to_string());
    }
    poisons
}

/// `text` as the user part of a URI: all but letters and digits escaped.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `text` in quotes (RFC 3261 §25.1).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The user part of the URI in a request line or a name-addr.
fn user_of(text: &str) -> String {
    let uri = text.rsplit_once("<sip:").or_else(|| text.split_once("sip:")).expect("a URI").1;
    uri.rsplit_once('@').map_or(String::new(), |(user, _)| unescaped(user))
}

/// The display name of a name-addr, quotes and escapes taken off.
fn display_of(text: &str) -> String {
    let Some(inner) = text.trim().strip_prefix('"') else {
        return text.split('<').next().unwrap_or_default().trim().to_owned();
    };
    let mut display = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => display.extend(characters.next()),
            other => display.push(other),
        }
    }
    display
}

/// The INVITE goes to the gateway alone and carries nothing that was not asked for.
fn assert_tame(offer: &str, gateway: SocketAddr, poison: &str) {
    let line = offer.lines().next().unwrap_or_default();
    assert!(line.ends_with(&format!("@{gateway} SIP/2.0")), "{poison}: {line}");
    let is_evil = |line: &str| line.trim_start().to_ascii_lowercase().starts_with("x-evil");
    assert!(!offer.split(['\r', '\n']).any(is_evil), "{poison}: a header was made of it:\n{offer}");
}

#[test]
fn what_a_caller_dials_is_one_number_and_nothing_else() {
    let stage = Stage::new("poison-number", "sofia/gateway/gw/${destination_number}");
    let body = sdp(stage.site.caller_audio());
    for poison in poisons(stage.attacker.local, stage.site.directory()) {
        let invite = Invite::new(&escaped(&poison), stage.site.switch(), stage.caller.local, &body);
        let offer = stage.call(&invite).unwrap_or_else(|| panic!("{poison}: no call"));
        assert_tame(&offer, stage.gateway.local, &poison);
        assert_eq!(user_of(offer.lines().next().expect("a line")), poison, "{offer}");

        let invite =
            Invite::new(&format!("7{}", escaped(&poison)), stage.site.switch(), stage.caller.local, &body);
        let offer = stage.call(&invite).unwrap_or_else(|| panic!("{poison}: no call behind a transfer"));
        assert_tame(&offer, stage.gateway.local, &poison);
        assert_eq!(user_of(offer.lines().next().expect("a line")), format!("87{poison}"), "{offer}");
    }
    assert!(!stage.site.directory().join("evil").exists(), "a function of the caller's was run");
    stage.finish();
}

#[test]
fn what_a_caller_calls_himself_is_a_name_and_nothing_else() {
    let bridge = "<origination_caller_id_number=${caller_id_number}>\
        {origination_caller_id_name=${caller_id_name},sip_h_X-Name=${seen},sip_h_X-Channel=${channel_name}}\
        [origination_privacy=none,sip_h_X-Copy=${sip_h_X-From}]sofia/gateway/gw/100";
    let stage = Stage::new("poison-name", bridge);
    let body = sdp(stage.site.caller_audio());
    for poison in poisons(stage.attacker.local, stage.site.directory()) {
        let invite = Invite::new("100", stage.site.switch(), stage.caller.local, &body);
        let party = format!("{} <sip:{}@{}>", quoted(&poison), escaped(&poison), stage.caller.local.ip());
        let invite = invite.with_party(&party).with_headers(&format!("X-From: {poison}\r\n"));
        let offer = stage.call(&invite).unwrap_or_else(|| panic!("{poison}: no call"));
        assert_tame(&offer, stage.gateway.local, &poison);
        assert_eq!(display_of(header(&offer, "From").expect("From")), poison, "{offer}");
        assert!(header(&offer, "X-Channel").is_some_and(|name| name.contains(&poison)), "{offer}");
        for name in ["X-Name", "X-Copy", "X-From"] {
            assert_eq!(header(&offer, name), Some(poison.trim()), "{offer}");
        }
        let identity = header(&offer, "Remote-Party-ID").expect("an identity");
        assert_eq!((display_of(identity), user_of(identity)), (poison.clone(), poison), "{offer}");
    }
    assert!(!stage.site.directory().join("evil").exists(), "a function of the caller's was run");
    stage.finish();
}

/// D5: ends of lines in whatever disguise.
#[test]
fn the_end_of_a_line_in_a_value_makes_no_header() {
    let bridge = "{origination_caller_id_name=${caller_id_name},sip_h_X-Copy=${sip_h_X-From}}\
        sofia/gateway/gw/${destination_number}";
    let stage = Stage::new("poison-lines", bridge);
    let ip = stage.caller.local.ip();
    let body = sdp(stage.site.caller_audio());
    let mut reached = 0;
    for end in
        ["\r\n ", "\r\n\t", "\r", "\n", "\\\r\n ", "\\\n", "\u{85}", "\u{2028}", "\u{b}", "\u{c}", "\0"]
    {
        let evil = format!("a{end}X-Evil: 1");
        let party = format!("\"{evil}\" <sip:900@{ip}>");
        let plain = Invite::new("100", stage.site.switch(), stage.caller.local, &body);
        for invite in [
            plain.clone().with_party(&party),
            plain.clone().with_headers(&format!("X-From: {evil}\r\n")),
            plain.clone().with_headers(&format!("P-Asserted-Identity: {party}\r\n")),
            plain.clone().with_headers(&format!("Diversion: {party}\r\nUser-Agent: {evil}\r\n")),
            plain.clone().with_party(&format!("<sip:{}@{ip}>", escaped(&evil))),
            Invite::new(&escaped(&evil), stage.site.switch(), stage.caller.local, &body),
        ] {
            let invite = Invite { name: unique(), ..invite };
            if let Some(offer) = stage.call(&invite) {
                assert_tame(&offer, stage.gateway.local, &evil.escape_debug().to_string());
                assert!(!offer.contains('\0'), "NUL was passed on:\n{offer}");
                reached += 1;
            }
        }
    }
    // Most of them are odd but no fault; else this would show nothing.
    assert!(reached >= 40, "{reached} calls went through");
    stage.finish();
}

/// D6, D9: what is logged and recorded stays one line each, and readable.
#[test]
fn names_cannot_write_lines_of_the_log_or_of_the_records() {
    let stage = Stage::new("poison-log", "sofia/gateway/gw/100");
    let forged = "x\u{1b}[2J\u{7}\" ,\"y\\\",\"${uuid}";
    let ip = stage.caller.local.ip();
    let body = sdp(stage.site.caller_audio());
    let number = escaped("1\n2026-01-01T00:00:00Z ERROR forged\r\n\"a\",\"b\u{1b}[31m");
    let invite = Invite::new(&number, stage.site.switch(), stage.caller.local, &body)
        .with_party(&format!("{} <sip:{number}@{ip}>", quoted(forged)))
        .with_headers(&format!("User-Agent: {}\r\n", "a\u{1b}]0;x\u{7}".repeat(1_000)));
    stage.call(&invite).expect("a call");
    let rows = stage.switch.await_records(2);
    let fields = crate::conf::RECORD_TEMPLATE.split(',').count();
    for row in rows {
        assert_eq!(row.len(), fields, "{row:?}");
    }
    let said = stage.switch.output();
    for line in said.lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00Z ERROR forged"), "{said}");
        assert!(!line.contains(['\u{7}', '\r']), "{said}");
        assert!(line.len() < 4_096, "a line of {} bytes", line.len());
    }
    stage.finish();
}

/// The other direction: a far end that refuses with headers of its own.
#[test]
fn a_far_end_cannot_write_headers_to_the_caller() {
    let stage = Stage::new("poison-answer", "sofia/gateway/gw/100");
    let body = sdp(stage.site.caller_audio());
    for (line, headers) in [
        ("486 Busy\rX-Evil: 1", ""),
        ("486 Busy\nX-Evil: 1", ""),
        ("486 Busy", "Reason: Q.850;cause=17;text=\"a\r\n X-Evil: 1\"\r\n"),
        ("486 Busy", "Reason: Q.850;cause=17;text=\"a\rX-Evil: 1\"\r\n"),
        ("486 Busy", "Reason: SIP;cause=486;text=\"a\nX-Evil: 1\"\r\n"),
        ("486 Busy", "Reason: Q.850;cause=99999999999999999999\r\nReason: ;;;;\r\n"),
        ("486 ", ""),
        ("486", ""),
    ] {
        let invite = Invite::new("100", stage.site.switch(), stage.caller.local, &body);
        stage.caller.send(stage.site.switch(), invite.text());
        let offer = stage.gateway.expect_request("INVITE");
        // A proper one behind it, in case that the first cannot be read.
        for (line, headers) in [(line, headers), ("486 Busy Here", "")] {
            let refusal = response(&offer, line, stage.gateway.local, headers, "");
            stage.gateway.send(stage.site.switch(), refusal);
        }
        let answer = stage.caller.expect_final(&invite.name, "INVITE");
        stage.caller.send(stage.site.switch(), invite.ack_of_refusal(&answer));
        assert_eq!(status(&answer), Some(486), "{answer}");
        let is_evil = |line: &str| line.trim_start().to_ascii_lowercase().starts_with("x-evil");
        assert!(
            !answer.split(['\r', '\n']).any(is_evil),
            "a header was made of {line:?} {headers:?}:\n{answer}"
        );
    }
    stage.finish();
}
