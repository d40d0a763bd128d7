//! `crosspoint run`: from the configuration to a running loop, each step with words for what can go wrong.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use engine::{BackEnd, Engine};
use link::WorkerId;
use mio::{Poll, Waker};
use signaling::Endpoint;
use switch::Switch;

use crate::cli::{ConfigurationOptions, RunOptions};
use crate::globals::Directories;
use crate::logging;
use crate::r#loop::{Control, Parts, SIGNALS, WAKER};
use crate::machine::raise_descriptors;
use crate::ready::{Capacity, Readiness, Story};
use crate::reload::{Reloader, Source};
use crate::service::records::Records;
use crate::service::{Service, Wake};
use crate::settings::Settings;
use crate::settings::assemble::{Assembly, Numbers, assemble};
use crate::signals::Signals;
use crate::sockets::Sockets;
use crate::time::Clock;

/// Where unpredictable numbers come from.
const RANDOM: &str = "/dev/urandom";

/// Runs the switch until a signal ends it.
pub fn run(options: &RunOptions) -> Result<()> {
    let log = logging::start(&options.log, options.log_format)?;
    let source = source(&options.configuration);
    let mut numbers = Numbers::default();
    let result = load(options, &source, &mut numbers)
        .and_then(|(settings, assembly)| start(source, &settings, assembly, numbers))
        .and_then(Control::run);
    // Lines that are still on their way come out before the error, if there is one.
    drop(log);
    result
}

/// Where the configuration and all else lies.
pub fn source(options: &ConfigurationOptions) -> Source {
    let mut directories = Directories::of(&options.conf);
    if let Some(base) = &options.base_dir {
        directories.move_base(base);
    }
    if let Some(log) = &options.log_dir {
        directories.log = log.clone();
    }
    if let Some(sounds) = &options.sounds_dir {
        directories.sounds = sounds.clone();
    }
    Source { directories, allow_exec: options.allow_exec }
}

/// Loads and says what was found. An error ends the start.
fn load(options: &RunOptions, source: &Source, numbers: &mut Numbers) -> Result<(Settings, Assembly)> {
    let mut loaded = source.load();
    let Some(mut settings) = loaded.settings.take() else {
        for problem in loaded.problems.errors() {
            eprintln!("{problem}");
        }
        bail!("{}: the configuration cannot be used", source.directories.conf.display());
    };
    if let Some(back_end) = options.media_back_end {
        settings.core.media_back_end = back_end;
    }
    if options.workers.is_some() {
        settings.core.workers = options.workers;
    }
    let assembly = assemble(&settings, numbers, &mut loaded.problems);
    for problem in loaded.problems.warnings() {
        tracing::warn!("{problem}");
    }
    Ok((settings, assembly))
}

fn start(source: Source, settings: &Settings, assembly: Assembly, numbers: Numbers) -> Result<Control> {
    let descriptors = raise_descriptors(Capacity::descriptors_wanted(settings.core.sessions_max));
    if descriptors.missing() > 0 {
        let (allowed, missing) = (descriptors.allowed, descriptors.missing());
        let sessions = settings.core.sessions_max;
        tracing::warn!(
            allowed,
            missing,
            "too few file descriptors for {sessions} sessions: raise the limit (ulimit -n)"
        );
    }
    let clock = Clock::start();
    let poll = Poll::new().context("no epoll")?;
    let signals = Signals::start(poll.registry(), SIGNALS).context("signals cannot be taken over")?;
    let mut sockets = Sockets::new(poll.registry().try_clone()?);
    bind(&mut sockets, &assembly)?;
    let engine = start_engine(settings, &assembly)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let wake: Wake = Arc::new(move || {
        // It fails only when the loop is gone.
        let _ = waker.wake();
    });
    let story = Story {
        profiles: profiles(&sockets, &assembly),
        back_end: back_end_text(&engine).to_owned(),
        workers: engine.links.len(),
        capacity: Capacity {
            sessions: settings.core.sessions_max,
            ports: u64::from(settings.core.rtp_ports()) * assembly.media.addresses.len() as u64,
            descriptors: descriptors.allowed,
        },
        numbers: settings.numbers_to_dial.clone(),
    };
    let workers: Vec<WorkerId> = engine.links.iter().map(|link| link.id).collect();
    let readiness = Readiness::new(story.line(), &workers, assembly.media.addresses.len(), clock.read().tick);
    let endpoint = Endpoint::new(assembly.endpoint, random()?);
    let seed = u64::from_ne_bytes(random()?);
    Control::new(Parts {
        poll,
        clock,
        switch: Switch::new(Arc::new(assembly.configuration), endpoint, seed),
        sockets,
        workers: engine.links,
        service: Service::start(source.directories.sounds.clone(), Arc::clone(&wake))?,
        records: Records::start(settings.records.clone())
            .context("the writer of records cannot be started")?,
        signals,
        reloader: Reloader::new(source, wake),
        numbers,
        readiness,
        shutdown_grace: settings.core.shutdown_grace,
    })
}

/// Binds what can be bound; nothing at all is an error.
fn bind(sockets: &mut Sockets, assembly: &Assembly) -> Result<()> {
    let failures = sockets.listen(&assembly.listeners());
    let name_of = |id| {
        let owns = |profile: &&signaling::ProfileSettings| {
            profile.listeners.iter().any(|listener| listener.id == id)
        };
        assembly.endpoint.iter().find(owns).map_or("?", |profile| profile.name.as_str())
    };
    for failure in &failures {
        tracing::error!("profile `{}`: {failure}", name_of(failure.listener));
    }
    if sockets.bound().next().is_some() {
        return Ok(());
    }
    match failures.first() {
        Some(failure) => {
            bail!("no profile could be bound; profile `{}`: {failure}", name_of(failure.listener))
        }
        None => bail!("no profile listens anywhere: there is nothing to do"),
    }
}

fn start_engine(settings: &Settings, assembly: &Assembly) -> Result<Engine> {
    let seed = u64::from_ne_bytes(random()?);
    let engine = engine::start(&assembly.media, seed).context("the media path cannot be started")?;
    if let Some(reason) = engine.fallback_reason() {
        tracing::warn!("io_uring is not used: {reason}");
    }
    let cores: Vec<Option<usize>> = engine.links.iter().map(|link| link.core).collect();
    let wanted = settings.core.media_back_end;
    tracing::info!(back_end = back_end_text(&engine), ?wanted, ?cores, "media workers run");
    Ok(engine)
}

fn back_end_text(engine: &Engine) -> &'static str {
    match engine.back_end() {
        BackEnd::IoUring => "io_uring",
        BackEnd::Mmsg => "recvmmsg and sendmmsg",
    }
}

/// Where each profile is bound, those that are nowhere left out.
fn profiles(sockets: &Sockets, assembly: &Assembly) -> Vec<crate::ready::ProfilePlaces> {
    let places = |profile: &signaling::ProfileSettings| {
        let is_ours = |id| profile.listeners.iter().any(|listener| listener.id == id);
        let bound = sockets.bound().filter(|(id, ..)| is_ours(*id));
        (profile.name.clone(), bound.map(|(_, transport, local)| (transport, local)).collect::<Vec<_>>())
    };
    assembly.endpoint.iter().map(places).filter(|(_, at)| !at.is_empty()).collect()
}

/// Octets that nobody can predict.
fn random<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    let mut source = File::open(RANDOM).with_context(|| format!("no {RANDOM}"))?;
    source.read_exact(&mut octets).with_context(|| format!("{RANDOM} cannot be read"))?;
    Ok(octets)
}
