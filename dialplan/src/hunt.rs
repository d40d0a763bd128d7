//! Hunting: finding the list of actions for a call (dialplan.md §4–9), as a machine that can be resumed.
//!
//! ```text
//!              ┌──────────────────────── extension failed or continues ─────────────┐
//!              ▼                                                                     │
//!   new ─▶ extension ─▶ condition ─▶ testing ─▶ collecting ─▶ break? ─▶ nested? ─▶ end of level ─▶ Done
//!                          ▲            │Ask        │RunInline   │no       │yes: a level of its own
//!                          └────────────┴───────────┴────────────┴─────────┘
//! ```

use std::sync::Arc;

use crate::action::{Action, ActionList};
use crate::dialplan::{Break, Collect, Condition, ConditionId, Context, Dialplan};
use crate::expansion::{ApiCall, Step};
use crate::pattern::Captures;
use crate::scope::HuntScope;
use crate::substitution::substitute;

mod matching;
mod testing;
#[cfg(test)]
mod tests;
pub mod trace;

use testing::{Testing, Verdict};
use trace::{Trace, TraceEntry};

/// Actions of one list. Further ones are dropped and counted.
pub const ACTIONS_MAX: usize = 100_000;

/// What a hunt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HuntStep {
    /// It is over. Without a list there is no route; an empty list is one.
    Done(Option<ActionList>),
    /// The caller runs this function, calls [`Hunt::answer`] and steps on.
    Ask(ApiCall),
    /// The caller expands and runs this action now, if it may run inline, calls [`Hunt::inline_done`] and steps on.
    RunInline(Action),
}

/// What a hunt counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HuntReport {
    /// Whether the context or the one called `global` exists.
    pub has_context: bool,
    /// Extensions that were looked at.
    pub extensions: u32,
    /// Searches that were given up at their limit; each counts as no match.
    pub limits_hit: u32,
    /// Expressions that did not compile after they were expanded.
    pub bad_patterns: u32,
    /// Actions that were dropped: their data holds `\'`, or the list was full.
    pub dropped: u32,
}

/// One hunt of one call.
#[derive(Debug)]
pub struct Hunt {
    dialplan: Arc<Dialplan>,
    /// The context's place in the dialplan.
    context: Option<usize>,
    destination: String,
    state: State,
    /// The extension being looked at, by its place in the context.
    extension: usize,
    levels: Vec<Level>,
    list: Option<ActionList>,
    report: HuntReport,
    trace: Trace,
}

#[derive(Debug)]
enum State {
    Begin,
    /// Look at the next condition of the deepest level.
    Next,
    Testing(Testing),
    Collecting(Collecting),
    /// The deepest level is over.
    EndOfLevel,
    Finished,
}

/// Conditions of an extension, or of a condition that has some.
#[derive(Debug)]
struct Level {
    /// Whose conditions they are; `None` for the extension.
    parent: Option<ConditionId>,
    next: usize,
    /// The running result `r`.
    passed: bool,
}

/// The actions of a condition whose verdict is known.
#[derive(Debug)]
struct Collecting {
    condition: ConditionId,
    verdict: Verdict,
    /// The next action, and how often it was taken already.
    next: usize,
    taken: u32,
    is_waiting: bool,
}

impl Hunt {
    /// Begins to hunt in a context for a destination number. The other fields are asked of the scope.
    pub fn new(dialplan: Arc<Dialplan>, context: &str, destination: &str) -> Hunt {
        let context = dialplan.find_context(context);
        Hunt {
            dialplan,
            context,
            destination: destination.to_owned(),
            state: State::Begin,
            extension: 0,
            levels: Vec::new(),
            list: None,
            report: HuntReport { has_context: context.is_some(), ..HuntReport::default() },
            trace: Trace::default(),
        }
    }

    /// The same, keeping a trace of what is tried: for `explain` and calls that are traced.
    #[must_use]
    pub fn with_trace(mut self) -> Hunt {
        self.trace.is_kept = true;
        self
    }

