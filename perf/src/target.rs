//! The system that is called: its address, and whether it is there at all.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use signaling::{Builder, Message, Method, Uri};

/// How long one OPTIONS waits for its answer before the next is sent.
const PING_INTERVAL: Duration = Duration::from_millis(250);

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where its SIP port is.
    pub address: SocketAddr,
    /// The number to dial.
    pub number: String,
}

impl Target {
    /// Reads `sip:[number@]host[:port]`; `number` is dialled when the URI has none.
    pub fn parse(text: &str, number: &str) -> Result<Target> {
        let uri = Uri::parse(text)
            .with_context(|| format!("--target {text}: expected sip:[number@]host[:port]"))?;
        if !uri.is_sip() {
            bail!("--target {text}: expected a URI that begins with sip:");
        }
        if let Some(transport) = uri.param("transport").filter(|name| !name.eq_ignore_ascii_case("udp")) {
            bail!("--target {text}: transport {transport} is not spoken here, only udp");
        }
        let host = uri.host.as_str().trim_matches(['[', ']']);
        let address = (host, uri.port.unwrap_or(5060))
            .to_socket_addrs()
            .with_context(|| format!("--target {text}: {host} does not resolve"))?
            .next()
            .ok_or_else(|| anyhow!("--target {text}: {host} has no address"))?;
        Ok(Target { address, number: uri.user.unwrap_or(number).to_owned() })
    }

    /// The Request-URI of a call.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.number, self.address)
    }

    /// Waits until the target answers OPTIONS with anything at all. Says how long that one answer took.
    pub fn await_answer(&self, local: IpAddr, limit: Duration) -> Result<Duration> {
        let socket = UdpSocket::bind((local, 0)).with_context(|| format!("cannot bind to {local}"))?;
        socket.set_read_timeout(Some(PING_INTERVAL)).context("cannot set a time limit")?;
        let own = socket.local_addr().context("a bound socket without an address")?;
        let started = Instant::now();
        let mut buffer = [0; 65_536];
        for attempt in 1_u32.. {
            let sent_at = Instant::now();
            // An earlier ping may have been refused by the host: that error belongs to it, and time decides.
            let _ = socket.send_to(&self.options(own, attempt), self.address);
            match socket.recv_from(&mut buffer) {
                Ok((length, from)) if from == self.address => {
                    return match Message::parse(Bytes::copy_from_slice(&buffer[..length])) {
                        Ok(message) if !message.is_request() => Ok(sent_at.elapsed()),
                        Ok(_) => bail!("{} answers OPTIONS with a request", self.address),
                        Err(error) => bail!("{} answers OPTIONS, but not in SIP: {error}", self.address),
                    };
                }
                Ok(_) | Err(_) if started.elapsed() < limit => {}
                Ok(_) | Err(_) => bail!(
                    "{} did not answer OPTIONS within {:.1} s: is it running, and is this its address?",
                    self.address,
                    limit.as_secs_f64()
                ),
            }
            // A refusal comes at once; the next ping keeps its distance.
            std::thread::sleep(PING_INTERVAL.saturating_sub(sent_at.elapsed()));
        }
        unreachable!("the loop counts further than any limit lasts")
    }

    fn options(&self, own: SocketAddr, attempt: u32) -> Bytes {
        Builder::request(&Method::Options, &format!("sip:{}", self.address))
            .header("Via", &format!("SIP/2.0/UDP {own};branch=z9hG4bK-perf-ping-{attempt}"))
            .header("From", &format!("<sip:perf@{own}>;tag=ping"))
            .header("To", &format!("<sip:{}>", self.address))
            .header("Call-ID", &format!("ping-{attempt}-{own}"))
            .header("CSeq", &format!("{attempt} OPTIONS"))
            .header("Max-Forwards", "70")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_name_the_number() {
        let target = Target::parse("sip:demo@127.0.0.1:5070", "1000").expect("a target");
        assert_eq!(target.uri(), "sip:demo@127.0.0.1:5070");
        let target = Target::parse("sip:[::1]", "1000").expect("a target");
        assert_eq!(target.uri(), "sip:1000@[::1]:5060");
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_was_expected() {
        for (bad, said) in
            [("127.0.0.1", "expected sip:"), ("tel:123", "begins with sip:"), ("sip:h;transport=tcp", "udp")]
        {
            let error = Target::parse(bad, "1000").expect_err("refused");
            assert!(format!("{error:#}").contains(said), "{bad}: {error:#}");
        }
    }

    #[test]
    fn an_absent_target_is_told_within_the_limit() {
        // A bound port that nobody reads.
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = silent.local_addr().expect("an address");
        let target = Target { address, number: "1000".to_owned() };
        let error = target.await_answer(address.ip(), Duration::from_millis(1)).expect_err("nobody answers");
        assert!(error.to_string().contains("did not answer OPTIONS"), "{error}");
    }

    #[test]
    fn a_target_that_answers_nonsense_is_told() {
        let nonsense = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = nonsense.local_addr().expect("an address");
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let (_, from) = nonsense.recv_from(&mut buffer).expect("a ping");
            nonsense.send_to(b"HTTP/1.1 400 Bad Request\r\n\r\n", from).expect("sent");
        });
        let target = Target { address, number: "1000".to_owned() };
        let error = target.await_answer(address.ip(), Duration::from_secs(5)).expect_err("nonsense");
        assert!(error.to_string().contains("not in SIP"), "{error}");
        answering.join().expect("no panic");
    }
}
