//! Legs that the peer begins.

use super::bench::*;
use crate::HeaderName;
use crate::endpoint::*;

#[test]
fn invite_is_answered_with_100_at_once_and_told_once() {
    let mut bench = Bench::new();
    bench.receive(&invite());
    assert_eq!(bench.sent_lines(), ["100 INVITE"]);
    assert_eq!(bench.event_names(), ["Invite"]);
    bench.receive(&invite());
    assert_eq!(bench.sent_lines(), ["100 INVITE"]);
    assert_eq!(bench.event_names(), [""; 0]);
    assert_eq!(bench.endpoint.counters().retransmissions_received, 1);
}

#[test]
fn retransmitted_invite_gets_the_last_response() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.provisional(bench.now, leg, Reply::new(180));
    let ringing = bench.sent_one();
    bench.receive(&invite());
    assert_eq!(bench.sent_one().received(), ringing.received());
}

#[test]
fn responses_carry_one_tag_our_contact_and_the_record_routes() {
    let mut bench = Bench::new();
    bench.receive(&invite_with("Record-Route: <sip:p2;lr>\nRecord-Route: <sip:p1;lr>\n"));
    let events = bench.events();
    let Event::Invite { leg, .. } = events[0] else { panic!("{events:?}") };
    let trying = bench.sent_one();
    assert_eq!(trying.to().tag(), None);
    bench.endpoint.provisional(bench.now, leg, Reply::new(183).with_body(Body::sdp("v=0\r\n")));
    bench.endpoint.answer(bench.now, leg, Reply::new(200).with_header("X-Kind", "b"));
    let sent = bench.sent();
    let (progress, ok) = (&sent[0], &sent[1]);
    assert!(progress.to().tag().is_some());
    assert_eq!(progress.to().tag(), ok.to().tag());
    assert_eq!(ok.record_routes().collect::<Vec<_>>(), ["<sip:p2;lr>", "<sip:p1;lr>"]);
    assert_eq!(ok.header(HeaderName::Contact), Some("<sip:gw@192.0.2.1:5060>"));
    assert_eq!(bench.endpoint.local_contact(leg), Some("sip:gw@192.0.2.1:5060"));
    assert_eq!(ok.header_named("X-Kind"), Some("b"));
    assert_eq!(ok.header(HeaderName::Server), Some("bench"));
    assert!(ok.allow().any(|method| method == "UPDATE"));
    assert!(progress.has_body_type("application/sdp"));
}

#[test]
fn answer_is_resent_until_acknowledged() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let ok = bench.sent_one();
    bench.pass(499);
    assert!(bench.sent().is_empty());
    bench.pass(1);
    assert_eq!(bench.sent_one().received(), ok.received());
    bench.pass(1_000);
    assert_eq!(bench.sent_lines(), ["200 INVITE"]);
    bench.receive(&inside("ACK", 1, ok.to().tag().expect("a tag")));
    assert_eq!(bench.event_names(), ["Acknowledged"]);
    bench.pass(10_000);
    assert!(bench.sent().is_empty());
}

#[test]
fn acknowledgement_on_the_invites_own_branch_counts() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let ok = bench.sent_one();
    let ack = inside("ACK", 1, ok.to().tag().expect("a tag")).replace("z9hG4bK-ACK-1", "z9hG4bK-invite");
    bench.receive(&ack);
    assert_eq!(bench.event_names(), ["Acknowledged"]);
}

#[test]
fn answer_nobody_acknowledges_is_reported_after_64_t1() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    bench.pass(31_999);
    assert_eq!(bench.sent_lines().len(), 11);
    assert!(bench.events().is_empty());
    bench.pass(1);
    assert_eq!(bench.event_names(), ["AckMissing"]);
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::SentBye);
    assert_eq!(bench.sent_lines(), ["BYE"]);
    bench.expect_nothing_left();
    assert_eq!(bench.event_names(), ["Ended"]);
    assert_eq!(bench.endpoint.counters().unacknowledged_answers, 1);
}

