//! Expansion of variables and functions in a text (dialplan.md §15), as a machine that can be resumed.
//!
//! ```text
//!            step                     ┌── value, name, argument: a frame of its own ──┐
//!   new ──▶ scanning ──reference──────┤                                                ├──▶ scanning … Done
//!              ▲                      └── function not answered inside ──▶ Ask ──answer┘
//! ```
//!
//! Atoms are copied and never read. A function whose name holds an atom is not called, and what a function returns
//! is not expanded again.

use std::ops::Range;

use crate::functions;
use crate::scope::{Party, Scope};
use crate::text::Text;
use crate::words::leading_integer;

mod scan;
#[cfg(test)]
mod tests;

/// Expansions within expansions; deeper text stays as it is (dialplan.md §1.4).
pub const DEPTH_MAX: usize = 100;
/// References resolved for one text. Values are expanded again, so a few variables that hold each other twice would
/// otherwise double the work a hundred times over.
pub const REFERENCES_MAX: u32 = 2_000;
/// Bytes read and written for one text, in all frames; what exceeds them is left out. Far more than any data needs.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A function that is not answered inside: the caller runs it and says what came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCall {
    /// The name as written; names compare without case.
    pub name: String,
    /// What stood in the parentheses, expanded, without outer white space.
    pub arguments: Text,
}

/// How far a resumable machine came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It is finished.
    Done(T),
    /// It waits for the answer to this call.
    Ask(ApiCall),
}

/// The expansion of one text.
#[derive(Clone, Debug)]
pub struct Expansion {
    frames: Vec<Frame>,
    waiting: Option<Waiting>,
    references_left: u32,
    bytes_left: usize,
}

/// A question, and what is inserted if it has no answer.
#[derive(Clone, Debug)]
struct Waiting {
    call: ApiCall,
    otherwise: &'static str,
}

/// A text being expanded and what becomes of it.
#[derive(Clone, Debug)]
struct Frame {
    text: Text,
    at: usize,
    /// Just after a reference, where a backslash is an ordinary character.
    after_reference: bool,
    output: Text,
    then: Then,
    /// Expanded without the channel: only globals and functions.
    is_global: bool,
}

#[derive(Clone, Debug)]
enum Then {
    /// The whole text: the result.
    Finish,
    /// The name of a variable: look it up.
    Name,
    /// The value of a variable: cut and insert it.
    Value(Cut),
    /// The name of a function: go on with its arguments.
    Function { arguments: Text },
    /// The arguments of a function: call it.
    Arguments { name: Text },
    /// The argument of `eval`: insert it.
    Insert,
    /// The argument of `expand`: a command and its arguments.
    Command,
}

/// `:offset:length` of a reference.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    offset: i64,
    length: i64,
}

impl Expansion {
    /// Begins to expand `text`.
    pub fn new(text: &Text) -> Expansion {
        let mut expansion = Expansion {
            frames: Vec::new(),
            waiting: None,
            references_left: REFERENCES_MAX,
            bytes_left: BYTES_MAX,
        };
        expansion.push(text.clone(), Then::Finish, false);
        expansion
    }

    /// Whether expanding `text` could change it (dialplan.md §15.1): it has a `$`, any number of backslashes and a
    /// `{`, or one of the sequences `\\ \n \s \t \'`.
    pub fn is_needed(text: &Text) -> bool {
        scan::is_expandable(text)
    }

    /// Expands as far as it goes without an answer from outside. After `Done` there is nothing left but the empty text.
    pub fn step(&mut self, scope: &dyn Scope) -> Step<Text> {
        if let Some(waiting) = &self.waiting {
            return Step::Ask(waiting.call.clone());
        }
        while let Some(frame) = self.frames.last_mut() {
            match frame.scan(&mut self.bytes_left) {
                Some(body) => self.begin_reference(&body),
                None => match self.end_frame(scope) {
                    Some(step) => return step,
                    None => continue,
                },
            }
        }
        Step::Done(Text::new())
    }

    /// The result of the function last asked for; `None` if it is unknown or failed, which inserts nothing.
    pub fn answer(&mut self, result: Option<Text>) {
        if let Some(waiting) = self.waiting.take() {
            self.insert(&result.unwrap_or_else(|| Text::trusted(waiting.otherwise)));
        }
    }

    fn push(&mut self, text: Text, then: Then, is_global: bool) {
        let (at, output) = if self.frames.len() <= DEPTH_MAX && scan::is_expandable(&text) {
            (0, Text::new())
        } else {
            (text.len(), text.clone())
        };
        self.frames.push(Frame { text, at, after_reference: false, output, then, is_global });
    }

    /// A reference was met in the top frame; `body` is what stands between its braces.
    fn begin_reference(&mut self, body: &Text) {
        let is_global = self.is_global();
        if self.references_left == 0 || self.bytes_left == 0 {
            return;
        }
        self.references_left -= 1;
        match scan::split_call(body) {
            None => self.push(body.clone(), Then::Name, is_global),
            Some((name, arguments)) => self.push(name, Then::Function { arguments }, is_global),
        }
    }

