//! Calls over TCP, and the connections themselves.

use std::net::SocketAddr;

use super::bench::*;
use crate::Message;
use crate::endpoint::*;

/// A port that the peer connects from.
fn peer_port() -> SocketAddr {
    ([192, 0, 2, 9], 40_000).into()
}

fn over_tcp(text: &str) -> String {
    let text = text
        .replace("SIP/2.0/UDP", "SIP/2.0/TCP")
        .replace("192.0.2.9:5070>", "192.0.2.9:5070;transport=tcp>");
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn stream(bench: &mut Bench, connection: ConnectionId, text: &str) {
    bench.endpoint.handle_stream(bench.now, connection, over_tcp(text).as_bytes());
}

fn bench() -> Bench {
    Bench::with(profile_with_tcp())
}

/// Transmits in short: `connect 1.2.3.4:5`, `close`, `200 INVITE over stream`, `INVITE over udp`.
fn done(bench: &mut Bench) -> Vec<String> {
    let short = |transmit: Transmit| match transmit {
        Transmit::Connect { destination, .. } => format!("connect {destination}"),
        Transmit::Close { .. } => "close".to_string(),
        Transmit::Stream { bytes, .. } if &bytes[..] == b"\r\n" => "pong".to_string(),
        Transmit::Stream { bytes, .. } => format!("{} over tcp", line(&message(&bytes))),
        Transmit::Datagram { bytes, .. } => format!("{} over udp", line(&message(&bytes))),
    };
    bench.transmits().into_iter().map(short).collect()
}

fn message(bytes: &bytes::Bytes) -> Message {
    Message::parse(bytes.clone()).expect("we write messages that we can read")
}

/// The connection of the only transmit since, a connect.
fn opened(bench: &mut Bench) -> ConnectionId {
    let transmits = bench.transmits();
    let [Transmit::Connect { connection, .. }] = transmits[..] else { panic!("{transmits:?}") };
    connection
}

/// The message of the only transmit since, over a stream.
fn written(bench: &mut Bench) -> Message {
    let transmits = bench.transmits();
    let [Transmit::Stream { bytes, .. }] = &transmits[..] else { panic!("{transmits:?}") };
    message(bytes)
}

fn tcp_call() -> Invite {
    Invite { request_uri: "sip:4930@192.0.2.9:5070;transport=tcp".into(), ..call() }
}

#[test]
fn a_call_over_a_connection_of_the_peer_stays_on_it() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    stream(&mut bench, connection, &invite());
    let events = bench.events();
    let [Event::Invite { leg, source, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        (source.transport, source.connection, source.address),
        (Transport::Tcp, Some(connection), peer_port())
    );
    let leg = *leg;
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let transmits = bench.transmits();
    let [Transmit::Stream { .. }, Transmit::Stream { bytes, .. }] = &transmits[..] else {
        panic!("{transmits:?}")
    };
    let ok = message(bytes);
    let contact = ok.header(crate::HeaderName::Contact);
    assert_eq!(contact, Some("<sip:gw@192.0.2.1:5060;transport=tcp>"));
    stream(&mut bench, connection, &inside("ACK", 1, ok.to().tag().expect("a tag")));
    assert_eq!(bench.event_names(), ["Acknowledged"]);
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    assert_eq!(done(&mut bench), ["BYE over tcp"]);
}

#[test]
fn a_request_over_a_connection_that_is_gone_opens_another() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    stream(&mut bench, connection, &invite());
    let events = bench.events();
    let [Event::Invite { leg, .. }] = events[..] else { panic!("{events:?}") };
    bench.endpoint.answer(bench.now, leg, Reply::new(200));
    let ok = message(match &bench.transmits()[..] {
        [_, Transmit::Stream { bytes, .. }] => bytes,
        other => panic!("{other:?}"),
    });
    stream(&mut bench, connection, &inside("ACK", 1, ok.to().tag().expect("a tag")));
    bench.endpoint.handle_closed(bench.now, connection);
    bench.endpoint.hangup(bench.now, leg, Vec::new());
    let again = opened(&mut bench);
    assert_ne!(again, connection);
    bench.endpoint.handle_connected(bench.now, again, us());
    assert_eq!(done(&mut bench), ["BYE over tcp"]);
}