#[test]
fn refusal_ends_the_leg_and_is_resent_until_acknowledged() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.refuse(bench.now, leg, Reply::new(486).with_header("Reason", "Q.850;cause=17"));
    assert_eq!(bench.event_names(), ["Ended"]);
    let busy = bench.sent_one();
    assert_eq!(busy.header(HeaderName::Reason), Some("Q.850;cause=17"));
    bench.pass(500);
    assert_eq!(bench.sent_lines(), ["486 INVITE"]);
    bench.receive(&invite().replace("CSeq: 1 INVITE", "CSeq: 1 ACK").replacen("INVITE", "ACK", 1));
    assert!(bench.events().is_empty());
    bench.pass(10_000);
    assert!(bench.sent().is_empty());
    bench.expect_nothing_left();
}

#[test]
fn a_redirect_keeps_the_owners_contact_and_nothing_else_of_ours() {
    let mut bench = Bench::new();
    let leg = bench.called();
    let reply = Reply::new(302).with_header("Contact", "<sip:b@c>").with_header("Call-ID", "forged");
    bench.endpoint.refuse(bench.now, leg, reply);
    let moved = bench.sent_one();
    assert_eq!(moved.header(HeaderName::Contact), Some("<sip:b@c>"));
    assert_eq!(moved.call_id(), "call-1");
    assert_eq!(bench.endpoint.counters().headers_left_out, 1);
}

#[test]
fn cancel_before_the_answer_gets_200_and_ends_the_invite_with_487() {
    let mut bench = Bench::new();
    bench.called();
    bench.receive(&cancel());
    assert_eq!(bench.sent_lines(), ["200 CANCEL", "487 INVITE"]);
    assert_eq!(bench.event_names(), ["Cancelled", "Ended"]);
    bench.receive(&cancel());
    assert_eq!(bench.sent_lines(), ["200 CANCEL"]);
    assert!(bench.events().is_empty());
    bench.expect_nothing_left();
}

#[test]
fn a_repeated_cancel_gets_the_same_tag_although_the_leg_is_gone() {
    let mut bench = Bench::new();
    bench.called();
    bench.receive(&cancel());
    let first: Vec<String> =
        bench.sent().iter().map(|sent| sent.to().tag().unwrap_or_default().to_owned()).collect();
    bench.receive(&cancel());
    let again = bench.sent_one();
    assert_eq!(first, vec![again.to().tag().expect("a tag"); 2], "of the 200 and of the 487");
}

#[test]
fn cancel_after_the_answer_gets_200_and_changes_nothing() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let ok = bench.sent_one();
    bench.receive(&cancel());
    assert_eq!(bench.sent_lines(), ["200 CANCEL"]);
    assert!(bench.events().is_empty());
    bench.receive(&inside("ACK", 1, ok.to().tag().expect("a tag")));
    assert_eq!(bench.event_names(), ["Acknowledged"]);
}

#[test]
fn cancel_of_an_invite_that_nobody_knows_gets_481() {
    let mut bench = Bench::new();
    bench.receive(&cancel());
    assert_eq!(bench.sent_lines(), ["481 CANCEL"]);
}

#[test]
fn bye_before_the_answer_ends_the_invite_with_487() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.provisional(bench.now, leg, Reply::new(180));
    let tag = bench.sent_one().to().tag().expect("a tag").to_string();
    bench.receive(&inside("BYE", 2, &tag));
    assert_eq!(bench.sent_lines(), ["200 BYE", "487 INVITE"]);
    assert_eq!(bench.event_names(), ["Bye", "Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn bye_before_the_ack_ends_the_call_and_the_answers_repetition() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let tag = bench.sent_one().to().tag().expect("a tag").to_string();
    bench.receive(&inside("BYE", 2, &tag));
    assert_eq!(bench.sent_lines(), ["200 BYE"]);
    assert_eq!(bench.event_names(), ["Bye", "Ended"]);
    bench.pass(30_000);
    assert!(bench.sent().is_empty());
    bench.receive(&inside("ACK", 1, &tag));
    assert_eq!(bench.endpoint.counters().stray_acks, 1);
    bench.expect_nothing_left();
}

#[test]
fn bye_ends_the_call_and_its_copy_gets_the_same_answer() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside("BYE", 2, &tag));
    bench.receive(&inside("BYE", 2, &tag));
    assert_eq!(bench.sent_lines(), ["200 BYE", "200 BYE"]);
    assert_eq!(bench.event_names(), ["Bye", "Ended"]);
    bench.receive(&inside("BYE", 3, &tag));
    assert_eq!(bench.sent_lines(), ["481 BYE"]);
    bench.expect_nothing_left();
}

