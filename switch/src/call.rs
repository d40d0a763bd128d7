//! The handle a story holds on its channel: short borrows of the core, and the things one can wait for.

use core::time::Duration;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use clock::{Now, Tick};
use dialplan::{Expansion, Step, Text};

use crate::ask::{Answer, Ask};
use crate::channel::Channel;
use crate::core::Core;
use crate::scope::ChannelScope;
use crate::{AskId, Cause, ChannelId, LogLevel};

/// A story's hold on its channel. Cheap to clone; the channel may be gone, then every question has a dull answer.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) id: ChannelId,
    core: Rc<RefCell<Core>>,
}

/// The deadline of a wait passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimedOut;

impl Call {
    pub(crate) fn new(core: &Rc<RefCell<Core>>, id: ChannelId) -> Call {
        Call { id, core: Rc::clone(core) }
    }

    /// Borrows the core for one step. Never held over an await.
    pub(crate) fn core<T>(&self, f: impl FnOnce(&mut Core) -> T) -> T {
        f(&mut self.core.borrow_mut())
    }

    /// Borrows the channel; `None` when it is gone.
    pub(crate) fn channel<T>(&self, f: impl FnOnce(&mut Channel) -> T) -> Option<T> {
        self.core.borrow_mut().channels.get_mut(&self.id).map(f)
    }

    pub(crate) fn now(&self) -> Now {
        self.core.borrow().now
    }

    pub(crate) fn is_up(&self) -> bool {
        self.channel(|channel| channel.is_up()).unwrap_or(false)
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.core.borrow().variable(self.id, name).map(|text| text.as_str().to_owned())
    }

    pub(crate) fn variable_text(&self, name: &str) -> Option<Text> {
        self.core.borrow().variable(self.id, name)
    }

    pub(crate) fn variable_is_true(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| dialplan::boolean::is_true(&value))
    }

    pub(crate) fn variable_number(&self, name: &str) -> Option<i64> {
        self.variable(name).and_then(|value| value.trim().parse().ok())
    }

    pub(crate) fn set(&self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.channel(|channel| channel.variables.set_str(name, value));
    }

    pub(crate) fn hangup(&self, cause: Cause) {
        self.core(|core| core.hangup(self.id, cause));
    }

    pub(crate) fn log(&self, level: LogLevel, text: impl Into<String>) {
        let text = text.into();
        self.core(|core| core.log(self.id, level, text));
    }

    /// Waits until `check` finds something, or until `deadline`.
    pub(crate) fn wait<T, F>(&self, deadline: Option<Tick>, check: F) -> Wait<'_, F>
    where
        F: FnMut(&mut Core) -> Option<T>,
    {
        Wait { call: self, deadline, armed: false, check }
    }

    /// Lets time pass.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let deadline = self.now().tick + duration;
        let _ = self.wait(Some(deadline), |_| None::<()>).await;
    }

    /// Waits for something that never comes: only a replacement ends it.
    pub(crate) async fn forever(&self) {
        let _ = self.wait(None, |_| None::<()>).await;
    }

    /// Gives way once, so that an interjection or a replacement that is due can take its turn.
    pub(crate) async fn give_way(&self) {
        let mut first = true;
        let id = self.id;
        let _ = self
            .wait(None, move |core| {
                if std::mem::take(&mut first) {
                    core.wake(id);
                    return None;
                }
                Some(())
            })
            .await;
    }

    /// Asks the world outside and waits for its answer; dropped, the answer is thrown away.
    pub(crate) async fn ask(&self, ask: Ask, limit: Duration) -> Option<Answer> {
        let guard = AskGuard { id: self.core(|core| core.ask(self.id, ask)), call: self.clone() };
        let deadline = self.now().tick + limit;
        let answer = self.wait(Some(deadline), |core| core.answers.remove(&guard.id)).await;
        answer.ok()
    }

    /// Expands `${}` in text of this channel.
    pub(crate) async fn expand(&self, text: &Text) -> Text {
        let mut expansion = Expansion::new(text);
        loop {
            let step = {
                let core = self.core.borrow();
                expansion.step(&ChannelScope::new(&core, self.id))
            };
            match step {
                Step::Done(text) => return text,
                Step::Ask(question) => {
                    let answer = crate::api::call(self, &question).await;
                    expansion.answer(answer);
                }
            }
        }
    }
}

/// Forgets a question whose asker has gone.
struct AskGuard {
    id: AskId,
    call: Call,
}

impl Drop for AskGuard {
    fn drop(&mut self) {
        self.call.core(|core| core.forget_ask(self.id));
    }
}

/// See [`Call::wait`].
pub(crate) struct Wait<'a, F> {
    call: &'a Call,
    deadline: Option<Tick>,
    armed: bool,
    check: F,
}

impl<F> Unpin for Wait<'_, F> {}

impl<T, F> Future for Wait<'_, F>
where
    F: FnMut(&mut Core) -> Option<T>,
{
    type Output = Result<T, TimedOut>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut core = this.call.core.borrow_mut();
        if let Some(found) = (this.check)(&mut core) {
            return Poll::Ready(Ok(found));
        }
        if let Some(deadline) = this.deadline {
            if deadline <= core.now.tick {
                return Poll::Ready(Err(TimedOut));
            }
            core.timers.insert((deadline, this.call.id));
            this.armed = true;
        }
        Poll::Pending
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if let (true, Some(deadline)) = (self.armed, self.deadline) {
            self.call.core.borrow_mut().timers.remove(&(deadline, self.call.id));
        }
    }
}
