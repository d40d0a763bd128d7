//! SIPp as caller and callee: our scenario files, filled in and run, its exit status judged.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::phones::Phones;
use crate::site::Site;

/// A run ends by itself after this long, whatever happens.
const RUN_MAX: Duration = Duration::from_secs(60);

/// How SIPp speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// The word in a URI.
    pub fn word(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// A run of SIPp being put together.
pub struct Run {
    scenario: &'static str,
    blanks: Vec<(&'static str, String)>,
    transport: Transport,
    calls: u32,
    rate: u32,
    phones: Option<(PathBuf, PathBuf)>,
    number: String,
}

/// SIPp at work.
pub struct Running {
    child: Child,
    what: String,
    directory: PathBuf,
    file: String,
    started: Instant,
}

impl Run {
    /// A run of `tests/sipp/{scenario}.xml`, one call over UDP unless told otherwise.
    pub fn of(scenario: &'static str) -> Run {
        let blanks = vec![("display", "Caller [field2]".to_owned())];
        Run {
            scenario,
            blanks,
            transport: Transport::Udp,
            calls: 1,
            rate: 20,
            phones: None,
            number: "100".to_owned(),
        }
    }

    /// Fills the blank `{{name}}` of the scenario.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Run {
        self.blanks.retain(|(other, _)| *other != name);
        self.blanks.push((name, value.to_string()));
        self
    }

    /// Speaks this transport.
    pub fn over(mut self, transport: Transport) -> Run {
        self.transport = transport;
        self
    }

    /// So many calls, so many of them each second.
    pub fn calls(mut self, calls: u32, rate: u32) -> Run {
        (self.calls, self.rate) = (calls, rate);
        self
    }

    /// Calls this number.
    pub fn number(mut self, number: &str) -> Run {
        number.clone_into(&mut self.number);
        self
    }

    /// The caller's audio is that of `phones`.
    pub fn caller_of(mut self, phones: &Phones) -> Run {
        self.phones = Some((phones.injections[0].clone(), phones.logs[0].clone()));
        self
    }

    /// The callee's audio is that of `phones`.
    pub fn callee_of(mut self, phones: &Phones) -> Run {
        self.phones = Some((phones.injections[1].clone(), phones.logs[1].clone()));
        self
    }

    /// Starts SIPp at `local`, calling the switch of `site`.
    pub fn call(&self, site: &Site, local: SocketAddr) -> Running {
        let mut command = self.command(site, local);
        command.args(["-s", &self.number, "-r", &self.rate.to_string()]);
        command.arg(site.called().to_string());
        self.spawn(site, local, command)
    }

    /// Starts SIPp at `local`, waiting for calls; it is bound when this returns.
    pub fn answer(&self, site: &Site, local: SocketAddr) -> Running {
        let running = self.spawn(site, local, self.command(site, local));
        await_bound(self.transport, local);
        running
    }

    fn command(&self, site: &Site, local: SocketAddr) -> Command {
        let file = self.file(local);
        let scenario = site.directory().join(format!("{file}.xml"));
        std::fs::write(&scenario, self.filled(local)).expect("a scenario file");
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(&scenario).arg("-i").arg(local.ip().to_string());
        command.args([
            "-p",
            &local.port().to_string(),
            "-m",
            &self.calls.to_string(),
            "-nostdin",
            "-l",
            "1000",
        ]);
        command.args([
            "-timeout",
            &format!("{}s", RUN_MAX.as_secs()),
            "-timeout_error",
            "-trace_err",
            "-error_file",
        ]);
        command.arg(site.directory().join(format!("{file}.err")));
        command.arg("-trace_msg").arg("-message_file").arg(site.directory().join(format!("{file}.msg")));
        command.args(["-t", if self.transport == Transport::Udp { "u1" } else { "t1" }]);
        let injection = match &self.phones {
            Some((injection, log)) => {
                command.arg("-trace_logs").arg("-log_file").arg(log);
                injection.clone()
            }
            None => {
                // Nobody listens there: a call that is refused has no audio.
                let injection = site.directory().join(format!("{file}.csv"));
                let lines: String =
                    (0..self.calls).map(|call| format!("{};9;{call}\n", local.ip())).collect();
                std::fs::write(&injection, format!("SEQUENTIAL\n{lines}")).expect("an injection file");
                injection
            }
        };
        command.arg("-inf").arg(injection);
        command
    }

    fn filled(&self, local: SocketAddr) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{}.xml", self.scenario));
        let mut text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text = text.replace("{{family}}", if local.is_ipv4() { "4" } else { "6" });
        for (name, value) in &self.blanks {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        if let Some(at) = text.find("{{") {
            panic!("{}: a blank is left: {}", path.display(), &text[at..(at + 20).min(text.len())]);
        }
        text
    }

    fn file(&self, local: SocketAddr) -> String {
        format!("{}-{}", self.scenario, local.port())
    }

    fn spawn(&self, site: &Site, local: SocketAddr, mut command: Command) -> Running {
        let file = self.file(local);
        let output =
            std::fs::File::create(site.directory().join(format!("{file}.out"))).expect("an output file");
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a second handle")).stdout(output);
        command.current_dir(site.directory()).env("TERM", "dumb");
        let child = command.spawn().expect("SIPp is installed (make test installs it)");
        let what = format!("SIPp {} at {local}", self.scenario);
        Running { child, what, directory: site.directory().to_owned(), file, started: Instant::now() }
    }
}

impl Running {
    /// Waits for the end; all calls must have gone as the scenario says.
    pub fn succeed(mut self) {
        let status = self.wait();
        assert!(status.success(), "{}: {status}\n{}", self.what, self.evidence());
    }

    /// Waits for the end; whether all calls went as the scenario says.
    pub fn succeeded(mut self) -> bool {
        self.wait().success()
    }

    /// All SIP messages that SIPp saw until now.
    pub fn messages(&self) -> String {
        self.read("msg")
    }

    fn wait(&mut self) -> ExitStatus {
        crate::wait::until(&self.what.clone(), RUN_MAX + Duration::from_secs(10), || {
            self.child.try_wait().expect("a child of ours")
        })
    }

    fn evidence(&self) -> String {
        let messages = self.messages();
        let tail: Vec<&str> = messages.lines().rev().take(60).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        let errors = self.read("err");
        let errors: Vec<&str> = errors.lines().take(40).collect();
        let took = self.started.elapsed().as_secs_f64();
        format!("after {took:.1} s\nerrors:\n{}\nlast messages:\n{}", errors.join("\n"), tail.join("\n"))
    }

    fn read(&self, ending: &str) -> String {
        let path = self.directory.join(format!("{}.{ending}", self.file));
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A callee must listen before it is called. Looked up in the kernel's table: a trial bind could take the port from
/// SIPp in the very moment when it wants it.
fn await_bound(transport: Transport, local: SocketAddr) {
    let (address, family) = match local.ip() {
        IpAddr::V4(ip) => (hexadecimal(&ip.octets()), ""),
        IpAddr::V6(ip) => (hexadecimal(&ip.octets()), "6"),
    };
    let entry = format!(" {address}:{:04X} ", local.port());
    let table = format!("/proc/net/{}{family}", transport.word());
    crate::wait::until(&format!("SIPp to listen at {local}"), Duration::from_secs(10), || {
        std::fs::read_to_string(&table).expect("the kernel's table").contains(&entry).then_some(())
    });
}

/// As the kernel prints an address: words of the machine's own order.
fn hexadecimal(octets: &[u8]) -> String {
    let words = octets.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    words.map(|word| format!("{word:08X}")).collect()
}
