//! What crosses, what is lost, and who never answers.

use tests::{Do, End, OnCancel, Script, When, World, ms, s};

use crate::{pair, q850};

fn callee_ended(world: &World, call: u16) -> Option<End> {
    world.callee(call, 1).log.end.clone()
}

#[test]
fn a_cancel_before_the_answer_ends_both_legs() {
    let mut world = pair(1, &[]).build();
    world.phones[1].expect("2000", Script::rings());
    let call = world.call(0, "1000", Script::caller().cancels(s(2)));
    world.run();
    let caller = world.caller(call);
    assert_eq!((caller.log.end.clone(), caller.log.reason.clone()), (Some(End::Cancelled), None));
    assert_eq!(callee_ended(&world, call), Some(End::Cancelled));
    assert!(world.is_recorded("sip_hangup_disposition", "recv_cancel"));
    assert!(world.is_recorded("sip_hangup_disposition", "send_cancel"));
    assert!(world.is_recorded("hangup_cause", "ORIGINATOR_CANCEL"));
}

#[test]
fn a_cancel_right_after_the_invite_ends_both_legs() {
    for after in [0, 1, 4, 6, 9, 11, 14, 16, 21, 55, 60, 65] {
        let mut world = pair(2, &[]).build();
        world.phones[1].expect("2000", Script::rings());
        let call = world.call(0, "1000", Script::caller().cancels(ms(after)));
        world.run();
        assert_eq!(world.caller(call).log.end, Some(End::Cancelled), "after {after} ms");
        let legs: Vec<Option<End>> = world.callees(call).iter().map(|leg| leg.log.end.clone()).collect();
        assert!(legs.iter().all(|end| *end == Some(End::Cancelled)), "after {after} ms: {legs:?}");
    }
}

#[test]
fn a_cancel_that_crosses_the_200_ends_both_legs_either_way() {
    // The callee answers at 1,000 ms; around then the CANCEL passes it at every possible place.
    for after in 975..1_030 {
        let mut world = pair(3, &[]).build();
        world.phones[1].expect("2000", Script::answers(s(1)));
        let call = world.call(0, "1000", Script::caller().cancels(ms(after)));
        world.run();
        let end = world.caller(call).log.end.clone();
        assert!(matches!(end, Some(End::Cancelled | End::HungUp)), "after {after} ms: {end:?}");
        let end = callee_ended(&world, call);
        assert!(matches!(end, Some(End::Cancelled | End::HungUpByPeer)), "after {after} ms: {end:?}");
    }
}

#[test]
fn a_callee_that_answers_instead_of_being_cancelled_gets_ack_and_bye() {
    let mut world = pair(4, &[]).build();
    world.phones[1].expect("2000", Script { on_cancel: OnCancel::AnswerInstead, ..Script::rings() });
    let call = world.call(0, "1000", Script::caller().cancels(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::Cancelled));
    assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
    assert!(world.callee(call, 1).log.acknowledged_at.is_some());
}

#[test]
fn a_callee_that_ignores_its_cancel_is_forgotten_all_the_same() {
    let mut world = pair(5, &[]).build();
    let callee = Script { on_cancel: OnCancel::Ignore, gives_up_after: s(60), ..Script::rings() };
    let callee = Script { tolerates_no_ack: true, ..callee }; // it refuses when nobody asks any more
    world.phones[1].expect("2000", callee);
    let call = world.call(0, "1000", Script::caller().cancels(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::Cancelled));
}

#[test]
fn a_lost_ack_is_sent_again_with_each_200() {
    for seed in [6, 7] {
        let mut world = pair(seed, &[]).build();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let (from_caller, phone) = (seed == 6, world.phones[0].sip);
        world.network.lose(3, move |it| it.is_request("ACK") && (it.from == phone) == from_caller);
        let call = world.call(0, "1000", Script::caller().hangs_up(s(10)));
        world.run();
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
        assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
    }
}

#[test]
fn a_lost_200_is_sent_again() {
    for seed in [8, 9] {
        let mut world = pair(seed, &[]).build();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let (to_caller, phone) = (seed == 8, world.phones[0].sip);
        world.network.lose(2, move |it| it.is_response(200, "INVITE") && (it.to == phone) == to_caller);
        let call = world.call(0, "1000", Script::caller().hangs_up(s(5)));
        world.run();
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
        assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
    }
}

#[test]
fn a_lost_bye_is_sent_again_and_a_lost_answer_to_it_as_well() {
    for (seed, is_request) in [(10, true), (11, false)] {
        let mut world = pair(seed, &[]).build();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        world.network.lose(
            6,
            move |it| {
                if is_request { it.is_request("BYE") } else { it.is_response(200, "BYE") }
            },
        );
        let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
        world.run();
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
        assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
    }
}

#[test]
fn a_bye_that_never_arrives_leaves_nothing_behind() {
    let mut world = pair(12, &[]).build();
    let callee = Script { gives_up_after: s(60), ..Script::answers(ms(300)) };
    world.phones[1].expect("2000", callee);
    let callee = world.phones[1].sip;
    world.network.lose(100, move |it| it.is_request("BYE") && it.to == callee);
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(callee_ended(&world, call), Some(End::HungUp), "it gave up by itself, and got 481");
}

