//! Requests inside a call.

use clock::Tick;

use super::bench::*;
use crate::endpoint::*;
use crate::{HeaderName, Method};

const EMPTY: &str = "Content-Length: 0\n\n";

/// The id of the only event since, a request.
fn request_id(bench: &mut Bench) -> RequestId {
    let events = bench.events();
    let [Event::Request { id, .. }] = events[..] else { panic!("{events:?}") };
    id
}

#[test]
fn reinvite_of_the_peer_goes_to_the_owner_and_its_ack_too() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside_with("INVITE", 2, &tag, OFFER));
    assert_eq!(bench.sent_lines(), ["100 INVITE"]);
    let id = request_id(&mut bench);
    bench.receive(&inside_with("INVITE", 2, &tag, OFFER));
    assert_eq!(bench.sent_lines(), ["100 INVITE"]);
    bench.endpoint.respond(bench.now, id, Reply::new(200).with_body(Body::sdp("v=0\r\n")));
    let ok = bench.sent_one();
    assert_eq!(ok.header(HeaderName::Contact), Some("<sip:gw@192.0.2.1:5060>"));
    bench.pass(500);
    assert_eq!(bench.sent_lines(), ["200 INVITE"]);
    bench.receive(&inside("ACK", 2, &tag));
    assert_eq!(bench.event_names(), ["Acknowledged"]);
    bench.pass(5_000);
    assert!(bench.sent().is_empty());
}

#[test]
fn reinvite_while_ours_is_in_the_air_gets_491_and_ours_is_sent_again_later() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling_and_up();
    let id = bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let ours = bench.sent_one();
    bench.receive(&back("INVITE", 1, &invite, OFFER));
    assert_eq!(bench.sent_lines(), ["100 INVITE", "491 INVITE"]);
    bench.receive(&answer(&ours, 491, "", ""));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert!(bench.events().is_empty());
    let start = bench.now.tick;
    // We own the Call-ID: 2.1 to 4 s (RFC 3261 §14.1).
    bench.pass(2_099);
    assert!(!bench.sent_lines().contains(&"INVITE".to_string()));
    bench.pass(1_901);
    let again = bench.sent().pop().expect("an INVITE");
    assert_eq!((line(&again), again.cseq().0), ("INVITE".to_string(), ours.cseq().0 + 1));
    assert!(bench.now.tick <= start + std::time::Duration::from_secs(4));
    bench.receive(&answer(&again, 491, "", ""));
    let events = bench.events();
    assert!(
        matches!(events[..], [Event::Response { id: told, status: 491, .. }] if told == id),
        "{events:?}"
    );
}

#[test]
fn callee_waits_less_than_the_caller_after_glare() {
    let mut bench = Bench::new();
    let (leg, _) = bench.called_and_up();
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let ours = bench.sent_one();
    bench.receive(&answer(&ours, 491, "", ""));
    bench.transmits();
    bench.pass(2_000);
    assert_eq!(bench.sent_lines()[..1], ["INVITE"]);
}

#[test]
fn what_glare_delays_waits_for_the_peers_reinvite_to_end() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.called_and_up();
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let ours = bench.sent_one();
    bench.receive(&answer(&ours, 491, "", ""));
    bench.receive(&inside_with("INVITE", 2, &tag, OFFER));
    let id = request_id(&mut bench);
    bench.transmits();
    bench.pass(20_000);
    assert!(bench.sent().is_empty());
    bench.endpoint.respond(bench.now, id, Reply::new(200));
    bench.receive(&inside("ACK", 2, &tag));
    bench.transmits();
    bench.pass(2_010);
    assert_eq!(bench.sent_lines()[..1], ["INVITE"]);
}

#[test]
fn overlapping_invites_get_500_with_retry_after() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.provisional(bench.now, leg, Reply::new(180));
    let tag = bench.sent_one().to().tag().expect("a tag").to_string();
    bench.receive(&inside_with("INVITE", 2, &tag, OFFER));
    let sent = bench.sent();
    let refusal = sent.last().expect("a refusal");
    assert_eq!(line(refusal), "500 INVITE");
    let seconds: u32 = refusal.header(HeaderName::RetryAfter).expect("a time").parse().expect("seconds");
    assert!(seconds <= 10);
    assert!(bench.events().is_empty());
}

