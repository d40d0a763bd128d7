//! Legs that we begin.

use std::net::SocketAddr;

use super::bench::*;
use crate::HeaderName;
use crate::Message;
use crate::endpoint::*;

fn account(realm: Option<&str>) -> Account {
    Account { username: "us".into(), password: "secret".into(), realm: realm.map(Into::into) }
}

fn challenge(request: &Message, realm: &str) -> String {
    let header = format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"\n");
    answer(request, 407, "proxy", &header)
}

#[test]
fn invite_carries_what_a_call_needs() {
    let mut bench = Bench::new();
    let call = Invite {
        contact_params: "gw=trunk".into(),
        max_forwards: 12,
        headers: vec![("X-Kind".into(), "a".into()), ("Via".into(), "forged".into())],
        body: Some(Body::sdp("v=0\r\n")),
        ..call()
    };
    let leg = bench.endpoint.invite(bench.now, call).expect("a good call");
    let invite = bench.sent_one();
    assert_eq!(invite.request_uri(), "sip:4930@192.0.2.9:5070");
    assert_eq!(invite.max_forwards(), Some(12));
    assert_eq!(invite.header(HeaderName::Contact), Some("<sip:gw@192.0.2.1:5060;gw=trunk>"));
    assert_eq!(invite.header(HeaderName::UserAgent), Some("bench"));
    assert_eq!(invite.header_named("X-Kind"), Some("a"));
    assert_eq!(invite.vias().count(), 1);
    assert!(invite.top_via().has_unique_branch() && invite.top_via().wants_rport());
    assert_eq!(invite.from().uri.as_str(), "sip:a@us.example");
    let (call_id, local_tag, remote_tag) = bench.endpoint.dialog_ids(leg).expect("a leg");
    assert_eq!((call_id.as_str(), remote_tag.as_str()), (invite.call_id(), ""));
    assert_eq!(invite.from().tag(), Some(local_tag.as_str()));
    assert_eq!(invite.to().tag(), None);
}

#[test]
fn unanswered_invite_is_resent_and_fails_with_408() {
    let mut bench = Bench::new();
    bench.calling();
    bench.pass(31_999);
    assert_eq!(bench.sent_lines(), vec!["INVITE"; 6]);
    bench.pass(1);
    assert_eq!(bench.event_names(), ["Failed(408 Timeout)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn unreachable_port_fails_with_503_at_once() {
    let mut bench = Bench::new();
    bench.calling();
    bench.endpoint.handle_transport_error(bench.now, UDP, peer());
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_transport_error_after_an_answer_means_nothing() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling();
    bench.receive(&answer(&invite, 100, "", ""));
    bench.endpoint.handle_transport_error(bench.now, UDP, peer());
    assert!(bench.events().is_empty());
}

#[test]
fn ringing_and_answer_are_told_and_copies_of_the_answer_acknowledged_again() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 100, "", ""));
    bench.receive(&answer(&invite, 180, "peer", CONTACT));
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.event_names(), ["Provisional(180)", "Answered"]);
    assert!(bench.sent().is_empty());
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert!(bench.sent().is_empty(), "the owner has not acknowledged yet");
    bench.endpoint.ack(bench.now, leg, None, Some(Body::sdp("v=0\r\n")));
    let ack = bench.sent_one();
    assert_eq!((ack.request_uri(), ack.cseq().0), ("sip:callee@192.0.2.9:5070", 1));
    assert_eq!(&ack.body()[..], b"v=0\r\n");
    assert_ne!(ack.top_via().branch(), invite.top_via().branch());
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.sent_one().received(), ack.received());
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.dialog_ids(leg).expect("a leg").2, "peer");
}

