//! Whole configurations in memory, on a machine that has two addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use ::config::MemoryFiles;
use engine::BackEndChoice;
use signaling::{ListenerId, ProfileId, Transport};
use switch::{AccessRule, CallerIdType, CodecNegotiation};

use super::assemble::{Assembly, Numbers, assemble};
use super::cdr_csv::Legs;
use super::*;
use crate::cli::MediaBackEnd;

struct TestMachine;

impl Machine for TestMachine {
    fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback() || address == self.default_address(address.is_ipv6())
    }

    fn default_address(&self, v6: bool) -> IpAddr {
        if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::new(10, 0, 0, 1).into() }
    }

    fn hostname(&self) -> String {
        "testhost".to_owned()
    }

    fn prefix_bits(&self, _address: IpAddr) -> Option<u8> {
        Some(24)
    }
}

const DIALPLAN: &str = r#"<section name="dialplan"><context name="public"/></section>"#;

/// Loads a root document of these sections.
fn load_sections(sections: &str) -> Loaded {
    let root = format!("<document>\n{sections}\n</document>");
    let files = MemoryFiles::new().with("/opt/cp/conf/freeswitch.xml", root);
    load(&files, &Directories::of(Path::new("/opt/cp/conf")), &TestMachine, false)
}

/// Loads these configurations and a small dialplan; gives what was found, too.
fn load_configurations(configurations: &str) -> (Option<Settings>, Vec<String>) {
    let Loaded { settings, problems } =
        load_sections(&format!("<section name=\"configuration\">{configurations}</section>{DIALPLAN}"));
    let told = problems.iter().map(|problem| format!("{}: {}", problem.severity, problem.what)).collect();
    (settings, told)
}

fn load_profile(profile: &str) -> (Option<Settings>, Vec<String>) {
    load_configurations(&format!(
        r#"<configuration name="sofia.conf"><profiles>{profile}</profiles></configuration>"#
    ))
}

