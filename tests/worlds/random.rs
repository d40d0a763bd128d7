//! Random worlds under loss. `CROSSPOINT_WORLDS=n` runs so many of them; `CROSSPOINT_SEED=n` runs one and no other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tests::chance;

/// Worlds of one run when nobody says how many.
const WORLDS: u64 = 10_000;

/// Worlds that fail before a run is given up: the first ladders say enough.
const FAILURES_MAX: u64 = 3;

/// The share of one of four tests, which run side by side where there are cores for them.
fn run(quarter: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("CROSSPOINT_SEED") {
        if seed % 4 == quarter {
            chance::world(seed).run();
        }
        return;
    }
    let worlds = number("CROSSPOINT_WORLDS").unwrap_or(WORLDS);
    let mut failed = Vec::new();
    for seed in (0..worlds).filter(|seed| seed % 4 == quarter) {
        if catch_unwind(AssertUnwindSafe(|| chance::world(seed).run())).is_err() {
            eprintln!("once more: CROSSPOINT_SEED={seed} cargo test --package tests --test worlds random");
            failed.push(seed);
        }
        if failed.len() as u64 >= number("CROSSPOINT_FAILURES").unwrap_or(FAILURES_MAX) {
            break;
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} fail");
}

#[test]
fn every_fourth_random_world_ends_well() {
    run(0);
}

#[test]
fn every_fourth_random_world_and_one_ends_well() {
    run(1);
}

#[test]
fn every_fourth_random_world_and_two_ends_well() {
    run(2);
}

#[test]
fn every_fourth_random_world_and_three_ends_well() {
    run(3);
}
