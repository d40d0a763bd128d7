//! What happens to whom, and carrying what came of it.

use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::{Command, WorkerId};
use signaling::{ConnectionId, ListenerId, Transmit, Transport};
use switch::{Answer, Ask, EventKind};

use super::ladder::Rung;
use super::queue::Happening;
use super::{Fate, World};
use crate::fault::Fault;
use crate::media_worker::Socket;
use crate::network::{Datagram, Passing};
use crate::phone::{Carrier, Output, Tag};
use crate::sip::Sip;
use crate::streams::{Arrival, Stream, segments};

/// How long a worker's queue takes, at least, in microseconds.
const QUEUE_US: u64 = 20;

/// How long a resolver takes.
const RESOLVE: Duration = Duration::from_millis(20);

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram(datagram) => self.arrive(datagram),
            Happening::Stream { stream, arrival } => self.arrive_by_stream(stream, arrival),
            Happening::Commands { worker, commands } => {
                self.workers[worker].handle_commands(self.now.tick, commands, &mut self.sockets);
            }
            Happening::Reports { worker, reports } => {
                for report in reports {
                    self.turns += 1;
                    self.switch.handle_report(self.now, WorkerId(worker as u16), report);
                }
            }
            Happening::Answer { ask, answer } => {
                self.turns += 1;
                self.switch.handle_answer(self.now, ask, answer);
            }
            Happening::Call { phone, number, to, script } => {
                self.phones[phone].call(self.now.tick, number, &to, *script);
            }
            Happening::Break => self.break_streams(),
            Happening::Order { which, order, disturbs } => {
                if disturbs {
                    self.order(which, order);
                } else {
                    self.obey(which, order);
                }
            }
        }
    }

    /// A datagram has arrived at a socket, if there is one.
    fn arrive(&mut self, datagram: Datagram) {
        let now = self.now;
        match self.sockets.get_mut(&datagram.to) {
            Some(Socket::Bound { worker, slot }) => {
                let (worker, slot) = (*worker, *slot);
                return self.workers[worker].handle_packet(now.tick, slot, datagram, &mut self.sockets);
            }
            Some(Socket::Moving(waiting)) => return waiting.push(datagram),
            None => {}
        }
        let Datagram { from, to, bytes, .. } = datagram;
        let listener =
            self.listeners.iter().find(|(_, transport, local)| *transport == Transport::Udp && *local == to);
        if let Some((listener, ..)) = listener.copied() {
            return self.arrive_at_switch(listener, from, bytes);
        }
        if let Some(phone) =
            self.phones.iter().position(|phone| phone.sip == to && phone.carrier == Carrier::Udp)
        {
            return self.phones[phone].handle_sip(now.tick, from, &bytes);
        }
        if let Some((phone, leg)) =
            self.phones.iter().enumerate().find_map(|(at, phone)| Some((at, phone.leg_of_socket(to)?)))
        {
            let heard = self.phones[phone].handle_rtp(now.tick, leg, from, &bytes);
            if let Some(tag) = heard {
                self.note_heard(tag);
            }
            return;
        }
        if let Some(raw) = self.raws.iter_mut().find(|raw| raw.address == to) {
            raw.received.push((now.tick, bytes.to_vec()));
            for (after, to, bytes) in (raw.respond)(now.tick, from, &bytes) {
                let from = raw.address;
                let bytes = Bytes::from(bytes);
                self.queue
                    .push(now.tick + after, Happening::Datagram(Datagram { from, to, bytes, tag: None }));
            }
            return;
        }
        self.network.counters.unclaimed += 1;
        let sender = self
            .listeners
            .iter()
            .find(|(_, transport, local)| *transport == Transport::Udp && *local == from);
        if let Some((listener, ..)) = sender.filter(|_| self.tells_unreachable) {
            self.turns += 1;
            self.switch.handle_transport_error(now, *listener, to);
        }
    }

    fn arrive_at_switch(&mut self, listener: ListenerId, from: SocketAddr, bytes: Bytes) {
        self.turns += 1;
        let copy = match self.fault {
            Some(Fault::CopyTakenForNew)
                if bytes.starts_with(b"INVITE ") && !self.sent_before.insert(bytes.clone()) =>
            {
                let text = String::from_utf8_lossy(&bytes).replace("Call-ID: call", "Call-ID: copy");
                let text = text.replace("branch=z9hG4bK", "branch=z9hG4bKcopy");
                Some(Bytes::from(text))
            }
            _ => None,
        };
        self.switch.handle_datagram(self.now, listener, from, bytes);
        if let Some(copy) = copy {
            self.switch.handle_datagram(self.now, listener, from, copy);
        }
    }

    fn arrive_by_stream(&mut self, index: usize, arrival: Arrival) {
        let now = self.now;
        let stream = &mut self.streams[index];
        match arrival {
            Arrival::AtListener => {
                let listener = self.listeners.iter().find(|(_, transport, _)| *transport == Transport::Tcp);
                let Some((listener, ..)) = listener else { return };
                self.turns += 1;
                stream.connection = Some(self.switch.handle_accepted(now, *listener, stream.address));
            }
            Arrival::Connected => {
                let Some(connection) = stream.connection else { return };
                let local = self.listeners[0].2;
                self.turns += 1;
                self.switch.handle_connected(now, connection, local);
            }
            Arrival::ForSwitch(bytes) => {
                let Some(connection) = stream.connection.filter(|_| !stream.is_closed) else { return };
                self.turns += 1;
                self.switch.handle_stream(now, connection, &bytes);
            }
            Arrival::ForPhone(bytes) => {
                let phone = stream.phone;
                for message in stream.receive(&bytes) {
                    let switch = self.phones[phone].switch;
                    self.phones[phone].handle_sip(now.tick, switch, &message);
                }
            }
            Arrival::Closed => stream.is_closed = true,
        }
    }

    /// Carries on whatever anybody wants to be carried on.
    pub(super) fn settle(&mut self) {
        loop {
            let moved = self.settle_switch() | self.settle_workers() | self.settle_phones();
            if !moved {
                return;
            }
        }
    }

    fn settle_switch(&mut self) -> bool {
        let mut moved = false;
        while let Some(transmit) = self.switch.poll_transmit() {
            moved = true;
            self.transmit(transmit);
        }
        let mut commands: Vec<Vec<Command>> = Vec::new();
        while let Some((WorkerId(worker), command)) = self.switch.poll_command() {
            commands.resize_with(commands.len().max(usize::from(worker) + 1), Vec::new);
            commands[usize::from(worker)].push(command);
        }
        for (worker, commands) in
            commands.into_iter().enumerate().filter(|(_, commands)| !commands.is_empty())
        {
            moved = true;
            let at = self.now.tick + Duration::from_micros(QUEUE_US);
            self.queue.push(at, Happening::Commands { worker, commands });
        }
        while let Some((ask, question)) = self.switch.poll_ask() {
            moved = true;
            let (after, answer) = self.answer(question);
            if self.fault != Some(Fault::AnswerLost) {
                self.queue.push(self.now.tick + after, Happening::Answer { ask, answer });
            }
        }
        while let Some(event) = self.switch.poll_event() {
            moved = true;
            let lost = self.fault == Some(Fault::RecordLost) && matches!(event.kind, EventKind::Record(_));
            if self.fault == Some(Fault::RecordDoubled) && matches!(event.kind, EventKind::Record(_)) {
                self.events.push(event.clone());
            }
            if !lost {
                self.events.push(event);
            }
        }
        moved
    }

    fn answer(&mut self, question: Ask) -> (Duration, Answer) {
        match question {
            Ask::Resolve { host, .. } => {
                (RESOLVE, Answer::Resolved(self.hosts.get(&host).cloned().unwrap_or_default()))
            }
            Ask::Prompt { path } => {
                let name = path.rsplit('/').next().unwrap_or(&path);
                let prompt = self.prompts.get(name).map(Arc::clone).ok_or_else(|| "no such file".to_owned());
                (self.prompt_delay, Answer::Prompt(prompt))
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match transmit {
            Transmit::Datagram { listener, destination, bytes } => {
                let local = self.listeners.iter().find(|(id, ..)| *id == listener).map(|(.., local)| *local);
                let Some(from) = local else { return };
                if let Some(bytes) = self.leaving(bytes) {
                    self.send(Datagram { from, to: destination, bytes, tag: None });
                }
            }
            Transmit::Connect { connection, destination, .. } => self.connect(connection, destination),
            Transmit::Stream { connection, bytes } => {
                let Some(bytes) = self.leaving(bytes) else { return };
                let Some(index) = self.streams.iter().position(|s| s.connection == Some(connection)) else {
                    return;
                };
                let to = self.phones[self.streams[index].phone].sip;
                self.ladder.message(self.now.tick, self.listeners[0].2, to, &bytes, "tcp");
                self.write(index, &bytes, false);
            }
            Transmit::Close { connection } => {
                let Some(index) = self.streams.iter().position(|s| s.connection == Some(connection)) else {
                    return;
                };
                let delay = self.delay_of(index);
                let at = self.streams[index].arrival(self.now.tick, delay, false);
                self.queue.push(at, Happening::Stream { stream: index, arrival: Arrival::Closed });
            }
        }
    }

    /// What the switch sends is looked at, and spoiled if a fault is on.
    fn leaving(&mut self, bytes: Bytes) -> Option<Bytes> {
        if bytes.starts_with(b"BYE ")
            && let Ok(bye) = Sip::parse(&bytes)
        {
            self.byes.entry(bye.call_id().to_owned()).or_insert(self.now.tick);
        }
        match self.fault {
            Some(fault) => {
                let is_copy = fault == Fault::NothingRepeated && !self.sent_before.insert(bytes.clone());
                fault.spoil_message(bytes, is_copy)
            }
            None => Some(bytes),
        }
    }

    fn connect(&mut self, connection: ConnectionId, destination: SocketAddr) {
        let phone =
            self.phones.iter().position(|phone| phone.sip == destination && phone.carrier == Carrier::Tcp);
        let Some(phone) = phone else {
            self.turns += 1;
            return self.switch.handle_connect_failed(self.now, connection);
        };
        let sip = self.phones[phone].sip;
        let mut stream = Stream::new(phone, sip, self.streams.len(), Some(connection));
        stream.address = sip;
        self.streams.push(stream);
        let index = self.streams.len() - 1;
        let delay = self.delay_of(index) * 2;
        let at = self.streams[index].arrival(self.now.tick, delay, true);
        self.queue.push(at, Happening::Stream { stream: index, arrival: Arrival::Connected });
    }

    fn settle_workers(&mut self) -> bool {
        let mut moved = false;
        for worker in 0..self.workers.len() {
            for packet in self.workers[worker].take_sent() {
                moved = true;
                self.send(packet);
            }
            let reports = self.workers[worker].take_reports();
            if !reports.is_empty() {
                moved = true;
                let at = self.now.tick + Duration::from_micros(QUEUE_US);
                self.queue.push(at, Happening::Reports { worker, reports });
            }
        }
        moved
    }

    fn settle_phones(&mut self) -> bool {
        let mut moved = false;
        for phone in 0..self.phones.len() {
            for output in self.phones[phone].take_output() {
                moved = true;
                match output {
                    Output::Rtp { from, to, bytes, tag } => {
                        if let Some(tag) = tag {
                            self.note_sent(tag);
                        }
                        self.send(Datagram { from, to, bytes: bytes.into(), tag });
                    }
                    Output::Sip { to, bytes } => self.send_sip(phone, to, bytes),
                }
            }
        }
        moved
    }

    fn send_sip(&mut self, phone: usize, to: SocketAddr, bytes: Bytes) {
        let from = self.phones[phone].sip;
        if self.phones[phone].carrier == Carrier::Udp {
            return self.send(Datagram { from, to, bytes, tag: None });
        }
        self.ladder.message(self.now.tick, from, to, &bytes, "tcp");
        let open = self.streams.iter().position(|stream| stream.phone == phone && !stream.is_closed);
        let index = open.unwrap_or_else(|| {
            self.streams.push(Stream::new(phone, from, self.streams.len(), None));
            let index = self.streams.len() - 1;
            let delay = self.delay_of(index) * 2;
            let at = self.streams[index].arrival(self.now.tick, delay, true);
            self.queue.push(at, Happening::Stream { stream: index, arrival: Arrival::AtListener });
            index
        });
        self.write(index, &bytes, true);
    }

    fn write(&mut self, index: usize, bytes: &Bytes, to_switch: bool) {
        let delay = self.delay_of(index);
        for segment in segments(bytes, &mut self.random) {
            let at = self.streams[index].arrival(self.now.tick, delay, to_switch);
            let arrival = if to_switch { Arrival::ForSwitch(segment) } else { Arrival::ForPhone(segment) };
            self.queue.push(at, Happening::Stream { stream: index, arrival });
        }
    }

    fn delay_of(&self, index: usize) -> Duration {
        let host = self.phones[self.streams[index].phone].sip.ip();
        self.network.quality(host, host).delay
    }

    /// Gives a datagram to the network.
    fn send(&mut self, datagram: Datagram) {
        let Datagram { from, to, bytes, tag } = datagram;
        let now = self.now.tick;
        let (first, second) = self.network.pass(now, &Passing { from, to, bytes: &bytes });
        if let Some(tag) = tag
            && let Some(fate) =
                self.fates.get_mut(&tag.voice).and_then(|fates| fates.get_mut(tag.index as usize))
        {
            fate.lost |= first.is_none();
            fate.doubled |= second.is_some();
        }
        if bytes.first().is_some_and(u8::is_ascii_alphabetic) {
            let fate = match (first, second) {
                (None, _) => "lost",
                (Some(_), Some(_)) => "doubled",
                (Some(_), None) => "",
            };
            self.ladder.push(Rung { at: now, from, to, bytes: bytes.clone(), fate });
        }
        for at in [first, second].into_iter().flatten() {
            self.queue.push(at, Happening::Datagram(Datagram { from, to, bytes: bytes.clone(), tag }));
        }
    }

    fn note_sent(&mut self, tag: Tag) {
        let fate = Fate { sent_at: self.now.tick, lost: false, doubled: false, heard: 0 };
        match self.fates.entry(tag.voice) {
            Entry::Vacant(place) => {
                place.insert(vec![fate]);
            }
            Entry::Occupied(mut place) => place.get_mut().push(fate),
        }
    }

    fn note_heard(&mut self, tag: Tag) {
        if let Some(fate) = self.fates.get_mut(&tag.voice).and_then(|fates| fates.get_mut(tag.index as usize))
        {
            fate.heard += 1;
        }
    }
}
