//! Signalling under attack: hostile messages, races, dialogs that are not there, a call to itself (faults.md S, T).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::attackers::Random;
use crate::conf::Conf;
use crate::hostile::{self, Expected};
use crate::peers::{
    ALIVE_MAX, Call, Invite, Peer, assert_alive, header, request, resident_bytes, response, sdp, status,
    unique,
};
use crate::site::Site;
use crate::switch::Switch;

/// What a flood may leave behind in memory (faults.md S5).
const GROWTH_BYTES_MAX: u64 = 32 << 20;

/// A switch that answers every number with 486, and says nothing of floods.
fn busy_switch(site: &Site) -> Switch {
    let conf = Conf::new(site).profile("max-recv-requests-per-second", "0");
    Switch::start(site, &conf.extension("(?s).*", &[("respond", "486 Busy Here")]))
}

fn stranger(site: &Site) -> std::net::IpAddr {
    site.other_callee().ip()
}

/// All that comes before the answer to an OPTIONS sent now, which must come in time.
fn heard_until_alive(peer: &Peer, switch: SocketAddr, what: &str) -> Vec<String> {
    let name = unique();
    let asked = Instant::now();
    peer.send(switch, request("OPTIONS", switch, peer.local, &name));
    let mut heard = Vec::new();
    loop {
        let left = ALIVE_MAX.saturating_sub(asked.elapsed());
        let message =
            peer.receive(left).unwrap_or_else(|| panic!("after {what}: no answer to OPTIONS in time"));
        if header(&message, "Call-ID") == Some(&*name) {
            assert_eq!(status(&message), Some(200), "after {what}: {message}");
            return heard;
        }
        heard.push(message);
    }
}

