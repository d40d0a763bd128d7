//! The line that says that calls can be placed, and what it has to say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clock::Tick;
use config::Element;
use link::{AddressId, Report, WorkerId};
use signaling::Transport;

/// How long the line waits for workers to have ports ready.
const PORTS_MAX: Duration = Duration::from_secs(5);
/// Profiles and numbers that are named; of more, how many there are is said.
const NAMED_MAX: usize = 8;
/// Descriptors that are not calls': logs, records, timers, TCP connections, the program itself.
const DESCRIPTORS_RESERVED: u64 = 128;
/// Descriptors of one leg: its RTP socket, and the one that is kept for what strangers send to its port.
pub const DESCRIPTORS_PER_LEG: u64 = 2;
/// Legs of a call.
const LEGS_PER_CALL: u64 = 2;

/// Waits until each worker has reported ports of each address, then prints the line.
#[derive(Debug)]
pub struct Readiness {
    line: Option<String>,
    missing: BTreeSet<(WorkerId, AddressId)>,
    give_up_at: Tick,
}

impl Readiness {
    /// Will print `line` when `workers` have ports ready on `addresses`.
    pub fn new(line: String, workers: &[WorkerId], addresses: usize, now: Tick) -> Readiness {
        let of = |worker: &WorkerId| {
            (0..addresses)
                .map(move |address| AddressId(address as u16))
                .map(|a| (*worker, a))
                .collect::<Vec<_>>()
        };
        let missing = workers.iter().flat_map(of).collect();
        Readiness { line: Some(line), missing, give_up_at: now + PORTS_MAX }
    }

    /// A worker speaks of its ports.
    pub fn handle_report(&mut self, worker: WorkerId, report: &Report) {
        match report {
            Report::PortReady { address, .. } => {
                self.missing.remove(&(worker, *address));
            }
            Report::PortsExhausted { address } if self.missing.remove(&(worker, *address)) => {
                tracing::error!(
                    worker = worker.0,
                    address = address.0,
                    "no RTP port can be bound on a media address"
                );
            }
            _ => {}
        }
    }

    /// Prints the line once all is there, or has been waited for long enough.
    pub fn check(&mut self, now: Tick) {
        if self.line.is_none() || !(self.missing.is_empty() || self.give_up_at <= now) {
            return;
        }
        for (worker, address) in &self.missing {
            tracing::error!(worker = worker.0, address = address.0, "a media worker has no port ready");
        }
        if let Some(line) = self.line.take() {
            let mut out = std::io::stdout().lock();
            // Whoever started us may have gone without listening; that is no reason to end.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }

    /// When the wait is over at the latest.
    pub fn deadline(&self) -> Option<Tick> {
        self.line.as_ref().map(|_| self.give_up_at)
    }
}

/// What bounds the number of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// `max-sessions`.
    pub sessions: u32,
    /// RTP ports of all media addresses together.
    pub ports: u64,
    /// Descriptors this process may have.
    pub descriptors: u64,
}

impl Capacity {
    /// Descriptors that so many legs would need.
    pub fn descriptors_wanted(sessions: u32) -> u64 {
        u64::from(sessions) * DESCRIPTORS_PER_LEG + DESCRIPTORS_RESERVED
    }

    /// Calls with audio that can be up at once.
    pub fn calls(self) -> u64 {
        let by_descriptors = self.descriptors.saturating_sub(DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_LEG;
        u64::from(self.sessions).min(self.ports).min(by_descriptors) / LEGS_PER_CALL
    }
}

/// A profile's name and where it listens.
pub type ProfilePlaces = (String, Vec<(Transport, SocketAddr)>);

/// What the line tells.
#[derive(Clone, Debug)]
pub struct Story {
    /// Profiles, each with where it listens.
    pub profiles: Vec<ProfilePlaces>,
    /// The media back end, in words.
    pub back_end: String,
    /// Media threads.
    pub workers: usize,
    /// How many calls there can be.
    pub capacity: Capacity,
    /// Numbers of the first profile's context that stand there literally, with the names of their extensions.
    pub numbers: Vec<(String, String)>,
}

impl Story {
    /// The line.
    pub fn line(&self) -> String {
        let mut line = "ready: ".to_owned();
        let profiles: Vec<String> = self.profiles.iter().take(NAMED_MAX).map(profile_text).collect();
        line += &profiles.join(", ");
        if self.profiles.len() > NAMED_MAX {
            let _ = write!(line, " and {} more profiles", self.profiles.len() - NAMED_MAX);
        }
        let cores = if self.workers == 1 { "core" } else { "cores" };
        let _ = write!(line, "; media by {} on {} {cores}", self.back_end, self.workers);
        let Capacity { sessions, ports, descriptors } = self.capacity;
        let calls = self.capacity.calls();
        let _ = write!(
            line,
            "; room for {calls} calls ({sessions} sessions, {ports} RTP ports, {descriptors} descriptors)"
        );
        line += &self.dial_text();
        line
    }

