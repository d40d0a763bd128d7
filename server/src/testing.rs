//! What the tests of this room share.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own for one test, gone when the test is over.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// An empty one; `name` helps to find it when a test hangs.
    pub fn new(name: &str) -> Directory {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("crosspoint-{name}-{}-{serial}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory can be made");
        Directory { path }
    }

    /// A path in it, as text; `""` is the directory with a slash behind it.
    pub fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.path.display())
    }

    /// Writes a file in it, and the directories above.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("directories can be made");
        fs::write(path, content).expect("the file can be written");
    }

    /// Reads a file of it as text; empty when there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
