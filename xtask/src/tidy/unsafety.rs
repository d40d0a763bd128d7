//! `unsafe` stands behind its fence, in short blocks, each under a `// SAFETY:` that says why it holds.

use super::Problem;
use super::rooms::{UNSAFE_FENCE, covers};
use super::source::Source;

/// Lines of an unsafe block: so small that the comment above it can speak of all of it.
const BLOCK_LINES_MAX: usize = 5;

/// How far above `unsafe` its comment may begin.
const COMMENT_DISTANCE_MAX: usize = 14;

/// Checks where `unsafe` stands and how it is explained.
pub fn check(source: &Source, problems: &mut Vec<Problem>) {
    let fenced = covers(UNSAFE_FENCE, &source.path);
    let mut problem = |line: usize, what: &str| {
        problems.push(Problem { file: source.path.clone(), line, what: what.to_owned() })
    };
    for &line in &source.unsafe_lines {
        if !fenced {
            problem(line, "unsafe outside of its fence (xtask/src/tidy/rooms.rs)");
        } else if !is_explained(source, line) {
            problem(line, "unsafe without a `// SAFETY:` comment above it");
        }
    }
    for &(first, last) in &source.unsafe_blocks {
        // The braces themselves are not counted.
        if fenced && last.saturating_sub(first + 1) > BLOCK_LINES_MAX {
            problem(first, "an unsafe block of more than 5 lines");
        }
    }
}

/// Whether the comment above, possibly over attributes and the head of the same statement, says `SAFETY:`. For an
/// `unsafe fn` the section `# Safety` of its documentation counts.
fn is_explained(source: &Source, line: usize) -> bool {
    let above = source.lines[..line].iter().rev().take(COMMENT_DISTANCE_MAX);
    let mut code_lines = 0;
    for text in above.map(|text| text.trim()) {
        if text.contains("SAFETY:") || text.contains("# Safety") {
            return true;
        }
        let is_comment = text.starts_with("//") || text.starts_with('#');
        code_lines += usize::from(!is_comment);
        if text.is_empty() || code_lines > 3 {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(path: &str, content: &str) -> Vec<usize> {
        let source = Source::parse(path, content.to_owned()).expect("parses");
        let mut problems = Vec::new();
        check(&source, &mut problems);
        problems.iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn unsafe_outside_of_the_fence_is_refused_even_in_tests() {
        let content = "//! Doc.\n#[cfg(test)]\nmod tests {\n    fn f() { unsafe { g() } }\n}\n";
        assert_eq!(lines_of("link/src/ids.rs", content), [4]);
    }

    #[test]
    fn behind_the_fence_each_block_is_explained_and_short() {
        let explained = "//! Doc.\nfn f() {\n    // SAFETY: owned.\n    unsafe { g() }\n}\n";
        assert_eq!(lines_of("link/src/spsc.rs", explained), [] as [usize; 0]);
        let bare = "//! Doc.\nfn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(lines_of("link/src/spsc.rs", bare), [3]);
        let long = format!(
            "//! Doc.\nfn f() {{\n    // SAFETY: owned.\n    unsafe {{\n{}    }}\n}}\n",
            "g();\n".repeat(6)
        );
        assert_eq!(lines_of("link/src/spsc.rs", &long), [4]);
    }
}