fn params(list: &[(&str, &str)]) -> String {
    let of = |(name, value): &(&str, &str)| format!(r#"<param name="{name}" value="{value}"/>"#);
    format!("<settings>{}</settings>", list.iter().map(of).collect::<String>())
}

fn profile(name: &str, list: &[(&str, &str)]) -> String {
    format!(r#"<profile name="{name}">{}</profile>"#, params(list))
}

#[test]
fn a_profile_without_parameters_has_the_defaults() {
    let (settings, told) = load_profile(r#"<profile name="p"><settings/></profile>"#);
    let settings = settings.expect("usable");
    assert_eq!(told, ["warning: profile `p`: the dialplan has no context `default`"]);
    let profile = &settings.profiles[0];
    let listeners: Vec<_> =
        profile.endpoint.listeners.iter().map(|l| (l.transport, l.local.to_string())).collect();
    let local = "10.0.0.1:5060".to_owned();
    assert_eq!(listeners, [(Transport::Udp, local.clone()), (Transport::Tcp, local)]);
    assert_eq!((profile.calls.context.as_str(), profile.calls.dialplan.as_str()), ("default", "XML"));
    assert_eq!(profile.media_addresses, [IpAddr::from([10, 0, 0, 1])]);
    assert_eq!(
        profile.endpoint.user_agent.as_deref(),
        Some(concat!("Crosspoint/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(settings.core, CoreSettings::default());
    assert_eq!(settings.records, None);
}

#[test]
fn every_parameter_of_a_profile_arrives_where_it_belongs() {
    let list = [
        ("sip-ip", "127.0.0.1"),
        ("sip-port", "5080"),
        ("rtp-ip", "127.0.0.1"),
        ("rtp-ip", "10.0.0.1"),
        ("ext-sip-ip", "198.51.100.1"),
        ("ext-rtp-ip", "198.51.100.2"),
        ("bind-params", "transport=udp"),
        ("context", "public"),
        ("username", "sbc"),
        ("user-agent-string", "_undef_"),
        ("timer-T1", "250"),
        ("max-proceeding", "100"),
        ("max-recv-requests-per-second", "5000"),
        ("auth-calls", "yes"),
        ("apply-inbound-acl", "loopback.auto:trusted:untrusted"),
        ("apply-inbound-acl", "10.0.0.0/8"),
        ("caller-id-type", "pid"),
        ("codec-prefs", "PCMU,opus@48000h"),
        ("outbound-codec-prefs", "PCMA@30i"),
        ("inbound-codec-negotiation", "scrooge"),
        ("inbound-late-negotiation", "true"),
        ("inbound-bypass-media", "true"),
        ("inbound-proxy-media", "true"),
        ("rfc2833-pt", "97"),
        ("disable-rtp-auto-adjust", "true"),
        ("rtp-timeout-sec", "30"),
        ("media_hold_timeout", "60000"),
        ("rtcp-audio-interval-msec", "passthru"),
    ];
    let xml = profile("p", &list).replace(
        "<settings>",
        r#"<aliases><alias name="a"/></aliases><domains><domain name="d" alias="true"/><domain name="all" alias="false"/></domains><settings>"#,
    );
    let (settings, told) = load_profile(&xml);
    assert_eq!(told, Vec::<String>::new());
    let SipProfile { endpoint, calls, media_addresses, .. } = settings.expect("usable").profiles.remove(0);
    assert_eq!(endpoint.listeners.len(), 1);
    assert_eq!(endpoint.listeners[0].local.to_string(), "127.0.0.1:5080");
    assert_eq!(endpoint.listeners[0].advertised.to_string(), "198.51.100.1:5080");
    assert_eq!((endpoint.user_agent, endpoint.t1_ms, endpoint.max_proceeding), (None, 250, 100));
    assert_eq!(endpoint.max_recv_requests_per_second, 5_000);
    assert_eq!(media_addresses, [IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1])]);
    assert_eq!(calls.aliases, ["a", "d"]);
    assert_eq!(
        (calls.context.as_str(), calls.sdp_username.as_str(), calls.host.as_str()),
        ("public", "sbc", "198.51.100.1")
    );
    assert_eq!(calls.media_advertised, Some(IpAddr::from([198, 51, 100, 2])));
    let rule = |list: &str, pass: Option<&str>, fail: Option<&str>| AccessRule {
        list: list.to_owned(),
        context_pass: pass.map(str::to_owned),
        context_fail: fail.map(str::to_owned),
    };
    let rules = [rule("loopback.auto", Some("trusted"), Some("untrusted")), rule("10.0.0.0/8", None, None)];
    assert_eq!(calls.inbound_access, rules);
    assert_eq!(
        (calls.caller_id_type, calls.codec_negotiation),
        (CallerIdType::Pid, CodecNegotiation::Scrooge)
    );
    assert_eq!((calls.inbound_codecs.len(), calls.outbound_codecs.len()), (2, 1));
    assert_eq!(calls.outbound_codecs[0].ptime_ms, Some(30));
    assert!(calls.authenticate_calls && calls.late_negotiation && calls.bypass_media && calls.proxy_media);
    assert!(calls.rtcp_passthrough && !calls.media_learning);
    assert_eq!((calls.media_timeout_ms, calls.media_hold_timeout_ms), (30_000, 60_000));
    assert_eq!(calls.telephone_event_payload_type, 97);
}

#[test]
fn a_value_of_the_wrong_type_refuses_the_configuration() {
    for (name, value) in [
        ("sip-port", "fifty"),
        ("sip-port", "70000"),
        ("sip-ip", "example.com"),
        ("rtp-ip", "nowhere"),
        ("ext-rtp-ip", "nonsense"),
        ("auth-calls", "perhaps"),
        ("bind-params", "transport=carrier-pigeon"),
        ("inbound-codec-negotiation", "stingy"),
        ("rtcp-audio-interval-msec", "often"),
        ("rfc2833-pt", "8"),
        ("media_timeout", "long"),
    ] {
        let (settings, told) = load_profile(&profile("p", &[("context", "public"), (name, value)]));
        assert!(settings.is_none(), "{name}={value} was taken");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0], format!("error: `{name}` is `{value}`"));
    }
}

#[test]
fn what_does_not_exist_here_is_told_and_all_else_loads() {
    let list = [
        ("context", "pubic"),
        ("sip-ip", "203.0.113.9"),
        ("rtp-ip", "127.0.0.1"),
        ("ext-rtp-ip", "stun:stun.example.com"),
        ("inbound-codec-prefs", "PCMA,PCMX,VP8"),
        ("enable-100rel", "true"),
        ("sip-prot", "5070"),
        ("tls", "false"),
        ("tls-sip-port", "5061"),
        ("apply-inbound-acl", "carriers"),
    ];
    let (settings, told) = load_profile(&profile("p", &list));
    assert_eq!(settings.expect("usable").profiles[0].calls.inbound_codecs.len(), 1);
    assert_eq!(
        told,
        [
            "warning: this machine does not have the address 203.0.113.9",
            "warning: `ext-rtp-ip` is `stun:stun.example.com`, which does not exist here: our own address is told",
            "warning: codec `PCMX` does not exist here",
            "warning: codec `VP8` does not exist here",
            "warning: `enable-100rel` has no effect here",
            "warning: unknown parameter `sip-prot`",
            "warning: profile `p`: there is no access list `carriers`",
            "warning: profile `p`: the dialplan has no context `pubic`",
        ]
    );
}

#[test]
fn unknown_sections_configurations_and_modules_are_told_with_their_place_and_a_near_name() {
    let Loaded { settings, problems } = load_sections(
        r#"<section name="configuration">
             <configuration name="switch.cnf"/>
             <configuration name="modules.conf"><modules><load module="mod_sofa"/><load module="mod_sofia"/></modules></configuration>
           </section>
           <section name="languages"/>"#,
    );
    assert!(settings.is_some());
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "/opt/cp/conf/freeswitch.xml:6:27: section `languages` has no effect here",
            "/opt/cp/conf/freeswitch.xml:3:35: configuration `switch.cnf` has no effect here, expected `switch.conf`",
            "/opt/cp/conf/freeswitch.xml:4:72: module `mod_sofa` does not exist here, expected `mod_sofia`",
            "there is no `sofia.conf`: nothing is listened on",
            "/opt/cp/conf/freeswitch.xml:1:1: there is no section `dialplan`: no call can be routed",
        ]
    );
}