#[test]
fn our_call_over_tcp_waits_for_its_connection_and_is_never_resent() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    let connection = opened(&mut bench);
    bench.endpoint.handle_connected(bench.now, connection, us());
    let invite = written(&mut bench);
    assert!(invite.top_via().transport.eq_ignore_ascii_case("TCP"));
    let contact = invite.header(crate::HeaderName::Contact);
    assert_eq!(contact, Some("<sip:gw@192.0.2.1:5060;transport=tcp>"));
    bench.pass(20_000);
    assert!(bench.transmits().is_empty());
    stream(&mut bench, connection, &answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.event_names(), ["Answered"]);
    // A second call uses the same connection.
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    assert_eq!(done(&mut bench), ["INVITE over tcp"]);
}

#[test]
fn a_refused_connection_fails_the_call_with_503() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    let connection = opened(&mut bench);
    bench.endpoint.handle_connect_failed(bench.now, connection);
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_connection_that_does_not_come_up_is_given_up() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    opened(&mut bench);
    bench.pass(CONNECT_MS_MAX);
    assert_eq!(done(&mut bench), ["close"]);
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_request_on_a_connection_that_closes_is_sent_once_more_and_then_fails() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    let first = opened(&mut bench);
    bench.endpoint.handle_connected(bench.now, first, us());
    let invite = written(&mut bench);
    bench.endpoint.handle_closed(bench.now, first);
    let second = opened(&mut bench);
    bench.endpoint.handle_connected(bench.now, second, us());
    assert_eq!(written(&mut bench).received(), invite.received());
    bench.endpoint.handle_closed(bench.now, second);
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_connection_that_closes_after_a_provisional_response_does_not_end_the_call() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    let first = opened(&mut bench);
    bench.endpoint.handle_connected(bench.now, first, us());
    let invite = written(&mut bench);
    stream(&mut bench, first, &answer(&invite, 180, "peer", CONTACT));
    bench.endpoint.handle_closed(bench.now, first);
    let second = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    stream(&mut bench, second, &answer(&invite, 200, "peer", CONTACT));
    assert_eq!(bench.event_names(), ["Provisional(180)", "Answered"]);
}

#[test]
fn a_response_whose_connection_is_gone_goes_by_a_new_one() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    stream(&mut bench, connection, &invite());
    let events = bench.events();
    let [Event::Invite { leg, .. }] = events[..] else { panic!("{events:?}") };
    bench.transmits();
    bench.endpoint.handle_closed(bench.now, connection);
    bench.endpoint.refuse(bench.now, leg, Reply::new(486));
    assert_eq!(done(&mut bench), ["connect 192.0.2.9:5070"]);
}

fn long_call() -> Invite {
    Invite { body: Some(Body::sdp("v".repeat(1_500))), ..call() }
}

#[test]
fn a_long_request_prefers_tcp_and_falls_back_to_udp_when_that_is_refused() {
    let mut bench = bench();
    bench.endpoint.invite(bench.now, long_call()).expect("a good call");
    let connection = opened(&mut bench);
    bench.endpoint.handle_connect_failed(bench.now, connection);
    assert_eq!(done(&mut bench), ["INVITE over udp"]);
    assert!(bench.events().is_empty());
    // The next one does not even try, until so much time has passed.
    bench.endpoint.invite(bench.now, long_call()).expect("a good call");
    assert_eq!(done(&mut bench), ["INVITE over udp"]);
    bench.pass(TCP_REFUSED_MS);
    bench.transmits();
    bench.endpoint.invite(bench.now, long_call()).expect("a good call");
    assert_eq!(done(&mut bench), ["connect 192.0.2.9:5070"]);
}

#[test]
fn a_long_request_stays_on_udp_where_no_tcp_listener_is_or_udp_is_asked_for() {
    let mut udp_only = Bench::new();
    udp_only.endpoint.invite(udp_only.now, long_call()).expect("a good call");
    assert_eq!(done(&mut udp_only), ["INVITE over udp"]);
    let mut both = bench();
    let asked = Invite { transport: Some(Transport::Udp), ..long_call() };
    both.endpoint.invite(both.now, asked).expect("a good call");
    let named = Invite { request_uri: "sip:4930@192.0.2.9:5070;transport=udp".into(), ..long_call() };
    both.endpoint.invite(both.now, named).expect("a good call");
    assert_eq!(done(&mut both), ["INVITE over udp"; 2]);
}

