//! Every application, disturbed at every point at which it can wait: after each single input that the switch is given.
//!
//! A scenario is run once for each way of disturbing it and each of its turns, until it ends by itself before the
//! disturbance would have come. Whatever happens then, the audit must find nothing left.

use link::WorkerId;
use switch::{Cause, Request};
use tests::{Do, Role, Script, Setup, Way, When, World, dial, ms, s};

/// How a call is disturbed.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    CallerLeaves,
    CalleeLeaves,
    HangUp(usize),
    Transfer(usize),
    Park(usize),
    Execute(usize, &'static str, &'static str),
    Move(usize),
    HangUpAll,
}

const DISTURBANCES: [Disturbance; 14] = [
    Disturbance::CallerLeaves,
    Disturbance::CalleeLeaves,
    Disturbance::HangUp(0),
    Disturbance::HangUp(1),
    Disturbance::Transfer(0),
    Disturbance::Transfer(1),
    Disturbance::Park(0),
    Disturbance::Park(1),
    Disturbance::Execute(0, "sleep", "30"),
    Disturbance::Execute(1, "playback", "prompt-2.wav"),
    Disturbance::Execute(0, "hangup", "CALL_REJECTED"),
    Disturbance::Execute(0, "transfer", "-both 1009"),
    Disturbance::Move(0),
    Disturbance::HangUpAll,
];

fn disturb(world: &mut World, how: Disturbance) {
    let cause = Cause::CALL_REJECTED;
    match how {
        Disturbance::CallerLeaves => world.hang_up(1, Role::Caller),
        Disturbance::CalleeLeaves => world.hang_up(1, Role::Callee),
        Disturbance::HangUp(which) => _ = world.order(which, |uuid| Request::Hangup { uuid, cause }),
        Disturbance::Transfer(which) => {
            _ = world.order(which, |uuid| Request::Transfer {
                uuid,
                destination: "1009".to_owned(),
                dialplan: None,
                context: None,
            })
        }
        Disturbance::Park(which) => _ = world.order(which, |uuid| Request::Park { uuid }),
        Disturbance::Execute(which, application, data) => {
            _ = world.order(which, |uuid| Request::Execute {
                uuid,
                application: application.to_owned(),
                data: data.to_owned(),
            })
        }
        Disturbance::Move(which) => {
            world.order(which, |uuid| Request::MoveMedia { uuid, worker: WorkerId(1) });
        }
        Disturbance::HangUpAll => _ = world.order(0, |_| Request::HangupAll { cause }),
    }
}

/// A world whose extension 1000 is `actions`; 1009 is where transfers go. Phones 1 and 2 answer by `scripts`.
fn world(actions: &[(&str, &str)], scripts: &[Script]) -> World {
    let setup = Setup::new(1).phones(3).workers(2).extension("1000", actions);
    let mut world = setup.extension("1009", &[("sleep", "40"), ("hangup", "USER_BUSY")]).build();
    world.tolerates.breaks = true;
    world.leave_audio_alone();
    for (place, script) in scripts.iter().enumerate() {
        let script = Script { gives_up_after: s(50), ..script.clone() };
        world.phones[place + 1].expect(&format!("200{}", place + 1), script.mute());
    }
    world
}

/// Runs a scenario undisturbed, then disturbed in every way at every turn. Gives the number of worlds.
fn disturbed_everywhere(actions: &[(&str, &str)], scripts: &[Script], caller: &Script) -> u64 {
    let caller = Script { gives_up_after: s(40), ..caller.clone() }.mute();
    let begin = || {
        let mut world = world(actions, scripts);
        world.call(0, "1000", caller.clone());
        world
    };
    begin().run();
    let mut worlds = 0;
    for how in DISTURBANCES {
        // Before the INVITE there is nothing to disturb.
        let first = begin_of_call(&mut begin());
        for turn in first.. {
            let mut world = begin();
            if !world.run_turns(turn) {
                break;
            }
            world.note(format!("{how:?} after turn {turn}"));
            disturb(&mut world, how);
            world.run();
            worlds += 1;
        }
    }
    worlds
}

/// The turn in which the first channel is made.
fn begin_of_call(world: &mut World) -> u64 {
    while world.switch.channels().is_empty() && world.step() {}
    world.turns()
}

fn one() -> String {
    dial("2001", 1)
}

