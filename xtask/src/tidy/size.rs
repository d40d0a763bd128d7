//! Watch the tail: the longest file, the longest function.

use super::Problem;
use super::excuses::Excuses;
use super::source::Source;

/// Lines of a file before its tests. One machine aims at 350; past 600 a file has two subjects.
const FILE_LINES_MAX: usize = 600;

/// Lines of a function, blank ones and comments not counted. It aims at 40.
const FUNCTION_LINES_MAX: usize = 70;

/// Checks the file's length and that of each function outside of tests.
pub fn check(source: &Source, excuses: &mut Excuses, problems: &mut Vec<Problem>) {
    let mut over =
        |line: usize, what: String| problems.push(Problem { file: source.path.clone(), line, what });
    if source.lines_before_tests > FILE_LINES_MAX {
        let max = excuses.file_lines_max(&source.path).unwrap_or(FILE_LINES_MAX);
        if source.lines_before_tests > max {
            over(0, format!("{} lines before tests, at most {max} are allowed", source.lines_before_tests));
        }
    }
    for function in source.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let max = excuses.function_lines_max(&source.path, &function.name).unwrap_or(FUNCTION_LINES_MAX);
        if function.lines > max {
            over(
                function.line,
                format!("{} has {} lines, at most {max} are allowed", function.name, function.lines),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(content: String, excuses: &mut Excuses) -> Vec<String> {
        let source = Source::parse("link/src/lib.rs", content).expect("parses");
        let mut problems = Vec::new();
        check(&source, excuses, &mut problems);
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_long_function_is_a_problem_until_it_is_excused() {
        let content = format!("//! Doc.\nfn long() {{\n{}}}\n", "    let _ = 1;\n".repeat(69));
        assert_eq!(
            whats(content.clone(), &mut Excuses::default()),
            ["long has 71 lines, at most 70 are allowed"]
        );
        let excuse =
            "[[function]]\npath = 'link/src/lib.rs'\nname = 'long'\nlines = 71\nreason = 'a table'\n";
        let mut excuses: Excuses = toml::from_str(excuse).expect("well-formed");
        assert_eq!(whats(content, &mut excuses), [""; 0]);
    }

    #[test]
    fn tests_do_not_count_towards_a_files_length() {
        let body = "    const A: u8 = 1;\n".repeat(700);
        let tests = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{body}}}\n");
        assert_eq!(whats(tests, &mut Excuses::default()), [""; 0]);
        let code = format!("//! Doc.\nmod code {{\n{body}}}\n");
        assert_eq!(whats(code, &mut Excuses::default()).len(), 1);
    }
}
