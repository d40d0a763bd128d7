//! The test of one condition (dialplan.md §5.3, 6): which list is taken, and the running result.

use crate::dialplan::{Condition, ConditionId, RegexChild, Rule, Test};
use crate::expansion::Step;
use crate::hunt::HuntReport;
use crate::hunt::matching::{Matched, Matching};
use crate::hunt::trace::Trace;
use crate::pattern::Captures;
use crate::scope::HuntScope;
use crate::text::Text;

/// What a condition came to.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Its actions are taken, not its anti-actions.
    pub(super) takes_actions: bool,
    /// The running result, before anti-actions.
    pub(super) result: bool,
    /// What `$1` stands for in its actions; without captures `$1` is no reference.
    pub(super) captures: Option<Captures>,
}

/// One condition being tested.
#[derive(Debug)]
pub(super) struct Testing {
    pub(super) condition: ConditionId,
    /// Whether the condition's own time attributes hold; `None` if it has none.
    time_holds: Option<bool>,
    /// The running result.
    result: bool,
    matching: Matching,
    /// The child of a `regex` condition that is being looked at.
    child: usize,
    passed: usize,
    failed: usize,
    /// Captures of the child that counts, and whether it matched.
    captured: Option<(Captures, bool)>,
}

const REGEX_MATCH: &str = "DP_REGEX_MATCH_";

impl Testing {
    /// `result` is the running result so far.
    pub(super) fn new(
        id: ConditionId,
        condition: &Condition,
        result: bool,
        scope: &mut dyn HuntScope,
    ) -> Testing {
        let time_holds = condition.times.as_ref().map(|times| times.holds(scope));
        if matches!(condition.test, Test::Regex { .. }) {
            scope.clear_captures(REGEX_MATCH);
        }
        Testing {
            condition: id,
            time_holds,
            result: time_holds.unwrap_or(result),
            matching: Matching::Begin,
            child: 0,
            passed: 0,
            failed: 0,
            captured: None,
        }
    }

    pub(super) fn answer(&mut self, result: Option<Text>) {
        self.matching.answer(result);
    }

    pub(super) fn step(
        &mut self,
        condition: &Condition,
        scope: &mut dyn HuntScope,
        report: &mut HuntReport,
        trace: &mut Trace,
    ) -> Step<Verdict> {
        match &condition.test {
            Test::None => {
                let holds = self.time_holds.unwrap_or(true);
                trace.no_field(condition, self.time_holds);
                Step::Done(Verdict { takes_actions: holds, result: holds, captures: None })
            }
            Test::Match(test) => match self.matching.step(test, scope, report) {
                Step::Ask(call) => Step::Ask(call),
                Step::Done(matched) => {
                    trace.pattern(condition, test, self.time_holds, &matched);
                    Step::Done(self.plain_verdict(matched))
                }
            },
            Test::Regex { rule, children } => {
                while let Some(child) = children.get(self.child).filter(|_| !self.is_decided(*rule)) {
                    match &child.test {
                        None => self.pass_child(child, scope),
                        Some(test) => match self.matching.step(test, scope, report) {
                            Step::Ask(call) => return Step::Ask(call),
                            Step::Done(matched) => {
                                trace.pattern(condition, test, None, &matched);
                                self.match_child(*rule, matched, scope);
                            }
                        },
                    }
                    self.child += 1;
                    self.matching = Matching::Begin;
                }
                Step::Done(self.regex_verdict(*rule))
            }
        }
    }

    /// Time and pattern are or-ed for the choice of the list, and only the pattern counts for the result.
    fn plain_verdict(&self, matched: Matched) -> Verdict {
        let result = matched.captures.is_some();
        let takes_actions = result || self.time_holds == Some(true);
        let captures = matched.has_group.then(|| matched.into_captures());
        Verdict { takes_actions, result, captures }
    }

    /// A child without field: its time decides, and failing leaves the result as it was.
    fn pass_child(&mut self, child: &RegexChild, scope: &dyn HuntScope) {
        if child.times.as_ref().is_none_or(|times| times.holds(scope)) {
            self.passed += 1;
            self.result = true;
        } else {
            self.failed += 1;
        }
    }

    fn match_child(&mut self, rule: Rule, matched: Matched, scope: &mut dyn HuntScope) {
        self.result = matched.captures.is_some();
        if self.result {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        if !matched.has_group {
            return;
        }
        match rule {
            // FreeSWITCH loses the captures of an expression that it had to expand.
            Rule::Any if !self.result || matched.expanded.is_some() => {}
            Rule::Any => self.captured = Some((matched.into_captures(), true)),
            Rule::All | Rule::Xor => {
                if let Some(captures) = &matched.captures {
                    scope.set_captures(&format!("{REGEX_MATCH}{}", self.child + 1), captures.pushed());
                }
                self.captured = Some((matched.into_captures(), self.result));
            }
        }
    }

    fn is_decided(&self, rule: Rule) -> bool {
        match rule {
            Rule::Any => self.passed > 0,
            Rule::All => self.failed > 0,
            Rule::Xor => false,
        }
    }

    fn regex_verdict(&mut self, rule: Rule) -> Verdict {
        let holds = match rule {
            Rule::Any => self.passed > 0,
            Rule::All => self.failed == 0,
            Rule::Xor => self.passed == 1,
        };
        let captured = self.captured.take();
        // The last child with a parenthesis counts again if it matched.
        let has_matched_group = captured.as_ref().is_some_and(|&(_, matched)| matched);
        Verdict {
            takes_actions: holds || self.time_holds == Some(true),
            result: self.result || has_matched_group,
            captures: captured.map(|(captures, _)| captures),
        }
    }
}
