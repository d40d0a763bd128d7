//! The disk, as the configuration's loader sees it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use config::Files;
use config::limits::FILE_BYTES_MAX;

/// Bytes of a command's output that are taken (`exec`, `exec-set`).
const OUTPUT_BYTES_MAX: usize = FILE_BYTES_MAX;
/// Directories one pattern may visit; a pattern that matches more is a mistake.
const DIRECTORIES_MAX: usize = 4_096;

/// Files, environment and, where the operator allowed it, commands of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            // A pipe or device would block the start for ever.
            return Err("not a regular file".to_owned());
        }
        let mut content = Vec::new();
        let limit = FILE_BYTES_MAX as u64 + 1;
        file.take(limit).read_to_end(&mut content).map_err(|error| error.to_string())?;
        Ok(content)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = if pattern.starts_with('/') { vec!["/".to_owned()] } else { vec![String::new()] };
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            found = expand(&found, part, last)?;
        }
        found.sort();
        Ok(found)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn execute(&self, command: &str) -> Result<Vec<u8>, String> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{command}` cannot be run: {error}"))?;
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let limit = OUTPUT_BYTES_MAX as u64;
            stdout.take(limit).read_to_end(&mut output).map_err(|error| error.to_string())?;
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(output) } else { Err(format!("`{command}` failed: {status}")) }
    }
}

/// The entries below each of `directories` that match one part of a pattern: files if it is the last part,
/// directories otherwise.
fn expand(directories: &[String], part: &str, last: bool) -> Result<Vec<String>, String> {
    if directories.len() > DIRECTORIES_MAX {
        return Err(format!("pattern matches more than {DIRECTORIES_MAX} directories"));
    }
    let fits = |path: &str| if last { Path::new(path).is_file() } else { Path::new(path).is_dir() };
    let mut found = Vec::new();
    for directory in directories {
        if !config::has_wildcard(part) {
            let path = join(directory, part);
            if fits(&path) {
                found.push(path);
            }
            continue;
        }
        let readable = if directory.is_empty() { "." } else { directory };
        // A directory that cannot be read matches nothing, as in a shell.
        for entry in fs::read_dir(readable).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = join(directory, &name);
            if config::matches(part, &name) && fits(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() || directory.ends_with('/') {
        format!("{directory}{name}")
    } else {
        format!("{directory}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn a_pattern_gives_its_files_sorted_and_neither_directories_nor_hidden_ones() {
        let directory = Directory::new("glob");
        for path in ["b.xml", "a.xml", ".hidden.xml", "x/one.xml", "y/two.xml", "y/three.txt"] {
            directory.write(path, "");
        }
        fs::create_dir(directory.join("dir.xml")).expect("creates");
        let glob = |pattern: &str| {
            let found = DiskFiles.glob(&directory.join(pattern)).expect("globs");
            found.iter().map(|path| path[directory.join("").len()..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(glob("*.xml"), ["a.xml", "b.xml"]);
        assert_eq!(glob("*/*.xml"), ["x/one.xml", "y/two.xml"]);
        assert_eq!(glob("./x/../b.xml"), ["./x/../b.xml"]);
        assert_eq!(glob("absent/*.xml"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_file_is_refused_in_words() {
        let directory = Directory::new("read");
        directory.write("a.xml", "abc");
        assert_eq!(DiskFiles.read(&directory.join("a.xml")), Ok(b"abc".to_vec()));
        assert_eq!(DiskFiles.read(&directory.join("")), Err("not a regular file".to_owned()));
        assert!(DiskFiles.read(&directory.join("b.xml")).expect_err("absent").contains("No such file"));
    }

    #[test]
    fn a_command_gives_its_output_or_says_that_it_failed() {
        assert_eq!(DiskFiles.execute("printf hello"), Ok(b"hello".to_vec()));
        assert!(DiskFiles.execute("exit 3").expect_err("fails").contains("exit status: 3"));
    }
}
