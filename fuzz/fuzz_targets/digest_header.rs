//! Any text as a challenge or a proof: what parses prints to what parses the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signaling::digest::{Challenge, Credentials, Key, Secret};

fuzz_target!(|text: &str| {
    // What a header value can hold.
    if text.contains(['\r', '\n', '\0']) {
        return;
    }
    let secret = Secret { username: "u", key: Key::Password("p") };
    if let Ok(challenge) = Challenge::parse(text) {
        assert_eq!(Challenge::parse(&challenge.to_string()).as_ref(), Ok(&challenge));
        let proof = challenge.answer(secret, "INVITE", "sip:a@b", 1, "c");
        assert!(proof.verify(secret, "INVITE"));
    }
    if let Ok(credentials) = Credentials::parse(text) {
        assert_eq!(Credentials::parse(&credentials.to_string()).as_ref(), Ok(&credentials));
        let _ = credentials.verify(secret, "INVITE");
    }
});