    /// The top frame is finished; says whether the whole text is, or a question must be asked.
    fn end_frame(&mut self, scope: &dyn Scope) -> Option<Step<Text>> {
        let Frame { output, then, is_global, .. } = self.frames.pop()?;
        match then {
            Then::Finish => return Some(Step::Done(output)),
            Then::Name => self.begin_value(&output, is_global, scope),
            Then::Value(cut) => self.insert(&cut.of(&output)),
            Then::Function { arguments } => self.push(arguments, Then::Arguments { name: output }, is_global),
            Then::Arguments { name } => {
                return self.call(&name.trim_syntax(), output.trim_syntax(), "", scope);
            }
            Then::Insert => self.insert(&output),
            Then::Command => {
                let (name, arguments) = scan::split_command(&output.trim_syntax());
                if name.is_empty() {
                    self.insert(&Text::trusted("-ERR No input"));
                } else {
                    return self.call(&name, arguments, "-ERR Cannot execute command", scope);
                }
            }
        }
        None
    }

    fn begin_value(&mut self, name: &Text, is_global: bool, scope: &dyn Scope) {
        let reference = scan::VariableReference::parse(name);
        let found = if is_global { scope.global(&reference.name) } else { look_up(&reference, scope) };
        if let Some(value) = found {
            self.bytes_left = self.bytes_left.saturating_sub(value.len());
            self.push(value, Then::Value(reference.cut), is_global);
        }
    }

    /// Answers a function inside or asks for it; `otherwise` is inserted if it is unknown.
    fn call(
        &mut self,
        name: &Text,
        arguments: Text,
        otherwise: &'static str,
        scope: &dyn Scope,
    ) -> Option<Step<Text>> {
        if !scope.may_call_functions() {
            self.insert(&Text::trusted("<API Execute Permission Denied>"));
            return None;
        }
        // The network never chooses which function runs.
        if name.has_atoms() || name.is_empty() {
            return None;
        }
        match name.as_str().to_ascii_lowercase().as_str() {
            // With `uuid:` they speak of another channel, which only the outside knows.
            "eval" if !arguments.has_syntax("uuid:", 0) => self.push(arguments, Then::Insert, true),
            "expand" if !arguments.has_syntax("uuid:", 0) => self.push(arguments, Then::Command, true),
            lower => match functions::answer(lower, &arguments, scope) {
                Some(result) => self.insert(&result),
                None => {
                    let call = ApiCall { name: name.as_str().to_owned(), arguments };
                    self.waiting = Some(Waiting { call: call.clone(), otherwise });
                    return Some(Step::Ask(call));
                }
            },
        }
        None
    }

    fn insert(&mut self, text: &Text) {
        let len = text.len().min(self.bytes_left);
        self.bytes_left -= len;
        if let Some(frame) = self.frames.last_mut() {
            frame.output.push_slice(text, 0..len);
        }
    }

    fn is_global(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_global)
    }
}

impl Cut {
    /// Bytes, not characters; a cut inside a character moves to its start.
    fn of(self, value: &Text) -> Text {
        let len = value.len();
        let magnitude = usize::try_from(self.offset.unsigned_abs()).unwrap_or(usize::MAX);
        let start = if self.offset >= 0 { magnitude.min(len) } else { len - magnitude.min(len) };
        // An offset before the beginning leaves the value whole.
        let start = if self.offset < 0 && magnitude > len { 0 } else { start };
        let end = match usize::try_from(self.length) {
            Ok(length) if length > 0 => start.saturating_add(length).min(len),
            Ok(_) | Err(_) => len,
        };
        value.slice(start..end)
    }
}

fn look_up(reference: &scan::VariableReference, scope: &dyn Scope) -> Option<Text> {
    let name = reference.name.as_str();
    let of_channel = match reference.index {
        Some(index) => scope.element(name, index),
        None => scope.variable(name),
    };
    of_channel.or_else(|| field_of_profile(name, scope)).or_else(|| scope.global(name))
}

fn field_of_profile(name: &str, scope: &dyn Scope) -> Option<Text> {
    let party = |prefix: &str| {
        let head = name.get(..prefix.len())?;
        if head.eq_ignore_ascii_case(prefix) { name.get(prefix.len()..) } else { None }
    };
    if let Some(field) = party("aleg_") {
        scope.party_field(Party::Originator, field)
    } else if let Some(field) = party("bleg_") {
        scope.party_field(Party::Originatee, field)
    } else {
        scope.field(name)
    }
}

/// Expands `text` at once; `api` answers the functions that are not answered inside.
pub fn expand(text: &Text, scope: &dyn Scope, api: &mut dyn FnMut(&ApiCall) -> Option<Text>) -> Text {
    let mut expansion = Expansion::new(text);
    loop {
        match expansion.step(scope) {
            Step::Done(text) => return text,
            Step::Ask(call) => expansion.answer(api(&call)),
        }
    }
}

impl Frame {
    /// Copies up to the next reference and returns what stands between its braces; `None` at the end.
    fn scan(&mut self, bytes_left: &mut usize) -> Option<Text> {
        while self.at < self.text.len() {
            let from = self.at;
            match scan::next(&self.text, from, self.after_reference) {
                scan::Piece::Copy(range, to) => {
                    self.at = to;
                    self.after_reference = false;
                    self.copy(range, bytes_left);
                }
                scan::Piece::Reference(body, to) => {
                    self.at = to;
                    self.after_reference = true;
                    return Some(self.text.slice(body));
                }
            }
        }
        None
    }

    fn copy(&mut self, range: Range<usize>, bytes_left: &mut usize) {
        let len = range.len().min(*bytes_left);
        *bytes_left -= len;
        self.output.push_slice(&self.text, range.start..range.start + len);
    }
}
