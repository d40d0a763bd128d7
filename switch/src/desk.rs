//! The desk where media ports are handed out: what workers reported as ready, and which streams were made of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use link::state::StreamState;
use link::{AddressId, Command, PlaybackId, PortId, Prompt, StreamId, StreamPlan, WorkerId};

use crate::ChannelId;

/// A stream on a worker, as the control plane keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) worker: WorkerId,
    pub(crate) local: SocketAddr,
    /// The last plan; sent again when a worker is rebuilt.
    pub(crate) plan: StreamPlan,
}

/// Whose stream it is, for reports.
#[derive(Debug)]
struct Owner {
    channel: ChannelId,
    /// The worker it moves to once it is released.
    moving_to: Option<WorkerId>,
    /// All that it is, while it waits between two workers for its partner.
    held: Option<Box<StreamState>>,
    /// It was told to end; nothing more is said to it.
    closing: bool,
    /// What it was told on its way.
    waiting: Vec<Command>,
    /// Its port, which goes back to the worker that bound it.
    port: PortId,
}

#[derive(Debug, Default)]
struct WorkerDesk {
    stock: BTreeMap<AddressId, VecDeque<(PortId, SocketAddr)>>,
    streams: u32,
    busy_per_mille: u16,
}

/// Stocks, streams and commands of all workers.
#[derive(Debug, Default)]
pub(crate) struct MediaDesk {
    workers: BTreeMap<WorkerId, WorkerDesk>,
    owners: HashMap<StreamId, Owner>,
    commands: VecDeque<(WorkerId, Command)>,
    next_stream: u64,
    next_playback: u64,
    next_address: usize,
}

impl MediaDesk {
    /// A worker has a port ready.
    pub(crate) fn port_ready(
        &mut self,
        worker: WorkerId,
        port: PortId,
        address: AddressId,
        local: SocketAddr,
    ) {
        let desk = self.workers.entry(worker).or_default();
        desk.stock.entry(address).or_default().push_back((port, local));
    }

    /// A worker said how busy it is.
    pub(crate) fn load(&mut self, worker: WorkerId, busy_per_mille: u16) {
        self.workers.entry(worker).or_default().busy_per_mille = busy_per_mille;
    }

    /// One of several addresses, in turn.
    pub(crate) fn next_address(&mut self, addresses: &[AddressId]) -> Option<AddressId> {
        self.next_address = self.next_address.wrapping_add(1);
        addresses.get(self.next_address % addresses.len().max(1)).copied()
    }

    /// Makes a stream of a port in stock: on `worker` if one is named (both legs of a call live on one), else
    /// on the worker with the least load. `None`: no port is free.
    pub(crate) fn open(
        &mut self,
        channel: ChannelId,
        address: AddressId,
        worker: Option<WorkerId>,
        plan: StreamPlan,
    ) -> Option<Stream> {
        let has_port = |desk: &WorkerDesk| desk.stock.get(&address).is_some_and(|stock| !stock.is_empty());
        let chosen = match worker {
            Some(worker) => self.workers.get(&worker).filter(|desk| has_port(desk)).map(|_| worker)?,
            None => {
                *self
                    .workers
                    .iter()
                    .filter(|(_, desk)| has_port(desk))
                    .min_by_key(|(id, desk)| (desk.busy_per_mille / 50, desk.streams, **id))?
                    .0
            }
        };
        let desk = self.workers.get_mut(&chosen)?;
        let (port, local) = desk.stock.get_mut(&address)?.pop_front()?;
        desk.streams += 1;
        self.next_stream += 1;
        let id = StreamId::new(0, self.next_stream);
        self.owners.insert(
            id,
            Owner { channel, moving_to: None, held: None, closing: false, waiting: Vec::new(), port },
        );
        self.commands.push_back((chosen, Command::Open { stream: id, port, plan }));
        Some(Stream { id, worker: chosen, local, plan })
    }

    /// Tells a stream its new plan, if it is new.
    pub(crate) fn update(&mut self, stream: &mut Stream, plan: StreamPlan) {
        if stream.plan != plan {
            stream.plan = plan;
            // One that moves takes its plan along.
            if self.moving(stream.id).is_none() {
                self.tell(stream, Command::Update { stream: stream.id, plan });
            }
        }
    }

    /// Ends a stream; its last figures come with the report that it is closed.
    pub(crate) fn close(&mut self, stream: &Stream) {
        let Some(owner) = self.owners.get_mut(&stream.id) else { return };
        if !std::mem::replace(&mut owner.closing, true) && owner.moving_to.is_none() {
            self.commands.push_back((stream.worker, Command::Close { stream: stream.id }));
        }
    }

    /// Begins to play a prompt.
    pub(crate) fn play(&mut self, stream: &Stream, prompt: Arc<Prompt>, times: u32) -> PlaybackId {
        self.next_playback += 1;
        let playback = PlaybackId(self.next_playback);
        self.tell(stream, Command::Play { stream: stream.id, playback, prompt, times });
        playback
    }

    /// Ends a playing early.
    pub(crate) fn stop_play(&mut self, stream: &Stream, playback: PlaybackId) {
        self.tell(stream, Command::StopPlay { stream: stream.id, playback });
    }

    /// Sends a command to where the stream is; one that is on its way hears it when it has arrived.
    fn tell(&mut self, stream: &Stream, command: Command) {
        match self.owners.get_mut(&stream.id) {
            Some(owner) if owner.closing => {}
            Some(owner) if owner.moving_to.is_some() => owner.waiting.push(command),
            Some(_) => self.commands.push_back((stream.worker, command)),
            None => {}
        }
    }

