//! Loading the configuration again while calls are up: on a thread of its own, one at a time.

use std::sync::mpsc::{Receiver, TryRecvError, channel};

use anyhow::Result;

use crate::globals::Directories;
use crate::machine::ThisMachine;
use crate::service::Wake;
use crate::settings::{self, Loaded};

/// How the configuration is loaded, the first time and again.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it and everything else lies.
    pub directories: Directories,
    /// Whether it may run commands.
    pub allow_exec: bool,
}

impl Source {
    /// Loads it now.
    pub fn load(&self) -> Loaded {
        settings::load(&crate::files::DiskFiles, &self.directories, &ThisMachine, self.allow_exec)
    }
}

/// Loads when asked to.
pub struct Reloader {
    source: Source,
    wake: Wake,
    running: Option<Receiver<Loaded>>,
    /// Asked for once more while a load was running: what that one reads may be old by now.
    again: bool,
}

impl Reloader {
    /// Loads from `source`; `wake` is called when a result is there.
    pub fn new(source: Source, wake: Wake) -> Reloader {
        Reloader { source, wake, running: None, again: false }
    }

    /// Begins to load.
    pub fn start(&mut self) -> Result<()> {
        if self.running.is_some() {
            self.again = true;
            return Ok(());
        }
        let (sender, receiver) = channel();
        let (source, wake) = (self.source.clone(), self.wake.clone());
        let load = move || {
            // The loop may be gone by the time.
            let _ = sender.send(source.load());
            wake();
        };
        std::thread::Builder::new().name("crosspoint-reload".to_owned()).spawn(load)?;
        self.running = Some(receiver);
        Ok(())
    }

    /// What was loaded, once it is there.
    pub fn poll(&mut self) -> Option<Loaded> {
        let loaded = match self.running.as_ref()?.try_recv() {
            Ok(loaded) => Some(loaded),
            Err(TryRecvError::Empty) => return None,
            // The thread panicked, and has told so.
            Err(TryRecvError::Disconnected) => None,
        };
        self.running = None;
        if std::mem::take(&mut self.again)
            && let Err(error) = self.start()
        {
            tracing::error!(%error, "the configuration cannot be loaded again");
        }
        loaded
    }
}
