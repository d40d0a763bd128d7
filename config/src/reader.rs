//! From the expanded text to the tree: a lenient XML reader that refuses what it cannot be sure of.
//!
//! `quick-xml` finds the tags, comments and sections; attributes and references are read here, because
//! operators' files hold a bare `<` or `&` in attribute values and FreeSWITCH takes them. Document type
//! declarations are refused, so there are no entities but the five of XML.

mod attributes;
mod references;

use crate::limits::{ELEMENT_DEPTH_MAX, NODES_MAX};
use crate::problem::Problems;
use crate::source::Source;
use crate::tree::{Attribute, Element};
use quick_xml::errors::SyntaxError;
use quick_xml::events::Event;
use references::Kind;
use std::ops::Range;

/// Reads a text; errors and warnings are told with their places in the original files.
pub(crate) fn read(source: &Source, problems: &mut Problems) -> Option<Element> {
    let mut reader = Reader { source, problems, open: Vec::new(), root: None, nodes: 0 };
    // `quick-xml` takes a byte order mark off without counting it, so none may be left to it.
    let text = source.text().trim_start_matches('\u{feff}');
    let skipped = source.text().len() - text.len();
    let mut tokens = quick_xml::Reader::from_str(text);
    let config = tokens.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let offset =
        |position: u64| usize::try_from(position).map_or(text.len(), |at| at.min(text.len())) + skipped;
    let mut start = skipped;
    loop {
        let event = tokens.read_event();
        let range = start..offset(tokens.buffer_position()).max(start);
        start = range.end;
        match event {
            Ok(Event::Eof) => break,
            Ok(event) => reader.event(&event, range).ok()?,
            Err(error) => {
                reader.syntax_error(&error, offset(tokens.error_position()));
                return None;
            }
        }
    }
    reader.finish()
}

/// Nothing more can be read; the reason is among the problems.
struct Refused;

struct Reader<'a> {
    source: &'a Source,
    problems: &'a mut Problems,
    /// The elements that are not closed yet, outermost first.
    open: Vec<Element>,
    root: Option<Element>,
    /// Elements and attributes so far.
    nodes: usize,
}

