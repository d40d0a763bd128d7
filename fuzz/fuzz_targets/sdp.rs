//! Any bytes as a session description: what parses prints to what parses the same, and what is relayed names us only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signaling::sdp::Session;
use signaling::sdp::filter::filter;
use signaling::sdp::proxy::{Relay, RelayPorts, rewrite};

fuzz_target!(|data: &[u8]| {
    let ports = RelayPorts { audio: Some(16384), video: Some(16386), image: Some(16388), text: None };
    let address = [203, 0, 113, 9].into();
    let relay = Relay { user: "Crosspoint", session_id: 1, version: 2, address, ports };
    let rewritten = rewrite(data, &relay);
    let Ok(session) = Session::parse(data) else {
        return;
    };
    let again = Session::parse(session.to_string().as_bytes());
    assert_eq!(again.as_ref(), Ok(&session));
    for media in &session.media {
        let _ = (session.direction(media), session.is_hold(media), session.remote_address(media));
        let _ = (media.rtpmaps().count(), media.ptime_ms(), media.maxptime_ms(), media.rtcp_port());
    }
    let filtered = filter(data, "remove(0)|only(opus)").expect("what parses can be filtered");
    let filtered = Session::parse(&filtered).expect("and parses again");
    assert_eq!(filtered.media.len(), session.media.len());
    let relayed =
        Session::parse(&rewritten.expect("what parses can be rewritten")).expect("and parses again");
    let addresses = relayed.media.iter().filter_map(|media| relayed.remote_address(media));
    assert!(addresses.into_iter().all(|to| to.ip() == address && (16384..16390).contains(&to.port())));
});
