//! rtpengine as a relay (Debian's package `rtpengine-daemon`), told what to do by its ng protocol.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::Relay;
use crate::cpu::{self, Cpu};

const CONTROL: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 99, 3), 2_223);

/// How long it may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running rtpengine with its calls.
pub struct Rtpengine {
    process: Process,
    ports: Vec<SocketAddr>,
}

/// Ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; both fail then, and there is nothing more to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Relay for Rtpengine {
    fn ports(&self) -> &[SocketAddr] {
        &self.ports
    }

    fn cpu(&self) -> Result<Cpu> {
        cpu::of_threads(&PathBuf::from(format!("/proc/{}", self.process.0.id())), "")
    }
}

/// Starts it on the second core and joins the phones in pairs.
pub fn start(phones: &[SocketAddr]) -> Result<Rtpengine> {
    let process = spawn()?;
    let control = UdpSocket::bind((CONTROL.0, 0))?;
    control.connect(CONTROL)?;
    control.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut request = Requests { control, serial: 0 };
    let end = Instant::now() + PATIENCE;
    while request.ask(&[("command", "ping")]).is_err() {
        ensure!(Instant::now() < end, "rtpengine does not answer");
    }
    request.control.set_read_timeout(Some(PATIENCE))?;
    let mut ports = Vec::with_capacity(phones.len());
    for (number, call) in phones.chunks_exact(2).enumerate() {
        let id = format!("call-{number}");
        let offer = [("command", "offer"), ("call-id", &id), ("from-tag", "left"), ("sdp", &sdp(call[0]))];
        let towards_right = request.ask_port(&offer)?;
        let answer = [
            ("command", "answer"),
            ("call-id", &id),
            ("from-tag", "left"),
            ("to-tag", "right"),
            ("sdp", &sdp(call[1])),
        ];
        let towards_left = request.ask_port(&answer)?;
        ports.extend([towards_left, towards_right]);
    }
    Ok(Rtpengine { process, ports })
}

fn spawn() -> Result<Process> {
    let (host, port) = CONTROL;
    let arguments = [
        "--foreground",
        "--log-stderr",
        "--log-level=3",
        &format!("--interface={host}"),
        &format!("--listen-ng={host}:{port}"),
        "--table=-1",
        "--port-min=20000",
        "--port-max=60000",
        "--num-threads=1",
        "--timeout=600",
        "--silent-timeout=600",
        "--delete-delay=0",
        "--config-file=none",
    ];
    let mut command = Command::new("rtpengine");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().context("rtpengine (Debian: apt-get install rtpengine-daemon)")?;
    let process = Process(child);
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let mut second = CpuSet::new();
    second.set(cores.get(1).context("needs two cores")?.id)?;
    sched_setaffinity(Pid::from_raw(process.0.id() as i32), &second)?;
    Ok(process)
}

fn sdp(phone: SocketAddr) -> String {
    let (ip, port) = (phone.ip(), phone.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    )
}

/// Requests and answers: a cookie, a space, a bencoded dictionary.
struct Requests {
    control: UdpSocket,
    serial: u32,
}

impl Requests {
    fn ask(&mut self, fields: &[(&str, &str)]) -> Result<String> {
        self.serial += 1;
        let cookie = self.serial.to_string();
        let mut request = format!("{cookie} d");
        for text in fields.iter().flat_map(|(name, value)| [name, value]) {
            request.push_str(&format!("{}:{text}", text.len()));
        }
        request.push('e');
        self.control.send(request.as_bytes())?;
        let mut answer = [0; 8_192];
        loop {
            let len = self.control.recv(&mut answer)?;
            let answer = String::from_utf8_lossy(&answer[..len]);
            // An answer to an earlier request that took too long is passed over.
            if let Some(body) = answer.strip_prefix(&cookie).and_then(|rest| rest.strip_prefix(' ')) {
                return Ok(body.to_owned());
            }
        }
    }

    /// Asks, and reads address and port of the audio in the SDP that is answered.
    fn ask_port(&mut self, fields: &[(&str, &str)]) -> Result<SocketAddr> {
        let answer = self.ask(fields)?;
        let after = |mark: &str| {
            let (_, rest) = answer.split_once(mark)?;
            rest.split_whitespace().next()
        };
        let host = after("c=IN IP4 ").with_context(|| format!("no address in {answer}"))?;
        let port = after("m=audio ").with_context(|| format!("no port in {answer}"))?;
        Ok(SocketAddr::new(host.parse()?, port.parse()?))
    }
}