#[test]
fn refusal_is_acknowledged_inside_and_told_with_its_response() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling();
    bench.receive(&answer(&invite, 486, "peer", "Reason: Q.850;cause=17\n"));
    let ack = bench.sent_one();
    assert_eq!(ack.top_via().branch(), invite.top_via().branch());
    assert_eq!(ack.to().tag(), Some("peer"));
    assert_eq!(ack.request_uri(), invite.request_uri());
    let events = bench.events();
    let [Event::Failed { status: 486, response: Some(response), .. }, Event::Ended { .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(response.header(HeaderName::Reason), Some("Q.850;cause=17"));
    bench.receive(&answer(&invite, 486, "peer", ""));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.expect_nothing_left();
}

#[test]
fn hangup_before_any_response_cancels_with_the_first_one() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    let reason = vec![("Reason".to_string(), "SIP;cause=200".to_string())];
    assert_eq!(bench.endpoint.hangup(bench.now, leg, reason), Hangup::CancelPending);
    assert!(bench.sent().is_empty());
    bench.receive(&answer(&invite, 100, "", ""));
    let cancel = bench.sent_one();
    assert_eq!(line(&cancel), "CANCEL");
    assert_eq!(cancel.top_via().branch(), invite.top_via().branch());
    assert_eq!((cancel.cseq().0, cancel.to().tag()), (1, None));
    assert_eq!(cancel.header(HeaderName::Reason), Some("SIP;cause=200"));
    bench.receive(&answer(&cancel, 200, "peer", ""));
    bench.receive(&answer(&invite, 487, "peer", ""));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert_eq!(bench.event_names(), ["Failed(487 Peer)", "Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn hangup_while_ringing_cancels_at_once() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 180, "peer", CONTACT));
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::SentCancel);
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::Nothing);
    assert_eq!(bench.sent_lines(), ["CANCEL"]);
    bench.pass(500);
    assert_eq!(bench.sent_lines(), ["CANCEL"]);
}

#[test]
fn cancel_that_crosses_the_answer_turns_into_ack_and_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 180, "peer", CONTACT));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let cancel = bench.sent_one();
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(line).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(sent[1].cseq().0, 2);
    assert_eq!(bench.event_names(), ["Provisional(180)"]);
    bench.receive(&answer(&cancel, 200, "peer", ""));
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.receive(&answer(&sent[1], 200, "", ""));
    assert_eq!(bench.event_names(), ["Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn answer_that_comes_where_a_provisional_would_release_the_cancel_is_ended_with_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.sent_lines(), ["ACK", "BYE"]);
    assert!(bench.events().is_empty());
}

#[test]
fn cancel_without_consequence_ends_the_leg_after_64_t1() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 183, "peer", CONTACT));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let cancel = bench.sent_one();
    bench.receive(&answer(&cancel, 200, "peer", ""));
    bench.events();
    bench.pass(32_000);
    assert_eq!(bench.event_names(), ["Failed(408 Timeout)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_second_fork_that_answers_gets_ack_and_bye() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling_and_up();
    let other = "Contact: <sip:other@192.0.2.77:5099>\nRecord-Route: <sip:192.0.2.78;lr>\n";
    bench.receive(&answer(&invite, 200, "fork", other));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(line).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|message| message.to().tag() == Some("fork")));
    assert!(sent.iter().all(|message| message.request_uri() == "sip:other@192.0.2.77:5099"));
    assert!(sent.iter().all(|message| message.routes().next() == Some("<sip:192.0.2.78;lr>")));
    bench.receive(&answer(&invite, 200, "fork", other));
    assert_eq!(bench.sent_lines(), ["ACK"], "a copy gets its ACK and no second BYE");
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().forks_ended, 1);
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn a_fork_that_answers_after_the_leg_has_ended_gets_ack_and_bye() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling_and_up();
    bench.receive(&back("BYE", 1, &invite, "Content-Length: 0\n\n"));
    bench.receive(&answer(&invite, 200, "fork", CONTACT));
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.sent_lines(), ["200 BYE", "ACK", "BYE", "ACK"]);
    bench.expect_nothing_left();
}

#[test]
fn of_several_early_dialogs_the_last_to_speak_stands_until_one_answers() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 180, "one", CONTACT));
    bench.receive(&answer(&invite, 183, "two", CONTACT));
    assert_eq!(bench.endpoint.dialog_ids(leg).expect("a leg").2, "two");
    bench.receive(&answer(&invite, 183, "one", CONTACT));
    assert_eq!(bench.endpoint.dialog_ids(leg).expect("a leg").2, "one");
    assert_eq!(bench.endpoint.census().dialogs, 2);
    bench.receive(&answer(&invite, 200, "two", CONTACT));
    assert_eq!(bench.endpoint.dialog_ids(leg).expect("a leg").2, "two");
    assert_eq!(bench.endpoint.census().dialogs, 1);
    let names = ["Provisional(180)", "Provisional(183)", "Provisional(183)", "Answered"];
    assert_eq!(bench.event_names(), names);
}

