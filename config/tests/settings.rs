//! Typed getters over parameters.

use config::{Document, Problems, Settings, Unit, parse_plain};
use std::time::Duration;

fn document(params: &str) -> Document {
    let text = format!("<settings>\n{params}\n</settings>");
    parse_plain("x.conf.xml", text.as_bytes(), &mut Problems::new()).expect("well-formed")
}

/// What reading the parameters in some way tells.
fn told(params: &str, read: impl FnOnce(&mut Settings<'_>)) -> Vec<String> {
    let document = document(params);
    let mut settings = Settings::new(document.root());
    let mut problems = Problems::new();
    read(&mut settings);
    settings.finish(&mut problems);
    problems.iter().map(|problem| format!("{} {problem}", problem.severity)).collect()
}

#[test]
fn missing_and_empty_parameters_take_their_defaults() {
    let params = "<param name='port' value=''/><param name='time' value=''/><param name='mode' value=''/>";
    let findings = told(params, |settings| {
        assert_eq!(settings.number("port", 5_060, 1..=65_535), 5_060);
        assert_eq!(settings.number("absent", 7_u16, 1..=9), 7);
        let second = Duration::from_secs(1);
        assert_eq!(settings.duration("time", Unit::Seconds, second, second..=second), second);
        assert_eq!(settings.choice("mode", 3, &[("a", 1)]), 3);
        assert!(settings.boolean("absent", true));
        assert_eq!(settings.text("absent"), None);
        assert_eq!(settings.text_or("mode", "b"), "b");
        assert!(settings.list("absent").is_empty());
    });
    assert_eq!(findings, Vec::<String>::new());
    assert!(Settings::empty().boolean("x", true));
}

#[test]
fn values_are_read_by_name_without_case() {
    let params = "<param name='SIP-Port' value=' 5080 '/><param name='on' value='Enabled'/>\
                  <param name='zero' value='0'/><param name='codecs' value='PCMU, ,PCMA,'/>\
                  <param name='acl' value='a'/><param name='acl' value='b'/><param name='mode' value='Fast'/>";
    let findings = told(params, |settings| {
        assert_eq!(settings.number("sip-port", 5_060_u16, 1..=65_535), 5_080);
        assert!(settings.boolean("on", false));
        assert!(!settings.boolean("zero", true));
        assert_eq!(settings.list("codecs"), ["PCMU", "PCMA"]);
        assert_eq!(settings.all("acl"), ["a", "b"]);
        assert_eq!(settings.choice("mode", 0, &[("slow", 1), ("fast", 2)]), 2);
    });
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn durations_know_their_units() {
    let params = "<param name='a' value='30'/><param name='b' value='250ms'/><param name='c' value='2 m'/>\
                  <param name='d' value='1h'/><param name='e' value='5 days'/><param name='f' value='99999999999999999999'/>";
    let findings = told(params, |settings| {
        let range = Duration::ZERO..=Duration::from_secs(7_200);
        let mut ms = |name| settings.duration(name, Unit::Seconds, Duration::ZERO, range.clone()).as_millis();
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(&mut ms), [30_000, 250, 120_000, 3_600_000, 0, 0]);
    });
    assert_eq!(findings.len(), 2);
    assert!(findings[0].ends_with("`e` is `5 days`, expected 0ns to 7200s"), "{findings:?}");
}

#[test]
fn a_wrong_value_is_an_error_at_its_place_with_what_was_expected() {
    let params = "<param name='port' value='70000'/>\n  <param name='port2' value='80x'/>\n\
                  <param name='flag' value='maybe'/>\n<param name='mode' value='quick'/>\n<param name='ip' value='1.2.3'/>";
    let findings = told(params, |settings| {
        assert_eq!(settings.number("port", 5_060_u16, 1..=65_535), 5_060);
        assert_eq!(settings.number("port2", 5_060_u16, 1..=65_535), 5_060);
        assert!(settings.boolean("flag", true));
        assert_eq!(settings.choice("mode", 0, &[("slow", 1), ("fast", 2)]), 0);
        let address = settings.parsed::<std::net::IpAddr>("ip", "an IP address", |text| text.parse().ok());
        assert_eq!(address, None);
        settings.error("mode", "not with this profile");
    });
    assert_eq!(
        findings,
        [
            "error x.conf.xml:2:27: `port` is `70000`, expected a number from 1 to 65535",
            "error x.conf.xml:3:30: `port2` is `80x`, expected a number from 1 to 65535",
            "error x.conf.xml:4:27: `flag` is `maybe`, expected `true` or `false`",
            "error x.conf.xml:5:27: `mode` is `quick`, expected `slow`, `fast`",
            "error x.conf.xml:6:25: `ip` is `1.2.3`, expected an IP address",
            "error x.conf.xml:5:27: `mode`: not with this profile",
        ]
    );
}

#[test]
fn unknown_parameters_are_told_with_the_name_they_probably_meant() {
    let params = "<param name='sip-prot' value='1'/>\n<param name='entirely-else' value='1'/>\n<parm name='x' value='1'/>\n\
                  <param value='1'/>\n<domains/>";
    let findings = told(params, |settings| {
        settings.text("sip-port");
        let unread: Vec<_> = settings.unread().collect();
        assert_eq!(unread, [("sip-prot", "1"), ("entirely-else", "1")]);
    });
    assert_eq!(
        findings,
        [
            "warning x.conf.xml:4:1: `<parm>` has no effect, expected `<param>`",
            "warning x.conf.xml:5:1: a `<param>` without a name has no effect",
            "warning x.conf.xml:2:14: unknown parameter `sip-prot`, expected `sip-port`",
            "warning x.conf.xml:3:14: unknown parameter `entirely-else`",
        ]
    );
}

#[test]
fn known_parameters_without_effect_are_told_and_accepted_ones_are_not() {
    let params = "<param name='a' value='1'/>\n<param name='b' value='1'/>";
    let findings = told(params, |settings| {
        settings.accept(&["a", "z"]);
        settings.without_effect(&["b", "y"]);
    });
    assert_eq!(findings, ["warning x.conf.xml:3:1: `b` has no effect here"]);
}

#[test]
fn of_a_repeated_parameter_the_last_counts_and_that_is_told_once() {
    let params = "<param name='a' value='1'/>\n<param name='A' value='2'/>";
    let findings = told(params, |settings| {
        assert_eq!(settings.text("a"), Some("2"));
        assert_eq!(settings.text("a"), Some("2"));
        assert_eq!(settings.place("a").map(|place| place.line), Some(3));
    });
    assert_eq!(
        findings,
        ["warning x.conf.xml:3:1: `a` is given again: this one counts, not the one at x.conf.xml:2:1"]
    );
}

#[test]
fn other_children_than_param_can_be_read_as_settings() {
    let document = document("<variable name='a' value='1'/><param name='b' value='2'/>");
    let mut settings = Settings::of(document.root(), "variable");
    assert_eq!((settings.text("a"), settings.text("b")), (Some("1"), None));
}
