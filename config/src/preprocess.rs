//! From files to one text: FreeSWITCH's line preprocessor.
//!
//! It works on lines, knows nothing of XML and is exact about it: a line with `<include>` or `<?` vanishes
//! whole, a line with a directive vanishes but for its effect, and a directive inside an XML comment works
//! like any other. What an operator would not expect of that is told as a warning.

mod commands;
mod directive;
mod expand;

use crate::files::Files;
use crate::globals::Globals;
use crate::limits::{EXPANDED_BYTES_MAX, FILE_BYTES_MAX, INCLUDE_DEPTH_MAX, LINES_MAX};
use crate::load::LoadOptions;
use crate::path::same_path;
use crate::place::Place;
use crate::problem::Problems;
use crate::source::{Line, Source};
use directive::{Given, Tagged};
use std::borrow::Cow;
use std::ops::Range;

/// A limit was passed: the load is over, and the reason is among the problems.
#[derive(Debug)]
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
    /// Whether the file's text so far ends within a comment of the form `<!--#`, which is not copied.
    in_old_comment: bool,
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
        in_old_comment: false,
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

    fn bytes_left(&self) -> usize {
        self.bytes_expanded_max().saturating_sub(self.bytes_expanded)
    }

    fn refuse<T>(&mut self, place: Place, what: String) -> Result<T, Refused> {
        self.problems.error(place, what);
        Err(Refused)
    }

    fn text(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), Refused> {
        let file = self.source.file(path);
        let (text, first_latin_1) = decode(bytes);
        let mut offset = 0;
        let outer = std::mem::replace(&mut self.in_old_comment, false);
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
            self.line(&line)?;
            if self.source.segments_len() > LINES_MAX {
                let what = format!("more than {LINES_MAX} lines and references");
                return self.refuse(line.place(0), what);
            }
        }
        self.in_old_comment = outer;
        Ok(())
    }

    /// Replaces `$${}` and charges the line to the load's limit, whether or not it will be kept.
    fn expanded<'l>(&mut self, line: Line<'l>) -> Result<Line<'l>, Refused> {
        let bytes_max = self.bytes_left().saturating_sub(1);
        let Cow::Borrowed(original) = line.text else { return Ok(line) };
        let Ok(expanded) = expand::expand(original, &self.globals, bytes_max) else {
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

    fn line(&mut self, line: &Line<'_>) -> Result<(), Refused> {
        if let Some(word) =
            ["<include>", "</include>", "<?"].into_iter().find(|word| line.text.contains(word))
        {
            self.warn_of_lost_text(line, word);
            return Ok(());
        }
        match directive::tagged(&line.text) {
            Tagged::Absent => self.ordinary_line(line),
            Tagged::Disabled => Ok(()),
            Tagged::Incomplete(at) => {
                if !self.is_in_comment(&line.text[..at]) {
                    let what = "a directive that does nothing; all of its line is dropped";
                    self.problems.warning_expecting(line.place(at), what, "cmd=\"…\" and then data=\"…\"");
                }
                Ok(())
            }
            Tagged::Given(given) => self.directive(line, &given),
        }
    }

    /// A line that is copied, but for a comment of the old directive form.
    fn ordinary_line(&mut self, line: &Line<'_>) -> Result<(), Refused> {
        let end = line.text.len();
        if self.in_old_comment {
            if let Some(at) = line.text.find("-->") {
                self.in_old_comment = false;
                self.copy(line, at + 3..end);
                self.source.end_line();
            }
            return Ok(());
        }
        let Some(found) = directive::commented(&line.text) else {
            self.copy(line, 0..end);
            self.source.end_line();
            return Ok(());
        };
        self.copy(line, 0..found.comment.start);
        self.copy(line, found.comment.end..end);
        self.source.end_line();
        self.in_old_comment = !found.closed;
        let command = line.text[found.command].to_ascii_lowercase();
        if matches!(command.as_str(), "set" | "exec-set" | "stun-set" | "include" | "exec") {
            self.run(line, found.comment.start, &command, &line.text[found.argument])?;
        }
        Ok(())
    }

    fn copy(&mut self, line: &Line<'_>, range: Range<usize>) {
        self.in_comment = self.is_in_comment(&line.text[range.clone()]);
        self.source.push(line, range);
    }

    /// Whether the text so far and this after it end within an XML comment.
    fn is_in_comment(&self, text: &str) -> bool {
        let mut inside = self.in_comment || self.in_old_comment;
        let mut rest = text;
        while let Some(at) = rest.find(if inside { "-->" } else { "<!--" }) {
            rest = &rest[at + if inside { 3 } else { 4 }..];
            inside = !inside;
        }
        inside
    }

    fn directive(&mut self, line: &Line<'_>, given: &Given) -> Result<(), Refused> {
        let text = line.text.as_ref();
        let place = line.place(given.tag.start);
        let (before, after) = (&text[..given.tag.start], &text[given.tag.end..]);
        if self.is_in_comment(before) {
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
