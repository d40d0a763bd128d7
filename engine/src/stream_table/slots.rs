//! Which socket serves what.

use std::collections::VecDeque;

use link::{AddressId, PortId};

use crate::slot::Slot;

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Free,
    /// A port that is being bound for the stock.
    Binding {
        /// On which address.
        address: AddressId,
        /// Its number.
        number: u16,
    },
    /// A port in stock.
    Stock(PortId),
    /// The RTP socket of a stream, by the stream's index.
    Rtp(usize),
    /// The RTCP socket of a stream, by the stream's index.
    Rtcp(usize),
    /// Given up; the shell has not yet said that it is gone.
    Ending,
}

/// All slots of a worker.
#[derive(Debug)]
pub(super) struct Slots {
    roles: Vec<Role>,
    /// The one longest unused first, so that a late completion most likely finds it still free.
    free: VecDeque<u32>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        Slots { roles: vec![Role::Free; count], free: (0..count as u32).collect() }
    }

    /// Takes a free slot.
    pub(super) fn take(&mut self, role: Role) -> Option<Slot> {
        let slot = Slot(self.free.pop_front()?);
        self.roles[slot.index()] = role;
        Some(slot)
    }

    /// What a slot is for; a number that was never a slot is free.
    pub(super) fn role(&self, slot: Slot) -> Role {
        self.roles.get(slot.index()).copied().unwrap_or(Role::Free)
    }

    /// Gives a slot that is taken another role.
    pub(super) fn assign(&mut self, slot: Slot, role: Role) {
        assert!(
            role != Role::Free && self.role(slot) != Role::Free,
            "only a slot that is taken changes its role"
        );
        self.roles[slot.index()] = role;
    }

    /// Gives a taken slot back; false when it was free.
    pub(super) fn give_back(&mut self, slot: Slot) -> bool {
        let is_taken = self.role(slot) != Role::Free;
        if is_taken {
            self.roles[slot.index()] = Role::Free;
            self.free.push_back(slot.0);
        }
        is_taken
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.roles.len()
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.roles.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_given_back_is_the_last_to_be_used_again() {
        let mut slots = Slots::new(3);
        let first = slots.take(Role::Rtp(0)).expect("three are free");
        assert!(slots.give_back(first));
        assert!(!slots.give_back(first), "it is free already");
        let next: Vec<_> = std::iter::from_fn(|| slots.take(Role::Ending)).collect();
        assert_eq!(next, [Slot(1), Slot(2), Slot(0)]);
        assert_eq!(slots.taken(), 3);
        assert_eq!(slots.role(Slot(99)), Role::Free);
    }
}
