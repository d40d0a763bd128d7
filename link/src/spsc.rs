//! A bounded queue from one thread to one other, without a lock, and the word by which a sleeping reader is known.
//!
//! ```text
//!             head ─ next to read                    tail ─ next to write
//!   … free │ item │ item │ item │ item │ free │ …    positions only grow; index = position & mask
//! ```
//!
//! The writer alone moves `tail`, the reader alone moves `head`; each keeps what it last saw of the other's and looks
//! again only when that does not suffice. An item is written before `tail` is released and read after `tail` was
//! acquired, and the same way round for the free places behind `head`.
//!
//! Falling asleep is a handshake. The reader says that it sleeps, *then* looks whether an item came; the writer makes
//! its item visible, *then* looks whether the reader sleeps. A sequentially consistent fence between the two steps of
//! each side makes it impossible that both miss the other, so no wake is lost. The queue itself wakes nobody: it
//! tells the writer that it has to ([`Wake`]), at most once per sleep, and the writer writes an eventfd. Nor does an
//! end that is dropped wake the other one: whoever drops it does.
//!
//! Under `--cfg loom` the same code runs on loom's atomics and every interleaving is tried. Miri runs the ordinary
//! tests of this file: `MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test -p link spsc`.

#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;

use self::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell, fence};

/// Largest capacity. Nobody can want more, and positions must not overtake one another.
pub const CAPACITY_MAX: usize = 1 << 20;

/// Makes a queue for at least `capacity` items; it is rounded up to a power of two and kept within
/// 1..=[`CAPACITY_MAX`].
pub fn channel<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let capacity = capacity.clamp(1, CAPACITY_MAX).next_power_of_two();
    let shared = Arc::new(Shared {
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
        sleeping: Padded(AtomicBool::new(false)),
        closed: AtomicBool::new(false),
        places: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

/// The writing end.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// Own copy of the shared `tail`, which nobody else writes.
    tail: usize,
    /// The reader's position when it was last looked at: never ahead of the truth.
    head_seen: usize,
}

/// The reading end.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Own copy of the shared `head`, which nobody else writes.
    head: usize,
    /// The writer's position when it was last looked at: never ahead of the truth.
    tail_seen: usize,
}

/// What the writer owes the reader after a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a reader that sleeps is woken by nobody else"]
pub struct Wake(pub bool);

impl Wake {
    /// Whether the reader sleeps and has to be woken.
    pub fn is_needed(self) -> bool {
        self.0
    }
}

/// The queue had no place; the item comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> Producer<T> {
    /// Appends an item. The result says whether the reader has to be woken.
    pub fn push(&mut self, item: T) -> Result<Wake, Full<T>> {
        if self.free() == 0 {
            return Err(Full(item));
        }
        let place = &self.shared.places[self.tail & self.shared.mask()];
        // SAFETY: positions from `tail` up to `head + capacity` belong to the only producer (`&mut self`), and
        // `free` has shown with an acquire of `head` that the reader is done with this place.
        place.with_mut(|place| unsafe { (*place).write(item) });
        self.tail = self.tail.wrapping_add(1);
        self.shared.tail.0.store(self.tail, Ordering::Release);
        // Before the look at `sleeping`: see the module's word on falling asleep.
        fence(Ordering::SeqCst);
        let sleeps = self.shared.sleeping.0.load(Ordering::Relaxed);
        Ok(Wake(sleeps && self.shared.sleeping.0.swap(false, Ordering::AcqRel)))
    }

    /// How many items can be pushed now. The reader can only add to it.
    pub fn free(&mut self) -> usize {
        let capacity = self.shared.places.len();
        let mut used = self.tail.wrapping_sub(self.head_seen);
        if used == capacity {
            self.head_seen = self.shared.head.0.load(Ordering::Acquire);
            used = self.tail.wrapping_sub(self.head_seen);
        }
        capacity - used
    }

    /// Items that fit in all.
    pub fn capacity(&self) -> usize {
        self.shared.places.len()
    }

    /// Whether the reading end is gone: what is pushed now is read by nobody.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest item.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let place = &self.shared.places[self.head & self.shared.mask()];
        // SAFETY: positions from `head` up to `tail` belong to the only consumer (`&mut self`); `is_empty` has shown
        // with an acquire of `tail` that this one was written, and it is read once because `head` moves on.
        let item = place.with(|place| unsafe { (*place).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(item)
    }

    /// Whether nothing waits. The writer can change that at any time.
    pub fn is_empty(&mut self) -> bool {
        if self.head == self.tail_seen {
            self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        }
        self.head == self.tail_seen
    }

    /// Says that this side is about to sleep. False: items came meanwhile, stay awake. True: the next push tells
    /// its writer to wake us.
    pub fn prepare_sleep(&mut self) -> bool {
        self.shared.sleeping.0.store(true, Ordering::Relaxed);
        // Before the look at `tail`: see the module's word on falling asleep.
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return true;
        }
        self.awake();
        false
    }

    /// Says that this side is awake again, whatever woke it.
    pub fn awake(&mut self) {
        self.shared.sleeping.0.store(false, Ordering::Release);
    }

    /// Whether the writing end is gone. What it pushed before can still be popped.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("capacity", &self.shared.places.len()).finish_non_exhaustive()
    }
}