#[test]
fn reinvite_before_the_ack_to_our_answer_gets_491() {
    let mut bench = Bench::new();
    let leg = bench.called();
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let tag = bench.sent_one().to().tag().expect("a tag").to_string();
    bench.receive(&inside_with("INVITE", 2, &tag, OFFER));
    assert_eq!(bench.sent_lines(), ["100 INVITE", "491 INVITE"]);
}

#[test]
fn updates_with_offers_collide_and_updates_without_do_not() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.called_and_up();
    let offer = Some(Body::sdp("v=0\r\n"));
    bench.endpoint.request(bench.now, leg, Method::Update, Vec::new(), offer).expect("sent");
    bench.transmits();
    bench.receive(&inside_with("UPDATE", 2, &tag, OFFER));
    assert_eq!(bench.sent_lines(), ["491 UPDATE"]);
    bench.receive(&inside("UPDATE", 3, &tag));
    let id = request_id(&mut bench);
    bench.endpoint.respond(bench.now, id, Reply::new(200));
    let ok = bench.sent_one();
    assert_eq!((line(&ok), ok.header(HeaderName::Contact).is_some()), ("200 UPDATE".to_string(), true));
}

#[test]
fn a_second_offer_before_the_first_is_answered_gets_500() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside_with("UPDATE", 2, &tag, OFFER));
    bench.receive(&inside_with("UPDATE", 3, &tag, OFFER));
    assert_eq!(bench.sent_lines(), ["500 UPDATE"]);
    assert_eq!(bench.event_names(), ["Request(UPDATE)"]);
}

#[test]
fn an_overtaken_request_gets_500() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside("INFO", 5, &tag));
    bench.receive(&inside("INFO", 4, &tag));
    assert_eq!(bench.event_names(), ["Request(INFO)"]);
    assert_eq!(bench.sent_lines(), ["500 INFO"]);
}

#[test]
fn cancel_of_a_reinvite_ends_it_and_not_the_call() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    let reinvite = inside_with("INVITE", 2, &tag, OFFER);
    bench.receive(&reinvite);
    let id = request_id(&mut bench);
    bench.transmits();
    bench.receive(&inside("CANCEL", 2, &tag).replace("z9hG4bK-CANCEL-2", "z9hG4bK-INVITE-2"));
    assert_eq!(bench.sent_lines(), ["200 CANCEL", "487 INVITE"]);
    let events = bench.events();
    assert!(matches!(events[..], [Event::RequestCancelled { id: told, .. }] if told == id), "{events:?}");
    bench.endpoint.respond(bench.now, id, Reply::new(200));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn bye_crossing_bye_ends_both() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.called_and_up();
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let bye = bench.sent_one();
    bench.receive(&inside("BYE", 2, &tag));
    assert_eq!(bench.sent_lines(), ["200 BYE"]);
    assert!(bench.events().is_empty());
    bench.receive(&answer(&bye, 481, "", ""));
    assert_eq!(bench.event_names(), ["Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn requests_of_any_kind_go_to_the_owner_and_back() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    for (at, method) in ["INFO", "OPTIONS", "REFER", "NOTIFY", "MESSAGE", "UPDATE"].into_iter().enumerate() {
        let cseq = 2 + u32::try_from(at).expect("small");
        bench.receive(&inside(method, cseq, &tag));
        let id = request_id(&mut bench);
        bench.endpoint.respond(bench.now, id, Reply::new(202));
        bench.receive(&inside(method, cseq, &tag));
        assert_eq!(bench.sent_lines(), vec![format!("202 {method}"); 2]);
    }
    bench.receive(&inside("REGISTER", 20, &tag));
    bench.receive(&inside("FROB", 21, &tag));
    assert_eq!(bench.sent_lines(), ["405 REGISTER", "501 FROB"]);
}

