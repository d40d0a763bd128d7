//! Faults that the world can put into the switch's way, one at a time, to prove that its audits find them.
//!
//! Each is done by the mover around the switch and its workers: what they asked for is not carried out, or carried out
//! wrongly. Nothing of it exists in the switch. `CROSSPOINT_FAULT=name` switches one on; `cargo xtask mutate` tries all.

use std::fmt;

use bytes::Bytes;
use link::{Command, PayloadMap, StreamId, StreamPlan};

use crate::sip::Sip;

/// Environment variable that names the fault to be switched on.
pub const VARIABLE: &str = "CROSSPOINT_FAULT";

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal;)*) => {
        /// One way to be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant,)*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Fault::$variant => $name,)*
                }
            }
        }
    };
}

faults! {
    /// A CANCEL is not sent.
    CancelNotSent = "cancel-not-sent";
    /// An ACK of an answer is not sent.
    AckSwallowed = "ack-swallowed";
    /// An ACK of a refusal is not sent.
    AckOfRefusalSwallowed = "ack-of-refusal-swallowed";
    /// A BYE is not sent.
    ByeNotForwarded = "bye-not-forwarded";
    /// 180 is not sent.
    RingNotPassed = "ring-not-passed";
    /// 183 with SDP is not sent.
    EarlyMediaNotPassed = "early-media-not-passed";
    /// A response to BYE is not sent.
    ByeNotAnswered = "bye-not-answered";
    /// Nothing is sent a second time.
    NothingRepeated = "nothing-repeated";
    /// Each INVITE that comes again is taken for another call.
    CopyTakenForNew = "copy-taken-for-new";
    /// Reason is left out.
    ReasonDropped = "reason-dropped";
    /// 486 goes out as 480.
    WrongStatus = "wrong-status";
    /// Reason names another cause.
    WrongCause = "wrong-cause";
    /// Max-Forwards stays as it was.
    HopsNotCounted = "hops-not-counted";
    /// Contact is left out.
    ContactLost = "contact-lost";
    /// Headers of the caller are not passed on.
    HeaderNotPassed = "header-not-passed";
    /// SDP names a port where nobody listens.
    WrongMediaPort = "wrong-media-port";
    /// SDP does not say that audio flows one way only.
    DirectionLost = "direction-lost";
    /// Every leg hears itself.
    LegsSwapped = "legs-swapped";
    /// Payload types go out as they came.
    PayloadTypeNotMapped = "payload-type-not-mapped";
    /// A leg on hold is sent audio.
    HoldNotKept = "hold-not-kept";
    /// One packet in a thousand is lost between the legs.
    PacketLost = "packet-lost";
    /// One packet in a thousand is changed between the legs.
    PacketChanged = "packet-changed";
    /// One packet in a thousand is sent twice.
    PacketDoubled = "packet-doubled";
    /// SSRC of the source is passed on.
    SsrcPassedOn = "ssrc-passed-on";
    /// A stream is not closed when its call ends.
    StreamNotClosed = "stream-not-closed";
    /// A closed socket is never given back.
    PortNotReturned = "port-not-returned";
    /// A port that moved with its stream is not given back to its owner.
    LentPortKept = "lent-port-kept";
    /// What a worker says of closed streams is lost.
    ReportLost = "report-lost";
    /// A change of plan is not carried out.
    UpdateForgotten = "update-forgotten";
    /// A prompt is not stopped.
    PromptNotStopped = "prompt-not-stopped";
    /// Timers of stories never ring.
    StoryTimerForgotten = "story-timer-forgotten";
    /// Timers of signaling never ring.
    SignalTimerForgotten = "signal-timer-forgotten";
    /// Timers of the stream table never ring.
    MediaTimerForgotten = "media-timer-forgotten";
    /// Questions are not answered.
    AnswerLost = "answer-lost";
    /// Records are not written.
    RecordLost = "record-lost";
    /// Records are written twice.
    RecordDoubled = "record-doubled";
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Fault {
    /// The fault that the environment asks for.
    ///
    /// # Panics
    /// When the name is not known: a test of nothing must not pass.
    pub fn from_environment() -> Option<Fault> {
        let name = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty())?;
        let found = Fault::ALL.iter().copied().find(|fault| fault.name() == name);
        Some(found.unwrap_or_else(|| panic!("there is no fault {name:?}")))
    }

    /// What becomes of a SIP message that the switch sends. `is_copy`: it was sent before.
    pub fn spoil_message(self, bytes: Bytes, is_copy: bool) -> Option<Bytes> {
        let lost = match self {
            Fault::CancelNotSent => bytes.starts_with(b"CANCEL "),
            Fault::AckSwallowed => bytes.starts_with(b"ACK ") && !is_hop_ack(&bytes),
            Fault::AckOfRefusalSwallowed => bytes.starts_with(b"ACK ") && is_hop_ack(&bytes),
            Fault::ByeNotForwarded => bytes.starts_with(b"BYE "),
            Fault::RingNotPassed => bytes.starts_with(b"SIP/2.0 180 "),
            Fault::EarlyMediaNotPassed => bytes.starts_with(b"SIP/2.0 183 "),
            Fault::ByeNotAnswered => bytes.starts_with(b"SIP/2.0 200 ") && has_cseq_of(&bytes, "BYE"),
            Fault::NothingRepeated => is_copy,
            _ => false,
        };
        if lost {
            return None;
        }
        match self {
            Fault::ReasonDropped => Some(without_line(&bytes, "Reason:")),
            Fault::ContactLost => Some(without_line(&bytes, "Contact:")),
            Fault::HeaderNotPassed => Some(without_line(&bytes, "X-")),
            Fault::WrongMediaPort => Some(replaced(&bytes, "m=audio 20", "m=audio 30")),
            Fault::DirectionLost => {
                let open = replaced(&bytes, "a=recvonly", "a=sendrecv");
                Some(replaced(&open, "a=inactive", "a=sendrecv"))
            }
            Fault::WrongStatus => Some(replaced(&bytes, "SIP/2.0 486 ", "SIP/2.0 480 ")),
            Fault::WrongCause => Some(replaced(&bytes, "Q.850;cause=1", "Q.850;cause=2")),
            Fault::HopsNotCounted => Some(replaced(&bytes, "Max-Forwards: 69", "Max-Forwards: 70")),
            _ => Some(bytes),
        }
    }

    /// What becomes of a command to a worker.
    pub fn spoil_command(self, mut command: Command) -> Option<Command> {
        match (self, &mut command) {
            (Fault::StreamNotClosed, Command::Close { .. })
            | (Fault::UpdateForgotten, Command::Update { .. })
            | (Fault::LentPortKept, Command::ReturnPort { .. })
            | (Fault::PromptNotStopped, Command::StopPlay { .. }) => return None,
            (
                _,
                Command::Open { stream, plan, .. }
                | Command::Update { stream, plan }
                | Command::Adopt { stream, plan, .. },
            ) => self.spoil_plan(*stream, plan),
            _ => {}
        }
        Some(command)
    }

    fn spoil_plan(self, stream: StreamId, plan: &mut StreamPlan) {
        match self {
            Fault::LegsSwapped => plan.forward_to = plan.forward_to.map(|_| stream),
            Fault::HoldNotKept => plan.direction = link::Direction::BOTH,
            Fault::PayloadTypeNotMapped => {
                let mut map = PayloadMap::default();
                for rule in plan.payload_map.rules() {
                    map.push(link::PayloadRule { to: rule.from, ..*rule });
                }
                map.set_clock_rate_hz(plan.payload_map.clock_rate_hz());
                plan.payload_map = map;
            }
            _ => {}
        }
    }
}

