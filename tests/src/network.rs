//! The network between switch and phones: what it loses, delays, doubles and puts out of order.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clock::Tick;

use crate::phone::Tag;
use crate::random::Random;
use crate::script::ms;
use crate::sip::Sip;

/// How good the way to a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// Every datagram takes at least this long.
    pub delay: Duration,
    /// And up to this much longer.
    pub jitter: Duration,
    /// Datagrams of a thousand that never arrive.
    pub loss_per_mille: u16,
    /// Datagrams of a thousand that arrive twice.
    pub duplicate_per_mille: u16,
    /// Datagrams of a thousand that are overtaken by later ones.
    pub reorder_per_mille: u16,
}

impl Quality {
    /// A good network.
    pub const CLEAN: Quality = Quality {
        delay: ms(5),
        jitter: Duration::ZERO,
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        reorder_per_mille: 0,
    };

    /// Whether what is sent first arrives first, and everything arrives.
    pub fn keeps_order(&self) -> bool {
        self.jitter == Duration::ZERO && self.reorder_per_mille == 0 && self.loss_per_mille == 0
    }

    /// The longest that a datagram can take.
    pub fn delay_max(&self) -> Duration {
        let late = if self.reorder_per_mille > 0 { LATE_MAX } else { Duration::ZERO };
        self.delay + self.jitter + late
    }
}

/// How much later a datagram comes that is overtaken.
const LATE_MAX: Duration = ms(60);

/// A datagram.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Whose socket sent it.
    pub from: SocketAddr,
    /// Whose socket is to get it.
    pub to: SocketAddr,
    /// What it is.
    pub bytes: Bytes,
    /// Whose audio it carries, where that is known.
    pub tag: Option<Tag>,
}

/// A datagram on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Whose socket sent it.
    pub from: SocketAddr,
    /// Whose socket is to get it.
    pub to: SocketAddr,
    /// What it is.
    pub bytes: &'a [u8],
}

impl Passing<'_> {
    /// Whether it is a request of this method.
    pub fn is_request(&self, method: &str) -> bool {
        self.bytes.starts_with(method.as_bytes()) && self.bytes.get(method.len()) == Some(&b' ')
    }

    /// Whether it is a response of this status to this method.
    pub fn is_response(&self, status: u16, method: &str) -> bool {
        let start = format!("SIP/2.0 {status} ");
        self.bytes.starts_with(start.as_bytes())
            && Sip::parse(self.bytes).is_ok_and(|message| message.cseq().1 == method)
    }
}

type Matches = Box<dyn Fn(&Passing<'_>) -> bool>;

/// Datagrams that are lost on purpose.
struct Rule {
    matches: Matches,
    left: u32,
}

/// What the network did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams given to it.
    pub sent: u64,
    /// Those that it lost.
    pub lost: u64,
    /// Those that it doubled.
    pub doubled: u64,
    /// Those that arrived where nobody was.
    pub unclaimed: u64,
}

/// The network.
pub struct Network {
    random: Random,
    quality: Quality,
    by_host: BTreeMap<IpAddr, Quality>,
    rules: Vec<Rule>,
    /// What it did.
    pub counters: Counters,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Network {
    /// A network that is as good as `quality` to all hosts.
    pub fn new(random: Random, quality: Quality) -> Network {
        Network {
            random,
            quality,
            by_host: BTreeMap::new(),
            rules: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The way to one host is different.
    pub fn set_quality(&mut self, host: IpAddr, quality: Quality) {
        self.by_host.insert(host, quality);
    }

    /// Loses the next `count` datagrams that match.
    pub fn lose(&mut self, count: u32, matches: impl Fn(&Passing<'_>) -> bool + 'static) {
        self.rules.push(Rule { matches: Box::new(matches), left: count });
    }

    /// The way that a datagram takes: that of the phone at either end.
    pub fn quality(&self, from: IpAddr, to: IpAddr) -> Quality {
        self.by_host.get(&from).or_else(|| self.by_host.get(&to)).copied().unwrap_or(self.quality)
    }

    /// When a datagram arrives: never, once, or twice.
    pub fn pass(&mut self, now: Tick, passing: &Passing<'_>) -> (Option<Tick>, Option<Tick>) {
        self.counters.sent += 1;
        let quality = self.quality(passing.from.ip(), passing.to.ip());
        if self.is_ruled_out(passing) || self.random.chance(quality.loss_per_mille) {
            self.counters.lost += 1;
            return (None, None);
        }
        let first = self.arrival(now, &quality);
        let second = self.random.chance(quality.duplicate_per_mille).then(|| self.arrival(now, &quality));
        self.counters.doubled += u64::from(second.is_some());
        (Some(first), second)
    }

    fn arrival(&mut self, now: Tick, quality: &Quality) -> Tick {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(0);
        let mut delay = quality.delay + Duration::from_micros(self.random.below(micros(quality.jitter) + 1));
        if self.random.chance(quality.reorder_per_mille) {
            delay += Duration::from_micros(self.random.below(micros(LATE_MAX)));
        }
        now + delay
    }

    fn is_ruled_out(&mut self, passing: &Passing<'_>) -> bool {
        let rule = self.rules.iter_mut().find(|rule| rule.left > 0 && (rule.matches)(passing));
        if let Some(rule) = rule {
            rule.left -= 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_loses_so_many_and_no_more() {
        let mut network = Network::new(Random::new(1), Quality::CLEAN);
        network.lose(2, |passing| passing.is_request("BYE"));
        let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let mut pass = |bytes: &'static [u8]| {
            network.pass(Tick::ZERO, &Passing { from: address, to: address, bytes }).0.is_some()
        };
        assert!(pass(b"BYEBYE sip:x SIP/2.0"));
        assert_eq!([b"BYE sip:x SIP/2.0"; 3].map(|bytes| pass(bytes)), [false, false, true]);
    }
}
