//! Directories of an installation, and the global variables that exist before the configuration's first line.

use std::path::{Path, PathBuf};

use config::Globals;

use crate::machine::Machine;

/// Where an installation keeps what. Each can be named on the command line; the rest follows from where the
/// configuration lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The configuration.
    pub conf: PathBuf,
    /// What all others lie in when nothing else is said.
    pub base: PathBuf,
    /// Logs and records.
    pub log: PathBuf,
    /// Prompts.
    pub sounds: PathBuf,
    /// Recordings of calls.
    pub recordings: PathBuf,
}

impl Directories {
    /// Of a configuration below `/etc`, everything else lies where Debian wants it; of any other, beside it.
    pub fn of(conf: &Path) -> Directories {
        let conf = std::path::absolute(conf).unwrap_or_else(|_| conf.to_owned());
        let conf = clean(&conf);
        if conf.starts_with("/etc") {
            let base = PathBuf::from("/var/lib/crosspoint");
            let log = PathBuf::from("/var/log/crosspoint");
            return Directories {
                conf,
                log,
                sounds: base.join("sounds"),
                recordings: base.join("recordings"),
                base,
            };
        }
        let base = conf.parent().unwrap_or(&conf).to_owned();
        Directories {
            log: base.join("log"),
            sounds: base.join("sounds"),
            recordings: base.join("recordings"),
            conf,
            base,
        }
    }

    /// The same with everything but the configuration somewhere else.
    pub fn move_base(&mut self, base: &Path) {
        self.base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        self.log = self.base.join("log");
        self.sounds = self.base.join("sounds");
        self.recordings = self.base.join("recordings");
    }
}

/// The path without `.` components, so that messages read well; `..` is left, links may stand before it.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Built-in globals, under the names that configurations written for FreeSWITCH rely on.
pub fn built_in(directories: &Directories, machine: &dyn Machine) -> Globals {
    let v4 = machine.default_address(false).to_string();
    let v6 = machine.default_address(true).to_string();
    let mask = machine.prefix_bits(machine.default_address(false)).map_or(32, u32::from);
    let mask = std::net::Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - mask).unwrap_or(0)).to_string();
    let hostname = machine.hostname();
    let base = &directories.base;
    let mut globals = Globals::new()
        .with("hostname", &hostname)
        .with("local_ip_v4", &v4)
        .with("local_mask_v4", &mask)
        .with("local_ip_v6", &v6)
        .with("domain", &v4)
        .with("switch_serial", &hostname);
    let own = [
        ("base_dir", base.clone()),
        ("conf_dir", directories.conf.clone()),
        ("log_dir", directories.log.clone()),
        ("sounds_dir", directories.sounds.clone()),
        ("recordings_dir", directories.recordings.clone()),
    ];
    let below =
        ["run", "db", "mod", "htdocs", "scripts", "grammar", "storage", "cache", "certs", "images", "fonts"]
            .map(|name| (name, base.join(name)));
    let below = below.map(|(name, path)| match name {
        // The one whose variable is not called like its directory.
        "scripts" => ("script_dir".to_owned(), path),
        name => (format!("{name}_dir"), path),
    });
    let own = own.map(|(name, path)| (name.to_owned(), path));
    for (name, path) in own.into_iter().chain(below) {
        globals.set(&name, &path.to_string_lossy());
    }
    globals.set("data_dir", &base.to_string_lossy());
    globals.set("localstate_dir", &base.to_string_lossy());
    globals.set("temp_dir", &std::env::temp_dir().to_string_lossy());
    globals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ThisMachine;

    #[test]
    fn a_configuration_below_etc_writes_to_var_and_any_other_beside_itself() {
        let packaged = Directories::of(Path::new("/etc/crosspoint"));
        assert_eq!(packaged.log, Path::new("/var/log/crosspoint"));
        let own = Directories::of(Path::new("/opt/switch/./conf/"));
        assert_eq!(
            (own.base.as_path(), own.log.as_path()),
            (Path::new("/opt/switch"), Path::new("/opt/switch/log"))
        );
    }

    #[test]
    fn globals_are_there_before_the_first_line() {
        let globals = built_in(&Directories::of(Path::new("/opt/switch/conf")), &ThisMachine);
        assert_eq!(globals.get("conf_dir"), Some("/opt/switch/conf"));
        assert_eq!(globals.get("sounds_dir"), Some("/opt/switch/sounds"));
        assert_eq!(globals.get("script_dir"), Some("/opt/switch/scripts"));
        assert!(globals.get("local_ip_v4").is_some_and(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()));
        assert!(globals.get("hostname").is_some());
    }
}
