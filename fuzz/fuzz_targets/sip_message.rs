//! Any bytes as a datagram: parsing, every view, and the answers must neither panic nor write what does not parse.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use signaling::{Builder, HeaderName, Message, Via};

fuzz_target!(|data: &[u8]| {
    let source = ([192, 0, 2, 1], 5060).into();
    let message = match Message::parse(Bytes::copy_from_slice(data)) {
        Ok(message) => message,
        Err(error) => {
            let _ = (error.to_string(), error.top_via(), error.answer(source, "tag"));
            return;
        }
    };
    let _ = (message.top_via(), message.from(), message.to(), message.uri().is_ok(), message.max_forwards());
    let _ = (message.contacts().filter(Result::is_ok).count(), message.vias().map(Via::parse).count());
    let _ = (message.routes().count(), message.record_routes().count(), message.allow().count());
    let _ = message.headers(HeaderName::Reason).flat_map(signaling::reason::Reason::parse_list).count();
    let _ = message.body_of_type("application/sdp");
    if message.is_request() {
        let answer = Builder::answer(&message, 200, "OK", "tag", source).finish();
        let answer = Message::parse(answer).expect("an answer to a well-formed request is well-formed");
        assert_eq!((answer.call_id(), answer.cseq()), (message.call_id(), message.cseq()));
    }
    // Every header put into another message is a value there and nothing else.
    let copy =
        Builder::request(message.method(), message.request_uri()).headers(message.all_headers()).finish();
    let repeated = Message::parse(copy).map(|copy| copy.all_headers().count());
    assert!(repeated.map_or(true, |count| count <= message.all_headers().count() + 1));
});
