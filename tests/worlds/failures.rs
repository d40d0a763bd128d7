//! Calls that do not come about, and what the caller is told (`sip.md` §8, `bridge.md` §12).

use tests::{Do, End, Script, Setup, When, dial, ms, s};

use crate::{pair, q850};

/// Status, and Reason, that the caller gets when the callee refuses with `status`.
fn refused_with(seed: u64, status: u16, actions: &[(&str, &str)]) -> (u16, Option<String>) {
    let mut world = pair(seed, actions).build();
    world.phones[1].expect("2000", Script::refuses(ms(200), status));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let log = &world.caller(call).log;
    let status = log.status.expect("a final answer");
    assert_eq!(log.end, Some(End::Refused(status)));
    (status, log.reason.clone())
}

#[test]
fn refusals_reach_the_caller_with_their_causes() {
    assert_eq!(refused_with(1, 486, &[]), (486, q850(17, "USER_BUSY")));
    assert_eq!(refused_with(2, 404, &[]), (404, q850(1, "UNALLOCATED_NUMBER")));
    assert_eq!(refused_with(3, 503, &[]), (503, q850(41, "NORMAL_TEMPORARY_FAILURE")));
    assert_eq!(refused_with(4, 500, &[]), (500, q850(41, "NORMAL_TEMPORARY_FAILURE")));
    assert_eq!(refused_with(5, 403, &[]), (403, q850(21, "CALL_REJECTED")));
    assert_eq!(refused_with(6, 603, &[]), (603, q850(21, "CALL_REJECTED")));
    let ignoring = [("set", "sip_ignore_remote_cause=true")];
    assert_eq!(refused_with(7, 403, &ignoring), (603, q850(21, "CALL_REJECTED")));
    // Exception to the reference, which says NORMAL_CLEARING here: the cause is kept.
    assert_eq!(refused_with(8, 480, &[]), (480, q850(18, "NO_USER_RESPONSE")));
}

#[test]
fn a_received_reason_is_passed_on_word_for_word() {
    let mut world = pair(10, &[]).build();
    let reason = ("Reason".to_owned(), "Q.850;cause=34;text=\"all lines\"".to_owned());
    let callee = Script::default().at(When::Invite(ms(100)), Do::Refuse(486, Some(reason.clone())));
    world.phones[1].expect("2000", callee);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(486));
    assert_eq!(world.caller(call).log.reason, Some(reason.1));
    assert!(world.is_recorded("hangup_cause", "NORMAL_CIRCUIT_CONGESTION"));
}

#[test]
fn nobody_answers_in_call_timeout() {
    let mut world = pair(11, &[("set", "call_timeout=5"), ("set", "continue_on_fail=false")]).build();
    world.phones[1].expect("2000", Script::rings());
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let caller = world.caller(call);
    assert_eq!((caller.log.status, caller.log.reason.clone()), (Some(480), q850(19, "NO_ANSWER")));
    let waited = caller.log.ended_at.unwrap().since(caller.started_at);
    assert!((ms(4_900)..ms(5_200)).contains(&waited), "{waited:?}");
    let callee = world.callee(call, 1);
    assert!(callee.log.cancelled);
    assert_eq!(callee.log.reason, q850(19, "NO_ANSWER"));
    assert!(world.is_recorded("originate_disposition", "NO_ANSWER"));
}

#[test]
fn a_callee_that_says_nothing_at_all_is_given_up_after_timer_b() {
    let mut world = pair(12, &[]).build();
    world.phones[1].expect("2000", Script::deaf());
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let caller = world.caller(call);
    assert_eq!(
        (caller.log.status, caller.log.reason.clone()),
        (Some(408), q850(102, "RECOVERY_ON_TIMER_EXPIRE"))
    );
    let waited = caller.log.ended_at.unwrap().since(caller.started_at);
    assert!((ms(31_900)..ms(32_200)).contains(&waited), "{waited:?}");
    let copies = world.callee(call, 1).log.copies;
    assert_eq!(copies, 6, "INVITE is sent seven times in 64·T1");
    assert!(!world.callee(call, 1).log.cancelled, "nothing was heard, nothing can be cancelled");
}

#[test]
fn progress_timeout_ends_a_silent_attempt_without_a_cancel() {
    let mut world = pair(13, &[("set", "progress_timeout=2")]).build();
    world.phones[1].expect("2000", Script::deaf());
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let caller = world.caller(call);
    assert_eq!(caller.log.status, Some(480));
    assert_eq!(caller.log.reason.as_deref(), Some("SIP;cause=807;text=\"PROGRESS_TIMEOUT\""));
    assert!(!world.callee(call, 1).log.cancelled);
}

#[test]
fn what_leads_nowhere_is_told_by_its_cause() {
    let cases: [(&str, u16, &str); 8] = [
        ("sofia/gateway/none/1", 484, "SIP;cause=808;text=\"INVALID_GATEWAY\""),
        ("sofia/nop/1@127.0.0.1", 502, "SIP;cause=811;text=\"INVALID_PROFILE\""),
        ("foo/bar", 480, "Q.850;cause=66;text=\"CHAN_NOT_IMPLEMENTED\""),
        ("error/USER_BUSY", 486, "Q.850;cause=17;text=\"USER_BUSY\""),
        ("error/NOSUCH", 480, "Q.850;cause=16;text=\"NORMAL_CLEARING\""),
        ("sofia/gateway/far", 484, "SIP;cause=810;text=\"INVALID_URL\""),
        ("sofia/main/1@nowhere.example:5060", 503, "Q.850;cause=41;text=\"NORMAL_TEMPORARY_FAILURE\""),
        (
            "sofia/main/1@198.51.100.77:5060;transport=tcp",
            503,
            "Q.850;cause=41;text=\"NORMAL_TEMPORARY_FAILURE\"",
        ),
    ];
    for (seed, (dial, status, reason)) in (20..).zip(cases) {
        let setup = Setup::new(seed).phones(1).extension("1000", &[("bridge", dial)]);
        let mut world = setup.change(|it| it.gateways.push(tests::setup::gateway("far", 1))).build();
        let call = world.call(0, "1000", Script::caller());
        world.run();
        let log = &world.caller(call).log;
        assert_eq!((log.status, log.reason.as_deref()), (Some(status), Some(reason)), "{dial}");
    }
}

