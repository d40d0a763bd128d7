//! Which codec, which payload types: our side of offer and answer (RFC 3264) for one audio stream.

use std::net::{IpAddr, SocketAddr};

use codecs::AudioCodec;
use link::Direction;
use signaling::sdp;

use crate::settings::{CodecNegotiation, CodecPreference};

/// Codecs of one offer that are looked at.
pub const CODECS_MAX: usize = 32;

/// First dynamic payload type of our own offers (RFC 3551 §6).
const DYNAMIC_PAYLOAD_TYPE_FIRST: u8 = 98;

/// Payload type of comfort noise (RFC 3389).
pub(crate) const COMFORT_NOISE: u8 = 13;

/// One codec of an SDP body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SdpCodec {
    pub(crate) codec: AudioCodec,
    /// The number of the side that wrote the body: what is sent to it.
    pub(crate) payload_type: u8,
    /// Our number for it: what the other side sends (RFC 3264 §5.1, §6.1).
    pub(crate) receive_payload_type: u8,
    pub(crate) fmtp: Option<String>,
}

/// What a body says of its first usable audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAudio {
    /// Index of its media line.
    pub(crate) index: usize,
    /// Kind, protocol and first format of each media line, so that the others can be declined in place.
    pub(crate) lines: Vec<MediaLine>,
    /// Where the peer receives; `None` when it does not (port 0, 0.0.0.0).
    pub(crate) address: Option<SocketAddr>,
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) codecs: Vec<SdpCodec>,
    pub(crate) telephone_event: Option<u8>,
    pub(crate) comfort_noise: Option<u8>,
    pub(crate) ptime_ms: Option<u8>,
    /// From the peer's point of view.
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

/// A media line as it has to be echoed when declined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaLine {
    pub(crate) kind: String,
    pub(crate) protocol: String,
    pub(crate) formats: String,
}

/// What both sides speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The codec both prefer, first; then others the peer may send, too.
    pub(crate) codecs: Vec<SdpCodec>,
    pub(crate) telephone_event: Option<u8>,
    /// Our number for telephone-events.
    pub(crate) receive_telephone_event: Option<u8>,
    pub(crate) comfort_noise: Option<u8>,
    pub(crate) ptime_ms: u8,
}

impl Chosen {
    pub(crate) fn first(&self) -> Option<&SdpCodec> {
        self.codecs.first()
    }
}

/// What we offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) codecs: Vec<SdpCodec>,
    pub(crate) telephone_event: Option<u8>,
    pub(crate) comfort_noise: Option<u8>,
    pub(crate) ptime_ms: Option<u8>,
}

/// Reads the first audio stream of RTP/AVP with a port; `None` when there is none we could serve.
pub(crate) fn read(session: &sdp::Session) -> Option<RemoteAudio> {
    let lines = session
        .media
        .iter()
        .map(|media| MediaLine {
            kind: media.kind.as_str().to_owned(),
            protocol: media.protocol.clone(),
            formats: media.formats.join(" "),
        })
        .collect();
    let usable = |media: &sdp::Media| {
        media.kind == sdp::MediaKind::Audio
            && media.protocol.eq_ignore_ascii_case("RTP/AVP")
            && media.port != 0
    };
    let index = session.media.iter().position(usable)?;
    let media = &session.media[index];
    let mut audio = RemoteAudio {
        index,
        lines,
        address: session.remote_address(media).filter(|address| !address.ip().is_unspecified()),
        rtcp: None,
        codecs: Vec::new(),
        telephone_event: None,
        comfort_noise: None,
        ptime_ms: media.ptime_ms().and_then(|ms| u8::try_from(ms).ok()).filter(|ms| *ms > 0),
        sends: true,
        receives: true,
    };
    audio.rtcp = audio.address.zip(media.rtcp_port()).map(|(rtp, port)| SocketAddr::new(rtp.ip(), port));
    (audio.sends, audio.receives) = match session.direction(media) {
        sdp::Direction::SendRecv => (true, true),
        sdp::Direction::SendOnly => (true, false),
        sdp::Direction::RecvOnly => (false, true),
        sdp::Direction::Inactive => (false, false),
    };
    // RFC 2543 hold: an address of zeros means the peer does not want to hear.
    audio.receives &= audio.address.is_some();
    for format in media.formats.iter().take(CODECS_MAX) {
        let Ok(payload_type) = format.parse::<u8>() else { continue };
        if payload_type > 127 {
            continue;
        }
        audio.take_format(media, payload_type);
    }
    Some(audio)
}

impl RemoteAudio {
    fn take_format(&mut self, media: &sdp::Media, payload_type: u8) {
        let fmtp = media.fmtp(payload_type).map(str::to_owned);
        let Some(map) = media.rtpmap(payload_type) else {
            if payload_type == COMFORT_NOISE {
                self.comfort_noise = Some(payload_type);
            }
            return;
        };
        if map.encoding.eq_ignore_ascii_case("telephone-event") {
            if map.clock_rate_hz == 8_000 || self.telephone_event.is_none() {
                self.telephone_event = Some(payload_type);
            }
        } else if map.encoding.eq_ignore_ascii_case("CN") {
            self.comfort_noise = Some(payload_type);
        } else if let Some(codec) = AudioCodec::from_name(map.encoding)
            && codec.parameters().clock_rate_hz == map.clock_rate_hz
        {
            self.codecs.push(SdpCodec { codec, payload_type, receive_payload_type: payload_type, fmtp });
        }
    }
}