    /// Moves streams to another worker, two legs of a call with no packet between them: asks for their release;
    /// what was released is held until [`MediaDesk::adopt`].
    pub(crate) fn move_to(&mut self, streams: &[Stream], worker: WorkerId) {
        let mut releases = Vec::new();
        for stream in streams {
            if let Some(owner) = self.owners.get_mut(&stream.id)
                && owner.moving_to.is_none()
                && !owner.closing
                && stream.worker != worker
            {
                owner.moving_to = Some(worker);
                releases.push((stream.worker, Command::Release { stream: stream.id }));
            }
        }
        self.together(releases);
    }

    /// Sends commands; two for one worker as one step.
    fn together(&mut self, commands: Vec<(WorkerId, Command)>) {
        match <[(WorkerId, Command); 2]>::try_from(commands) {
            Ok([(worker, first), (other, second)]) if worker == other => {
                self.commands.push_back((worker, Command::Both(Box::new([first, second]))));
            }
            Ok(pair) => self.commands.extend(pair),
            Err(commands) => self.commands.extend(commands),
        }
    }

    /// A stream came out of its worker and waits here, its packets in the kernel's hands.
    pub(crate) fn hold(&mut self, stream: StreamId, state: Box<StreamState>) {
        if let Some(owner) = self.owners.get_mut(&stream) {
            owner.held = Some(state);
        }
    }

    /// Whether a stream waits to be adopted.
    pub(crate) fn is_held(&self, stream: StreamId) -> bool {
        self.owners.get(&stream).is_some_and(|owner| owner.held.is_some())
    }

    /// Hands held streams to the worker they move to, with the plans they have by now.
    pub(crate) fn adopt<'s>(&mut self, streams: impl IntoIterator<Item = &'s mut Stream>) {
        let (mut adoptions, mut later) = (Vec::new(), Vec::new());
        for stream in streams {
            let Some(owner) = self.owners.get_mut(&stream.id) else { continue };
            let Some((worker, state)) = owner.moving_to.zip(owner.held.take()) else { continue };
            owner.moving_to = None;
            later.extend(owner.waiting.drain(..).map(|command| (worker, command)));
            if owner.closing {
                later.push((worker, Command::Close { stream: stream.id }));
            }
            if let Some(desk) = self.workers.get_mut(&stream.worker) {
                desk.streams = desk.streams.saturating_sub(1);
            }
            self.workers.entry(worker).or_default().streams += 1;
            stream.worker = worker;
            adoptions.push((worker, Command::Adopt { stream: stream.id, state, plan: stream.plan }));
        }
        self.together(adoptions);
        self.commands.extend(later);
    }

    /// A stream has ended; gives its owner.
    pub(crate) fn closed(&mut self, worker: WorkerId, stream: StreamId) -> Option<ChannelId> {
        let owner = self.owners.remove(&stream)?;
        if owner.port.worker() != worker {
            self.commands.push_back((owner.port.worker(), Command::ReturnPort { port: owner.port }));
        }
        if let Some(desk) = self.workers.get_mut(&worker) {
            desk.streams = desk.streams.saturating_sub(1);
        }
        Some(owner.channel)
    }

    /// Whose stream it is.
    pub(crate) fn owner(&self, stream: StreamId) -> Option<ChannelId> {
        self.owners.get(&stream).map(|owner| owner.channel)
    }

    /// Where a stream is on its way to.
    pub(crate) fn moving(&self, stream: StreamId) -> Option<WorkerId> {
        self.owners.get(&stream).and_then(|owner| owner.moving_to)
    }

    /// Streams that are not closed.
    pub(crate) fn streams(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn poll_command(&mut self) -> Option<(WorkerId, Command)> {
        self.commands.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use link::{Direction, Learning, PayloadMap, RtcpPlan, StreamMode};

    use super::*;

    const PLAN: StreamPlan = StreamPlan {
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

    fn local(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_stream_is_made_only_of_a_reported_port_and_on_the_least_loaded_worker() {
        let mut desk = MediaDesk::default();
        let here = AddressId(0);
        assert!(desk.open(ChannelId(1), here, None, PLAN).is_none());
        desk.port_ready(WorkerId(0), PortId::new(WorkerId(0), 1), here, local(20_000));
        desk.port_ready(WorkerId(0), PortId::new(WorkerId(0), 2), here, local(20_002));
        desk.port_ready(WorkerId(1), PortId::new(WorkerId(0), 1), here, local(30_000));
        let first = desk.open(ChannelId(1), here, None, PLAN).unwrap();
        let second = desk.open(ChannelId(2), here, None, PLAN).unwrap();
        assert_eq!((first.worker, second.worker), (WorkerId(0), WorkerId(1)));
        assert!(desk.open(ChannelId(2), here, Some(WorkerId(1)), PLAN).is_none(), "both legs on one worker");
        assert_eq!(desk.open(ChannelId(1), here, Some(WorkerId(0)), PLAN).unwrap().local, local(20_002));
    }

    #[test]
    fn an_unchanged_plan_is_not_sent_again() {
        let mut desk = MediaDesk::default();
        desk.port_ready(WorkerId(0), PortId::new(WorkerId(0), 1), AddressId(0), local(20_000));
        let mut stream = desk.open(ChannelId(1), AddressId(0), None, PLAN).unwrap();
        assert!(matches!(desk.poll_command(), Some((_, Command::Open { .. }))));
        desk.update(&mut stream, PLAN);
        assert!(desk.poll_command().is_none());
        desk.update(&mut stream, StreamPlan { generation: 1, ..PLAN });
        assert!(matches!(desk.poll_command(), Some((_, Command::Update { .. }))));
    }
}