#[test]
fn a_bridge_that_is_answered() {
    let caller = Script::caller().hangs_up(ms(300));
    let worlds = disturbed_everywhere(&[("bridge", &one())], &[Script::answers(ms(100))], &caller);
    assert!(worlds > 100, "{worlds}");
}

#[test]
fn a_bridge_that_rings_and_times_out() {
    let actions = [("set", "call_timeout=1"), ("bridge", &one())];
    disturbed_everywhere(&actions, &[Script::rings()], &Script::caller());
}

#[test]
fn a_bridge_with_early_media() {
    let callee = Script::early(ms(50)).at(When::Invite(ms(300)), Do::Answer);
    disturbed_everywhere(&[("bridge", &one())], &[callee], &Script::caller().hangs_up(ms(200)));
}

#[test]
fn a_bridge_that_forks() {
    let target = format!("{},{}", one(), dial("2002", 2));
    let scripts = [Script::answers(ms(200)), Script::answers(ms(210))];
    disturbed_everywhere(&[("bridge", &target)], &scripts, &Script::caller().hangs_up(ms(200)));
}

#[test]
fn a_bridge_that_fails_over() {
    let target = format!("{}|{}", one(), dial("2002", 2));
    let scripts = [Script::refuses(ms(50), 503), Script::answers(ms(100))];
    disturbed_everywhere(&[("bridge", &target)], &scripts, &Script::caller().hangs_up(ms(200)));
}

#[test]
fn a_bridge_to_a_name() {
    let actions = [
        ("bridge", "sofia/main/2001@nobody.example:5060"),
        ("bridge", "sofia/main/2001@carrier.example:5060"),
    ];
    let actions = [("set", "continue_on_fail=true"), actions[0], actions[1]];
    disturbed_everywhere(&actions, &[], &Script::caller());
}

#[test]
fn a_bridge_after_an_answer_and_a_prompt_after_the_bridge() {
    let actions =
        [("set", "answer_delay=50"), ("answer", ""), ("bridge", &one()), ("playback", "prompt-1.wav")];
    disturbed_everywhere(&actions, &[Script::answers(ms(50)).hangs_up(ms(100))], &Script::caller());
}

#[test]
fn prompts_early_and_answered() {
    let actions = [
        ("ring_ready", ""),
        ("sleep", "20"),
        ("pre_answer", ""),
        ("playback", "prompt-1.wav"),
        ("answer", ""),
        ("playback", "nowhere.wav"),
        ("playback", "prompt-2.wav"),
        ("hangup", "NORMAL_CLEARING"),
    ];
    disturbed_everywhere(&actions, &[], &Script::caller());
}

#[test]
fn a_prompt_on_top_of_a_bridge() {
    let target = format!("[execute_on_answer='playback prompt-1.wav']{}", one());
    let actions = [("set", "execute_on_answer=playback prompt-3.wav"), ("bridge", &target)];
    disturbed_everywhere(&actions, &[Script::answers(ms(50))], &Script::caller().hangs_up(ms(300)));
}

#[test]
fn parks_that_end_and_transfers() {
    let actions = [("set", "park_timeout=1"), ("park", "")];
    disturbed_everywhere(&actions, &[], &Script::caller());
    disturbed_everywhere(&[("answer", ""), ("transfer", "1009")], &[], &Script::caller());
    disturbed_everywhere(&[("respond", "404"), ("sleep", "50")], &[], &Script::caller());
}

#[test]
fn a_bridge_whose_audio_goes_around_the_switch() {
    let actions = [("set", "bypass_media_after_bridge=true"), ("bridge", &one())];
    disturbed_everywhere(&actions, &[Script::answers(ms(50))], &Script::caller().hangs_up(ms(300)));
}

#[test]
fn a_bridge_that_passes_a_reinvite_on() {
    for way in [Do::Offer(Way::SendOnly), Do::AskForOffer] {
        let actions = [("set", "proxy_media=true"), ("bridge", &one())];
        let caller = Script::caller().at(When::Answer(ms(100)), way).hangs_up(ms(300));
        disturbed_everywhere(&actions, &[Script::answers(ms(50))], &caller);
    }
}

#[test]
fn what_comes_after_a_bridge() {
    for setting in ["park_after_bridge=true", "transfer_after_bridge=1009", "hangup_after_bridge=true"] {
        let actions = [("set", setting), ("set", "park_timeout=1"), ("bridge", &one())];
        disturbed_everywhere(&actions, &[Script::answers(ms(50)).hangs_up(ms(100))], &Script::caller());
    }
}
