//! The harness proves itself: SIPp calls SIPp with no switch between, and a fault in the audio is found.

use crate::phones::{Phones, Report, Side, assert_all_heard};
use crate::sipp::{Run, Transport};
use crate::site::Site;

#[test]
fn two_sipps_without_a_switch_hear_each_other() {
    let site = Site::without_switch("harness");
    let phones = Phones::start(&site, 5, 25);
    let callee = Run::of("callee_talks").with("ring_ms", 50).callee_of(&phones).calls(5, 20);
    let callee = callee.over(Transport::Tcp).answer(&site, site.callee());
    let caller = Run::of("caller_talks").with("talk_ms", 700).caller_of(&phones).calls(5, 20);
    caller.over(Transport::Tcp).call(&site, site.caller()).succeed();
    callee.succeed();
    assert_all_heard(&phones.finish(), 25);
}

#[test]
fn every_scenario_is_something_that_sipp_reads() {
    let site = Site::without_switch("scenarios");
    // Pairs that fit each other, so that each file is read and run to its end.
    let calls = [
        ("caller_is_hung_up", "callee_hangs_up"),
        ("caller_hears_early", "callee_plays_early"),
        ("caller_refused", "callee_refuses"),
        ("caller_cancels", "callee_is_cancelled"),
    ];
    for (caller, callee) in calls {
        let fill = |run: Run| {
            run.with("ring_ms", 50)
                .with("talk_ms", 100)
                .with("status", 486)
                .with("phrase", "Busy Here")
                .with("header", "Reason: Q.850;cause=17")
                .with("expected", "CSeq:|Reason: Q.850;cause=17")
        };
        let callee = fill(Run::of(callee)).answer(&site, site.callee());
        fill(Run::of(caller)).call(&site, site.caller()).succeed();
        callee.succeed();
    }
}

fn report(side: Side, call: u32, peer: u32) -> Report {
    Report {
        side,
        call,
        sent: 5,
        received: 5,
        missing: Vec::new(),
        duplicates: 0,
        peer: Some(peer),
        faults: Vec::new(),
        fault_count: 0,
    }
}

#[test]
fn complete_calls_pass() {
    assert_all_heard(&[report(Side::Caller, 0, 0), report(Side::Callee, 0, 0)], 5);
}

#[test]
#[should_panic(expected = "did not hear each other")]
fn swapped_legs_are_found() {
    let callers = [report(Side::Caller, 0, 1), report(Side::Caller, 1, 0)];
    let callees = [report(Side::Callee, 0, 0), report(Side::Callee, 1, 1)];
    assert_all_heard(&callers.into_iter().chain(callees).collect::<Vec<_>>(), 5);
}

#[test]
#[should_panic(expected = "1 of 2 ends")]
fn one_lost_packet_is_found() {
    let lossy = Report { received: 4, ..report(Side::Callee, 0, 0) };
    assert_all_heard(&[report(Side::Caller, 0, 0), lossy], 5);
}
