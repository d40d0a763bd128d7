//! Media under attack beside a live call whose audio is checked packet by packet (faults.md M1 to M23), on both back
//! ends: nothing of a stranger is delivered, nothing is ever sent to him, and the call does not notice.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::attackers::{Random, Strangers, digit, dtls, forged, junk, malformed, rtcp, rtp, stun};
use crate::conf::Conf;
use crate::peers::{Call, Invite, Peer, assert_alive, resident_bytes, sdp};
use crate::phones::{Phones, Report, Side, assert_all_heard};
use crate::site::Site;
use crate::switch::Switch;

/// Packets each end sends: two seconds of G.711 at 20 ms.
const PACKETS: u32 = 100;
/// How long an attack lasts. The audio goes on behind it, so that what comes of the last packet is seen, too.
const ATTACK: Duration = Duration::from_millis(1_300);
/// Attackers pause for so long between two rounds.
const ROUND: Duration = Duration::from_millis(20);
/// What an attack may leave behind in memory. A debug build's allocator and the log grow by some pages anyway.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// A switch with one call that is up, its audio not begun.
struct Stage {
    site: Site,
    switch: Switch,
    caller: Peer,
    callee: Peer,
    call: Option<Call>,
    phones: Option<Phones>,
}

/// Runs `act` on both back ends at once, each with a call of its own. Gives what the switches have printed.
fn on_both_back_ends(name: &str, conf: fn(Conf) -> Conf, act: impl Fn(&mut Stage) + Sync) -> Vec<String> {
    at_once(&back_ends(), |back_end| {
        let site = Site::new(&format!("{name}-{back_end}"));
        let conf = conf(Conf::new(&site)).switch("media-back-end", back_end);
        let mut stage = Stage::new(site, conf, &[]);
        act(&mut stage);
        stage.switch.stop()
    })
}

fn plain(conf: Conf) -> Conf {
    conf
}

fn with_rtcp(conf: Conf) -> Conf {
    conf.profile("rtcp-audio-interval-msec", "passthru")
}

/// Room for one call: the second one gets the ports of the first.
fn with_two_ports(conf: Conf) -> Conf {
    conf.switch("rtp-start-port", "20000").switch("rtp-end-port", "20003")
}

fn back_ends() -> Vec<&'static str> {
    // Where the machine does not permit io_uring, `calls` says so and one back end is all there is.
    let ring: std::io::Result<io_uring::IoUring> =
        io_uring::IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8);
    if ring.is_ok() { vec!["io-uring", "mmsg"] } else { vec!["mmsg"] }
}

/// Runs `run` for each of `cases` side by side, and says which one failed.
fn at_once<T: Copy + Send + std::fmt::Debug, R: Send>(cases: &[T], run: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let run = &run;
        let runs: Vec<_> = cases.iter().map(|&case| (case, scope.spawn(move || run(case)))).collect();
        let finish = |(case, run): (T, std::thread::ScopedJoinHandle<'_, R>)| {
            run.join().unwrap_or_else(|panic| {
                eprintln!("it happened with {case:?}");
                std::panic::resume_unwind(panic)
            })
        };
        runs.into_iter().map(finish).collect()
    })
}

impl Stage {
    fn new(site: Site, conf: Conf, before: &[(&str, &str)]) -> Stage {
        let bridge = format!("sofia/transit/200@{}", site.callee());
        let mut actions = before.to_vec();
        actions.push(("bridge", &bridge));
        let switch = Switch::start(&site, &conf.extension("100", &actions));
        let (caller, callee) = (Peer::bind(site.caller()), Peer::bind(site.callee()));
        Stage { site, switch, caller, callee, call: None, phones: None }
    }

    /// Brings the call up; nobody speaks yet.
    fn call(&mut self) -> [SocketAddr; 2] {
        let phones = Phones::start(&self.site, 1, PACKETS);
        let bodies = [sdp(self.site.caller_audio()), sdp(self.site.callee_audio())];
        let call = self.establish([&bodies[0], &bodies[1]]);
        let media = call.media();
        (self.call, self.phones) = (Some(call), Some(phones));
        media
    }

