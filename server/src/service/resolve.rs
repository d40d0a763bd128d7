//! Host names to addresses, by the machine's own resolver configuration and hosts file.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;

/// Longest wait for an answer. A caller hears nothing meanwhile, and `signaling` waits twice as long at most.
const RESOLVE_MAX: Duration = Duration::from_secs(5);
const _: () = assert!(RESOLVE_MAX.as_millis() < signaling::endpoint::RESOLVE_MS_MAX as u128);
/// How long one server is waited for before the question is asked again.
const ATTEMPT_MAX: Duration = Duration::from_millis(1_500);
/// Answers kept, each as long as its record allows.
const CACHE_LEN: u64 = 4_096;
/// Addresses of one name that are given on; more are no help to a call.
const ADDRESSES_MAX: usize = 16;

/// Asks the configured servers.
pub struct Resolver {
    current: RefCell<Option<TokioResolver>>,
}

impl Resolver {
    /// By the machine's configuration; without one no name resolves.
    pub fn new() -> Resolver {
        Resolver { current: RefCell::new(build()) }
    }

    /// Reads the configuration again and forgets what was answered.
    pub fn reload(&self) {
        *self.current.borrow_mut() = build();
    }

    /// The addresses of a host, none when it has none or nobody answered in time.
    pub async fn resolve(&self, host: &str) -> Vec<IpAddr> {
        let Some(resolver) = self.current.borrow().clone() else { return Vec::new() };
        match tokio::time::timeout(RESOLVE_MAX, resolver.lookup_ip(host)).await {
            Ok(Ok(found)) => found.iter().take(ADDRESSES_MAX).collect(),
            Ok(Err(error)) => {
                tracing::debug!(host, %error, "a host name does not resolve");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(host, "no name server answers in time");
                Vec::new()
            }
        }
    }
}

fn build() -> Option<TokioResolver> {
    let built = TokioResolver::builder_tokio().and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = ATTEMPT_MAX;
        options.attempts = 2;
        options.cache_size = CACHE_LEN;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build()
    });
    built.inspect_err(|error| tracing::warn!(%error, "host names cannot be resolved")).ok()
}
