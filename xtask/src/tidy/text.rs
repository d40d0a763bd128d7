//! Rules about files as text: they open with `//!`, no `mod.rs`, no path of somebody's machine.

use super::Problem;
use super::excuses::Excuses;

/// Beginnings of paths that exist on one machine only. Written apart so that this file does not hold them.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/cp"),
    concat!("/Us", "ers/"),
];

/// Checks one tracked file.
pub fn check(path: &str, content: &str, excuses: &mut Excuses, problems: &mut Vec<Problem>) {
    let mut problem =
        |line: usize, what: String| problems.push(Problem { file: path.to_owned(), line, what });
    if path.ends_with(".rs") {
        if !content.starts_with("//!") {
            problem(1, "a file opens with `//!`: what it is and why".to_owned());
        }
        if path.ends_with("/mod.rs") {
            problem(0, "foo.rs beside foo/, not foo/mod.rs".to_owned());
        }
    }
    for (index, line) in content.lines().enumerate() {
        for machine_path in MACHINE_PATHS {
            if stands_alone(line, machine_path) && !excuses.text(path, machine_path) {
                problem(index + 1, format!("{machine_path}… is a path of one machine"));
            }
        }
    }
}

/// Whether `path` occurs in `line` as the beginning of a path, not inside of a longer one (`a/work/b`).
fn stands_alone(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-/)}".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(path: &str, content: &str) -> Vec<usize> {
        let mut problems = Vec::new();
        check(path, content, &mut Excuses::default(), &mut problems);
        problems.iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn a_file_without_an_opening_comment_is_refused() {
        assert_eq!(lines_of("link/src/ids.rs", "use core::fmt;\n"), [1]);
        assert_eq!(lines_of("link/src/ids.rs", "//! Ids.\n"), [] as [usize; 0]);
        assert_eq!(lines_of("docs/install.md", "# Install\n"), [] as [usize; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_refused_anywhere() {
        let line = format!("see {}main\n", MACHINE_PATHS[0]);
        assert_eq!(lines_of("docs/install.md", &line), [1]);
        let relative = format!("see tests{}main\n", MACHINE_PATHS[0]);
        assert_eq!(lines_of("docs/install.md", &relative), [] as [usize; 0]);
    }
}
