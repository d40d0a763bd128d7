//! One run: the loop around the phones, and what is measured beside them.

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clock::{Now, Tick};
use mio::{Events, Poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signaling::endpoint::{
    Endpoint, ListenerId, ListenerSettings, ProfileId, ProfileSettings, Transmit, Transport,
};

use crate::agents::{ANSWERING, Agents, CALLING, Surroundings};
use crate::plan::Plan;
use crate::process::Reading;
use crate::report::{Left, Report};
use crate::sockets::SipSocket;
use crate::time::Clock;

/// After the last call should be over the rest is waited for this long: 64·T1, after which SIP gives up on anything.
const PATIENCE: Duration = Duration::from_secs(33);

/// How often the live line is written.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);

/// Sockets that are no ends of calls: two of SIP, the poll, standard streams, some air.
const OTHER_DESCRIPTORS: u64 = 32;

const CALLING_LISTENER: ListenerId = ListenerId(0);
const ANSWERING_LISTENER: ListenerId = ListenerId(1);

/// Runs `plan`. An error means that nothing could be measured.
pub fn run(plan: Plan) -> Result<Report> {
    raise_descriptors(&plan)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot listen to signals")?;
    }
    let poll = Poll::new().context("cannot open a poll")?;
    let calling = SipSocket::bind(poll.registry(), CALLING_LISTENER, SocketAddr::new(plan.local, 0))?;
    let answering = SipSocket::bind(poll.registry(), ANSWERING_LISTENER, plan.answer)?;
    let clock = Clock::start();
    let profiles = vec![
        profile(CALLING, "calling", CALLING_LISTENER, calling.local),
        profile(ANSWERING, "answering", ANSWERING_LISTENER, answering.local),
    ];
    let endpoint = Endpoint::new(profiles, seed(clock.now()));
    let target_before = plan.pid.map(Reading::of).transpose()?;
    let own_before = Reading::of(std::process::id())?;
    let pid = plan.pid;
    let started = clock.now().tick;
    let agents = Agents::new(plan, endpoint, started);
    let mut shell = Shell { poll, clock, sip: [calling, answering], agents, interrupted, live_at: started };
    shell.run(started)?;

    let elapsed = shell.clock.now().tick - started;
    let target = match (pid, target_before) {
        (Some(pid), Some(before)) => Some((before, Reading::of(pid).context("the target's process ended")?)),
        _ => None,
    };
    let own = (own_before, Reading::of(std::process::id())?);
    let sip_send_errors = shell.sip.iter().map(|socket| socket.send_errors).sum();
    let (plan, figures, media) = shell.agents.into_figures();
    let left = Left { plan: &plan, elapsed, figures: &figures, media: &media, target, own, sip_send_errors };
    Ok(Report::new(left))
}

struct Shell {
    poll: Poll,
    clock: Clock,
    sip: [SipSocket; 2],
    agents: Agents,
    interrupted: Arc<AtomicBool>,
    live_at: Tick,
}

impl Shell {
    fn run(&mut self, started: Tick) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 65_536];
        let mut give_up_at = self.agents.expected_end() + PATIENCE;
        let mut told = false;
        while !self.agents.is_done() {
            self.wait(&mut events, give_up_at)?;
            for event in &events {
                if let Some(end) = self.agents.media().end_of(event.token()) {
                    self.agents.media().receive(&self.clock, end);
                } else if let Some(socket) = self.sip.get(event.token().0) {
                    let (clock, endpoint) = (&self.clock, self.agents.endpoint());
                    socket.receive(&mut buffer, |from, bytes| {
                        endpoint.handle_datagram(clock.now(), socket.listener, from, bytes);
                    });
                }
            }
            let now = self.clock.now();
            if self.interrupted.load(Ordering::Relaxed) && !told {
                told = true;
                eprintln!("interrupted: ending the calls that are up");
                self.agents.stop(now);
                give_up_at = now.tick + PATIENCE;
            }
            self.turn(now);
            if now.tick >= give_up_at {
                break;
            }
            self.live(now, started);
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, give_up_at: Tick) -> Result<()> {
        let sip = self.agents.endpoint().next_deadline().map(|(due, _)| due);
        let due = [sip, self.agents.next_deadline(), Some(give_up_at), Some(self.live_at)];
        let due = due.into_iter().flatten().min().unwrap_or(give_up_at);
        match self.poll.poll(events, Some(due - self.clock.now().tick)) {
            Ok(()) => Ok(()),
            // A signal: the flag is looked at next.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error).context("cannot poll"),
        }
    }

    /// Lets everything happen that can happen now.
    fn turn(&mut self, now: Now) {
        let around = Surroundings { registry: self.poll.registry(), clock: &self.clock };
        self.agents.endpoint().handle_timeout(now);
        self.agents.handle_timeout(now, &around);
        while let Some(event) = self.agents.endpoint().poll_event() {
            self.agents.handle_event(now, event, &around);
        }
        while let Some(transmit) = self.agents.endpoint().poll_transmit() {
            match transmit {
                Transmit::Datagram { listener, destination, bytes } => {
                    self.sip[listener.0 as usize].send(destination, &bytes);
                }
                // The target may ask for TCP by its Contact; it is not spoken here.
                Transmit::Connect { connection, .. } => {
                    self.agents.endpoint().handle_connect_failed(now, connection);
                }
                Transmit::Stream { .. } | Transmit::Close { .. } => {}
            }
        }
        while let Some(event) = self.agents.endpoint().poll_event() {
            self.agents.handle_event(now, event, &around);
        }
    }

    /// One line on a terminal, rewritten in place.
    fn live(&mut self, now: Now, started: Tick) {
        if now.tick < self.live_at {
            return;
        }
        self.live_at = now.tick + LIVE_INTERVAL;
        if std::io::stderr().is_terminal() {
            let (placed, up) = self.agents.progress();
            eprint!("\r{:6.1} s  {placed} calls placed, {up} up ", (now.tick - started).as_secs_f64());
            if self.agents.is_done() {
                eprintln!();
            }
        }
    }
}

fn profile(id: ProfileId, name: &str, listener: ListenerId, local: SocketAddr) -> ProfileSettings {
    let mut profile = ProfileSettings::new(id, name);
    profile.listeners.push(ListenerSettings::new(listener, Transport::Udp, local));
    profile.user_agent = Some(concat!("crosspoint-perf/", env!("CARGO_PKG_VERSION")).to_owned());
    profile.contact_user = name.to_owned();
    // The harness takes what the target sends; a limit here would be taken for the target's.
    profile.max_recv_requests_per_second = 0;
    profile
}

/// Branches and tags must differ between runs, or a target may take a call for one that it has seen.
fn seed(now: Now) -> u64 {
    now.wall.as_micros().unsigned_abs() ^ u64::from(std::process::id()) << 40
}

/// Raises the limit of open files to what is allowed; says by how much it is too low for the calls asked for.
fn raise_descriptors(plan: &Plan) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")?;
    }
    // At most as many calls are up as begin while one rings and talks, and all there are.
    let up = (plan.rate_per_s * (plan.ring + plan.hold).as_secs_f64()).ceil() + plan.rate_per_s + 1.0;
    let up = (up as u64).min(u64::from(plan.calls));
    let needed = 2 * up + OTHER_DESCRIPTORS;
    anyhow::ensure!(
        needed <= hard,
        "{up} calls at once need {needed} open files, and {hard} are allowed: raise `ulimit -n` by {}",
        needed - hard
    );
    Ok(())
}