#[test]
fn bye_with_wrong_tags_gets_481_and_the_call_stays() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside("BYE", 2, "guessed"));
    bench.receive(&inside("BYE", 3, &tag).replace("tag=peer", "tag=guessed"));
    bench.receive(&inside("BYE", 4, &tag).replace("call-1", "call-2"));
    assert_eq!(bench.sent_lines(), ["481 BYE", "481 BYE", "481 BYE"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn hangup_before_the_ack_waits_for_it() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let tag = bench.sent_one().to().tag().expect("a tag").to_string();
    let reason = vec![("Reason".to_string(), "SIP;cause=200".to_string())];
    assert_eq!(bench.endpoint.hangup(bench.now, leg, reason), Hangup::ByePending);
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::Nothing);
    assert!(bench.sent().is_empty());
    bench.receive(&inside("ACK", 1, &tag));
    let bye = bench.sent_one();
    assert_eq!((line(&bye), bye.header(HeaderName::Reason)), ("BYE".to_string(), Some("SIP;cause=200")));
    assert!(bench.events().is_empty());
    bench.receive(&answer(&bye, 200, "", ""));
    assert_eq!(bench.event_names(), ["Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn hangup_without_an_ack_follows_after_64_t1() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    bench.pass(31_999);
    assert!(bench.sent_lines().iter().all(|line| line == "200 INVITE"));
    bench.pass(1);
    assert_eq!(bench.sent_lines(), ["BYE"]);
    assert!(bench.events().is_empty());
    bench.expect_nothing_left();
}

#[test]
fn hangup_before_any_answer_refuses_the_call() {
    let mut bench = Bench::new();
    let leg = bench.called();
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::Refused);
    assert_eq!(bench.sent_lines(), ["480 INVITE"]);
    assert_eq!(bench.event_names(), ["Ended"]);
}

#[test]
fn bye_of_ours_follows_contact_and_record_route() {
    let mut bench = Bench::new();
    bench.receive(&invite_with("Record-Route: <sip:192.0.2.50:5064;lr>\n"));
    let events = bench.events();
    let Event::Invite { leg, .. } = events[0] else { panic!("{events:?}") };
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let ok = bench.sent().pop().expect("200");
    bench.receive(&inside("ACK", 1, ok.to().tag().expect("a tag")));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let Some(Transmit::Datagram { destination, bytes, .. }) = bench.endpoint.poll_transmit() else {
        panic!("a BYE")
    };
    assert_eq!(destination, ([192, 0, 2, 50], 5064).into());
    let bye = crate::Message::parse(bytes).expect("well-formed");
    assert_eq!(bye.request_uri(), "sip:caller@192.0.2.9:5070");
    assert_eq!(bye.routes().collect::<Vec<_>>(), ["<sip:192.0.2.50:5064;lr>"]);
    assert_eq!(bye.to().tag(), Some("peer"));
}

#[test]
fn a_sender_of_rfc_2543_is_understood() {
    let mut bench = Bench::new();
    let old = invite().replace(";branch=z9hG4bK-invite", "");
    bench.receive(&old);
    bench.receive(&old);
    assert_eq!(bench.sent_lines(), ["100 INVITE", "100 INVITE"]);
    assert_eq!(bench.event_names(), ["Invite"]);
    bench.receive(&old.replace("INVITE", "CANCEL"));
    assert_eq!(bench.sent_lines(), ["200 CANCEL", "487 INVITE"]);
}
