//! Deadlines by key, in order. All memory is taken at the start; setting, moving and clearing cost O(log n).

use clock::Tick;

/// Where a key that has no deadline stands.
const NOWHERE: u32 = u32::MAX;

/// A binary heap of keys below a bound, each with at most one deadline, that knows where each key stands.
#[derive(Debug)]
pub(super) struct Timers {
    /// Deadline and key; the earliest first. The key breaks ties, so that order never depends on history.
    heap: Vec<(Tick, u32)>,
    /// Where each key stands in the heap.
    places: Vec<u32>,
}

impl Timers {
    /// Room for the keys `0..keys`.
    pub(super) fn new(keys: usize) -> Timers {
        Timers { heap: Vec::with_capacity(keys), places: vec![NOWHERE; keys] }
    }

    /// Gives a key a deadline, in place of one it may have.
    pub(super) fn set(&mut self, key: usize, deadline: Tick) {
        let place = match self.place(key) {
            Some(place) => place,
            None => {
                self.heap.push((deadline, key as u32));
                self.heap.len() - 1
            }
        };
        self.heap[place].0 = deadline;
        let place = self.rise(place);
        self.sink(place);
    }

    /// Takes a key's deadline away, if it has one.
    pub(super) fn clear(&mut self, key: usize) {
        let Some(place) = self.place(key) else { return };
        self.places[key] = NOWHERE;
        let (Some(last), count) = (self.heap.pop(), self.heap.len()) else { return };
        if place < count {
            self.heap[place] = last;
            let place = self.rise(place);
            self.sink(place);
        }
    }

    /// Takes the earliest key that is due.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<usize> {
        let (key, _) = self.first().filter(|&(_, deadline)| deadline <= now)?;
        self.clear(key);
        Some(key)
    }

    /// The earliest key and its deadline.
    pub(super) fn first(&self) -> Option<(usize, Tick)> {
        self.heap.first().map(|&(deadline, key)| (key as usize, deadline))
    }

    /// How many keys have a deadline.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    fn place(&self, key: usize) -> Option<usize> {
        Some(self.places[key]).filter(|&place| place != NOWHERE).map(|place| place as usize)
    }

    /// Moves the entry up to where it belongs, and notes where that is.
    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
        place
    }

    /// Moves the entry down to where it belongs, and notes where that is.
    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let left = 2 * place + 1;
            let children = left..(left + 2).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else { break };
            if self.heap[least] >= entry {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (Tick, u32)) {
        self.heap[place] = entry;
        self.places[entry.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::random::Random;
    use super::*;

    #[test]
    fn a_heap_behaves_like_a_sorted_map_through_random_changes() {
        let mut random = Random::new(1);
        let (mut timers, mut model) = (Timers::new(40), BTreeMap::new());
        for _ in 0..20_000 {
            let key = random.below(40) as usize;
            match random.below(4) {
                0 => {
                    timers.clear(key);
                    model.remove(&key);
                }
                1 => {
                    let now = Tick::from_nanos(u64::from(random.below(100)));
                    let first = model.iter().map(|(&key, &at)| (at, key)).min();
                    let due = first.filter(|&(at, _)| at <= now).map(|(_, key)| key);
                    assert_eq!(timers.pop_due(now), due);
                    due.map(|key| model.remove(&key));
                }
                _ => {
                    let at = Tick::from_nanos(u64::from(random.below(100)));
                    timers.set(key, at);
                    model.insert(key, at);
                }
            }
            let first = model.iter().map(|(&key, &at)| (at, key)).min();
            assert_eq!(timers.first(), first.map(|(at, key)| (key, at)));
            assert_eq!(timers.len(), model.len());
        }
    }
}
