//! Several called at once, one after another, and what follows a failure (`bridge_cases.md` §3–§5).

use tests::{Do, End, OnCancel, Script, Setup, When, World, dial, ms, s};

use crate::q850;

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Phone 0 calls 1000, which runs `actions`; phones 1 to 3 answer as numbers 2001 to 2003.
fn world(seed: u64, actions: &[(&str, &str)]) -> World {
    Setup::new(seed).phones(4).extension("1000", actions).build()
}

fn d(phone: usize) -> String {
    dial(&format!("200{phone}"), phone)
}

#[test]
fn the_first_answer_wins_and_the_others_are_cancelled_with_the_reason() {
    let mut world = world(1, &[("bridge", &format!("{},{},{}", d(1), d(2), d(3)))]);
    world.phones[1].expect("2001", Script::answers(s(3)));
    world.phones[2].expect("2002", Script::answers(s(1)));
    world.phones[3].expect("2003", Script::rings());
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(world.caller(call).log.progress.len(), 1, "one 180");
    assert_eq!(world.callee(call, 2).log.end, Some(End::HungUpByPeer));
    for loser in [1, 3] {
        assert_eq!(world.callee(call, loser).log.end, Some(End::Cancelled));
        assert_eq!(world.callee(call, loser).log.reason.as_deref(), Some(ELSEWHERE));
        assert!(world.callee(call, loser).media.ear.heard.is_empty());
    }
    assert!(world.is_recorded("hangup_cause", "LOSE_RACE"));
}

#[test]
fn two_that_answer_at_once_leave_one_call_and_one_bye() {
    let mut world = world(2, &[("bridge", &format!("{},{}", d(1), d(2)))]);
    for (phone, user) in [(1, "2001"), (2, "2002")] {
        world.phones[phone].expect(user, Script::answers(s(1)));
    }
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    let ends: Vec<Option<End>> = [1, 2].map(|phone| world.callee(call, phone).log.end.clone()).to_vec();
    assert_eq!(ends, [Some(End::HungUpByPeer), Some(End::HungUpByPeer)]);
    let lasting: Vec<bool> = [1, 2]
        .map(|phone| {
            let log = &world.callee(call, phone).log;
            log.ended_at.unwrap().since(log.answered_at.unwrap()) > s(1)
        })
        .to_vec();
    assert_eq!(lasting.iter().filter(|lasts| **lasts).count(), 1, "{lasting:?}");
}

