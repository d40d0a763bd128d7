//! `xtask/excused.toml`: what may break a rule, how far, and why.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Problem;

/// The list of the excused. Each entry remembers whether it was needed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excuses {
    #[serde(default)]
    file: Vec<LongFile>,
    #[serde(default)]
    function: Vec<LongFunction>,
    #[serde(default)]
    edge: Vec<Edge>,
    #[serde(default)]
    world: Vec<World>,
    #[serde(default)]
    text: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongFile {
    path: String,
    lines: usize,
    reason: String,
    #[serde(skip)]
    used: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongFunction {
    path: String,
    name: String,
    lines: usize,
    reason: String,
    #[serde(skip)]
    used: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    from: String,
    to: String,
    reason: String,
    #[serde(skip)]
    used: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    path: String,
    name: String,
    reason: String,
    #[serde(skip)]
    used: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    path: String,
    what: String,
    reason: String,
    #[serde(skip)]
    used: bool,
}

impl Excuses {
    /// Reads the list; each entry must give a reason.
    pub fn load(path: &Path) -> Result<Excuses> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let excuses: Excuses =
            toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        if excuses.entries().iter().any(|entry| entry.reason.trim().is_empty()) {
            bail!("{}: an excuse without a reason", path.display());
        }
        Ok(excuses)
    }

    /// How many lines the file at `path` may have, when it is excused.
    pub fn file_lines_max(&mut self, path: &str) -> Option<usize> {
        let entry = self.file.iter_mut().find(|entry| entry.path == path)?;
        entry.used = true;
        Some(entry.lines)
    }

    /// How many lines the function `name` may have, when it is excused.
    pub fn function_lines_max(&mut self, path: &str, name: &str) -> Option<usize> {
        let entry = self.function.iter_mut().find(|entry| entry.path == path && entry.name == name)?;
        entry.used = true;
        Some(entry.lines)
    }

    /// Whether the package `from` may use `to` although the plan has no such edge.
    pub fn edge(&mut self, from: &str, to: &str) -> bool {
        let entry = self.edge.iter_mut().find(|entry| entry.from == from && entry.to == to);
        entry.map(|entry| entry.used = true).is_some()
    }

    /// Whether the pure file at `path` may name the world's `name` (or what lies below it).
    pub fn world(&mut self, path: &str, name: &str) -> bool {
        let entry = self
            .world
            .iter_mut()
            .find(|entry| entry.path == path && super::purity::is_below(name, &entry.name));
        entry.map(|entry| entry.used = true).is_some()
    }

    /// Whether the file at `path` may hold the text `what`.
    pub fn text(&mut self, path: &str, what: &str) -> bool {
        let entry = self.text.iter_mut().find(|entry| entry.path == path && entry.what == what);
        entry.map(|entry| entry.used = true).is_some()
    }

    /// An excuse that nothing needed is removed before it hides something else.
    pub fn report_unused(&self, problems: &mut Vec<Problem>) {
        problems.extend(self.entries().into_iter().filter(|entry| !entry.used).map(|entry| Problem {
            file: "xtask/excused.toml".to_owned(),
            line: 0,
            what: format!("nothing needs the excuse for {}; remove it", entry.subject),
        }));
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        entries.extend(self.file.iter().map(|e| Entry::new(e.path.clone(), &e.reason, e.used)));
        entries.extend(
            self.function.iter().map(|e| Entry::new(format!("{} in {}", e.name, e.path), &e.reason, e.used)),
        );
        entries.extend(
            self.edge.iter().map(|e| Entry::new(format!("{} → {}", e.from, e.to), &e.reason, e.used)),
        );
        entries.extend(
            self.world.iter().map(|e| Entry::new(format!("{} in {}", e.name, e.path), &e.reason, e.used)),
        );
        entries.extend(
            self.text.iter().map(|e| Entry::new(format!("{} in {}", e.what, e.path), &e.reason, e.used)),
        );
        entries
    }
}

/// What all kinds of excuses have in common.
struct Entry<'a> {
    subject: String,
    reason: &'a str,
    used: bool,
}

impl<'a> Entry<'a> {
    fn new(subject: String, reason: &'a str, used: bool) -> Entry<'a> {
        Entry { subject, reason, used }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excuse_nobody_needs_is_reported() {
        let text = "[[edge]]\nfrom = 'a'\nto = 'b'\nreason = 'because'\n";
        let mut excuses: Excuses = toml::from_str(text).expect("well-formed");
        let mut problems = Vec::new();
        excuses.report_unused(&mut problems);
        assert_eq!(problems.len(), 1);
        assert!(excuses.edge("a", "b"));
        problems.clear();
        excuses.report_unused(&mut problems);
        assert_eq!(problems, []);
    }
}
