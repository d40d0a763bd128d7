//! Requests inside a call: answered here, or passed on (`sip.md` §7, `media.md` §2).

use tests::{Do, End, Script, Way, When, World, ms, s};

use crate::pair;

fn after(time: std::time::Duration, what: Do) -> (When, Do) {
    (When::Answer(time), what)
}

fn scripted(script: Script, steps: &[(When, Do)]) -> Script {
    steps.iter().cloned().fold(script, |script, (when, what)| script.at(when, what))
}

/// Statuses of what a leg asked inside its dialog.
fn statuses(world: &World, call: u16) -> Vec<(String, u16)> {
    world.caller(call).log.inside.iter().map(|(method, status, _)| (method.clone(), *status)).collect()
}

#[test]
fn hold_and_resume_are_answered_here_and_the_holder_hears_nothing_meanwhile() {
    for (seed, way) in [(1, Way::SendOnly), (2, Way::Inactive)] {
        let mut world = pair(seed, &[]).build();
        world.tolerates.breaks = true;
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let steps = [after(s(1), Do::Offer(way)), after(s(3), Do::Offer(Way::SendRecv))];
        let call = world.call(0, "1000", scripted(Script::caller().hangs_up(s(5)), &steps));
        world.run();
        assert_eq!(statuses(&world, call)[..2], [("INVITE".to_owned(), 200), ("INVITE".to_owned(), 200)]);
        assert!(
            world.callee(call, 1).log.asked.iter().all(|(method, ..)| method == "BYE"),
            "nothing was passed on"
        );
        let (caller, callee) = (world.caller(call), world.callee(call, 1));
        let answered = caller.log.answered_at.unwrap();
        let heard =
            |from, to| caller.media.ear.places(callee.media.voice, answered + from, answered + to).len();
        assert!(heard(ms(100), ms(950)) > 40, "before");
        assert_eq!(heard(ms(1_050), ms(2_950)), 0, "on hold");
        assert!(heard(ms(3_100), ms(4_900)) > 85, "after");
        let held =
            callee.media.ear.places(caller.media.voice, answered + ms(1_050), answered + ms(2_950)).len();
        assert_eq!(held > 85, way == Way::SendOnly, "{held} packets of music");
    }
}

#[test]
fn a_reinvite_that_asks_for_an_offer_is_given_one() {
    let mut world = pair(3, &[]).build();
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let call =
        world.call(0, "1000", scripted(Script::caller().hangs_up(s(3)), &[after(s(1), Do::AskForOffer)]));
    world.run();
    assert_eq!(statuses(&world, call)[0], ("INVITE".to_owned(), 200));
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn update_info_and_options_are_answered_inside_the_call() {
    let mut world = pair(4, &[]).build();
    world.tolerates.breaks = true;
    world.phones[1].expect("2000", Script::answers(ms(300)));
    let steps = [
        after(ms(500), Do::Request("INFO")),
        after(ms(700), Do::Request("OPTIONS")),
        after(ms(900), Do::Request("UPDATE")),
        after(ms(1_100), Do::UpdateOffer(Way::SendOnly)),
        after(ms(1_500), Do::UpdateOffer(Way::SendRecv)),
        after(ms(1_700), Do::Request("MESSAGE")),
        after(ms(1_900), Do::Request("REFER")),
        after(ms(2_100), Do::Request("DANCE")),
    ];
    let call = world.call(0, "1000", scripted(Script::caller().hangs_up(s(3)), &steps));
    world.run();
    let statuses: Vec<u16> = world.caller(call).log.inside.iter().map(|(_, status, _)| *status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..8].iter().all(|status| (400..600).contains(status)), "{statuses:?}");
    assert_eq!(world.caller(call).log.end, Some(End::HungUp));
}

#[test]
fn in_proxy_and_bypass_mode_a_reinvite_is_passed_on_with_its_sdp() {
    for (seed, mode) in [(5, "proxy_media=true"), (6, "bypass_media=true")] {
        let mut world = pair(seed, &[("set", mode)]).change(late).build();
        world.tolerates.breaks = true;
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let steps = [after(s(1), Do::Offer(Way::SendOnly)), after(s(2), Do::Offer(Way::SendRecv))];
        let call = world.call(0, "1000", scripted(Script::caller().hangs_up(s(4)), &steps));
        world.run();
        assert_eq!(
            statuses(&world, call)[..2],
            [("INVITE".to_owned(), 200), ("INVITE".to_owned(), 200)],
            "{mode}"
        );
        let callee = world.callee(call, 1);
        let asked: Vec<bool> = callee
            .log
            .asked
            .iter()
            .filter(|(method, ..)| method == "INVITE")
            .map(|(_, sdp, _)| *sdp)
            .collect();
        assert_eq!(asked, [true, true], "{mode}");
        let ways: Vec<Way> = callee.media.described.iter().map(|described| described.way).collect();
        assert_eq!(ways, [Way::SendRecv, Way::SendOnly, Way::SendRecv], "{mode}");
    }
}