    fn establish(&self, bodies: [&str; 2]) -> Call {
        Call::establish(self.site.switch(), [&self.caller, &self.callee], "100", bodies)
    }

    /// Both ends speak from now on.
    fn speak(&self) {
        let (call, phones) = (self.call.as_ref().expect("a call"), self.phones.as_ref().expect("phones"));
        for (log, media) in phones.logs.iter().zip(call.media()) {
            let mut file = std::fs::File::create(log).expect("a log");
            writeln!(file, "media 0 {} {}", media.ip(), media.port()).expect("written");
        }
    }

    /// Attacks in rounds while both ends speak; gives what they heard. `attack` is told the round's number.
    fn attack(&mut self, mut attack: impl FnMut(u32)) -> Vec<Report> {
        self.speak();
        let begun = Instant::now();
        for round in 0.. {
            let since = begun.elapsed();
            if since >= ATTACK {
                break;
            }
            attack(round);
            std::thread::park_timeout(
                (begun + ROUND * (round + 1)).saturating_duration_since(Instant::now()),
            );
        }
        assert_alive(self.site.switch(), self.stranger());
        self.phones.take().expect("phones").finish()
    }

    /// Hangs up, which a call that is whole can do.
    fn hang_up(&mut self) {
        let call = self.call.take().expect("a call");
        call.hang_up(self.site.switch(), [&self.caller, &self.callee]);
    }

    /// A host that has no part in the call.
    fn stranger(&self) -> IpAddr {
        self.host(9)
    }

    fn host(&self, number: u8) -> IpAddr {
        match self.site.switch().ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                IpAddr::from([a, b, c, number])
            }
            IpAddr::V6(_) => unreachable!("these sites are IPv4"),
        }
    }

    /// Other ports of the parties' own hosts, and a host that has no part in the call.
    fn strangers(&self) -> Strangers {
        Strangers::of_hosts(&[self.stranger(), self.site.caller_audio().ip(), self.site.callee_audio().ip()])
    }
}

/// RTP and RTCP ports of both legs, and what else of the range is bound in stock.
fn all_ports(media: [SocketAddr; 2]) -> Vec<SocketAddr> {
    let beside =
        |address: SocketAddr, by: u16| SocketAddr::new(address.ip(), address.port().wrapping_add(by));
    media.iter().flat_map(|media| [*media, beside(*media, 1), beside(*media, 2), beside(*media, 3)]).collect()
}

/// The call goes on without a loss while `attack` sends what it wants from strangers' sockets to all ports. So on both
/// back ends, and in proxy mode, too, where packets of the parties themselves may be anything.
fn beside_a_call(name: &str, attack: impl Fn(u32, &Strangers, [SocketAddr; 2], &mut Random) + Sync) {
    let cases: Vec<(&str, &str)> =
        back_ends().into_iter().flat_map(|back_end| [(back_end, "false"), (back_end, "true")]).collect();
    at_once(&cases, |(back_end, proxy)| {
        let site = Site::new(&format!("{name}-{back_end}-{proxy}"));
        let conf = Conf::new(&site).switch("media-back-end", back_end);
        let mode = format!("proxy_media={proxy}");
        let mut stage = Stage::new(site, conf, &[("set", &mode)]);
        let media = stage.call();
        let strangers = stage.strangers();
        let mut random = Random::new(7);
        let before = resident_bytes(stage.switch.pid());
        let heard = stage.attack(|round| attack(round, &strangers, media, &mut random));
        assert_all_heard(&heard, PACKETS);
        assert_eq!(strangers.received(), 0, "something was sent to a stranger");
        let after = resident_bytes(stage.switch.pid());
        assert!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
        stage.hang_up();
        stage.switch.stop();
    });
}

/// The victim's place in its stream by the clock.
fn index_of(round: u32) -> u32 {
    round * (ROUND.as_millis() as u32) / 20
}

/// M1.
#[test]
fn malformed_packets_to_all_ports_disturb_nothing_and_get_no_answer() {
    beside_a_call("malformed", |round, strangers, media, random| {
        let packets = malformed(random);
        assert!(packets.len() >= 126, "{} packets", packets.len());
        // A twelfth of them each round: all of them several times, without a flood.
        for packet in packets.iter().skip(round as usize % 12).step_by(12) {
            strangers.send(&all_ports(media), packet);
        }
    });
}