#[test]
fn messages_may_come_in_pieces_or_many_at_once() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    let text = over_tcp(&invite());
    for byte in text.as_bytes() {
        bench.endpoint.handle_stream(bench.now, connection, &[*byte]);
    }
    assert_eq!(done(&mut bench), ["100 INVITE over tcp"]);
    stream(&mut bench, connection, &format!("{}{}", cancel(), cancel()));
    assert_eq!(done(&mut bench), ["200 CANCEL over tcp", "487 INVITE over tcp", "200 CANCEL over tcp"]);
}

#[test]
fn pings_get_a_pong_and_keep_a_connection_open() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    for _ in 0..10 {
        bench.endpoint.handle_stream(bench.now, connection, b"\r\n\r\n");
        assert_eq!(done(&mut bench), ["pong"]);
        bench.pass(STREAM_IDLE_MS_MAX - 1);
        assert!(bench.transmits().is_empty());
    }
    bench.pass(1);
    assert_eq!(done(&mut bench), ["close"]);
    assert_eq!(bench.endpoint.counters().connections_idle, 1);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn connections_that_bring_nothing_whole_are_closed() {
    let mut bench = bench();
    bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    let slow = bench.endpoint.handle_accepted(bench.now, TCP, ([192, 0, 2, 9], 40_001).into());
    for byte in b"OPTIONS sip:us@192.0.2.1 SIP" {
        bench.endpoint.handle_stream(bench.now, slow, &[*byte]);
        bench.pass(STREAM_PARTIAL_MS_MAX / 28);
    }
    bench.pass(STREAM_PARTIAL_MS_MAX);
    assert_eq!(done(&mut bench), ["close", "close"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn a_stream_whose_borders_cannot_be_trusted_is_answered_and_closed() {
    let mut bench = bench();
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    let smuggled = invite().replace("Content-Length: 0\n", "Content-Length: 0\nContent-Length: 5\n");
    stream(&mut bench, connection, &format!("{smuggled}{}", invite()));
    assert_eq!(done(&mut bench), ["400 INVITE over tcp", "close"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.counters().framing_errors, 1);
    let connection = bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    bench.endpoint.handle_stream(bench.now, connection, b"\x16\x03\x01\x02\x00");
    assert_eq!(done(&mut bench), ["close"]);
    assert_eq!(bench.endpoint.census(), Census::default());
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let mut bench = bench();
    bench.endpoint.set_limits(Limits { connections_max: 1, ..Limits::default() });
    bench.endpoint.handle_accepted(bench.now, TCP, peer_port());
    let refused = bench.endpoint.handle_accepted(bench.now, TCP, ([192, 0, 2, 9], 40_001).into());
    assert_eq!(bench.transmits(), [Transmit::Close { connection: refused }]);
    bench.endpoint.handle_stream(bench.now, refused, b"x");
    assert_eq!(bench.endpoint.counters().unknown_socket, 1);
    bench.endpoint.invite(bench.now, tcp_call()).expect("a good call");
    assert_eq!(bench.event_names(), ["Failed(503 Transport)", "Ended"]);
    assert_eq!(bench.endpoint.counters().connections_over_limit, 2);
}

#[test]
fn ipv6_is_carried_like_ipv4() {
    let local: SocketAddr = "[2001:db8::1]:5060".parse().expect("an address");
    let mut profile = profile();
    profile.listeners.push(ListenerSettings::new(ListenerId(6), Transport::Udp, local));
    let mut bench = Bench::with(profile);
    let call = Invite { request_uri: "sip:b@[2001:db8::9]".into(), ..call() };
    bench.endpoint.invite(bench.now, call).expect("a good call");
    let transmits = bench.transmits();
    let [Transmit::Datagram { listener, destination, bytes }] = &transmits[..] else {
        panic!("{transmits:?}")
    };
    assert_eq!((*listener, destination.to_string().as_str()), (ListenerId(6), "[2001:db8::9]:5060"));
    let invite = message(bytes);
    assert_eq!(invite.top_via().host.as_str(), "[2001:db8::1]");
    assert_eq!(invite.header(crate::HeaderName::Contact), Some("<sip:gw@[2001:db8::1]:5060>"));
}
