//! Calls that go through: both transports, both families, every media mode, either side hanging up.

use crate::conf::Conf;
use crate::phones::{Phones, assert_all_heard};
use crate::sipp::{Run, Transport};
use crate::site::Site;
use crate::switch::Switch;

/// Packets each end sends: two seconds of G.711 at 20 ms.
const PACKETS: u32 = 100;
/// How long the calls talk: the packets, and what a busy machine is late.
const TALK_MS: u32 = 2_600;

/// The dial string of the site's callee.
fn bridge(site: &Site, transport: Transport) -> String {
    format!("sofia/transit/200@{};transport={}", site.callee(), transport.word())
}

/// Runs `calls` calls at 20 per second through the switch, all talking, the caller hanging up.
fn talk(site: &Site, caller_over: Transport, callee_over: Transport, calls: u32) {
    let phones = Phones::start(site, calls, PACKETS);
    let callee = Run::of("callee_talks").with("ring_ms", 100).callee_of(&phones).calls(calls, 20);
    let callee = callee.over(callee_over).answer(site, site.callee());
    let caller = Run::of("caller_talks").with("talk_ms", TALK_MS).caller_of(&phones).calls(calls, 20);
    caller.over(caller_over).call(site, site.caller()).succeed();
    callee.succeed();
    assert_all_heard(&phones.finish(), PACKETS);
}

/// A switch whose number 100 rings the callee after `before` was applied.
fn switch(site: &Site, conf: Conf, transport: Transport, before: &[(&str, &str)]) -> Switch {
    let bridge = bridge(site, transport);
    let mut actions = before.to_vec();
    actions.push(("bridge", &bridge));
    Switch::start(site, &conf.extension("100", &actions))
}

#[test]
fn a_hundred_calls_over_udp_are_heard_whole_at_both_ends() {
    let site = Site::new("udp");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[]);
    talk(&site, Transport::Udp, Transport::Udp, 100);
    assert_eq!(switch.await_records(200).len(), 200);
    switch.stop();
}

#[test]
fn a_hundred_calls_over_tcp_are_heard_whole_at_both_ends() {
    let site = Site::new("tcp");
    let switch = switch(&site, Conf::new(&site), Transport::Tcp, &[]);
    talk(&site, Transport::Tcp, Transport::Tcp, 100);
    switch.stop();
}

#[test]
fn a_call_changes_its_transport_on_the_way() {
    let site = Site::new("udp-tcp");
    let switch = switch(&site, Conf::new(&site), Transport::Tcp, &[]);
    talk(&site, Transport::Udp, Transport::Tcp, 3);
    switch.stop();
}

#[test]
fn calls_cross_over_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let site = Site::ipv6("ipv6");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[]);
    talk(&site, Transport::Udp, Transport::Udp, 3);
    switch.stop();
}

#[test]
fn in_proxy_mode_every_packet_crosses() {
    let site = Site::new("proxy");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[("set", "proxy_media=true")]);
    talk(&site, Transport::Udp, Transport::Udp, 10);
    switch.stop();
}

#[test]
fn in_bypass_mode_the_ends_talk_to_each_other() {
    let site = Site::new("bypass");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[("set", "bypass_media=true")]);
    talk(&site, Transport::Udp, Transport::Udp, 10);
    switch.stop();
}

#[test]
fn calls_cross_on_the_second_media_back_end() {
    let site = Site::new("mmsg");
    let conf = Conf::new(&site).switch("media-back-end", "mmsg");
    let switch = switch(&site, conf, Transport::Udp, &[]);
    talk(&site, Transport::Udp, Transport::Udp, 10);
    switch.stop();
}

#[test]
fn the_callee_hangs_up_and_the_caller_is_told() {
    let site = Site::new("callee-hangs-up");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[]);
    let callee =
        Run::of("callee_hangs_up").with("ring_ms", 50).with("talk_ms", 200).answer(&site, site.callee());
    let caller = Run::of("caller_is_hung_up").with("expected", "Reason: Q.850;cause=16");
    caller.call(&site, site.caller()).succeed();
    callee.succeed();
    switch.stop();
}

#[test]
fn early_media_is_heard_before_and_after_the_answer() {
    let site = Site::new("early");
    let switch = switch(&site, Conf::new(&site), Transport::Udp, &[]);
    let phones = Phones::start(&site, 5, PACKETS);
    // The first second is early, the second one answered.
    let callee = Run::of("callee_plays_early").with("ring_ms", 1_000).callee_of(&phones).calls(5, 20);
    let callee = callee.answer(&site, site.callee());
    let caller = Run::of("caller_hears_early").with("talk_ms", 1_600).caller_of(&phones).calls(5, 20);
    caller.call(&site, site.caller()).succeed();
    callee.succeed();
    assert_all_heard(&phones.finish(), PACKETS);
    switch.stop();
}

/// A switch that quietly falls back would pass every other test.
#[test]
fn io_uring_is_used_where_the_machine_permits_it() {
    let site = Site::new("back-end");
    let ring: std::io::Result<io_uring::IoUring> =
        io_uring::IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8);
    let expected = if ring.is_ok() { "media by io_uring" } else { "media by recvmmsg" };
    let switch = Switch::start(&site, &Conf::new(&site));
    assert!(switch.output().contains(expected), "{expected} was expected:\n{}", switch.output());
    switch.stop();
    let forced = Switch::start(&site, &Conf::new(&site).switch("media-back-end", "mmsg"));
    assert!(forced.output().contains("media by recvmmsg"), "{}", forced.output());
    forced.stop();
}
