//! From what was negotiated to what a worker must do. Nowhere else are plans made.

use std::net::SocketAddr;

use link::{
    AudioFormat, Direction, Learning, PayloadMap, PayloadRule, RtcpPlan, StreamMode, StreamPlan, Transform,
};

use crate::ChannelId;
use crate::channel::Channel;
use crate::core::Core;
use crate::media::MediaMode;
use crate::negotiation::{Chosen, SdpCodec};
use codecs::AudioCodec;

/// Packets in a row that prove a source, unless `rtp_auto_adjust_threshold` says otherwise.
const LEARNING_PACKETS: u8 = 10;

impl Core {
    /// Sends the channel's stream its plan, if anything changed.
    pub(crate) fn plan_media(&mut self, id: ChannelId) {
        let plan = self.plan_of(id);
        if let Some(stream) = self.channels.get_mut(&id).and_then(|channel| channel.media.stream.as_mut()) {
            self.desk.update(stream, plan);
        }
    }

    /// What the channel's stream is to do, as things stand.
    pub(crate) fn plan_of(&self, id: ChannelId) -> StreamPlan {
        let Some(channel) = self.channels.get(&id) else { return QUIET };
        let partner = self.partner(id).and_then(|partner| self.channels.get(&partner));
        let media = &channel.media;
        let remote = media.remote.as_ref();
        let told = remote.and_then(|remote| remote.address);
        let address = told.filter(|address| !self.endpoint.listens_at(*address));
        let opaque = media.mode == MediaMode::Proxy;
        let first = media.chosen.as_ref().and_then(Chosen::first);
        StreamPlan {
            remote: address.filter(|_| channel.is_up()),
            generation: media.generation,
            learning: self.learning_of(channel),
            mode: if opaque { StreamMode::Opaque } else { StreamMode::Rewrite },
            forward_to: partner.and_then(|partner| partner.media.stream).map(|stream| stream.id),
            payload_map: match (&media.chosen, partner.and_then(|partner| partner.media.chosen.as_ref())) {
                (Some(own), Some(other)) if !opaque => payload_map(own, other),
                _ => PayloadMap::EMPTY,
            },
            play_as: first.filter(|_| !opaque).and_then(|first| play_as(first, media.chosen.as_ref())),
            direction: match remote.filter(|_| !opaque) {
                Some(remote) => Direction { send: remote.receives, receive: remote.sends },
                None => Direction::BOTH,
            },
            rtcp: self.rtcp_of(channel, address),
            silence_ms_max: self.silence_of(channel),
        }
    }

    fn learning_of(&self, channel: &Channel) -> Learning {
        let off_by_variable = channel.variables.is_true("disable_rtp_auto_adjust");
        let profile = channel.profile_id().and_then(|id| self.configuration.profile(id));
        if off_by_variable || profile.is_some_and(|profile| !profile.media_learning) {
            return Learning::Off;
        }
        let packets = channel
            .variables
            .number("rtp_auto_adjust_threshold")
            .and_then(|n| u8::try_from(n).ok())
            .filter(|n| (1..=100).contains(n))
            .unwrap_or(LEARNING_PACKETS);
        let source = channel.sip.as_ref().and_then(|sip| sip.source.as_ref());
        Learning::Window {
            packets,
            window_packets: packets.saturating_mul(2),
            signalling_peer: source.map(|source| source.address.ip()),
            same_host_only: true,
        }
    }

    fn rtcp_of(&self, channel: &Channel, address: Option<SocketAddr>) -> RtcpPlan {
        let wanted =
            channel.variables.text("rtcp_audio_interval_msec").is_some_and(|word| word == "passthru")
                || channel
                    .profile_id()
                    .and_then(|id| self.configuration.profile(id))
                    .is_some_and(|profile| profile.rtcp_passthrough);
        let told = channel.media.remote.as_ref().and_then(|remote| remote.rtcp);
        let remote = address
            .filter(|_| wanted)
            .map(|rtp| told.unwrap_or_else(|| SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))));
        match remote.filter(|remote| !self.endpoint.listens_at(*remote)) {
            Some(remote) => RtcpPlan::Relay { remote },
            None => RtcpPlan::Off,
        }
    }

    fn silence_of(&self, channel: &Channel) -> u32 {
        if !channel.answered {
            return 0;
        }
        let number = |name: &str| channel.variables.number(name).and_then(|ms| u32::try_from(ms).ok());
        let profile = channel.profile_id().and_then(|id| self.configuration.profile(id));
        let talking = number("media_timeout")
            .or_else(|| number("rtp_timeout_sec").map(|seconds| seconds.saturating_mul(1_000)))
            .unwrap_or_else(|| profile.map_or(0, |profile| profile.media_timeout_ms));
        if !channel.media.held {
            return talking;
        }
        number("media_hold_timeout")
            .or_else(|| number("rtp_hold_timeout_sec").map(|seconds| seconds.saturating_mul(1_000)))
            .or_else(|| profile.map(|profile| profile.media_hold_timeout_ms).filter(|ms| *ms > 0))
            .unwrap_or(talking.saturating_mul(10))
    }
}

