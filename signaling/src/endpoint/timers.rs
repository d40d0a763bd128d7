//! Who must be woken when: one ordered set for all machines of an endpoint.
//!
//! Each owner has at most one entry, its earliest deadline, and moves it when that changes. A deadline taken out is
//! gone at once, so the set's size is the number of running timers and an audit can ask for zero.

use std::collections::BTreeMap;

use clock::Tick;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A client transaction.
    Client(u64),
    /// A server transaction.
    Server(u64),
    /// A leg.
    Leg(u64),
    /// A stream connection.
    Connection(u64),
    /// A question to the resolver.
    Query(u64),
}

/// An owner's present entry; it lives beside the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Armed(Option<Tick>);

/// The set of deadlines.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeMap<(Tick, Owner), &'static str>,
}

impl Timers {
    /// Moves `owner`'s entry to `deadline`; `None` takes it out.
    pub fn arm(&mut self, owner: Owner, armed: &mut Armed, deadline: Option<(Tick, &'static str)>) {
        let at = deadline.map(|(at, _)| at);
        if armed.0 != at
            && let Some(old) = armed.0
        {
            self.queue.remove(&(old, owner));
        }
        armed.0 = at;
        if let Some((at, name)) = deadline {
            self.queue.insert((at, owner), name);
        }
    }

    /// Takes the first owner that is due at `now`. Its entry is gone; the owner arms itself again.
    pub fn pop_due(&mut self, now: Tick) -> Option<Owner> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove_entry().0.1)
    }

    /// The earliest deadline and its timer's name.
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        self.queue.first_key_value().map(|((at, _), name)| (*at, *name))
    }

    /// How many timers run.
    pub fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_come_in_order_of_their_deadlines_and_once() {
        let mut timers = Timers::default();
        let (mut first, mut second) = (Armed::default(), Armed::default());
        timers.arm(Owner::Client(1), &mut first, Some((Tick::from_millis(20), "A")));
        timers.arm(Owner::Leg(2), &mut second, Some((Tick::from_millis(30), "ack")));
        timers.arm(Owner::Client(1), &mut first, Some((Tick::from_millis(40), "B")));
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.next_deadline(), Some((Tick::from_millis(30), "ack")));
        assert_eq!(timers.pop_due(Tick::from_millis(29)), None);
        assert_eq!(timers.pop_due(Tick::from_millis(50)), Some(Owner::Leg(2)));
        assert_eq!(timers.pop_due(Tick::from_millis(50)), Some(Owner::Client(1)));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_timer_taken_out_leaves_nothing() {
        let mut timers = Timers::default();
        let mut armed = Armed::default();
        timers.arm(Owner::Query(1), &mut armed, Some((Tick::from_millis(1), "resolve")));
        timers.arm(Owner::Query(1), &mut armed, None);
        assert_eq!(timers.len(), 0);
        assert_eq!(timers.pop_due(Tick::from_millis(9)), None);
    }
}
