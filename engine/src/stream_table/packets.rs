//! The way of a packet: from whom, what is it, is it wanted, by which socket does it leave. Nothing here allocates.

use std::net::SocketAddr;

use clock::Tick;
use codecs::g711;
use link::{PayloadRule, RtcpPlan, StreamMode, StreamPlan, Transform};

use super::StreamTable;
use super::destinations::is_same;
use super::learning::{Heard, Standing};
use super::shell::DropReason;
use super::slots::Role;
use super::statistics::count_drop;
use super::stream::Stream;
use crate::rtcp;
use crate::rtp::RtpView;
use crate::slot::Slot;

/// RTCP packets per second that are relayed to one peer. Reports come every few seconds, feedback some times per second
/// (RFC 4585 §3.5); the address that SDP names for RTCP is never proved by anything that comes from it.
const RTCP_PACKETS_PER_SECOND_MAX: u32 = 50;

/// By which socket a packet leaves, and where to.
type Exit = (Slot, SocketAddr);

/// What a datagram on an RTP socket turned out to be.
enum Media {
    /// RTP, and what the plan says of its payload type.
    Rtp { view: RtpView, rule: Option<PayloadRule> },
    /// RTCP on the same port (RFC 5761).
    Rtcp,
    /// Something else, which only an opaque stream takes.
    Other,
}

impl StreamTable {
    /// Decides on a packet and counts it where it is dropped.
    pub(super) fn decide(
        &mut self,
        now: Tick,
        slot: Slot,
        from: SocketAddr,
        packet: &mut [u8],
    ) -> Result<Exit, DropReason> {
        let (index, decision) = match self.slots.role(slot) {
            Role::Rtp(index) => (index, self.take_media(now, index, from, packet)),
            Role::Rtcp(index) => (index, self.take_rtcp(now, index, from, packet)),
            Role::Free | Role::Binding { .. } | Role::Stock(_) | Role::Ending => {
                return Err(DropReason::NoStream);
            }
        };
        decision.inspect_err(|&reason| count_drop(&mut self.streams[index].statistics, reason))
    }

    /// A datagram that was too long for the shell's buffer.
    pub(super) fn count_truncated(&mut self, now: Tick, slot: Slot, from: SocketAddr) -> DropReason {
        let Role::Rtp(index) = self.slots.role(slot) else { return DropReason::Truncated };
        let stream = &mut self.streams[index];
        let reason = match stream.source.standing(now, from) {
            Standing::Known => DropReason::Truncated,
            Standing::Candidate | Standing::Rebinding | Standing::Stranger => DropReason::Foreign,
        };
        count_drop(&mut stream.statistics, reason);
        reason
    }

    fn take_media(
        &mut self,
        now: Tick,
        index: usize,
        from: SocketAddr,
        packet: &mut [u8],
    ) -> Result<Exit, DropReason> {
        match self.accept(now, index, from, packet)? {
            Media::Rtp { view, rule } => {
                let stream = &mut self.streams[index];
                stream.incoming.update(now, view.header, stream.plan.payload_map.clock_rate_hz());
                let rule = rule.ok_or(DropReason::PayloadType)?;
                stream.statistics.received_packets += 1;
                stream.statistics.received_bytes += view.payload.len() as u64;
                self.relay(now, index, packet, Some((view, rule)))
            }
            Media::Other => {
                let stream = &mut self.streams[index];
                stream.statistics.received_packets += 1;
                stream.statistics.received_bytes += packet.len() as u64;
                self.relay(now, index, packet, None)
            }
            Media::Rtcp if self.streams[index].plan.rtcp == RtcpPlan::Mux => {
                self.relay_rtcp(now, index, packet)
            }
            Media::Rtcp => Err(DropReason::Rtcp),
        }
    }