/// Whether an ACK is of a refusal: it goes where the INVITE went, while an ACK within a dialog goes to a phone's Contact.
fn is_hop_ack(bytes: &[u8]) -> bool {
    Sip::parse(bytes).is_ok_and(|ack| !ack.uri().contains("phone"))
}

fn has_cseq_of(bytes: &[u8], method: &str) -> bool {
    Sip::parse(bytes).is_ok_and(|message| message.cseq().1 == method)
}

fn without_line(bytes: &Bytes, start: &str) -> Bytes {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.clone() };
    let line = format!("\r\n{start}");
    let Some(at) = text.find(&line) else { return bytes.clone() };
    let end = text[at + 2..].find("\r\n").map_or(text.len(), |end| at + 2 + end);
    Bytes::from(format!("{}{}", &text[..at], &text[end..]))
}

fn replaced(bytes: &Bytes, old: &str, new: &str) -> Bytes {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(old) => with_right_length(&text.replacen(old, new, 1)),
        _ => bytes.clone(),
    }
}

/// A message whose Content-Length fits again.
fn with_right_length(text: &str) -> Bytes {
    let (Some((head, body)), Some(at)) = (text.split_once("\r\n\r\n"), text.find("Content-Length: ")) else {
        return Bytes::from(text.to_owned());
    };
    let end = head[at..].find("\r\n").map_or(head.len(), |end| at + end);
    Bytes::from(format!("{}Content-Length: {}{}\r\n\r\n{body}", &head[..at], body.len(), &head[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoiled_body_has_its_length_again() {
        let bytes = Bytes::from("SIP/2.0 200 OK\r\nContent-Length: 12\r\nX-A: 1\r\n\r\na=recvonly\r\n");
        let spoiled = Fault::DirectionLost.spoil_message(bytes, false).unwrap();
        assert!(spoiled.starts_with(b"SIP/2.0 200 OK\r\nContent-Length: 12\r\nX-A: 1\r\n\r\na=sendrecv"));
        let spoiled = Fault::HeaderNotPassed.spoil_message(spoiled, false).unwrap();
        assert!(!spoiled.windows(2).any(|window| window == b"X-"));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
