//! `cargo xtask tidy`: the house rules that neither rustc nor clippy can hold.
//!
//! Each rule pushes problems; all are printed, `file:line: what`, and the exit status tells. What has a reason to break
//! a rule stands in `xtask/excused.toml`; an excuse that nothing needs any more is a problem too.

mod edges;
mod excuses;
mod purity;
mod rooms;
mod size;
mod source;
mod text;
mod unsafety;

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace;
use excuses::Excuses;
use source::Source;

/// One broken rule and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path relative to the root.
    pub file: String,
    /// Line from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// Checks the whole tree.
pub fn run() -> Result<()> {
    let root = workspace::root();
    let mut excuses = Excuses::load(&root.join("xtask/excused.toml"))?;
    let mut problems = Vec::new();
    edges::check(&workspace::metadata(false)?, &root, &mut excuses, &mut problems);
    let files = workspace::files()?;
    let mut functions = 0;
    let mut sources = 0;
    for path in &files {
        let Ok(bytes) = std::fs::read(root.join(path)) else {
            continue; // deleted in the work tree, not yet in the index
        };
        let Ok(content) = String::from_utf8(bytes) else {
            continue; // a capture or a sound
        };
        text::check(path, &content, &mut excuses, &mut problems);
        if path.ends_with(".rs") {
            let source = match Source::parse(path, content) {
                Ok(source) => source,
                Err(error) => {
                    let line = error.span().start().line;
                    problems.push(Problem {
                        file: path.clone(),
                        line,
                        what: format!("does not parse: {error}"),
                    });
                    continue;
                }
            };
            sources += 1;
            functions += source.functions.len();
            size::check(&source, &mut excuses, &mut problems);
            purity::check(&source, &mut excuses, &mut problems);
            unsafety::check(&source, &mut problems);
        }
    }
    excuses.report_unused(&mut problems);
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    println!("    {} files, {sources} of them Rust with {functions} functions", files.len());
    match problems.len() {
        0 => Ok(()),
        1 => bail!("tidy: 1 problem"),
        count => bail!("tidy: {count} problems"),
    }
}
