//! Compiling section `dialplan` of a configuration.
//!
//! FreeSWITCH ignores what it does not know without a word, and a misspelt `field` makes a condition that is always
//! true. The compiled result is the same here, but each such place is told.

use std::collections::BTreeMap;

use config::{Element, Problems, is_true};

use crate::dialplan::{
    Break, Collect, Condition, ConditionId, Context, Dialplan, Expression, Extension, Field, Match,
    RegexChild, Rule, Test,
};
use crate::expansion::Expansion;
use crate::pattern::Pattern;
use crate::text::Text;
use crate::times::TimeRule;
use crate::words::leading_integer;

mod lint;

use lint::Lint;

/// Conditions within conditions (dialplan.md §1.4).
const NESTING_MAX: usize = 100;
/// Times that one action can be repeated by `loop`.
const LOOP_MAX: i64 = 1_000;
/// The name of an extension that has none.
const NAMELESS: &str = "_anon_";

/// What is known outside and makes warnings possible.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompileOptions<'a> {
    /// Names of all applications; an action with another name is told.
    pub applications: Option<&'a [&'a str]>,
    /// Names of the applications that may run inline; an inline action with another name is told.
    pub inline_applications: Option<&'a [&'a str]>,
}

pub(crate) fn compile(section: &Element, options: &CompileOptions<'_>, problems: &mut Problems) -> Dialplan {
    let mut compiler = Compiler { conditions: Vec::new(), lint: Lint { options, problems } };
    let mut contexts = Vec::new();
    let mut context_by_name = BTreeMap::new();
    compiler.lint.children(section, &["context"]);
    for element in section.children_named("context") {
        compiler.lint.attributes(element, &["name"], false);
        let Some(name) = element.attribute("name") else {
            compiler.lint.warn(element, "name", "a context without a name is never used");
            continue;
        };
        // The first context of a name is the only one.
        if context_by_name.contains_key(&name.to_ascii_lowercase()) {
            compiler.lint.warn(
                element,
                "name",
                &format!("context `{name}` is never used: another one of that name stands before it"),
            );
            continue;
        }
        context_by_name.insert(name.to_ascii_lowercase(), contexts.len());
        contexts.push(compiler.context(element, name));
    }
    Dialplan { contexts, context_by_name, conditions: compiler.conditions }
}

struct Compiler<'a> {
    conditions: Vec<Condition>,
    lint: Lint<'a>,
}

impl Compiler<'_> {
    fn context(&mut self, element: &Element, name: &str) -> Context {
        self.lint.children(element, &["extension"]);
        let extensions =
            element.children_named("extension").map(|extension| self.extension(extension)).collect();
        Context { name: name.to_owned(), extensions }
    }

    fn extension(&mut self, element: &Element) -> Extension {
        self.lint.attributes(element, &["name", "continue"], false);
        self.lint.children(element, &["condition"]);
        Extension {
            name: element.attribute("name").unwrap_or(NAMELESS).to_owned(),
            continues: element.attribute("continue").is_some_and(is_true),
            conditions: self.conditions_of(element, 0),
            place: element.place(),
        }
    }

    fn conditions_of(&mut self, element: &Element, level: usize) -> Vec<ConditionId> {
        element.children_named("condition").map(|condition| self.condition(condition, level)).collect()
    }

    fn condition(&mut self, element: &Element, level: usize) -> ConditionId {
        self.lint.condition(element);
        let times = self.times(element);
        let test = self.test(element, times.is_some());
        let is_too_deep = level >= NESTING_MAX && element.child("condition").is_some();
        if is_too_deep {
            self.lint.warn(element, "", "conditions below the hundredth level always fail");
        }
        let condition = Condition {
            test,
            times,
            break_when: self.break_when(element),
            requires_nested: element.attribute("require-nested").is_none_or(is_true),
            actions: self.collected(element, "action"),
            anti_actions: self.collected(element, "anti-action"),
            nested: if is_too_deep { Vec::new() } else { self.conditions_of(element, level + 1) },
            is_too_deep,
            place: element.place(),
        };
        self.conditions.push(condition);
        ConditionId(self.conditions.len() - 1)
    }

    fn times(&mut self, element: &Element) -> Option<TimeRule> {
        let times = TimeRule::new(|name| element.attribute(name))?;
        for (attribute, complaint) in times.complaints() {
            self.lint.warn(element, attribute, complaint);
        }
        Some(times)
    }

    fn test(&mut self, element: &Element, has_times: bool) -> Test {
        let Some(rule) = element.attribute("regex") else {
            let test = self.field_test(element).map_or(Test::None, Test::Match);
            if matches!(test, Test::None) && !has_times {
                self.lint.absolute(element);
            }
            return test;
        };
        let rule = match rule.to_ascii_lowercase().as_str() {
            "all" => Rule::All,
            "any" => Rule::Any,
            "xor" => Rule::Xor,
            _ => {
                self.lint.warn_expecting(element, "regex", "an unknown word means `any`", "all, any or xor");
                Rule::Any
            }
        };
        let mut children = Vec::new();
        for child in element.children_named("regex") {
            self.lint.attributes(child, &["field", "expression"], true);
            self.lint.children(child, &["expression"]);
            children.push(RegexChild { times: self.times(child), test: self.field_test(child) });
        }
        Test::Regex { rule, children }
    }

    fn field_test(&mut self, element: &Element) -> Option<Match> {
        let field = element.attribute("field")?;
        let field = if field.contains('$') {
            Field::Expanded(Text::trusted(field))
        } else {
            Field::Profile(field.to_owned())
        };
        Some(Match { field, expression: self.expression(element) })
    }

    fn expression(&mut self, element: &Element) -> Expression {
        let child = element.child("expression");
        let text = match child {
            Some(child) => Text::trusted(child.text()),
            None => Text::trusted(element.attribute("expression").unwrap_or_default()),
        };
        if Expansion::is_needed(&text) {
            return Expression::Expanded(text);
        }
        let pattern = Pattern::compile(&text);
        if let Err(error) = &pattern {
            let at = child.unwrap_or(element);
            self.lint.warn(at, "expression", &format!("`{text}` never matches: {error}"));
        }
        Expression::Fixed { text, pattern: pattern.ok() }
    }

    fn break_when(&mut self, element: &Element) -> Break {
        match element.attribute("break").map(str::to_ascii_lowercase).as_deref() {
            None | Some("on-false") => Break::OnFalse,
            Some("on-true") => Break::OnTrue,
            Some("always") => Break::Always,
            Some("never") => Break::Never,
            Some(_) => {
                let expected = "on-true, on-false, always or never";
                self.lint.warn_expecting(element, "break", "an unknown word means `on-false`", expected);
                Break::OnFalse
            }
        }
    }

    fn collected(&mut self, element: &Element, kind: &str) -> Vec<Collect> {
        element.children_named(kind).map(|action| self.action(action)).collect()
    }

    fn action(&mut self, element: &Element) -> Collect {
        let is_inline = element.attribute("inline").is_some_and(is_true);
        let count = element.attribute("loop").map_or(1, leading_integer);
        self.lint.action(element, is_inline, count);
        let data = match element.text() {
            "" => element.attribute("data").unwrap_or_default(),
            text => text,
        };
        Collect {
            application: element.attribute("application").unwrap_or_default().to_owned(),
            data: Text::trusted(data),
            is_inline,
            count: u32::try_from(count.clamp(0, LOOP_MAX)).unwrap_or(0),
            place: element.place(),
        }
    }
}