/// Chooses our answer to an offer. `prefer`: a codec the other leg speaks already, taken where the usual choice
/// could not be joined with it. `None`: nothing in common.
pub(crate) fn answer(
    offer: &RemoteAudio,
    own: &[CodecPreference],
    order: CodecNegotiation,
    prefer: Option<AudioCodec>,
) -> Option<Chosen> {
    let has = |codec: AudioCodec| own.iter().any(|preference| preference.codec == codec);
    let usual = match order {
        CodecNegotiation::Generous => offer.codecs.iter().find(|offered| has(offered.codec)),
        CodecNegotiation::Greedy | CodecNegotiation::Scrooge => own
            .iter()
            .find_map(|preference| offer.codecs.iter().find(|offered| offered.codec == preference.codec)),
    };
    let joined = prefer.filter(|codec| {
        !usual.is_some_and(|usual| {
            usual.codec == *codec || (usual.codec.can_transcode() && codec.can_transcode())
        })
    });
    let chosen =
        joined.and_then(|codec| offer.codecs.iter().find(|offered| offered.codec == codec)).or(usual)?;
    let parameters = chosen.codec.parameters();
    Some(Chosen {
        codecs: vec![chosen.clone()],
        telephone_event: offer.telephone_event,
        receive_telephone_event: offer.telephone_event,
        comfort_noise: offer.comfort_noise,
        ptime_ms: offer.ptime_ms.unwrap_or(parameters.ptime_ms),
    })
}

/// What a peer's answer makes of our offer.
pub(crate) fn accept(offer: &Offer, answer: &RemoteAudio) -> Option<Chosen> {
    let codecs: Vec<SdpCodec> = answer
        .codecs
        .iter()
        .filter_map(|answered| {
            let offered = offer.codecs.iter().find(|offered| offered.codec == answered.codec)?;
            Some(SdpCodec { receive_payload_type: offered.payload_type, ..answered.clone() })
        })
        .collect();
    let first = codecs.first()?;
    let ptime_ms = answer.ptime_ms.or(offer.ptime_ms).unwrap_or(first.codec.parameters().ptime_ms);
    Some(Chosen {
        telephone_event: answer.telephone_event.filter(|_| offer.telephone_event.is_some()),
        receive_telephone_event: offer.telephone_event.filter(|_| answer.telephone_event.is_some()),
        comfort_noise: answer.comfort_noise.filter(|_| offer.comfort_noise.is_some()),
        ptime_ms,
        codecs,
    })
}

/// Our offer for a list of codecs. Dynamic payload types are our own; those of telephone-events and comfort noise
/// repeat what the other leg has.
pub(crate) fn offer(
    codecs: impl IntoIterator<Item = (AudioCodec, Option<String>)>,
    telephone_event: Option<u8>,
    comfort_noise: Option<u8>,
    ptime_ms: Option<u8>,
) -> Offer {
    let mut next_dynamic = DYNAMIC_PAYLOAD_TYPE_FIRST;
    let mut offered: Vec<SdpCodec> = Vec::new();
    for (codec, fmtp) in codecs {
        if offered.iter().any(|other| other.codec == codec) || offered.len() >= link::PAYLOAD_RULES_MAX - 2 {
            continue;
        }
        let payload_type = codec.parameters().static_payload_type.unwrap_or_else(|| {
            if Some(next_dynamic) == telephone_event {
                next_dynamic += 1;
            }
            next_dynamic += 1;
            next_dynamic - 1
        });
        offered.push(SdpCodec { codec, payload_type, receive_payload_type: payload_type, fmtp });
    }
    Offer { codecs: offered, telephone_event, comfort_noise, ptime_ms }
}

/// Who and where we are, for the head of a body.
#[derive(Clone, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) username: &'a str,
    pub(crate) id: u64,
    pub(crate) version: u64,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) direction: Direction,
    /// RTCP is relayed; its port stands next to the RTP port.
    pub(crate) rtcp: bool,
}

/// Writes a body with one audio stream. `lines`: an offer's media lines, all but `index` declined.
pub(crate) fn write(head: &Head<'_>, offer: &Offer, lines: &[MediaLine], index: usize) -> String {
    let family = if head.address.is_ipv4() { "IP4" } else { "IP6" };
    let mut text = format!(
        "v=0\r\no={user} {id} {version} IN {family} {address}\r\ns={user}\r\nc=IN {family} {address}\r\nt=0 0\r\n",
        user = head.username,
        id = head.id,
        version = head.version,
        address = head.address,
    );
    for line in lines.iter().take(index) {
        decline(&mut text, line);
    }
    write_audio(&mut text, head, offer);
    for line in lines.iter().skip(index + 1) {
        decline(&mut text, line);
    }
    text
}

