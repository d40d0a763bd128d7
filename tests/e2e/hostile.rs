//! Hostile SIP: messages of our own making in the spirit of RFC 4475 and faults.md S1 to S26, with the answers that they
//! may get.

use std::net::SocketAddr;

use crate::attackers::Random;
use crate::peers::unique;

/// What may come back.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// Nothing at all.
    Silence,
    /// One of these.
    Status(&'static [u16]),
    /// Any final response or silence: only survival counts.
    Any,
}

/// A message to send.
pub struct Hostile {
    pub what: String,
    pub bytes: Vec<u8>,
    pub expected: Expected,
}

use Expected::{Any, Silence, Status};

/// 100 is not meant: it stands for "the call was taken", which ends with the 486 of the dialplan.
const TAKEN: Expected = Status(&[486]);
const REFUSED: Expected = Status(&[400]);

/// A message put together from parts, each of which can be left out or bent.
struct Draft {
    line: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Draft {
    fn of(method: &str, to: SocketAddr, from: SocketAddr) -> Draft {
        let name = unique();
        Draft {
            line: format!("{method} sip:100@{to} SIP/2.0"),
            headers: vec![
                ("Via", format!("SIP/2.0/UDP {from};rport;branch=z9hG4bK{name}")),
                ("From", format!("<sip:900@{from}>;tag=f{name}")),
                ("To", format!("<sip:100@{to}>")),
                ("Call-ID", name),
                ("CSeq", format!("1 {method}")),
                ("Max-Forwards", "70".to_owned()),
                ("Contact", format!("<sip:900@{from}>")),
            ],
            body: String::new(),
        }
    }

    fn invite(to: SocketAddr, from: SocketAddr) -> Draft {
        let mut draft = Draft::of("INVITE", to, from);
        draft.headers.push(("Content-Type", "application/sdp".to_owned()));
        draft.body = crate::peers::sdp(SocketAddr::new(from.ip(), 10_000));
        draft
    }

    fn line(mut self, line: String) -> Draft {
        self.line = line;
        self
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Draft {
        self = self.without(name);
        self.headers.push((name, value.into()));
        self
    }

    fn add(mut self, name: &'static str, value: impl Into<String>) -> Draft {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Draft {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn body(mut self, kind: &str, body: impl Into<String>) -> Draft {
        self = self.set("Content-Type", kind);
        self.body = body.into();
        self
    }

    fn sdp(self, lines: &str) -> Draft {
        let body = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n{lines}");
        self.body("application/sdp", body)
    }

    fn text(&self) -> String {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| *name == "Content-Length") {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        text + "\r\n" + &self.body
    }

    fn is(self, what: &str, expected: Expected) -> Hostile {
        Hostile { what: what.to_owned(), bytes: self.text().into_bytes(), expected }
    }
}

fn raw(what: &str, bytes: impl Into<Vec<u8>>, expected: Expected) -> Hostile {
    Hostile { what: what.to_owned(), bytes: bytes.into(), expected }
}

/// All of them, from `from` to `to`, whose dialplan answers every number with 486.
pub fn all(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let mut all = not_sip(to, from);
    all.extend(start_lines(to, from));
    all.extend(numbers(to, from));
    all.extend(missing_and_doubled(to, from));
    all.extend(bombs(to, from));
    all.extend(letters(to, from));
    all.extend(meanings(to, from));
    all.extend(bodies(to, from));
    all.extend(descriptions(to, from));
    all
}

fn not_sip(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let options = Draft::of("OPTIONS", to, from).text();
    vec![
        raw("nothing", "", Silence),
        raw("a keep-alive", "\r\n\r\n", Silence),
        raw("NUL", "\0\0\0\0", Silence),
        raw("HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Silence),
        raw("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), Silence),
        raw("RTP", crate::attackers::rtp(0, 1, 1, 1, &[0x55; 160]), Silence),
        raw("STUN", crate::attackers::stun(&mut Random::new(1)).remove(0), Silence),
        raw("a start line alone", format!("OPTIONS sip:{to} SIP/2.0\r\n\r\n"), Silence),
        raw("half a message", options[..options.len() / 2].to_owned(), Any),
        raw("no blank line", options.trim_end().to_owned(), Any),
        raw("line feeds only", options.replace("\r\n", "\n"), Any),
        raw("carriage returns only", options.replace("\r\n", "\r"), Any),
        raw("two messages", options.clone() + &options, Any),
        raw("64 KiB of a letter", vec![b'A'; 65_000], Silence),
        raw("64 KiB of line breaks", "\r\n".repeat(32_000), Silence),
        raw("64 KiB of a start line", format!("OPTIONS sip:{} SIP/2.0\r\n\r\n", "a".repeat(64_000)), Any),
    ]
}

fn start_lines(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let options = |line: String| Draft::of("OPTIONS", to, from).line(line);
    vec![
        options(format!("OPTIONS sip:{to} SIP/7.0")).is("another version", Status(&[505])),
        options(format!("OPTIONS  sip:{to}  SIP/2.0")).is("two spaces", REFUSED),
        options(format!("OPTIONS <sip:{to}> SIP/2.0")).is("a URI in brackets", REFUSED),
        options(format!("OPTIONS sip:a b@{to} SIP/2.0")).is("a space in the URI", REFUSED),
        options(format!("OPTIONS sip:{to}?a=b&c SIP/2.0")).is("headers in the URI", Any),
        options("OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0".to_owned())
            .is("another scheme", Status(&[416])),
        options("OPTIONS sip:[::1 SIP/2.0".to_owned()).is("an open bracket", REFUSED),
        options("OPTIONS sip:%zz@h SIP/2.0".to_owned()).is("a broken escape", Any),
        options(format!("OPTIONS sip:{to}:99999999 SIP/2.0")).is("a port too large", REFUSED),
        options(format!("OPTIONS sip:{}@{to} SIP/2.0", "%41".repeat(1_300))).is("a long user", Any),
        options(format!("OPTIONS sip:{to}{} SIP/2.0", ";a".repeat(12_000))).is("12,000 parameters", Any),
        options(format!("options sip:{to} SIP/2.0")).is("a method in small letters", Any),
    ]
}

fn numbers(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let options = || Draft::of("OPTIONS", to, from);
    let length = |value: &str| Draft::invite(to, from).add("Content-Length", value);
    vec![
        options().set("CSeq", format!("{} OPTIONS", "9".repeat(400))).is("a CSeq of 400 digits", REFUSED),
        options().set("CSeq", "4294967296 OPTIONS").is("a CSeq beyond 32 bits", REFUSED),
        options().set("CSeq", "-1 OPTIONS").is("a negative CSeq", REFUSED),
        options().set("CSeq", "1 INVITE").is("a CSeq of another method", REFUSED),
        options().set("CSeq", "1").is("a CSeq without method", REFUSED),
        length("-1").is("a negative Content-Length", REFUSED),
        length("4294967297").is("a Content-Length beyond 32 bits", REFUSED),
        length("99999999999999999999999").is("a Content-Length beyond 64 bits", REFUSED),
        length("ten").is("a Content-Length in words", REFUSED),
        length("9999").is("a Content-Length beyond the datagram", REFUSED),
        length("5").add("Content-Length", "50").is("two Content-Lengths", REFUSED),
        Draft::invite(to, from).set("Max-Forwards", "0").is("no hop left", Status(&[483])),
        options().set("Max-Forwards", "300").is("too many hops", Any),
        options().set("Max-Forwards", "-1").is("negative hops", Any),
        Draft::invite(to, from).add("Expires", "9".repeat(60)).is("an Expires of 60 digits", Any),
        Draft::invite(to, from).add("Session-Expires", "1;refresher=uac").is("a session of a second", Any),
        options().set("Via", format!("SIP/2.0/UDP {};branch=z9hG4bKa", from.ip())).is("no port in Via", Any),
        options().set("Via", format!("SIP/2.0/UDP {from}:99999;rport;branch=z9hG4bKb")).is("two ports", Any),
    ]
}

fn missing_and_doubled(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let mut all = Vec::new();
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let draft = Draft::of("OPTIONS", to, from);
        all.push(draft.without(name).is(&format!("no {name}"), Status(&[400])));
        let draft = Draft::of("OPTIONS", to, from).set(name, "");
        all.push(draft.is(&format!("an empty {name}"), Status(&[400])));
    }
    let options = || Draft::of("OPTIONS", to, from);
    let invite = || Draft::invite(to, from);
    all.extend([
        options().without("Via").is("no Via", Silence),
        options().set("Via", "nonsense").is("a Via that is none", Any),
        invite().without("Contact").is("no Contact", REFUSED),
        invite().set("Contact", "*").is("a Contact of all", Any),
        options().add("From", "<sip:b@b>;tag=2").is("two Froms", Any),
        options().add("Call-ID", "another").is("two Call-IDs", Any),
        options().add("CSeq", "2 OPTIONS").is("two CSeqs", Any),
        invite().set("To", format!("<sip:100@{to}>;tag=")).is("an empty tag in To", Any),
        invite().set("To", format!("<sip:100@{to}>;tag=a;tag=b")).is("two tags in To", Any),
        invite().set("From", format!("<sip:900@{from}>")).is("no tag in From", Any),
        invite().set("From", format!("<sip:900@{from}>;tag")).is("a tag without a value", Any),
        invite().set("From", "\"open <sip:a@b>;tag=1").is("an open quote", REFUSED),
        invite().set("From", "<sip:a@b;tag=1").is("an open bracket in From", REFUSED),
    ]);
    for length in [63, 64, 127, 128, 255, 256, 511, 512, 513, 1_023, 1_024, 4_096] {
        let tag = format!("<sip:900@{from}>;tag={}", "a".repeat(length));
        all.push(options().set("From", tag).is(&format!("a tag of {length} letters"), Any));
        let via = format!("SIP/2.0/UDP {from};rport;branch=z9hG4bK{}", "b".repeat(length));
        all.push(options().set("Via", via).is(&format!("a branch of {length} letters"), Any));
    }
    all
}

fn bombs(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let options = || Draft::of("OPTIONS", to, from);
    let many = |mut draft: Draft, count: usize, name: &'static str, value: &str| {
        draft.headers.extend((0..count).map(|_| (name, value.to_owned())));
        draft
    };
    vec![
        many(options(), 3_000, "X-A", "b").is("3,000 headers", Any),
        many(options(), 500, "Via", "SIP/2.0/UDP h;branch=z9hG4bKx").is("500 Vias", Any),
        many(options(), 1_000, "Record-Route", "<sip:h;lr>").is("1,000 Record-Routes", Any),
        many(Draft::invite(to, from), 200, "Route", "<sip:h;lr>").is("200 Routes", Any),
        many(Draft::of("SUBSCRIBE", to, from), 300, "Accept", "a/b").is("300 Accepts", Status(&[400, 489])),
        many(options(), 250, "Require", "a").is("250 Requires", Status(&[420, 400])),
        options().add("Subject", "a\r\n ".repeat(15_000)).is("15,000 folds", Any),
        options().add("Accept", ",".repeat(50_000)).is("50,000 commas", Any),
        options().add("Contact", "<sip:a@b>,".repeat(6_000)).is("6,000 Contacts", Any),
        options()
            .set("From", format!("<sip:a@b>;tag=1{}", ";p".repeat(12_000)))
            .is("parameters of From", Any),
        options().add("Subject", "\\\"".repeat(30_000)).is("30,000 escaped quotes", Any),
        options().add("Reason", "\"".repeat(60_000)).is("60,000 quotes", Any),
        options().add("Warning", "<".repeat(60_000)).is("60,000 brackets", Any),
        Draft::invite(to, from).add("X-Long", "a".repeat(60_000)).is("a header of 60,000 letters", Any),
        Draft::invite(to, from)
            .add("Authorization", "Digest ".to_owned() + &"a=,".repeat(9_000))
            .is("credentials without end", Any),
    ]
}

fn letters(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let with_from = |what: &str, display: &[u8], expected| {
        let text = Draft::invite(to, from).set("From", "\"@@\" <sip:900@h>;tag=1").text();
        let at = text.find("@@").expect("the mark");
        let bytes = [&text.as_bytes()[..at], display, &text.as_bytes()[at + 2..]].concat();
        raw(what, bytes, expected)
    };
    vec![
        with_from("Latin-1", b"M\xfcller", TAKEN),
        with_from("overlong UTF-8", b"\xc0\xaf\xe0\x80\xaf", TAKEN),
        with_from("surrogates in UTF-8", b"\xed\xa0\x80\xed\xbf\xbf", TAKEN),
        with_from("cut UTF-8", b"\xf0\x9f\x92", TAKEN),
        with_from("NUL in a name", b"a\0b", Any),
        with_from("bells and escapes in a name", b"\x07\x1b[2J\x08", Any),
        with_from("all bytes from 128", &(128..=255).collect::<Vec<u8>>(), TAKEN),
        with_from("formats in a name", b"%n%s%1000000d", TAKEN),
        Draft::of("OPTIONS", to, from).add("Subject", "\u{feff}\u{202e}\u{0}").is("odd letters", Any),
    ]
}

fn meanings(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let of = |method: &str| Draft::of(method, to, from);
    let mut all = vec![
        of("FROBNICATE").is("a method that nobody knows", Status(&[501])),
        of("OPTIONS").add("Require", "nothingSupportsThis").is("an unknown extension", Status(&[420])),
        of("REFER").add("Refer-To", "<sip:1900@evil>").is("REFER outside of a dialog", Status(&[405, 403])),
        Draft::invite(to, from)
            .add("Replaces", "a;to-tag=b;from-tag=c")
            .is("Replaces by guess", Status(&[481, 486, 501])),
        Draft::invite(to, from).add("Identity", "x;info=<http://127.0.0.1:1/>;alg=y").is("an Identity", Any),
        Draft::invite(to, from).add("Alert-Info", "<file:///etc/passwd>").is("an Alert-Info", TAKEN),
        of("NOTIFY").add("Event", "message-summary").add("Subscription-State", ";;=").is("NOTIFY", Any),
        of("MESSAGE").body("text/plain", "x".repeat(50_000)).is("MESSAGE", Status(&[405])),
        of("REGISTER").set("Contact", "*").is("REGISTER", Status(&[405])),
        of("PUBLISH").is("PUBLISH", Status(&[405])),
        of("ACK").is("ACK of nothing", Silence),
        of("PRACK").add("RAck", "1 1 INVITE").is("PRACK of nothing", Status(&[481])),
        of("BYE").set("To", format!("<sip:100@{to}>;tag=x")).is("BYE of nothing", Status(&[481])),
        of("UPDATE").set("To", format!("<sip:100@{to}>;tag=x")).is("UPDATE of nothing", Status(&[481])),
        of("INFO").set("To", format!("<sip:100@{to}>;tag=x")).is("INFO of nothing", Status(&[481])),
        of("CANCEL").is("CANCEL of nothing", Status(&[481])),
        Draft::invite(to, from)
            .set("To", format!("<sip:100@{to}>;tag=x"))
            .is("re-INVITE of nothing", Status(&[481])),
    ];
    for status in ["100 Trying", "200 OK", "401 Unauthorized", "000 ", "999 ", "99999 X", "abc X", ""] {
        let response = of("INVITE").line(format!("SIP/2.0 {status}")).is("", Silence);
        all.push(Hostile { what: format!("a stray response: {status}"), ..response });
    }
    let broadcast = of("OPTIONS").line("SIP/2.0 200 OK".to_owned());
    all.push(broadcast.add("Via", "SIP/2.0/UDP 255.255.255.255:5060").is("a response to all", Silence));
    all
}

fn bodies(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let invite = || Draft::invite(to, from);
    let nested = (0..200).fold(String::from("x"), |inner, depth| {
        format!("--b{depth}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n{inner}", depth + 1)
    });
    let sdp = crate::peers::sdp(from);
    let whole = format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n");
    vec![
        invite().body("text/plain", "hello").is("text as a body", Status(&[415])),
        invite().add("Content-Encoding", "gzip").is("a packed body", Status(&[415])),
        invite().without("Content-Type").is("a body of no type", Status(&[415, 400])),
        invite().body("multipart/mixed", "--x\r\n\r\n--x--").is("multipart without a boundary", Any),
        invite().body("multipart/mixed;boundary=b", &whole[..40]).is("a multipart that is cut", Any),
        invite().body("multipart/mixed;boundary=b0", nested).is("200 multiparts in one another", Any),
        invite().body("multipart/mixed;boundary=b", "--b\r\n".repeat(10_000)).is("10,000 parts", Any),
        invite().body("multipart/mixed;boundary=b", whole).is("SDP in a multipart", TAKEN),
        invite().body("application/sdp", "").is("no body at all", Status(&[488, 400, 486, 480, 606])),
    ]
}

fn descriptions(to: SocketAddr, from: SocketAddr) -> Vec<Hostile> {
    let sdp = |lines: &str| Draft::invite(to, from).sdp(lines);
    let with =
        |lines: &str| sdp(&format!("c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n{lines}"));
    vec![
        sdp(&"m=audio 4000 RTP/AVP 0\r\n".repeat(1_000)).is("1,000 streams", Any),
        with(&"a=x\r\n".repeat(5_000)).is("5,000 attributes", Any),
        with(&"a=candidate:1 1 UDP 1 127.0.0.1 1 typ host\r\n".repeat(1_000)).is("1,000 candidates", Any),
        with(&format!("a=ice-ufrag:{}\r\n", "u".repeat(5_000))).is("a long ice-ufrag", Any),
        with(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", "k".repeat(5_000)))
            .is("a key", Any),
        with("a=rtpmap:0 PCMU/0\r\na=fmtp:0 \0\r\n").is("a clock of no rate", Any),
        with(&format!("a=rtpmap:{} PCMU/99999999999\r\n", "9".repeat(40))).is("a long payload type", Any),
        with("a=ptime:0\r\na=maxptime:-5\r\n").is("packets of no time", Any),
        with("a=ptime:99999999999\r\n").is("packets of ever", Any),
        with("a=rtcp:99999\r\n").is("an RTCP port too large", Any),
        sdp("c=IN IP4 999.1.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n").is("no address", Any),
        sdp("c=IN IP4 a.b.c\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n").is("a name as address", Any),
        sdp("t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n").is("no c= at all", Any),
        sdp("c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 99999 RTP/AVP 0\r\n").is("a port too large in SDP", Any),
        sdp("c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio -1 RTP/AVP 0\r\n").is("a negative port", Any),
        sdp("c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000/9999 RTP/AVP 0\r\n").is("9,999 ports", Any),
        sdp(&format!("c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP{}\r\n", " 0".repeat(9_000)))
            .is("9,000 formats", Any),
        sdp(&"=\r\n".repeat(9_000)).is("lines without letters", Any),
        sdp(&"m".repeat(30_000)).is("a line without an end", Any),
        Draft::invite(to, from).body("application/sdp", "\u{1}\u{2}").is("SDP that is none", Any),
    ]
}

/// A good message, bent: bytes changed, doubled, dropped, moved, lengths and numbers replaced.
pub fn mutated(random: &mut Random, to: SocketAddr, from: SocketAddr) -> Vec<u8> {
    let methods = ["INVITE", "OPTIONS", "BYE", "CANCEL", "ACK", "UPDATE", "INFO", "REGISTER", "SUBSCRIBE"];
    let mut bytes = match random.below(4) {
        0 => Draft::invite(to, from).text(),
        1 => Draft::invite(to, from).line(format!("SIP/2.0 {} X", 100 + random.below(600))).text(),
        _ => Draft::of(methods[random.below(methods.len())], to, from).text(),
    }
    .into_bytes();
    let pieces: [&[u8]; 12] = [
        b"\r\n",
        b"\r\n ",
        b"\0",
        b"\xff",
        b":",
        b";",
        b"\"",
        b"<sip:",
        b"%",
        b"99999999999",
        b"=",
        b"\r\n\r\n",
    ];
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at.max(20)),
            3 => {
                let piece = pieces[random.below(pieces.len())].repeat(1 + random.below(4));
                bytes.splice(at..at, piece);
            }
            4 => {
                let end = (at + random.below(60)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let end = (at + random.below(40)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
        }
        if bytes.is_empty() {
            bytes.push(b'\r');
        }
    }
    bytes
}
