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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::globals::Directories;
    use crate::testing::Directory;

    fn run(files: &[(&str, &str)]) -> (Verdict, String) {
        let directory = Directory::new("check");
        files.iter().for_each(|(name, content)| directory.write(name, content));
        let source = Source { directories: Directories::of(directory.join("").as_ref()), allow_exec: false };
        let mut out = Vec::new();
        let verdict = check(&source, &mut out).expect("prints");
        let text = String::from_utf8(out).expect("is text");
        (
            verdict,
            text.replace(&directory.join(""), "").replace(directory.join("").trim_end_matches('/'), "DIR"),
        )
    }

    #[test]
    fn an_error_names_the_included_file_and_line_not_the_joined_text() {
        let root = r#"<document>
  <X-PRE-PROCESS cmd="include" data="parts/*.xml"/>
</document>"#;
        let (verdict, text) = run(&[
            ("freeswitch.xml", root),
            ("parts/a.xml", "<section name=\"configuration\">\n</section>\n"),
            ("parts/b.xml", "<section name=\"dialplan\">\n  <context name=\"x\"\n</section>\n"),
        ]);
        assert_eq!(verdict.errors, 1);
        assert!(!verdict.passes(false));
        assert!(text.starts_with("parts/b.xml:"), "{text}");
        assert!(text.ends_with("DIR: 1 error, 0 warnings: cannot be used\n"), "{text}");
    }

    #[test]
    fn warnings_pass_unless_they_are_looked_at_strictly() {
        let (verdict, text) =
            run(&[("freeswitch.xml", "<document>\n<section name=\"chatplan\"/>\n</document>")]);
        assert_eq!(verdict.errors, 0);
        assert!(verdict.passes(false) && !verdict.passes(true));
        assert!(text.starts_with("freeswitch.xml:2:16: section `chatplan` has no effect here\n"), "{text}");
    }

    #[test]
    fn what_ships_has_nothing_to_be_said_of() {
        let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf");
        let source = Source { directories: Directories::of(conf.as_ref()), allow_exec: false };
        let mut out = Vec::new();
        let verdict = check(&source, &mut out).expect("prints");
        assert!(verdict.passes(true), "{}", String::from_utf8_lossy(&out));
    }
}
