//! Signals as events of the loop: each writes a byte to a socket that mio watches.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdUnixStream;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What an operator may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: drain, and the second time end.
    Terminate,
    /// SIGHUP: load again, rotate.
    HangUp,
}

/// The receiving ends.
pub struct Signals {
    streams: [(UnixStream, Signal); 3],
}

impl Signals {
    /// Takes the signals over; from now on none of them ends the process by itself.
    pub fn start(registry: &Registry, token: Token) -> io::Result<Signals> {
        let take = |signal: i32, meaning: Signal| {
            let (receiver, sender) = StdUnixStream::pair()?;
            receiver.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal, sender)?;
            let mut stream = UnixStream::from_std(receiver);
            registry.register(&mut stream, token, Interest::READABLE)?;
            io::Result::Ok((stream, meaning))
        };
        let terminate = Signal::Terminate;
        Ok(Signals {
            streams: [take(SIGTERM, terminate)?, take(SIGINT, terminate)?, take(SIGHUP, Signal::HangUp)?],
        })
    }

    /// The signals that came. Several of a kind that came together are told one by one.
    pub fn take(&mut self) -> Vec<Signal> {
        let mut came = Vec::new();
        for (stream, signal) in &mut self.streams {
            let mut bytes = [0; 16];
            while let Ok(count) = stream.read(&mut bytes) {
                if count == 0 {
                    break;
                }
                came.extend(std::iter::repeat_n(*signal, count));
            }
        }
        came
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    #[test]
    fn a_signal_arrives_as_an_event() {
        let mut poll = Poll::new().expect("polls");
        let mut signals = Signals::start(poll.registry(), Token(7)).expect("registers");
        signal_hook::low_level::raise(SIGHUP).expect("raises");
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(std::time::Duration::from_secs(5))).expect("polls");
        assert!(events.iter().all(|event| event.token() == Token(7)));
        assert_eq!(signals.take(), [Signal::HangUp]);
        assert_eq!(signals.take(), []);
    }
}
