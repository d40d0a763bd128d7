//! Audio: modes, codecs, early media, prompts, moves between workers. Every sample is checked by the world.

use std::net::SocketAddr;

use link::WorkerId;
use switch::Request;
use tests::{Codec, Do, End, PROMPT_PACKETS, Script, Setup, When, World, dial, ms, s};

use crate::pair;

fn late(configuration: &mut switch::Configuration) {
    for profile in &mut configuration.profiles {
        profile.late_negotiation = true;
    }
}

fn switch_host() -> std::net::IpAddr {
    tests::setup::SWITCH.parse::<SocketAddr>().expect("an address").ip()
}

/// Both ends have heard so many packets of each other.
fn both_heard(world: &World, call: u16, packets: usize) {
    let (caller, callee) = (world.caller(call), world.callees(call));
    let callee = callee.last().expect("somebody was called");
    for (hears, speaks) in [(caller, *callee), (*callee, caller)] {
        let heard = hears.media.ear.places(speaks.media.voice, tests::world::START, world.now()).len();
        assert!(heard >= packets, "call {call}: {:?} heard {heard} packets of {packets}", hears.role);
    }
}

#[test]
fn in_default_mode_audio_crosses_the_switch_with_numbers_of_its_own() {
    let mut world = pair(1, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(4)));
    world.run();
    both_heard(&world, call, 190);
    let heard = &world.caller(call).media.ear.heard;
    assert!(heard.iter().all(|heard| heard.from.ip() == switch_host()));
}

#[test]
fn in_proxy_mode_not_a_byte_is_changed_whatever_the_codec() {
    for (seed, codec) in [(2, Codec::PCMU), (3, Codec::OPUS)] {
        let mut world = pair(seed, &[("set", "proxy_media=true")]).change(late).build();
        world.phones[1].expect("2000", Script::answers(ms(300)).codecs(&[codec]));
        let call = world.call(0, "1000", Script::caller().codecs(&[codec]).hangs_up(s(2)));
        world.run();
        both_heard(&world, call, 90);
        let (caller, callee) = (world.caller(call), world.callee(call, 1));
        for (hears, speaks) in [(caller, callee), (callee, caller)] {
            assert!(hears.media.ear.heard.iter().all(|heard| heard.ssrc == speaks.media.ssrc()));
            assert!(hears.media.ear.heard.iter().all(|heard| heard.from.ip() == switch_host()));
        }
    }
}

#[test]
fn in_bypass_mode_the_phones_speak_to_each_other_and_no_port_is_taken() {
    // Not a single port: whoever takes one fails.
    let mut world = pair(4, &[("set", "bypass_media=true")]).change(late).ports(20_000, 20_001, 0).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
    world.run();
    both_heard(&world, call, 90);
    let callee = world.phones[1].sip.ip();
    assert!(world.caller(call).media.ear.heard.iter().all(|heard| heard.from.ip() == callee));
}

#[test]
fn bypass_after_bridge_begins_here_and_ends_between_the_phones() {
    let mut world = pair(5, &[("set", "bypass_media_after_bridge=true")]).build();
    world.tolerates.breaks = true;
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(4)));
    world.run();
    let (caller, callee) = (world.caller(call), world.callee(call, 1));
    assert_eq!(
        caller.log.asked.first().map(|(method, sdp, _)| (method.as_str(), *sdp)),
        Some(("INVITE", false))
    );
    assert_eq!(
        callee.log.asked.first().map(|(method, sdp, _)| (method.as_str(), *sdp)),
        Some(("INVITE", true))
    );
    let end = caller.log.ended_at.unwrap();
    let late = caller.log.answered_at.unwrap() + s(2);
    let heard = caller.media.ear.heard.iter().filter(|heard| heard.at > late && heard.at < end);
    let hosts: Vec<_> = heard.map(|heard| heard.from.ip()).collect();
    assert!(
        hosts.len() > 90 && hosts.iter().all(|host| *host == world.phones[1].sip.ip()),
        "{}",
        hosts.len()
    );
}

