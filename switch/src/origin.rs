//! Text of mixed origin on its way into a message: what came from the network stays in the place it was given.

use core::fmt::Write as _;

use dialplan::Text;

/// The text put together again from its pieces, each said anew by its origin.
pub(crate) fn by_origin(
    text: &Text,
    trusted: impl Fn(&str) -> String,
    network: impl Fn(&str) -> String,
) -> String {
    let (mut said, mut end) = (String::with_capacity(text.len()), 0);
    for atom in text.atoms() {
        said.push_str(&trusted(&text.as_str()[end..atom.start]));
        said.push_str(&network(&text.as_str()[atom.clone()]));
        end = atom.end;
    }
    said.push_str(&trusted(&text.as_str()[end..]));
    said
}

/// A URI that is to stand in `<…>`, without them. What came from the network may be any part of it, but it cannot leave
/// the brackets.
pub(crate) fn in_brackets(uri: &Text) -> String {
    let uri = by_origin(uri, str::to_owned, |piece| {
        piece.chars().fold(String::new(), |mut tame, character| {
            if character.is_ascii_graphic() && !matches!(character, '<' | '>' | '"') {
                tame.push(character);
                return tame;
            }
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(tame, "%{byte:02X}");
            }
            tame
        })
    });
    uri.trim_matches(['<', '>']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_text_does_not_leave_the_brackets() {
        let mut uri = Text::trusted("<sip:");
        uri.push_network("1>;tag=x \r\nä\"");
        uri.push_str("@h;x=1>");
        assert_eq!(in_brackets(&uri), "sip:1%3E;tag=x%20%0D%0A%C3%A4%22@h;x=1");
    }
}
