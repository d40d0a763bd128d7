//! What can still be read of a message that is refused: enough to tell its sender.

use crate::header_name::HeaderName;
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::text::split_first;

/// The headers that a response repeats (RFC 3261 §8.2.6), as far as they could be found. Nothing is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// The method of the request line; `None` for a response or no readable start line.
    pub method: Option<Method>,
    /// Via entries, the first line split so that the topmost stands alone.
    pub vias: Vec<String>,
    /// The first From.
    pub from: Option<String>,
    /// The first To.
    pub to: Option<String>,
    /// The first Call-ID.
    pub call_id: Option<String>,
    /// The first CSeq.
    pub cseq: Option<String>,
}

impl Salvage {
    /// Reads `head` leniently: any line breaks, any bytes. One pass, and no more text than the head has.
    pub(super) fn read(head: &[u8]) -> Salvage {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let start = lines.find(|line| !line.is_empty()).unwrap_or("");
        let mut salvage = Salvage { method: request_method(start), ..Salvage::default() };
        let mut pending = String::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) {
                pending.push(' ');
                pending.push_str(line.trim());
            } else {
                salvage.keep(&pending);
                pending.clear();
                pending.push_str(line);
            }
        }
        salvage.keep(&pending);
        salvage
    }

    /// Whether a response may be sent: to a request that is no ACK and came with a Via.
    pub fn can_be_answered(&self) -> bool {
        !self.vias.is_empty() && self.method.as_ref().is_some_and(|method| *method != Method::Ack)
    }

    fn keep(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim().to_owned();
        match HeaderName::parse(name.trim()) {
            HeaderName::Via if self.vias.is_empty() => self.keep_first_via(&value),
            HeaderName::Via => self.vias.push(value),
            HeaderName::From => self.from = self.from.take().or(Some(value)),
            HeaderName::To => self.to = self.to.take().or(Some(value)),
            HeaderName::CallId => self.call_id = self.call_id.take().or(Some(value)),
            HeaderName::CSeq => self.cseq = self.cseq.take().or(Some(value)),
            _ => {}
        }
    }

    fn keep_first_via(&mut self, value: &str) {
        let (top, rest) = split_first(value);
        let entries = [top, rest].into_iter().filter(|entry| !entry.is_empty());
        self.vias.extend(entries.map(str::to_owned));
    }
}

/// `to` with a tag, unless it has one or cannot be read.
pub(crate) fn with_tag(to: &str, tag: &str) -> String {
    match NameAddr::parse(to) {
        Ok(name_addr) if name_addr.tag().is_none() && !tag.is_empty() => format!("{to};tag={tag}"),
        _ => to.to_owned(),
    }
}

/// The method of a request line, if `line` is one: the last word names SIP's version.
fn request_method(line: &str) -> Option<Method> {
    let version = line.trim_end().rsplit(' ').next()?;
    let method = line.split(' ').next()?;
    let is_request = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    if is_request { Method::parse(method) } else { None }
}
