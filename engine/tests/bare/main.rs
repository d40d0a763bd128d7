//! The packet path is bare: once audio runs, a worker allocates nothing, however many packets pass. And what a
//! process opened for its workers is closed when they are gone. Both count what the whole process does, so they have
//! this program to themselves, and run one after the other.

#[path = "../relay/world.rs"]
#[allow(dead_code)]
mod world;

use std::alloc::System;
use std::sync::Mutex;

use link::{Command, Report, StreamMode, WorkerId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::{World, address, on_both, phone, rtp};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The tests take turns.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn a_worker_allocates_nothing_while_audio_runs() {
    let _turn = TURN.lock();
    on_both(90, |settings| {
        let mut world = World::start(&settings);
        let (left, right, stranger) = (phone(90), phone(90), phone(90));
        for mode in [StreamMode::Rewrite, StreamMode::Opaque] {
            let [a, b] = world.join(WorkerId(0), [address(&left), address(&right)], mode);
            let mut heard = [0; 2_048];
            let mut pass = |number| {
                stranger.send_to(b"anything", a.local).expect("sent");
                left.send_to(&rtp(1, number), a.local).expect("sent");
                right.recv(&mut heard).expect("it came through");
                right.send_to(&rtp(2, number), b.local).expect("sent");
                left.recv(&mut heard).expect("it came through");
            };
            (0..100).for_each(&mut pass);
            let region = Region::new(ALLOCATOR);
            (100..5_000).for_each(&mut pass);
            let change = region.change();
            let all = (change.allocations, change.reallocations, change.deallocations);
            assert_eq!(all, (0, 0, 0), "in 9,800 relayed packets, {mode:?}, {:?}", world.back_end());
            for leg in [a, b] {
                world.send(WorkerId(0), Command::Close { stream: leg.stream });
            }
        }
    });
}

#[test]
fn every_descriptor_is_closed_when_the_workers_are_gone() {
    let _turn = TURN.lock();
    let open = || std::fs::read_dir("/proc/self/fd").expect("proc").count();
    on_both(91, |mut settings| {
        settings.workers = Some(2);
        let before = open();
        for stopped in [true, false] {
            let mut world = World::start(&settings);
            let (left, right) = (phone(91), phone(91));
            world.join(WorkerId(1), [address(&left), address(&right)], StreamMode::Rewrite);
            if stopped {
                world.send(WorkerId(0), Command::Stop);
                world.wait(|report| matches!(report, Report::Stopped));
            }
            assert!(open() > before);
            drop((world, left, right));
            assert_eq!(open(), before, "stopped: {stopped}");
        }
    });
}