#[test]
fn bypass_after_bridge_stays_here_when_the_far_end_will_not_have_it() {
    let mut world = pair(6, &[("set", "bypass_media_after_bridge=true")]).build();
    world.tolerates.breaks = true;
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let callee = world.phones[1].sip;
    // Its re-INVITE never reaches the callee; the call stays in the path until it is given up.
    world.network.lose(30, move |it| it.to == callee && it.is_request("INVITE") && has_to_tag(it.bytes));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(10)));
    world.run();
    both_heard(&world, call, 400);
}

fn has_to_tag(bytes: &[u8]) -> bool {
    tests::sip::Sip::parse(bytes).is_ok_and(|message| !message.to_tag().is_empty())
}

#[test]
fn g711_is_transcoded_between_laws_and_payload_types_are_mapped() {
    let target = format!("[absolute_codec_string=PCMA]{}", dial("2000", 1));
    let mut world = Setup::new(7).phones(2).extension("1000", &[("bridge", &target)]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)).codecs(&[Codec::PCMA]));
    let call = world.call(0, "1000", Script::caller().codecs(&[Codec::PCMU]).hangs_up(s(2)));
    world.run();
    both_heard(&world, call, 90);
}

#[test]
fn a_codec_that_nobody_here_knows_the_inside_of_passes_with_its_numbers_mapped() {
    let opus = |it: &mut switch::Configuration| {
        for profile in &mut it.profiles {
            let (codecs, _) = switch::CodecPreference::parse_list("opus,PCMU");
            (profile.inbound_codecs, profile.outbound_codecs) = (codecs.clone(), codecs);
        }
    };
    let mut world = pair(8, &[]).change(opus).build();
    world.phones[1].expect("2000", Script::answers(ms(300)).codecs(&[Codec::OPUS]));
    let call = world.call(0, "1000", Script::caller().codecs(&[Codec::OPUS.numbered(98)]).hangs_up(s(2)));
    world.run();
    both_heard(&world, call, 90);
}

#[test]
fn telephone_events_arrive_under_the_number_that_each_side_has_for_them() {
    let mut world = pair(9, &[]).build();
    world.tolerates.breaks = true;
    let callee = Script {
        event_payload_type: Some(96),
        insists_on_event_payload_type: true,
        ..Script::answers(ms(300)).at(When::Answer(ms(800)), Do::Digit(7))
    };
    world.phones[1].expect("2000", callee);
    let call = world.call(0, "1000", Script::caller().at(When::Answer(s(1)), Do::Digit(5)).hangs_up(s(2)));
    world.run();
    let digits = |ear: &tests::ear::Ear| -> Vec<(u8, u8)> {
        ear.digits.iter().map(|digit| (digit.digit, digit.payload_type)).collect()
    };
    assert_eq!(digits(&world.callee(call, 1).media.ear), [(5, 96); 3]);
    assert_eq!(digits(&world.caller(call).media.ear), [(7, 101); 3]);
}

#[test]
fn early_media_is_heard_before_the_answer_and_after_it_without_a_break() {
    for (seed, mode) in [(10, "nothing=true"), (11, "proxy_media=true"), (12, "bypass_media=true")] {
        let mut world = pair(seed, &[("set", mode)]).change(late).build();
        world.phones[1].expect("2000", Script::early(ms(300)).at(When::Invite(s(2)), Do::Answer));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(2)));
        world.run();
        let (caller, callee) = (world.caller(call), world.callee(call, 1));
        let early =
            caller.media.ear.places(callee.media.voice, tests::world::START, caller.log.answered_at.unwrap());
        assert!(early.len() >= 80, "{mode}: {} early packets", early.len());
        both_heard(&world, call, 180);
        assert_eq!(caller.log.end, Some(End::HungUp));
    }
}