/// M2, M3.
#[test]
fn rtp_of_a_stranger_is_not_delivered() {
    beside_a_call("inject", |round, strangers, media, _| {
        let sequence = round as u16;
        strangers.send(&media, &rtp(0, sequence, round * 160, 0x0bad_0bad, &[0xee; 160]));
    });
}

/// M4.
#[test]
fn rtp_with_the_victims_ssrc_and_running_sequence_is_not_delivered() {
    beside_a_call("inject-sequence", |round, strangers, media, _| {
        for (side, port) in [Side::Caller, Side::Callee].into_iter().zip(media) {
            for ahead in 0..3 {
                strangers.send(&[port], &forged(side, index_of(round) + ahead));
            }
        }
    });
}

/// M5.
#[test]
fn ever_new_ssrcs_of_a_stranger_are_not_delivered_and_cost_no_memory() {
    beside_a_call("ssrc-churn", |_, strangers, media, random| {
        for _ in 0..6 {
            let packet = rtp(0, random.next() as u16, random.next(), random.next(), &[0xee; 160]);
            strangers.send(&media, &packet);
        }
    });
}

/// M7.
#[test]
fn stun_is_ignored() {
    beside_a_call("stun", |_, strangers, media, random| {
        stun(random).iter().for_each(|packet| strangers.send(&media, packet));
    });
}

/// M8.
#[test]
fn dtls_is_ignored() {
    beside_a_call("dtls", |_, strangers, media, random| {
        dtls(random).iter().for_each(|packet| strangers.send(&media, packet));
    });
}

/// M13.
#[test]
fn telephone_events_of_a_stranger_are_not_delivered() {
    beside_a_call("dtmf", |round, strangers, media, _| strangers.send(&media, &digit(round as u16)));
}

/// M6: whoever speaks before the parties do. Another port of a party's own host may be the party behind a NAT, so it
/// can be heard until the signalled address speaks; from then on that one is the party, and nobody else.
#[test]
fn who_speaks_first_does_not_take_the_call() {
    on_both_back_ends("early", plain, |stage| {
        let media = stage.call();
        let foreign = Strangers::of_hosts(&[stage.stranger()]);
        let near = Strangers::of_hosts(&[stage.site.caller_audio().ip(), stage.site.callee_audio().ip()]);
        for index in 0..50 {
            foreign.send(&media, &rtp(0, index, u32::from(index) * 160, 0x0bad_0bad, &[0xee; 160]));
        }
        // Fewer in a row than prove anything.
        for index in 0..5 {
            near.send(&media, &rtp(0, index, u32::from(index) * 160, 0x0bad_0bae, &[0xee; 160]));
        }
        let heard = stage.attack(|round| {
            let packet = rtp(0, round as u16 + 50, round * 160, 0x0bad_0bad, &[0xee; 160]);
            foreign.send(&media, &packet);
            near.send(&media, &packet);
        });
        assert_all_heard(&heard, PACKETS);
        assert_eq!(foreign.received(), 0, "something was sent to a stranger");
        assert!(near.received() <= 5, "the call was taken by another port");
        stage.hang_up();
    });
}

/// M9: 2,000 packets per second of all kinds.
#[test]
fn a_flood_of_junk_costs_at_most_one_packet_in_a_hundred() {
    on_both_back_ends("flood", plain, |stage| {
        let media = stage.call();
        let strangers = stage.strangers();
        let mut random = Random::new(9);
        let before = resident_bytes(stage.switch.pid());
        let heard = stage.attack(|_| {
            for turn in 0..40 {
                strangers.send_one(turn, media[turn % 2], &junk(&mut random));
            }
        });
        for report in &heard {
            assert!(report.received >= PACKETS - PACKETS / 100 && report.fault_count == 0, "{report:?}");
        }
        assert_eq!(strangers.received(), 0, "something was sent to a stranger");
        let after = resident_bytes(stage.switch.pid());
        assert!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
        stage.hang_up();
    });
}

