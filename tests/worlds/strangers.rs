//! Peers that do what no phone should, and networks that get in the way.

use std::net::SocketAddr;

use tests::sip::Sip;
use tests::{Carrier, Do, End, Script, Setup, When, dial, ms, phone_address, s};

use crate::{pair, q850};

/// Where the raw party of a scenario lives.
fn stranger() -> SocketAddr {
    "203.0.113.7:5060".parse().expect("an address")
}

/// A response to the request in `bytes`: its head with this status line, To tag and body.
fn response(bytes: &[u8], status: &str, tag: &str, more: &str, body: &str) -> Option<Vec<u8>> {
    let request = Sip::parse(bytes).ok()?;
    let mut text = format!("SIP/2.0 {status}\r\n");
    for (name, value) in &request.headers {
        if ["Via", "From", "Call-ID", "CSeq"].contains(name) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if *name == "To" {
            let tag = if value.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
            text.push_str(&format!("To: {value}{tag}\r\n"));
        }
    }
    text.push_str(&format!(
        "Contact: <sip:x@{}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
        stranger(),
        body.len()
    ));
    Some(text.into_bytes())
}

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const TYPE: &str = "Content-Type: application/sdp\r\n";

/// What a raw callee answers: to the INVITE by `on_invite`, to everything else 200.
fn callee(
    on_invite: impl Fn(&[u8]) -> Vec<(std::time::Duration, Vec<u8>)> + 'static,
) -> tests::world::Respond {
    Box::new(move |_, from, bytes| {
        let answers = match bytes {
            [b'I', b'N', b'V', ..] => on_invite(bytes),
            [b'A', b'C', b'K', ..] | [b'S', b'I', b'P', ..] => Vec::new(),
            _ => response(bytes, "200 OK", "x", "", "").into_iter().map(|answer| (ms(5), answer)).collect(),
        };
        answers.into_iter().map(|(after, bytes)| (after, from, bytes)).collect()
    })
}

fn to_stranger(seed: u64, actions: &[(&str, &str)]) -> tests::World {
    let target = format!("sofia/main/9@{}", stranger());
    let actions: Vec<(&str, &str)> = actions.iter().copied().chain([("bridge", target.as_str())]).collect();
    let mut world = Setup::new(seed).phones(1).extension("1000", &actions).build();
    world.leave_audio_alone();
    world
}

fn requests(world: &tests::World, method: &str) -> usize {
    let start = format!("{method} ");
    world.received_raw(stranger()).iter().filter(|(_, bytes)| bytes.starts_with(start.as_bytes())).count()
}

#[test]
fn a_200_out_of_the_blue_is_an_answer() {
    let mut world = to_stranger(1, &[]);
    world.raw(
        stranger(),
        callee(|invite| {
            response(invite, "200 OK", "a", TYPE, SDP).into_iter().map(|answer| (ms(0), answer)).collect()
        }),
    );
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    assert_eq!((requests(&world, "ACK"), requests(&world, "BYE")), (1, 1));
}

#[test]
fn a_second_far_end_that_answers_gets_ack_and_bye() {
    let mut world = to_stranger(2, &[]);
    world.raw(
        stranger(),
        callee(|invite| {
            let answer =
                |after, tag| response(invite, "200 OK", tag, TYPE, SDP).map(|answer| (after, answer));
            [answer(ms(50), "a"), answer(ms(80), "b"), answer(ms(120), "a")].into_iter().flatten().collect()
        }),
    );
    let call = world.call(0, "1000", Script::caller().hangs_up(s(1)));
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
    // One ACK to each tag, one more to the copy; BYE to the second at once, to the first in the end.
    assert_eq!((requests(&world, "ACK"), requests(&world, "BYE")), (3, 2));
}

#[test]
fn an_answer_without_usable_sdp_ends_the_call() {
    let bodies = [
        (TYPE, "garbage"),
        ("", ""),
        (
            TYPE,
            "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=-\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 99\r\n",
        ),
    ];
    for (seed, (kind, body)) in (3..).zip(bodies) {
        let mut world = to_stranger(seed, &[]);
        world.raw(
            stranger(),
            callee(move |invite| {
                response(invite, "200 OK", "a", kind, body)
                    .into_iter()
                    .map(|answer| (ms(50), answer))
                    .collect()
            }),
        );
        let call = world.call(0, "1000", Script::caller());
        world.run();
        assert_eq!(world.caller(call).log.status, Some(488), "{body:?}");
        assert_eq!((requests(&world, "ACK"), requests(&world, "BYE")), (1, 1), "{body:?}");
    }
}

#[test]
fn a_callee_that_rings_for_ever_is_cancelled_in_the_end() {
    let mut world = to_stranger(6, &[("set", "call_timeout=5")]);
    world.raw(
        stranger(),
        callee(|invite| {
            (1..200)
                .filter_map(|n| Some((ms(100 * n), response(invite, "180 Ringing", "a", "", "")?)))
                .collect()
        }),
    );
    let call = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.caller(call).log.status, Some(480));
    // It answers the CANCEL and never the INVITE: 64·T1 later nothing is left all the same.
    assert_eq!(requests(&world, "CANCEL"), 1);
}

