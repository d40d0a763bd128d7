//! Behaviours of [`Builder`](super::Builder).

use super::*;

fn parsed(bytes: Bytes) -> Message {
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    Message::parse(bytes).unwrap_or_else(|error| panic!("{error}:\n{shown}"))
}

fn request() -> Builder {
    Builder::request(&Method::Invite, "sip:bob@example.com")
        .header(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1")
        .header(HeaderName::From, "\"A\" <sip:a@example.com>;tag=1")
        .header(HeaderName::To, "<sip:bob@example.com>")
        .header(HeaderName::CallId, "c1")
        .header(HeaderName::CSeq, "7 INVITE")
}

#[test]
fn what_is_built_is_parsed_again() {
    let body = Bytes::from_static(b"v=0\r\n");
    let built = request().header("X-Foo", " bar ").list(HeaderName::Allow, ["INVITE", "ACK"]);
    let message = parsed(built.body("application/sdp", body.clone()).finish());
    assert_eq!((message.method(), message.request_uri()), (&Method::Invite, "sip:bob@example.com"));
    assert_eq!(message.header_named("x-foo"), Some("bar"));
    assert_eq!(message.allow().collect::<Vec<_>>(), ["INVITE", "ACK"]);
    assert_eq!((message.content_type(), message.body()), (Some("application/sdp"), &body));
    assert_eq!(message.header(HeaderName::ContentLength), Some("5"));
}

#[test]
fn a_line_break_in_a_value_never_becomes_a_header() {
    let built = request()
        .header("Subject", "x\r\nX-Evil: 1\n\nX-Evil: 2\0")
        .header("X-Evil: 3\r\nX", "y")
        .header("Content-Length", "9")
        .header("l", "9");
    assert_eq!(built.repairs(), 4);
    let message = parsed(built.finish());
    assert_eq!(message.header_named("X-Evil"), None);
    assert_eq!(message.header(HeaderName::Subject), Some("x  X-Evil: 1  X-Evil: 2"));
    assert_eq!(message.headers(HeaderName::ContentLength).collect::<Vec<_>>(), ["0"]);
}

#[test]
fn a_request_uri_is_escaped_where_it_would_break_the_line() {
    let built = Builder::request(&Method::Invite, "<sip:a b\r\n@h;x=\"ü\">").finish();
    assert!(built.starts_with(b"INVITE %3Csip:a%20b%0D%0A@h;x=%22%C3%BC%22%3E SIP/2.0\r\n"));
}

#[test]
fn a_phrase_is_one_line_and_may_be_empty() {
    assert!(Builder::response(200, "OK\r\nX: y").finish().starts_with(b"SIP/2.0 200 OK  X: y\r\n"));
    assert!(Builder::response(100, "").finish().starts_with(b"SIP/2.0 100 \r\n"));
}

#[test]
fn an_answer_repeats_what_it_must_and_adds_tag_and_source() {
    let request =
        parsed(request().header(HeaderName::Via, "SIP/2.0/TCP b;branch=z9hG4bK2, SIP/2.0/TCP c").finish());
    let source = "198.51.100.3:4000".parse().expect("an address");
    let answer = parsed(Builder::answer(&request, 180, "Ringing", "t9", source).finish());
    assert_eq!((answer.status(), answer.phrase(), answer.method()), (180, "Ringing", &Method::Invite));
    let vias: Vec<_> = answer.vias().collect();
    let top = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;received=198.51.100.3;rport=4000";
    assert_eq!(vias, [top, "SIP/2.0/TCP b;branch=z9hG4bK2", "SIP/2.0/TCP c"]);
    assert_eq!((answer.from().tag(), answer.to().tag()), (Some("1"), Some("t9")));
    assert_eq!((answer.call_id(), answer.cseq().0), ("c1", 7));
}

#[test]
fn an_answer_has_no_more_lines_than_the_request_gave_it() {
    let hops = vec!["SIP/2.0/UDP h"; 2000].join(",");
    let built = Builder::request(&Method::Bye, "sip:b@h")
        .header("v", "")
        .header("v", &format!(",{hops}"))
        .header(HeaderName::From, "<sip:a@h>;tag=1")
        .header(HeaderName::To, "<sip:b@h>;tag=2")
        .header(HeaderName::CallId, "c")
        .header(HeaderName::CSeq, "1 BYE");
    let request = parsed(built.finish());
    let source = "192.0.2.1:5060".parse().expect("an address");
    let answer = parsed(Builder::answer(&request, 200, "OK", "t", source).finish());
    assert_eq!((answer.vias().count(), answer.headers(HeaderName::Via).count()), (2000, 2));
    assert_eq!(answer.top_via().received(), Some(source.ip()));
}