#[test]
fn in_proxy_and_bypass_mode_an_offer_that_is_asked_for_comes_from_the_other_side() {
    for (seed, mode) in [(7, "proxy_media=true"), (8, "bypass_media=true")] {
        let mut world = pair(seed, &[("set", mode)]).change(late).build();
        world.tolerates.breaks = true;
        world.phones[1].expect("2000", Script::answers(ms(300)));
        let call =
            world.call(0, "1000", scripted(Script::caller().hangs_up(s(4)), &[after(s(1), Do::AskForOffer)]));
        world.run();
        assert_eq!(statuses(&world, call)[0], ("INVITE".to_owned(), 200), "{mode}");
        let asked = &world.callee(call, 1).log.asked;
        assert_eq!((asked[0].0.as_str(), asked[0].1), ("INVITE", false), "{mode}");
    }
}

#[test]
fn the_callee_may_ask_as_well() {
    for (seed, mode) in [(9, "proxy_media=true"), (10, "bypass_media=true"), (11, "nothing=true")] {
        let mut world = pair(seed, &[("set", mode)]).change(late).build();
        world.tolerates.breaks = true;
        let steps = [after(s(1), Do::Offer(Way::SendOnly)), after(s(2), Do::AskForOffer)];
        world.phones[1].expect("2000", scripted(Script::answers(ms(300)), &steps));
        let call = world.call(0, "1000", Script::caller().hangs_up(s(4)));
        world.run();
        let statuses: Vec<u16> =
            world.callee(call, 1).log.inside.iter().map(|(_, status, _)| *status).collect();
        assert_eq!(statuses, [200, 200], "{mode}");
    }
}

#[test]
fn two_reinvites_that_meet_are_both_settled_in_the_end() {
    for (seed, mode) in [(12, "proxy_media=true"), (13, "bypass_media=true"), (14, "nothing=true")] {
        for apart in [0, 3, 7, 11] {
            let mut world = pair(seed, &[("set", mode)]).change(late).build();
            world.tolerates.breaks = true;
            let callee = Script::answers(ms(300));
            world.phones[1]
                .expect("2000", scripted(callee, &[after(ms(1_000 + apart), Do::Offer(Way::SendRecv))]));
            let caller = Script::caller().hangs_up(s(12));
            let call = world.call(0, "1000", scripted(caller, &[after(s(1), Do::Offer(Way::SendRecv))]));
            world.run();
            for leg in [world.caller(call), world.callee(call, 1)] {
                let last = leg
                    .log
                    .inside
                    .iter()
                    .rfind(|(method, ..)| method == "INVITE")
                    .map(|(_, status, _)| *status);
                assert_eq!(last, Some(200), "{mode}, {apart} ms apart: {:?}", leg.log.inside);
            }
            let (caller, callee) = (world.caller(call), world.callee(call, 1));
            let end = caller.log.ended_at.unwrap();
            let from = caller.log.answered_at.unwrap() + s(10);
            for (ear, voice) in
                [(&caller.media.ear, callee.media.voice), (&callee.media.ear, caller.media.voice)]
            {
                assert!(ear.places(voice, from, end).len() > 90, "{mode}, {apart} ms apart: audio goes on");
            }
        }
    }
}

#[test]
fn a_reinvite_during_the_other_sides_hangup_leaves_nothing_behind() {
    for (seed, mode) in [(15, "proxy_media=true"), (16, "bypass_media=true"), (17, "nothing=true")] {
        for apart in 0..14 {
            let mut world =
                pair(seed, &[("set", mode), ("set", "hangup_after_bridge=true")]).change(late).build();
            world.tolerates.breaks = true;
            world.phones[1].expect("2000", Script::answers(ms(300)).hangs_up(ms(1_000 + apart)));
            let call =
                world.call(0, "1000", scripted(Script::caller(), &[after(s(1), Do::Offer(Way::SendOnly))]));
            world.run();
            assert!(world.caller(call).log.ended_at.unwrap() < tests::world::START + s(40));
        }
    }
}

fn late(configuration: &mut switch::Configuration) {
    for profile in &mut configuration.profiles {
        profile.late_negotiation = true;
    }
}