#[test]
fn a_second_profile_of_a_name_or_at_an_address_has_no_effect() {
    let at = |port: &'static str| [("sip-port", port), ("context", "public")];
    let xml = [
        profile("a", &at("5060")),
        profile("A", &at("5070")),
        profile("b", &at("5060")),
        profile("c", &at("5080")),
    ];
    let (settings, told) = load_profile(&xml.concat());
    let names: Vec<_> = settings.expect("usable").profiles.iter().map(|p| p.calls.name.clone()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with(
            "warning: this profile `A` has no effect: the one at /opt/cp/conf/freeswitch.xml:2:"
        )
    );
    assert_eq!(told[1], "warning: profile `b` has no effect: profile `a` listens on 10.0.0.1:5060 already");
}

#[test]
fn a_dialplan_that_names_what_does_not_exist_is_told_where() {
    let dialplan = r#"<section name="dialplan"><context name="public"><extension name="e"><condition>
        <action application="bridge" data="sofia/gateway/carier/1,verto/x,[leg_timeout=3]sofia/p/1@h"/>
        <action application="bridge" data="sofia/gateway/${gw}/1|sofia/q/1@h"/>
        <action application="bridge" data="{ignore_early_media=true}error/user_busy"/>
        <action application="set" data="hold_music=x"/><action application="set" data="hold_music=y"/>
        <action application="sett" data="a=b"/>
      </condition></extension></context></section>"#;
    let gateway =
        r#"<gateways><gateway name="carrier"><param name="register" value="false"/></gateway></gateways>"#;
    let profile =
        profile("p", &[("context", "public")]).replace("<settings>", &format!("{gateway}<settings>"));
    let Loaded { settings, problems } = load_sections(&format!(
        r#"<section name="configuration"><configuration name="sofia.conf"><profiles>{profile}</profiles></configuration></section>{dialplan}"#
    ));
    assert!(settings.is_some());
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let told: Vec<&str> =
        told.iter().map(|text| text.trim_start_matches("/opt/cp/conf/freeswitch.xml:")).collect();
    let (last, told) = told.split_last().expect("findings");
    assert_eq!(
        told,
        [
            "3:44: there is no gateway `carier`, expected `carrier`",
            "3:44: endpoint type `verto` does not exist here",
            "4:44: there is no profile `q`",
            "6:41: variable `hold_music` has no effect here",
        ]
    );
    assert!(last.starts_with("7:30: there is no application `sett`"), "{last}");
}