    fn dial_text(&self) -> String {
        let Some((_, first)) = self.profiles.first().and_then(|(_, at)| at.first()) else {
            return String::new();
        };
        let Some((number, extension)) = self.numbers.first() else {
            return format!("; dial sip:NUMBER@{first}");
        };
        let mut text = format!("; dial sip:{number}@{first} ({extension})");
        for (number, extension) in self.numbers.iter().skip(1).take(NAMED_MAX) {
            let _ = write!(text, ", {number} ({extension})");
        }
        text
    }
}

fn profile_text((name, listeners): &ProfilePlaces) -> String {
    let mut places: Vec<(SocketAddr, Vec<&str>)> = Vec::new();
    for (transport, local) in listeners {
        match places.iter_mut().find(|(other, _)| other == local) {
            Some((_, transports)) => transports.push(transport.uri_name()),
            None => places.push((*local, vec![transport.uri_name()])),
        }
    }
    let places: Vec<String> =
        places.iter().map(|(local, transports)| format!("{local} ({})", transports.join(", "))).collect();
    format!("{name} on {}", places.join(" and "))
}

/// Extensions of a context that are reached by exactly one number: what there is to dial for a first try.
pub fn literal_numbers(context: &Element) -> Vec<(String, String)> {
    let number_of = |extension: &Element| {
        let condition = extension.child("condition")?;
        let is_number = condition.attribute("field")?.eq_ignore_ascii_case("destination_number");
        let number = condition.attribute("expression")?.strip_prefix('^')?.strip_suffix('$')?;
        let is_literal = !number.is_empty()
            && number.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '*');
        (is_number && is_literal)
            .then(|| (number.to_owned(), extension.attribute("name").unwrap_or("?").to_owned()))
    };
    context.children_named("extension").filter_map(number_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_says_how_many_calls_there_is_room_for() {
        let capacity = Capacity { sessions: 4_000, ports: 8_192, descriptors: 20_000 };
        assert_eq!(capacity.calls(), 2_000);
        assert_eq!(Capacity { ports: 100, ..capacity }.calls(), 50);
        assert_eq!(Capacity { descriptors: 1_024, ..capacity }.calls(), 224);
        assert_eq!(Capacity { descriptors: 100, ..capacity }.calls(), 0);
        assert_eq!(Capacity::descriptors_wanted(4_000), 8_128);
    }

    #[test]
    fn one_line_says_where_by_what_how_many_and_what_to_dial() {
        let at: SocketAddr = "127.0.0.1:5060".parse().expect("an address");
        let story = Story {
            profiles: vec![("external".to_owned(), vec![(Transport::Udp, at), (Transport::Tcp, at)])],
            back_end: "io_uring".to_owned(),
            workers: 1,
            capacity: Capacity { sessions: 4_000, ports: 8_192, descriptors: 20_000 },
            numbers: vec![
                ("100".to_owned(), "gateway".to_owned()),
                ("200".to_owned(), "playback".to_owned()),
            ],
        };
        assert_eq!(
            story.line(),
            "ready: external on 127.0.0.1:5060 (udp, tcp); media by io_uring on 1 core; room for 2000 calls (4000 sessions, \
             8192 RTP ports, 20000 descriptors); dial sip:100@127.0.0.1:5060 (gateway), 200 (playback)"
        );
    }

    #[test]
    fn the_line_waits_for_every_worker_and_address_but_not_for_ever() {
        let workers = [WorkerId(0), WorkerId(1)];
        let mut readiness = Readiness::new("ready".to_owned(), &workers, 1, Tick::ZERO);
        let local = "127.0.0.1:16384".parse().expect("an address");
        let ready = Report::PortReady { port: link::PortId(1), address: AddressId(0), local };
        readiness.handle_report(WorkerId(0), &ready);
        readiness.check(Tick::from_millis(1));
        assert_eq!(readiness.deadline(), Some(Tick::ZERO + PORTS_MAX));
        readiness.handle_report(WorkerId(1), &Report::PortsExhausted { address: AddressId(0) });
        readiness.check(Tick::from_millis(2));
        assert_eq!(readiness.deadline(), None);
        let mut late = Readiness::new("ready".to_owned(), &workers, 1, Tick::ZERO);
        late.check(Tick::ZERO + PORTS_MAX);
        assert_eq!(late.deadline(), None);
    }

    #[test]
    fn only_extensions_with_one_number_are_offered() {
        let xml = r#"<context name="public">
            <extension name="a"><condition field="destination_number" expression="^100$"/></extension>
            <extension name="b"><condition field="destination_number" expression="^(\d+)$"/></extension>
            <extension name="c"><condition field="caller_id_number" expression="^200$"/></extension>
            <extension name="d"/></context>"#;
        let mut problems = config::Problems::new();
        let document = config::parse_plain("c.xml", xml.as_bytes(), &mut problems).expect("well-formed");
        assert_eq!(literal_numbers(document.root()), [("100".to_owned(), "a".to_owned())]);
    }
}
