//! A slab whose keys are never used twice, so that a late message cannot reach its place's next tenant.

use slab::Slab;

/// Serials leave the highest bit of a key free for marks.
const SERIAL_MAX: u32 = u32::MAX >> 1;

/// Values under keys of a serial number and a place. Iteration is in order of places, thus deterministic.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Slab<Slot<T>>,
    next_serial: u32,
}

#[derive(Debug)]
struct Slot<T> {
    serial: u32,
    value: T,
}

impl<T> Arena<T> {
    /// An empty arena.
    pub fn new() -> Arena<T> {
        // Serials begin at 1, so that no key is 0.
        Arena { slots: Slab::new(), next_serial: 1 }
    }

    /// The key that the next value will get.
    pub fn next_key(&self) -> u64 {
        key_of(self.next_serial, self.slots.vacant_key())
    }

    /// Keeps `value`.
    pub fn insert(&mut self, value: T) -> u64 {
        let key = self.next_key();
        self.slots.insert(Slot { serial: self.next_serial, value });
        self.next_serial = if self.next_serial == SERIAL_MAX { 1 } else { self.next_serial + 1 };
        key
    }

    /// The value under `key`, if it is still there.
    pub fn get(&self, key: u64) -> Option<&T> {
        let (serial, place) = parts_of(key);
        self.slots.get(place).filter(|slot| slot.serial == serial).map(|slot| &slot.value)
    }

    /// The value under `key`, if it is still there.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (serial, place) = parts_of(key);
        self.slots.get_mut(place).filter(|slot| slot.serial == serial).map(|slot| &mut slot.value)
    }

    /// Takes the value under `key` out.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let (serial, place) = parts_of(key);
        self.slots.get(place).filter(|slot| slot.serial == serial)?;
        Some(self.slots.remove(place).value)
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All keys and values, in order of places.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().map(|(place, slot)| (key_of(slot.serial, place), &slot.value))
    }
}

fn key_of(serial: u32, place: usize) -> u64 {
    u64::from(serial) << 32 | place as u64 & 0xffff_ffff
}

fn parts_of(key: u64) -> (u32, usize) {
    ((key >> 32) as u32, (key & 0xffff_ffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_reaches_the_next_tenant_of_its_place() {
        let mut arena = Arena::new();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_eq!(parts_of(first).1, parts_of(second).1);
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.len(), 1);
    }
}