#[test]
fn our_requests_are_answered_by_events() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling_and_up();
    let info = |bench: &mut Bench| {
        let headers = vec![("Content-Disposition".to_string(), "signal".to_string())];
        let body = Some(Body { content_type: "application/dtmf-relay".into(), bytes: "Signal=5".into() });
        let id = bench.endpoint.request(bench.now, leg, Method::Info, headers, body).expect("sent");
        (id, bench.sent_one())
    };
    let (id, sent) = info(&mut bench);
    assert_eq!((sent.cseq().0, sent.to().tag()), (2, Some("peer")));
    assert_eq!(sent.call_id(), invite.call_id());
    bench.receive(&answer(&sent, 200, "", ""));
    let events = bench.events();
    let [Event::Response { id: told, status: 200, response: Some(_), .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(told, id);
    info(&mut bench);
    bench.pass(32_000);
    assert_eq!(bench.event_names(), ["Response(408)"]);
    bench.transmits();
    info(&mut bench);
    bench.endpoint.handle_transport_error(bench.now, UDP, peer());
    assert_eq!(bench.event_names(), ["Response(503)"]);
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn our_reinvite_is_acknowledged_by_the_owner_and_moves_the_target() {
    let mut bench = Bench::new();
    let (leg, _) = bench.calling_and_up();
    let id = bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), Some(Body::sdp("v=0\r\n")));
    let id = id.expect("sent");
    let reinvite = bench.sent_one();
    assert_eq!(reinvite.header(HeaderName::Contact), Some("<sip:gw@192.0.2.1:5060>"));
    let busy = bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None);
    assert_eq!(busy, Err(RequestError::Busy));
    let moved = "Contact: <sip:moved@192.0.2.9:5070>\n";
    bench.receive(&answer(&reinvite, 200, "", moved));
    assert_eq!(bench.event_names(), ["Response(200)"]);
    bench.endpoint.ack(bench.now, leg, Some(id), None);
    let ack = bench.sent_one();
    assert_eq!((ack.request_uri(), ack.cseq().0), ("sip:moved@192.0.2.9:5070", reinvite.cseq().0));
    bench.receive(&answer(&reinvite, 200, "", moved));
    assert_eq!(bench.sent_one().received(), ack.received());
    assert_eq!(bench.endpoint.remote_target(leg), Some("sip:moved@192.0.2.9:5070"));
    assert!(bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).is_ok());
}

#[test]
fn accepted_reinvite_of_the_peer_moves_the_target_and_a_refused_one_does_not() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.called_and_up();
    let moved = |cseq| inside("UPDATE", cseq, &tag).replace("sip:caller@192.0.2.9:5070", "sip:new@192.0.2.9");
    bench.receive(&moved(2));
    let id = request_id(&mut bench);
    bench.endpoint.respond(bench.now, id, Reply::new(488));
    assert_eq!(bench.endpoint.remote_target(leg), Some("sip:caller@192.0.2.9:5070"));
    bench.receive(&moved(3));
    let id = request_id(&mut bench);
    bench.endpoint.respond(bench.now, id, Reply::new(200));
    assert_eq!(bench.endpoint.remote_target(leg), Some("sip:new@192.0.2.9"));
}

#[test]
fn requests_that_wait_when_the_call_ends_get_487() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside("INFO", 2, &tag));
    bench.receive(&inside("BYE", 3, &tag));
    assert_eq!(bench.sent_lines(), ["200 BYE", "487 INFO"]);
    bench.expect_nothing_left();
}

#[test]
fn a_reinvite_in_the_air_when_the_call_ends_is_acknowledged_and_forgotten() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling_and_up();
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let reinvite = bench.sent_one();
    bench.receive(&back("BYE", 1, &invite, EMPTY));
    bench.receive(&answer(&reinvite, 200, "", CONTACT));
    assert_eq!(bench.sent_lines(), ["200 BYE", "ACK"]);
    bench.receive(&answer(&reinvite, 200, "", CONTACT));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.expect_nothing_left();
}