    /// Hunts as far as it goes without the caller's help.
    pub fn step(&mut self, scope: &mut dyn HuntScope) -> HuntStep {
        let dialplan = Arc::clone(&self.dialplan);
        loop {
            let asked = match std::mem::replace(&mut self.state, State::Finished) {
                State::Begin => self.begin(&dialplan, scope),
                State::Next => self.next_condition(&dialplan, scope),
                State::Testing(testing) => self.test(&dialplan, testing, scope),
                State::Collecting(collecting) => self.collect(&dialplan, collecting),
                State::EndOfLevel => self.end_level(&dialplan),
                State::Finished => return HuntStep::Done(self.list.take()),
            };
            if let Some(step) = asked {
                return step;
            }
        }
    }

    /// The result of the function last asked for; `None` if it is unknown or failed.
    pub fn answer(&mut self, result: Option<crate::text::Text>) {
        if let State::Testing(testing) = &mut self.state {
            testing.answer(result);
        }
    }

    /// The action to be run inline was run, or refused.
    pub fn inline_done(&mut self) {
        if let State::Collecting(collecting) = &mut self.state {
            collecting.is_waiting = false;
        }
    }

    /// What was counted so far.
    pub fn report(&self) -> HuntReport {
        self.report
    }

    /// What was tried so far; empty unless the hunt was made [`with_trace`](Hunt::with_trace).
    pub fn trace(&self) -> &[TraceEntry] {
        &self.trace.entries
    }

    fn begin(&mut self, dialplan: &Dialplan, scope: &mut dyn HuntScope) -> Option<HuntStep> {
        let context = self.context_of(dialplan)?;
        if scope.is_set_true("auto_hunt") {
            self.extension = context.named_extension(&self.destination).unwrap_or(0);
        }
        self.begin_extension(context);
        None
    }