/// M10: to the RTCP ports and, as if they were multiplexed, to the RTP ports, of a call that relays RTCP.
#[test]
fn forged_rtcp_reaches_nobody() {
    on_both_back_ends("rtcp", with_rtcp, |stage| {
        let beside = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + 1);
        let parties = [stage.site.caller_audio(), stage.site.callee_audio()].map(beside);
        // The parties' own RTCP ports: relayed to them would be what a stranger sent.
        let listening = Strangers::at(&parties);
        let media = stage.call();
        let strangers = stage.strangers();
        let heard = stage.attack(|_| {
            for packet in [Side::Caller, Side::Callee].into_iter().flat_map(rtcp) {
                strangers.send(&all_ports(media), &packet);
            }
        });
        assert_all_heard(&heard, PACKETS);
        assert_eq!(strangers.received(), 0, "something was sent to a stranger");
        assert_eq!(listening.received(), 0, "forged RTCP was delivered");
        // The parties' own reports do pass; else the above would show nothing.
        let [own, _] = &rtcp(Side::Caller)[..2] else { unreachable!("there are more") };
        let rtcp_port = beside(media[0]);
        crate::wait::until("RTCP of the caller to reach the callee", Duration::from_secs(5), || {
            listening.send_one(0, rtcp_port, own);
            (listening.received() > 0).then_some(())
        });
        stage.hang_up();
    });
}

/// An end whose audio the test sends and hears itself.
struct Ear {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Ear {
    fn at(local: SocketAddr) -> Ear {
        let socket = UdpSocket::bind(local).unwrap_or_else(|error| panic!("{local}: {error}"));
        let local = socket.local_addr().expect("an address");
        Ear { socket, local }
    }

    fn send(&self, to: SocketAddr, packet: &[u8]) {
        self.socket.send_to(packet, to).unwrap_or_else(|error| panic!("to {to}: {error}"));
    }

    /// The next packet if one is there, or comes within `limit`.
    fn hear(&self, limit: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        self.socket.set_read_timeout(Some(limit.max(Duration::from_micros(1)))).expect("a timeout");
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }

