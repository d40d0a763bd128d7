//! What is refused, and what is answered and forgotten.

use super::bench::*;
use crate::HeaderName;
use crate::endpoint::*;

/// A request of the peer outside any dialog.
fn passing(method: &str, headers: &str) -> String {
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-{method}\n\
         Max-Forwards: 70\nFrom: <sip:x@them>;tag=peer\nTo: <sip:us@us>\nCall-ID: passing-1\nCSeq: 9 {method}\n\
         {headers}Content-Length: 0\n\n"
    )
}

/// Sees that an INVITE is refused with `status` and leaves nothing behind.
fn refused(bench: &mut Bench, invite: &str, status: u16) -> crate::Message {
    bench.receive(invite);
    let refusal = bench.sent_one();
    assert_eq!(line(&refusal), format!("{status} INVITE"));
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.census(), Census::default());
    refusal
}

#[test]
fn options_are_answered_with_what_we_can_do_whatever_their_hops() {
    let mut bench = Bench::new();
    bench.receive(&passing("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    let ok = bench.sent_one();
    assert_eq!(ok.status(), 200);
    assert!(ok.allow().any(|method| method == "INVITE"));
    assert!(ok.has_token(HeaderName::Accept, "application/sdp"));
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn an_answer_that_leaves_no_state_has_the_same_tag_for_each_copy() {
    let mut bench = Bench::new();
    bench.receive(&passing("OPTIONS", ""));
    bench.receive(&passing("OPTIONS", ""));
    bench.receive(&passing("OPTIONS", "").replace("passing-1", "passing-2"));
    let tags: Vec<_> = bench.sent().iter().map(|sent| sent.to().tag().map(str::to_string)).collect();
    assert_eq!(tags[0], tags[1]);
    assert!(tags[0].is_some());
    assert_ne!(tags[0], tags[2]);
}

#[test]
fn methods_that_we_do_not_take_get_405_489_or_501() {
    let mut bench = Bench::new();
    for (method, status) in [
        ("REGISTER", 405),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("REFER", 405),
        ("SUBSCRIBE", 489),
        ("FROB", 501),
    ] {
        bench.receive(&passing(method, ""));
        let refusal = bench.sent_one();
        assert_eq!(refusal.status(), status, "{method}");
        assert!(refusal.allow().any(|allowed| allowed == "INVITE"));
        assert!(refusal.allow().all(|allowed| allowed != method));
    }
    assert_eq!(bench.endpoint.counters().refused_methods, 6);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn requests_for_dialogs_that_nobody_knows_get_481_and_acks_nothing() {
    let mut bench = Bench::new();
    for method in ["BYE", "UPDATE", "INFO", "PRACK", "INVITE"] {
        bench.receive(&inside(method, 7, "guess"));
        assert_eq!(bench.sent_lines(), [format!("481 {method}")]);
    }
    for method in ["BYE", "UPDATE", "INFO"] {
        bench.receive(&passing(method, ""));
        assert_eq!(bench.sent_lines(), [format!("481 {method}")]);
    }
    bench.receive(&inside("ACK", 7, "guess"));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.endpoint.counters().stray_acks, 1);
    assert_eq!(bench.endpoint.counters().unknown_dialogs, 8);
}

#[test]
fn an_invite_that_came_by_two_ways_gets_482_on_the_second() {
    let mut bench = Bench::new();
    bench.called();
    bench.receive(&invite().replace("z9hG4bK-invite", "z9hG4bK-other-way"));
    assert_eq!(bench.sent_lines(), ["482 INVITE"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn an_invite_without_hops_left_gets_483() {
    let mut bench = Bench::new();
    refused(&mut bench, &invite().replace("Max-Forwards: 70", "Max-Forwards: 0"), 483);
    assert_eq!(bench.endpoint.counters().too_many_hops, 1);
}

#[test]
fn required_options_that_nobody_knows_get_420() {
    let mut bench = Bench::new();
    let refusal = refused(&mut bench, &invite_with("Require: 100rel, frob\nRequire: nothing\n"), 420);
    assert_eq!(refusal.header(HeaderName::Unsupported), Some("100rel, frob, nothing"));
    let mut profile = profile();
    profile.supported = vec!["timer".to_string()];
    let mut bench = Bench::with(profile);
    bench.receive(&invite_with("Require: TIMER\n"));
    assert_eq!(bench.event_names(), ["Invite"]);
}

#[test]
fn bodies_that_nobody_reads_get_415() {
    let body = |headers: &str| invite().replace("Content-Length: 0\n\n", headers);
    let mut bench = Bench::new();
    let unreadable = body("Content-Type: application/unknown\nContent-Length: 1\n\nx");
    let refusal = refused(&mut bench, &unreadable, 415);
    assert!(refusal.has_token(HeaderName::Accept, "application/sdp"));
    let encoded = "Content-Type: application/sdp\nContent-Encoding: gzip\nContent-Length: 1\n\nx";
    refused(&mut bench, &body(encoded), 415);
    refused(&mut bench, &body("Content-Length: 1\n\nx"), 415);
    bench.receive(&body("Content-Type: multipart/mixed;boundary=b\nContent-Length: 1\n\nx"));
    assert_eq!(bench.event_names(), ["Invite"]);
}

#[test]
fn an_invite_without_a_usable_contact_gets_400() {
    let mut bench = Bench::new();
    for contact in ["", "Contact: *\n", "Contact: <mailto:a@b>\n", "Contact: \"x\" <sip:a@b>;;;\n"] {
        let bare = invite().replace("Contact: <sip:caller@192.0.2.9:5070>\n", contact);
        refused(&mut bench, &bare, 400);
    }
    assert_eq!(bench.endpoint.counters().missing_contacts, 4);
}

#[test]
fn a_sender_of_rfc_2543_may_leave_contact_out() {
    let mut bench = Bench::new();
    let old = invite().replace("Contact: <sip:caller@192.0.2.9:5070>\n", "").replace("z9hG4bK-", "");
    bench.receive(&old);
    assert_eq!(bench.event_names(), ["Invite"]);
}

#[test]
fn a_scheme_that_nobody_dials_gets_416() {
    let mut bench = Bench::new();
    bench.receive(
        &passing("OPTIONS", "").replace("OPTIONS sip:us@192.0.2.1", "OPTIONS soap.beep://192.0.2.1"),
    );
    assert_eq!(bench.sent_lines(), ["416 OPTIONS"]);
    refused(&mut bench, &invite().replace("INVITE sip:4930@192.0.2.1", "INVITE frob:4930"), 416);
}

#[test]
fn malformed_requests_get_one_answer_and_malformed_responses_and_acks_none() {
    let mut bench = Bench::new();
    let broken = |text: String| text.replace("CSeq: 1 ", "CSeq: x ");
    bench.receive(&broken(invite()));
    let transmits = bench.transmits();
    let [Transmit::Datagram { destination, bytes, .. }] = &transmits[..] else { panic!("{transmits:?}") };
    assert!(*destination == peer() && bytes.starts_with(b"SIP/2.0 400 "));
    bench.receive(&broken(invite().replace("INVITE", "ACK")));
    bench.receive("SIP/2.0 200 OK\nVia: nonsense\n\n");
    bench.receive("GET / HTTP/1.1\n\n");
    bench.receive("\n\n");
    assert!(bench.transmits().is_empty());
    let counters = bench.endpoint.counters();
    assert_eq!((counters.malformed, counters.malformed_answered, counters.keep_alives), (4, 1, 1));
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn responses_go_to_the_source_and_never_elsewhere() {
    let destinations = |via: &str| {
        let mut bench = Bench::new();
        let via = format!("Via: SIP/2.0/UDP {via}");
        let request = passing("OPTIONS", "").replace("Via: SIP/2.0/UDP 192.0.2.9:5070", &via);
        bench.receive_from(([192, 0, 2, 9], 40_000).into(), &request);
        let transmits = bench.transmits();
        let [Transmit::Datagram { destination, .. }] = transmits[..] else { panic!("{transmits:?}") };
        destination.to_string()
    };
    assert_eq!(destinations("192.0.2.9:5070"), "192.0.2.9:5070");
    assert_eq!(destinations("192.0.2.9"), "192.0.2.9:5060");
    assert_eq!(destinations("192.0.2.9:5070;rport"), "192.0.2.9:40000");
    assert_eq!(destinations("10.0.0.1:5071;received=10.0.0.2"), "192.0.2.9:5071");
    assert_eq!(destinations("10.0.0.1:5071;maddr=10.0.0.3"), "192.0.2.9:5071");
}

#[test]
fn more_requests_than_a_second_has_room_for_are_dropped_and_counted() {
    let mut bench = Bench::with(ProfileSettings { max_recv_requests_per_second: 10, ..profile() });
    for _ in 0..25 {
        bench.receive(&passing("OPTIONS", ""));
    }
    assert_eq!(bench.sent().len(), 10);
    assert_eq!(bench.endpoint.counters().rate_limited, 15);
    bench.pass(1_000);
    bench.receive(&passing("OPTIONS", ""));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn calls_over_a_limit_get_503_with_retry_after() {
    let other = |number: u32| {
        invite()
            .replace("call-1", &format!("call-{number}"))
            .replace("z9hG4bK-", &format!("z9hG4bK-{number}"))
    };
    let mut bench = Bench::with(ProfileSettings { max_proceeding: 1, ..profile() });
    let leg = bench.called();
    bench.receive(&other(2));
    let refusal = bench.sent_one();
    assert_eq!((refusal.status(), refusal.header(HeaderName::RetryAfter)), (503, Some("300")));
    bench.endpoint.refuse(bench.now, leg, Reply::new(486));
    bench.receive(&other(3));
    assert_eq!(bench.sent_lines(), ["486 INVITE", "100 INVITE"]);

    let mut bench = Bench::new();
    bench.endpoint.set_limits(Limits { legs_max: 1, ..Limits::default() });
    bench.called();
    bench.receive(&other(2));
    assert_eq!(bench.sent_lines(), ["503 INVITE"]);

    let mut bench = Bench::new();
    bench.endpoint.set_limits(Limits { transactions_per_profile_max: 1, ..Limits::default() });
    bench.called();
    bench.receive(&other(2));
    assert_eq!(bench.sent_lines(), ["503 INVITE"]);
    assert_eq!(bench.endpoint.counters().invites_over_limit, 1);
}

#[test]
fn a_profile_that_a_reload_took_away_takes_no_calls_and_lets_its_own_end() {
    let mut bench = Bench::new();
    let (leg, _) = bench.calling_and_up();
    bench.pass(60_000);
    assert_eq!(bench.endpoint.census().transactions, 0);
    bench.endpoint.set_profiles(Vec::new());
    bench.receive(&invite());
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().unknown_socket, 1);
    assert_eq!(bench.endpoint.invite(bench.now, call()), Err(InviteError::Profile));
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::SentBye);
    assert_eq!(bench.sent_lines(), ["BYE"]);
    bench.expect_nothing_left();
}

#[test]
fn any_mutation_of_any_message_leaves_the_endpoint_alive_and_empty() {
    let (leg_invite, ours) = {
        let mut bench = Bench::new();
        let (_, ours) = bench.calling();
        (invite(), answer(&ours, 180, "peer", CONTACT))
    };
    let seeds = [
        leg_invite,
        cancel(),
        passing("OPTIONS", "Require: a\n"),
        inside("BYE", 2, "tag"),
        ours,
        invite_with("Record-Route: <sip:a;lr>, <sip:b>\nTimestamp: 5\n"),
    ];
    let pieces =
        ["\r\n", ";", ",", "<", ">", "\"", "%00", ":", "sip:", "tag=", "branch=z9hG4bK", "0", "-1", " "];
    let mut random = crate::testing::Random::new(7);
    let mut bench = Bench::with(ProfileSettings { max_recv_requests_per_second: 0, ..profile() });
    let (ours, _) = bench.calling();
    bench.endpoint.set_limits(Limits { queries_max: 10, ..Limits::default() });
    for _ in 0..20_000 {
        let seed = seeds[random.below(seeds.len())].replace('\n', "\r\n");
        let bytes = random.mutated(seed.as_bytes(), &pieces);
        bench.endpoint.handle_datagram(bench.now, UDP, peer(), bytes.into());
        for event in bench.events() {
            if let Event::Invite { leg, .. } = event {
                bench.endpoint.answer(bench.now, leg, Reply::new(200));
            }
        }
        for transmit in bench.transmits() {
            let Transmit::Datagram { destination, .. } = transmit else { panic!("{transmit:?}") };
            assert_eq!(destination.ip(), peer().ip(), "nothing goes anywhere else");
        }
        bench.pass(50);
        for event in bench.events() {
            if let Event::AckMissing { leg } = event {
                bench.endpoint.hangup(bench.now, leg, Vec::new());
            }
        }
        bench.transmits();
    }
    bench.endpoint.hangup(bench.now, ours, Vec::new());
    for _ in 0..40 {
        bench.pass(10_000);
        for event in bench.events() {
            if let Event::AckMissing { leg } = event {
                bench.endpoint.hangup(bench.now, leg, Vec::new());
            }
        }
    }
    assert_eq!(bench.endpoint.census(), Census::default());
    assert!(bench.endpoint.counters().malformed > 1_000);
}