    fn context_of<'a>(&self, dialplan: &'a Dialplan) -> Option<&'a Context> {
        dialplan.contexts.get(self.context?)
    }

    fn begin_extension(&mut self, context: &Context) {
        let Some(extension) = context.extensions.get(self.extension) else { return };
        self.report.extensions = self.report.extensions.saturating_add(1);
        self.trace.extension(context, extension);
        self.levels.push(Level { parent: None, next: 0, passed: false });
        self.state = State::Next;
    }

    fn next_condition(&mut self, dialplan: &Dialplan, scope: &mut dyn HuntScope) -> Option<HuntStep> {
        let level = self.levels.last_mut()?;
        let siblings = match level.parent {
            Some(parent) => &dialplan.condition(parent).nested,
            None => &dialplan.contexts.get(self.context?)?.extensions.get(self.extension)?.conditions,
        };
        self.state = match siblings.get(level.next) {
            Some(&id) => {
                level.next += 1;
                State::Testing(Testing::new(id, dialplan.condition(id), level.passed, scope))
            }
            None => State::EndOfLevel,
        };
        None
    }

    fn test(
        &mut self,
        dialplan: &Dialplan,
        mut testing: Testing,
        scope: &mut dyn HuntScope,
    ) -> Option<HuntStep> {
        let id = testing.condition;
        match testing.step(dialplan.condition(id), scope, &mut self.report, &mut self.trace) {
            Step::Ask(call) => {
                self.state = State::Testing(testing);
                Some(HuntStep::Ask(call))
            }
            Step::Done(verdict) => {
                if let Some(captures) = verdict.captures.as_ref().filter(|_| verdict.takes_actions) {
                    scope.set_captures("DP_MATCH", captures.pushed());
                }
                let collecting = Collecting { condition: id, verdict, next: 0, taken: 0, is_waiting: false };
                self.state = State::Collecting(collecting);
                None
            }
        }
    }

    /// Takes the actions or anti-actions of a condition one by one.
    fn collect(&mut self, dialplan: &Dialplan, mut collecting: Collecting) -> Option<HuntStep> {
        let condition = dialplan.condition(collecting.condition);
        if collecting.is_waiting {
            self.state = State::Collecting(collecting);
            // The caller stepped without a word on the inline action: it is taken as refused.
            self.inline_done();
            return None;
        }
        let takes_actions = collecting.verdict.takes_actions;
        let rules = if takes_actions { &condition.actions } else { &condition.anti_actions };
        let Some(rule) = rules.get(collecting.next) else {
            self.end_condition(condition, &collecting);
            return None;
        };
        self.create_list(dialplan);
        if collecting.taken >= rule.count {
            collecting.next += 1;
            collecting.taken = 0;
            self.state = State::Collecting(collecting);
            return None;
        }
        collecting.taken += 1;
        let captures = collecting.verdict.captures.as_ref().filter(|_| takes_actions);
        let action = action_of(rule, captures);
        self.trace.action(&action, rule.is_inline, !takes_actions);
        let mut step = None;
        if rule.is_inline {
            collecting.is_waiting = true;
            step = Some(HuntStep::RunInline(action));
        } else {
            self.queue(action);
        }
        self.state = State::Collecting(collecting);
        step
    }

    fn queue(&mut self, action: Action) {
        let Some(list) = &mut self.list else { return };
        let backslash = (0..action.data.len()).find(|&at| action.data.has_syntax("\\'", at));
        if backslash.is_some() || list.actions.len() >= ACTIONS_MAX {
            self.report.dropped = self.report.dropped.saturating_add(1);
            self.trace.dropped(&action);
        } else {
            list.actions.push(action);
        }
    }

    /// The list comes into being with the first action looked at, even if it is not taken.
    fn create_list(&mut self, dialplan: &Dialplan) {
        if self.list.is_some() {
            return;
        }
        let extension = self.context_of(dialplan).and_then(|context| context.extensions.get(self.extension));
        let name = extension.map_or("", |extension| &extension.name);
        let level = self.levels.len() - 1;
        self.list = Some(if level == 0 {
            ActionList::new(name)
        } else {
            ActionList::new(format!("{name}_recur_{level}"))
        });
    }

    /// After the actions: break, nested conditions, or the next sibling.
    fn end_condition(&mut self, condition: &Condition, collecting: &Collecting) {
        let takes_actions = collecting.verdict.takes_actions;
        let passed = collecting.verdict.result || !takes_actions && !condition.anti_actions.is_empty();
        if let Some(level) = self.levels.last_mut() {
            level.passed = passed;
        }
        let breaks = match condition.break_when {
            Break::Always => true,
            Break::OnTrue => takes_actions,
            Break::OnFalse => !takes_actions,
            Break::Never => false,
        };
        self.state = if breaks {
            State::EndOfLevel
        } else if passed && condition.is_too_deep {
            self.after_nested(condition, false)
        } else if passed && !condition.nested.is_empty() {
            self.levels.push(Level { parent: Some(collecting.condition), next: 0, passed: false });
            State::Next
        } else {
            State::Next
        };
    }

    /// The result of nested conditions is that of the condition which holds them.
    fn after_nested(&mut self, condition: &Condition, passed: bool) -> State {
        if let Some(level) = self.levels.last_mut() {
            level.passed = passed;
        }
        if passed || condition.break_when == Break::Never { State::Next } else { State::EndOfLevel }
    }

    fn end_level(&mut self, dialplan: &Dialplan) -> Option<HuntStep> {
        let level = self.levels.pop()?;
        if let Some(parent) = level.parent {
            let condition = dialplan.condition(parent);
            let passed = level.passed || !condition.requires_nested;
            self.state = self.after_nested(condition, passed);
            return None;
        }
        let context = self.context_of(dialplan)?;
        let extension = context.extensions.get(self.extension)?;
        self.trace.result(extension, level.passed);
        if level.passed && !extension.continues {
            return None;
        }
        self.extension += 1;
        self.begin_extension(context);
        None
    }
}

fn action_of(rule: &Collect, captures: Option<&Captures>) -> Action {
    let data = match captures {
        Some(captures) => substitute(&rule.data, captures),
        None => rule.data.clone(),
    };
    Action { application: rule.application.clone(), data, place: Some(rule.place.clone()) }
}
