//! Behaviours of [`Session`](super::Session) and of the proxy rewriting.

use super::proxy::{Relay, RelayPorts, rewrite};
use super::*;
use crate::testing::Random;

const OFFER: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 192.0.2.10\r\n\
    s=A call\r\n\
    i=left out\r\n\
    c=IN IP4 192.0.2.11/127\r\n\
    b=AS:64\r\n\
    t=3149328700 0\r\n\
    a=recvonly\r\n\
    m=audio 49170/2 RTP/AVP 0 8 97 101\r\n\
    a=rtpmap:97 opus/48000/2\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=fmtp:97 useinbandfec=1; stereo=0\r\n\
    a=ptime:20\r\n\
    a=maxptime:40.5\r\n\
    a=rtcp:49171 IN IP4 192.0.2.12\r\n\
    a=sendonly\r\n\
    m=video 51372 RTP/SAVP 31\r\n\
    c=IN IP6 2001:db8::5\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\r\n\
    m=image 0 udptl t38\r\n";

fn parse(text: &str) -> Session {
    Session::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

fn audio(lines: &str) -> Session {
    parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{lines}"
    ))
}

#[test]
fn an_offer_is_read_with_all_that_negotiation_needs() {
    let session = parse(OFFER);
    assert_eq!((session.origin.username.as_str(), session.name.as_str()), ("alice", "A call"));
    assert_eq!(session.origin.version, "2890844527");
    assert_eq!(session.bandwidth, ["AS:64"]);
    let audio = session.first(&MediaKind::Audio).expect("there is one");
    assert_eq!((audio.port, audio.protocol.as_str(), audio.is_rtp()), (49170, "RTP/AVP", true));
    assert_eq!(audio.payload_types().collect::<Vec<_>>(), [0, 8, 97, 101]);
    let maps: Vec<_> = audio.rtpmaps().map(|map| map.to_string()).collect();
    assert_eq!(maps, ["0 PCMU/8000", "8 PCMA/8000", "97 opus/48000/2", "101 telephone-event/8000"]);
    assert_eq!(
        (audio.fmtp(97), audio.fmtp(101), audio.fmtp(0)),
        (Some("useinbandfec=1; stereo=0"), Some("0-15"), None)
    );
    assert_eq!((audio.ptime_ms(), audio.maxptime_ms(), audio.rtcp_port()), (Some(20), Some(40), Some(49171)));
    assert_eq!(session.direction(audio), Direction::SendOnly);
    let video = session.first(&MediaKind::Video).expect("there is one");
    assert_eq!(session.direction(video), Direction::RecvOnly);
    assert_eq!(video.values("crypto").count(), 1);
}

#[test]
fn media_goes_to_its_own_address_else_to_the_sessions() {
    let session = parse(OFFER);
    let addresses: Vec<_> = session.media.iter().map(|media| session.remote_address(media)).collect();
    let expected = ["192.0.2.11:49170", "[2001:db8::5]:51372"].map(|text| text.parse().ok());
    assert_eq!(addresses, [expected[0], expected[1], None]);
}

#[test]
fn media_never_goes_where_nobody_may_be_sent_to() {
    for address in ["0.0.0.0", "255.255.255.255", "224.2.1.1/127/3", "host.example.com"] {
        let session = audio(&format!("c=IN IP4 {address}\r\n"));
        assert_eq!(session.remote_address(&session.media[0]), None, "{address}");
    }
    for address in ["::", "ff02::1"] {
        let session = audio(&format!("c=IN IP6 {address}\r\n"));
        assert_eq!(session.remote_address(&session.media[0]), None, "{address}");
    }
    let mapped = audio("c=IN IP6 ::ffff:192.0.2.2\r\n");
    assert_eq!(mapped.remote_address(&mapped.media[0]), "192.0.2.2:4000".parse().ok());
}

#[test]
fn hold_is_understood_in_both_ways_of_saying_it() {
    for (lines, hold) in [
        ("", false),
        ("a=sendrecv\r\n", false),
        ("a=recvonly\r\n", false),
        ("a=sendonly\r\n", true),
        ("a=inactive\r\n", true),
        ("c=IN IP4 0.0.0.0\r\n", true),
    ] {
        let session = audio(lines);
        assert_eq!(session.is_hold(&session.media[0]), hold, "{lines}");
    }
    assert_eq!(Direction::SendOnly.mirrored(), Direction::RecvOnly);
    assert_eq!(Direction::Inactive.mirrored(), Direction::Inactive);
}

#[test]
fn what_is_parsed_prints_to_what_parses_the_same() {
    let mapped = "v=0\no=John Doe x 5 IN IP6 ::ffff:192.0.2.2\ns=\nm=audio 6000 RTP/AVP 2 \na=x:\na=:y"
        .replace("\na=:y", "");
    for text in [OFFER, &mapped, "v=0", "v=0\r\nm=message 0 TCP/MSRP\r\nQ=what\r\n"] {
        let session = parse(text);
        assert_eq!(parse(&session.to_string()), session, "{text}");
    }
    assert_eq!(parse(&mapped).origin.username, "John_Doe");
}

