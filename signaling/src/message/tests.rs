//! Behaviours of [`Message`](super::Message): what is read, what is refused, and at what cost.

use std::time::{Duration, Instant};

use super::*;

/// A request with all that it must have; `extra` are more header lines, each with its CRLF.
fn request(extra: &str) -> String {
    format!(
        "INVITE sip:bob@biloxi.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK776\r\n\
         Max-Forwards: 70\r\n\
         To: Bob <sip:bob@biloxi.example>\r\n\
         From: Alice <sip:alice@atlanta.example>;tag=19283\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 314159 INVITE\r\n{extra}\r\n"
    )
}

fn parse(text: impl Into<Vec<u8>>) -> Result<Message, ParseError> {
    Message::parse(Bytes::from(text.into()))
}

fn parsed(text: impl Into<Vec<u8>>) -> Message {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn fault(text: impl Into<Vec<u8>>) -> Fault {
    parse(text).map(|message| message.to().uri.to_string()).expect_err("must be refused").fault()
}

/// `request("")` with one piece of text replaced.
fn with(from: &str, to: &str) -> String {
    let text = request("");
    assert!(text.contains(from), "{from} is not in the request");
    text.replacen(from, to, 1)
}

mod read {
    use super::*;

    #[test]
    fn a_plain_request_is_not_copied() {
        let bytes = Bytes::from(request("Content-Length: 4\r\n") + "bodyrest");
        let message = Message::parse(bytes.clone()).expect("legal");
        assert!(bytes.as_ptr_range().contains(&message.call_id().as_ptr()));
        assert!(bytes.as_ptr_range().contains(&message.body().as_ptr()));
        assert_eq!(message.body().as_ref(), b"body");
        assert_eq!(message.received(), &bytes);
    }

    #[test]
    fn typed_views_tell_what_the_text_says() {
        let m = parsed(request("Require: a, b\r\nContact: <sip:a@h>, \"x,y\" <sip:b@h>\r\nrequire: c\r\n"));
        assert!(m.is_request());
        assert_eq!((m.method(), m.status(), m.phrase()), (&Method::Invite, 0, ""));
        assert_eq!(m.request_uri(), "sip:bob@biloxi.example");
        assert_eq!(m.cseq(), (314_159, &Method::Invite));
        assert_eq!(m.max_forwards(), Some(70));
        assert_eq!((m.from().tag(), m.to().tag()), (Some("19283"), None));
        assert_eq!(m.top_via().branch(), Some("z9hG4bK776"));
        assert_eq!(m.require().collect::<Vec<_>>(), ["a", "b", "c"]);
        let contacts: Vec<_> = m.contacts().map(|c| c.expect("legal").uri.as_str()).collect();
        assert_eq!(contacts, ["sip:a@h", "sip:b@h"]);
    }

    #[test]
    fn a_response_takes_its_method_from_cseq() {
        let m = parsed(with("INVITE sip:bob@biloxi.example SIP/2.0", "SIP/2.0 183 In Fortschritt ü"));
        assert!(!m.is_request());
        assert_eq!((m.status(), m.phrase(), m.method()), (183, "In Fortschritt ü", &Method::Invite));
        assert_eq!(m.request_uri(), "");
        for empty in ["SIP/2.0 100 ", "SIP/2.0 100"] {
            assert_eq!(parsed(with("INVITE sip:bob@biloxi.example SIP/2.0", empty)).phrase(), "");
        }
    }

    #[test]
    fn folds_white_space_case_and_compact_forms_mean_the_same() {
        let text = "INVITE sip:v@chair.example;unknownparam SIP/2.0\r\n\
            TO :\r\n sip:v@chair.example ;   tag    = 1918n\r\n\
            f   : \"J R \\\\\\\"\"       <sip:jdr@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
            MaX-fOrWaRdS: 0068\r\n\
            I: ws.1@192.0.2.1\r\n\
            Content-Length   : 3\r\n\
            cseq: 0009\r\n  INVITE\r\n\
            Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
            s :\r\n\
            NewHeader:   new value\r\n continued\r\n\t\r\n more\r\n\
            Odd: ;;,,;;,;\r\n\
            v:  SIP  / 2.0  / TCP     spindle.example   ;\r\n  branch  =   z9hG4bK9  ,\r\n SIP  /    2.0   / UDP  \
            192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
            m:\"Quoted \\\"\\\"\" <sip:jdr@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\
            \r\nabc";
        let m = parsed(text);
        assert_eq!((m.to().tag(), m.from().tag()), (Some("1918n"), Some("98asjd8")));
        assert_eq!(m.from().display_name(), "J R \\\"");
        assert_eq!((m.max_forwards(), m.cseq().0, m.call_id()), (Some(68), 9, "ws.1@192.0.2.1"));
        assert_eq!(m.top_via().host.as_str(), "192.0.2.2");
        let vias: Vec<_> = m.vias().map(|via| Via::parse(via).expect("legal").branch()).collect();
        assert_eq!(vias, [Some("390skdjuw"), Some("z9hG4bK9"), Some("z9hG4bK30239")]);
        assert_eq!(m.header(HeaderName::Subject), Some(""));
        assert_eq!(m.header_named("odd"), Some(";;,,;;,;"));
        assert_eq!(m.header_named("NEWHEADER"), Some("new value   continued  \t   more"));
        let contact = m.contacts().next().expect("one").expect("legal");
        assert_eq!(
            (contact.params.get("newparam"), contact.params.get("q")),
            (Some("newvalue"), Some("0.33"))
        );
        assert_eq!(m.body().as_ref(), b"abc");
    }

    #[test]
    fn order_case_and_unknown_headers_survive() {
        let m = parsed(request("x-LAST: 1\r\nV: SIP/2.0/TCP b\r\nC%6Fntact: <sip:a@h>\r\n"));
        let names: Vec<_> = m.all_headers().map(|header| header.0).collect();
        let expected = ["Via", "Max-Forwards", "To", "From", "Call-ID", "CSeq", "x-LAST", "V", "C%6Fntact"];
        assert_eq!(names, expected);
        assert_eq!(m.contacts().count(), 0);
        assert_eq!(m.header_named("c%6FNTACT"), Some("<sip:a@h>"));
        assert_eq!(m.headers_named("via").count(), 2);
    }

    #[test]
    fn every_token_character_and_quoted_control_is_taken() {
        let text = "!odd-Method0123456789_*+`.%indeed'~ sip:1_u.R~(t!s)&i'i+i$/c?,/;;*:&p=w$o~d(d'i)@example.com \
            SIP/2.0\r\n\
            Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\r\n\
            To: \"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\" <sip:1_u.R~(t!s)@example.com>\r\n\
            From: token1~` token2'+_ token3*%!.- <sip:m@example.com>;p''~+*_!.-%=\"работающий\";tag=_t~1'+`*%!-.\r\n\
            Call-ID: w%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n\
            CSeq: 139122385 !odd-Method0123456789_*+`.%indeed'~\r\n\
            extensionHeader-!.%*+_`'~:\u{feff}大停電\r\n\r\n";
        let m = parsed(text);
        assert_eq!(m.method().as_str(), "!odd-Method0123456789_*+`.%indeed'~");
        assert_eq!(m.to().display_name(), "BEL:\x07 NUL:\0 DEL:\x7f");
        assert_eq!(m.from().tag(), Some("_t~1'+`*%!-."));
        assert_eq!(m.max_forwards(), None);
        assert_eq!(m.header_named("extensionheader-!.%*+_`'~"), Some("\u{feff}大停電"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_read_as_latin_1() {
        let mut bytes = with("Bob <", "\"M@ller\" <").into_bytes();
        let at = bytes.iter().position(|&b| b == b'@').expect("a Via or To");
        let at = bytes[at + 1..].iter().position(|&b| b == b'@').map_or(at, |next| at + 1 + next);
        bytes[at] = 0xfc;
        let m = parsed(bytes.clone());
        assert_eq!(m.to().display_name(), "Müller");
        assert_eq!(m.call_id(), "a84b4c76e66710");
        assert_eq!(m.received().as_ref(), bytes);
    }

    #[test]
    fn an_old_request_without_branch_tag_and_hops_is_taken() {
        let text = "INVITE sip:UserB@example.com SIP/2.0\r\n\
            Via: SIP/2.0/UDP iftgw.example.com\r\n\
            From: <sip:+13035551111@ift.client.example.net;user=phone>\r\n\
            To: sip:+16505552222@ss1.example.net;user=phone\r\n\
            Call-ID: 1717@ift.client.example.com\r\nCSeq: 56 INVITE\r\n\r\nv=0\r\n";
        let m = parsed(text);
        assert!(m.from().tag().is_none() && m.max_forwards().is_none() && m.top_via().branch().is_none());
        assert_eq!(m.body().as_ref(), b"v=0\r\n");
    }

    #[test]
    fn what_follows_the_announced_body_is_noise() {
        let m =
            parsed(request("l: 0\r\n") + "\r\nINVITE sip:joe@example.com SIP/2.0\r\nCall-ID: second\r\n\r\n");
        assert!(m.body().is_empty());
        assert_eq!(m.call_id(), "a84b4c76e66710");
    }

    #[test]
    fn line_breaks_before_the_start_line_are_skipped() {
        assert_eq!(parsed("\r\n\r\n".to_owned() + &request("")).cseq().0, 314_159);
        assert_eq!(fault("\r\n\r\n"), Fault::KeepAlive);
        assert_eq!(fault(""), Fault::KeepAlive);
    }

    #[test]
    fn a_body_type_is_compared_without_its_parameters() {
        let m = parsed(request("c: Application/SDP ;charset=utf-8\r\n"));
        assert!(m.has_body_type("application/sdp") && !m.has_body_type("application/sd"));
        assert!(!parsed(request("")).has_body_type("application/sdp"));
    }
}

mod refused {
    use super::*;
    use crate::via::ViaError;

    #[test]
    fn each_fault_has_its_name() {
        let line = "INVITE sip:bob@biloxi.example SIP/2.0";
        let cases = [
            (with(line, "INVITE  sip:bob@biloxi.example  SIP/2.0"), Fault::StartLine),
            (with(line, "INVITE sip:bob@biloxi.example SIP/2.0  "), Fault::StartLine),
            (with(line, "INVITE sip:bob@biloxi.example; lr SIP/2.0"), Fault::StartLine),
            (with(line, "INVITE sip:b@h?Route=%3Csip:x%3E SIP/2.0"), Fault::RequestUri(UriError::Headers)),
            (with(line, "INVITE <sip:b@h> SIP/2.0"), Fault::RequestUri(UriError::Character)),
            (with(line, "INVITE sip:2001:db8::10 SIP/2.0"), Fault::RequestUri(UriError::Port)),
            (with(line, "INVITE sip:b@h SIP/7.0"), Fault::Version),
            (with(line, "INVITE sip:b@h"), Fault::NotSip),
            (with(line, "GET / HTTP/1.1"), Fault::NotSip),
            (with(line, "SIP/2.0 4294967301 better"), Fault::Status),
            (with(line, "SIP/2.0 099 low"), Fault::Status),
            (with(line, "SIP/2.0 700 high"), Fault::Status),
            (with(line, "SIP/2.0 2x0 OK"), Fault::Status),
            (with("CSeq: 314159 INVITE", "CSeq: 314159 OPTIONS"), Fault::MethodMismatch),
            (with("CSeq: 314159", "CSeq: 36893488147419103232"), Fault::Malformed(HeaderName::CSeq)),
            (with("CSeq: 314159", "CSeq: 4294967296"), Fault::Malformed(HeaderName::CSeq)),
            (with("CSeq: 314159", "CSeq: -1"), Fault::Malformed(HeaderName::CSeq)),
            (with("Forwards: 70", "Forwards: 300"), Fault::Malformed(HeaderName::MaxForwards)),
            (with("Via: SIP", "X: SIP"), Fault::Missing(HeaderName::Via)),
            (with("To: ", "X: "), Fault::Missing(HeaderName::To)),
            (with("From: ", "X: "), Fault::Missing(HeaderName::From)),
            (with("Call-ID: ", "X: "), Fault::Missing(HeaderName::CallId)),
            (with("CSeq: ", "X: "), Fault::Missing(HeaderName::CSeq)),
            (with("Call-ID: a", "Call-ID: a b"), Fault::Malformed(HeaderName::CallId)),
            (with(";branch=z9hG4bK776", ";;,;,,"), Fault::Via(ViaError::Params)),
            (with("Bob <", "\"Bob <"), Fault::NameAddr(HeaderName::To, NameAddrError::Display)),
            (with("Max-Forwards:", "Max-Forwards"), Fault::HeaderLine),
            (with("Max-Forwards:", "Max Forwards:"), Fault::HeaderLine),
            (with("tag=19283", "tag=19283;tag=2"), Fault::Malformed(HeaderName::From)),
            (request("t: <sip:other@h>\r\n"), Fault::Repeated(HeaderName::To)),
            (request("Content-Length: 13\r\nl: 13\r\n"), Fault::Repeated(HeaderName::ContentLength)),
            (request("Content-Length: -999\r\n"), Fault::Malformed(HeaderName::ContentLength)),
            (request("Content-Length: 4294967297\r\n"), Fault::BodyTruncated),
            (request("Content-Length: 1\r\n"), Fault::BodyTruncated),
            (request("X: a\nY: b\r\n"), Fault::LineBreak),
            (request("X: a\rY: b\r\n"), Fault::LineBreak),
            (request("X: a\r\r\nY: b\r\n"), Fault::LineBreak),
            (request("").trim_end().to_owned(), Fault::NoBlankLine),
            (request("").replace("\r\n", "\n"), Fault::NoBlankLine),
        ];
        for (text, expected) in cases {
            assert_eq!(fault(text.clone()), expected, "{text}");
        }
        assert_eq!(fault(request(&format!("X: {}\r\n", "x".repeat(MESSAGE_BYTES_MAX)))), Fault::TooLong);
    }

    #[test]
    fn identifiers_that_dialogs_would_store_are_bounded() {
        let long = "x".repeat(IDENTIFIER_BYTES_MAX + 1);
        for (from, name) in [
            ("19283", HeaderName::From),
            ("z9hG4bK776", HeaderName::Via),
            ("a84b4c76e66710", HeaderName::CallId),
        ] {
            assert_eq!(fault(with(from, &long)), Fault::IdentifierTooLong(name));
            assert!(parse(with(from, &long[1..])).is_ok());
        }
    }

    #[test]
    fn the_sender_is_told_with_what_could_be_read() {
        let text =
            with("CSeq: 314159 INVITE", "CSeq: 8\r\n  OPTIONS\r\nv: SIP/2.0/TCP second, SIP/2.0/TCP third");
        let error = parse(text).expect_err("a mismatch");
        let source = "192.0.2.9:1234".parse().expect("an address");
        let answer = error.answer(source, "t1").expect("a request with a Via");
        let expected = "SIP/2.0 400 Bad Request: CSeq names another method than the request line\r\n\
            Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK776;received=192.0.2.9\r\n\
            Via: SIP/2.0/TCP second, SIP/2.0/TCP third\r\n\
            From: Alice <sip:alice@atlanta.example>;tag=19283\r\n\
            To: Bob <sip:bob@biloxi.example>;tag=t1\r\n\
            Call-ID: a84b4c76e66710\r\n\
            CSeq: 8 OPTIONS\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&answer), expected);
        assert_eq!(error.top_via().and_then(|via| via.branch()), Some("z9hG4bK776"));
    }

    #[test]
    fn another_version_is_answered_505() {
        let error = parse(with("example SIP/2.0\r\nVia", "example SIP/7.0\r\nVia")).expect_err("a version");
        let answer = error.answer("192.0.2.9:1234".parse().expect("an address"), "").expect("answerable");
        assert!(answer.starts_with(b"SIP/2.0 505 Version Not Supported\r\n"));
    }

    #[test]
    fn responses_acks_and_strangers_get_silence() {
        let source = "192.0.2.9:1234".parse().expect("an address");
        let line = "INVITE sip:bob@biloxi.example SIP/2.0";
        for text in [
            with(line, "SIP/2.0 4294967301 better"),
            with(line, "ACK  sip:bob@biloxi.example SIP/2.0"),
            with("Via: SIP", "X: SIP"),
            with(line, "GET / HTTP/1.1"),
            "\x16\x03\x01\x02".to_owned(),
            "\r\n\r\n".to_owned(),
        ] {
            let error = parse(text.clone()).expect_err("must be refused");
            assert_eq!(error.answer(source, "t"), None, "{text}");
        }
    }
}

mod bombs {
    use super::*;

    /// A debug build needs some milliseconds; quadratic time would take ten times this bound.
    const LINEAR: Duration = Duration::from_secs(2);

    fn timed(text: String, read: impl Fn(&Message)) {
        let start = Instant::now();
        match parse(text) {
            Ok(message) => read(&message),
            Err(error) => drop(error.answer("192.0.2.9:1234".parse().expect("an address"), "t")),
        }
        let took = start.elapsed();
        assert!(took < LINEAR, "{took:?}");
    }

    fn read_everything(m: &Message) {
        let mut seen = m.vias().count() + m.routes().count() + m.contacts().filter(Result::is_ok).count();
        seen += m.from().params.iter().count() + m.top_via().params.iter().count();
        seen += m.list(HeaderName::Accept).count() + m.all_headers().count();
        assert!(seen > 0);
    }

    #[test]
    fn too_many_headers_are_refused_by_name() {
        let text = request(&"X-A: b\r\n".repeat(3000));
        assert_eq!(fault(text.clone()), Fault::TooManyHeaders);
        timed(text, read_everything);
        timed(request(&"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n".repeat(500)), read_everything);
        assert!(parse(request(&"X: b\r\n".repeat(HEADERS_MAX - 6))).is_ok());
    }

    #[test]
    fn folds_commas_and_parameters_cost_linear_time() {
        timed(request(&format!("X: a{}\r\n", "\r\n b".repeat(15_000))), read_everything);
        timed(request(&format!("Contact: {}\r\n", "a,".repeat(25_000))), read_everything);
        timed(request(&format!("Route: {}\r\n", "<a>,".repeat(15_000))), read_everything);
        timed(request(&format!("Accept: {}\r\n", ",".repeat(60_000))), read_everything);
        timed(with(";tag=19283", &format!(";tag=1{}", ";a=b".repeat(12_000))), read_everything);
        timed(with(";branch=z9", &format!("{};branch=z9", ";a=b".repeat(12_000))), read_everything);
        timed(with("Bob <", &format!("\"{}\" <", "\\\"".repeat(30_000))), read_everything);
        timed(request(&format!("Contact: {}\r\n", "\"".repeat(60_000))), read_everything);
        timed(request(&format!("Contact: {}\r\n", "<".repeat(60_000))), read_everything);
    }
}

mod mutated {
    use super::*;
    use crate::testing::Random;

    const PIECES: [&str; 16] =
        ["\r\n", "\n", "\r", " ", "\t", ";", ",", "\"", "<", ">", "\\", "\0", "%", "é", "SIP/2.0", ":"];

    #[test]
    fn no_mutation_breaks_a_view_or_an_answer() {
        let seed =
            request("Contact: \"a\" <sip:a@[::1]:5060;x=y>;q=0.1\r\nX: a\r\n b\r\nContent-Length: 3\r\n")
                + "abc";
        let source = "192.0.2.9:1234".parse().expect("an address");
        let mut random = Random::new(1);
        let (mut taken, mut refused) = (0, 0);
        for round in 0..20_000 {
            match Message::parse(Bytes::from(random.mutated(seed.as_bytes(), &PIECES))) {
                Ok(m) => {
                    taken += 1;
                    let _ = (m.top_via(), m.from(), m.to(), m.uri(), m.contacts().count());
                    let answer = crate::builder::Builder::answer(&m, 200, "OK", "t", source).finish();
                    assert!(!m.is_request() || Message::parse(answer).is_ok(), "round {round}");
                }
                Err(error) => {
                    refused += 1;
                    let _ = error.answer(source, "t");
                }
            }
        }
        assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
    }
}