#[test]
fn a_caller_that_never_acknowledges_is_hung_up_after_64_t1() {
    let mut world = pair(13, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script { acknowledges: false, ..Script::caller() });
    world.run();
    let caller = world.caller(call);
    assert_eq!(caller.log.end, Some(End::HungUpByPeer));
    let lasted = caller.log.ended_at.unwrap().since(caller.log.answered_at.unwrap());
    assert!((ms(31_900)..ms(32_200)).contains(&lasted), "{lasted:?}");
    assert!(world.is_recorded("hangup_cause", "RECOVERY_ON_TIMER_EXPIRE"));
    assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
}

#[test]
fn a_callee_whose_200_is_never_acknowledged_hangs_up_itself() {
    let mut world = pair(14, &[("set", "hangup_after_bridge=true")]).build();
    world.phones[1].expect("2000", Script { tolerates_no_ack: true, ..Script::answers(ms(300)) });
    let callee = world.phones[1].sip;
    world.network.lose(100, move |it| it.is_request("ACK") && it.to == callee);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert!(world.callee(call, 1).log.unacknowledged);
    assert_eq!(callee_ended(&world, call), Some(End::HungUp));
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
}

#[test]
fn copies_of_an_invite_make_no_second_call() {
    let mut world = pair(15, &[]).build();
    world.phones[1].expect("2000", Script::answers(s(3)));
    // The caller hears nothing for a while, and asks again and again.
    let caller = world.phones[0].sip;
    world.network.lose(5, move |it| it.to == caller);
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.callees(call).len(), 1);
    assert_eq!(world.records().count(), 2);
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn copies_of_a_refusal_are_acknowledged_each_time() {
    let mut world = pair(16, &[]).build();
    world.phones[1].expect("2000", Script::refuses(ms(200), 486));
    world.network.lose(4, |it| it.is_request("ACK"));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.reason, q850(17, "USER_BUSY"));
}

#[test]
fn both_sides_hang_up_at_once() {
    for apart in 0..12 {
        let mut world = pair(17, &[("set", "hangup_after_bridge=true")]).build();
        world.phones[1].expect("2000", Script::answers(ms(300)).hangs_up(ms(2_000 + apart)));
        let call = world.call(0, "1000", Script::caller().hangs_up(ms(2_000)));
        world.run();
        assert!(world.caller(call).log.end.is_some());
        assert!(callee_ended(&world, call).is_some());
    }
}

#[test]
fn a_bye_before_the_ack_waits_for_it() {
    let mut world = pair(18, &[("set", "hangup_after_bridge=true")]).build();
    // The callee answers and leaves at once, while the caller's ACK is lost for a second.
    world.phones[1].expect("2000", Script::answers(ms(300)).hangs_up(ms(20)));
    let caller = world.phones[0].sip;
    world.network.lose(2, move |it| it.is_request("ACK") && it.from == caller);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
    assert!(world.callee(call, 1).log.ended_at.is_some());
}

#[test]
fn late_answers_of_a_slow_network_come_too_late_for_nobody() {
    let slow = tests::Quality { delay: ms(900), jitter: ms(300), ..tests::Quality::CLEAN };
    let mut world = pair(19, &[]).quality(slow).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(5)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
}

#[test]
fn garbage_is_counted_and_disturbs_nobody() {
    let mut world = pair(20, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    let (stranger, switch) = ("203.0.113.9:5060".parse().unwrap(), tests::setup::SWITCH.parse().unwrap());
    let garbage: [&[u8]; 6] = [
        b"",
        b"\r\n\r\n",
        b"INVITE",
        b"BYE sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx\r\nCall-ID: call-1@198.51.100.1\r\n\
          From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n",
        &[0xff; 1_400],
    ];
    for (place, bytes) in garbage.into_iter().enumerate() {
        world.throw(ms(500 + 50 * place as u64), stranger, switch, bytes.to_vec());
    }
    // RTP of a stranger into every port of the range.
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
    packet.extend([0x55; 160]);
    for port in (20_000..20_200).step_by(2) {
        let to = std::net::SocketAddr::new(std::net::IpAddr::from([192, 0, 2, 1]), port);
        world.throw(s(1), stranger, to, packet.clone());
    }
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(callee_ended(&world, call), Some(End::HungUpByPeer));
}

#[test]
fn a_callee_that_rings_after_early_media_and_then_answers() {
    let mut world = pair(21, &[]).build();
    let callee = Script::early(ms(300))
        .at(When::Invite(ms(800)), Do::Progress(180))
        .at(When::Invite(s(2)), Do::Answer);
    world.phones[1].expect("2000", callee);
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    let caller = world.caller(call);
    assert!(caller.log.progress.iter().any(|(_, status, sdp)| *status == 183 && *sdp));
    assert_eq!(caller.log.end, Some(End::HungUp));
    let answered = caller.log.answered_at.unwrap();
    let voice = world.callee(call, 1).media.voice;
    let early = caller.media.ear.places(voice, tests::world::START, answered);
    assert!(early.len() > 80, "{} early packets", early.len());
}