#[test]
fn early_media_wins_a_fork_unless_it_is_ignored() {
    for (seed, ignored) in [(3, false), (4, true)] {
        let setting = format!("ignore_early_media={ignored}");
        let mut world = world(seed, &[("set", &setting), ("bridge", &format!("{},{}", d(1), d(2)))]);
        world.tolerates.breaks = true;
        world.phones[1].expect("2001", Script::early(ms(500)).at(When::Invite(s(3)), Do::Answer));
        world.phones[2].expect("2002", Script::answers(s(2)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
        world.run();
        let (winner, loser) = if ignored { (2, 1) } else { (1, 2) };
        assert_eq!(world.callee(call, winner).log.end, Some(End::HungUpByPeer), "ignored: {ignored}");
        assert_eq!(world.callee(call, loser).log.end, Some(End::Cancelled), "ignored: {ignored}");
        let had_early = world.caller(call).log.progress.iter().any(|(_, status, sdp)| *status == 183 && *sdp);
        assert_eq!(had_early, !ignored);
    }
}

#[test]
fn when_all_refuse_the_caller_hears_the_first_of_the_list() {
    let mut world = world(5, &[("bridge", &format!("{},{}", d(1), d(2)))]);
    world.phones[1].expect("2001", Script::refuses(s(1), 486));
    world.phones[2].expect("2002", Script::refuses(s(2), 404));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    // Exception to the reference, whose status and cause contradict each other here (`bridge_cases.md` 58).
    assert_eq!(world.caller(call).log.status, Some(486));
    assert_eq!(world.caller(call).log.reason, q850(17, "USER_BUSY"));
}

#[test]
fn the_caller_gives_up_and_all_forks_are_cancelled() {
    let mut world = world(6, &[("bridge", &format!("{},{},{}", d(1), d(2), d(3)))]);
    world.phones[1].expect("2001", Script::rings());
    world.phones[2].expect("2002", Script::early(ms(200)).mute());
    world.phones[3].expect("2003", Script { on_cancel: OnCancel::AnswerInstead, ..Script::rings() });
    let call = world.call(0, "1000", Script::caller().cancels(ms(120)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::Cancelled));
    assert_eq!(world.callee(call, 1).log.end, Some(End::Cancelled));
    assert_eq!(
        world.callee(call, 3).log.end,
        Some(End::HungUpByPeer),
        "answered against the CANCEL, then BYE"
    );
}

#[test]
fn a_refused_attempt_is_followed_by_the_next() {
    let mut world = world(7, &[("bridge", &format!("{}|{}|{}", d(1), d(2), d(3)))]);
    world.phones[1].expect("2001", Script::refuses(ms(100), 503));
    world.phones[2].expect("2002", Script::refuses(ms(100), 486));
    world.phones[3].expect("2003", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(world.callee(call, 2).log.status, Some(486));
    assert_eq!(world.callee(call, 3).log.end, Some(End::HungUpByPeer));
}

#[test]
fn an_attempt_that_timed_out_ends_the_list_unless_told_otherwise() {
    for (seed, goes_on) in [(8, false), (9, true)] {
        let setting = format!("originate_continue_on_timeout={goes_on}");
        let actions = [("set", "call_timeout=3"), ("set", setting.as_str())];
        let bridge = format!("{}|{}", d(1), d(2));
        let mut world = world(seed, &[actions[0], actions[1], ("bridge", &bridge)]);
        world.phones[1].expect("2001", Script::rings());
        world.phones[2].expect("2002", Script::answers(ms(300)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
        world.run();
        assert_eq!(world.callee(call, 1).log.end, Some(End::Cancelled));
        assert_eq!(world.callees(call).len(), if goes_on { 2 } else { 1 });
        assert_eq!(world.caller(call).log.status, Some(if goes_on { 200 } else { 480 }));
    }
}

#[test]
fn a_leg_has_a_time_of_its_own() {
    let mut world = world(10, &[("bridge", &format!("[leg_timeout=2]{},{}", d(1), d(2)))]);
    world.phones[1].expect("2001", Script::rings());
    world.phones[2].expect("2002", Script::answers(s(5)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    let waited = world.callee(call, 1).log.ended_at.unwrap().since(world.callee(call, 1).started_at);
    assert!((s(2)..ms(3_100)).contains(&waited), "{waited:?}");
    assert!(world.is_recorded("hangup_cause", "ALLOTTED_TIMEOUT"));
    assert_eq!(world.caller(call).log.status, Some(200));
}

#[test]
fn the_dialplan_goes_on_after_the_causes_that_it_names() {
    let cases = [
        ("continue_on_fail=true", 486, true),
        ("continue_on_fail=USER_BUSY", 404, false),
        ("continue_on_fail=17,NO_ANSWER", 486, true),
        ("failure_causes=USER_BUSY", 404, true),
        ("failure_causes=USER_BUSY", 486, false),
        ("nothing=true", 480, true),
        ("nothing=true", 503, false),
        ("continue_on_fail=false", 480, false),
    ];
    for (seed, (setting, status, goes_on)) in (20..).zip(cases) {
        let mut world = world(seed, &[("set", setting), ("bridge", &d(1)), ("bridge", &d(2))]);
        world.phones[1].expect("2001", Script::refuses(ms(100), status));
        world.phones[2].expect("2002", Script::answers(ms(100)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
        world.run();
        let expected = if goes_on { 200 } else { status };
        assert_eq!(world.caller(call).log.status, Some(expected), "{setting} after {status}");
    }
}

#[test]
fn a_failed_bridge_at_the_end_of_the_dialplan_is_told_by_its_own_status() {
    let mut world = world(30, &[("set", "continue_on_fail=true"), ("bridge", &d(1))]);
    world.phones[1].expect("2001", Script::refuses(ms(100), 486));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(486));
    assert_eq!(world.caller(call).log.reason, q850(16, "NORMAL_CLEARING"));
}

#[test]
fn transfer_on_fail_sends_the_caller_elsewhere() {
    let bridge = d(1);
    let actions = [("set", "transfer_on_fail=USER_BUSY 1001"), ("bridge", bridge.as_str())];
    let setup = Setup::new(31).phones(3).extension("1000", &actions);
    let mut world = setup.extension("1001", &[("bridge", &d(2))]).build();
    world.phones[1].expect("2001", Script::refuses(ms(100), 486));
    world.phones[2].expect("2002", Script::answers(ms(100)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.callee(call, 2).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_refusal_after_early_media_is_told_with_its_own_status() {
    let mut world = world(32, &[("bridge", &d(1))]);
    world.phones[1].expect("2001", Script::early(ms(200)).at(When::Invite(s(2)), Do::Refuse(486, None)));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let caller = world.caller(call);
    assert_eq!((caller.log.status, caller.log.reason.clone()), (Some(486), q850(17, "USER_BUSY")));
    assert!(caller.media.ear.has_heard(world.callee(call, 1).media.voice));
}