#[test]
fn the_core_takes_its_limits_and_refuses_a_range_without_ports() {
    let configuration = |list: &[(&str, &str)]| {
        let (settings, told) = load_configurations(&format!(
            r#"<configuration name="switch.conf">{}</configuration>"#,
            params(list)
        ));
        (settings.map(|settings| settings.core), told)
    };
    let (core, _) = configuration(&[
        ("rtp-start-port", "20001"),
        ("rtp-end-port", "20006"),
        ("max-sessions", "10"),
        ("sessions-per-second", "5"),
        ("shutdown-grace-s", "30"),
        ("media-back-end", "mmsg"),
        ("media-workers", "2"),
    ]);
    let core = core.expect("usable");
    assert_eq!(core.rtp_ports(), 2);
    assert_eq!((core.sessions_max, core.sessions_per_second_max), (10, 5));
    assert_eq!(core.shutdown_grace, Duration::from_secs(30));
    assert_eq!((core.media_back_end, core.workers), (MediaBackEnd::Mmsg, Some(2)));
    assert_eq!(CoreSettings::default().rtp_ports(), 8_192);
    let (core, told) = configuration(&[("rtp-start-port", "20001"), ("rtp-end-port", "20002")]);
    assert_eq!(core, None);
    assert!(told[0].starts_with("error: `rtp-end-port`: holds no even port"), "{told:?}");
}

#[test]
fn records_follow_their_configuration() {
    let (settings, told) = load_configurations(
        r#"<configuration name="cdr_csv.conf">
             <settings><param name="log-base" value="/var/x"/><param name="legs" value="ab"/><param name="default-template" value="mine"/>
               <param name="rotate-on-hup" value="true"/></settings>
             <templates><template name="mine">"${uuid}",&quot;${billsec}&quot;</template><template name="1000">x</template></templates>
           </configuration>"#,
    );
    let records = settings.expect("usable").records.expect("configured");
    assert_eq!(told, ["warning: there is no `sofia.conf`: nothing is listened on"]);
    assert_eq!(records.directory, Path::new("/var/x/cdr-csv"));
    assert_eq!((records.legs, records.rotate_on_hup, records.master_file_only), (Legs::Both, true, false));
    assert_eq!(records.default_template.variables().collect::<Vec<_>>(), ["uuid", "billsec"]);
    assert_eq!(records.templates.len(), 2);
    let (settings, told) = load_configurations(
        r#"<configuration name="cdr_csv.conf"><settings><param name="default-template" value="exmple"/></settings>
           <templates><template name="example">x</template></templates></configuration>"#,
    );
    let records = settings.expect("usable").records.expect("configured");
    assert_eq!(records.directory, Path::new("/opt/cp/log/cdr-csv"));
    assert_eq!(records.default_template.variables().count(), 18);
    assert!(
        told.contains(&"warning: there is no template `exmple`; the built-in one is used".to_owned()),
        "{told:?}"
    );
}

