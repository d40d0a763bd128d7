//! Acting on a running call from outside, and on top of it: transfer, park, hang-up, interjections.

use switch::{Cause, Request};
use tests::{Do, End, PROMPT_PACKETS, Script, Setup, When, World, dial, ms, s};

use crate::q850;

fn transfer(uuid: String, destination: &str) -> Request {
    Request::Transfer { uuid, destination: destination.to_owned(), dialplan: None, context: None }
}

fn hang_up(uuid: String) -> Request {
    Request::Hangup { uuid, cause: Cause::CALL_REJECTED }
}

/// Three phones; 1000 bridges to phone 1, 1001 to phone 2, 1002 parks.
fn three(seed: u64) -> World {
    let setup = Setup::new(seed).phones(3).extension("1000", &[("bridge", &dial("2001", 1))]);
    let setup = setup.extension("1001", &[("bridge", &dial("2002", 2))]).extension("1002", &[("park", "")]);
    let mut world = setup.build();
    world.tolerates.breaks = true;
    world.phones[1].expect("2001", Script::answers(ms(300)));
    world.phones[2].expect("2002", Script::answers(ms(300)));
    world
}

#[test]
fn a_caller_is_transferred_out_of_its_bridge_and_hears_the_next() {
    let mut world = three(1);
    world.order_after(s(3), 0, |uuid| transfer(uuid, "1001"));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(6)));
    world.run();
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUpByPeer));
    assert_eq!(world.callee(call, 1).log.reason.as_deref(), Some("SIP;cause=800;text=\"BLIND_TRANSFER\""));
    assert_eq!(world.callee(call, 2).log.end, Some(End::HungUpByPeer));
    let (caller, second) = (world.caller(call), world.callee(call, 2));
    let heard = caller.media.ear.places(second.media.voice, tests::world::START, world.now()).len();
    assert!(heard > 90, "{heard} packets of the second callee");
    let heard = second.media.ear.places(caller.media.voice, tests::world::START, world.now()).len();
    assert!(heard > 90, "{heard} packets of the caller");
}

#[test]
fn a_called_leg_is_transferred_and_stays_when_its_caller_is_let_go() {
    let mut world = three(2);
    world.order_after(s(3), 1, |uuid| transfer(uuid, "1002"));
    world.order_after(s(5), 0, hang_up);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
    let callee = world.callee(call, 1);
    assert_eq!(callee.log.end, Some(End::HungUpByPeer));
    assert!(callee.log.ended_at.unwrap() > tests::world::START + s(4), "it was parked meanwhile");
}

#[test]
fn a_ringing_call_is_transferred_and_what_it_dialled_is_cancelled() {
    let mut world = three(3);
    world.phones[1].expect_only("2001", Script::rings());
    world.order_after(s(2), 0, |uuid| transfer(uuid, "1001"));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.callee(call, 1).log.end, Some(End::Cancelled));
    assert_eq!(world.callee(call, 2).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_park_is_ended_from_outside() {
    let mut world = three(4);
    world.order_after(s(4), 0, hang_up);
    let call = world.call(0, "1002", Script::caller());
    world.run();
    let log = &world.caller(call).log;
    assert_eq!((log.status, log.reason.clone()), (Some(603), q850(21, "CALL_REJECTED")));
    assert!(log.ended_at.unwrap() >= tests::world::START + s(4));
}

#[test]
fn a_parked_call_is_transferred_to_somebody() {
    let mut world = three(5);
    world.order_after(s(4), 0, |uuid| transfer(uuid, "1001"));
    let call = world.call(0, "1002", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.callee(call, 2).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_park_ends_by_its_own_timeout() {
    let setup =
        Setup::new(6).phones(1).extension("1000", &[("set", "park_timeout=3:USER_BUSY"), ("park", "")]);
    let mut world = setup.build();
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(486));
}

#[test]
fn a_bridged_call_is_parked_and_both_go_on_as_their_rules_say() {
    let mut world = three(7);
    world.order_after(s(2), 0, |uuid| Request::Park { uuid });
    world.order_after(s(4), 0, hang_up);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUpByPeer));
    assert!(world.callee(call, 1).log.ended_at.unwrap() < tests::world::START + ms(2_100));
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_prompt_on_answer_is_heard_on_top_of_the_bridge_which_then_goes_on() {
    for (seed, leg) in [(8, "caller"), (9, "callee")] {
        let on_answer = "execute_on_answer=playback prompt-1.wav";
        let bridge = if leg == "caller" {
            dial("2000", 1)
        } else {
            format!("[execute_on_answer='playback prompt-1.wav']{}", dial("2000", 1))
        };
        let actions = if leg == "caller" { vec![("set", on_answer)] } else { vec![] };
        let actions: Vec<(&str, &str)> = actions.into_iter().chain([("bridge", bridge.as_str())]).collect();
        let mut world = Setup::new(seed).phones(2).extension("1000", &actions).build();
        world.tolerates.breaks = true;
        world.leave_audio_alone();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(3)));
        world.run();
        let (caller, callee) = (world.caller(call), world.callee(call, 1));
        let (hears, other) = if leg == "caller" { (caller, callee) } else { (callee, caller) };
        let all: Vec<u32> = (0..PROMPT_PACKETS).collect();
        assert_eq!(hears.media.ear.prompt(1), all, "{leg}");
        assert!(other.media.ear.prompt(1).is_empty(), "{leg}");
        let after = hears
            .media
            .ear
            .heard
            .iter()
            .rfind(|heard| heard.voice == other.media.voice)
            .map(|heard| heard.at);
        assert!(after.unwrap() > caller.log.answered_at.unwrap() + ms(2_900), "{leg}: the bridge went on");
        // The other way was not disturbed.
        let answered = caller.log.answered_at.unwrap();
        let heard = other.media.ear.places(hears.media.voice, answered + ms(50), answered + ms(2_900)).len();
        assert!(heard >= 140, "{leg}: {heard}");
    }
}

