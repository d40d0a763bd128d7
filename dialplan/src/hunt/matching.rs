//! A field against its expression (dialplan.md §5.1–5.2): both may have to be expanded first.

use crate::dialplan::{Expression, Field, Match};
use crate::expansion::{Expansion, Step};
use crate::hunt::HuntReport;
use crate::pattern::{Captures, Pattern, has_group};
use crate::scope::Scope;
use crate::text::Text;

/// One match on its way.
#[derive(Debug)]
pub(super) enum Matching {
    Begin,
    /// The field is being expanded.
    Field(Expansion),
    /// The field is known, the expression is being expanded.
    Expression {
        subject: Text,
        expansion: Expansion,
    },
}

/// What came out.
#[derive(Debug)]
pub(super) struct Matched {
    /// The text that was searched.
    pub(super) subject: Text,
    /// The expression as it was searched for, if it was expanded.
    pub(super) expanded: Option<Text>,
    /// What was found; `None` if nothing was.
    pub(super) captures: Option<Captures>,
    /// Whether the expression has a parenthesis, so that captures are used.
    pub(super) has_group: bool,
}

impl Matching {
    pub(super) fn step(&mut self, test: &Match, scope: &dyn Scope, report: &mut HuntReport) -> Step<Matched> {
        loop {
            let subject = match self {
                Matching::Begin => match &test.field {
                    Field::Profile(name) => scope.field(name).unwrap_or_default(),
                    Field::Expanded(text) => {
                        *self = Matching::Field(Expansion::new(text));
                        continue;
                    }
                },
                Matching::Field(expansion) => match expansion.step(scope) {
                    Step::Ask(call) => return Step::Ask(call),
                    Step::Done(subject) => subject,
                },
                Matching::Expression { subject, expansion } => match expansion.step(scope) {
                    Step::Ask(call) => return Step::Ask(call),
                    Step::Done(expression) => {
                        let subject = std::mem::take(subject);
                        return Step::Done(search_once(subject, expression, report));
                    }
                },
            };
            match &test.expression {
                Expression::Expanded(text) => {
                    *self = Matching::Expression { subject, expansion: Expansion::new(text) };
                }
                Expression::Fixed { text, pattern } => {
                    return Step::Done(search_fixed(subject, text, pattern.as_ref(), report));
                }
            }
        }
    }

    pub(super) fn answer(&mut self, result: Option<Text>) {
        match self {
            Matching::Field(expansion) | Matching::Expression { expansion, .. } => expansion.answer(result),
            Matching::Begin => {}
        }
    }
}

impl Matched {
    /// The captures, with every group empty if nothing was found.
    pub(super) fn into_captures(self) -> Captures {
        let subject = self.subject;
        self.captures.unwrap_or_else(|| Captures::none(subject))
    }
}

fn search_fixed(
    subject: Text,
    expression: &Text,
    pattern: Option<&Pattern>,
    report: &mut HuntReport,
) -> Matched {
    let captures = pattern.and_then(|pattern| search(pattern, &subject, report));
    let has_group = pattern.map_or_else(|| has_group(expression), Pattern::has_group);
    Matched { subject, expanded: None, captures, has_group }
}

fn search_once(subject: Text, expression: Text, report: &mut HuntReport) -> Matched {
    let captures = match Pattern::compile_once(&expression) {
        Ok(pattern) => search(&pattern, &subject, report),
        Err(_) => {
            report.bad_patterns = report.bad_patterns.saturating_add(1);
            None
        }
    };
    let has_group = has_group(&expression);
    Matched { subject, expanded: Some(expression), captures, has_group }
}

fn search(pattern: &Pattern, subject: &Text, report: &mut HuntReport) -> Option<Captures> {
    pattern.search(subject).unwrap_or_else(|_| {
        report.limits_hit = report.limits_hit.saturating_add(1);
        None
    })
}
