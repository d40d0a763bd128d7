//! The built binary `crosspoint` on a generated configuration.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::conf::Conf;
use crate::site::Site;

/// From start to the first answered OPTIONS. A debug build on a busy machine takes a second or two.
const START_MAX: Duration = Duration::from_secs(30);
/// From SIGTERM to the exit, over the grace that is configured.
const STOP_MAX: Duration = Duration::from_secs(30);

/// A running switch. It is killed when it is dropped before it was stopped.
pub struct Switch {
    child: Child,
    output: PathBuf,
    address: SocketAddr,
    records: PathBuf,
}

impl Switch {
    /// Starts the switch on `conf` and waits until it answers OPTIONS and says that it is ready.
    pub fn start(site: &Site, conf: &Conf) -> Switch {
        let directory = conf.write(site);
        let output = site.directory().join("switch.out");
        let file = File::create(&output).expect("an output file");
        let child = Command::new(binary("crosspoint"))
            .arg("run")
            .arg("--conf")
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("crosspoint starts");
        let records = site.directory().join("log/cdr-csv/Master.csv");
        let mut switch = Switch { child, output, address: site.switch(), records };
        switch.await_options();
        switch.await_ready();
        switch
    }

    /// What it printed until now.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The records written until now, one list of fields per row.
    pub fn records(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(&self.records).unwrap_or_default();
        text.lines().map(crate::records::fields).collect()
    }

    /// Waits until `count` records are there; more than that is a fault, too. A reader sees a record within a second
    /// of the hang-up; the rest of the limit is for a busy machine.
    pub fn await_records(&self, count: usize) -> Vec<Vec<String>> {
        crate::wait::until(&format!("{count} records"), Duration::from_secs(5), || {
            let rows = self.records();
            assert!(rows.len() <= count, "{} records, {count} expected: {rows:#?}", rows.len());
            (rows.len() == count).then_some(rows)
        })
    }

    /// Sends the signal `name` (TERM, HUP …).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill runs").success(), "kill -{name} {}", self.pid());
    }

    /// Waits for the exit.
    pub fn exited(&mut self) -> ExitStatus {
        crate::wait::until("crosspoint to exit", STOP_MAX, || self.child.try_wait().expect("a child of ours"))
    }

    /// Ends it by SIGTERM; it must exit with status 0 and must not have panicked. Gives all that it has printed.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        let status = self.exited();
        assert!(status.success(), "crosspoint: {status}\n{}", self.output());
        assert!(!self.output().contains("panicked at"), "a panic:\n{}", self.output());
        self.output()
    }

    /// Ends it; what was still there has ended by itself within the grace, so nothing of any call was left behind.
    pub fn stop_empty(self) -> String {
        let said = self.stop();
        assert!(!said.contains("hanging up what is still there"), "channels are left:\n{said}");
        said
    }

    /// The line that says that calls can be placed: RTP ports are there, too.
    fn await_ready(&mut self) {
        crate::wait::until("the line that says ready", START_MAX, || {
            self.output().lines().any(|line| line.starts_with("ready: ")).then_some(())
        });
    }

    fn await_options(&mut self) {
        let socket = UdpSocket::bind((self.address.ip(), 0)).expect("a socket beside the switch");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let local = socket.local_addr().expect("an address");
        let started = Instant::now();
        let mut buffer = [0; 4096];
        for attempt in 1_u32.. {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                panic!("crosspoint ended at its start: {status}\n{}", self.output());
            }
            assert!(started.elapsed() < START_MAX, "no answer to OPTIONS\n{}", self.output());
            // Refused while the switch does not listen yet: as good as no answer.
            let _ = socket.send_to(options(self.address, local, attempt).as_bytes(), self.address);
            if let Ok((length, _)) = socket.recv_from(&mut buffer)
                && buffer[..length].starts_with(b"SIP/2.0 200")
            {
                return;
            }
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!("crosspoint said last:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The built binary `name`, built once per run of the tests so that none tests an old one.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let directory = BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "crosspoint", "--package", "crosspoint-perf"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binaries do not build");
        // This test lies in target/debug/deps, the binaries one above.
        let test = std::env::current_exe().expect("the path of this test");
        test.parent().and_then(Path::parent).expect("target/debug").to_owned()
    });
    directory.join(name)
}

fn options(to: SocketAddr, from: SocketAddr, attempt: u32) -> String {
    format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-ping-{attempt}\r\n\
         From: <sip:ping@{from}>;tag=ping\r\nTo: <sip:{to}>\r\nCall-ID: ping-{attempt}-{from}\r\n\
         CSeq: {attempt} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}
