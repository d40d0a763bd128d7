//! No clock, socket, thread, file or global randomness in a pure room.

use super::Problem;
use super::excuses::Excuses;
use super::rooms;
use super::source::Source;

/// What a pure room may not name, with what to do instead. A name covers all that lies below it.
const WORLD: &[(&str, &str)] = &[
    ("std::time", "time is told: clock::Now, clock::Tick, core::time::Duration"),
    ("std::fs", "files are asked for by an event"),
    ("std::io::stdin", "a shell reads"),
    ("std::io::stdout", "a shell writes"),
    ("std::io::stderr", "a shell writes"),
    ("std::thread", "threads belong to shells"),
    ("std::process", "processes belong to shells"),
    ("std::env", "the environment comes in as an argument"),
    ("std::net::UdpSocket", "sockets belong to shells"),
    ("std::net::TcpStream", "sockets belong to shells"),
    ("std::net::TcpListener", "sockets belong to shells"),
    ("std::net::ToSocketAddrs", "names are resolved by a shell"),
    ("std::os", "descriptors belong to shells"),
    ("std::hash::RandomState", "seeds come in as arguments"),
    ("rand::rng", "seeds come in as arguments"),
    ("rand::random", "seeds come in as arguments"),
    ("rand::thread_rng", "seeds come in as arguments"),
    ("jiff::Zoned::now", "time is told"),
    ("jiff::Timestamp::now", "time is told"),
    ("jiff::tz::TimeZone::system", "the zone comes in as an argument"),
    ("Zoned::now", "time is told"),
    ("Timestamp::now", "time is told"),
    ("TimeZone::system", "the zone comes in as an argument"),
    ("getrandom", "seeds come in as arguments"),
    ("core_affinity", "threads belong to shells"),
    ("io_uring", "rings belong to shells"),
    ("libc", "system calls belong to shells"),
    ("nix", "system calls belong to shells"),
    ("rustix", "system calls belong to shells"),
    ("mio", "sockets belong to shells"),
    ("socket2", "sockets belong to shells"),
    ("tokio", "the control thread has its own executor"),
    ("tracing", "raise an event or a counter"),
    ("log", "raise an event or a counter"),
    ("print!", "raise an event or a counter"),
    ("println!", "raise an event or a counter"),
    ("eprint!", "raise an event or a counter"),
    ("eprintln!", "raise an event or a counter"),
    ("thread_local!", "nothing may assume that there is one control thread"),
];

/// Looks at every path that the file names outside of its tests.
pub fn check(source: &Source, excuses: &mut Excuses, problems: &mut Vec<Problem>) {
    if !rooms::is_pure(&source.path) {
        return;
    }
    for name in &source.names {
        let Some((forbidden, instead)) =
            WORLD.iter().find(|(forbidden, _)| is_forbidden(&name.path, forbidden))
        else {
            continue;
        };
        if !excuses.world(&source.path, &name.path) {
            let what = format!("{forbidden} has no place in a pure room: {instead}");
            problems.push(Problem { file: source.path.clone(), line: name.line, what });
        }
    }
}

/// A crate is forbidden where a path begins with it; its bare name may be a variable, such as `log`.
fn is_forbidden(path: &str, forbidden: &str) -> bool {
    let could_be_variable = !forbidden.contains("::") && !forbidden.ends_with('!');
    is_below(path, forbidden) && !(could_be_variable && path == forbidden)
}

/// Whether `path` is `ancestor` or lies below it.
pub fn is_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(path: &str, content: &str) -> Vec<usize> {
        let source = Source::parse(path, content.to_owned()).expect("parses");
        let mut problems = Vec::new();
        check(&source, &mut Excuses::default(), &mut problems);
        problems.iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn the_world_is_kept_out_of_pure_rooms_only() {
        let content = "//! Doc.\nuse std::time::Instant;\nuse std::net::{SocketAddr, UdpSocket};\n\
            fn f() { println!(\"x\"); tokio::spawn(g()); let log = 1; print(log); }\n";
        assert_eq!(problems_of("switch/src/call.rs", content), [2, 3, 4, 4]);
        assert_eq!(problems_of("server/src/call.rs", content), [] as [usize; 0]);
    }

    #[test]
    fn core_time_and_socket_addresses_are_fine() {
        let content = "//! Doc.\nuse core::time::Duration;\nuse std::net::{IpAddr, SocketAddr};\n";
        assert_eq!(problems_of("signaling/src/via.rs", content), [] as [usize; 0]);
    }
}
