//! The service thread: what would block the control thread is done here, and answered through its waker.
//!
//! One tokio runtime on one thread resolves names and has prompts decoded; call records have a thread of their own
//! ([`records`]). Questions and answers are bounded, and each question has a time limit.

mod prompts;
pub mod records;
mod resolve;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use switch::{Answer, Ask, AskId};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use prompts::Prompts;
use resolve::Resolver;

/// Questions that may be out at once. A question beyond them fails at once, which fails one call attempt.
pub const ASKS_MAX: usize = 8_192;
/// Threads for what tokio cannot do without blocking: reading prompts.
const BLOCKING_THREADS_MAX: usize = 2;

enum Order {
    Ask(AskId, Ask),
    /// The machine's resolver configuration may have changed.
    Reload,
}

/// The control thread's end.
pub struct Service {
    orders: Option<Sender<Order>>,
    answers: mpsc::Receiver<(AskId, Answer)>,
    /// Answers that need no thread.
    refused: Vec<(AskId, Answer)>,
    asked: usize,
    thread: Option<JoinHandle<()>>,
}

/// Says that an answer waits.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

impl Service {
    /// Starts the thread. Relative prompts are looked for below `sounds`.
    pub fn start(sounds: PathBuf, wake: Wake) -> Result<Service> {
        let (orders, receiver) = channel(ASKS_MAX);
        let (sender, answers) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("crosspoint-blocking")
            .build()
            .context("the service thread's runtime cannot be built")?;
        let run = move || {
            let tasks = tokio::task::LocalSet::new();
            let desk = Desk { sender, wake, prompts: Prompts::new(sounds), resolver: Resolver::new() };
            tasks.block_on(&runtime, serve(receiver, desk));
            // A prompt that is being read must not hold up the end of the process.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("crosspoint-service".to_owned()).spawn(run)?;
        Ok(Service { orders: Some(orders), answers, refused: Vec::new(), asked: 0, thread: Some(thread) })
    }

    /// Takes a question. Never blocks; the answer comes by [`Service::poll_answer`].
    pub fn ask(&mut self, id: AskId, ask: Ask) {
        let sender = self.orders.as_ref().filter(|_| self.asked < ASKS_MAX);
        match sender.map(|sender| sender.try_send(Order::Ask(id, ask.clone()))) {
            Some(Ok(())) => self.asked += 1,
            _ => self.refused.push((id, failure(&ask, "too many questions are waiting"))),
        }
    }

    /// The next answer.
    pub fn poll_answer(&mut self) -> Option<(AskId, Answer)> {
        if let Some(refused) = self.refused.pop() {
            return Some(refused);
        }
        let answer = self.answers.try_recv().ok()?;
        self.asked -= 1;
        Some(answer)
    }

    /// Reads the machine's resolver configuration again.
    pub fn reload(&mut self) {
        if let Some(orders) = &self.orders {
            // A full queue drops only this request; the next reload brings it again.
            let _ = orders.try_send(Order::Reload);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the tasks of the thread share.
struct Desk {
    sender: mpsc::Sender<(AskId, Answer)>,
    wake: Wake,
    prompts: Prompts,
    resolver: Resolver,
}

async fn serve(mut orders: Receiver<Order>, desk: Desk) {
    let desk = Rc::new(desk);
    while let Some(order) = orders.recv().await {
        match order {
            Order::Reload => desk.resolver.reload(),
            Order::Ask(id, ask) => {
                let desk = Rc::clone(&desk);
                tokio::task::spawn_local(async move {
                    let answer = desk.answer(ask).await;
                    // The control thread is gone at the end of the process only.
                    let _ = desk.sender.send((id, answer));
                    (desk.wake)();
                });
            }
        }
    }
}

impl Desk {
    async fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Resolve { host, .. } => Answer::Resolved(self.resolver.resolve(&host).await),
            Ask::Prompt { path } => Answer::Prompt(self.prompts.prompt(path).await),
        }
    }
}

/// The answer to a question that nobody could be asked.
fn failure(ask: &Ask, why: &str) -> Answer {
    match ask {
        Ask::Resolve { .. } => Answer::Resolved(Vec::new()),
        Ask::Prompt { .. } => Answer::Prompt(Err(why.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::channel as std_channel;
    use std::time::Duration;

    use super::*;
    use crate::testing::Directory;

    /// Asks and waits for the answer.
    fn ask(service: &mut Service, woken: &mpsc::Receiver<()>, ask: Ask) -> Answer {
        service.ask(AskId(7), ask);
        woken.recv_timeout(Duration::from_secs(20)).expect("is woken");
        let (id, answer) = service.poll_answer().expect("an answer");
        assert_eq!(id, AskId(7));
        answer
    }

    #[test]
    fn names_and_prompts_are_answered_through_the_waker() {
        let directory = Directory::new("service");
        let (wake, woken) = std_channel();
        let wake = std::sync::Mutex::new(wake);
        let wake: Wake = Arc::new(move || {
            let _ = wake.lock().expect("not poisoned").send(());
        });
        let mut service = Service::start(directory.join("").into(), wake).expect("starts");
        let host = |host: &str| Ask::Resolve { query: signaling::QueryId(1), host: host.to_owned() };
        // The hosts file knows it, whatever the network is like.
        match ask(&mut service, &woken, host("localhost")) {
            Answer::Resolved(found) => assert!(found.contains(&Ipv4Addr::LOCALHOST.into()), "{found:?}"),
            other => panic!("{other:?}"),
        }
        match ask(&mut service, &woken, Ask::Prompt { path: "absent.wav".to_owned() }) {
            Answer::Prompt(Err(why)) => assert!(why.ends_with("no such file")),
            other => panic!("{other:?}"),
        }
        assert_eq!(service.asked, 0);
    }

    #[test]
    fn a_question_beyond_the_limit_fails_at_once() {
        let mut service = Service::start("/".into(), Arc::new(|| {})).expect("starts");
        service.asked = ASKS_MAX;
        service.ask(AskId(1), Ask::Prompt { path: "x".to_owned() });
        assert!(matches!(service.poll_answer(), Some((AskId(1), Answer::Prompt(Err(_))))));
    }
}