#[test]
fn access_lists_hold_networks_domains_and_the_built_in_ones() {
    let Loaded { settings, problems } = load_sections(
        r#"<section name="configuration"><configuration name="acl.conf"><network-lists>
             <list name="mixed" default="deny"><node type="allow" cidr="192.0.2.0/24,2001:db8::/32"/><node type="deny" host="192.0.2.128" mask="255.255.255.128"/>
               <node type="allow" domain="example.com"/><node type="allow" domain="absent.com"/></list>
           </network-lists></configuration></section>
           <section name="directory"><domain name="example.com"><groups><group name="g"><users><user id="1" cidr="203.0.113.5/32"/></users></group></groups></domain></section>"#,
    );
    let lists = settings.expect("usable").access_lists;
    let allows = |list: &str, address: &str| lists[list].allows(address.parse().expect("an address"));
    assert!(
        allows("mixed", "192.0.2.1") && !allows("mixed", "192.0.2.200") && allows("mixed", "2001:db8::1")
    );
    assert!(allows("mixed", "203.0.113.5") && !allows("mixed", "203.0.113.6"));
    assert!(allows("loopback.auto", "127.9.9.9") && !allows("loopback.auto", "10.0.0.9"));
    assert!(allows("localnet.auto", "10.0.0.9") && !allows("localnet.auto", "10.0.1.9"));
    assert!(
        allows("rfc1918.auto", "10.0.0.9")
            && allows("nat.auto", "10.0.1.9")
            && !allows("nat.auto", "10.0.0.9")
    );
    assert!(allows("wan.auto", "8.8.8.8") && !allows("wan.auto", "192.168.1.1"));
    assert!(problems.iter().any(|problem| problem.what == "the directory has no domain `absent.com`"));
    let refused = load_configurations(
        r#"<configuration name="acl.conf"><network-lists><list name="x" default="maybe"><node type="allow" cidr="10.0.0.0/99"/></list></network-lists></configuration>"#,
    );
    assert!(refused.0.is_none());
    assert_eq!(
        refused.1[..2],
        ["warning: there is no `sofia.conf`: nothing is listened on", "error: `default` is `maybe`"]
    );
    assert_eq!(refused.1[2], "error: `10.0.0.0/99` is no network");
}

#[test]
fn stamps_follow_the_global_time_zone_or_the_machine() {
    let zone_of = |name: &str| {
        let files = MemoryFiles::new().with(
            "/opt/cp/conf/freeswitch.xml",
            format!(
                "<document>\n<X-PRE-PROCESS cmd=\"set\" data=\"timezone={name}\"/>\n<section name=\"configuration\"><configuration name=\"timezones.conf\">\
                 <timezones><zone name=\"Mars\" value=\"MST-5\"/></timezones></configuration></section>{DIALPLAN}</document>"
            ),
        );
        let loaded = load(&files, &Directories::of(Path::new("/opt/cp/conf")), &TestMachine, false);
        (loaded.settings.expect("usable").time_zone, loaded.problems.len())
    };
    assert_eq!(zone_of("mars"), (Some("MST-5".to_owned()), 1));
    assert_eq!(zone_of("EST5EDT,M3.2.0,M11.1.0").0, Some("EST5EDT,M3.2.0,M11.1.0".to_owned()));
    assert_eq!(zone_of("Nowhere/Land"), (None, 2));
}

fn assembly(profiles: &str, numbers: &mut Numbers) -> (Assembly, Vec<String>) {
    let (settings, _) = load_profile(profiles);
    let mut problems = Problems::new();
    let assembly = assemble(&settings.expect("usable"), numbers, &mut problems);
    (assembly, problems.iter().map(|problem| problem.what.clone()).collect())
}

#[test]
fn numbers_stay_over_a_reload_and_new_media_addresses_wait_for_the_next_start() {
    let mut numbers = Numbers::default();
    let at = |port: &'static str, rtp: &'static str| [("sip-port", port), ("rtp-ip", rtp)];
    let first = [profile("a", &at("5060", "127.0.0.1")), profile("b", &at("5070", "10.0.0.1"))].concat();
    let (before, told) = assembly(&first, &mut numbers);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(before.media.addresses, [IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1])]);
    assert_eq!(before.media.back_end, BackEndChoice::Auto);
    let of = |assembly: &Assembly| -> Vec<(ProfileId, ListenerId, String)> {
        assembly.listeners().iter().map(|(id, l)| (*id, l.id, l.local.to_string())).collect()
    };
    let second = [profile("b", &at("5070", "10.0.0.1")), profile("c", &at("5080", "127.0.0.2"))].concat();
    let (after, told) = assembly(&second, &mut numbers);
    assert_eq!(of(&after)[..2], of(&before)[2..]);
    assert_eq!(of(&after)[2], (ProfileId(2), ListenerId(4), "10.0.0.1:5080".to_owned()));
    assert_eq!(after.configuration.profiles[0].media_addresses, [link::AddressId(1)]);
    assert_eq!(after.configuration.profiles[1].media_addresses, []);
    assert_eq!(
        told,
        [
            "the media address 127.0.0.2 is used from the next start on",
            "profile `c` has no media address: calls with audio fail on it",
        ]
    );
}