#[test]
fn our_own_description_reads_as_it_should() {
    let map = |payload_type, encoding| RtpMap { payload_type, encoding, clock_rate_hz: 8000, channels: 1 };
    let mut session = Session::new("Crosspoint\r\na=evil", 7, 8, "127.0.0.1".parse().expect("an address"));
    session.media.push(
        Media::new(MediaKind::Audio, 16384, "RTP/AVP")
            .with_payload(map(8, "PCMA"), None)
            .with_payload(map(101, "telephone-event"), Some("0-15"))
            .with_attribute(Attribute::new("ptime", "20"))
            .with_direction(Direction::SendRecv),
    );
    session.media.push(Media::declined(&parse(OFFER).media[1]));
    let expected = "v=0\r\no=Crosspoint__a=evil 7 8 IN IP4 127.0.0.1\r\ns=Crosspoint  a=evil\r\n\
        c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n\
        m=video 0 RTP/SAVP 31\r\n";
    assert_eq!(session.to_string(), expected);
}

#[test]
fn each_fault_has_its_name() {
    for (text, error) in [
        ("", SdpError::Version),
        ("\r\n", SdpError::Version),
        ("v=1\r\n", SdpError::Version),
        ("o=- 1 1 IN IP4 h\r\nv=0\r\n", SdpError::Version),
        ("v=0\r\nm =video 3227 RTP/AVP 31\r\n", SdpError::Line(2)),
        ("v=0\r\ntesting=123\r\n", SdpError::Line(2)),
        ("v=0\r\ns=a\rb\r\n", SdpError::Line(2)),
        ("v=0\r\ns=a\0b\r\n", SdpError::Line(2)),
        ("v=0\r\na=\r\n", SdpError::Line(2)),
        ("v=0\r\na=:x\r\n", SdpError::Line(2)),
        ("v=0\r\no=a 1 IN IP4\r\n", SdpError::Origin(2)),
        ("v=0\r\n\r\nc=IN IP4\r\n", SdpError::Connection(3)),
        ("v=0\r\nc=IN IP5 x\r\n", SdpError::Connection(2)),
        ("v=0\r\nc=ATM IP4 x\r\n", SdpError::Connection(2)),
        ("v=0\r\nm=audio 70000 RTP/AVP 0\r\n", SdpError::Media(2)),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", SdpError::Media(2)),
        ("v=0\r\nm=audio 1\r\n", SdpError::Media(2)),
    ] {
        assert_eq!(Session::parse(text.as_bytes()), Err(error), "{text}");
    }
}

