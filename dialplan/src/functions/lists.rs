//! `coalesce` and `replace`.

use crate::text::Text;
use crate::tokenizer::{FIELDS_MAX, split};

/// The first field that is not empty.
pub(super) fn coalesce(text: &Text) -> Text {
    split(text, ',', FIELDS_MAX).into_iter().find(|field| !field.is_empty()).unwrap_or_default()
}

/// `DATA|FROM|TO`: every FROM in DATA replaced by TO.
pub(super) fn replace(text: &Text) -> Text {
    let (delimiter, list) = own_delimiter(text);
    let fields = split(&list, delimiter, 3);
    let [data, from, to] = fields.as_slice() else { return Text::trusted("-ERR") };
    if from.is_empty() {
        return data.clone();
    }
    let mut out = Text::new();
    let mut copied = 0;
    for (at, found) in data.as_str().match_indices(from.as_str()) {
        out.push_slice(data, copied..at);
        out.push_text(to);
        copied = at + found.len();
    }
    out.push_slice(data, copied..data.len());
    out
}

/// The delimiter of a list that may begin `m:D`, D being one of `| ~ /`, and the list itself.
pub(super) fn own_delimiter(text: &Text) -> (char, Text) {
    match text.syntax_at(2) {
        Some(own @ (b'|' | b'~' | b'/')) if text.has_syntax("m:", 0) => {
            (char::from(own), text.slice(3..text.len()))
        }
        _ => ('|', text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coalesce_takes_the_first_that_is_not_empty() {
        assert_eq!(coalesce(&Text::trusted(",second,third")).as_str(), "second");
        assert_eq!(coalesce(&Text::trusted("^^:::last")).as_str(), "last");
        assert!(coalesce(&Text::trusted(",,")).is_empty());
    }

    #[test]
    fn replace_replaces_all() {
        assert_eq!(replace(&Text::trusted("a-b-c|-|+")).as_str(), "a+b+c");
        assert_eq!(replace(&Text::trusted("m:~a|b~|~/")).as_str(), "a/b");
        assert_eq!(replace(&Text::trusted("a|b")).as_str(), "-ERR");
    }

    #[test]
    fn data_from_the_network_is_no_list() {
        let mut text = Text::network("a|a|b");
        text.push_str("|a|x");
        assert_eq!(format!("{:?}", replace(&text)), "\"x‹|›x‹|b›\"");
    }
}
