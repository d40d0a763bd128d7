//! Worlds that nobody thought up: dial strings, scripts, networks and orders drawn from a seed.
//!
//! What such a world must do is only what every world must: end, leave nothing behind, say nothing wrong on the wire,
//! and lose no audio of its own. That it does so whatever comes is the point.

use std::fmt::Write;
use std::time::Duration;

use link::WorkerId;
use switch::{Cause, Request};

use crate::network::Quality;
use crate::phone::Carrier;
use crate::random::Random;
use crate::script::{Codec, Do, OnCancel, Script, Way, When, ms, s};
use crate::setup::{Setup, dial};
use crate::world::World;

/// Phones of a random world: the first one calls.
const PHONES: usize = 4;

/// Calls of a random world.
const CALLS_MAX: u64 = 4;

/// Final statuses that callees draw from.
const STATUSES: [u16; 10] = [400, 403, 404, 408, 480, 486, 488, 500, 503, 603];

/// Makes the world of a seed, with all that will happen in it.
pub fn world(seed: u64) -> World {
    let mut random = Random::new(seed).fork(7);
    let quality = quality(&mut random);
    let workers = random.between(1, 2) as u16;
    let mut setup = Setup::new(seed).quality(quality).workers(workers);
    let carriers: Vec<Carrier> = (0..PHONES).map(|_| carrier(&mut random)).collect();
    for carrier in &carriers {
        setup = setup.phone(*carrier, false);
    }
    if random.chance(80) {
        setup = setup.ports(20_000, 20_000 + 4 * workers * random.between(1, 3) as u16 - 1, 4);
    }
    let calls = random.between(1, CALLS_MAX);
    let mut passes_on = false;
    for call in 0..calls {
        let actions = extension(&mut random, call, calls, &carriers);
        passes_on |=
            actions.iter().any(|(_, data)| data.contains("proxy_media") || data.contains("bypass_media"));
        let actions: Vec<(&str, &str)> = actions.iter().map(|(app, data)| (*app, data.as_str())).collect();
        setup = setup.extension(&format!("10{call}"), &actions);
    }
    let late = random.chance(500);
    let mut world = setup
        .change(move |configuration| {
            for profile in &mut configuration.profiles {
                profile.late_negotiation = late;
            }
        })
        .build();
    world.tolerates.breaks = true;
    world.tolerates.foreign_ssrcs = passes_on;
    world.tells_unreachable = random.chance(500);
    if random.chance(50) {
        world.break_streams_after(ms(random.below(8_000)));
    }
    for call in 0..calls {
        for phone in 1..PHONES {
            for leg in 0..3 {
                let script = callee(&mut random);
                world.phones[phone].expect(&user(call, phone, leg), script);
            }
        }
        let after = ms(random.below(2_000));
        let script = caller(&mut random);
        world.call_after(after, 0, &format!("10{call}"), script);
    }
    while random.chance(200) {
        world.tolerates.strangers = true;
        disturb(&mut random, &mut world, workers);
    }
    world
}

fn quality(random: &mut Random) -> Quality {
    let delay = ms(random.between(1, 60));
    if random.chance(250) {
        return Quality { delay, ..Quality::CLEAN };
    }
    let worst = *random.pick(&[20, 100, 300]);
    Quality {
        delay,
        jitter: ms(random.below(40)),
        loss_per_mille: random.below(worst) as u16,
        duplicate_per_mille: random.below(100) as u16,
        reorder_per_mille: random.below(100) as u16,
    }
}

fn carrier(random: &mut Random) -> Carrier {
    if random.chance(150) { Carrier::Tcp } else { Carrier::Udp }
}

fn user(call: u64, phone: usize, leg: u64) -> String {
    format!("2{call}{phone}{leg}")
}

/// What happens when a number is dialled.
fn extension(
    random: &mut Random,
    call: u64,
    calls: u64,
    carriers: &[Carrier],
) -> Vec<(&'static str, String)> {
    let mut actions = Vec::new();
    let settings = [
        "continue_on_fail=true",
        "continue_on_fail=USER_BUSY,NO_ANSWER",
        "hangup_after_bridge=true",
        "park_after_bridge=true",
        "ignore_early_media=true",
        "originate_continue_on_timeout=true",
        "proxy_media=true",
        "bypass_media=true",
        "bypass_media_after_bridge=true",
        "execute_on_answer=playback prompt-1.wav",
        "progress_timeout=2",
        "bridge_answer_timeout=3",
    ];
    actions.push(("set", format!("call_timeout={}", random.between(1, 12))));
    actions.push(("set", format!("park_timeout={}", random.between(1, 4))));
    for setting in settings {
        if random.chance(120) {
            actions.push(("set", setting.to_owned()));
        }
    }
    for application in ["ring_ready", "pre_answer", "answer"] {
        if random.chance(100) {
            actions.push((application, String::new()));
        }
    }
    if random.chance(100) {
        actions.push(("playback", (*random.pick(&["prompt-2.wav", "nowhere.wav"])).to_owned()));
    }
    actions.push(("bridge", dial_string(random, call, carriers)));
    match random.below(8) {
        0 => actions.push(("playback", "prompt-3.wav".to_owned())),
        1 => actions.push(("bridge", dial_string(random, call, carriers))),
        2 => actions.push(("park", String::new())),
        3 => actions.push(("transfer", format!("10{}", random.below(calls)))),
        4 => actions.push(("hangup", "NORMAL_CIRCUIT_CONGESTION".to_owned())),
        5 => actions.push(("sleep", random.below(3_000).to_string())),
        _ => {}
    }
    actions
}