    /// How many packets are there.
    fn count(&self) -> usize {
        std::iter::from_fn(|| self.hear(Duration::ZERO)).count()
    }
}

/// Sends a packet of `from` by `via` each 20 ms until `to` hears one of `payload`; gives how long that took. Packets of
/// another payload are a fault.
fn speak_until_heard(
    (from, via): (&Ear, SocketAddr),
    to: &Ear,
    (ssrc, first, payload): (u32, u16, u8),
) -> (Duration, u16) {
    let begun = Instant::now();
    let mut sequence = first;
    loop {
        from.send(via, &rtp(0, sequence, u32::from(sequence) * 160, ssrc, &[payload; 160]));
        sequence += 1;
        if let Some(heard) = to.hear(ROUND) {
            assert_eq!(heard[12..], [payload; 160], "a packet of somebody else");
            return (begun.elapsed(), sequence);
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{} is not heard by {}", from.local, to.local);
    }
}

/// M16: the caller's NAT gives it another port. It is followed within a second, because the old one is silent and the
/// stream is the same; a stranger who says he is that stream is not, however long the silence.
#[test]
fn a_rebound_port_is_followed_when_the_old_one_is_silent_and_a_stranger_never() {
    on_both_back_ends("rebinding", plain, |stage| {
        let (caller, callee) = (Ear::at(stage.site.caller_audio()), Ear::at(stage.site.callee_audio()));
        let call = stage.establish([&sdp(caller.local), &sdp(callee.local)]);
        let [to_caller_leg, to_callee_leg] = call.media();
        let (_, next) = speak_until_heard((&caller, to_caller_leg), &callee, (1, 0, 0x11));
        speak_until_heard((&callee, to_callee_leg), &caller, (2, 0, 0x22));
        callee.count();

        let stranger = Ear::at(SocketAddr::new(stage.stranger(), 0));
        for ahead in 0..40 {
            stranger.send(to_caller_leg, &rtp(0, next + ahead, 0, 1, &[0xee; 160]));
            assert_eq!(callee.hear(ROUND), None, "a stranger was heard");
        }
        let rebound = Ear::at(SocketAddr::new(caller.local.ip(), 0));
        let (took, _) = speak_until_heard((&rebound, to_caller_leg), &callee, (1, next, 0x11));
        assert!(took <= Duration::from_secs(1), "it was followed after {took:?}");
        speak_until_heard((&callee, to_callee_leg), &rebound, (2, 100, 0x22));
        assert_eq!(stranger.count(), 0, "something was sent to a stranger");
        call.hang_up(stage.site.switch(), [&stage.caller, &stage.callee]);
    });
}

/// M20: what the ends of a finished call still send does not reach the call that has their ports now.
#[test]
fn late_packets_of_a_finished_call_do_not_reach_the_next_one() {
    on_both_back_ends("port-reuse", with_two_ports, |stage| {
        let old = [stage.site.caller_audio(), stage.site.callee_audio()].map(Ear::at);
        let call = stage.establish([&sdp(old[0].local), &sdp(old[1].local)]);
        let media = call.media();
        speak_until_heard((&old[0], media[0]), &old[1], (1, 0, 0x11));
        call.hang_up(stage.site.switch(), [&stage.caller, &stage.callee]);

        let new = [5, 6].map(|host| Ear::at(SocketAddr::new(stage.host(host), 10_000)));
        let caller = Peer::bind(SocketAddr::new(stage.host(5), 5_061));
        let late = |sequence: u16| {
            for (ear, port) in old.iter().zip(media) {
                ear.send(port, &rtp(0, sequence, u32::from(sequence) * 160, 1, &[0xee; 160]));
            }
        };
        let mut sequence = 1_000;
        let call = crate::wait::until("the ports to be given again", Duration::from_secs(20), || {
            late(sequence);
            sequence += 1;
            let invite = Invite::new("100", stage.site.switch(), caller.local, &sdp(new[0].local));
            Call::attempt(invite, stage.site.switch(), [&caller, &stage.callee], &sdp(new[1].local)).ok()
        });
        let mut ports = call.media();
        ports.sort();
        let mut before = media;
        before.sort();
        assert_eq!(ports, before, "else this shows nothing");
        // More than prove a source, and all before the new ends speak.
        (sequence..sequence + 50).for_each(late);
        speak_until_heard((&new[0], call.media()[0]), &new[1], (3, 0, 0x33));
        speak_until_heard((&new[1], call.media()[1]), &new[0], (4, 0, 0x44));
        (sequence + 50..sequence + 60).for_each(late);
        speak_until_heard((&new[0], call.media()[0]), &new[1], (3, 200, 0x33));
        call.hang_up(stage.site.switch(), [&caller, &stage.callee]);
    });
}

/// M21: addresses that are nobody, everybody or ourselves are never sent to. Observers sit where such packets would go.
#[test]
fn nothing_is_sent_to_nobody_to_many_or_to_ourselves() {
    let said = on_both_back_ends("reflection", plain, |stage| {
        let own = stage.site.switch().ip();
        let callee = Ear::at(stage.site.callee_audio());
        let observer = Ear::at(SocketAddr::new(own, 0));
        let (_, last) = stage.site.rtp_ports();
        // The last port has no odd neighbour in the range, so it is nobody's.
        let in_range = (1..100).find_map(|back| UdpSocket::bind((own, last - 2 * back)).ok());
        let in_range = in_range.expect("a port of the range that is not in stock");
        let in_range = Ear { local: in_range.local_addr().expect("an address"), socket: in_range };
        let group: Ipv4Addr = "239.77.77.77".parse().expect("an address");
        let many = Ear::at("0.0.0.0:0".parse().expect("an address"));
        many.socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).expect("loopback joins a group");

        let named = [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, observer.local.port())),
            SocketAddr::from((Ipv4Addr::BROADCAST, many.local.port())),
            SocketAddr::from((group, many.local.port())),
            in_range.local,
            stage.site.switch(),
            SocketAddr::new(stage.host(8), 53),
        ];
        for address in named {
            let call = stage.establish([&sdp(address), &sdp(callee.local)]);
            for sequence in 0..30 {
                callee.send(call.media()[1], &rtp(0, sequence, u32::from(sequence) * 160, 5, &[0x55; 160]));
            }
            for ear in [&observer, &in_range, &many] {
                assert_eq!(ear.hear(Duration::from_millis(100)), None, "{address} was sent to");
            }
            call.hang_up(stage.site.switch(), [&stage.caller, &stage.callee]);
        }
        // That the group could have been heard at all.
        let control = Ear::at(SocketAddr::new(stage.stranger(), 0));
        control.send(SocketAddr::from((group, many.local.port())), b"control");
        assert_eq!(many.hear(Duration::from_secs(1)).as_deref(), Some(&b"control"[..]));
        assert_alive(stage.site.switch(), stage.stranger());
    });
    // RTP that reached our own SIP port would be counted as such.
    for said in said {
        assert!(!said.contains(r#"counter="malformed""#), "our own SIP port was sent to:\n{said}");
    }
}

/// M22: an address of a victim who has asked for nothing gets a trickle at most, until it has spoken itself.
#[test]
fn who_has_never_spoken_is_sent_at_most_two_hundred_packets_per_second() {
    on_both_back_ends("victim", plain, |stage| {
        let victim = Ear::at(SocketAddr::new(stage.host(8), 0));
        let callee = Ear::at(stage.site.callee_audio());
        let call = stage.establish([&sdp(victim.local), &sdp(callee.local)]);
        let [to_caller_leg, to_callee_leg] = call.media();
        let begun = Instant::now();
        let mut received = 0;
        for sequence in 0..2_000 {
            callee.send(to_callee_leg, &rtp(0, sequence, u32::from(sequence) * 160, 5, &[0x55; 160]));
            if sequence % 20 == 0 {
                received += victim.count();
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        received += victim.count();
        let allowed = 200 * (begun.elapsed().as_secs() as usize + 2);
        assert!(received > 0 && received <= allowed, "{received} packets, {allowed} at most");
        // It speaks: it has asked for it.
        speak_until_heard((&victim, to_caller_leg), &callee, (6, 0, 0x66));
        victim.count();
        for sequence in 0..400 {
            callee.send(to_callee_leg, &rtp(0, sequence, 0, 5, &[0x55; 160]));
            assert!(victim.hear(Duration::from_secs(2)).is_some(), "packet {sequence}");
        }
        call.hang_up(stage.site.switch(), [&stage.caller, &stage.callee]);
    });
}

/// M23: packets larger than a frame pass whole or not at all; marked ones as others.
#[test]
fn large_and_marked_packets_pass_whole_or_not_at_all() {
    on_both_back_ends("large", plain, |stage| {
        let (caller, callee) = (Ear::at(stage.site.caller_audio()), Ear::at(stage.site.callee_audio()));
        let call = stage.establish([&sdp(caller.local), &sdp(callee.local)]);
        let via = call.media()[0];
        let mut sequences = 0_u16..;
        let mut send = |payload: &[u8]| {
            let sequence = sequences.next().expect("few packets");
            caller.send(via, &rtp(0, sequence, u32::from(sequence) * 160, 1, payload));
        };
        // Expedited forwarding, and congestion experienced (RFC 3246, RFC 3168).
        socket2::SockRef::from(&caller.socket).set_tos_v4(0xb8 | 3).expect("a traffic class");
        for length in [0, 1, 159, 160, 1_460, 1_461, 1_488, 1_600, 2_036, 2_037, 4_000, 9_000, 65_000] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            send(&payload);
            if let Some(heard) = callee.hear(Duration::from_millis(100)) {
                assert!(heard[12..] == payload, "{length} bytes came as {}", heard.len() - 12);
            } else {
                assert!(length > 1_460, "{length} bytes were dropped");
            }
            crate::wait::until("a usual packet behind it", Duration::from_secs(5), || {
                send(&[0x11; 160]);
                let heard = callee.hear(ROUND)?;
                let is_usual = heard[12..] == [0x11; 160];
                assert!(
                    is_usual || heard[12..] == payload,
                    "behind {length} bytes came {}",
                    heard.len() - 12
                );
                is_usual.then_some(())
            });
            callee.count();
        }
        call.hang_up(stage.site.switch(), [&stage.caller, &stage.callee]);
    });
}
