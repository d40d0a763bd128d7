//! One media description and what its attributes say about payload types.

use std::str::FromStr;

use super::{Attribute, Connection, Direction, direction_of, find};
use crate::text::number;

/// `m=` and the lines that belong to it (RFC 8866 §5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// What is sent.
    pub kind: MediaKind,
    /// Where; 0 declines.
    pub port: u16,
    /// How: `RTP/AVP`, `RTP/SAVP`, `udptl` …
    pub protocol: String,
    /// Payload types, or other formats.
    pub formats: Vec<String>,
    /// Its own `c=`.
    pub connection: Option<Connection>,
    /// Each `b=`.
    pub bandwidth: Vec<String>,
    /// Each `a=`.
    pub attributes: Vec<Attribute>,
}

/// What a media description describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `image`: fax (T.38).
    Image,
    /// `text`: real-time text (RFC 4103).
    Text,
    /// Any other, one word.
    Other(String),
}

/// What a payload type means (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding's name as written.
    pub encoding: &'a str,
    /// The clock rate.
    pub clock_rate_hz: u32,
    /// Channels; 1 when nothing is said.
    pub channels: u8,
}

/// Payload types whose meaning needs no attribute (RFC 3551 §6 table 4 and 5), audio first.
const STATIC: [RtpMap<'static>; 21] = [
    fixed(0, "PCMU", 8000, 1),
    fixed(3, "GSM", 8000, 1),
    fixed(4, "G723", 8000, 1),
    fixed(5, "DVI4", 8000, 1),
    fixed(6, "DVI4", 16000, 1),
    fixed(7, "LPC", 8000, 1),
    fixed(8, "PCMA", 8000, 1),
    fixed(9, "G722", 8000, 1),
    fixed(10, "L16", 44100, 2),
    fixed(11, "L16", 44100, 1),
    fixed(12, "QCELP", 8000, 1),
    fixed(13, "CN", 8000, 1),
    fixed(14, "MPA", 90000, 1),
    fixed(15, "G728", 8000, 1),
    fixed(16, "DVI4", 11025, 1),
    fixed(17, "DVI4", 22050, 1),
    fixed(18, "G729", 8000, 1),
    fixed(26, "JPEG", 90000, 1),
    fixed(31, "H261", 90000, 1),
    fixed(32, "MPV", 90000, 1),
    fixed(34, "H263", 90000, 1),
];

impl Media {
    /// A description without formats.
    pub fn new(kind: MediaKind, port: u16, protocol: &str) -> Media {
        let protocol = protocol.to_owned();
        let (connection, bandwidth, attributes, formats) = (None, Vec::new(), Vec::new(), Vec::new());
        Media { kind, port, protocol, formats, connection, bandwidth, attributes }
    }

    /// The answer that declines `offered` (RFC 3264 §6): port 0, the rest repeated.
    pub fn declined(offered: &Media) -> Media {
        let formats = offered.formats.clone();
        Media { formats, ..Media::new(offered.kind.clone(), 0, &offered.protocol) }
    }

    /// Adds a payload type with its meaning and, if there is one, its fmtp.
    #[must_use]
    pub fn with_payload(mut self, map: RtpMap<'_>, fmtp: Option<&str>) -> Media {
        self.formats.push(map.payload_type.to_string());
        self.attributes.push(Attribute::new("rtpmap", map.to_string()));
        let fmtp = fmtp.map(|fmtp| Attribute::new("fmtp", format!("{} {fmtp}", map.payload_type)));
        self.attributes.extend(fmtp);
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, attribute: Attribute) -> Media {
        self.attributes.push(attribute);
        self
    }

    /// Adds who sends.
    #[must_use]
    pub fn with_direction(self, direction: Direction) -> Media {
        self.with_attribute(Attribute::flag(direction.as_str()))
    }

    /// The first attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }

