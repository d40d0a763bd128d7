//! Text that knows where it came from.
//!
//! A [`Text`] is a string and the spans of it that a peer on the network chose: names, numbers, headers, digits.
//! Such a span is an *atom*. No reader of syntax (expansion, tokenizer, patterns, dial strings) sees anything in
//! an atom but opaque bytes, so a caller cannot become a variable, a function, a pattern or a second leg.
//! Every reader asks [`Text::syntax_at`] instead of looking at the bytes.

use std::fmt;
use std::ops::Range;

/// A string and its sorted, disjoint, non-empty spans that came from the network. Adjacent spans are one.
///
/// Positions are bytes. A position inside a character is moved down to the character's start, so that neighbouring
/// cuts neither lose nor repeat a character.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text {
    string: String,
    atoms: Vec<Range<usize>>,
}

impl Text {
    /// The empty text.
    pub const fn new() -> Text {
        Text { string: String::new(), atoms: Vec::new() }
    }

    /// Text of the operator's own, whose characters may be syntax.
    pub fn trusted(string: impl Into<String>) -> Text {
        Text { string: string.into(), atoms: Vec::new() }
    }

    /// Text that a peer chose: one atom.
    pub fn network(string: impl Into<String>) -> Text {
        let mut text = Text::trusted(string);
        text.add_atom(0..text.string.len());
        text
    }

    /// A text put together again from its characters and [`atoms`](Text::atoms), as a snapshot keeps them.
    pub fn with_atoms(string: impl Into<String>, atoms: impl IntoIterator<Item = Range<usize>>) -> Text {
        let source = Text::trusted(string);
        let mut atoms: Vec<Range<usize>> = atoms.into_iter().map(|atom| source.fit(atom)).collect();
        atoms.sort_by_key(|atom| atom.start);
        let mut text = Text::new();
        for atom in atoms {
            // Spans of a snapshot that overlap cover what any of them covers.
            let start = atom.start.max(text.len());
            text.push_slice(&source, text.len()..start);
            text.push_network(source.string.get(start..atom.end).unwrap_or_default());
        }
        text.push_slice(&source, text.len()..source.len());
        text
    }

    /// Appends text with its spans.
    pub fn push_text(&mut self, text: &Text) {
        self.push_slice(text, 0..text.len());
    }

    /// Appends trusted text.
    pub fn push_str(&mut self, trusted: &str) {
        self.string.push_str(trusted);
    }

    /// Appends one trusted character.
    pub fn push(&mut self, trusted: char) {
        self.string.push(trusted);
    }

    /// Appends text that a peer chose.
    pub fn push_network(&mut self, network: &str) {
        let start = self.string.len();
        self.string.push_str(network);
        self.add_atom(start..self.string.len());
    }

    /// Appends a part of another text with its spans.
    pub fn push_slice(&mut self, text: &Text, range: Range<usize>) {
        let range = text.fit(range);
        let shift = self.string.len();
        self.string.push_str(&text.string[range.clone()]);
        let first = text.atoms.partition_point(|atom| atom.end <= range.start);
        for atom in text.atoms[first..].iter().take_while(|atom| atom.start < range.end) {
            let start = atom.start.max(range.start) - range.start + shift;
            let end = atom.end.min(range.end) - range.start + shift;
            self.add_atom(start..end);
        }
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let len = floor_boundary(&self.string, len);
        self.string.truncate(len);
        let kept = self.atoms.partition_point(|atom| atom.start < len);
        self.atoms.truncate(kept);
        if let Some(last) = self.atoms.last_mut() {
            last.end = last.end.min(len);
        }
    }

    /// The same characters as the operator's own: lifts the mark on purpose (`trust`, a profile's trusted headers).
    #[must_use]
    pub fn into_trusted(self) -> Text {
        Text { string: self.string, atoms: Vec::new() }
    }

    /// The same characters, all of them marked as chosen by a peer.
    #[must_use]
    pub fn into_network(self) -> Text {
        Text::network(self.string)
    }

    /// The characters without their provenance.
    pub fn into_string(self) -> String {
        self.string
    }

    /// The characters without their provenance.
    pub fn as_str(&self) -> &str {
        &self.string
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.string.len()
    }

    /// Whether there is not a single character.
    pub fn is_empty(&self) -> bool {
        self.string.is_empty()
    }