impl Reader<'_> {
    fn event(&mut self, event: &Event<'_>, range: Range<usize>) -> Result<(), Refused> {
        match event {
            Event::Start(_) => self.start(range, false),
            Event::Empty(_) => self.start(range, true),
            Event::End(_) => {
                self.end(range);
                Ok(())
            }
            Event::Text(_) | Event::GeneralRef(_) => {
                self.text(range);
                Ok(())
            }
            Event::CData(content) => {
                if let Some(element) = self.open.last_mut() {
                    element.text_mut().push_str(content);
                }
                Ok(())
            }
            Event::DocType(_) => {
                let what = "a document type declaration is refused";
                self.problems.error_expecting(
                    self.source.place(range.start),
                    what,
                    "none: entities are not read",
                );
                Err(Refused)
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, range: Range<usize>, empty: bool) -> Result<(), Refused> {
        let place = self.source.place(range.start);
        let body = range.start + 1..range.end - if empty { 2 } else { 1 };
        let text = &self.source.text()[body.clone()];
        let name_len = text.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(text.len());
        let name = &text[..name_len];
        if !is_name(name) {
            let what = if name.is_empty() || name.len() > 40 {
                "a `<` that begins no element".to_owned()
            } else {
                format!("`<{name}` begins no element")
            };
            self.problems.error_expecting(place, what, "a name, or `&lt;`");
            return Ok(());
        }
        let attributes = attributes::read(self.source, body.start + name_len..body.end, name, self.problems)?;
        self.nodes += 1 + attributes.len();
        if self.nodes > NODES_MAX {
            self.problems.error(place, format!("more than {NODES_MAX} elements and attributes"));
            return Err(Refused);
        }
        if self.open.len() >= ELEMENT_DEPTH_MAX {
            self.problems.error(place, format!("elements are nested deeper than {ELEMENT_DEPTH_MAX}"));
            return Err(Refused);
        }
        if self.open.is_empty() && self.root.is_some() {
            self.problems.error(place, format!("`<{name}>` stands after the end of the document"));
            return Err(Refused);
        }
        self.open.push(Element::new(name, place, attributes));
        if empty {
            self.close();
        }
        Ok(())
    }

    /// An end tag closes the innermost element of its name; what it closes besides was not closed before.
    fn end(&mut self, range: Range<usize>) {
        let name = self.source.text()[range.start + 2..range.end - 1].trim_ascii();
        let Some(innermost) = self.open.last() else {
            let what = format!("`</{name}>` closes nothing");
            return self.problems.error(self.source.place(range.start), what);
        };
        if innermost.name() != name {
            let what = format!(
                "`</{name}>` where `<{}>`, opened at {}, is open",
                innermost.name(),
                innermost.place()
            );
            let expected = format!("`</{}>`", innermost.name());
            self.problems.error_expecting(self.source.place(range.start), what, expected);
            if !self.open.iter().any(|element| element.name() == name) {
                return;
            }
        }
        while let Some(element) = self.open.last() {
            let found = element.name() == name;
            self.close();
            if found {
                break;
            }
        }
    }

    fn close(&mut self) {
        let Some(mut element) = self.open.pop() else { return };
        element.shrink();
        match self.open.last_mut() {
            Some(parent) => parent.push_child(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, range: Range<usize>) {
        let raw = &self.source.text()[range.clone()];
        match self.open.last_mut() {
            Some(element) => {
                references::resolve(self.source, range, Kind::Text, self.problems, element.text_mut());
            }
            None => {
                let blanks = raw.len() - raw.trim_ascii_start().len();
                if blanks < raw.len() {
                    let place = self.source.place(range.start + blanks);
                    self.problems.warning(place, "text outside of the document is dropped");
                }
            }
        }
    }

    /// What `quick-xml` reports only when it has come to the end of the text.
    fn syntax_error(&mut self, error: &quick_xml::Error, at: usize) {
        let known = self.problems.errors().count();
        let what = match error {
            quick_xml::Error::Syntax(SyntaxError::UnclosedComment) => "this comment is not closed",
            quick_xml::Error::Syntax(SyntaxError::UnclosedCData) => "this CDATA section is not closed",
            quick_xml::Error::Syntax(SyntaxError::UnclosedDoctype) => {
                "a document type declaration is refused"
            }
            quick_xml::Error::Syntax(
                SyntaxError::UnclosedDoubleQuotedAttributeValue
                | SyntaxError::UnclosedSingleQuotedAttributeValue,
            ) => {
                self.blame_attribute(at);
                "this tag is not closed"
            }
            quick_xml::Error::Syntax(SyntaxError::UnclosedTag) => "this tag is not closed",
            quick_xml::Error::Syntax(_) => "this markup is not closed",
            _ => return self.problems.error(self.source.place(at), format!("{error}")),
        };
        if self.problems.errors().count() == known {
            self.problems.error(self.source.place(at), what);
        }
    }

    /// Reads an unclosed tag's attributes, so that the one without an end is told.
    fn blame_attribute(&mut self, tag: usize) {
        let rest = &self.source.text()[tag..];
        let name_len = rest.find(|letter: char| letter.is_ascii_whitespace()).unwrap_or(rest.len());
        let name = rest[..name_len].trim_start_matches('<');
        // What it returns is of no use: the tag has no end.
        let _ = attributes::read(self.source, tag + name_len..self.source.text().len(), name, self.problems);
    }

    fn finish(mut self) -> Option<Element> {
        for element in &self.open {
            self.problems.error(element.place(), format!("`<{}>` is not closed", element.name()));
        }
        if self.open.is_empty() && self.root.is_none() && !self.problems.has_errors() {
            let place = self.source.place(0);
            self.problems.error_expecting(place, "no element at all", "`<document type=\"freeswitch/xml\">`");
        }
        self.root.take().filter(|_| self.open.is_empty())
    }
}

/// Whether a text can name an element: no quote, bracket or sign that hints at a tag which was not closed.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || matches!(first, '_' | ':'))
        && !name.contains(['<', '"', '\'', '=', '&', '/'])
}

/// What the reading of one tag's attributes gives.
type Attributes = Vec<Attribute>;