#[test]
fn challenge_of_our_realm_is_answered_once() {
    let mut bench = Bench::new();
    let call = Invite { credentials: Some(account(Some("trunk"))), ..call() };
    bench.endpoint.invite(bench.now, call).expect("a good call");
    let first = bench.sent_one();
    bench.receive(&challenge(&first, "trunk"));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(line).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    let second = &sent[1];
    assert_eq!((second.cseq().0, second.call_id()), (2, first.call_id()));
    assert_eq!(second.from().tag(), first.from().tag());
    assert_ne!(second.top_via().branch(), first.top_via().branch());
    let proof = second.header(HeaderName::ProxyAuthorization).expect("credentials");
    assert!(proof.starts_with("Digest username=\"us\"") && proof.contains("realm=\"trunk\""));
    assert!(!proof.contains("secret"));
    assert!(bench.events().is_empty());
    bench.receive(&challenge(second, "trunk"));
    assert_eq!(bench.event_names(), ["Failed(407 Peer)", "Ended"]);
}

#[test]
fn credentials_go_to_no_realm_but_their_own() {
    let mut bench = Bench::new();
    let call = Invite { credentials: Some(account(Some("trunk"))), ..call() };
    bench.endpoint.invite(bench.now, call).expect("a good call");
    let invite = bench.sent_one();
    bench.receive(&challenge(&invite, "elsewhere"));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert_eq!(bench.event_names(), ["Failed(407 Peer)", "Ended"]);
}