fn dial_string(random: &mut Random, call: u64, carriers: &[Carrier]) -> String {
    let mut text = String::new();
    for leg in 0..random.between(1, 3) {
        if leg > 0 {
            text.push(*random.pick(&[',', ',', '|']));
        }
        if random.chance(150) {
            let name = *random.pick(&["leg_timeout", "leg_progress_timeout"]);
            let _ = write!(text, "[{name}={}]", random.between(1, 5));
        }
        if random.chance(80) {
            let nowhere = [
                "error/USER_BUSY",
                "sofia/main/1@198.51.100.99:5060",
                "error/NO_ANSWER",
                "sofia/main/1@nowhere.example:5060",
                "sofia/nobody/1@1.2.3.4",
            ];
            text.push_str(random.pick::<&str>(&nowhere));
            continue;
        }
        let phone = random.between(1, PHONES as u64 - 1) as usize;
        text.push_str(&dial(&user(call, phone, leg), phone));
        if carriers[phone] == Carrier::Tcp {
            text.push_str(";transport=tcp");
        }
    }
    text
}

fn codecs(random: &mut Random) -> Vec<Codec> {
    let choices: [&[Codec]; 4] =
        [&[Codec::PCMU, Codec::PCMA], &[Codec::PCMA, Codec::PCMU], &[Codec::PCMU], &[Codec::PCMA]];
    let place = if random.chance(700) { 0 } else { random.below(4) };
    choices[place as usize].to_vec()
}

fn caller(random: &mut Random) -> Script {
    let mut script =
        Script { codecs: codecs(random), gives_up_after: s(random.between(60, 80)), ..Script::default() };
    script.talks = random.chance(500);
    script.behind_nat = random.chance(30);
    script.acknowledges = !random.chance(20);
    if random.chance(300) {
        script = script.cancels(ms(random.below(4_000)));
    }
    if random.chance(700) {
        script = script.hangs_up(talk_time(random));
    }
    inside(random, script)
}

fn callee(random: &mut Random) -> Script {
    let mut script =
        Script { codecs: codecs(random), gives_up_after: s(random.between(90, 110)), ..Script::default() };
    script.talks = random.chance(500);
    script.behind_nat = random.chance(30);
    script.tries = random.chance(700);
    script.on_cancel = match random.below(10) {
        0 => OnCancel::AnswerInstead,
        1 => OnCancel::Ignore,
        _ => OnCancel::Obey,
    };
    // Who ignores its CANCEL refuses in the end, when nobody asks any more.
    script.tolerates_no_ack = script.on_cancel == OnCancel::Ignore;
    let answer = ms(random.between(10, 6_000));
    let soon = When::Invite(ms(random.between(0, 300)));
    if random.chance(600) {
        script = script.at(soon, Do::Progress(*random.pick(&[180, 180, 183, 182, 181])));
    }
    match random.below(12) {
        0..6 => script = script.at(When::Invite(answer), Do::Answer),
        6 | 7 => script = script.at(When::Invite(answer), Do::Refuse(*random.pick(&STATUSES), None)),
        8 => script = script.at(soon, Do::Early).at(When::Invite(answer), Do::Answer),
        9 => script = script.at(soon, Do::Early).at(When::Invite(answer), Do::Refuse(486, None)),
        10 => script.silent = random.chance(500),
        _ => {}
    }
    if random.chance(400) {
        script = script.hangs_up(talk_time(random));
    }
    inside(random, script)
}

fn talk_time(random: &mut Random) -> Duration {
    if random.chance(200) { ms(random.below(100)) } else { ms(random.between(100, 3_000)) }
}

/// Requests inside the dialog.
fn inside(random: &mut Random, mut script: Script) -> Script {
    while random.chance(150) {
        let what = match random.below(8) {
            0 => Do::Offer(Way::SendOnly),
            1 => Do::Offer(Way::Inactive),
            2 | 3 => Do::Offer(Way::SendRecv),
            4 => Do::AskForOffer,
            5 => Do::UpdateOffer(Way::SendRecv),
            6 => Do::Request("INFO"),
            _ => Do::Digit(random.below(10) as u8),
        };
        script = script.at(When::Answer(ms(random.below(2_500))), what);
    }
    script
}

fn disturb(random: &mut Random, world: &mut World, workers: u16) {
    let after = ms(random.below(8_000));
    let which = random.below(4) as usize;
    let worker = WorkerId(random.below(u64::from(workers)) as u16);
    match random.below(7) {
        0 => world.order_after(after, which, |uuid| Request::Hangup { uuid, cause: Cause::CALL_REJECTED }),
        1 => world.order_after(after, which, |uuid| Request::Transfer {
            uuid,
            destination: "100".to_owned(),
            dialplan: None,
            context: None,
        }),
        2 => world.order_after(after, which, |uuid| Request::Park { uuid }),
        3 => world.order_after(after, which, |uuid| Request::Execute {
            uuid,
            application: "playback".to_owned(),
            data: "prompt-1.wav".to_owned(),
        }),
        4 => world.order_after(after, 0, |_| Request::HangupAll { cause: Cause::SYSTEM_SHUTDOWN }),
        _ => world.order_quietly_after(after, which, move |uuid| Request::MoveMedia { uuid, worker }),
    }
}
