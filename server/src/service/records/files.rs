//! Files that rows are appended to: kept open, opened again when someone moved them, renamed on demand.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files kept open. More account codes than that only cost an open per batch.
const OPEN_MAX: usize = 64;
/// Names tried for a rotated file within one second.
const NAMES_MAX: u32 = 100;

/// Append-only files.
#[derive(Debug, Default)]
pub struct Files {
    open: BTreeMap<PathBuf, File>,
}

impl Files {
    /// Appends whole lines, all or none.
    pub fn append(&mut self, path: &Path, lines: &[u8]) -> io::Result<()> {
        let file = self.current(path)?;
        let len_before = file.metadata()?.len();
        let result = file.write_all(lines);
        if result.is_err() {
            // Half a row would be worse than none: the same rows are written again later.
            let _ = file.set_len(len_before);
            self.open.remove(path);
        }
        result
    }

    /// Brings what was appended to the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.open.values().try_for_each(File::sync_data)
    }

    /// Renames every file that exists among `paths` and the open ones; the next row begins a new one.
    pub fn rotate(&mut self, directory: &Path, stamp: &str) -> io::Result<()> {
        self.close();
        let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "csv") && path.is_file() {
                fs::rename(&path, free_name(&path, stamp))?;
            }
        }
        Ok(())
    }

    /// Closes all files; the next row opens them again.
    pub fn close(&mut self) {
        let _ = self.sync();
        self.open.clear();
    }

    /// The open file of a path, opened anew when the path leads elsewhere by now.
    fn current(&mut self, path: &Path) -> io::Result<&mut File> {
        let is_current = match (self.open.get(path), fs::metadata(path)) {
            (Some(file), Ok(there)) => {
                let here = file.metadata()?;
                (here.dev(), here.ino()) == (there.dev(), there.ino())
            }
            _ => false,
        };
        if !is_current {
            self.open.remove(path);
            if self.open.len() >= OPEN_MAX {
                self.close();
            }
            let file = open(path)?;
            self.open.insert(path.to_owned(), file);
        }
        self.open.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// A name for a rotated file that does not exist yet.
fn free_name(path: &Path, stamp: &str) -> PathBuf {
    let base = format!("{}.{stamp}", path.display());
    let mut name = PathBuf::from(&base);
    for serial in 1..NAMES_MAX {
        if !name.exists() {
            break;
        }
        name = PathBuf::from(format!("{base}.{serial}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn rows_go_to_a_new_file_after_someone_moved_the_old_one() {
        let directory = Directory::new("moved");
        let path = PathBuf::from(directory.join("cdr-csv/Master.csv"));
        let mut files = Files::default();
        files.append(&path, b"one\n").expect("appends");
        files.append(&path, b"two\n").expect("appends");
        fs::rename(&path, directory.join("old.csv")).expect("moves");
        files.append(&path, b"three\n").expect("appends");
        fs::remove_file(&path).expect("removes");
        files.append(&path, b"four\n").expect("appends");
        assert_eq!(directory.read("old.csv"), "one\ntwo\n");
        assert_eq!(directory.read("cdr-csv/Master.csv"), "four\n");
    }

    #[test]
    fn rotation_never_overwrites_an_older_file() {
        let directory = Directory::new("rotate");
        let path = PathBuf::from(directory.join("Master.csv"));
        let mut files = Files::default();
        for row in ["one\n", "two\n", "three\n"] {
            files.append(&path, row.as_bytes()).expect("appends");
            files.rotate(Path::new(&directory.join("")), "2026-01-02-03-04-05").expect("rotates");
        }
        assert_eq!(directory.read("Master.csv"), "");
        assert_eq!(directory.read("Master.csv.2026-01-02-03-04-05"), "one\n");
        assert_eq!(directory.read("Master.csv.2026-01-02-03-04-05.1"), "two\n");
        assert_eq!(directory.read("Master.csv.2026-01-02-03-04-05.2"), "three\n");
    }

    #[test]
    fn what_cannot_be_opened_is_an_error_and_not_a_panic() {
        let directory = Directory::new("refused");
        directory.write("file", "");
        let path = PathBuf::from(directory.join("file/Master.csv"));
        assert!(Files::default().append(&path, b"row\n").is_err());
    }
}
