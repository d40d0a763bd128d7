//! A worker's share of the port range: what is free, bound and in stock, in use, and at rest.
//!
//! ```text
//!   free ──▶ binding ──bound──▶ ready ──Open──▶ used ──Close──▶ resting ──rest over──▶ free
//!    ▲          │ taken by others │ ReturnPort      │ ▲            ▲
//!    └─ refused ◀┘                └─────────────────┼─┼────────────┤
//!         (rests longer)                    Release ▼ │ Adopt      │
//!                                                 lent ────ReturnPort
//! ```
//!
//! Only even numbers are RTP ports; the odd neighbour is kept for RTCP (RFC 3550 §11).

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use clock::Tick;
use link::{AddressId, PortId, WorkerId};

use super::random::Random;
use super::settings::TableSettings;
use super::shell::BindError;
use crate::slot::Slot;

/// How long a number is left alone that another program has.
const PORT_REFUSED_REST: Duration = Duration::from_secs(30);

/// Pause after the system refused for a reason that has nothing to do with the number.
const BIND_RETRY: Duration = Duration::from_secs(1);

/// All ports of a worker.
#[derive(Debug)]
pub(super) struct Ports {
    worker: WorkerId,
    serial: u64,
    stock_per_address: usize,
    rest: Duration,
    addresses: Vec<AddressPorts>,
    known: BTreeMap<PortId, Port>,
}

/// A port that has a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    /// On which address.
    pub(super) address: AddressId,
    /// Where it is bound.
    pub(super) local: SocketAddr,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready(Slot),
    Used,
    Lent,
}

/// The numbers of one address.
#[derive(Debug)]
struct AddressPorts {
    ip: IpAddr,
    free: Vec<u16>,
    resting: VecDeque<(Tick, u16)>,
    refused: VecDeque<(Tick, u16)>,
    binding: usize,
    ready: usize,
    retry_at: Option<Tick>,
    exhaustion_said: bool,
}

impl Ports {
    pub(super) fn new(settings: &TableSettings) -> Ports {
        let numbers = share(settings);
        let addresses = settings.addresses.iter().map(|&ip| AddressPorts::new(ip, &numbers)).collect();
        Ports {
            worker: settings.worker,
            serial: 0,
            stock_per_address: settings.stock_per_address,
            rest: settings.port_rest,
            addresses,
            known: BTreeMap::new(),
        }
    }

    /// Picks the next number to bind, at random, where the stock is short of its size.
    pub(super) fn pick(&mut self, now: Tick, random: &mut Random) -> Option<(AddressId, u16, SocketAddr)> {
        self.wake(now);
        for (index, address) in self.addresses.iter_mut().enumerate() {
            let is_short = address.ready + address.binding < self.stock_per_address;
            if is_short && address.retry_at.is_none() && !address.free.is_empty() {
                let place = random.below(address.free.len() as u32) as usize;
                let number = address.free.swap_remove(place);
                address.binding += 1;
                return Some((AddressId(index as u16), number, SocketAddr::new(address.ip, number)));
            }
        }
        None
    }

    /// Frees what has rested long enough.
    pub(super) fn wake(&mut self, now: Tick) {
        self.addresses.iter_mut().for_each(|address| address.wake(now));
    }

    /// Takes back a pick that could not even be tried.
    pub(super) fn unpick(&mut self, id: AddressId, number: u16) {
        let address = &mut self.addresses[usize::from(id.0)];
        address.binding -= 1;
        address.free.push(number);
    }

    /// A picked number is bound: it gets a name and joins the stock.
    pub(super) fn bound(&mut self, id: AddressId, number: u16, slot: Slot) -> (PortId, SocketAddr) {
        let address = &mut self.addresses[usize::from(id.0)];
        address.binding -= 1;
        address.ready += 1;
        address.exhaustion_said = false;
        let local = SocketAddr::new(address.ip, number);
        let name = PortId::new(self.worker, self.serial);
        self.serial += 1;
        self.known.insert(name, Port { address: id, local, state: State::Ready(slot) });
        (name, local)
    }

    /// A picked number could not be bound.
    pub(super) fn bind_failed(&mut self, now: Tick, id: AddressId, number: u16, error: BindError) {
        let address = &mut self.addresses[usize::from(id.0)];
        address.binding -= 1;
        match error {
            BindError::InUse => address.refused.push_back((now + PORT_REFUSED_REST, number)),
            BindError::NoAddress | BindError::NoResources | BindError::Refused => {
                address.free.push(number);
                address.retry_at = Some(now + BIND_RETRY);
            }
        }
    }

    /// Takes a port out of the stock for a stream.
    pub(super) fn take(&mut self, name: PortId) -> Option<(Slot, Port)> {
        let port = self.known.get_mut(&name)?;
        let State::Ready(slot) = port.state else { return None };
        port.state = State::Used;
        self.addresses[usize::from(port.address.0)].ready -= 1;
        Some((slot, *port))
    }

