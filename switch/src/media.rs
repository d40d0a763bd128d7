//! A channel's media: its mode, its stream, what the peer said, what we said.

use bytes::Bytes;
use link::{Direction, PlaybackId, StreamStatistics};
use signaling::{Body, Message, sdp};

use crate::channel::Channel;
use crate::core::Core;
use crate::desk::Stream;
use crate::negotiation::{self, Chosen, Head, Offer, RemoteAudio};
use crate::settings::{CodecPreference, Profile};
use crate::{Cause, ChannelId, LogLevel};

/// What SDP bodies are called.
const SDP: &str = "application/sdp";

/// Who handles the audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaMode {
    /// We terminate it: own SDP, RTP headers rewritten.
    Default,
    /// We relay it: the peer's SDP with our address, not a byte of RTP changed.
    Proxy,
    /// The peers send to each other.
    Bypass,
}

/// Media of one channel.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) mode: MediaMode,
    pub(crate) stream: Option<Stream>,
    /// Grows when the peer's description changes; arms source learning.
    pub(crate) generation: u16,
    /// The peer's latest body, as it came.
    pub(crate) remote_body: Option<Bytes>,
    /// What it says.
    pub(crate) remote: Option<RemoteAudio>,
    /// Our latest offer of our own making.
    pub(crate) offer: Option<Offer>,
    pub(crate) chosen: Option<Chosen>,
    /// The body we sent last.
    pub(crate) local_sdp: Option<Bytes>,
    /// Session id and version of our `o=` line.
    pub(crate) session_id: u64,
    pub(crate) session_version: u64,
    pub(crate) playing: Option<PlaybackId>,
    /// Last figures of the stream.
    pub(crate) statistics: Option<StreamStatistics>,
    /// The mode comes to be bypass once both sides have answered.
    pub(crate) bypass_after_bridge: bool,
    /// The peer has put us on hold.
    pub(crate) held: bool,
}

impl Media {
    fn new(mode: MediaMode) -> Media {
        Media {
            mode,
            stream: None,
            generation: 0,
            remote_body: None,
            remote: None,
            offer: None,
            chosen: None,
            local_sdp: None,
            session_id: 0,
            session_version: 0,
            playing: None,
            statistics: None,
            bypass_after_bridge: false,
            held: false,
        }
    }

    /// Of a call that came in.
    pub(crate) fn for_inbound(profile: &Profile) -> Media {
        Media::new(match (profile.proxy_media, profile.bypass_media) {
            (true, _) => MediaMode::Proxy,
            (false, true) => MediaMode::Bypass,
            (false, false) => MediaMode::Default,
        })
    }

    /// Of a leg called by `caller`.
    pub(crate) fn for_called(caller: &Channel, _: &Profile) -> Media {
        Media::new(caller.media.mode)
    }
}

