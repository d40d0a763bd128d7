//! The outside world as the preprocessor sees it.

use crate::path::normal;
use crate::pattern::matches;
use std::collections::BTreeMap;

/// Where files, patterns and environment variables come from. `server` has the one over the disk.
pub trait Files {
    /// The content of a file. An implementation over a disk stops reading after
    /// [`crate::limits::FILE_BYTES_MAX`] + 1 bytes, so that a huge file costs no memory; the loader refuses
    /// what is longer than the limit.
    ///
    /// # Errors
    /// Says in words why the file cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The paths that match a shell pattern, sorted by bytes; none is no error. [`crate::matches`] compares
    /// one name or path with a pattern.
    ///
    /// # Errors
    /// Says in words why the pattern cannot be looked up.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// The value of an environment variable.
    fn environment(&self, name: &str) -> Option<String>;

    /// The standard output of a shell command, for `exec` and `exec-set`; asked only with
    /// [`crate::LoadOptions::allow_exec`].
    ///
    /// # Errors
    /// Says in words why there is no output. By default no command runs.
    fn execute(&self, command: &str) -> Result<Vec<u8>, String> {
        Err(format!("`{command}` cannot be run here"))
    }
}

/// Files held in memory: for tests, and for configurations that come from elsewhere than a disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Vec<u8>>,
    environment: BTreeMap<String, String>,
    outputs: BTreeMap<String, Vec<u8>>,
}

impl MemoryFiles {
    /// No files.
    pub fn new() -> MemoryFiles {
        MemoryFiles::default()
    }

    /// The same with one more file.
    pub fn with(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> MemoryFiles {
        self.insert(path, content);
        self
    }

    /// The same with one more environment variable.
    pub fn with_environment(mut self, name: impl Into<String>, value: impl Into<String>) -> MemoryFiles {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The same with the output of one more command.
    pub fn with_output(mut self, command: impl Into<String>, output: impl Into<Vec<u8>>) -> MemoryFiles {
        self.outputs.insert(command.into(), output.into());
        self
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(normal(&path.into()), content.into());
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(&normal(path)).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let pattern = normal(pattern);
        Ok(self.files.keys().filter(|path| matches(&pattern, path)).cloned().collect())
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn execute(&self, command: &str) -> Result<Vec<u8>, String> {
        self.outputs.get(command).cloned().ok_or_else(|| format!("`{command}` is not found"))
    }
}