    /// A part with its spans; what lies outside the text is left out.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Text {
        let mut part = Text::new();
        part.push_slice(self, range);
        part
    }

    /// The spans that came from the network, sorted and disjoint.
    pub fn atoms(&self) -> &[Range<usize>] {
        &self.atoms
    }

    /// Whether any character came from the network.
    pub fn has_atoms(&self) -> bool {
        !self.atoms.is_empty()
    }

    /// Whether the byte at `position` came from the network.
    pub fn is_atom_at(&self, position: usize) -> bool {
        let next = self.atoms.partition_point(|atom| atom.end <= position);
        self.atoms.get(next).is_some_and(|atom| atom.start <= position)
    }

    /// The byte at `position` if it may be read as syntax: it exists and did not come from the network.
    pub fn syntax_at(&self, position: usize) -> Option<u8> {
        let byte = *self.string.as_bytes().get(position)?;
        if self.is_atom_at(position) { None } else { Some(byte) }
    }

    /// Where `byte` first stands as syntax at or after `from`.
    pub fn find_syntax(&self, byte: u8, from: usize) -> Option<usize> {
        let rest = self.string.as_bytes().get(from..)?;
        rest.iter()
            .enumerate()
            .filter(|&(_, &found)| found == byte)
            .map(|(offset, _)| from + offset)
            .find(|&position| !self.is_atom_at(position))
    }

    /// Where `byte` last stands as syntax.
    pub fn rfind_syntax(&self, byte: u8) -> Option<usize> {
        let bytes = self.string.as_bytes().iter().enumerate().rev();
        bytes.filter(|&(_, &found)| found == byte).map(|(at, _)| at).find(|&at| !self.is_atom_at(at))
    }

    /// Whether the text has `word` as syntax at `position`.
    pub fn has_syntax(&self, word: &str, position: usize) -> bool {
        word.bytes().enumerate().all(|(offset, byte)| self.syntax_at(position + offset) == Some(byte))
    }

    /// Without leading and trailing white space; the white space of an atom stays.
    #[must_use]
    pub fn trim_syntax(&self) -> Text {
        let is_blank =
            |at: usize| self.syntax_at(at).is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0B);
        let mut start = 0;
        while is_blank(start) {
            start += 1;
        }
        let mut end = self.len();
        while end > start && is_blank(end - 1) {
            end -= 1;
        }
        self.slice(start..end)
    }

    /// Each character replaced by what `of` says, which must keep its length in bytes; the spans stay.
    #[must_use]
    pub(crate) fn map_ascii(&self, of: impl Fn(&mut str)) -> Text {
        let mut string = self.string.clone();
        of(&mut string);
        Text { string, atoms: self.atoms.clone() }
    }

    fn add_atom(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.atoms.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.atoms.push(range),
        }
    }

    fn fit(&self, range: Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.string, range.start);
        let end = floor_boundary(&self.string, range.end);
        start..end.max(start)
    }
}

/// The last place at or before `position` where a character begins or the string ends.
pub(crate) fn floor_boundary(string: &str, position: usize) -> usize {
    let mut floor = position.min(string.len());
    while !string.is_char_boundary(floor) {
        floor -= 1;
    }
    floor
}

impl From<&str> for Text {
    fn from(trusted: &str) -> Text {
        Text::trusted(trusted)
    }
}

impl From<String> for Text {
    fn from(trusted: String) -> Text {
        Text::trusted(trusted)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.string)
    }
}

impl fmt::Debug for Text {
    /// Like a string, with each atom between `‹` and `›`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut done = 0;
        for atom in &self.atoms {
            write!(f, "{}", self.string[done..atom.start].escape_debug())?;
            write!(f, "‹{}›", self.string[atom.clone()].escape_debug())?;
            done = atom.end;
        }
        write!(f, "{}\"", self.string[done..].escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed() -> Text {
        let mut text = Text::trusted("ab");
        text.push_network("cd");
        text.push_str("ef");
        text
    }

    #[test]
    fn a_slice_keeps_the_part_of_an_atom_that_it_covers() {
        assert_eq!(format!("{:?}", mixed().slice(1..3)), "\"b‹c›\"");
        assert_eq!(format!("{:?}", mixed().slice(3..99)), "\"‹d›ef\"");
        assert_eq!(mixed().slice(Range { start: 4, end: 2 }), Text::new());
        assert_eq!(mixed().slice(0..2).atoms(), &[]);
    }

    #[test]
    fn neighbouring_atoms_become_one() {
        let mut text = Text::network("ab");
        text.push_network("");
        text.push_text(&Text::network("cd"));
        assert_eq!(text.atoms(), std::slice::from_ref(&(0..4)));
    }

    #[test]
    fn a_text_is_put_together_from_a_snapshot() {
        let text = mixed();
        assert_eq!(Text::with_atoms(text.as_str(), text.atoms().to_vec()), text);
        let overlapping = Text::with_atoms("abcdef", [4..99, 1..3, 2..3, 5..5]);
        assert_eq!(format!("{overlapping:?}"), "\"a‹bc›d‹ef›\"");
    }

    #[test]
    fn an_atom_shows_no_syntax() {
        let text = mixed();
        assert_eq!(text.syntax_at(1), Some(b'b'));
        assert_eq!(text.syntax_at(2), None);
        assert_eq!(text.syntax_at(4), Some(b'e'));
        assert_eq!(text.syntax_at(6), None);
        assert_eq!(text.find_syntax(b'c', 0), None);
        assert_eq!(text.find_syntax(b'f', 0), Some(5));
        assert!(text.has_syntax("ef", 4) && !text.has_syntax("bc", 1));
    }

    #[test]
    fn a_cut_inside_a_character_moves_to_its_start() {
        let text = Text::trusted("aéb");
        assert_eq!(text.slice(0..2).as_str(), "a");
        assert_eq!(text.slice(2..4).as_str(), "éb");
    }

    #[test]
    fn truncating_cuts_the_atom_too() {
        let mut text = mixed();
        text.truncate(3);
        assert_eq!(format!("{text:?}"), "\"ab‹c›\"");
        text.truncate(2);
        assert!(!text.has_atoms());
    }

    #[test]
    fn white_space_of_an_atom_is_not_trimmed() {
        let mut text = Text::trusted(" \n");
        text.push_network(" x ");
        text.push_str("\t ");
        assert_eq!(text.trim_syntax(), Text::network(" x "));
    }
}
