//! Signals and the start: SIGTERM ends calls in order, a second one at once; bad configurations do not start.

use std::process::Command;

use crate::conf::Conf;
use crate::sipp::Run;
use crate::site::Site;
use crate::switch::{Switch, binary};

#[test]
fn sigterm_lets_calls_end_refuses_new_ones_and_loses_no_record() {
    let site = Site::new("sigterm");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let conf = Conf::new(&site).switch("shutdown-grace-s", "2").extension("100", &[("bridge", &bridge)]);
    let mut switch = Switch::start(&site, &conf);
    let callee = Run::of("callee_talks").with("ring_ms", 10).answer(&site, site.callee());
    let caller = Run::of("caller_is_hung_up").with("expected", "Reason:").call(&site, site.caller());
    crate::wait::until("the call to be up", std::time::Duration::from_secs(10), || {
        callee.messages().contains("ACK sip:").then_some(())
    });

    switch.signal("TERM");
    let second = Run::of("caller_refused").with("status", 503).with("expected", "Retry-After: [0-9]+");
    second.call(&site, std::net::SocketAddr::new(site.caller().ip(), 5_071)).succeed();
    caller.succeed();
    callee.succeed();
    let status = switch.exited();
    assert!(status.success(), "{status}\n{}", switch.output());
    // Both legs of the call that was up; whether a refused call leaves a row is not this test's business.
    let rows = switch.records();
    assert!(rows.len() >= 2, "{rows:?}");
}

#[test]
fn a_second_sigterm_ends_calls_at_once() {
    let site = Site::new("sigterm-twice");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let conf = Conf::new(&site).switch("shutdown-grace-s", "25").extension("100", &[("bridge", &bridge)]);
    let mut switch = Switch::start(&site, &conf);
    let callee = Run::of("callee_talks").with("ring_ms", 10).answer(&site, site.callee());
    let caller = Run::of("caller_is_hung_up").with("expected", "Reason:").call(&site, site.caller());
    crate::wait::until("the call to be up", std::time::Duration::from_secs(10), || {
        callee.messages().contains("ACK sip:").then_some(())
    });

    let asked = std::time::Instant::now();
    switch.signal("TERM");
    // It has heard the first signal once it refuses a call.
    let refused = Run::of("caller_refused").with("status", 503).with("expected", "Retry-After:");
    refused.call(&site, std::net::SocketAddr::new(site.caller().ip(), 5_071)).succeed();
    switch.signal("TERM");
    let status = switch.exited();
    assert!(status.success(), "{status}\n{}", switch.output());
    assert!(asked.elapsed().as_secs() < 20, "it took {:?}", asked.elapsed());
    caller.succeed();
    callee.succeed();
}

#[test]
fn a_broken_configuration_is_refused_with_its_place() {
    let site = Site::new("broken");
    let directory = Conf::new(&site).write(&site);
    let root = directory.join("freeswitch.xml");
    let text = std::fs::read_to_string(&root).expect("the configuration");
    std::fs::write(&root, text.replace("</settings></configuration>", "</settings></configuratoin>"))
        .expect("written");
    for command in ["check", "run"] {
        let output = Command::new(binary("crosspoint")).args([command, "--conf"]).arg(&directory).output();
        let output = output.expect("crosspoint runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("freeswitch.xml:"), "{command}: {said}");
    }
}

#[test]
fn a_warning_lets_the_switch_run_unless_check_is_strict() {
    let site = Site::new("warning");
    let directory = Conf::new(&site).profile("sip-prot", "5099").write(&site);
    let check = |arguments: &[&str]| {
        let mut command = Command::new(binary("crosspoint"));
        let output =
            command.arg("check").args(arguments).arg("--conf").arg(&directory).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said.into_owned())
    };
    let (status, said) = check(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("sip-prot") && said.contains("sip-port"), "it suggests the near one: {said}");
    assert_eq!(check(&["--strict"]).0, Some(1));
}