impl Core {
    /// Takes the offer in an INVITE. With early negotiation it has to be one we can meet.
    pub(crate) fn take_offer(&mut self, id: ChannelId) -> Result<(), Cause> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        let body = channel.sip.as_ref().and_then(|sip| sip.invite.as_ref()).and_then(sdp_body);
        let Some(body) = body else {
            // Exception: without `enable-3pcc` the reference refuses an INVITE without SDP, too.
            channel.variables.set_str("endpoint_disposition", "3PCC DISABLED");
            return Err(Cause::MANDATORY_IE_MISSING);
        };
        let mode = channel.media.mode;
        if !self.take_remote_body(id, body) {
            return Err(Cause::INCOMPATIBLE_DESTINATION);
        }
        let late = self.sip_profile(id).is_some_and(|profile| profile.late_negotiation);
        if !late && mode == MediaMode::Default {
            self.choose(id, None)?;
        }
        Ok(())
    }

    /// Takes the SDP of a response on a leg we called; false when it carries none.
    pub(crate) fn take_answer_body(&mut self, id: ChannelId, response: &Message) -> bool {
        let Some(body) = sdp_body(response) else { return false };
        if !self.take_remote_body(id, body) {
            self.log(id, LogLevel::Warning, "the far end's SDP could not be read".to_owned());
            return false;
        }
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let media = &mut channel.media;
        if media.mode == MediaMode::Default
            && let (Some(offer), Some(remote)) = (&media.offer, &media.remote)
        {
            media.chosen = negotiation::accept(offer, remote);
            self.note_codec(id);
        }
        true
    }

    /// Whether a default-mode leg has a codec it can be joined by.
    pub(crate) fn media_is_usable(&self, id: ChannelId) -> bool {
        self.channels
            .get(&id)
            .is_some_and(|channel| channel.media.mode != MediaMode::Default || channel.media.chosen.is_some())
    }

    /// Keeps a body of the peer and what it says of audio. False when it is not SDP.
    pub(crate) fn take_remote_body(&mut self, id: ChannelId, body: Bytes) -> bool {
        let Ok(session) = sdp::Session::parse(&body) else { return false };
        let audio = negotiation::read(&session);
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let media = &mut channel.media;
        let moved =
            media.remote.as_ref().and_then(|old| old.address) != audio.as_ref().and_then(|new| new.address);
        if moved {
            media.generation = media.generation.wrapping_add(1);
        }
        if let Some(address) = audio.as_ref().and_then(|audio| audio.address) {
            channel.variables.set_str("remote_media_ip", address.ip().to_string());
            channel.variables.set_str("remote_media_port", address.port().to_string());
        }
        channel
            .variables
            .set("switch_r_sdp", dialplan::Text::network(String::from_utf8_lossy(&body).into_owned()));
        media.remote = audio;
        media.remote_body = Some(body);
        true
    }

    /// Chooses the codec of a default-mode leg by its peer's offer, once.
    fn choose(&mut self, id: ChannelId, other: Option<ChannelId>) -> Result<(), Cause> {
        let prefer = other
            .and_then(|other| self.channels.get(&other))
            .and_then(|other| other.media.chosen.as_ref()?.first().map(|first| first.codec));
        let own = self.own_codecs(id);
        let order = self
            .sip_profile(id)
            .map_or(crate::settings::CodecNegotiation::Generous, |profile| profile.codec_negotiation);
        let no_noise = self.sip_profile(id).is_some_and(|profile| profile.suppress_comfort_noise);
        let channel = self.channels.get_mut(&id).ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
        if channel.media.chosen.is_none() {
            let remote = channel.media.remote.as_ref().ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
            let mut chosen =
                negotiation::answer(remote, &own, order, prefer).ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
            if no_noise {
                chosen.comfort_noise = None;
            }
            channel.media.chosen = Some(chosen);
            self.note_codec(id);
        }
        Ok(())
    }

    /// Chooses anew after a changed offer; false when nothing fits, and then all stays as it was.
    pub(crate) fn choose_again(&mut self, id: ChannelId) -> bool {
        let own = self.own_codecs(id);
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(remote) = channel.media.remote.as_ref() else { return false };
        let current =
            channel.media.chosen.as_ref().and_then(|chosen| chosen.first().map(|first| first.codec));
        let keep: Vec<CodecPreference> =
            current.into_iter().map(|codec| CodecPreference { codec, ptime_ms: None }).collect();
        let order = crate::settings::CodecNegotiation::Generous;
        let chosen = negotiation::answer(remote, &keep, order, None)
            .or_else(|| negotiation::answer(remote, &own, order, None));
        let found = chosen.is_some();
        if found {
            channel.media.chosen = chosen;
            self.note_codec(id);
        }
        found
    }

    /// The list that is ours (`media.md` §6.2).
    fn own_codecs(&self, id: ChannelId) -> Vec<CodecPreference> {
        for name in ["absolute_codec_string", "codec_string"] {
            if let Some(text) = self.channels.get(&id).and_then(|channel| channel.variables.text(name)) {
                let (known, _) = CodecPreference::parse_list(&text);
                if !known.is_empty() {
                    return known;
                }
            }
        }
        match (self.sip_profile(id), self.channels.get(&id).map(|channel| channel.inbound)) {
            (Some(profile), Some(true)) => profile.inbound_codecs.clone(),
            (Some(profile), _) => profile.outbound_codecs.clone(),
            (None, _) => CodecPreference::defaults(),
        }
    }

    fn note_codec(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let Some(first) = channel.media.chosen.as_ref().and_then(Chosen::first) else { return };
        let parameters = first.codec.parameters();
        let rate = parameters.clock_rate_hz.to_string();
        for direction in ["read", "write"] {
            channel.variables.set_str(&format!("{direction}_codec"), parameters.name);
            channel.variables.set_str(&format!("{direction}_rate"), rate.as_str());
        }
        channel.variables.set_str("rtp_use_codec_name", parameters.name);
    }

    /// The body of the INVITE to a leg called by `caller`.
    pub(crate) fn offer(&mut self, id: ChannelId, caller: ChannelId) -> Result<Option<Body>, Cause> {
        let mode = self.channels.get(&id).ok_or(Cause::DESTINATION_OUT_OF_ORDER)?.media.mode;
        let caller_body = self.body_to_pass_on(caller);
        if mode != MediaMode::Default && caller_body.is_none() {
            // A leg that still rings has no SDP of its peer to pass on: both are terminated here.
            for side in [id, caller] {
                self.channels.entry(side).and_modify(|channel| channel.media.mode = MediaMode::Default);
            }
        }
        let mode = self.channels.get(&id).map_or(MediaMode::Default, |channel| channel.media.mode);
        let body = match mode {
            MediaMode::Bypass => caller_body,
            MediaMode::Proxy => {
                self.open_stream(id, Some(caller))?;
                match caller_body {
                    Some(body) => Some(self.patched(id, &body)?),
                    None => None,
                }
            }
            MediaMode::Default => {
                self.open_stream(id, Some(caller))?;
                let offer = self.default_offer(id, caller);
                if offer.codecs.is_empty() {
                    return Err(Cause::INCOMPATIBLE_DESTINATION);
                }
                let body = self.write_body(id, &offer, false);
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.media.offer = Some(offer);
                }
                body
            }
        };
        if let (Some(channel), Some(body)) = (self.channels.get_mut(&id), &body) {
            channel.media.local_sdp = Some(body.clone());
        }
        Ok(body.map(sdp_of))
    }

    /// The body of a channel's peer, as `bypass_media_sdp_filter` lets it pass.
    fn filtered_body(&self, id: ChannelId) -> Option<Bytes> {
        let channel = self.channels.get(&id)?;
        let body = channel.media.remote_body.clone()?;
        match channel.variables.text("bypass_media_sdp_filter") {
            Some(filter) => sdp::filter::filter(&body, &filter).ok().or(Some(body)),
            None => Some(body),
        }
    }

    /// The caller's body for a leg in proxy or bypass mode. A caller that was answered before speaks one codec by now:
    /// the next leg is offered that one only.
    fn body_to_pass_on(&self, caller: ChannelId) -> Option<Bytes> {
        let media = &self.channels.get(&caller)?.media;
        let body = self.filtered_body(caller)?;
        let answered = media.local_sdp.as_ref().filter(|_| media.mode == MediaMode::Proxy);
        let agreed = answered
            .and_then(|sdp| sdp::Session::parse(sdp).ok())
            .and_then(|session| negotiation::read(&session)?.codecs.first().map(|codec| codec.codec));
        match agreed {
            Some(codec) => {
                let only = format!("only({})", codec.parameters().name);
                sdp::filter::filter(&body, &only).ok().or(Some(body))
            }
            None => Some(body),
        }
    }

    /// The caller's codecs, unless the leg names its own: what was chosen, or all that was offered.
    fn default_offer(&self, id: ChannelId, caller: ChannelId) -> Offer {
        let absolute = self
            .channels
            .get(&id)
            .and_then(|channel| channel.variables.text("absolute_codec_string"))
            .map(|text| CodecPreference::parse_list(&text).0);
        let profile = self.sip_profile_of_called(id, caller);
        let no_noise = profile.is_some_and(|profile| profile.suppress_comfort_noise);
        let (mut list, mut event, mut noise, mut ptime) = (Vec::new(), None, None, None);
        if let Some(caller) = self.channels.get(&caller) {
            let media = &caller.media;
            if let Some(chosen) = &media.chosen {
                list.extend(chosen.codecs.iter().take(1).map(|codec| (codec.codec, codec.fmtp.clone())));
                (event, noise, ptime) = (chosen.telephone_event, chosen.comfort_noise, Some(chosen.ptime_ms));
            } else if let Some(remote) = &media.remote {
                list.extend(remote.codecs.iter().map(|codec| (codec.codec, codec.fmtp.clone())));
                (event, noise, ptime) = (remote.telephone_event, remote.comfort_noise, remote.ptime_ms);
            }
        }
        if let Some(absolute) = absolute.filter(|list| !list.is_empty()) {
            ptime = absolute.iter().find_map(|preference| preference.ptime_ms).or(ptime);
            list = absolute.into_iter().map(|preference| (preference.codec, None)).collect();
        }
        if list.is_empty() {
            list.extend(
                profile.into_iter().flat_map(|p| p.outbound_codecs.iter()).map(|own| (own.codec, None)),
            );
            event = profile.map(|profile| profile.telephone_event_payload_type);
        }
        let ptime = ptime.or(Some(20));
        negotiation::offer(list, event, noise.filter(|_| !no_noise), ptime)
    }

    fn sip_profile_of_called(&self, id: ChannelId, caller: ChannelId) -> Option<&Profile> {
        let name = self.channels.get(&id).and_then(|channel| channel.variables.text("sofia_profile_name"));
        name.and_then(|name| self.configuration.profile_named(&name)).or_else(|| self.sip_profile(caller))
    }

    /// The body of our 18x or 2xx to a caller; `from`: the leg whose SDP it passes on in proxy and bypass mode.
    pub(crate) fn answer_body(&mut self, id: ChannelId, from: Option<ChannelId>) -> Result<Body, Cause> {
        let from_body = from.and_then(|from| self.filtered_body(from));
        let mode = self.channels.get(&id).ok_or(Cause::ORIGINATOR_CANCEL)?.media.mode;
        let body = match (mode, from_body) {
            (MediaMode::Bypass, Some(body)) => body,
            (MediaMode::Proxy, Some(body)) => {
                self.open_stream(id, from)?;
                self.patched(id, &body)?
            }
            (MediaMode::Default, _) | (_, None) => {
                // Whoever needs media of ours before there is a far end leaves bypass and proxy mode.
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.media.mode = MediaMode::Default;
                }
                self.choose(id, from)?;
                self.open_stream(id, from)?;
                let offer = self.offer_of_chosen(id).ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
                self.write_body(id, &offer, true).ok_or(Cause::INCOMPATIBLE_DESTINATION)?
            }
        };
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.media.local_sdp = Some(body.clone());
        }
        Ok(sdp_of(body))
    }

    pub(crate) fn offer_of_chosen(&self, id: ChannelId) -> Option<Offer> {
        let chosen = self.channels.get(&id)?.media.chosen.as_ref()?;
        Some(Offer {
            codecs: chosen.codecs.iter().take(1).cloned().collect(),
            telephone_event: chosen.telephone_event,
            comfort_noise: chosen.comfort_noise,
            ptime_ms: Some(chosen.ptime_ms),
        })
    }

    /// Makes a stream for the channel, on the worker of the leg it speaks with: `near`, or its peer.
    pub(crate) fn open_stream(&mut self, id: ChannelId, near: Option<ChannelId>) -> Result<(), Cause> {
        if self.channels.get(&id).is_none_or(|channel| channel.media.stream.is_some()) {
            return Ok(());
        }
        let peer = near.or_else(|| self.peer(id));
        let worker = peer
            .and_then(|peer| self.channels.get(&peer)?.media.stream)
            .map(|stream| self.desk.moving(stream.id).unwrap_or(stream.worker));
        let addresses = self
            .sip_profile(id)
            .or_else(|| self.named_profile(id))
            .map(|p| p.media_addresses.clone())
            .unwrap_or_default();
        let plan = self.plan_of(id);
        let stream =
            self.desk.next_address(&addresses).and_then(|address| self.desk.open(id, address, worker, plan));
        let Some(stream) = stream else {
            self.counters.refused_no_port += 1;
            self.log(id, LogLevel::Warning, "no free RTP port".to_owned());
            return Err(Cause::SWITCH_CONGESTION);
        };
        let wall = self.now.wall.as_secs();
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.variables.set_str("local_media_ip", stream.local.ip().to_string());
            channel.variables.set_str("local_media_port", stream.local.port().to_string());
            let port = u64::from(stream.local.port());
            channel.media.session_id = u64::try_from(wall).unwrap_or_default().wrapping_sub(port).max(1);
            channel.media.session_version = channel.media.session_id;
            channel.media.stream = Some(stream);
        }
        Ok(())
    }

    /// A leg that is called and not in SIP's tables yet knows its profile by name only.
    fn named_profile(&self, id: ChannelId) -> Option<&Profile> {
        let name = self.channels.get(&id)?.variables.text("sofia_profile_name")?;
        self.configuration.profile_named(&name)
    }

    /// Ends the channel's stream. Its name stays with the channel until the worker has said goodbye.
    pub(crate) fn close_media(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.media.playing = None;
        if let Some(stream) = channel.media.stream {
            self.desk.close(&stream);
        }
    }

    /// A body of the other leg with our address of this leg.
    pub(crate) fn patched(&mut self, id: ChannelId, body: &Bytes) -> Result<Bytes, Cause> {
        let (address, port) = self.advertised(id).ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
        let username = self.sdp_username(id);
        let channel = self.channels.get_mut(&id).ok_or(Cause::INCOMPATIBLE_DESTINATION)?;
        channel.media.session_version += 1;
        let relay = sdp::proxy::Relay {
            user: &username,
            session_id: channel.media.session_id,
            version: channel.media.session_version,
            address,
            // Fax (T.38) follows audio on the same port; video is not relayed.
            ports: sdp::proxy::RelayPorts { audio: Some(port), image: Some(port), ..Default::default() },
        };
        sdp::proxy::rewrite(body, &relay).map_err(|_| Cause::INCOMPATIBLE_DESTINATION)
    }

    /// Writes our own body; `answer`: in the shape of the peer's offer.
    pub(crate) fn write_body(&mut self, id: ChannelId, offer: &Offer, answer: bool) -> Option<Bytes> {
        let (address, port) = self.advertised(id)?;
        let username = self.sdp_username(id);
        let rtcp =
            self.sip_profile(id).or_else(|| self.named_profile(id)).is_some_and(|p| p.rtcp_passthrough);
        let channel = self.channels.get_mut(&id)?;
        let media = &mut channel.media;
        media.session_version += 1;
        // What the peer wants to send we receive, and the other way round.
        let direction = match media.remote.as_ref().filter(|_| answer) {
            Some(remote) => Direction { send: remote.receives, receive: remote.sends },
            None => Direction::BOTH,
        };
        let head = Head {
            username: &username,
            id: media.session_id,
            version: media.session_version,
            address,
            port,
            direction,
            rtcp,
        };
        let (lines, index) = match media.remote.as_ref().filter(|_| answer) {
            Some(remote) => (remote.lines.clone(), remote.index),
            None => (Vec::new(), 0),
        };
        let body = Bytes::from(negotiation::write(&head, offer, &lines, index));
        media.local_sdp = Some(body.clone());
        Some(body)
    }

    /// An answer that takes none of what the peer offered.
    pub(crate) fn declining_body(&self, id: ChannelId) -> Option<Bytes> {
        let lines = &self.channels.get(&id)?.media.remote.as_ref()?.lines;
        Some(Bytes::from(negotiation::decline_all(&self.sdp_username(id), lines)))
    }

    fn advertised(&self, id: ChannelId) -> Option<(std::net::IpAddr, u16)> {
        let stream = self.channels.get(&id)?.media.stream?;
        let profile = self.sip_profile(id).or_else(|| self.named_profile(id));
        let address = profile.and_then(|profile| profile.media_advertised).unwrap_or(stream.local.ip());
        Some((address, stream.local.port()))
    }

    fn sdp_username(&self, id: ChannelId) -> String {
        self.sip_profile(id)
            .or_else(|| self.named_profile(id))
            .map_or_else(|| "Crosspoint".to_owned(), |profile| profile.sdp_username.clone())
    }

    /// Whoever needs our media leaves bypass mode.
    pub(crate) fn leave_bypass(&mut self, id: ChannelId) {
        if let Some(channel) = self.channels.get_mut(&id)
            && channel.media.mode != MediaMode::Default
            && !channel.has_media()
        {
            channel.media.mode = MediaMode::Default;
        }
    }

    /// `proxy_media` and `bypass_media` on a caller, read when it begins to dial; proxy wins.
    pub(crate) fn choose_media_mode(&mut self, id: ChannelId) {
        let is_true = |name: &str| {
            self.variable(id, name).is_some_and(|value| dialplan::boolean::is_true(value.as_str()))
        };
        let (proxy, bypass, after) =
            (is_true("proxy_media"), is_true("bypass_media"), is_true("bypass_media_after_bridge"));
        let Some(channel) = self.channels.get_mut(&id) else { return };
        channel.media.bypass_after_bridge = after;
        if channel.has_media() {
            // Our SDP went out already: what is asked for can come true only by re-INVITE.
            channel.media.bypass_after_bridge |= bypass && channel.media.mode == MediaMode::Default;
            return;
        }
        if proxy {
            channel.media.mode = MediaMode::Proxy;
        } else if bypass {
            channel.media.mode = MediaMode::Bypass;
        }
    }
}

/// The SDP of a message, if it has some.
pub(crate) fn sdp_body(message: &Message) -> Option<Bytes> {
    message.body_of_type(SDP).filter(|body| !body.is_empty())
}

pub(crate) fn sdp_of(bytes: Bytes) -> Body {
    Body { content_type: SDP.to_owned(), bytes }
}
