//! The codecs we know by name: what SDP and the configuration call them.

/// A codec that can be negotiated. Not each of them can be transcoded; see [`AudioCodec::can_transcode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AudioCodec {
    /// G.711 µ-law, RFC 3551.
    Pcmu,
    /// G.711 A-law, RFC 3551.
    Pcma,
    /// G.722; its RTP clock is 8,000 Hz although it carries 16,000 (RFC 3551 §4.5.2).
    G722,
    /// G.729, passed through only.
    G729,
    /// GSM full rate, passed through only.
    Gsm,
    /// iLBC, passed through only.
    Ilbc,
    /// Opus, RFC 7587.
    Opus,
    /// Linear 16 bit, big-endian on the wire.
    L16,
    /// AMR narrow band, passed through only.
    Amr,
    /// AMR wide band, passed through only.
    AmrWb,
    /// G.723.1, passed through only.
    G723,
    /// Speex, passed through only.
    Speex,
}

/// What SDP and codec strings say of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecParameters {
    /// Encoding name of `a=rtpmap`.
    pub name: &'static str,
    /// RTP clock.
    pub clock_rate_hz: u32,
    /// Channels as `a=rtpmap` says them.
    pub channels: u8,
    /// Static payload type of RFC 3551, where there is one.
    pub static_payload_type: Option<u8>,
    /// Audio per packet when nobody says otherwise.
    pub ptime_ms: u8,
}

impl AudioCodec {
    /// All of them.
    pub const ALL: [AudioCodec; 12] = [
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
        AudioCodec::G722,
        AudioCodec::G729,
        AudioCodec::Gsm,
        AudioCodec::Ilbc,
        AudioCodec::Opus,
        AudioCodec::L16,
        AudioCodec::Amr,
        AudioCodec::AmrWb,
        AudioCodec::G723,
        AudioCodec::Speex,
    ];

    /// Name, clock and the rest.
    pub const fn parameters(self) -> CodecParameters {
        let (name, clock_rate_hz, channels, static_payload_type, ptime_ms) = match self {
            AudioCodec::Pcmu => ("PCMU", 8_000, 1, Some(0), 20),
            AudioCodec::Pcma => ("PCMA", 8_000, 1, Some(8), 20),
            AudioCodec::G722 => ("G722", 8_000, 1, Some(9), 20),
            AudioCodec::G729 => ("G729", 8_000, 1, Some(18), 20),
            AudioCodec::Gsm => ("GSM", 8_000, 1, Some(3), 20),
            AudioCodec::Ilbc => ("iLBC", 8_000, 1, None, 30),
            AudioCodec::Opus => ("opus", 48_000, 2, None, 20),
            AudioCodec::L16 => ("L16", 8_000, 1, None, 20),
            AudioCodec::Amr => ("AMR", 8_000, 1, None, 20),
            AudioCodec::AmrWb => ("AMR-WB", 16_000, 1, None, 20),
            AudioCodec::G723 => ("G723", 8_000, 1, Some(4), 30),
            AudioCodec::Speex => ("speex", 8_000, 1, None, 20),
        };
        CodecParameters { name, clock_rate_hz, channels, static_payload_type, ptime_ms }
    }

    /// The codec of an encoding name, in any case.
    pub fn from_name(name: &str) -> Option<AudioCodec> {
        AudioCodec::ALL.into_iter().find(|codec| codec.parameters().name.eq_ignore_ascii_case(name))
    }

    /// The codec of a static payload type (RFC 3551 §6).
    pub fn from_static_payload_type(payload_type: u8) -> Option<AudioCodec> {
        AudioCodec::ALL.into_iter().find(|codec| codec.parameters().static_payload_type == Some(payload_type))
    }

    /// Whether we can encode and decode it; the others are passed through untouched or not at all.
    pub const fn can_transcode(self) -> bool {
        matches!(self, AudioCodec::Pcmu | AudioCodec::Pcma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_static_payload_types_lead_back_to_the_codec() {
        for codec in AudioCodec::ALL {
            let parameters = codec.parameters();
            assert_eq!(AudioCodec::from_name(&parameters.name.to_lowercase()), Some(codec));
            if let Some(payload_type) = parameters.static_payload_type {
                assert_eq!(AudioCodec::from_static_payload_type(payload_type), Some(codec));
            }
        }
        assert_eq!(AudioCodec::from_name("telephone-event"), None);
    }
}