#[test]
fn a_reinvite_that_outlives_its_call_gets_the_ack_to_its_refusal() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling_and_up();
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let reinvite = bench.sent_one();
    bench.receive(&back("BYE", 1, &invite, EMPTY));
    bench.transmits();
    bench.receive(&answer(&reinvite, 100, "", ""));
    bench.receive(&answer(&reinvite, 487, "", ""));
    let ack = bench.sent_one();
    assert_eq!((line(&ack), ack.cseq().0), ("ACK".to_string(), reinvite.cseq().0));
    bench.expect_nothing_left();
}

#[test]
fn requests_before_a_dialog_and_after_the_end_are_refused() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    let update = |bench: &mut Bench| bench.endpoint.request(bench.now, leg, Method::Update, Vec::new(), None);
    assert_eq!(update(&mut bench), Err(RequestError::Dialog));
    bench.receive(&answer(&invite, 183, "peer", CONTACT));
    assert!(update(&mut bench).is_ok());
    let early = bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None);
    assert_eq!(early, Err(RequestError::Method));
    let bye = bench.endpoint.request(bench.now, leg, Method::Bye, Vec::new(), None);
    assert_eq!(bye, Err(RequestError::Method));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    assert_eq!(update(&mut bench), Err(RequestError::Leg));
}

#[test]
fn requests_in_an_early_dialog_go_to_the_owner() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling();
    bench.receive(&answer(&invite, 183, "peer", CONTACT));
    bench.receive(&back("INFO", 1, &invite, EMPTY));
    assert_eq!(bench.event_names(), ["Provisional(183)", "Request(INFO)"]);
    bench.receive(&back("UPDATE", 2, &invite, OFFER));
    assert_eq!(bench.sent_lines(), ["491 UPDATE"], "our own offer has no answer yet");
}

#[test]
fn many_requests_at_once_meet_a_limit_and_leave_no_timer() {
    let mut bench = Bench::new();
    let (leg, _) = bench.calling_and_up();
    let sent = (0..100).filter(|_| {
        bench.endpoint.request(bench.now, leg, Method::Info, Vec::new(), None) != Err(RequestError::Limit)
    });
    assert_eq!(sent.count(), 16);
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    bench.expect_nothing_left();
    assert_eq!(bench.endpoint.next_deadline().map(|(tick, _)| tick), None::<Tick>);
}

#[test]
fn what_rests_after_glare_is_not_sent_once_the_owner_has_hung_up() {
    let mut bench = Bench::new();
    let (leg, _) = bench.calling_and_up();
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let ours = bench.sent_one();
    bench.receive(&answer(&ours, 491, "", ""));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    assert_eq!(bench.sent_lines(), ["ACK", "BYE"]);
    bench.pass(10_000);
    assert!(bench.sent_lines().iter().all(|line| line == "BYE"));
    bench.expect_nothing_left();
}

#[test]
fn after_hanging_up_the_owner_hears_of_the_end_and_nothing_else() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling_and_up();
    bench.endpoint.request(bench.now, leg, Method::Info, Vec::new(), None).expect("sent");
    bench.endpoint.request(bench.now, leg, Method::Invite, Vec::new(), None).expect("sent");
    let ours = bench.sent();
    bench.receive(&back("MESSAGE", 1, &invite, EMPTY));
    bench.events();
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    assert_eq!(bench.sent_lines(), ["487 MESSAGE", "BYE"]);
    bench.receive(&answer(&ours[0], 200, "", ""));
    bench.receive(&answer(&ours[1], 200, "", CONTACT));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.receive(&back("INFO", 2, &invite, EMPTY));
    assert_eq!(bench.sent_lines(), ["481 INFO"]);
    bench.expect_nothing_left();
    assert_eq!(bench.event_names(), ["Ended"]);
}

#[test]
fn refusals_of_what_crosses_are_counted() {
    let mut bench = Bench::new();
    let (_, tag) = bench.called_and_up();
    bench.receive(&inside("INFO", 5, &tag));
    bench.receive(&inside("INFO", 4, &tag));
    assert_eq!(bench.endpoint.counters().refused_in_dialog, 1);
}