#[test]
fn an_application_is_executed_from_outside_on_top_of_a_park() {
    let mut world = Setup::new(10).phones(1).extension("1000", &[("answer", ""), ("park", "")]).build();
    world.order_after(s(1), 0, |uuid| Request::Execute {
        uuid,
        application: "playback".to_owned(),
        data: "prompt-2.wav".to_owned(),
    });
    world.order_after(s(3), 0, hang_up);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).media.ear.prompt(2).len(), PROMPT_PACKETS as usize);
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_prompt_stops_when_its_call_is_sent_elsewhere() {
    let setup = Setup::new(17).phones(1).extension("1000", &[("answer", ""), ("playback", "prompt-1.wav")]);
    let mut world = setup.extension("1001", &[("sleep", "500")]).build();
    world.order_after(ms(100), 0, |uuid| transfer(uuid, "1001"));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let heard = world.caller(call).media.ear.prompt(1).len();
    assert!((1..PROMPT_PACKETS as usize).contains(&heard), "{heard} packets of the prompt");
}

#[test]
fn every_call_is_hung_up_at_once_when_all_are() {
    let mut world = three(11);
    world.phones[1].expect("2001", Script::answers(s(2)));
    let calls: Vec<u16> = (0..6)
        .map(|place| {
            let to = ["1000", "1001", "1002"][place % 3];
            world.call_after(ms(500 * place as u64), 0, to, Script::caller())
        })
        .collect();
    world.order_after(ms(2_600), 0, |_| Request::HangupAll { cause: Cause::SYSTEM_SHUTDOWN });
    world.run();
    for call in calls {
        let ended = world.caller(call).log.ended_at.unwrap();
        assert!(ended < tests::world::START + ms(2_700), "call {call} ended at {ended:?}");
    }
}

#[test]
fn after_the_bridge_the_caller_goes_where_its_variables_send_it() {
    let park = [
        ("set", "park_after_bridge=true"),
        ("set", "transfer_after_bridge=1001"),
        ("set", "hangup_after_bridge=true"),
    ];
    for (seed, settings, expected) in
        [(12, &park[..], "park"), (13, &park[1..], "transfer"), (14, &park[2..], "hangup")]
    {
        let target = dial("2001", 1);
        let actions: Vec<(&str, &str)> =
            settings.iter().copied().chain([("bridge", target.as_str())]).collect();
        let setup = Setup::new(seed).phones(3).extension("1000", &actions);
        let second = dial("2002", 2);
        let actions = [("unset", "transfer_after_bridge"), ("bridge", second.as_str())];
        let mut world = setup.extension("1001", &actions).build();
        world.tolerates.breaks = true;
        world.phones[1].expect("2001", Script::answers(ms(300)).hangs_up(s(1)));
        world.phones[2].expect("2002", Script::answers(ms(300)).hangs_up(s(1)));
        let call = world.call(0, "1000", Script { gives_up_after: s(20), ..Script::caller() });
        world.run();
        let caller = world.caller(call);
        match expected {
            "park" => assert_eq!(caller.log.end, Some(End::HungUp), "it gave up by itself"),
            "transfer" => assert_eq!(world.callees(call).len(), 2),
            _ => assert!(caller.log.ended_at.unwrap() < tests::world::START + s(2)),
        }
    }
}

#[test]
fn a_call_that_transfers_itself_for_ever_is_ended() {
    let mut world = Setup::new(15).phones(1).extension("1000", &[("transfer", "1000")]).build();
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(483));
}

#[test]
fn a_called_leg_that_is_transferred_away_while_it_rings_is_not_lost() {
    let mut world = three(16);
    world.phones[1].expect_only("2001", Script::answers(s(2)));
    world.order_after(s(1), 1, |uuid| transfer(uuid, "1002"));
    world.order_after(s(6), 0, |_| Request::HangupAll { cause: Cause::NORMAL_CLEARING });
    let call = world.call(0, "1000", Script::caller().at(When::Invite(s(9)), Do::HangUp));
    world.run();
    assert!(world.caller(call).log.end.is_some());
}

#[test]
fn a_story_that_panics_ends_its_own_call_and_no_other() {
    // Each of two calls is broken in each of its legs: ringing, and talking.
    for (which, at) in [(0, ms(200)), (1, ms(200)), (0, s(2)), (1, s(2))] {
        let mut world = three(18);
        world.tolerates.panics = 1;
        let broken = world.call(0, "1000", Script::caller());
        let other = world.call_after(ms(20), 0, "1001", Script::caller().hangs_up(s(4)));
        world.run_until(at);
        let (now, uuid) = (world.time(), world.switch.channels()[which].to_string());
        assert!(world.switch.break_story(now, &uuid));
        world.run();
        assert_eq!(world.switch.counters().story_panics, 1);
        let log = &world.caller(broken).log;
        match (at > s(1), which) {
            (false, 0) => assert_eq!(log.status, Some(480), "CRASH has no status of its own"),
            (false, _) => assert!(log.status.is_some_and(|status| status >= 400)),
            (true, _) => assert_eq!(log.end, Some(End::HungUpByPeer)),
        }
        assert!(world.is_recorded("hangup_cause", "CRASH"));
        assert!(world.events().iter().any(|event| matches!(event.kind, switch::EventKind::Fault { .. })));
        // The other one did not notice.
        assert_eq!(world.caller(other).log.end, Some(End::HungUp));
        let (caller, callee) = (world.caller(other), world.callee(other, 2));
        assert!(callee.media.ear.places(caller.media.voice, tests::world::START, world.now()).len() > 190);
    }
}
