//! From a [`Session`] to text. What was parsed prints to text that parses to the same.

use core::fmt::{Display, Formatter, Result, Write};

use super::{Attribute, Connection, Media, Origin, RtpMap, Session};

/// Text of one line: line breaks and NUL become spaces, so that no value can begin a line of its own.
struct Line<'a>(&'a str);

/// A part of a line that white space would end: becomes `_`, and nothing at all becomes `-`.
pub(super) struct Word<'a>(pub(super) &'a str);

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "v=0\r\no={}\r\ns={}\r\n",
            self.origin,
            Line(if self.name.is_empty() { "-" } else { &self.name })
        )?;
        print_connection(f, self.connection.as_ref())?;
        print_bandwidth(f, &self.bandwidth)?;
        f.write_str("t=0 0\r\n")?;
        print_attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for Media {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "m={} {} {}", Word(self.kind.as_str()), self.port, Word(&self.protocol))?;
        self.formats.iter().try_for_each(|format| write!(f, " {}", Word(format)))?;
        f.write_str("\r\n")?;
        print_connection(f, self.connection.as_ref())?;
        print_bandwidth(f, &self.bandwidth)?;
        print_attributes(f, &self.attributes)
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let words = (Word(&self.username), Word(&self.session_id), Word(&self.version));
        write!(f, "{} {} {} {}", words.0, words.1, words.2, self.connection)
    }
}

impl Display for Connection {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "IN {} {}", self.family.as_str(), Word(&self.host))
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.value {
            Some(value) => write!(f, "{}:{}", Line(&self.name), Line(value)),
            None => Line(&self.name).fmt(f),
        }
    }
}

impl Display for RtpMap<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}/{}", self.payload_type, self.encoding, self.clock_rate_hz)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.chars().try_for_each(|c| f.write_char(if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }))
    }
}

impl Display for Word<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.is_empty() {
            return f.write_char('-');
        }
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if c.is_ascii_whitespace() || c == '\0' { '_' } else { c }))
    }
}

fn print_connection(f: &mut Formatter<'_>, connection: Option<&Connection>) -> Result {
    connection.map_or(Ok(()), |connection| write!(f, "c={connection}\r\n"))
}

fn print_bandwidth(f: &mut Formatter<'_>, bandwidth: &[String]) -> Result {
    bandwidth.iter().try_for_each(|value| write!(f, "b={}\r\n", Line(value)))
}

fn print_attributes(f: &mut Formatter<'_>, attributes: &[Attribute]) -> Result {
    attributes.iter().try_for_each(|attribute| write!(f, "a={attribute}\r\n"))
}
