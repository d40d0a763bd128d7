//! The compiled dialplan: contexts, extensions, conditions, with every pattern that can be known at load compiled.
//!
//! It is built once per load, never changed and shared by all calls; a call keeps the one with which it was hunted.

use std::collections::BTreeMap;

use config::{Element, Place, Problems};

use crate::compile::{CompileOptions, compile};
use crate::pattern::Pattern;
use crate::text::Text;
use crate::times::TimeRule;

/// Section `dialplan` of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Dialplan {
    pub(crate) contexts: Vec<Context>,
    /// Places in `contexts` by lower-case name.
    pub(crate) context_by_name: BTreeMap<String, usize>,
    pub(crate) conditions: Vec<Condition>,
}

/// The context that is used where a named one does not exist.
const FALLBACK: &str = "global";

/// A context: extensions in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) extensions: Vec<Extension>,
}

/// An extension: conditions that must hold one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) name: String,
    /// Hunting goes on after it has matched.
    pub(crate) continues: bool,
    pub(crate) conditions: Vec<ConditionId>,
    pub(crate) place: Place,
}

/// A condition's place in [`Dialplan::conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionId(pub(crate) usize);

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) test: Test,
    pub(crate) times: Option<TimeRule>,
    pub(crate) break_when: Break,
    pub(crate) requires_nested: bool,
    pub(crate) actions: Vec<Collect>,
    pub(crate) anti_actions: Vec<Collect>,
    pub(crate) nested: Vec<ConditionId>,
    /// Its nested conditions lie below the depth that is looked at: they fail.
    pub(crate) is_too_deep: bool,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// Neither field nor `regex`: the time decides, or nothing at all.
    None,
    Match(Match),
    Regex {
        rule: Rule,
        children: Vec<RegexChild>,
    },
}

/// A field and the expression that it should match.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub(crate) field: Field,
    pub(crate) expression: Expression,
}

#[derive(Clone, Debug)]
pub(crate) enum Field {
    /// A field of the caller profile.
    Profile(String),
    /// A text to expand.
    Expanded(Text),
}

#[derive(Clone, Debug)]
pub(crate) enum Expression {
    /// Compiled at load; without a pattern it never matches.
    Fixed { text: Text, pattern: Option<Pattern> },
    /// To be expanded, and compiled then.
    Expanded(Text),
}

/// How the children of a `regex` condition are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    All,
    Any,
    /// Exactly one passes.
    Xor,
}

#[derive(Clone, Debug)]
pub(crate) struct RegexChild {
    pub(crate) test: Option<Match>,
    pub(crate) times: Option<TimeRule>,
}

/// When the conditions after this one are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    OnFalse,
    OnTrue,
    Always,
    Never,
}

/// An action or anti-action.
#[derive(Clone, Debug)]
pub(crate) struct Collect {
    pub(crate) application: String,
    pub(crate) data: Text,
    pub(crate) is_inline: bool,
    pub(crate) count: u32,
    pub(crate) place: Place,
}

impl Dialplan {
    /// Compiles a `<section name="dialplan">`. What would surprise its author is told as a warning with its place; a
    /// dialplan is never refused.
    pub fn compile(section: &Element, options: &CompileOptions<'_>, problems: &mut Problems) -> Dialplan {
        compile(section, options, problems)
    }

    /// Whether a context of this name exists, compared without case.
    pub fn has_context(&self, name: &str) -> bool {
        self.context_by_name.contains_key(&name.to_ascii_lowercase())
    }

    /// The names of the contexts as written, in the order of the file.
    pub fn context_names(&self) -> impl Iterator<Item = &str> {
        self.contexts.iter().map(|context| context.name.as_str())
    }

    /// The names of a context's extensions and where they stand, in the order in which they are tried.
    pub fn extensions(&self, context: &str) -> impl Iterator<Item = (&str, &Place)> {
        let index = self.context_by_name.get(&context.to_ascii_lowercase());
        let extensions = index.map_or(&[][..], |&index| &self.contexts[index].extensions);
        extensions.iter().map(|extension| (extension.name.as_str(), &extension.place))
    }

    /// The place of the context of a name, or else of the one called `global`.
    pub(crate) fn find_context(&self, name: &str) -> Option<usize> {
        let index = self.context_by_name.get(&name.to_ascii_lowercase());
        index.or_else(|| self.context_by_name.get(FALLBACK)).copied()
    }

    pub(crate) fn condition(&self, id: ConditionId) -> &Condition {
        &self.conditions[id.0]
    }
}

impl Context {
    /// Where a hunt with `auto_hunt` begins.
    pub(crate) fn named_extension(&self, name: &str) -> Option<usize> {
        self.extensions.iter().position(|extension| extension.name.eq_ignore_ascii_case(name))
    }
}

impl Break {
    /// The word of the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Break::OnFalse => "on-false",
            Break::OnTrue => "on-true",
            Break::Always => "always",
            Break::Never => "never",
        }
    }
}
