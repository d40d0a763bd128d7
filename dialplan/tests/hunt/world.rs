//! A call with enough of a switch around it to run what a hunt collects: variables, a few applications, no network.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Wall;
use config::{Globals, LoadOptions, MemoryFiles};
use dialplan::tokenizer::split;
use dialplan::{
    Action, ApiCall, CompileOptions, Dialplan, Hunt, HuntScope, HuntStep, Scope, Text, TraceEntry, expand,
    parse_inline,
};

/// Applications that may run inline, among those that the world knows.
const INLINE: &[&str] = &[
    "set",
    "log",
    "multiset",
    "push",
    "unshift",
    "unset",
    "info",
    "export",
    "set_global",
    "eval",
    "set_profile_var",
];
/// Applications that do nothing here.
const OTHERS: &[&str] = &[
    "answer",
    "bridge",
    "playback",
    "sleep",
    "voicemail",
    "strftime",
    "set_user",
    "ring_ready",
    "record",
    "play_and_get_digits",
    "hangup",
    "respond",
    "transfer",
    "execute_extension",
    "park",
    "pre_answer",
    "echo",
];

/// A variable as FreeSWITCH keeps it: a text, and elements beside it if it is an array.
#[derive(Clone, Debug, Default)]
struct Variable {
    text: Text,
    elements: Option<Vec<Text>>,
}

/// The whole world of one call.
pub struct World {
    pub dialplan: Arc<Dialplan>,
    /// What loading and compiling had to say.
    pub problems: Vec<String>,
    variables: BTreeMap<String, Variable>,
    scoped: Vec<(String, Text)>,
    globals: BTreeMap<String, Text>,
    pub fields: BTreeMap<String, Text>,
    pub now: Wall,
    /// What ran, `I:` before what ran inline.
    pub executed: Vec<String>,
    /// The extensions of every hunt and whether they matched.
    pub extensions: Vec<(String, bool)>,
    /// What was collected in every hunt.
    pub collected: Vec<String>,
    /// A function was asked for that the world does not have.
    pub unanswered: Vec<String>,
    is_over: bool,
}

impl World {
    /// Loads files whose root is `freeswitch.xml`.
    pub fn new(files: &MemoryFiles) -> Option<World> {
        let mut loaded = config::load(files, "freeswitch.xml", Globals::new(), &LoadOptions::default());
        let document = loaded.document?;
        let options = CompileOptions { applications: None, inline_applications: Some(INLINE) };
        let dialplan = match document.section("dialplan") {
            Some(section) => Dialplan::compile(section, &options, &mut loaded.problems),
            None => Dialplan::default(),
        };
        let globals =
            loaded.globals.iter().map(|(name, value)| (name.to_ascii_lowercase(), Text::trusted(value)));
        Some(World {
            dialplan: Arc::new(dialplan),
            problems: loaded.problems.iter().map(ToString::to_string).collect(),
            variables: BTreeMap::from([(
                "direction".to_owned(),
                Variable { text: "inbound".into(), elements: None },
            )]),
            scoped: Vec::new(),
            globals: globals.collect(),
            fields: BTreeMap::new(),
            now: Wall::from_micros(1_795_168_800_000_000),
            executed: Vec::new(),
            extensions: Vec::new(),
            collected: Vec::new(),
            unanswered: Vec::new(),
            is_over: false,
        })
    }

    /// Sets the field that a peer chose.
    pub fn set_field(&mut self, name: &str, value: &str) {
        self.fields.insert(name.to_owned(), Text::network(value));
    }

    /// The printed form of a variable.
    pub fn printed(&self, name: &str) -> Option<String> {
        self.variables.get(&name.to_ascii_lowercase()).map(|variable| variable.text.as_str().to_owned())
    }

    /// Hunts and runs what was found; whether there was a route.
    pub fn run(&mut self, context: &str, number: &str) -> bool {
        self.set_field("destination_number", number);
        let name = Text::trusted(context);
        self.fields.insert("context".to_owned(), name);
        let Some(actions) = self.hunt(context, number) else { return false };
        self.execute(actions);
        true
    }

