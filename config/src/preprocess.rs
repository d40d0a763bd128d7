//! From files to one text: FreeSWITCH's line preprocessor.
//!
//! It works on lines, knows nothing of XML and is exact about it: a line with `<include>` or `<?` vanishes
//! whole, a line with a directive vanishes but for its effect, and a directive inside an XML comment works
//! like any other. What an operator would not expect of that is told as a warning.

mod directive;
mod expand;

use crate::files::Files;
use crate::globals::Globals;
use crate::limits::{
    EXPANDED_BYTES_MAX, FILE_BYTES_MAX, GLOBAL_VALUE_BYTES_MAX, GLOBALS_MAX, INCLUDE_DEPTH_MAX,
};
use crate::load::LoadOptions;
use crate::nearest::nearest;
use crate::pattern::has_wildcard;
use crate::place::Place;
use crate::problem::Problems;
use crate::source::{Line, Source};
use directive::{Given, Tagged};
use std::borrow::Cow;
use std::ops::Range;

/// A limit was passed: the load is over, and the reason is among the problems.
struct Refused;

/// The state of one load's preprocessing.
pub(crate) struct Preprocessor<'a> {
    files: &'a dyn Files,
    options: &'a LoadOptions,
    globals: Globals,
    problems: &'a mut Problems,
    source: Source,
    /// The files being read, outermost first.
    open: Vec<String>,
    files_read: usize,
    bytes_read: usize,
    bytes_expanded: usize,
    /// Whether the text so far ends within an XML comment.
    in_comment: bool,
}

/// Reads the root file and all it includes. No source is returned when a limit was passed.
pub(crate) fn preprocess(
    files: &dyn Files,
    root: &str,
    globals: Globals,
    options: &LoadOptions,
    problems: &mut Problems,
) -> (Option<Source>, Globals) {
    let mut preprocessor = Preprocessor {
        files,
        options,
        globals,
        problems,
        source: Source::default(),
        open: Vec::new(),
        files_read: 0,
        bytes_read: 0,
        bytes_expanded: 0,
        in_comment: false,
    };
    let result = preprocessor.file(root, None);
    (result.is_ok().then_some(preprocessor.source), preprocessor.globals)
}

/// A file's bytes as text: UTF-8, with single bytes of other encodings taken for latin-1. Returns the offset
/// of the first such byte, too.
pub(crate) fn decode(bytes: Vec<u8>) -> (String, Option<usize>) {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return (without_mark(text), None),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    let mut first = None;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            first.get_or_insert(text.len());
        }
        text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
    }
    (without_mark(text), first)
}

