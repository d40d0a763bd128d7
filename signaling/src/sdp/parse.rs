//! From text to a [`Session`]: one pass over the lines.

use super::{
    ATTRIBUTES_MAX, Attribute, Connection, FORMATS_MAX, Family, MEDIA_MAX, Media, MediaKind, Origin,
    SdpError, Session,
};

pub(super) fn parse(text: &str) -> Result<Session, SdpError> {
    let mut session = Session { name: "-".to_owned(), ..Session::default() };
    let mut attributes = 0;
    let mut version_seen = false;
    for (at, line) in lines(text) {
        let (letter, value) = split_line(line).ok_or(SdpError::Line(at))?;
        if !version_seen {
            version_seen = letter == b'v' && value.trim_ascii() == "0";
            if !version_seen {
                return Err(SdpError::Version);
            }
            continue;
        }
        match letter {
            b'o' => session.origin = origin(value).ok_or(SdpError::Origin(at))?,
            b's' if !value.is_empty() => value.clone_into(&mut session.name),
            b'c' => keep_connection(&mut session, connection(value).ok_or(SdpError::Connection(at))?),
            b'b' => bandwidth(&mut session).push(value.to_owned()),
            b'a' => {
                attributes += 1;
                if attributes > ATTRIBUTES_MAX {
                    return Err(SdpError::TooManyAttributes);
                }
                attribute_list(&mut session).push(attribute(value).ok_or(SdpError::Line(at))?);
            }
            b'm' => {
                if session.media.len() == MEDIA_MAX {
                    return Err(SdpError::TooManyMedia);
                }
                session.media.push(media(at, value)?);
            }
            // Letters that say nothing to us, and those that nobody knows, are to be passed over (RFC 8866 §5).
            _ => {}
        }
    }
    if version_seen { Ok(session) } else { Err(SdpError::Version) }
}

/// Each line that is not empty, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let lines = (1..).zip(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)));
    lines.filter(|(_, line)| !line.is_empty())
}

fn split_line(line: &str) -> Option<(u8, &str)> {
    is_line(line.as_bytes()).then(|| (line.as_bytes()[0], &line[2..]))
}

/// Whether `line` is `letter=…`. A lone CR, which some take for a line's end, and NUL may not stand in it.
pub(super) fn is_line(line: &[u8]) -> bool {
    matches!(line, [letter, b'=', ..] if letter.is_ascii_alphabetic())
        && memchr::memchr2(b'\r', 0, line).is_none()
}

/// Read from its end, because some write user names of several words.
fn origin(value: &str) -> Option<Origin> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [username @ .., session_id, version, network, family, address] = words.as_slice() else {
        return None;
    };
    let connection = connection_of([*network, *family, *address])?;
    let username = if username.is_empty() { "-".to_owned() } else { username.join("_") };
    Some(Origin {
        username,
        session_id: (*session_id).to_owned(),
        version: (*version).to_owned(),
        connection,
    })
}

/// `IN IP4 address[/ttl[/count]]`
fn connection(value: &str) -> Option<Connection> {
    let mut words = value.split_ascii_whitespace();
    connection_of([words.next()?, words.next()?, words.next()?])
}

fn connection_of([network, family, address]: [&str; 3]) -> Option<Connection> {
    let family = match family {
        "IP4" => Family::Ip4,
        "IP6" => Family::Ip6,
        _ => return None,
    };
    let host = address.split_once('/').map_or(address, |split| split.0);
    (network == "IN" && !host.is_empty()).then(|| Connection { family, host: host.to_owned() })
}

fn attribute(value: &str) -> Option<Attribute> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (value, None),
    };
    let name = name.trim_ascii();
    (!name.is_empty()).then(|| Attribute { name: name.to_owned(), value: value.map(str::to_owned) })
}

/// `kind port[/count] protocol format…`
fn media(at: u32, value: &str) -> Result<Media, SdpError> {
    let malformed = SdpError::Media(at);
    let mut words = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed);
    };
    let port = port.split_once('/').map_or(port, |split| split.0);
    let port = crate::text::number(port).and_then(|port| u16::try_from(port).ok()).ok_or(malformed)?;
    let Ok(kind) = kind.parse::<MediaKind>();
    let formats: Vec<String> = words.take(FORMATS_MAX + 1).map(str::to_owned).collect();
    if formats.len() > FORMATS_MAX {
        return Err(SdpError::TooManyFormats(at));
    }
    Ok(Media { formats, ..Media::new(kind, port, protocol) })
}

/// The first `c=` of each level counts; more of them belong to layered multicast.
fn keep_connection(session: &mut Session, connection: Connection) {
    let place = match session.media.last_mut() {
        Some(media) => &mut media.connection,
        None => &mut session.connection,
    };
    place.get_or_insert(connection);
}

fn bandwidth(session: &mut Session) -> &mut Vec<String> {
    match session.media.last_mut() {
        Some(media) => &mut media.bandwidth,
        None => &mut session.bandwidth,
    }
}

fn attribute_list(session: &mut Session) -> &mut Vec<Attribute> {
    match session.media.last_mut() {
        Some(media) => &mut media.attributes,
        None => &mut session.attributes,
    }
}