    fn hunt(&mut self, context: &str, number: &str) -> Option<Vec<Action>> {
        let mut hunt = Hunt::new(Arc::clone(&self.dialplan), context, number).with_trace();
        let list = loop {
            match hunt.step(self) {
                HuntStep::Done(list) => break list,
                HuntStep::Ask(call) => {
                    let result = self.api(&call);
                    hunt.answer(result);
                }
                HuntStep::RunInline(action) => {
                    self.run_inline(&action);
                    hunt.inline_done();
                }
            }
        };
        for entry in hunt.trace() {
            if let TraceEntry::Result { name, matched } = entry {
                self.extensions.push((name.clone(), *matched));
            }
        }
        let list = list?;
        self.collected
            .extend(list.actions.iter().map(|action| format!("{}({})", action.application, action.data)));
        Some(list.actions)
    }

    fn run_inline(&mut self, action: &Action) {
        if !is_known(&action.application) {
            self.is_over = true;
        } else if INLINE.contains(&action.application.as_str()) {
            self.run_action(action, "I:");
        }
    }

    fn execute(&mut self, actions: Vec<Action>) {
        for action in actions {
            if self.is_over {
                return;
            }
            if !is_known(&action.application) {
                self.is_over = true;
                return;
            }
            self.run_action(&action, "");
        }
    }

    fn run_action(&mut self, action: &Action, mark: &str) {
        let data = self.expanded(&action.data);
        let data = self.take_scoped(data);
        self.executed.push(format!("{mark}{}({data})", action.application));
        match action.application.as_str() {
            "set" | "export" => self.set(&data),
            "multiset" => split(&data, ' ', 128).iter().for_each(|item| self.set(item)),
            "push" => self.push(&data, false),
            "unshift" => self.push(&data, true),
            "unset" => drop(self.variables.remove(&data.as_str().to_ascii_lowercase())),
            "set_global" => {
                let (name, value) = pair(&data);
                self.globals.insert(name.to_ascii_lowercase(), value);
            }
            "set_profile_var" => {
                let (name, value) = pair(&data);
                self.fields.insert(name.to_ascii_lowercase(), value);
            }
            "strftime" => {
                let (name, format) = pair(&data);
                let value = self.expanded(&Text::trusted(format!("${{strftime({format})}}")));
                self.set_variable(&name, value);
            }
            "hangup" => self.is_over = true,
            "transfer" => self.transfer(&data),
            "execute_extension" => self.execute_extension(&data),
            _ => {}
        }
        self.scoped.clear();
    }

    fn transfer(&mut self, data: &Text) {
        let fields = split(data, ' ', 3);
        let destination = fields.first().cloned().unwrap_or_default();
        if is_inline(&fields) {
            self.execute(parse_inline(&destination).actions);
        } else {
            let context = self.context(fields.get(2));
            let before = self.fields.get("destination_number").cloned().unwrap_or_default();
            self.fields.insert("rdnis".to_owned(), before);
            self.run(&context, destination.as_str());
        }
        self.is_over = true;
    }

    fn execute_extension(&mut self, data: &Text) {
        let fields = split(data, ' ', 3);
        let destination = fields.first().cloned().unwrap_or_default();
        if is_inline(&fields) {
            return self.execute(parse_inline(&destination).actions);
        }
        let context = self.context(fields.get(2));
        let outer = self.fields.clone();
        self.run(&context, destination.as_str());
        self.fields = outer;
    }

    fn context(&self, named: Option<&Text>) -> String {
        let context = named.or_else(|| self.fields.get("context"));
        context.map_or_else(|| "default".to_owned(), |context| context.as_str().to_owned())
    }