/// Takes a byte order mark off.
fn without_mark(mut text: String) -> String {
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

impl Preprocessor<'_> {
    fn file(&mut self, path: &str, included_at: Option<Place>) -> Result<(), Refused> {
        let place = included_at.clone().unwrap_or_else(|| Place::new(path, 1, 1));
        if self.open.iter().any(|open| same_path(open, path)) {
            self.problems
                .error(place, format!("`{path}` includes itself: {} → {path}", self.open.join(" → ")));
            return Ok(());
        }
        if self.open.len() > self.options.include_depth_max.min(INCLUDE_DEPTH_MAX) {
            return self.refuse(place, format!("includes are nested deeper than {}", self.open.len() - 1));
        }
        if self.files_read >= self.options.include_files_max {
            return self
                .refuse(place, format!("more than {} files are included", self.options.include_files_max));
        }
        self.files_read += 1;
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(reason) => {
                self.problems.error(place, format!("`{path}` cannot be read: {reason}"));
                return Ok(());
            }
        };
        let bytes_max = self.options.file_bytes_max.min(FILE_BYTES_MAX);
        if bytes.len() > bytes_max {
            return self.refuse(place, format!("`{path}` is longer than {bytes_max} bytes"));
        }
        self.bytes_read += bytes.len();
        if self.bytes_read > self.bytes_expanded_max() {
            return self
                .refuse(place, format!("all files together are longer than {}", self.bytes_expanded_max()));
        }
        self.open.push(path.to_owned());
        let result = self.text(path, bytes);
        self.open.pop();
        result
    }

    fn bytes_expanded_max(&self) -> usize {
        self.options.expanded_bytes_max.min(EXPANDED_BYTES_MAX)
    }

    fn refuse<T>(&mut self, place: Place, what: String) -> Result<T, Refused> {
        self.problems.error(place, what);
        Err(Refused)
    }

    fn text(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), Refused> {
        let file = self.source.file(path);
        let (text, first_latin_1) = decode(bytes);
        let mut offset = 0;
        let mut in_old_comment = false;
        for (index, whole) in text.split_inclusive('\n').enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let stripped = whole.strip_suffix('\n').unwrap_or(whole);
            let stripped = stripped.strip_suffix('\r').unwrap_or(stripped);
            let plain = Line::plain(&file, number, stripped);
            if let Some(first) = first_latin_1.filter(|first| (offset..offset + whole.len()).contains(first))
            {
                let place = plain.place(first - offset);
                self.problems.warning_expecting(
                    place,
                    "a byte that is not UTF-8 is read as latin-1",
                    "UTF-8",
                );
            }
            if let Some(at) = stripped.find('\0') {
                return self
                    .refuse(plain.place(at), "a NUL byte: this is no text file, or UTF-16".to_owned());
            }
            offset += whole.len();
            let line = self.expanded(plain)?;
            self.line(&line, &mut in_old_comment)?;
        }
        Ok(())
    }

    /// Replaces `$${}` and charges the line to the load's limit, whether or not it will be kept.
    fn expanded<'l>(&mut self, line: Line<'l>) -> Result<Line<'l>, Refused> {
        let bytes_left = self.bytes_expanded_max().saturating_sub(self.bytes_expanded);
        let Cow::Borrowed(original) = line.text else { return Ok(line) };
        let Ok(expanded) = expand::expand(original, &self.globals, bytes_left.saturating_sub(1)) else {
            let what = "the configuration is too long after replacing `$${}`".to_owned();
            return self.refuse(line.place(0), what);
        };
        self.bytes_expanded += expanded.text.len() + 1;
        let line = Line { text: expanded.text, pieces: expanded.pieces, ..line };
        for unset in expanded.unset {
            if !self.is_in_comment(&line.text[..unset.offset]) {
                let place = Place { column: unset.column, ..line.place(0) };
                let what = format!("`$${{{}}}` is not set, so nothing stands in its place", unset.name);
                self.problems.warning(place, what);
            }
        }
        if let Some(at) = expanded.unterminated.filter(|&at| !self.is_in_comment(&line.text[..at])) {
            self.problems.warning_expecting(line.place(at), "`$${` without an end is kept as it is", "`}`");
        }
        Ok(line)
    }

    fn line(&mut self, line: &Line<'_>, in_old_comment: &mut bool) -> Result<(), Refused> {
        if let Some(word) =
            ["<include>", "</include>", "<?"].into_iter().find(|word| line.text.contains(word))
        {
            self.warn_of_lost_text(line, word);
            return Ok(());
        }
        match directive::tagged(&line.text) {
            Tagged::Absent => {}
            Tagged::Disabled => return Ok(()),
            Tagged::Incomplete(at) => {
                if !self.is_in_comment(&line.text[..at]) && !*in_old_comment {
                    let what = "a directive that does nothing; all of its line is dropped";
                    self.problems.warning_expecting(line.place(at), what, "cmd=\"…\" and then data=\"…\"");
                }
                return Ok(());
            }
            Tagged::Given(given) => return self.directive(line, &given, *in_old_comment),
        }
        if *in_old_comment {
            let Some(end) = line.text.find("-->") else { return Ok(()) };
            *in_old_comment = false;
            self.copy(line, end + 3..line.text.len());
            self.source.end_line();
            return Ok(());
        }
        let Some(found) = directive::commented(&line.text) else {
            self.copy(line, 0..line.text.len());
            self.source.end_line();
            return Ok(());
        };
        *in_old_comment = !found.closed;
        self.copy(line, 0..found.comment.start);
        self.copy(line, found.comment.end..line.text.len());
        self.source.end_line();
        let (command, data) = (&line.text[found.command.clone()], &line.text[found.argument.clone()]);
        if matches!(command, "set" | "exec-set" | "stun-set" | "include" | "exec") {
            self.run(line, found.comment.start, command, data)?;
        }
        Ok(())
    }

    fn copy(&mut self, line: &Line<'_>, range: Range<usize>) {
        self.in_comment = self.is_in_comment(&line.text[range.clone()]);
        self.source.push(line, range);
    }

    /// Whether the text so far and this after it end within an XML comment.
    fn is_in_comment(&self, text: &str) -> bool {
        let mut inside = self.in_comment;
        let mut rest = text;
        while let Some(at) = rest.find(if inside { "-->" } else { "<!--" }) {
            rest = &rest[at + if inside { 3 } else { 4 }..];
            inside = !inside;
        }
        inside
    }

    fn directive(&mut self, line: &Line<'_>, given: &Given, in_old_comment: bool) -> Result<(), Refused> {
        let text = line.text.as_ref();
        let place = line.place(given.tag.start);
        let (before, after) = (&text[..given.tag.start], &text[given.tag.end..]);
        if in_old_comment || self.is_in_comment(before) {
            self.problems.warning(place, "this directive stands in a comment and is executed all the same");
        } else if !is_blank_or_comment(before) || !is_blank_or_comment(after) {
            self.problems.warning(place, "what stands beside a directive on its line is dropped");
        }
        self.run(line, given.tag.start, &text[given.command.clone()], &text[given.data.clone()])
    }

    /// Warns when a dropped line held more than what it is dropped for.
    fn warn_of_lost_text(&mut self, line: &Line<'_>, word: &str) {
        let text = line.text.as_ref();
        let at = text.find(word).unwrap_or_default();
        let end = if word == "<?" { text[at..].find("?>").map(|end| at + end + 2) } else { None };
        let rest = end.map_or(&text[at + word.len()..], |end| &text[end..]);
        let rest = rest.trim().strip_prefix("</include>").unwrap_or(rest);
        let lost = !is_blank_or_comment(&text[..at]) || !is_blank_or_comment(rest);
        if lost && !self.is_in_comment(&text[..at]) {
            let what = format!("a line with `{word}` is dropped, and with it what else stands on it");
            self.problems.warning(line.place(at), what);
        }
    }

    fn run(&mut self, line: &Line<'_>, at: usize, command: &str, data: &str) -> Result<(), Refused> {
        let place = line.place(at);
        match command.to_ascii_lowercase().as_str() {
            "set" => self.set(place, data, |_, _, value| Some(value.to_owned())),
            "env-set" => self.set(place, data, Self::environment),
            "stun-set" => self.set(place, data, Self::external_address),
            "exec-set" => self.set(place, data, Self::output_value),
            "include" => self.include(&line.file.name, place, data),
            "exec" => self.exec(line, place, data),
            other => {
                let commands = ["set", "include", "env-set", "exec", "exec-set", "stun-set"];
                let what = format!("unknown directive `{other}`");
                match nearest(other, commands) {
                    Some(near) => self.problems.warning_expecting(place, what, format!("`{near}`")),
                    None => self.problems.warning(place, what),
                }
                Ok(())
            }
        }
    }

    /// All `…set` commands: `name=text`, where the text becomes a value in the command's own way.
    fn set(
        &mut self,
        place: Place,
        data: &str,
        value: impl FnOnce(&mut Self, &Place, &str) -> Option<String>,
    ) -> Result<(), Refused> {
        let Some((name, text)) = data.split_once('=') else {
            self.problems.warning_expecting(place, format!("`{data}` sets nothing"), "`name=value`");
            return Ok(());
        };
        let name = name.trim_end_matches(' ');
        let Some(value) = value(self, &place, text.trim_start_matches(' ')) else { return Ok(()) };
        if value.len() > GLOBAL_VALUE_BYTES_MAX {
            let what = format!("the value of `{name}` is longer than {GLOBAL_VALUE_BYTES_MAX} bytes");
            return self.refuse(place, what);
        }
        if self.globals.len() >= GLOBALS_MAX && self.globals.get(name).is_none() {
            return self.refuse(place, format!("more than {GLOBALS_MAX} global variables"));
        }
        self.globals.set(name, &value);
        Ok(())
    }

    fn environment(&mut self, place: &Place, text: &str) -> Option<String> {
        let Some(name) = text.strip_prefix('$') else {
            self.problems.warning_expecting(
                place.clone(),
                "`env-set` without `$` sets nothing",
                "`NAME=$NAME`",
            );
            return None;
        };
        let value = self.files.environment(name);
        if value.is_none() {
            self.problems.warning(place.clone(), format!("the environment has no `{name}`"));
        }
        value
    }

    /// The address that a STUN server would tell. None is asked while loading: a reload must not wait for the
    /// network, so the address is the one that the caller knows the default route to leave by.
    fn external_address(&mut self, place: &Place, _server: &str) -> Option<String> {
        let known = self.options.default_route_address.clone();
        let address = known.or_else(|| self.globals.get("local_ip_v4").map(str::to_owned));
        let what = match &address {
            Some(address) => {
                format!("no STUN server is asked; the address of the default route, {address}, is used")
            }
            None => "no STUN server is asked, and no address is known: nothing is set".to_owned(),
        };
        self.problems.warning(place.clone(), what);
        address
    }

    fn output_value(&mut self, place: &Place, command: &str) -> Option<String> {
        let output = self.output(place, command)?;
        Some(output.trim_end().to_owned())
    }

    /// Runs a command, if that is allowed at all.
    fn output(&mut self, place: &Place, command: &str) -> Option<String> {
        if !self.options.allow_exec {
            let what = format!("`{command}` is not run: commands in configuration files are not allowed");
            self.problems.warning(place.clone(), what);
            return None;
        }
        match self.files.execute(command) {
            Ok(bytes) => Some(decode(bytes).0),
            Err(reason) => {
                self.problems.error(place.clone(), format!("`{command}` failed: {reason}"));
                None
            }
        }
    }

    fn exec(&mut self, line: &Line<'_>, place: Place, command: &str) -> Result<(), Refused> {
        let Some(output) = self.output(&place, command) else { return Ok(()) };
        let bytes_left = self.bytes_expanded_max().saturating_sub(self.bytes_expanded);
        if output.len() + 1 > bytes_left {
            return self.refuse(place, format!("`{command}` wrote more than a configuration may hold"));
        }
        self.bytes_expanded += output.len() + 1;
        self.in_comment = self.is_in_comment(&output);
        self.source.push_inserted(line, place, &output);
        self.source.end_line();
        Ok(())
    }

    fn include(&mut self, including: &str, place: Place, pattern: &str) -> Result<(), Refused> {
        let pattern = beside(including, pattern);
        let mut paths = match self.files.glob(&pattern) {
            Ok(paths) => paths,
            Err(reason) => {
                self.problems.error(place, format!("`{pattern}` cannot be looked up: {reason}"));
                return Ok(());
            }
        };
        // Exception: FreeSWITCH passes over a missing file in silence. A pattern may match nothing, but who
        // names one file means it, and half a configuration is worse than the old one.
        if paths.is_empty() && !has_wildcard(&pattern) {
            self.problems.error(place, format!("`{pattern}` does not exist"));
            return Ok(());
        }
        paths.sort();
        for path in paths {
            self.file(&path, Some(place.clone()))?;
        }
        Ok(())
    }
}

/// A path as seen from the directory of a file.
fn beside(file: &str, path: &str) -> String {
    match file.rfind('/') {
        _ if path.starts_with('/') => path.to_owned(),
        Some(at) => format!("{}{path}", &file[..=at]),
        None => path.to_owned(),
    }
}

/// Whether two paths are one by their letters: `.` and `..` are resolved, links are not known here.
fn same_path(left: &str, right: &str) -> bool {
    fn parts(path: &str) -> Vec<&str> {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            match part {
                ".." if parts.last().is_some_and(|last| *last != "..") => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        parts
    }
    left.starts_with('/') == right.starts_with('/') && parts(left) == parts(right)
}

/// Whether nothing is lost with a text.
fn is_blank_or_comment(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || text
            .strip_prefix("<!--")
            .and_then(|rest| rest.split_once("-->"))
            .is_some_and(|(_, rest)| is_blank_or_comment(rest))
}
