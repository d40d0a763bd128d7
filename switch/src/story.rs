//! The executor: each channel's story is one future; this room decides which is polled when.
//!
//! ```text
//!   ready channels, in order of id ──▶ replaced? drop the story, begin the next
//!                                      interjection? push it on top
//!                                      poll the topmost future, under a fence
//! ```
//! There are no wakers: whoever changes what a story waits for calls [`Core::wake`]. The same inputs in the same
//! order give the same call.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::call::Call;
use crate::channel::Replacement;
use crate::core::Core;
use crate::{Cause, ChannelId, EventKind, stories};

/// Polls one turn may make. Stories that keep each other awake go on in the next turn, so that sockets are read.
pub const POLLS_PER_TURN_MAX: usize = 100_000;

/// Applications that may be stacked on one story; what is above is dropped and counted.
pub const INTERJECTIONS_MAX: usize = 16;

type Telling = Pin<Box<dyn Future<Output = ()>>>;

/// A channel's story: the base, and what runs on top of it.
struct Story {
    stack: Vec<Telling>,
}

/// All stories of a switch.
#[derive(Default)]
pub(crate) struct Stories {
    stories: BTreeMap<ChannelId, Story>,
}

impl Stories {
    /// Polls until no story can go on. True when the turn's limit was reached with stories still awake.
    pub(crate) fn run(&mut self, core: &Rc<RefCell<Core>>) -> bool {
        for _ in 0..POLLS_PER_TURN_MAX {
            let Some(id) = core.borrow_mut().ready.pop_first() else { return false };
            self.turn(core, id);
        }
        !core.borrow().ready.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.stories.len()
    }

    fn turn(&mut self, core: &Rc<RefCell<Core>>, id: ChannelId) {
        let (beginning, replacement) = {
            let mut core = core.borrow_mut();
            let beginning = core.beginnings.remove(&id);
            (beginning, core.channels.get_mut(&id).and_then(|channel| channel.replacement.take()))
        };
        let call = Call::new(core, id);
        if let Some(replacement) = replacement {
            // Dropping the old story drops its guards, which may speak to the core: it must not be borrowed.
            drop(self.stories.remove(&id));
            let telling: Telling = match replacement {
                Replacement::Route => Box::pin(stories::route(call)),
                Replacement::Park => Box::pin(stories::park(call)),
                Replacement::Farewell => Box::pin(stories::farewell(call)),
                Replacement::Broken => Box::pin(async { panic!("broken on purpose") }),
            };
            self.stories.insert(id, Story { stack: vec![telling] });
        } else if let Some(beginning) = beginning {
            let telling: Telling = match beginning {
                Beginning::Inbound => Box::pin(stories::inbound(call)),
                Beginning::Called => Box::pin(stories::called(call)),
            };
            self.stories.insert(id, Story { stack: vec![telling] });
        }
        self.poll_story(core, id);
    }

    fn poll_story(&mut self, core: &Rc<RefCell<Core>>, id: ChannelId) {
        loop {
            let Some(story) = self.stories.get_mut(&id) else { return };
            push_interjections(core, id, story);
            let Some(top) = story.stack.last_mut() else {
                self.stories.remove(&id);
                return;
            };
            let mut context = Context::from_waker(Waker::noop());
            let polled = catch_unwind(AssertUnwindSafe(|| top.as_mut().poll(&mut context)));
            match polled {
                Ok(Poll::Ready(())) => {
                    story.stack.pop();
                }
                Ok(Poll::Pending) => {
                    if !core.borrow().wants_turn(id) {
                        return;
                    }
                    if core.borrow().is_replaced(id) {
                        core.borrow_mut().wake(id);
                        return;
                    }
                }
                Err(panic) => return self.fence(core, id, &*panic),
            }
        }
    }

    /// A panic ends this call and no other.
    fn fence(&mut self, core: &Rc<RefCell<Core>>, id: ChannelId, panic: &(dyn std::any::Any + Send)) {
        // Guards of the broken story may panic again; the fence holds for them, too.
        if let Some(story) = self.stories.remove(&id) {
            let _ = catch_unwind(AssertUnwindSafe(move || drop(story)));
        }
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without text".to_owned());
        let mut core = core.borrow_mut();
        core.counters.story_panics += 1;
        core.say(id, EventKind::Fault { text });
        if core.channels.get(&id).is_some_and(|channel| channel.is_up()) {
            core.hangup(id, Cause::CRASH);
        } else {
            core.forget(id);
        }
    }
}

/// How a channel's first story begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beginning {
    Inbound,
    Called,
}

fn push_interjections(core: &Rc<RefCell<Core>>, id: ChannelId, story: &mut Story) {
    let next = {
        let mut core = core.borrow_mut();
        let Some(channel) = core.channels.get_mut(&id) else { return };
        if story.stack.len() > INTERJECTIONS_MAX {
            channel.interjections.clear();
        }
        channel.interjections.pop_front()
    };
    if let Some(interjection) = next {
        story.stack.push(Box::pin(stories::interject(Call::new(core, id), interjection)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_panic_ends_its_own_call_and_no_other() {
        let core = testing::core();
        let (broken, sound) = (testing::channel(&core), testing::channel(&core));
        let mut stories = Stories::default();
        stories.run(&core);
        let telling: Telling = Box::pin(async { panic!("a deliberate fault") });
        stories.stories.insert(broken, Story { stack: vec![telling] });
        core.borrow_mut().wake(broken);
        stories.run(&core);
        let mut core = core.borrow_mut();
        assert!(!core.channels.contains_key(&broken), "ended, recorded and gone");
        assert!(core.channels.get(&sound).is_some_and(|channel| channel.is_up()));
        assert_eq!(core.counters.story_panics, 1);
        let mut said = std::iter::from_fn(|| core.events.poll()).map(|event| event.kind);
        assert!(said.any(|kind| matches!(kind, EventKind::Fault { text } if text == "a deliberate fault")));
        assert!(said.any(|kind| matches!(kind, EventKind::Hangup { cause: Cause::CRASH })));
        assert!(said.any(|kind| matches!(kind, EventKind::Record(_))));
    }

    #[test]
    fn an_interjection_runs_on_top_and_the_story_goes_on_after_it() {
        let core = testing::core();
        let id = testing::channel(&core);
        let mut stories = Stories::default();
        stories.run(&core);
        let interjection = crate::channel::Interjection {
            application: "set".to_owned(),
            data: dialplan::Text::trusted("seen=yes"),
        };
        core.borrow_mut().interject(id, interjection);
        stories.run(&core);
        assert_eq!(core.borrow().channels[&id].variables.text("seen").as_deref(), Some("yes"));
        assert_eq!(stories.stories[&id].stack.len(), 1, "the base story waits again");
        core.borrow_mut().hangup(id, Cause::NORMAL_CLEARING);
        stories.run(&core);
        assert_eq!(stories.len(), 0);
        assert!(core.borrow().channels.is_empty());
    }

    #[test]
    fn a_replaced_story_drops_what_it_waited_for() {
        let core = testing::core();
        let id = testing::channel(&core);
        let mut stories = Stories::default();
        stories.run(&core);
        core.borrow_mut().replace(id, Replacement::Park);
        core.borrow_mut().channels.get_mut(&id).unwrap().variables.set_str("park_timeout", "30");
        stories.run(&core);
        assert_eq!(core.borrow().timers.len(), 1);
        core.borrow_mut().hangup(id, Cause::NORMAL_CLEARING);
        stories.run(&core);
        assert_eq!(core.borrow().timers.len(), 0, "the park timer went with its story");
    }
}