/// A body in which every stream is declined (RFC 3264 §6).
pub(crate) fn decline_all(username: &str, lines: &[MediaLine]) -> String {
    let mut text =
        format!("v=0\r\no={username} 1 1 IN IP4 0.0.0.0\r\ns={username}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n");
    for line in lines {
        decline(&mut text, line);
    }
    text
}

fn decline(text: &mut String, line: &MediaLine) {
    text.push_str(&format!("m={} 0 {} {}\r\n", line.kind, line.protocol, line.formats));
}

fn write_audio(text: &mut String, head: &Head<'_>, offer: &Offer) {
    let mut types: Vec<u8> = offer.codecs.iter().map(|codec| codec.payload_type).collect();
    types.extend(offer.telephone_event);
    types.extend(offer.comfort_noise);
    let types: Vec<String> = types.iter().map(u8::to_string).collect();
    text.push_str(&format!("m=audio {} RTP/AVP {}\r\n", head.port, types.join(" ")));
    for codec in &offer.codecs {
        let parameters = codec.codec.parameters();
        let channels =
            if parameters.channels > 1 { format!("/{}", parameters.channels) } else { String::new() };
        text.push_str(&format!(
            "a=rtpmap:{} {}/{}{channels}\r\n",
            codec.payload_type, parameters.name, parameters.clock_rate_hz
        ));
        if let Some(fmtp) = &codec.fmtp {
            text.push_str(&format!("a=fmtp:{} {fmtp}\r\n", codec.payload_type));
        }
    }
    if let Some(event) = offer.telephone_event {
        text.push_str(&format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"));
    }
    if let Some(noise) = offer.comfort_noise {
        text.push_str(&format!("a=rtpmap:{noise} CN/8000\r\n"));
    }
    if let Some(ptime) = offer.ptime_ms {
        text.push_str(&format!("a=ptime:{ptime}\r\n"));
    }
    if head.rtcp {
        text.push_str(&format!("a=rtcp:{}\r\n", head.port.saturating_add(1)));
    }
    let direction = match (head.direction.send, head.direction.receive) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    };
    text.push_str(&format!("a={direction}\r\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(body: &str) -> RemoteAudio {
        read(&sdp::Session::parse(body.as_bytes()).unwrap()).unwrap()
    }

    const OFFER: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=video 5000 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 8 0 18 101 13\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n";

    #[test]
    fn generous_takes_the_callers_order_greedy_ours() {
        let own = CodecPreference::defaults();
        let codec = |order| {
            answer(&remote(OFFER), &own, order, None)
                .and_then(|chosen| chosen.first().map(|first| first.codec))
        };
        assert_eq!(codec(CodecNegotiation::Generous), Some(AudioCodec::Pcma));
        assert_eq!(codec(CodecNegotiation::Greedy), Some(AudioCodec::Pcmu));
    }

    #[test]
    fn a_codec_that_cannot_be_joined_gives_way_to_one_that_can() {
        let mut own = CodecPreference::defaults();
        own.push(CodecPreference { codec: AudioCodec::G729, ptime_ms: None });
        let chosen =
            answer(&remote(OFFER), &own, CodecNegotiation::Generous, Some(AudioCodec::G729)).unwrap();
        assert_eq!(chosen.first().unwrap().codec, AudioCodec::G729);
        let chosen =
            answer(&remote(OFFER), &own, CodecNegotiation::Generous, Some(AudioCodec::Pcmu)).unwrap();
        assert_eq!(chosen.first().unwrap().codec, AudioCodec::Pcma, "G.711 is transcoded");
    }

    #[test]
    fn nothing_in_common_is_no_answer() {
        let own = [CodecPreference { codec: AudioCodec::Opus, ptime_ms: None }];
        assert_eq!(answer(&remote(OFFER), &own, CodecNegotiation::Generous, None), None);
    }

    #[test]
    fn an_answer_declines_the_other_streams_in_place() {
        let audio = remote(OFFER);
        let own = CodecPreference::defaults();
        let chosen = answer(&audio, &own, CodecNegotiation::Generous, None).unwrap();
        let offer = Offer {
            codecs: chosen.codecs,
            telephone_event: chosen.telephone_event,
            comfort_noise: None,
            ptime_ms: Some(chosen.ptime_ms),
        };
        let head = Head {
            username: "Crosspoint",
            id: 1,
            version: 2,
            address: IpAddr::from([192, 0, 2, 9]),
            port: 20_000,
            direction: Direction::BOTH,
            rtcp: false,
        };
        let body = write(&head, &offer, &audio.lines, audio.index);
        assert_eq!(
            body,
            "v=0\r\no=Crosspoint 1 2 IN IP4 192.0.2.9\r\ns=Crosspoint\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=video 0 RTP/AVP 31\r\nm=audio 20000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
        );
    }

    #[test]
    fn hold_is_read_in_its_old_and_its_new_form() {
        let old = remote(&OFFER.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"));
        assert_eq!((old.address, old.receives), (None, false));
        let new = remote(&format!("{OFFER}a=sendonly\r\n"));
        assert_eq!((new.sends, new.receives), (true, false));
    }
}
