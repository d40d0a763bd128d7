//! Calls that do not go through: who is told what (`sip.md` §8 of the specification).

use std::net::SocketAddr;
use std::time::Duration;

use crate::conf::Conf;
use crate::sipp::{Run, Running};
use crate::site::Site;
use crate::switch::Switch;

/// A caller who expects `status` and in the same message something that matches `expected`.
fn refused(site: &Site, status: u16, expected: &str) -> Running {
    Run::of("caller_refused").with("status", status).with("expected", expected).call(site, site.caller())
}

/// A callee who refuses.
fn refuses(site: &Site, status: u16, phrase: &str, header: &str) -> Running {
    let run = Run::of("callee_refuses").with("status", status).with("phrase", phrase).with("header", header);
    run.answer(site, site.callee())
}

/// A switch whose number 100 does `actions` and rings the callee.
fn switch(site: &Site, actions: &[(&str, &str)]) -> Switch {
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let mut actions = actions.to_vec();
    actions.push(("bridge", &bridge));
    Switch::start(site, &Conf::new(site).extension("100", &actions))
}

/// The callee's final response reaches the caller as itself, with the cause it stands for.
#[test]
fn a_refusal_reaches_the_caller_with_its_cause() {
    let site = Site::new("refusals");
    let switch = switch(&site, &[]);
    for (status, phrase, cause) in [
        (486, "Busy Here", 17),
        (404, "Not Found", 1),
        (503, "Service Unavailable", 41),
        (603, "Decline", 21),
    ] {
        let callee = refuses(&site, status, phrase, "X-Test: 1");
        refused(&site, status, &format!("Reason: Q.850;cause={cause}")).succeed();
        callee.succeed();
    }
    switch.stop();
}

#[test]
fn a_received_reason_passes_through() {
    let site = Site::new("reason");
    let switch = switch(&site, &[]);
    let callee =
        refuses(&site, 480, "Temporarily Unavailable", "Reason: Q.850;cause=34;text=\"all circuits\"");
    refused(&site, 480, "Reason: Q.850;cause=34;text=.all circuits").succeed();
    callee.succeed();
    switch.stop();
}

#[test]
fn an_unanswered_call_is_cancelled_and_the_caller_hears_480() {
    let site = Site::new("no-answer");
    let switch = switch(&site, &[("set", "call_timeout=2")]);
    let callee =
        Run::of("callee_is_cancelled").with("expected", "CSeq: [0-9]+ CANCEL").answer(&site, site.callee());
    // NO_ANSWER lets the dialplan go on (bridge.md §12.3), and behind its end the call is cleared as any other.
    refused(&site, 480, "Reason: Q.850;cause=16").succeed();
    callee.succeed();
    switch.stop();
}

#[test]
fn a_callers_cancel_reaches_the_callee() {
    let site = Site::new("cancel");
    let switch = switch(&site, &[]);
    let callee =
        Run::of("callee_is_cancelled").with("expected", "CSeq: [0-9]+ CANCEL").answer(&site, site.callee());
    Run::of("caller_cancels").with("ring_ms", 300).call(&site, site.caller()).succeed();
    callee.succeed();
    for row in switch.await_records(2) {
        assert!(row.contains(&"ORIGINATOR_CANCEL".to_owned()), "{row:?}");
    }
    switch.stop();
}

#[test]
fn the_next_callee_is_tried_after_a_failure() {
    let site = Site::new("failover");
    let bridge = format!("sofia/transit/200@{}|sofia/transit/201@{}", site.callee(), site.other_callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let first = refuses(&site, 503, "Service Unavailable", "X-Test: 1");
    let second = Run::of("callee_talks").with("ring_ms", 50).answer(&site, site.other_callee());
    Run::of("caller_talks").with("talk_ms", 200).call(&site, site.caller()).succeed();
    first.succeed();
    second.succeed();
    switch.stop();
}

#[test]
fn of_two_forks_the_loser_is_cancelled() {
    let site = Site::new("forks");
    let bridge = format!("sofia/transit/200@{},sofia/transit/201@{}", site.callee(), site.other_callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let loser =
        Run::of("callee_is_cancelled").with("expected", "Reason: SIP;cause=200").answer(&site, site.callee());
    let winner = Run::of("callee_talks").with("ring_ms", 300).answer(&site, site.other_callee());
    Run::of("caller_talks").with("talk_ms", 300).call(&site, site.caller()).succeed();
    loser.succeed();
    winner.succeed();
    switch.stop();
}

#[test]
fn without_a_route_the_call_is_refused() {
    let site = Site::new("no-route");
    let conf = Conf::new(&site)
        .extension("100", &[("no_such_application", "x")])
        .extension("101", &[("bridge", "sofia/gateway/nowhere/200")])
        .extension("102", &[("bridge", "sofia/transit/200@no-such-host.invalid")])
        .extension("103", &[("respond", "488 Not Here")]);
    let switch = Switch::start(&site, &conf);
    let refused = |number: &str, status: u16, expected: &str| {
        let run = Run::of("caller_refused").with("status", status).with("expected", expected).number(number);
        run.call(&site, site.caller()).succeed();
    };
    refused("100", 502, "Reason: Q.850;cause=27");
    // INVALID_GATEWAY.
    refused("101", 484, "Reason: SIP;cause=808");
    // A name that does not resolve fails like a transport.
    refused("102", 503, "Reason: Q.850;cause=41");
    refused("103", 488, "SIP/2.0 488 Not Here");
    // No extension matches.
    refused("104", 404, "Reason: Q.850;cause=3");
    switch.stop();
}

#[test]
fn without_a_free_rtp_port_the_caller_hears_503_and_the_port_comes_back() {
    let site = Site::new("no-port");
    // One even port and its odd neighbour: room for one leg.
    let conf = Conf::new(&site)
        .switch("rtp-start-port", "20000")
        .switch("rtp-end-port", "20001")
        .extension("100", &[("bridge", &format!("sofia/transit/200@{}", site.callee()))])
        .extension("200", &[("answer", ""), ("park", "")]);
    let switch = Switch::start(&site, &conf);
    let parked = || Run::of("caller_talks").with("talk_ms", 1_500).number("200").call(&site, site.caller());
    let first = parked();
    crate::wait::until("the first call to be up", Duration::from_secs(10), || {
        first.messages().contains("ACK sip:").then_some(())
    });
    let second = Run::of("caller_refused").with("status", 503).with("expected", "Reason:");
    second.call(&site, SocketAddr::new(site.caller().ip(), 5_071)).succeed();
    first.succeed();
    // An ended port rests for a while before it is given again.
    crate::wait::until("the port to be free", Duration::from_secs(20), || parked().succeeded().then_some(()));
    switch.stop();
}