    /// Checks the source, and what learning has to say about it.
    fn accept(
        &mut self,
        now: Tick,
        index: usize,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<Media, DropReason> {
        let stream = &mut self.streams[index];
        let standing = stream.source.standing(now, from);
        if standing == Standing::Stranger {
            return Err(DropReason::Foreign);
        }
        let media = examine(&stream.plan, packet);
        if standing != Standing::Known {
            // Whatever is wrong with it: a source that has not proved itself is a foreign one.
            let is_valid = media.as_ref().is_ok_and(|media| is_proof(stream, standing, media));
            let may_be_sent_to = || self.destinations.admit(stream.local, Some(from)).is_some();
            if !is_valid || !may_be_sent_to() || !stream.source.prove(now, from) {
                return Err(DropReason::Foreign);
            }
            stream.marks.learned();
            self.list_mark(index);
        }
        let media = media?;
        if !matches!(media, Media::Rtcp) {
            self.hear(now, index, from);
        }
        Ok(media)
    }

    /// Notes a packet of a known source. Most change nothing but the time it was heard.
    fn hear(&mut self, now: Tick, index: usize, from: SocketAddr) {
        let stream = &mut self.streams[index];
        stream.silence.since = now;
        let heard = stream.source.hear(now, from);
        let is_news = heard != Heard::Again || !stream.marks.has_first;
        if is_news || stream.silence.is_said || stream.is_quiet {
            self.hear_news(index, from, heard);
        }
    }

    /// Notes what a packet has changed beyond that.
    fn hear_news(&mut self, index: usize, from: SocketAddr, heard: Heard) {
        let stream = &mut self.streams[index];
        let was_silent = std::mem::take(&mut stream.silence.is_said);
        stream.is_quiet = false;
        if heard == Heard::Moved {
            stream.marks.learned();
        }
        if !stream.marks.has_first {
            stream.marks.first(from);
        }
        self.list_mark(index);
        if was_silent {
            self.watch_silence(index);
        }
        self.note_settlement(index);
    }

    /// Sends an accepted packet on by the partner, rewritten if its RTP header is to be.
    fn relay(
        &mut self,
        now: Tick,
        index: usize,
        packet: &mut [u8],
        rtp: Option<(RtpView, PayloadRule)>,
    ) -> Result<Exit, DropReason> {
        let partner = self.partner_of(index).ok_or(DropReason::NoPartner)?;
        let stream = &self.streams[index];
        let (id, plan) = (stream.id, &stream.plan);
        let (mode, clock_rate_hz) = (plan.mode, plan.payload_map.clock_rate_hz());
        let takes = plan.direction.receive;
        let partner = &mut self.streams[partner];
        if !takes {
            // When it is taken again, its numbers will have run on; that is no loss.
            partner.outgoing.break_off();
            return Err(DropReason::OnHold);
        }
        let to = partner.exit(now)?;
        if mode == StreamMode::Opaque {
            // Should the header be rewritten again later, what passes meanwhile is no loss.
            partner.outgoing.break_off();
        }
        let mut payload_len = packet.len();
        if let Some((mut view, rule)) = rtp {
            payload_len = view.payload.len();
            if mode == StreamMode::Rewrite {
                let header = partner.outgoing.relay(now, id, view.header, clock_rate_hz);
                let mut header = header.ok_or(DropReason::Late)?;
                header.payload_type = rule.to;
                view.rewrite(packet, header);
                transform(rule.transform, view.payload_mut(packet));
            }
        }
        partner.statistics.sent_packets += 1;
        partner.statistics.sent_bytes += payload_len as u64;
        Ok((partner.slot, to))
    }

    fn take_rtcp(
        &mut self,
        now: Tick,
        index: usize,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<Exit, DropReason> {
        let remote = self.streams[index].rtcp_remote;
        if !remote.is_some_and(|remote| is_same(remote, from)) {
            return Err(DropReason::Foreign);
        }
        self.relay_rtcp(now, index, packet)
    }

    /// Sends RTCP of a checked source on by whichever way the partner has for it.
    fn relay_rtcp(&mut self, now: Tick, index: usize, packet: &[u8]) -> Result<Exit, DropReason> {
        // SRTCP, which an opaque stream may carry, is readable in its first eight bytes only.
        let is_opaque = self.streams[index].plan.mode == StreamMode::Opaque;
        if packet.is_empty() || (!is_opaque && rtcp::parse(packet).is_err()) {
            return Err(DropReason::Malformed);
        }
        let partner = self.partner_of(index).ok_or(DropReason::NoPartner)?;
        let exit = self.streams[partner].rtcp_exit(now)?;
        self.streams[index].statistics.rtcp_packets += 1;
        Ok(exit)
    }

    /// Where the stream stands that packets of `index` leave by.
    pub(super) fn partner_of(&mut self, index: usize) -> Option<usize> {
        let stream = &self.streams[index];
        let wanted = stream.plan.forward_to?;
        let is_wanted = |&place: &usize| self.streams.get(place).is_some_and(|found| found.id == wanted);
        if let Some(place) = stream.partner.filter(is_wanted) {
            return Some(place);
        }
        let found = self.names.get(&wanted).copied();
        self.streams[index].partner = found;
        found
    }
}

impl Stream {
    /// Where a packet of the partner leaves to now.
    fn exit(&mut self, now: Tick) -> Result<SocketAddr, DropReason> {
        let exit = match !self.plan.direction.send || self.playback.is_some() {
            true => Err(DropReason::PartnerBusy),
            false => self.source.send_to(now),
        };
        // What is held back on purpose leaves no gap behind; what goes beyond the limit does.
        if matches!(exit, Err(DropReason::PartnerBusy | DropReason::NoDestination)) {
            self.outgoing.break_off();
        }
        exit
    }

    fn rtcp_exit(&mut self, now: Tick) -> Result<Exit, DropReason> {
        let exit = match self.plan.rtcp {
            RtcpPlan::Off => return Err(DropReason::Rtcp),
            RtcpPlan::Mux => self.source.destination().map(|to| (self.slot, to)),
            RtcpPlan::Relay { .. } => {
                let socket = self.rtcp.filter(|socket| socket.is_bound);
                socket.zip(self.rtcp_remote).map(|(socket, to)| (socket.slot, to))
            }
        };
        let exit = exit.ok_or(DropReason::NoDestination)?;
        match self.rtcp_budget.take(now, RTCP_PACKETS_PER_SECOND_MAX) {
            true => Ok(exit),
            false => Err(DropReason::Unproven),
        }
    }
}

/// Says what a datagram on an RTP socket is.
fn examine(plan: &StreamPlan, packet: &[u8]) -> Result<Media, DropReason> {
    match plan.mode {
        StreamMode::Rewrite if rtcp::is_rtcp(packet) => Ok(Media::Rtcp),
        StreamMode::Rewrite => {
            let view = RtpView::parse(packet).map_err(|_| DropReason::Malformed)?;
            let rule = plan.payload_map.find(view.header.payload_type);
            Ok(Media::Rtp { view, rule })
        }
        StreamMode::Opaque if packet.is_empty() => Err(DropReason::Malformed),
        StreamMode::Opaque if rtcp::is_rtcp(packet) => Ok(Media::Other),
        StreamMode::Opaque => Ok(match RtpView::parse(packet) {
            Ok(view) => Media::Rtp { view, rule: Some(PayloadRule::default()) },
            Err(_) => Media::Other,
        }),
    }
}

/// Whether a packet speaks for its source: RTP of a negotiated payload type (any, where nothing is known of payloads), and
/// in a rebinding the SSRC that the peer had before, because the stream is the same there.
fn is_proof(stream: &Stream, standing: Standing, media: &Media) -> bool {
    let Media::Rtp { view, rule: Some(_) } = media else { return false };
    standing != Standing::Rebinding || stream.incoming.ssrc() == Some(view.header.ssrc)
}

fn transform(transform: Transform, payload: &mut [u8]) {
    match transform {
        Transform::Keep => (),
        Transform::UlawToAlaw => g711::ulaw_to_alaw(payload),
        Transform::AlawToUlaw => g711::alaw_to_ulaw(payload),
    }
}