    /// Lays a port to rest, wherever it was; the slot if it was in stock.
    pub(super) fn rest(&mut self, now: Tick, name: PortId) -> Option<Slot> {
        let port = self.known.remove(&name)?;
        let address = &mut self.addresses[usize::from(port.address.0)];
        address.resting.push_back((now + self.rest, port.local.port()));
        let State::Ready(slot) = port.state else { return None };
        address.ready -= 1;
        Some(slot)
    }

    /// Notes that a port leaves with its stream.
    pub(super) fn lend(&mut self, name: PortId) {
        if let Some(port) = self.known.get_mut(&name) {
            port.state = State::Lent;
        }
    }

    /// A port that is in nobody's hands here: in stock, or away with its stream.
    pub(super) fn is_returnable(&self, name: PortId) -> bool {
        self.known.get(&name).is_some_and(|port| port.state != State::Used)
    }

    /// Notes that a stream came with its port. Only a port of our own share is ours to keep account of: one that was
    /// lent, or one that an earlier process of the same worker had.
    pub(super) fn adopt(&mut self, name: PortId, id: AddressId, local: SocketAddr) {
        if name.worker() != self.worker {
            return;
        }
        if let Some(port) = self.known.get_mut(&name) {
            port.state = State::Used;
            return;
        }
        let Some(address) = self.addresses.get_mut(usize::from(id.0)) else { return };
        if let Some(place) = address.free.iter().position(|&number| number == local.port()) {
            address.free.swap_remove(place);
            self.known.insert(name, Port { address: id, local, state: State::Used });
            let serial = name.0 & (u64::MAX >> 16);
            self.serial = self.serial.max(serial + 1);
        }
    }

    /// An address whose stock is empty with nothing left to bind; each is named once until a port is bound again.
    pub(super) fn newly_exhausted(&mut self) -> Option<AddressId> {
        let stock = self.stock_per_address;
        let place = self.addresses.iter().position(|address| {
            stock > 0 && !address.exhaustion_said && address.ready == 0 && address.binding == 0
        })?;
        self.addresses[place].exhaustion_said = true;
        Some(AddressId(place as u16))
    }

    /// When a short stock may be filled up again.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let short =
            self.addresses.iter().filter(|address| address.ready + address.binding < self.stock_per_address);
        short.filter_map(AddressPorts::next_deadline).min()
    }

    /// The names of all ports in stock.
    pub(super) fn stock(&self) -> Vec<PortId> {
        let ready = self.known.iter().filter(|(_, port)| matches!(port.state, State::Ready(_)));
        ready.map(|(&name, _)| name).collect()
    }

    /// Ports being bound, ready, used, lent, at rest, free.
    pub(super) fn census(&self) -> [usize; 6] {
        let sum = |count: fn(&AddressPorts) -> usize| self.addresses.iter().map(count).sum();
        let used = self.known.values().filter(|port| port.state == State::Used).count();
        let lent = self.known.values().filter(|port| port.state == State::Lent).count();
        [
            sum(|address| address.binding),
            sum(|address| address.ready),
            used,
            lent,
            sum(|address| address.resting.len() + address.refused.len()),
            sum(|address| address.free.len()),
        ]
    }
}

impl AddressPorts {
    fn new(ip: IpAddr, numbers: &[u16]) -> AddressPorts {
        AddressPorts {
            ip,
            free: numbers.to_vec(),
            resting: VecDeque::new(),
            refused: VecDeque::new(),
            binding: 0,
            ready: 0,
            retry_at: None,
            exhaustion_said: false,
        }
    }

    /// Frees what has rested long enough.
    fn wake(&mut self, now: Tick) {
        self.retry_at = self.retry_at.filter(|&retry_at| retry_at > now);
        for queue in [&mut self.resting, &mut self.refused] {
            while let Some(&(until, number)) = queue.front()
                && until <= now
            {
                queue.pop_front();
                self.free.push(number);
            }
        }
    }

    fn next_deadline(&self) -> Option<Tick> {
        let rested = self.resting.front().map(|&(until, _)| until);
        let refused = self.refused.front().map(|&(until, _)| until);
        if self.free.is_empty() {
            let first = rested.into_iter().chain(refused).min();
            return first.max(self.retry_at.filter(|_| first.is_some()));
        }
        self.retry_at
    }
}

/// Every `workers`th even number of the range.
fn share(settings: &TableSettings) -> Vec<u16> {
    let first = settings.port_start.saturating_add(settings.port_start % 2);
    let pairs = (first..=settings.port_end).step_by(2).filter(|&number| number < settings.port_end);
    pairs.skip(usize::from(settings.worker.0)).step_by(usize::from(settings.workers.max(1))).collect()
}

#[cfg(test)]
mod tests;
