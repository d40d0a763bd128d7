//! The plan of the house as a table: which room may use which, which rooms are pure, where `unsafe` is fenced in.

/// One room (package) of the workspace.
pub struct Room {
    /// The package's name.
    pub package: &'static str,
    /// Its directory below the root.
    pub directory: &'static str,
    /// The rooms it may depend on. Edges point downwards only.
    pub may_use: &'static [&'static str],
    /// Whether clocks, sockets, threads and files are kept out of it.
    pub purity: Purity,
}

/// How much of a room is kept free of the world.
pub enum Purity {
    /// All of it.
    Pure,
    /// All but these files and directories, which are its shells.
    PureBut(&'static [&'static str]),
    /// It is a shell.
    Shell,
}

/// Everything there is; `tests` and `benches` may look at all rooms.
const ALL: &[&str] = &[
    "clock",
    "codecs",
    "config",
    "crosspoint",
    "dialplan",
    "engine",
    "link",
    "signaling",
    "store",
    "switch",
];

/// The rooms. `clock` lies under everything: told time is needed by every leaf.
pub const ROOMS: &[Room] = &[
    Room { package: "clock", directory: "clock", may_use: &[], purity: Purity::Pure },
    Room { package: "codecs", directory: "codecs", may_use: &[], purity: Purity::Pure },
    Room { package: "config", directory: "config", may_use: &["clock"], purity: Purity::Pure },
    // `link` borrows the names of codecs, nothing else.
    Room { package: "link", directory: "link", may_use: &["clock", "codecs"], purity: Purity::Pure },
    Room { package: "signaling", directory: "signaling", may_use: &["clock"], purity: Purity::Pure },
    Room { package: "dialplan", directory: "dialplan", may_use: &["clock", "config"], purity: Purity::Pure },
    Room {
        package: "engine",
        directory: "engine",
        may_use: &["clock", "codecs", "link"],
        purity: Purity::PureBut(ENGINE_SHELLS),
    },
    Room {
        package: "switch",
        directory: "switch",
        may_use: &["clock", "codecs", "dialplan", "link", "signaling"],
        purity: Purity::Pure,
    },
    Room { package: "store", directory: "store", may_use: &["clock"], purity: Purity::Shell },
    Room { package: "console", directory: "console", may_use: &["clock", "switch"], purity: Purity::Shell },
    Room {
        package: "crosspoint",
        directory: "server",
        may_use: &[
            "clock",
            "codecs",
            "config",
            "console",
            "dialplan",
            "engine",
            "link",
            "signaling",
            "store",
            "switch",
        ],
        purity: Purity::Shell,
    },
    Room {
        package: "crosspoint-perf",
        directory: "perf",
        may_use: &["clock", "codecs", "engine", "link", "signaling"],
        purity: Purity::Shell,
    },
    Room { package: "tests", directory: "tests", may_use: ALL, purity: Purity::Shell },
    Room { package: "benches", directory: "benches", may_use: ALL, purity: Purity::Shell },
    Room { package: "xtask", directory: "xtask", may_use: &[], purity: Purity::Shell },
];

/// The files of `engine` that touch the world; its stream table does not. A new file is pure until it is listed here.
const ENGINE_SHELLS: &[&str] = &[
    "engine/src/address.rs",
    "engine/src/bell.rs",
    "engine/src/mmsg.rs",
    "engine/src/mover.rs",
    "engine/src/ring.rs",
    "engine/src/ring/",
    "engine/src/socket.rs",
    "engine/src/start.rs",
    "engine/src/worker.rs",
    "engine/src/worker/",
];

/// The only files in which `unsafe` may stand (style rule 12).
pub const UNSAFE_FENCE: &[&str] = &[
    "engine/src/ring/",
    "engine/src/mmsg.rs",
    "link/src/spsc.rs",
    "codecs/src/simd/",
    "server/src/batch.rs",
];

/// Crates that a pure room has no use for.
pub const WORLDLY_CRATES: &[&str] = &[
    "core_affinity",
    "getrandom",
    "io-uring",
    "libc",
    "log",
    "mio",
    "nix",
    "rustix",
    "socket2",
    "tokio",
    "tracing",
];

/// Whether `path` is one of `entries`, or lies in one that ends with a slash.
pub fn covers(entries: &[&str], path: &str) -> bool {
    entries.iter().any(|entry| if entry.ends_with('/') { path.starts_with(entry) } else { path == *entry })
}

/// Whether the file at `path` must be free of the world.
pub fn is_pure(path: &str) -> bool {
    let room = ROOMS
        .iter()
        .find(|room| path.strip_prefix(room.directory).is_some_and(|rest| rest.starts_with("/src/")));
    match room.map(|room| &room.purity) {
        Some(Purity::Pure) => true,
        Some(Purity::PureBut(shells)) => !covers(shells, path),
        Some(Purity::Shell) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_point_downwards_only() {
        // A room may use only rooms that stand above it in the table, so no circle can be written down.
        for (position, room) in ROOMS.iter().enumerate() {
            for used in room.may_use {
                let below = ROOMS.iter().position(|other| other.package == *used).expect("a known room");
                assert!(below < position, "{} → {used}", room.package);
            }
        }
    }

    #[test]
    fn shells_of_a_mixed_room_are_not_pure() {
        assert!(is_pure("engine/src/table.rs"));
        assert!(!is_pure("engine/src/ring/submit.rs"));
        assert!(!is_pure("server/src/main.rs"));
        assert!(!is_pure("switch/tests/story.rs"));
    }
}