#[test]
fn a_host_that_nobody_answers_for_is_told_by_its_network() {
    let target = format!("sofia/main/9@{}", phone_address(99, false));
    let mut world = Setup::new(7).phones(1).extension("1000", &[("bridge", &target)]).build();
    world.tells_unreachable = true;
    let call = world.call(0, "1000", Script::caller());
    world.run();
    let log = &world.caller(call).log;
    assert_eq!((log.status, log.reason.clone()), (Some(503), q850(41, "NORMAL_TEMPORARY_FAILURE")));
    assert!(log.ended_at.unwrap() < tests::world::START + s(1));
}

#[test]
fn an_invite_that_asks_for_what_we_cannot_is_refused() {
    let mut world = pair(8, &[]).build();
    let call = world.call(0, "1000", Script::caller().header("Require", "100rel, teleport"));
    world.run();
    let log = &world.caller(call).log;
    assert_eq!(log.status, Some(420));
    let unsupported =
        log.response.iter().find(|(name, _)| name == "Unsupported").map(|(_, value)| value.as_str());
    assert!(unsupported.is_some_and(|value| value.contains("teleport")), "{unsupported:?}");
}

#[test]
fn a_phone_behind_nat_is_heard_and_sent_to_where_it_speaks_from() {
    let mut world = pair(9, &[]).build();
    world.leave_audio_alone();
    world.tolerates.breaks = true;
    world.phones[1].expect("2000", Script { behind_nat: true, ..Script::answers(ms(300)) });
    let call = world.call(0, "1000", Script::caller().hangs_up(s(3)));
    world.run();
    let (caller, callee) = (world.caller(call), world.callee(call, 1));
    let from = caller.log.answered_at.unwrap() + s(1);
    let to = from + ms(1_900);
    assert!(caller.media.ear.places(callee.media.voice, from, to).len() >= 94);
    assert!(callee.media.ear.places(caller.media.voice, from, to).len() >= 94);
    assert!(world.is_recorded("rtp_auto_adjust_audio", "true"));
}

#[test]
fn audio_of_strangers_is_heard_by_nobody() {
    // They send what a phone of the same call would say; only where it comes from is wrong.
    let mut world = pair(10, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(3)));
    let voice = tests::voice::Voice { call, take: 0, speaker: 2 };
    for place in 0..100_u32 {
        let mut packet = vec![0x80, 0];
        packet.extend((place as u16).to_be_bytes());
        packet.extend((160 * place).to_be_bytes());
        packet.extend([9, 9, 9, 9]);
        packet.extend(voice.packet(90_000 + place, tests::voice::Law::Ulaw));
        for port in (20_000..20_200).step_by(2) {
            let to = SocketAddr::new(std::net::IpAddr::from([192, 0, 2, 1]), port);
            world.throw(ms(20 * u64::from(place)), "203.0.113.9:4000".parse().unwrap(), to, packet.clone());
        }
    }
    world.run();
    let heard = &world.caller(call).media.ear.heard;
    assert!(heard.len() > 100 && heard.iter().all(|heard| heard.index < 90_000));
}

#[test]
fn a_connection_that_breaks_takes_no_call_with_it() {
    let setup = Setup::new(11).phone(Carrier::Tcp, false).phone(Carrier::Udp, false);
    let mut world = setup.extension("1000", &[("bridge", &dial("2000", 1))]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call = world.call(0, "1000", Script::caller().hangs_up(s(4)));
    world.run_until(s(2));
    world.break_streams();
    world.run();
    assert_eq!(world.caller(call).log.end, Some(End::HungUp), "the phone connected again for its BYE");
    assert_eq!(world.callee(call, 1).log.end, Some(End::HungUpByPeer));
}

#[test]
fn a_reload_changes_new_calls_and_leaves_running_ones_alone() {
    let first =
        Setup::new(12).phones(3).extension("1000", &[("sleep", "2000"), ("bridge", &dial("2001", 1))]);
    let second = Setup::new(12).extension("1000", &[("bridge", &dial("2002", 2))]).into_configuration();
    let mut world = first.build();
    for (phone, user) in [(1, "2001"), (2, "2002")] {
        world.phones[phone].expect(user, Script::answers(ms(100)).at(When::Answer(s(1)), Do::HangUp));
    }
    let old = world.call(0, "1000", Script::caller());
    world.run_until(s(1));
    let now = world.time();
    world.switch.reload(now, std::sync::Arc::new(second));
    let new = world.call(0, "1000", Script::caller());
    world.run();
    assert_eq!(world.callee(old, 1).log.end, Some(End::HungUp));
    assert_eq!(world.callee(new, 2).log.end, Some(End::HungUp));
}

#[test]
fn more_calls_than_are_allowed_get_503() {
    let limits = |it: &mut switch::Configuration| it.limits.sessions_max = 4;
    let mut world = pair(13, &[]).change(limits).build();
    world.phones[1].expect("2000", Script::answers(ms(100)));
    let calls: Vec<u16> =
        (0..3).map(|n| world.call_after(ms(200 * n), 0, "1000", Script::caller().hangs_up(s(2)))).collect();
    world.run();
    let statuses = calls.iter().map(|call| world.caller(*call).log.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [Some(200), Some(200), Some(503)]);
    assert_eq!(world.switch.counters().refused_sessions_max, 1);
}

#[test]
fn the_same_seed_gives_the_same_world_to_the_byte() {
    for seed in 0..60 {
        let tell = || {
            let mut world = tests::chance::world(seed);
            world.run();
            world.tell()
        };
        let (one, other) = (tell(), tell());
        assert!(one.len() > 500);
        assert!(one == other, "seed {seed} tells two stories");
    }
}