#[test]
fn an_unknown_number_is_not_found() {
    let mut world = pair(30, &[]).build();
    let call = world.call(0, "999", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(404));
    assert_eq!(world.caller(call).log.reason, q850(3, "NO_ROUTE_DESTINATION"));
}

#[test]
fn an_unknown_application_ends_only_the_call_that_reaches_it() {
    let mut world = Setup::new(31).phones(1).extension("1000", &[("dance", "")]).build();
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(502));
}

#[test]
fn codecs_that_do_not_fit_are_refused_before_the_dialplan_sees_the_call() {
    let mut world = pair(32, &[]).build();
    let call = world.call(0, "1000", Script::caller().codecs(&[tests::Codec::OPUS]));
    world.run();
    assert_eq!(world.caller(call).log.status, Some(488));
    assert!(world.callees(call).is_empty());
}

#[test]
fn a_call_to_itself_ends_by_max_forwards() {
    let mut world =
        Setup::new(33).phones(1).extension("1000", &[("bridge", "sofia/main/1000@192.0.2.1:5060")]).build();
    let call = world.call(0, "1000", Script { max_forwards: 12, ..Script::caller() });
    world.run();
    assert_eq!(world.caller(call).log.status, Some(483));
    assert_eq!(world.caller(call).log.reason, q850(25, "EXCHANGE_ROUTING_ERROR"));
    // Twelve hops: each but the last makes two channels.
    assert!((20..=24).contains(&world.records().count()), "{} records", world.records().count());
}

#[test]
fn without_a_free_port_the_caller_hears_503_and_nothing_is_lost_by_it() {
    // Six ports make three pairs; IPv6 has its own.
    let mut world = pair(34, &[]).ports(20_000, 20_005, 8).build();
    world.phones[1].expect("2000", Script::answers(ms(200)));
    let first = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    let second = world.call_after(ms(500), 0, "1000", Script::caller().hangs_up(s(2)));
    // After the ports have rested they serve again.
    let third = world.call_after(s(10), 0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    assert_eq!(world.caller(first).log.end, Some(End::HungUp));
    assert_eq!(world.caller(second).log.status, Some(503));
    assert_eq!(world.caller(third).log.end, Some(End::HungUp));
    assert_eq!(world.switch.counters().refused_no_port, 1);
}

#[test]
fn a_port_that_another_program_has_is_passed_over() {
    let mut world = pair(35, &[]).ports(20_000, 20_015, 8).taken(&[20_000, 20_004, 20_006, 20_010]).build();
    world.phones[1].expect("2000", Script::answers(ms(200)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn while_draining_new_calls_get_503_and_running_ones_go_on() {
    let mut world = pair(36, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(200)));
    let first = world.call(0, "1000", Script::caller().hangs_up(s(3)));
    world.run_until(s(1));
    let now = world.time();
    world.switch.drain(now);
    let second = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(first).log.end, Some(End::HungUp));
    assert_eq!(world.caller(second).log.status, Some(503));
    assert!(world.caller(second).log.response.iter().any(|(name, _)| name == "Retry-After"));
}

#[test]
fn an_invite_that_came_too_far_is_refused() {
    let mut world = pair(37, &[]).build();
    let call = world.call(0, "1000", Script { max_forwards: 1, ..Script::caller() });
    world.run();
    assert_eq!(world.caller(call).log.status, Some(483));
    assert!(world.callees(call).is_empty());
}

#[test]
fn respond_rules_over_every_other_status() {
    let setup =
        Setup::new(38).phones(1).extension("1000", &[("respond", "455 No Tea"), ("log", "INFO it goes on")]);
    let mut world = setup.build();
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(455));
}

#[test]
fn a_redirect_is_not_followed_and_told_by_its_cause() {
    let mut world = pair(39, &[]).build();
    let contact = ("Contact".to_owned(), format!("<sip:2001@{}>", tests::phone_address(1, false)));
    world.phones[1]
        .expect("2000", Script::default().at(When::Invite(ms(100)), Do::Refuse(302, Some(contact))));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let status = world.caller(call).log.status.unwrap();
    assert!(status >= 400, "{status}: a redirect without its Contact says nothing to the caller");
}

#[test]
fn a_dial_string_from_the_network_is_no_dial_string() {
    // The number that is dialled holds syntax; it must stay one number.
    let setup = Setup::new(40)
        .phones(2)
        .extension("10.*", &[("bridge", "sofia/main/${destination_number}@198.51.100.2:5060")]);
    let mut world = setup.build();
    world.phones[1].expect("10,error%2fUSER_BUSY", Script::answers(ms(100)));
    let call = world.call(0, "10%2Cerror%2FUSER_BUSY", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.callees(call).len(), 1);
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn dialling_nobody_goes_on() {
    let setup = Setup::new(41).phones(2).extension("1000", &[("bridge", ""), ("bridge", &dial("2000", 1))]);
    let mut world = setup.build();
    world.phones[1].expect("2000", Script::answers(ms(100)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}