struct Shared<T> {
    head: Padded<AtomicUsize>,
    tail: Padded<AtomicUsize>,
    sleeping: Padded<AtomicBool>,
    closed: AtomicBool,
    places: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: each place is touched by one side at a time; `head` and `tail` hand it over with release and acquire, as
// proved at the two accesses above. Items are moved between threads, hence `T: Send`.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; sharing the places is what `Sync` would need, sending them needs only `T: Send`.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    /// The capacity is a power of two, see [`channel`].
    fn mask(&self) -> usize {
        self.places.len() - 1
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let mut head = self.head.0.load(Ordering::Relaxed);
        let tail = self.tail.0.load(Ordering::Relaxed);
        while head != tail {
            let place = &self.places[head & self.mask()];
            // SAFETY: both ends are gone (`&mut self`), and what lies between `head` and `tail` was written and not
            // yet read.
            place.with_mut(|place| unsafe { (*place).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

/// Two cache lines of its own, so that the two sides do not steal each other's (128: adjacent lines are fetched
/// together).
#[repr(align(128))]
struct Padded<T>(T);

/// Loom's types under loom, the ordinary ones dressed alike otherwise.
#[cfg(loom)]
mod sync {
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::Arc;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}

#[cfg(not(loom))]
mod sync {
    pub(super) use std::sync::Arc;
    pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
            look(self.0.get())
        }

        pub(super) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
            change(self.0.get())
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn items_come_out_in_the_order_in_which_they_went_in_across_many_rounds() {
        let (mut producer, mut consumer) = channel(3);
        assert_eq!(producer.capacity(), 4);
        for round in 0..10_u32 {
            for item in 0..3 {
                assert_eq!(producer.push(Box::new(round * 3 + item)).expect("three of four"), Wake(false));
            }
            for item in 0..3 {
                assert_eq!(consumer.pop(), Some(Box::new(round * 3 + item)));
            }
            assert_eq!(consumer.pop(), None);
        }
    }

    #[test]
    fn a_full_queue_gives_the_item_back_and_takes_it_after_a_pop() {
        let (mut producer, mut consumer) = channel(2);
        for item in [1, 2] {
            let _ = producer.push(item).expect("there is room");
        }
        assert_eq!(producer.push(3), Err(Full(3)));
        assert_eq!(producer.free(), 0);
        assert_eq!(consumer.pop(), Some(1));
        assert_eq!(producer.free(), 1);
        assert!(producer.push(3).is_ok());
    }

    #[test]
    fn a_sleeper_is_named_once_and_an_awake_reader_never() {
        let (mut producer, mut consumer) = channel(8);
        assert_eq!(producer.push(1), Ok(Wake(false)));
        assert!(!consumer.prepare_sleep(), "an item waits");
        assert_eq!(producer.push(2), Ok(Wake(false)));
        assert_eq!((consumer.pop(), consumer.pop()), (Some(1), Some(2)));
        assert!(consumer.prepare_sleep());
        assert_eq!(producer.push(3), Ok(Wake(true)));
        assert_eq!(producer.push(4), Ok(Wake(false)));
        consumer.awake();
        assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(3), Some(4), None));
    }

    #[test]
    fn what_was_never_read_is_dropped_once_with_the_queue() {
        let item = Arc::new(());
        let (mut producer, mut consumer) = channel(4);
        for _ in 0..3 {
            let _ = producer.push(Arc::clone(&item)).expect("there is room");
        }
        drop(consumer.pop());
        assert_eq!(Arc::strong_count(&item), 3);
        drop((producer, consumer));
        assert_eq!(Arc::strong_count(&item), 1);
    }

    #[test]
    fn each_side_sees_that_the_other_is_gone_and_the_reader_still_reads_the_rest() {
        let (mut producer, mut consumer) = channel(4);
        assert!(!consumer.is_closed());
        let _ = producer.push(7).expect("there is room");
        drop(producer);
        assert!(consumer.is_closed());
        assert_eq!(consumer.pop(), Some(7));
        let (producer, consumer) = channel::<u8>(4);
        drop(consumer);
        assert!(producer.is_closed());
    }

    #[test]
    fn a_capacity_is_a_power_of_two_within_its_limits() {
        assert_eq!(channel::<u8>(0).0.capacity(), 1);
        assert_eq!(channel::<u8>(1_000).0.capacity(), 1_024);
    }

    #[test]
    fn two_threads_lose_nothing_and_every_sleep_ends() {
        // Miri is some thousand times slower.
        const ITEMS: u32 = if cfg!(miri) { 200 } else { 200_000 };
        let (mut producer, mut consumer) = channel(16);
        let (wake, woken) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            for item in 0..ITEMS {
                let mut item = Box::new(item);
                loop {
                    match producer.push(item) {
                        Ok(Wake(true)) => break wake.send(()).expect("the reader lives"),
                        Ok(Wake(false)) => break,
                        Err(Full(back)) => item = back,
                    }
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < ITEMS {
            match consumer.pop() {
                Some(item) => {
                    assert_eq!(*item, expected);
                    expected += 1;
                }
                None if consumer.prepare_sleep() => {
                    // A lost wake would be a hang here. The writer may end with an item pushed before we slept.
                    let _ = woken.recv();
                    consumer.awake();
                }
                None => {}
            }
        }
        writer.join().expect("the writer ends");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc as LoomArc;
    use loom::sync::atomic::AtomicUsize as Count;
    use loom::thread;

    use super::*;

    #[test]
    fn loom_items_cross_whole_and_in_order() {
        loom::model(|| {
            let (mut producer, mut consumer) = channel(2);
            let writer = thread::spawn(move || {
                for item in 0..3 {
                    let mut item = Box::new(item);
                    while let Err(Full(back)) = producer.push(item) {
                        item = back;
                        thread::yield_now();
                    }
                }
            });
            for expected in 0..3 {
                let item = loop {
                    if let Some(item) = consumer.pop() {
                        break item;
                    }
                    thread::yield_now();
                };
                assert_eq!(*item, expected);
            }
            writer.join().expect("the writer ends");
        });
    }

    #[test]
    fn loom_no_wake_is_lost() {
        loom::model(|| {
            let (mut producer, mut consumer) = channel(2);
            let wakes = LoomArc::new(Count::new(0));
            let writer = thread::spawn({
                let wakes = LoomArc::clone(&wakes);
                move || {
                    for item in 0..2 {
                        if producer.push(item).expect("there is room for both").is_needed() {
                            wakes.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    producer
                }
            });
            let mut read = 0;
            while consumer.pop().is_some() {
                read += 1;
            }
            let slept = consumer.prepare_sleep();
            let producer = writer.join().expect("the writer ends");
            let wakes = wakes.load(Ordering::SeqCst);
            while consumer.pop().is_some() {
                read += 1;
                assert!(!slept || wakes == 1, "asleep with an item in the queue, and nobody was told");
            }
            assert_eq!(read, 2);
            assert!(wakes <= 1);
            drop(producer);
        });
    }

    #[test]
    fn loom_the_rest_is_dropped_once() {
        loom::model(|| {
            let item = LoomArc::new(());
            let (mut producer, consumer) = channel(2);
            let writer = thread::spawn({
                let item = LoomArc::clone(&item);
                move || {
                    let _ = producer.push(item);
                }
            });
            drop(consumer);
            writer.join().expect("the writer ends");
            assert_eq!(LoomArc::strong_count(&item), 1);
        });
    }
}