#[test]
fn ack_of_an_authorized_call_repeats_the_credentials_and_bye_can_be_challenged_too() {
    let mut bench = Bench::new();
    let call = Invite { credentials: Some(account(None)), ..call() };
    let leg = bench.endpoint.invite(bench.now, call).expect("a good call");
    let first = bench.sent_one();
    bench.receive(&challenge(&first, "any"));
    let second = bench.sent().pop().expect("an INVITE");
    bench.receive(&answer(&second, 200, "peer", CONTACT));
    bench.endpoint.ack(bench.now, leg, None, None);
    let ack = bench.sent_one();
    assert_eq!(ack.header(HeaderName::ProxyAuthorization), second.header(HeaderName::ProxyAuthorization));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let bye = bench.sent_one();
    bench.receive(&challenge(&bye, "any"));
    let again = bench.sent_one();
    assert_eq!((line(&again), again.cseq().0), ("BYE".to_string(), bye.cseq().0 + 1));
    assert!(again.header(HeaderName::ProxyAuthorization).is_some());
    bench.receive(&challenge(&again, "any"));
    assert_eq!(bench.event_names(), ["Answered", "Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn a_challenge_to_a_call_that_was_hung_up_is_not_answered() {
    let mut bench = Bench::new();
    let call = Invite { credentials: Some(account(None)), ..call() };
    let leg = bench.endpoint.invite(bench.now, call).expect("a good call");
    let invite = bench.sent_one();
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    bench.receive(&challenge(&invite, "any"));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert_eq!(bench.event_names(), ["Failed(407 Peer)", "Ended"]);
}

#[test]
fn next_hop_route_and_strict_route_decide_where_an_invite_goes() {
    let destination = |invite: Invite| {
        let mut bench = Bench::new();
        bench.endpoint.invite(bench.now, invite).expect("a good call");
        let transmits = bench.transmits();
        let [Transmit::Datagram { destination, bytes, .. }] = &transmits[..] else { panic!("{transmits:?}") };
        (*destination, Message::parse(bytes.clone()).expect("well-formed"))
    };
    let at = |port: u16| SocketAddr::from(([192, 0, 2, 30], port));
    let (to, _) = destination(Invite { next_hop: Some("192.0.2.30:5071".into()), ..call() });
    assert_eq!(to, at(5071));
    let (to, loose) = destination(Invite { route: vec!["<sip:192.0.2.30;lr>".into()], ..call() });
    assert_eq!((to, loose.request_uri()), (at(5060), "sip:4930@192.0.2.9:5070"));
    let (to, strict) = destination(Invite { route: vec!["<sip:192.0.2.30:5072>".into()], ..call() });
    assert_eq!((to, strict.request_uri()), (at(5072), "sip:192.0.2.30:5072"));
    assert_eq!(strict.routes().collect::<Vec<_>>(), ["<sip:4930@192.0.2.9:5070>"]);
}

#[test]
fn calls_that_name_no_party_or_no_place_are_not_begun() {
    let mut bench = Bench::new();
    let tel = Invite { request_uri: "tel:+4930".into(), ..call() };
    let cases = [
        (tel.clone(), InviteError::RequestUri),
        (Invite { request_uri: "no uri".into(), ..call() }, InviteError::RequestUri),
        (Invite { request_uri: "sip:a@b;transport=tls".into(), ..call() }, InviteError::Transport),
        (Invite { next_hop: Some("<>".into()), ..call() }, InviteError::NextHop),
        (Invite { from: "\"broken <sip:a@b>".into(), ..call() }, InviteError::Party),
        (Invite { call_id: Some("two words".into()), ..call() }, InviteError::CallId),
        (Invite { profile: ProfileId(9), ..call() }, InviteError::Profile),
    ];
    for (call, error) in cases {
        assert_eq!(bench.endpoint.invite(bench.now, call), Err(error));
    }
    assert!(bench.endpoint.invite(bench.now, Invite { next_hop: Some("192.0.2.9".into()), ..tel }).is_ok());
    bench.endpoint.set_limits(Limits { legs_max: 1, ..Limits::default() });
    assert_eq!(bench.endpoint.invite(bench.now, call()), Err(InviteError::Limit));
}

fn named() -> Invite {
    Invite { request_uri: "sip:4930@gw.example".into(), ..call() }
}

fn asked(bench: &mut Bench) -> QueryId {
    let events = bench.events();
    let [Event::Resolve { query, host }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(host, "gw.example");
    *query
}

#[test]
fn a_host_name_is_resolved_first_and_its_next_address_tried_when_one_fails() {
    let mut bench = Bench::new();
    bench.endpoint.invite(bench.now, named()).expect("a good call");
    assert!(bench.sent().is_empty());
    let query = asked(&mut bench);
    let addresses = vec![[192, 0, 2, 61].into(), [192, 0, 2, 62].into()];
    bench.endpoint.handle_resolved(bench.now, query, Ok(addresses));
    let first = SocketAddr::from(([192, 0, 2, 61], 5060));
    assert!(
        matches!(bench.transmits()[..], [Transmit::Datagram { destination, .. }] if destination == first)
    );
    bench.endpoint.handle_transport_error(bench.now, UDP, first);
    let second = SocketAddr::from(([192, 0, 2, 62], 5060));
    assert!(
        matches!(bench.transmits()[..], [Transmit::Datagram { destination, .. }] if destination == second)
    );
    assert_eq!(bench.endpoint.counters().failovers, 1);
    bench.endpoint.handle_transport_error(bench.now, UDP, second);
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_call_that_was_hung_up_tries_no_second_address() {
    let mut bench = Bench::new();
    let leg = bench.endpoint.invite(bench.now, named()).expect("a good call");
    let query = asked(&mut bench);
    let addresses = vec![[192, 0, 2, 61].into(), [192, 0, 2, 62].into()];
    bench.endpoint.handle_resolved(bench.now, query, Ok(addresses));
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    bench.transmits();
    bench.endpoint.handle_transport_error(bench.now, UDP, ([192, 0, 2, 61], 5060).into());
    assert!(bench.transmits().is_empty());
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
}

#[test]
fn a_host_that_does_not_resolve_fails_with_503() {
    for answer in [Err(()), Ok(Vec::new())] {
        let mut bench = Bench::new();
        bench.endpoint.invite(bench.now, named()).expect("a good call");
        let query = asked(&mut bench);
        bench.endpoint.handle_resolved(bench.now, query, answer);
        assert_eq!(bench.event_names(), ["Failed(503 Resolution)", "Ended"]);
        assert_eq!(bench.endpoint.census(), Census::default());
    }
}

#[test]
fn a_resolver_that_says_nothing_is_waited_for_so_long() {
    let mut bench = Bench::new();
    bench.endpoint.invite(bench.now, named()).expect("a good call");
    let query = asked(&mut bench);
    bench.pass(RESOLVE_MS_MAX);
    assert_eq!(bench.event_names(), ["Failed(503 Resolution)", "Ended"]);
    bench.endpoint.handle_resolved(bench.now, query, Ok(vec![[192, 0, 2, 1].into()]));
    assert!(bench.sent().is_empty());
}

#[test]
fn hangup_while_resolving_sends_nothing() {
    let mut bench = Bench::new();
    let leg = bench.endpoint.invite(bench.now, named()).expect("a good call");
    let query = asked(&mut bench);
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::Nothing);
    assert_eq!(bench.event_names(), ["Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
    bench.endpoint.handle_resolved(bench.now, query, Ok(vec![[192, 0, 2, 1].into()]));
    assert!(bench.sent().is_empty());
}

#[test]
fn a_contact_with_a_name_is_resolved_for_the_ack_and_not_again_for_the_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 200, "peer", "Contact: <sip:callee@gw.example>\n"));
    bench.events();
    bench.endpoint.ack(bench.now, leg, None, None);
    assert!(bench.sent().is_empty());
    let query = asked(&mut bench);
    bench.endpoint.handle_resolved(bench.now, query, Ok(vec![[192, 0, 2, 61].into()]));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.receive(&answer(&invite, 200, "peer", "Contact: <sip:callee@gw.example>\n"));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    assert_eq!(bench.sent_lines(), ["BYE"]);
    assert!(bench.events().is_empty());
}

#[test]
fn bye_that_nobody_answers_ends_the_leg_after_64_t1() {
    let mut bench = Bench::new();
    let (leg, _) = bench.calling_and_up();
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::SentBye);
    bench.pass(31_999);
    assert!(bench.events().is_empty());
    bench.pass(1);
    assert_eq!(bench.event_names(), ["Ended"]);
    bench.expect_nothing_left();
}

#[test]
fn hangup_without_ack_acknowledges_first() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.calling();
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.endpoint.hangup(bench.now, leg, Vec::new()), Hangup::SentBye);
    assert_eq!(bench.sent_lines(), ["ACK", "BYE"]);
}

