//! Calls that come about.

use tests::{Carrier, Do, End, Script, Setup, When, dial, ms, phone_address, s};

use crate::pair;

#[test]
fn the_caller_hangs_up() {
    let mut world = pair(1, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(500)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(3)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUpByPeer));
    assert_eq!(world.callee(call, 1).log.reason, crate::q850(16, "NORMAL_CLEARING"));
    assert_eq!(world.records().count(), 2);
    assert!(world.is_recorded("sip_hangup_disposition", "recv_bye"));
    assert!(world.is_recorded("sip_hangup_disposition", "send_bye"));
}

#[test]
fn the_callee_hangs_up() {
    let mut world = pair(2, &[("set", "hangup_after_bridge=true")]).build();
    world.phones[1].expect("2000", Script::answers(ms(500)).hangs_up(s(3)));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
    assert_eq!(world.caller(call).log.reason, crate::q850(16, "NORMAL_CLEARING"));
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUp));
}

#[test]
fn ringing_is_passed_on_once_and_what_is_said_is_heard() {
    let mut world = pair(3, &[]).build();
    let callee = Script::answers(s(2)).at(When::Invite(ms(400)), Do::Progress(180));
    world.phones[1].expect("2000", callee);
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    let caller = world.caller(call);
    let progress: Vec<(u16, bool)> =
        caller.log.progress.iter().map(|(_, status, sdp)| (*status, *sdp)).collect();
    assert_eq!(progress, [(180, false)]);
    for (hears, speaks) in [(caller, world.callee(call, 1)), (world.callee(call, 1), caller)] {
        let places = hears.media.ear.places(speaks.media.voice, tests::world::START, world.now());
        assert!(places.len() >= 95, "{} packets of two seconds", places.len());
    }
}

#[test]
fn a_call_crosses_from_tcp_to_udp_and_back() {
    for (seed, from, to) in
        [(4, Carrier::Tcp, Carrier::Udp), (5, Carrier::Udp, Carrier::Tcp), (6, Carrier::Tcp, Carrier::Tcp)]
    {
        let suffix = if to == Carrier::Tcp { ";transport=tcp" } else { "" };
        let target = format!("{}{suffix}", dial("2000", 1));
        let setup = Setup::new(seed).phone(from, false).phone(to, false);
        let mut world = setup.extension("1000", &[("bridge", &target)]).build();
        world.phones[1].expect("2000", Script::answers(ms(500)).hangs_up(s(2)));
        let call = world.call(0, "1000", Script::caller());
        world.run();
        assert_eq!(world.callee(call, 1).log.end, Some(End::HungUp), "{from:?} to {to:?}");
        assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer), "{from:?} to {to:?}");
    }
}

#[test]
fn a_call_crosses_from_ipv4_to_ipv6() {
    let target = format!("sofia/six/2000@{}", phone_address(1, true));
    let setup = Setup::new(7).phone(Carrier::Udp, false).phone(Carrier::Udp, true);
    let mut world = setup.extension("1000", &[("bridge", &target)]).build();
    world.phones[1].expect("2000", Script::answers(ms(500)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUpByPeer));
    assert!(world.callee(call, 1).media.ear.has_heard(world.caller(call).media.voice));
    assert!(world.caller(call).media.ear.has_heard(world.callee(call, 1).media.voice));
}

#[test]
fn a_host_name_is_resolved_and_called() {
    let setup =
        Setup::new(8).phones(2).extension("1000", &[("bridge", "sofia/main/2000@carrier.example:5060")]);
    let mut world = setup.build();
    world.hosts.insert("carrier.example".to_owned(), vec![phone_address(1, false).ip()]);
    world.phones[1].expect("2000", Script::answers(ms(500)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn a_gateway_is_called_and_its_headers_are_those_of_the_call() {
    let setup = Setup::new(9).phones(2).extension("1000", &[("bridge", "sofia/gateway/far/2000")]);
    let mut world = setup.change(|it| it.gateways.push(tests::setup::gateway("far", 1))).build();
    world.phones[1].expect("2000", Script::answers(ms(500)));
    let call = world.call(0, "1000", Script::caller().header("X-Account", "42").hangs_up(s(1)));
    world.run();
    let callee = world.callee(call, 1);
    assert_eq!(callee.invite_header("X-Account"), Some("42"));
    assert_eq!(callee.invite_header("Max-Forwards"), Some("69"));
}

#[test]
fn the_dialplan_answers_and_the_call_goes_on_after_the_bridge() {
    let mut world = Setup::new(10)
        .phones(2)
        .extension("1000", &[("answer", ""), ("bridge", &dial("2000", 1)), ("playback", "prompt-1.wav")])
        .build();
    world.tolerates.breaks = true;
    world.phones[1].expect("2000", Script::answers(ms(500)).hangs_up(s(1)));
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let caller = world.caller(call);
    assert_eq!(caller.log.end, Some(End::HungUpByPeer));
    let all: Vec<u32> = (0..tests::PROMPT_PACKETS).collect();
    assert_eq!(caller.media.ear.prompt(1), all);
}

#[test]
fn fifty_calls_at_once_keep_their_audio_apart() {
    let mut world = pair(11, &[]).ports(20_000, 20_399, 64).workers(2).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    for call in 0..50 {
        world.call_after(ms(call * 7), 0, "1000", Script::caller().hangs_up(ms(1_000 + call * 3)));
    }
    world.run();
    assert_eq!(world.records().count(), 100);
    for call in world.calls() {
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    }
}