    /// The values of each attribute of that name: `crypto`, `candidate` …
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter(move |attribute| attribute.name == name)
            .filter_map(|a| a.value.as_deref())
    }

    /// Whether RTP runs over it in any profile.
    pub fn is_rtp(&self) -> bool {
        self.protocol.split('/').any(|part| part.eq_ignore_ascii_case("RTP"))
    }

    /// The formats that are payload types, in order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats.iter().filter_map(|format| payload_type(format))
    }

    /// What a payload type means: by its attribute, else by RFC 3551.
    pub fn rtpmap(&self, wanted: u8) -> Option<RtpMap<'_>> {
        let written = self.values("rtpmap").filter_map(RtpMap::parse).find(|map| map.payload_type == wanted);
        written.or_else(|| STATIC.into_iter().find(|map| map.payload_type == wanted))
    }

    /// What each payload type of the media line means, in order; unexplained dynamic ones are left out.
    pub fn rtpmaps(&self) -> impl Iterator<Item = RtpMap<'_>> {
        self.payload_types().filter_map(|payload_type| self.rtpmap(payload_type))
    }

    /// The format parameters of a payload type.
    pub fn fmtp(&self, wanted: u8) -> Option<&str> {
        self.values("fmtp").find_map(|value| {
            let (format, parameters) = value.split_once([' ', '\t'])?;
            (payload_type(format) == Some(wanted)).then(|| parameters.trim())
        })
    }

    /// How much audio a packet should hold, in milliseconds. Fractions are cut off.
    pub fn ptime_ms(&self) -> Option<u32> {
        self.millis("ptime")
    }

    /// How much audio a packet may hold, in milliseconds.
    pub fn maxptime_ms(&self) -> Option<u32> {
        self.millis("maxptime")
    }

    /// Its own direction attribute; [`Session::direction`](super::Session::direction) knows the session's too.
    pub fn direction(&self) -> Option<Direction> {
        direction_of(&self.attributes)
    }

    /// The port of `a=rtcp`, if written (RFC 3605).
    pub fn rtcp_port(&self) -> Option<u16> {
        let value = self.attribute("rtcp")?.value.as_deref()?;
        value.split_ascii_whitespace().next()?.parse().ok()
    }

    fn millis(&self, name: &str) -> Option<u32> {
        let value = self.attribute(name)?.value.as_deref()?.trim();
        let whole = value.split_once('.').map_or(value, |split| split.0);
        number(whole).and_then(|millis| u32::try_from(millis).ok()).filter(|&millis| millis > 0)
    }
}

impl<'a> RtpMap<'a> {
    /// Parses `0 PCMU/8000/1`. Without a clock rate it is 8,000, as old phones mean it.
    pub fn parse(value: &'a str) -> Option<RtpMap<'a>> {
        let mut words = value.split_ascii_whitespace();
        let payload_type = payload_type(words.next()?)?;
        let mut parts = words.next()?.split('/');
        let encoding = parts.next().filter(|encoding| !encoding.is_empty())?;
        let clock_rate_hz = parts.next().map_or(Some(8000), |rate| u32::try_from(number(rate)?).ok())?;
        let channels = parts.next().map_or(Some(1), |channels| u8::try_from(number(channels)?).ok())?;
        if clock_rate_hz == 0 || channels == 0 {
            return None;
        }
        Some(RtpMap { payload_type, encoding, clock_rate_hz, channels })
    }

    /// Whether it is that encoding at that clock rate; names are compared without regard to case.
    pub fn is(&self, encoding: &str, clock_rate_hz: u32) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding) && self.clock_rate_hz == clock_rate_hz
    }
}

impl MediaKind {
    /// The word in the media line.
    pub fn as_str(&self) -> &str {
        match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::Image => "image",
            MediaKind::Text => "text",
            MediaKind::Other(word) => word,
        }
    }
}

impl FromStr for MediaKind {
    type Err = std::convert::Infallible;

    fn from_str(word: &str) -> Result<MediaKind, Self::Err> {
        let known = [MediaKind::Audio, MediaKind::Video, MediaKind::Image, MediaKind::Text];
        let found = known.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word));
        Ok(found.unwrap_or_else(|| MediaKind::Other(word.to_owned())))
    }
}

/// A payload type has seven bits.
fn payload_type(format: &str) -> Option<u8> {
    number(format).and_then(|value| u8::try_from(value).ok()).filter(|&value| value < 128)
}

const fn fixed(payload_type: u8, encoding: &str, clock_rate_hz: u32, channels: u8) -> RtpMap<'_> {
    RtpMap { payload_type, encoding, clock_rate_hz, channels }
}
