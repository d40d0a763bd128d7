//! Did you mean …? The candidate nearest to a misspelt word.

/// Longest word that is compared; longer ones are no misspelling of a parameter.
const WORD_CHARS_MAX: usize = 64;

/// The candidate that a misspelt word most likely meant: at most a third of its letters wrong, exchanged
/// neighbours counting once, case not at all. The first of equals wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = folded(word);
    if letters.is_empty() || letters.len() > WORD_CHARS_MAX {
        return None;
    }
    let allowed = (letters.len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let other = folded(candidate);
        if other.len() > WORD_CHARS_MAX || other.len().abs_diff(letters.len()) > allowed {
            continue;
        }
        let distance = distance(&letters, &other);
        // A word of which nothing is left is no misspelling of this one.
        let plausible = distance <= allowed && distance < letters.len().max(other.len());
        if plausible && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower case; who writes from memory takes `_` for `-`.
fn folded(word: &str) -> Vec<char> {
    word.chars().map(|letter| if letter == '_' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

/// Edits that turn one word into the other: insert, delete, replace, exchange neighbours.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &l) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(right.len() + 1);
        row.push(i + 1);
        for (j, &r) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(l != r);
            let mut cost = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["rtp-start-port", "rtp-end-port", "sip-port", "context", "dialplan"];

    #[test]
    fn a_slip_of_the_keyboard_is_seen_through() {
        assert_eq!(nearest("rtp-strat-port", NAMES), Some("rtp-start-port"));
        assert_eq!(nearest("sip_port", NAMES), Some("sip-port"));
        assert_eq!(nearest("Contxt", NAMES), Some("context"));
        assert_eq!(nearest("dialplans", NAMES), Some("dialplan"));
    }

    #[test]
    fn a_stranger_is_not_taken_for_a_neighbour() {
        assert_eq!(nearest("codec-prefs", NAMES), None);
        assert_eq!(nearest("", NAMES), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest(&"x".repeat(100_000), NAMES), None);
    }
}
