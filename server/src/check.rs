//! `crosspoint check`: every problem, and whether the configuration can be used.

use std::io::{self, Write};

use crate::reload::Source;

/// What checking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Problems that refuse the configuration.
    pub errors: usize,
    /// Problems that do not.
    pub warnings: usize,
}

impl Verdict {
    /// Whether the exit status is 0.
    pub fn passes(self, strict: bool) -> bool {
        self.errors == 0 && !(strict && self.warnings > 0)
    }
}

/// Loads and prints: errors first, then warnings, one a line, then the sum.
pub fn check(source: &Source, out: &mut dyn Write) -> io::Result<Verdict> {
    let mut loaded = source.load();
    if let Some(settings) = &loaded.settings {
        let mut numbers = crate::settings::assemble::Numbers::default();
        crate::settings::assemble::assemble(settings, &mut numbers, &mut loaded.problems);
    }
    let problems = &loaded.problems;
    for problem in problems.errors().chain(problems.warnings()) {
        writeln!(out, "{problem}")?;
    }
    let verdict = Verdict { errors: problems.errors().count(), warnings: problems.warnings().count() };
    if problems.suppressed() > 0 {
        writeln!(out, "and {} more that are not shown", problems.suppressed())?;
    }
    let usable = if verdict.errors == 0 { "can be used" } else { "cannot be used" };
    let (errors, warnings) = (counted(verdict.errors, "error"), counted(verdict.warnings, "warning"));
    writeln!(out, "{}: {errors}, {warnings}: {usable}", source.directories.conf.display())?;
    Ok(verdict)
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
