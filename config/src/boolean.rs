//! Boolean words as FreeSWITCH reads them: more words than two, and numbers.

/// Whether a text says yes: one of seven words in any case, or a number whose integer part is not zero.
pub fn is_true(text: &str) -> bool {
    const WORDS: [&str; 7] = ["yes", "on", "true", "t", "enabled", "active", "allow"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || integer_part_is_zero(text) == Some(false)
}

/// Whether a text says no in so many words. Much text is neither true nor false; the empty text is the number 0.
pub fn is_false(text: &str) -> bool {
    const WORDS: [&str; 7] = ["no", "off", "false", "f", "disabled", "inactive", "disallow"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || integer_part_is_zero(text) == Some(true)
}

/// `None` when the text is no number, which is an optional sign followed by nothing but digits and dots.
fn integer_part_is_zero(text: &str) -> Option<bool> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let integer = digits.split('.').next().unwrap_or_default();
    Some(integer.bytes().all(|byte| byte == b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_true_in_any_case() {
        for text in ["yes", "ON", "True", "t", "enabled", "Active", "allow", "1", "+2", "-1", "1.5", "010"] {
            assert!(is_true(text) && !is_false(text), "{text}");
        }
    }

    #[test]
    fn empty_text_a_dot_and_zero_are_explicitly_false() {
        for text in ["no", "Off", "FALSE", "f", "disabled", "inactive", "disallow", "0", "0.9", "", ".", "-0"]
        {
            assert!(is_false(text) && !is_true(text), "{text}");
        }
    }

    #[test]
    fn other_text_is_neither() {
        for text in ["maybe", "y", "n", "1a", "++1", " 1", "yes ", "1e3"] {
            assert!(!is_true(text) && !is_false(text), "{text}");
        }
    }
}
