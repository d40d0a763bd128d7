//! Who is believed, and when.

use std::net::IpAddr;

use super::*;

const WINDOW: Learning =
    Learning::Window { packets: 3, window_packets: 6, signalling_peer: None, same_host_only: false };

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

fn source(learning: Learning) -> Source {
    let mut source = Source::new();
    source.arm(Some(address("192.0.2.1:4000")), learning);
    source
}

/// A packet from there, valid as RTP; whether it is taken.
fn packet(source: &mut Source, now_ms: u64, from: &str) -> bool {
    let (now, from) = (Tick::from_millis(now_ms), address(from));
    match source.standing(now, from) {
        Standing::Known => {
            source.hear(now, from);
            true
        }
        Standing::Candidate | Standing::Rebinding => source.prove(now, from),
        Standing::Stranger => false,
    }
}

fn destination(source: &Source) -> String {
    source.destination().expect("there is one").to_string()
}

#[test]
fn a_stranger_is_learned_after_so_many_packets_in_a_row_and_not_before() {
    let mut source = source(WINDOW);
    assert!(!packet(&mut source, 0, "198.51.100.1:5000"));
    assert!(!packet(&mut source, 20, "198.51.100.1:5000"));
    assert_eq!(destination(&source), "192.0.2.1:4000");
    assert!(packet(&mut source, 40, "198.51.100.1:5000"));
    assert_eq!(destination(&source), "198.51.100.1:5000");
    assert!(packet(&mut source, 60, "198.51.100.1:5000"));
    assert!(!packet(&mut source, 60, "198.51.100.2:5000"), "the window is closed");
}

#[test]
fn senders_that_alternate_win_nothing_and_use_the_window_up() {
    let mut source = source(WINDOW);
    for count in 0..6 {
        assert!(!packet(&mut source, count, ["198.51.100.1:5000", "198.51.100.2:5000"][count as usize % 2]));
    }
    for count in 6..20 {
        assert!(!packet(&mut source, count, "198.51.100.1:5000"), "the window is closed");
    }
    assert!(packet(&mut source, 20, "192.0.2.1:4000"));
}

#[test]
fn the_signalled_address_closes_the_window_and_wins_over_one_that_was_learned() {
    let mut early = source(WINDOW);
    assert!(packet(&mut early, 0, "192.0.2.1:4000"));
    for count in 1..20 {
        assert!(!packet(&mut early, count, "198.51.100.1:5000"));
    }
    let mut late = source(WINDOW);
    for count in 0..3 {
        packet(&mut late, count, "198.51.100.1:5000");
    }
    assert_eq!(destination(&late), "198.51.100.1:5000");
    assert!(late.settled().is_none(), "the signalled address must stay audible");
    assert!(packet(&mut late, 3, "192.0.2.1:4000"));
    assert_eq!(destination(&late), "192.0.2.1:4000");
    assert!(!packet(&mut late, 4, "198.51.100.1:5000"));
    assert_eq!(late.settled(), Some(address("192.0.2.1:4000")));
}

#[test]
fn only_expected_hosts_are_learned_where_that_is_asked_for() {
    let peer: IpAddr = "203.0.113.9".parse().expect("an address");
    let mut source = source(Learning::Window {
        packets: 2,
        window_packets: 6,
        signalling_peer: Some(peer),
        same_host_only: true,
    });
    for count in 0..50 {
        assert!(!packet(&mut source, count, "198.51.100.1:5000"), "and it does not use the window up");
    }
    packet(&mut source, 50, "203.0.113.9:7000");
    assert!(packet(&mut source, 51, "203.0.113.9:7000"));
    assert_eq!(destination(&source), "203.0.113.9:7000");
}

#[test]
fn without_learning_or_without_a_remote_nobody_is_learned() {
    let mut off = source(Learning::Off);
    let mut nowhere = Source::new();
    nowhere.arm(None, WINDOW);
    for count in 0..20 {
        assert!(!packet(&mut off, count, "192.0.2.1:4001"));
        assert!(!packet(&mut nowhere, count, "192.0.2.1:4000"));
    }
    assert_eq!(nowhere.send_to(Tick::ZERO), Err(DropReason::NoDestination));
}

#[test]
fn another_port_of_the_host_is_followed_only_when_the_old_one_is_silent() {
    let mut source = source(WINDOW);
    assert!(packet(&mut source, 0, "192.0.2.1:4000"));
    for now_ms in (20..2_000).step_by(20) {
        assert!(packet(&mut source, now_ms, "192.0.2.1:4000"));
        assert!(!packet(&mut source, now_ms, "192.0.2.1:4002"));
    }
    let silent_from = 1_980;
    for now_ms in (2_000..silent_from + 500).step_by(20) {
        assert!(!packet(&mut source, now_ms, "192.0.2.1:4002"));
    }
    for _ in 0..10 {
        assert!(!packet(&mut source, silent_from + 500, "198.51.100.1:4002"), "another host never");
    }
    let taken: Vec<_> =
        [500, 520, 540].map(|ms| packet(&mut source, silent_from + ms, "192.0.2.1:4002")).into();
    assert_eq!(taken, [false, false, true]);
    assert_eq!(destination(&source), "192.0.2.1:4002");
}

#[test]
fn a_new_description_opens_the_window_and_keeps_what_was_learned_while_the_address_stays() {
    let mut source = source(WINDOW);
    for count in 0..3 {
        packet(&mut source, count, "198.51.100.1:5000");
    }
    source.arm(Some(address("192.0.2.1:4000")), WINDOW);
    assert_eq!(destination(&source), "198.51.100.1:5000");
    assert!(packet(&mut source, 4, "198.51.100.1:5000"));
    source.arm(Some(address("192.0.2.7:4000")), WINDOW);
    assert_eq!(destination(&source), "192.0.2.7:4000");
    let taken: Vec<_> = [5, 6, 7].map(|count| packet(&mut source, count, "198.51.100.1:5000")).into();
    assert_eq!(taken, [false, false, true], "the window is open again");
}

#[test]
fn an_address_that_was_never_heard_gets_no_more_than_its_share() {
    let mut source = source(WINDOW);
    let sent_at = |source: &mut Source, now_ms: u64, tries: u32| {
        (0..tries).filter(|_| source.send_to(Tick::from_millis(now_ms)).is_ok()).count()
    };
    assert_eq!(sent_at(&mut source, 2_000, 1_000), UNPROVEN_PACKETS_PER_SECOND_MAX as usize);
    assert_eq!(sent_at(&mut source, 2_999, 10), 0);
    assert_eq!(sent_at(&mut source, 3_000, 10), 10);
    packet(&mut source, 3_000, "192.0.2.1:4000");
    assert_eq!(sent_at(&mut source, 3_001, 1_000), 1_000);
}