/// A stream of nobody.
const QUIET: StreamPlan = StreamPlan {
    remote: None,
    generation: 0,
    learning: Learning::Off,
    mode: StreamMode::Rewrite,
    forward_to: None,
    payload_map: PayloadMap::EMPTY,
    play_as: None,
    direction: Direction::BOTH,
    rtcp: RtcpPlan::Off,
    silence_ms_max: 0,
};

fn play_as(first: &SdpCodec, chosen: Option<&Chosen>) -> Option<AudioFormat> {
    first.codec.can_transcode().then_some(AudioFormat {
        codec: first.codec,
        payload_type: first.payload_type,
        ptime_ms: chosen.map_or(20, |chosen| chosen.ptime_ms),
    })
}

/// What this leg's peer may send, and what becomes of it at the other leg.
fn payload_map(own: &Chosen, other: &Chosen) -> PayloadMap {
    let mut map = PayloadMap::default();
    if let Some(first) = own.first() {
        map.set_clock_rate_hz(first.codec.parameters().clock_rate_hz);
    }
    let same = |codec: &SdpCodec| other.codecs.iter().find(|there| there.codec == codec.codec);
    for codec in &own.codecs {
        let rule = match (same(codec), other.first()) {
            (Some(there), _) => Some((there.payload_type, Transform::Keep)),
            (None, Some(there)) => transform(codec.codec, there.codec).map(|how| (there.payload_type, how)),
            (None, None) => None,
        };
        if let Some((to, transform)) = rule {
            map.push(PayloadRule { from: codec.receive_payload_type, to, transform });
        }
    }
    let keep = |map: &mut PayloadMap, from: Option<u8>, to: Option<u8>| {
        if let (Some(from), Some(to)) = (from, to) {
            map.push(PayloadRule { from, to, transform: Transform::Keep });
        }
    };
    keep(&mut map, own.receive_telephone_event, other.telephone_event);
    keep(&mut map, own.comfort_noise, other.comfort_noise);
    // Peers that send under their own numbers instead of ours are understood where that leaves no doubt.
    keep(&mut map, own.telephone_event, other.telephone_event);
    for codec in &own.codecs {
        keep(&mut map, Some(codec.payload_type), same(codec).map(|there| there.payload_type));
    }
    map
}

fn transform(from: AudioCodec, to: AudioCodec) -> Option<Transform> {
    match (from, to) {
        (AudioCodec::Pcmu, AudioCodec::Pcma) => Some(Transform::UlawToAlaw),
        (AudioCodec::Pcma, AudioCodec::Pcmu) => Some(Transform::AlawToUlaw),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(codecs: &[(AudioCodec, u8)], telephone_event: Option<u8>) -> Chosen {
        let codecs = codecs
            .iter()
            .map(|(codec, payload_type)| SdpCodec {
                codec: *codec,
                payload_type: *payload_type,
                receive_payload_type: *payload_type,
                fmtp: None,
            })
            .collect();
        let receive_telephone_event = telephone_event;
        Chosen { codecs, telephone_event, receive_telephone_event, comfort_noise: None, ptime_ms: 20 }
    }

    #[test]
    fn payload_types_are_mapped_from_one_leg_to_the_other() {
        let map = payload_map(
            &chosen(&[(AudioCodec::Opus, 111), (AudioCodec::Pcmu, 0)], Some(101)),
            &chosen(&[(AudioCodec::Opus, 98), (AudioCodec::Pcma, 8)], Some(96)),
        );
        assert_eq!(map.find(111), Some(PayloadRule { from: 111, to: 98, transform: Transform::Keep }));
        assert_eq!(map.find(101), Some(PayloadRule { from: 101, to: 96, transform: Transform::Keep }));
        assert_eq!(map.find(0), None, "µ-law cannot become Opus");
    }

    #[test]
    fn what_we_wrote_is_what_we_receive_whatever_number_the_peer_chose() {
        let mut own = chosen(&[(AudioCodec::Pcmu, 0)], Some(96));
        own.receive_telephone_event = Some(101);
        let map = payload_map(&own, &chosen(&[(AudioCodec::Pcmu, 0)], Some(100)));
        assert_eq!(map.find(101).map(|rule| rule.to), Some(100));
        assert_eq!(map.find(96).map(|rule| rule.to), Some(100), "sent under its own number");
    }

    #[test]
    fn g711_is_transcoded_where_the_legs_differ() {
        let map =
            payload_map(&chosen(&[(AudioCodec::Pcmu, 0)], None), &chosen(&[(AudioCodec::Pcma, 8)], None));
        assert_eq!(map.find(0), Some(PayloadRule { from: 0, to: 8, transform: Transform::UlawToAlaw }));
    }
}
