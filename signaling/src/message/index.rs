//! The index of header lines: one pass over the head, whatever stands in it.

use bytestring::ByteString;
use smallvec::SmallVec;

use super::{Fault, HEADERS_MAX, SLOTS_INLINE, Slot, Span};
use crate::header_name::HeaderName;
use crate::text::is_token;

/// A head cut into lines.
pub(super) struct Index {
    /// The head; its folds are spaces now.
    pub(super) head: ByteString,
    /// The start line.
    pub(super) start: Span,
    /// The header lines.
    pub(super) slots: SmallVec<[Slot; SLOTS_INLINE]>,
}

/// Cuts `head`, which ends with the CRLF of its last header line.
pub(super) fn index(head: ByteString) -> Result<Index, Fault> {
    let text: &str = &head;
    let bytes = text.as_bytes();
    let mut slots = SmallVec::new();
    let mut folds: Vec<usize> = Vec::new();
    let mut start = None;
    let mut line_start = 0;
    for feed in memchr::memchr_iter(b'\n', bytes) {
        let end = feed
            .checked_sub(1)
            .filter(|&at| at >= line_start && bytes[at] == b'\r')
            .ok_or(Fault::LineBreak)?;
        if matches!(bytes.get(feed + 1), Some(b' ' | b'\t')) {
            folds.push(end);
            continue; // the line goes on (RFC 3261 §7.3.1)
        }
        if start.is_none() {
            if !folds.is_empty() {
                return Err(Fault::StartLine);
            }
            start = Some(Span::new(0..end));
        } else {
            if slots.len() == HEADERS_MAX {
                return Err(Fault::TooManyHeaders);
            }
            slots.push(slot(text, line_start, end)?);
        }
        line_start = feed + 1;
    }
    if line_start != bytes.len() {
        return Err(Fault::LineBreak);
    }
    let start = start.ok_or(Fault::StartLine)?;
    // Each CR is accounted for by a line end; one more stands alone inside a value.
    if memchr::memchr_iter(b'\r', bytes).count() != memchr::memchr_iter(b'\n', bytes).count() {
        return Err(Fault::LineBreak);
    }
    let head = if folds.is_empty() { head } else { unfold(text, &folds) };
    Ok(Index { head, start, slots })
}

/// The header line that lies in `start..end`, folds and all.
fn slot(text: &str, start: usize, end: usize) -> Result<Slot, Fault> {
    let line = &text[start..end];
    let colon = line.find(':').ok_or(Fault::HeaderLine)?;
    let name = line[..colon].trim_end_matches([' ', '\t']);
    if !is_token(name) {
        return Err(Fault::HeaderLine);
    }
    let white = [' ', '\t', '\r', '\n'];
    let value = line[colon + 1..].trim_end_matches(white);
    let value_start = start + colon + 1 + (value.len() - value.trim_start_matches(white).len());
    Ok(Slot {
        name: HeaderName::parse(name),
        name_span: Span::new(start..start + name.len()),
        value_span: Span::new(value_start..start + colon + 1 + value.len()),
    })
}

/// A copy in which the line break of each fold is two spaces, so that no position changes.
fn unfold(text: &str, folds: &[usize]) -> ByteString {
    let mut unfolded = String::with_capacity(text.len());
    let mut done = 0;
    for &fold in folds {
        unfolded.push_str(&text[done..fold]);
        unfolded.push_str("  ");
        done = fold + 2;
    }
    unfolded.push_str(&text[done..]);
    ByteString::from(unfolded)
}
