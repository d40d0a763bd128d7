//! Where port numbers go.

use std::collections::BTreeSet;

use super::*;

fn settings(port_start: u16, port_end: u16) -> TableSettings {
    TableSettings { port_start, port_end, stock_per_address: 2, ..TableSettings::default() }
}

/// Binds all that can be bound at that time.
fn fill(ports: &mut Ports, now_ms: u64) -> Vec<PortId> {
    let mut random = Random::new(3);
    let mut names = Vec::new();
    while let Some((address, number, _)) = ports.pick(Tick::from_millis(now_ms), &mut random) {
        names.push(ports.bound(address, number, Slot(u32::from(number))).0);
    }
    names
}

#[test]
fn the_range_is_shared_out_in_even_ports_without_overlap_or_remainder() {
    let shares = [0, 1, 2].map(|worker| {
        let settings = TableSettings { worker: WorkerId(worker), workers: 3, ..settings(10_001, 10_021) };
        share(&settings)
    });
    assert_eq!(shares[0], [10_002, 10_008, 10_014, 10_020]);
    let all: BTreeSet<u16> = shares.concat().into_iter().collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), (10_002..10_022).step_by(2).collect::<Vec<_>>());
    assert_eq!(share(&settings(10_000, 10_000)), [] as [u16; 0], "no room for RTCP");
    assert_eq!(share(&settings(65_534, 65_535)), [65_534]);
    assert_eq!(share(&settings(65_535, 65_535)), [] as [u16; 0]);
}

#[test]
fn the_stock_is_filled_rested_and_filled_again() {
    let mut ports = Ports::new(&settings(10_000, 10_003));
    let stock = fill(&mut ports, 0);
    assert_eq!(stock.len(), 2);
    let (slot, port) = ports.take(stock[0]).expect("it is in stock");
    assert_eq!(slot, Slot(u32::from(port.local.port())));
    assert!(ports.take(stock[0]).is_none(), "it is in use");
    assert!(ports.take(PortId(99)).is_none());
    assert_eq!(ports.rest(Tick::from_millis(1_000), stock[0]), None);
    assert_eq!(ports.next_deadline(), Some(Tick::from_millis(4_000)));
    assert_eq!(fill(&mut ports, 3_999), []);
    let again = fill(&mut ports, 4_000);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0], stock[0], "a name is never used twice");
    assert_eq!(ports.next_deadline(), None);
}

#[test]
fn exhaustion_is_said_once_until_a_port_is_bound_again() {
    let mut ports = Ports::new(&settings(10_000, 10_001));
    let stock = fill(&mut ports, 0);
    assert_eq!(ports.newly_exhausted(), None);
    ports.take(stock[0]);
    assert_eq!((ports.newly_exhausted(), ports.newly_exhausted()), (Some(AddressId(0)), None));
    ports.rest(Tick::ZERO, stock[0]);
    assert_eq!(ports.newly_exhausted(), None);
    let again = fill(&mut ports, 5_000);
    ports.take(again[0]);
    assert_eq!(ports.newly_exhausted(), Some(AddressId(0)));
}

#[test]
fn a_number_that_others_have_rests_long_and_a_refusal_is_retried_soon() {
    let mut ports = Ports::new(&settings(10_000, 10_001));
    let mut random = Random::new(1);
    let (address, number, _) = ports.pick(Tick::ZERO, &mut random).expect("one is free");
    ports.bind_failed(Tick::ZERO, address, number, BindError::NoResources);
    assert!(ports.pick(Tick::from_millis(999), &mut random).is_none());
    assert_eq!(ports.next_deadline(), Some(Tick::from_millis(1_000)));
    let (address, number, _) = ports.pick(Tick::from_millis(1_000), &mut random).expect("it is free again");
    ports.bind_failed(Tick::from_millis(1_000), address, number, BindError::InUse);
    assert!(ports.pick(Tick::from_millis(30_999), &mut random).is_none());
    assert_eq!(ports.next_deadline(), Some(Tick::from_millis(31_000)));
    assert!(ports.pick(Tick::from_millis(31_000), &mut random).is_some());
}

#[test]
fn a_lent_port_stays_taken_until_it_is_returned_or_comes_back() {
    let mut ports = Ports::new(&settings(10_000, 10_001));
    let name = fill(&mut ports, 0)[0];
    let (_, port) = ports.take(name).expect("it is in stock");
    assert!(!ports.is_returnable(name), "a stream has it");
    ports.lend(name);
    assert_eq!(fill(&mut ports, 100_000), []);
    ports.adopt(name, port.address, port.local);
    assert!(!ports.is_returnable(name));
    ports.lend(name);
    assert!(ports.is_returnable(name));
    ports.rest(Tick::from_millis(100_000), name);
    assert_eq!(ports.census(), [0, 0, 0, 0, 1, 0]);
}

#[test]
fn a_port_of_an_earlier_process_is_taken_out_of_the_free_ones_and_a_strangers_is_not_ours() {
    let mut ports = Ports::new(&settings(10_000, 10_003));
    let local = SocketAddr::from(([127, 0, 0, 1], 10_002));
    ports.adopt(PortId::new(WorkerId(0), 41), AddressId(0), local);
    assert_eq!(ports.census(), [0, 0, 1, 0, 0, 1]);
    assert_eq!(fill(&mut ports, 0), [PortId::new(WorkerId(0), 42)]);
    ports.adopt(PortId::new(WorkerId(5), 41), AddressId(0), local);
    assert_eq!(ports.census(), [0, 1, 1, 0, 0, 0]);
    assert_eq!(ports.rest(Tick::ZERO, PortId::new(WorkerId(5), 41)), None);
}

#[test]
fn numbers_come_in_an_order_that_the_seed_decides() {
    let order = |seed| {
        let mut ports = Ports::new(&TableSettings { stock_per_address: 100, ..settings(10_000, 10_199) });
        let mut random = Random::new(seed);
        std::iter::from_fn(|| ports.pick(Tick::ZERO, &mut random))
            .map(|(_, number, _)| number)
            .collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert!(!order(1).is_sorted());
}