#[test]
fn bye_of_a_callee_whose_answer_was_lost_is_accepted_and_the_late_answer_acknowledged() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling();
    bench.receive(&answer(&invite, 180, "peer", CONTACT));
    bench.receive(&back("BYE", 1, &invite, "Content-Length: 0\n\n"));
    assert_eq!(bench.sent_lines(), ["200 BYE", "CANCEL"]);
    assert_eq!(bench.event_names(), ["Provisional(180)", "Bye"]);
    bench.receive(&answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.sent_lines()[0], "ACK");
    bench.expect_nothing_left();
    assert_eq!(bench.event_names(), ["Ended"]);
}

#[test]
fn response_with_a_foreign_call_id_method_or_sent_by_belongs_to_nobody() {
    let mut bench = Bench::new();
    let (_, invite) = bench.calling();
    bench.receive(&answer(&invite, 200, "peer", CONTACT).replace(invite.call_id(), "forged"));
    bench.receive(&answer(&invite, 200, "peer", CONTACT).replace("1 INVITE", "1 OPTIONS"));
    bench.receive(&answer(&invite, 200, "peer", CONTACT).replace("UDP 192.0.2.1:5060", "UDP 192.0.2.2:5060"));
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().stray_responses, 3);
    bench.receive(&answer(&invite, 200, "peer", CONTACT).replace("UDP 192.0.2.1:5060", "UDP 192.0.2.1"));
    assert_eq!(bench.event_names(), ["Answered"]);
}