    fn set(&mut self, data: &Text) {
        let (name, value) = pair(data);
        let value = self.expanded(&value);
        if let Some((array, index)) = name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            return self.set_element(array, index.parse().unwrap_or(0), value);
        }
        let name = name.to_ascii_lowercase();
        if value.is_empty() {
            self.variables.remove(&name);
        } else if let Some(list) = value.as_str().strip_prefix("ARRAY::") {
            let elements = list.split("|:").map(Text::trusted).collect();
            self.variables.insert(name, Variable { text: value, elements: Some(elements) });
        } else {
            self.variables.insert(name, Variable { text: value, elements: None });
        }
    }

    /// Overwriting an element leaves the printed form as it was.
    fn set_element(&mut self, name: &str, index: usize, value: Text) {
        let variable = self.variables.entry(name.to_ascii_lowercase()).or_default();
        let elements = variable.elements.get_or_insert_default();
        if let Some(element) = elements.get_mut(index) {
            *element = value;
        } else {
            elements.resize(index, Text::new());
            elements.push(value);
            variable.text = joined(elements);
        }
    }

    fn push(&mut self, data: &Text, is_front: bool) {
        let (name, value) = pair(data);
        let value = self.expanded(&value);
        let variable = self.variables.entry(name.to_ascii_lowercase()).or_default();
        let scalar = variable.text.clone();
        let elements =
            variable.elements.get_or_insert_with(|| if scalar.is_empty() { vec![] } else { vec![scalar] });
        if is_front {
            elements.insert(0, value);
        } else {
            elements.push(value);
        }
        variable.text = joined(elements);
    }

    /// Cuts `%[name=value,…]` off the front of expanded data.
    fn take_scoped(&mut self, data: Text) -> Text {
        let end = data.as_str().strip_prefix("%[").and_then(|rest| rest.find(']'));
        let Some(end) = end else { return data };
        for item in split(&data.slice(2..end + 2), ',', 128) {
            let (name, value) = pair(&item);
            self.scoped.push((name, value));
        }
        data.slice(end + 3..data.len())
    }

    fn expanded(&mut self, text: &Text) -> Text {
        let mut asked = Vec::new();
        let result = expand(text, &*self, &mut |call| {
            asked.push(call.name.clone());
            None
        });
        self.unanswered.append(&mut asked);
        result
    }

    fn api(&mut self, call: &ApiCall) -> Option<Text> {
        self.unanswered.push(call.name.clone());
        None
    }
}

fn is_known(application: &str) -> bool {
    INLINE.contains(&application) || OTHERS.contains(&application)
}

fn is_inline(fields: &[Text]) -> bool {
    fields.get(1).is_some_and(|dialplan| dialplan.as_str() == "inline")
}

/// `NAME=VALUE`, or `NAME,VALUE` without an equals sign.
fn pair(data: &Text) -> (String, Text) {
    let at = data.as_str().find('=').or_else(|| data.as_str().find(',')).unwrap_or(data.len());
    (data.as_str()[..at].to_owned(), data.slice(at + 1..data.len()))
}

fn joined(elements: &[Text]) -> Text {
    if let [single] = elements {
        return single.clone();
    }
    let mut text = Text::trusted("ARRAY::");
    for (index, element) in elements.iter().enumerate() {
        text.push_str(if index > 0 { "|:" } else { "" });
        text.push_text(element);
    }
    text
}

impl Scope for World {
    fn variable(&self, name: &str) -> Option<Text> {
        let scoped = self.scoped.iter().find(|(scoped, _)| scoped.eq_ignore_ascii_case(name));
        let variable = self.variables.get(&name.to_ascii_lowercase()).map(|variable| variable.text.clone());
        scoped.map(|(_, value)| value.clone()).or(variable)
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.variables.get(&name.to_ascii_lowercase())?.elements.as_ref()?.get(index).cloned()
    }

    fn field(&self, name: &str) -> Option<Text> {
        self.fields.get(&name.to_ascii_lowercase()).cloned()
    }

    fn global(&self, name: &str) -> Option<Text> {
        self.globals.get(&name.to_ascii_lowercase()).cloned()
    }

    fn now(&self) -> Wall {
        self.now
    }
}

impl HuntScope for World {
    fn set_captures(&mut self, name: &str, values: Vec<Text>) {
        let name = name.to_ascii_lowercase();
        if values.is_empty() {
            self.variables.remove(&name);
        } else {
            self.variables.insert(name, Variable { text: joined(&values), elements: Some(values) });
        }
    }

    fn clear_captures(&mut self, prefix: &str) {
        let prefix = prefix.to_ascii_lowercase();
        self.variables.retain(|name, _| !name.starts_with(&prefix));
    }
}

impl World {
    /// Sets a variable as it is, not expanded.
    pub fn set_variable(&mut self, name: &str, value: Text) {
        self.variables.insert(name.to_ascii_lowercase(), Variable { text: value, elements: None });
    }
}
