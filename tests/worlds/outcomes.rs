//! Random dials on a good network: everybody must see exactly what a simple model says.

use tests::model::Dial;
use tests::random::Random;
use tests::{End, Script, Setup, dial, ms};

/// Dials of one run.
const DIALS: u64 = 3_000;

fn check(seed: u64) {
    let wanted = Dial::draw(&mut Random::new(seed).fork(11));
    let user = |attempt: usize, leg: usize| format!("2{attempt}{leg}0");
    let attempts: Vec<String> = wanted
        .attempts
        .iter()
        .enumerate()
        .map(|(attempt, legs)| {
            let legs = (0..legs.len()).map(|leg| dial(&user(attempt, leg), leg + 1));
            legs.collect::<Vec<String>>().join(",")
        })
        .collect();
    let timeout = format!("call_timeout={}", wanted.timeout.as_secs());
    let continues = format!("originate_continue_on_timeout={}", wanted.continues);
    let early = format!("ignore_early_media={}", wanted.ignores_early);
    let bridge = attempts.join("|");
    let actions = [("set", timeout.as_str()), ("set", &continues), ("set", &early), ("bridge", &bridge)];
    let mut world = Setup::new(seed).phones(4).extension("1000", &actions).build();
    for (attempt, legs) in wanted.attempts.iter().enumerate() {
        for (leg, behaviour) in legs.iter().enumerate() {
            world.phones[leg + 1].expect(&user(attempt, leg), behaviour.script());
        }
    }
    let caller = Script::caller().mute().hangs_up(ms(500));
    let caller = match wanted.patience {
        Some(after) => caller.cancels(after),
        None => caller,
    };
    let call = world.call(0, "1000", caller);
    world.run();
    let outcome = wanted.outcome();
    assert_eq!(world.caller(call).log.status, Some(outcome.status), "seed {seed}: {wanted:?}");
    for (attempt, ends) in outcome.legs.iter().enumerate() {
        for (leg, end) in ends.iter().enumerate() {
            let legs = &world.phones[leg + 1].legs;
            let found = legs.iter().find(|found| found.dialled().contains(&user(attempt, leg)));
            let found = found.and_then(|found| found.log.end.clone());
            assert_eq!(found.as_ref(), Some(end), "seed {seed}, attempt {attempt}, leg {leg}: {wanted:?}");
        }
    }
    let legs: usize = outcome.legs.iter().map(Vec::len).sum();
    assert_eq!(world.callees(call).len(), legs, "seed {seed}: {wanted:?}");
    if outcome.status == 200 {
        assert!(matches!(world.caller(call).log.end, Some(End::HungUp)), "seed {seed}");
    }
}

#[test]
fn a_dial_ends_as_the_model_says() {
    if let Some(seed) = std::env::var("CROSSPOINT_SEED").ok().and_then(|text| text.parse().ok()) {
        return check(seed);
    }
    for seed in 0..DIALS {
        check(seed);
    }
}