/// S1, S7 to S23, S25, S26: each hostile message gets the answer that it may get, and the next OPTIONS its own in time.
#[test]
fn hostile_messages_are_answered_as_they_deserve() {
    let site = Site::new("hostile");
    let switch = busy_switch(&site);
    let peer = Peer::bind(site.caller());
    let mut wrong = Vec::new();
    for hostile in hostile::all(site.switch(), peer.local) {
        peer.send(site.switch(), &hostile.bytes);
        let mut heard = heard_until_alive(&peer, site.switch(), &hostile.what);
        let is_final = |message: &String| status(message).is_some_and(|status| status >= 200);
        if matches!(hostile.expected, Expected::Status(_)) && !heard.iter().any(is_final) {
            // A call that was taken may be answered by the dialplan in a later turn.
            heard.push(peer.expect(&hostile.what, |message| status(message).is_some_and(|s| s >= 200)));
        }
        let finals: BTreeSet<u16> = heard.iter().filter(|m| is_final(m)).filter_map(|m| status(m)).collect();
        let is_right = match hostile.expected {
            Expected::Silence => finals.is_empty(),
            Expected::Status(allowed) => !finals.is_empty() && finals.iter().all(|s| allowed.contains(s)),
            Expected::Any => true,
        };
        if !is_right {
            wrong.push(format!("{}: {finals:?}, {:?} expected", hostile.what, hostile.expected));
        }
        for message in heard.iter().filter(|message| is_final(message)) {
            peer.send(site.switch(), ack_of(message, site.switch(), peer.local));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    switch.stop_empty();
}

/// The ACK that ends the repeats of a refusal to an INVITE, in the INVITE's own transaction.
fn ack_of(response: &str, to: SocketAddr, from: SocketAddr) -> String {
    let field = |name: &str| header(response, name).unwrap_or_default();
    let number = field("CSeq").split(' ').next().unwrap_or_default();
    let via = field("Via").split(";received").next().unwrap_or_default();
    let _ = from;
    format!(
        "ACK sip:{to} SIP/2.0\r\nVia: {via}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} ACK\r\n\
         Content-Length: 0\r\n\r\n",
        field("From"),
        field("To"),
        field("Call-ID"),
    )
}

/// S5: mutations of good messages, the same ones each time.
#[test]
fn mutated_messages_are_survived_in_bounded_memory() {
    let site = Site::new("mutated");
    let switch = busy_switch(&site);
    let peer = Peer::bind(site.caller());
    let mut random = Random::new(4_475);
    let before = resident_bytes(switch.pid());
    for batch in 0..60 {
        for _ in 0..50 {
            let bytes = hostile::mutated(&mut random, site.switch(), peer.local);
            peer.send(site.switch(), bytes);
        }
        for message in heard_until_alive(&peer, site.switch(), &format!("batch {batch}")) {
            peer.send(site.switch(), ack_of(&message, site.switch(), peer.local));
        }
    }
    assert_alive(site.switch(), stranger(&site));
    let after = resident_bytes(switch.pid());
    assert!(after < before + GROWTH_BYTES_MAX, "memory grew from {before} to {after} bytes");
    switch.stop_empty();
}

/// S25: responses that nobody waits for.
#[test]
fn three_thousand_stray_responses_are_ignored() {
    let site = Site::new("stray");
    let switch = busy_switch(&site);
    let peer = Peer::bind(site.caller());
    for batch in 0..60 {
        for number in 0..50 {
            let invite = request("INVITE", site.switch(), site.switch(), &unique());
            let line = ["200 OK", "180 Ringing", "486 Busy Here", "302 Moved"][number % 4];
            peer.send(site.switch(), response(&invite, line, peer.local, "", ""));
        }
        let heard = heard_until_alive(&peer, site.switch(), &format!("batch {batch}"));
        assert!(heard.is_empty(), "{heard:?}");
    }
    switch.stop_empty();
}

/// A callee that lets everything ring and takes every CANCEL, until it is told to stop.
struct Bell {
    invited: BTreeSet<String>,
    cancelled: BTreeSet<String>,
}

impl Bell {
    fn new() -> Bell {
        Bell { invited: BTreeSet::new(), cancelled: BTreeSet::new() }
    }

    /// Answers what is there.
    fn ring(&mut self, peer: &Peer, switch: SocketAddr) {
        while let Some(message) = peer.receive(Duration::ZERO) {
            let name = header(&message, "Call-ID").unwrap_or_default().to_owned();
            match message.split(' ').next() {
                Some("INVITE") if self.cancelled.contains(&name) => {}
                Some("INVITE") => {
                    peer.send(switch, response(&message, "180 Ringing", peer.local, "", ""));
                    self.invited.insert(name);
                }
                Some("CANCEL") => {
                    peer.send(switch, response(&message, "200 OK", peer.local, "", ""));
                    let invite = message.replace("CSeq: 1 CANCEL", "CSeq: 1 INVITE");
                    assert!(invite.contains("CSeq: 1 INVITE"), "{message}");
                    peer.send(switch, response(&invite, "487 Request Terminated", peer.local, "", ""));
                    self.cancelled.insert(name);
                }
                _ => {}
            }
        }
    }
}

/// T9.
#[test]
fn two_hundred_calls_cancelled_at_once_leave_no_called_leg_ringing() {
    let site = Site::new("cancelled-at-once");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let (caller, callee) = (Peer::bind(site.caller()), Peer::bind(site.callee()));
    let mut bell = Bell::new();
    let (mut open, mut refused) = (Vec::new(), BTreeSet::new());
    let body = sdp(site.caller_audio());
    let mut take = |open: &[Invite], bell: &mut Bell| {
        bell.ring(&callee, site.switch());
        while let Some(message) = caller.receive(Duration::from_millis(1)) {
            let Some(invite) = open.iter().find(|invite| header(&message, "Call-ID") == Some(&invite.name))
            else {
                continue;
            };
            let is_invite = header(&message, "CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
            match status(&message) {
                Some(100..200) => {}
                Some(487) if is_invite => {
                    caller.send(site.switch(), invite.ack_of_refusal(&message));
                    refused.insert(invite.name.clone());
                }
                Some(200) if !is_invite => {}
                _ => panic!("{message}"),
            }
        }
        refused.len()
    };
    for number in 0..200 {
        let invite = Invite::new("100", site.switch(), caller.local, &body);
        caller.send(site.switch(), invite.text());
        // Every other one a little later, when the called leg may be there already.
        if number % 2 == 1 {
            take(&open, &mut bell);
        }
        caller.send(site.switch(), invite.cancel());
        open.push(invite);
    }
    crate::wait::until("each call to be refused with 487", Duration::from_secs(20), || {
        (take(&open, &mut bell) == 200).then_some(())
    });
    crate::wait::until("each called leg to be cancelled", Duration::from_secs(20), || {
        take(&open, &mut bell);
        (bell.invited == bell.cancelled).then_some(())
    });
    assert_alive(site.switch(), stranger(&site));
    switch.stop_empty();
}

/// T15, T16: who does not know a dialog's names cannot end it, wherever he sits.
#[test]
fn requests_of_unknown_dialogs_get_481_and_touch_no_call() {
    let site = Site::new("unknown-dialogs");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let (caller, callee) = (Peer::bind(site.caller()), Peer::bind(site.callee()));
    let bodies = [sdp(site.caller_audio()), sdp(site.callee_audio())];
    let call = Call::establish(site.switch(), [&caller, &callee], "100", [&bodies[0], &bodies[1]]);
    let attacker = Peer::bind(SocketAddr::new(stranger(&site), 5_060));
    let forge = |bend: &dyn Fn(String) -> String, method: &str| {
        let request = call.invite.inside(method, 7, &call.answer);
        bend(request.replace(&caller.local.to_string(), &attacker.local.to_string()))
    };
    let tag = header(&call.answer, "To").and_then(|to| to.split("tag=").nth(1)).expect("a tag").to_owned();
    let name = call.invite.name.clone();
    let bends: [&dyn Fn(String) -> String; 4] = [
        &|request| request.replace(&tag, "anothertag"),
        &|request| request.replace(&format!(";tag={tag}"), ""),
        &|request| request.replace(&format!(";tag=f{name}"), ";tag=another"),
        &|request| request.replace(&format!("Call-ID: {name}"), &format!("Call-ID: {name}x")),
    ];
    for method in ["BYE", "UPDATE", "PRACK", "INFO", "CANCEL"] {
        for (number, bend) in bends.iter().enumerate() {
            let request = forge(bend, method);
            attacker.send(site.switch(), &request);
            let answer = attacker.expect(&format!("an answer to {method}, bend {number}"), |message| {
                status(message).is_some_and(|status| status >= 200)
                    && header(message, "CSeq").is_some_and(|cseq| cseq.ends_with(method))
            });
            // Nobody has said that he would understand PRACK: wherever it comes, that may be said first.
            let allowed: &[u16] = if method == "PRACK" { &[481, 405] } else { &[481] };
            let status = status(&answer).unwrap_or_default();
            assert!(allowed.contains(&status), "bend {number}:\n{request}\n{answer}");
        }
    }
    for peer in [&caller, &callee] {
        assert_eq!(peer.receive(Duration::from_millis(50)), None, "the call was touched");
    }
    call.hang_up(site.switch(), [&caller, &callee]);
    switch.stop_empty();
}

/// T14: each hop takes one of the forwards that are left, so that a call to itself comes to its end.
#[test]
fn a_call_to_itself_is_ended_by_max_forwards_and_leaves_nothing() {
    let site = Site::new("to-itself");
    let bridge = format!("sofia/transit/100@{}", site.switch());
    let conf = Conf::new(&site).extension("100", &[("bridge", &bridge)]);
    let switch = Switch::start(&site, &conf);
    let caller = Peer::bind(site.caller());
    for max_forwards in [0, 1, 20, 70] {
        let invite = Invite::new("100", site.switch(), caller.local, &sdp(site.caller_audio()));
        let invite = Invite { max_forwards, ..invite };
        caller.send(site.switch(), invite.text());
        let answer = caller.expect_final(&invite.name, "INVITE");
        caller.send(site.switch(), invite.ack_of_refusal(&answer));
        assert_eq!(status(&answer), Some(483), "with {max_forwards}: {answer}");
        assert_alive(site.switch(), stranger(&site));
    }
    // One for each hop, and the one that came.
    let hops = switch.stop_empty().matches("inbound=true").count();
    assert!((88..=95).contains(&hops), "{hops} hops");
}

/// T8, T13: the same INVITE again and again, and by another way.
#[test]
fn a_repeated_and_a_merged_invite_make_one_call() {
    let site = Site::new("merged");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let (caller, callee) = (Peer::bind(site.caller()), Peer::bind(site.callee()));
    let invite = Invite::new("100", site.switch(), caller.local, &sdp(site.caller_audio()));
    for _ in 0..8 {
        caller.send(site.switch(), invite.text());
    }
    let merged = invite.text().replace("branch=z9hG4bK", "branch=z9hG4bKother");
    caller.send(site.switch(), &merged);
    let refused = caller.expect("482", |message| status(message) == Some(482));
    assert_eq!(header(&refused, "Call-ID"), Some(&*invite.name));
    let offer = callee.expect_request("INVITE");
    callee.send(site.switch(), response(&offer, "486 Busy Here", callee.local, "", ""));
    let answer = caller.expect("486", |message| status(message) == Some(486));
    caller.send(site.switch(), invite.ack_of_refusal(&answer));
    let second = callee.receive(Duration::from_millis(100)).filter(|message| {
        message.starts_with("INVITE ") && header(message, "Call-ID") != header(&offer, "Call-ID")
    });
    assert_eq!(second, None, "a second call");
    assert_eq!(switch.await_records(2).len(), 2);
    switch.stop_empty();
}

/// What the far end may send back at us: bombs in answers, and dialogs that fork without end.
#[test]
fn hostile_answers_of_the_far_end_end_the_call_at_worst() {
    let site = Site::new("hostile-answers");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let (caller, callee) = (Peer::bind(site.caller()), Peer::bind(site.callee()));
    let body = sdp(site.callee_audio());
    let answers: [(&str, String, String); 12] = [
        ("200 OK", "X-A: b\r\n".repeat(3_000), body.clone()),
        ("200 OK", String::new(), "v=0\r\n".to_owned()),
        ("200 OK", String::new(), body.replace(" 0 101", " 99")),
        ("200 OK", String::new(), body.replace("m=audio", "m=audio 1 RTP/AVP 0\r\nm=audio").repeat(40)),
        ("200 OK", "Record-Route: <sip:h;lr>\r\n".repeat(100), body.clone()),
        ("183 Session Progress", String::new(), "\u{1}".to_owned()),
        ("183 Session Progress", "RSeq: 1\r\nRequire: 100rel\r\n".to_owned(), body.clone()),
        ("302 Moved", "Contact: <sip:200@255.255.255.255>\r\n".repeat(50), String::new()),
        ("401 Unauthorized", "WWW-Authenticate: Digest \r\n".to_owned(), String::new()),
        (
            "407 Proxy",
            "Proxy-Authenticate: Digest realm=\"\u{7f}\",nonce=,qop=\"x\"\r\n".to_owned(),
            String::new(),
        ),
        ("699 X", format!("Reason: {}\r\n", "Q.850;cause=1,".repeat(3_000)), String::new()),
        ("100 Trying", String::new(), String::new()),
    ];
    for (line, headers, body) in answers {
        let invite = Invite::new("100", site.switch(), caller.local, &sdp(site.caller_audio()));
        caller.send(site.switch(), invite.text());
        let offer = callee.expect_request("INVITE");
        for fork in 0..40 {
            let answer = response(&offer, line, callee.local, &headers, &body);
            callee.send(site.switch(), answer.replace(";tag=t", &format!(";tag=t{fork}x")));
        }
        assert_alive(site.switch(), stranger(&site));
        // Whatever became of it, the caller can end it.
        caller.send(site.switch(), invite.cancel());
        callee.send(site.switch(), response(&offer, "486 Busy Here", callee.local, "", ""));
        let answer = caller.expect_final(&invite.name, "INVITE");
        match status(&answer) {
            Some(200) => {
                caller.send(site.switch(), invite.inside("ACK", 1, &answer));
                caller.send(site.switch(), invite.inside("BYE", 2, &answer));
                caller.expect_final(&invite.name, "BYE");
            }
            _ => caller.send(site.switch(), invite.ack_of_refusal(&answer)),
        }
        // It lets go of everything that it is asked to.
        while let Some(request) = callee.receive(Duration::from_millis(20)) {
            if ["BYE ", "CANCEL "].iter().any(|method| request.starts_with(method)) {
                callee.send(site.switch(), response(&request, "200 OK", callee.local, "", ""));
            }
        }
    }
    switch.stop_empty();
}
