//! Seeded mutations of good packets, from the right source: no panic, nothing malformed passed on as RTP, and the call
//! goes on as if nothing had been.

use engine::stream_table::Verdict;
use link::{RtcpPlan, StreamMode};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::world::{Talker, World, address, rtp, small};

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:6000";
const ALICE_RTCP: &str = "198.51.100.1:4001";
const ROUNDS: usize = 20_000;

fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let mut below = |bound: usize| random.next_u32() as usize % bound.max(1);
    for _ in 0..1 + below(4) {
        let at = below(bytes.len());
        match below(6) {
            0 => bytes.truncate(at),
            1 => bytes.extend(std::iter::repeat_n(0xff, below(300))),
            2 => bytes.insert(at.min(bytes.len()), below(256) as u8),
            3 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
            _ if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            _ => (),
        }
    }
}

#[test]
fn mutated_packets_of_the_peer_itself_do_no_harm() {
    for seed in 0..4 {
        let mode = [StreamMode::Rewrite, StreamMode::Opaque][seed as usize % 2];
        let rtcp = [RtcpPlan::Mux, RtcpPlan::Relay { remote: address(ALICE_RTCP) }][seed as usize / 2];
        let mut world = World::new(small(), seed);
        let (a, b) = world.call(ALICE, BOB, |plan| {
            plan.mode = mode;
            plan.rtcp = rtcp;
        });
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut alice = Talker::new(ALICE, 1, 0xaa);
        world.packet(alice.address, a.local, &alice.speak());
        let ours = world.sent[0].bytes[8..12].to_vec();
        for round in 0..ROUNDS {
            let mut bytes = match round % 3 {
                0 => alice.speak(),
                1 => vec![0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4],
                // Contributing sources, an extension, padding.
                _ => {
                    let mut bytes =
                        rtp(101, round as u16, round as u32, 1, &[0xbe, 0xde, 0, 1, 1, 2, 3, 4, 9, 2, 2, 2]);
                    bytes[0] = 0xb0;
                    bytes
                }
            };
            mutate(&mut bytes, &mut random);
            let (from, mut to) = if round % 5 == 0 { (ALICE_RTCP, a.local) } else { (ALICE, a.local) };
            to.set_port(to.port() + u16::from(round % 5 == 0));
            world.sent.clear();
            let verdict = world.packet(address(from), to, &bytes);
            if let (Some(Verdict::Forward { .. }), StreamMode::Rewrite) = (verdict, mode) {
                let sent = &world.sent[0].bytes;
                assert_eq!(sent.len(), bytes.len());
                let is_rtcp = (192..=223).contains(&sent[1]);
                assert!(
                    is_rtcp || (rtp_rs::RtpReader::new(sent).is_ok() && sent[8..12] == ours),
                    "{sent:02x?}"
                );
            }
            if round % 100 == 0 {
                world.pass(20);
            }
        }
        world.assert_nothing_is_left(&[a.id, b.id]);
    }
}