#[test]
fn a_prompt_is_heard_whole_before_and_after_the_answer() {
    let actions =
        [("pre_answer", ""), ("playback", "prompt-1.wav"), ("answer", ""), ("playback", "prompt-2.wav")];
    let mut world = Setup::new(13).phones(1).extension("1000", &actions).build();
    world.tolerates.breaks = true;
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let ear = &world.caller(call).media.ear;
    let all: Vec<u32> = (0..PROMPT_PACKETS).collect();
    assert_eq!((ear.prompt(1), ear.prompt(2)), (all.clone(), all));
    assert!(world.is_recorded("playback_response", "FILE PLAYED"));
}

#[test]
fn a_missing_prompt_is_passed_over() {
    let actions = [("answer", ""), ("playback", "nowhere.wav"), ("playback", "prompt-1.wav")];
    let mut world = Setup::new(14).phones(1).extension("1000", &actions).build();
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).media.ear.prompt(1).len(), PROMPT_PACKETS as usize);
}

#[test]
fn a_prompt_that_takes_too_long_to_load_is_passed_over() {
    let actions = [("answer", ""), ("playback", "prompt-1.wav"), ("sleep", "100")];
    let mut world = Setup::new(15).phones(1).extension("1000", &actions).build();
    world.prompt_delay = s(7);
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert!(world.caller(call).media.ear.prompt(1).is_empty());
    assert_eq!(world.caller(call).log.end, Some(End::HungUpByPeer));
    assert_eq!(world.switch.counters().late_answers, 1);
}

#[test]
fn a_call_moves_between_workers_under_audio_without_loss() {
    for (seed, mode) in [(16, "nothing=true"), (17, "proxy_media=true")] {
        let mut world = pair(seed, &[("set", mode)]).change(late).workers(2).build();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(6)));
        for (place, worker) in [1, 0, 1, 0, 1].into_iter().enumerate() {
            let at = ms(1_500 + 700 * place as u64);
            world.order_quietly_after(at, 0, move |uuid| Request::MoveMedia {
                uuid,
                worker: WorkerId(worker),
            });
        }
        world.run();
        both_heard(&world, call, 290);
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    }
}

#[test]
fn a_call_that_ends_while_it_moves_leaves_nothing_behind() {
    for late_us in 0..60 {
        let mut world = pair(18, &[]).workers(2).build();
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
        // The BYE reaches the switch 1,315 ms after the beginning; commands and reports take 20 µs each.
        let at = std::time::Duration::from_micros(1_324_880 + 4 * late_us);
        for which in [0, 1] {
            world.order_after(at, which, |uuid| Request::MoveMedia { uuid, worker: WorkerId(1) });
        }
        world.run();
        assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    }
}

#[test]
fn a_lossy_network_is_the_only_one_that_loses() {
    let lossy = tests::Quality {
        delay: ms(8),
        jitter: ms(15),
        loss_per_mille: 50,
        duplicate_per_mille: 30,
        reorder_per_mille: 30,
    };
    let mut world = pair(19, &[]).quality(lossy).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(20)));
    world.run();
    both_heard(&world, call, 850);
}

#[test]
fn a_silent_peer_is_hung_up_when_the_profile_says_so() {
    let timeout = |it: &mut switch::Configuration| it.profiles[0].media_timeout_ms = 2_000;
    let mut world = pair(20, &[]).change(timeout).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let caller = Script::caller().at(When::Answer(s(3)), Do::Hush);
    let call = world.call(0, "1000", caller);
    world.run();
    let caller = world.caller(call);
    assert_eq!(caller.log.end, Some(End::HungUpByPeer));
    let lasted = caller.log.ended_at.unwrap().since(caller.log.answered_at.unwrap());
    assert!((ms(4_900)..ms(5_300)).contains(&lasted), "{lasted:?}");
    assert!(world.is_recorded("hangup_cause", "MEDIA_TIMEOUT"));
}
