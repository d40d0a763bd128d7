//! Numbers as the dialplan's texts write them, and what C's `atoi` and `atof` make of the rest.

pub(crate) use config::is_true;

/// Whether a text counts as a number (dialplan.md §1.3): an optional sign, then only digits and dots. The empty text
/// and a lone dot do.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The integer at the front of a text after white space, 0 without one; the rest is ignored.
pub(crate) fn leading_integer(text: &str) -> i64 {
    read_integer(text).map_or(0, |(value, _)| value)
}

/// The integer at the front of a text after white space, and how many bytes it takes.
pub(crate) fn read_integer(text: &str) -> Option<(i64, usize)> {
    let number = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0B');
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return None;
    }
    let magnitude = digits[..count]
        .bytes()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let value = if number.starts_with('-') { -magnitude } else { magnitude };
    Some((value, text.len() - digits.len() + count))
}

/// The decimal number at the front of a text, 0 without one. Of `1.2.3` it is 1.2.
pub(crate) fn leading_decimal(text: &str) -> f64 {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = text.len() - unsigned.len();
    let whole = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = sign + whole;
    if unsigned[whole..].starts_with('.') {
        end += 1 + unsigned[whole + 1..].bytes().take_while(u8::is_ascii_digit).count();
    }
    text[..end].parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_number() {
        assert!(["", ".", "1", "+2", "-1.5", "0.1.2"].into_iter().all(is_number));
        assert!(!["a", "1a", "--1", " 1", "1e3"].into_iter().any(is_number));
    }

    #[test]
    fn integers_are_read_from_the_front() {
        assert_eq!(read_integer("  -12x"), Some((-12, 5)));
        assert_eq!(read_integer("x"), None);
        assert_eq!(leading_integer("99999999999999999999"), i64::MAX);
    }

    #[test]
    fn decimals_are_read_from_the_front() {
        assert_eq!(leading_decimal("1.2.3"), 1.2);
        assert_eq!(leading_decimal("-4"), -4.0);
        assert_eq!(leading_decimal("."), 0.0);
        assert_eq!(leading_decimal("abc"), 0.0);
    }
}
