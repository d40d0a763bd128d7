//! What is wrong with a configuration, told so that the operator finds the place at once.

use crate::limits::PROBLEMS_MAX;
use crate::place::Place;
use std::fmt;

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used; someone should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One finding. `Display` gives `file:line:column: what, expected …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// Where it stands, if it stands anywhere.
    pub place: Option<Place>,
    /// What was found.
    pub what: String,
    /// What would have been right, if that can be said in a few words.
    pub expected: Option<String>,
}

impl Problem {
    /// The same finding with a word on what would have been right.
    pub fn expecting(mut self, expected: impl Into<String>) -> Problem {
        self.expected = Some(expected.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.what)?;
        match &self.expected {
            Some(expected) => write!(f, ", expected {expected}"),
            None => Ok(()),
        }
    }
}

/// Findings in the order in which they were made, at most `PROBLEMS_MAX` of each severity.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl Problems {
    /// No findings yet.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Adds a finding; beyond the limit it is only counted.
    pub fn push(&mut self, problem: Problem) {
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= PROBLEMS_MAX {
            self.list.push(problem);
        }
    }

    /// Adds an error.
    pub fn error(&mut self, place: impl Into<Option<Place>>, what: impl Into<String>) {
        self.push(Problem {
            severity: Severity::Error,
            place: place.into(),
            what: what.into(),
            expected: None,
        });
    }

    /// Adds an error and what would have been right.
    pub fn error_expecting(
        &mut self,
        place: impl Into<Option<Place>>,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Problem {
            severity: Severity::Error,
            place: place.into(),
            what: what.into(),
            expected: Some(expected.into()),
        });
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: impl Into<Option<Place>>, what: impl Into<String>) {
        self.push(Problem {
            severity: Severity::Warning,
            place: place.into(),
            what: what.into(),
            expected: None,
        });
    }

    /// Adds a warning and what would have been right.
    pub fn warning_expecting(
        &mut self,
        place: impl Into<Option<Place>>,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Problem {
            severity: Severity::Warning,
            place: place.into(),
            what: what.into(),
            expected: Some(expected.into()),
        });
    }

    /// Takes over all findings of another list.
    pub fn append(&mut self, other: Problems) {
        let kept_errors = other.errors().count();
        let kept_warnings = other.warnings().count();
        let (errors, warnings) = (other.errors, other.warnings);
        other.list.into_iter().for_each(|problem| self.push(problem));
        self.errors += errors - kept_errors;
        self.warnings += warnings - kept_warnings;
    }

    /// Whether the configuration must be refused.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.errors == 0 && self.warnings == 0
    }

    /// How many findings are kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// How many findings were only counted.
    pub fn suppressed(&self) -> usize {
        self.errors + self.warnings - self.list.len()
    }

    /// All kept findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The kept errors in order.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// The kept warnings in order.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter().filter(|problem| problem.severity == Severity::Warning)
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_place_and_expectation() {
        let mut problems = Problems::new();
        problems.error_expecting(Place::new("a/b.xml", 3, 7), "`x` is no number", "0 to 9");
        problems.warning(None, "nothing here");
        let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(told, ["a/b.xml:3:7: `x` is no number, expected 0 to 9", "nothing here"]);
    }

    #[test]
    fn a_thousand_warnings_do_not_hide_an_error() {
        let mut problems = Problems::new();
        (0..PROBLEMS_MAX + 5).for_each(|_| problems.warning(None, "w"));
        problems.error(None, "e");
        assert_eq!(problems.errors().count(), 1);
        assert_eq!(problems.suppressed(), 5);
        let mut all = Problems::new();
        all.append(problems);
        assert!(all.has_errors());
        assert_eq!((all.len(), all.suppressed()), (PROBLEMS_MAX + 1, 5));
    }
}
