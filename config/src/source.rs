//! The one text that is parsed, and the map from its bytes back to the files it was made of.

use crate::place::Place;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Longest piece of a line with one entry in the map: bounds the counting of characters per lookup.
const SEGMENT_BYTES_MAX: usize = 256;

/// A file being read: its name as shared by all places in it, and its number in the map.
#[derive(Clone, Debug)]
pub(crate) struct FileId {
    pub(crate) name: Arc<str>,
    number: u32,
}

/// A part of a line that stands in the file as it is, or that one place of the file was replaced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the part begins in the line's text.
    pub(crate) start: usize,
    /// Its column in the file.
    pub(crate) column: u32,
    /// Whether all of the part stands for that one place.
    pub(crate) replaced: bool,
}

/// One line after replacement, knowing where each part stood.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) file: &'a FileId,
    pub(crate) number: u32,
    pub(crate) text: Cow<'a, str>,
    pub(crate) pieces: Vec<Piece>,
}

impl<'a> Line<'a> {
    /// A line in which nothing was replaced.
    pub(crate) fn plain(file: &'a FileId, number: u32, text: &'a str) -> Line<'a> {
        let pieces = vec![Piece { start: 0, column: 1, replaced: false }];
        Line { file, number, text: Cow::Borrowed(text), pieces }
    }

    /// Where the byte at this offset of the line's text stands in the file.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let at = self.pieces.partition_point(|piece| piece.start <= offset).saturating_sub(1);
        let column = self.pieces.get(at).map_or(1, |piece| {
            if piece.replaced {
                return piece.column;
            }
            let before = self.text.get(piece.start..offset).unwrap_or_default();
            piece.column + column_count(before)
        });
        Place { file: self.file.name.clone(), line: self.number, column }
    }
}

/// Characters, as columns are counted; no line within the limits has more than 32 bits of them.
pub(crate) fn column_count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u32,
    file: u32,
    line: u32,
    column: u32,
    replaced: bool,
}

/// The expanded text with its map.
#[derive(Debug, Default)]
pub(crate) struct Source {
    text: String,
    segments: Vec<Segment>,
    files: Vec<Arc<str>>,
}

impl Source {
    /// A text that needs no preprocessing.
    pub(crate) fn plain(name: &str, text: &str) -> Source {
        let mut source = Source::default();
        let file = source.file(name);
        for (index, line) in text.lines().enumerate() {
            let line = Line::plain(&file, u32::try_from(index + 1).unwrap_or(u32::MAX), line);
            source.push(&line, 0..line.text.len());
            source.end_line();
        }
        source
    }

    /// Announces a file; each reading of it is a file of its own.
    pub(crate) fn file(&mut self, name: &str) -> FileId {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = Arc::from(name);
        self.files.push(name.clone());
        FileId { name, number }
    }

    /// Adds a part of a line.
    pub(crate) fn push(&mut self, line: &Line<'_>, range: Range<usize>) {
        for (index, piece) in line.pieces.iter().enumerate() {
            let piece_end = line.pieces.get(index + 1).map_or(line.text.len(), |next| next.start);
            let (start, end) = (piece.start.max(range.start), piece_end.min(range.end));
            if start >= end {
                continue;
            }
            let skipped = if piece.replaced { 0 } else { column_count(&line.text[piece.start..start]) };
            let column = piece.column + skipped;
            self.push_piece(line, &line.text[start..end], Piece { start, column, ..*piece });
        }
    }

    /// Adds text that stands for one place as a whole.
    pub(crate) fn push_inserted(&mut self, line: &Line<'_>, at: Place, text: &str) {
        self.push_piece(line, text, Piece { start: 0, column: at.column, replaced: true });
    }

    /// Ends the line that was added.
    pub(crate) fn end_line(&mut self) {
        self.text.push('\n');
    }

    fn push_piece(&mut self, line: &Line<'_>, text: &str, piece: Piece) {
        let mut rest = text;
        let mut column = piece.column;
        while !rest.is_empty() {
            let mut len = rest.len();
            if !piece.replaced && len > SEGMENT_BYTES_MAX {
                len = (1..=SEGMENT_BYTES_MAX).rev().find(|&end| rest.is_char_boundary(end)).unwrap_or(len);
            }
            self.segments.push(Segment {
                start: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
                file: line.file.number,
                line: line.number,
                column,
                replaced: piece.replaced,
            });
            self.text.push_str(&rest[..len]);
            column += column_count(&rest[..len]);
            rest = &rest[len..];
        }
    }

    /// How many entries the map has: its memory.
    pub(crate) fn segments_len(&self) -> usize {
        self.segments.len()
    }

    /// The text to parse.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where the byte at this offset of the text stands in the original files.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let at = self.segments.partition_point(|segment| segment.start as usize <= offset).saturating_sub(1);
        let Some(segment) = self.segments.get(at) else {
            return Place { file: self.files.first().cloned().unwrap_or_default(), line: 1, column: 1 };
        };
        let before = if segment.replaced {
            ""
        } else {
            self.text.get(segment.start as usize..offset).unwrap_or_default()
        };
        // An offset past the last segment belongs to the line break that ended it.
        let before = before.strip_suffix('\n').unwrap_or(before);
        let file = self.files.get(segment.file as usize).cloned().unwrap_or_default();
        Place { file, line: segment.line, column: segment.column + column_count(before) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_across_the_segments_of_a_long_line() {
        let text = format!("{}x", "é".repeat(1_000));
        let source = Source::plain("f", &format!("one\n{text}\nthree"));
        let offset = source.text().find('x').expect("x was written");
        assert_eq!(source.place(offset), Place::new("f", 2, 1_001));
        assert_eq!(source.place(source.text().len()), Place::new("f", 3, 6));
        assert_eq!(source.place(3), Place::new("f", 1, 4));
    }

    #[test]
    fn a_replaced_part_stands_for_one_place() {
        let mut source = Source::default();
        let file = source.file("f");
        let pieces = vec![
            Piece { start: 0, column: 1, replaced: false },
            Piece { start: 2, column: 3, replaced: true },
            Piece { start: 7, column: 9, replaced: false },
        ];
        let line = Line { file: &file, number: 4, text: Cow::Borrowed("abVALUEcd"), pieces };
        source.push(&line, 1..9);
        assert_eq!(source.text(), "bVALUEcd");
        let columns: Vec<u32> = (0..8).map(|offset| source.place(offset).column).collect();
        assert_eq!(columns, [2, 3, 3, 3, 3, 3, 9, 10]);
        assert_eq!((line.place(5).column, line.place(8).column), (3, 10));
    }
}