#[test]
fn bombs_are_refused_by_name_in_linear_time() {
    let start = std::time::Instant::now();
    let media = format!("v=0\r\n{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(1000));
    assert_eq!(Session::parse(media.as_bytes()), Err(SdpError::TooManyMedia));
    let attributes = format!("v=0\r\n{}", "a=x:y\r\n".repeat(5000));
    assert_eq!(Session::parse(attributes.as_bytes()), Err(SdpError::TooManyAttributes));
    let formats = format!("v=0\r\nm=audio 4000 RTP/AVP{}\r\n", " 0".repeat(30_000));
    assert_eq!(Session::parse(formats.as_bytes()), Err(SdpError::TooManyFormats(2)));
    let worst = audio(&format!(
        "m=audio 1 RTP/AVP{}\r\n{}",
        " 99".repeat(128),
        "a=rtpmap:98 x/8000\r\n".repeat(1024)
    ));
    assert_eq!(worst.media[1].rtpmaps().count(), 0);
    let ufrag = format!("v=0\r\na=ice-ufrag:{}\r\n", "u".repeat(60_000));
    assert!(Session::parse(ufrag.as_bytes()).is_ok());
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn odd_payload_types_mean_nothing() {
    for value in
        ["", "0", "128 PCMU/8000", "x PCMU/8000", "0 /8000", "0 PCMU/0", "0 PCMU/8000/0", "0 PCMU/9999999999"]
    {
        assert_eq!(RtpMap::parse(value), None, "{value}");
    }
    assert!(RtpMap::parse("97 iLBC").is_some_and(|map| map.is("ilbc", 8000)));
}

fn relay(address: &str) -> Relay<'static> {
    let ports = RelayPorts { audio: Some(16384), video: Some(16386), ..RelayPorts::default() };
    Relay {
        user: "Crosspoint",
        session_id: 5,
        version: 6,
        address: address.parse().expect("an address"),
        ports,
    }
}

fn rewritten(body: &str, address: &str) -> String {
    let bytes = rewrite(body.as_bytes(), &relay(address)).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(bytes.to_vec()).expect("UTF-8 stays UTF-8")
}

#[test]
fn a_relayed_description_names_us_and_nobody_else() {
    let expected = OFFER
        .replace("o=alice 2890844526 2890844527 IN IP4 192.0.2.10", "o=Crosspoint 5 6 IN IP4 203.0.113.9")
        .replace("s=A call", "s=Crosspoint")
        .replace("c=IN IP4 192.0.2.11/127", "c=IN IP4 203.0.113.9")
        .replace("m=audio 49170/2", "m=audio 16384")
        .replace("a=rtcp:49171 IN IP4 192.0.2.12\r\n", "")
        .replace("m=video 51372", "m=video 16386")
        .replace("c=IN IP6 2001:db8::5", "c=IN IP4 203.0.113.9");
    assert_eq!(rewritten(OFFER, "203.0.113.9"), expected);
    assert!(rewritten(OFFER, "2001:db8::9").contains("c=IN IP6 2001:db8::9\r\n"));
}

#[test]
fn nothing_leads_around_the_relay() {
    let lines = "a=ice-ufrag:x\r\na=ice-pwd:y\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n\
        a=Candidate:1 2 UDP 1 10.0.0.1 4001 typ host\r\na=rtcp:4001\r\na=rtcp-mux\r\na=rtcp-fb:* nack\r\n\
        a=fingerprint:sha-256 AB\r\na=end-of-candidates\r\na=alt:1 1 : x y 10.0.0.1 4000\r\n";
    let body = audio(lines).to_string();
    let out = rewritten(&body, "203.0.113.9");
    assert!(!out.contains("10.0.0.1") && !out.contains("a=ice") && !out.contains("a=rtcp:"), "{out}");
    assert!(out.ends_with("a=rtcp-mux\r\na=rtcp-fb:* nack\r\na=fingerprint:sha-256 AB\r\n"), "{out}");
}

#[test]
fn a_held_description_is_rewritten_like_any_other_and_stays_held() {
    let held = audio("a=inactive\r\n").to_string();
    assert!(
        rewritten(&held, "203.0.113.9")
            .contains("c=IN IP4 203.0.113.9\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\na=inactive")
    );
    let old = audio("c=IN IP4 0.0.0.0\r\n").to_string();
    let out = rewritten(&old, "203.0.113.9");
    assert!(out.contains("m=audio 16384 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"), "{out}");
}

#[test]
fn what_is_not_relayed_is_declined() {
    let body = "v=0\ns=x\nm=application 9 DTLS/SCTP 5000\nm=image 4000 udptl t38\nm=audio 0 RTP/AVP 0\n\n";
    let expected = "v=0\r\ns=Crosspoint\r\nm=application 0 DTLS/SCTP 5000\r\nm=image 0 udptl t38\r\n\
        m=audio 0 RTP/AVP 0\r\n";
    assert_eq!(rewritten(body, "203.0.113.9"), expected);
    assert_eq!(rewrite(b"<xml/>", &relay("::1")), Err(SdpError::Version));
    assert_eq!(rewrite(b"", &relay("::1")), Err(SdpError::Version));
    for hidden in ["m =audio 1 RTP/AVP 0", "a=x\rc=IN IP4 192.0.2.1", " c=IN IP4 192.0.2.1", "a=x\0y"] {
        let body = format!("v=0\r\n{hidden}\r\n");
        assert_eq!(rewrite(body.as_bytes(), &relay("::1")), Err(SdpError::Line(2)), "{hidden}");
    }
    assert_eq!(rewrite(b"v=0\r\nm=audio x\r\n", &relay("::1")), Err(SdpError::Media(2)));
}

#[test]
fn mutations_print_to_what_parses_the_same_and_never_leak_when_relayed() {
    let mut random = Random::new(1);
    let pieces =
        ["\r\n", "\n", "\r", " ", "\t", "=", ":", "/", "\0", "é", "m=", "a=", "c=IN IP4 ", "\u{b}", "\u{c}"];
    let (mut taken, mut refused) = (0, 0);
    for round in 0..20_000 {
        let bytes = random.mutated(OFFER.as_bytes(), &pieces);
        match Session::parse(&bytes) {
            Ok(session) => {
                taken += 1;
                assert_eq!(
                    Session::parse(session.to_string().as_bytes()).as_ref(),
                    Ok(&session),
                    "round {round}"
                );
                let mut addresses = session.media.iter().filter_map(|media| session.remote_address(media));
                assert!(addresses.all(|address| address.port() != 0 && !address.ip().is_unspecified()));
                let relayed =
                    rewrite(&bytes, &relay("203.0.113.9")).unwrap_or_else(|e| panic!("round {round}: {e}"));
                let text = String::from_utf8_lossy(&relayed);
                let relayed =
                    Session::parse(&relayed).unwrap_or_else(|e| panic!("round {round}: {e}:\n{text}"));
                for media in &relayed.media {
                    let address = relayed.remote_address(media);
                    let ours = ["203.0.113.9:16384", "203.0.113.9:16386"].map(|text| text.parse().ok());
                    assert!(address.is_none() || ours.contains(&address), "round {round}: {address:?}");
                }
            }
            Err(_) => {
                refused += 1;
                let _ = rewrite(&bytes, &relay("203.0.113.9"));
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}
