//! SIP as the phones of a world read it: by their own eyes, so that a mistake of `signaling` is not made twice.

use std::fmt;

/// A message that was received, cut into its parts.
#[derive(Clone, Debug)]
pub struct Sip<'a> {
    /// Request line or status line.
    pub start: &'a str,
    /// Header lines in order.
    pub headers: Vec<(&'a str, &'a str)>,
    /// What follows the empty line.
    pub body: &'a str,
}

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Sip<'a> {
    /// Reads a whole message. Folded lines and compact names are not understood: the switch writes neither.
    pub fn parse(bytes: &'a [u8]) -> Result<Sip<'a>, Unreadable> {
        let bad = |what: &str| Unreadable(what.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| bad("not UTF-8"))?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| bad("no empty line"))?;
        let mut lines = head.split("\r\n");
        let start = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| bad("no start line"))?;
        let mut headers = Vec::with_capacity(20);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or_else(|| bad("a header line without a colon"))?;
            headers.push((name.trim_end(), value.trim()));
        }
        let message = Sip { start, headers, body };
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            if message.header(name).is_none() {
                return Err(Unreadable(format!("no {name}")));
            }
        }
        let length = message.header("Content-Length").map(str::parse::<usize>);
        if length.is_none_or(|length| length != Ok(body.len())) {
            return Err(bad("Content-Length does not fit"));
        }
        Ok(message)
    }

    /// Whether it asks rather than answers.
    pub fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0 ")
    }

    /// The method of a request line.
    pub fn method(&self) -> &'a str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request.
    pub fn uri(&self) -> &'a str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of a response; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All headers of a name.
    pub fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a str> + 'n {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The call's name.
    pub fn call_id(&self) -> &'a str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &'a str) {
        let value = self.header("CSeq").unwrap_or_default();
        let (number, method) = value.split_once(' ').unwrap_or((value, ""));
        (number.parse().unwrap_or(0), method.trim())
    }

    /// The tag of From.
    pub fn from_tag(&self) -> &'a str {
        tag(self.header("From").unwrap_or_default())
    }

    /// The tag of To, empty when there is none.
    pub fn to_tag(&self) -> &'a str {
        tag(self.header("To").unwrap_or_default())
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &'a str {
        parameter(self.header("Via").unwrap_or_default(), "branch")
    }

    /// The URI of Contact.
    pub fn contact(&self) -> Option<&'a str> {
        self.header("Contact").map(inside_brackets)
    }

    /// User part of a URI in From.
    pub fn from_user(&self) -> &'a str {
        user(inside_brackets(self.header("From").unwrap_or_default()))
    }

    /// Whether it carries a session description.
    pub fn has_sdp(&self) -> bool {
        !self.body.is_empty()
            && self.header("Content-Type").is_some_and(|kind| kind.starts_with("application/sdp"))
    }
}

/// User part of a SIP URI.
pub fn user(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user)
}

/// What stands between `<` and `>`, or all.
pub fn inside_brackets(value: &str) -> &str {
    let inner = value.split_once('<').map_or(value, |(_, rest)| rest);
    inner.split_once('>').map_or(inner, |(uri, _)| uri)
}

fn tag(value: &str) -> &str {
    let rest = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
    parameter(rest, "tag")
}

fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    let mut found = value.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    found.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// One line of a ladder: what the message is.
pub fn summary(bytes: &[u8]) -> String {
    match Sip::parse(bytes) {
        Ok(message) => {
            let (number, method) = message.cseq();
            let sdp = if message.has_sdp() { " (SDP)" } else { "" };
            let reason = message.header("Reason").map(|reason| format!(" [{reason}]")).unwrap_or_default();
            let start = message.start.trim_end_matches(" SIP/2.0").trim_start_matches("SIP/2.0 ");
            let method = if message.is_request() { "" } else { method };
            format!("{start} {method} {number}{sdp}{reason} {}", message.call_id())
        }
        Err(why) => format!("{} octets ({why})", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:b@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1\r\n\
        From: \"A\" <sip:a@192.0.2.9;x=1>;tag=f\r\nTo: <sip:b@192.0.2.1>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
        Content-Length: 2\r\n\r\nhi";

    #[test]
    fn a_message_is_cut_into_its_parts() {
        let message = Sip::parse(INVITE.as_bytes()).unwrap();
        assert_eq!((message.method(), message.uri(), message.body), ("INVITE", "sip:b@192.0.2.1", "hi"));
        assert_eq!((message.cseq(), message.branch()), ((7, "INVITE"), "z9hG4bK1"));
        assert_eq!((message.from_tag(), message.to_tag(), message.from_user()), ("f", "", "a"));
    }

    #[test]
    fn a_length_that_does_not_fit_is_noticed() {
        let message = INVITE.replace("Length: 2", "Length: 3");
        assert!(Sip::parse(message.as_bytes()).is_err());
    }
}
