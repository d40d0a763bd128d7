//! Shell patterns of include directives: `*`, `?`, `[a-z]`, `[!a-z]`, `\x`.

/// Whether a text is a pattern rather than the name of one file.
pub fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether a path matches a pattern, directory by directory: no wildcard matches `/`, nor the dot that
/// hides a file. Works for whole paths and for single names.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut names = path.split('/');
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if name_matches(pattern, name) => {}
            _ => return false,
        }
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on when a later part fails: only the last star matters, so this is never exponential.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n));
            p += 1;
        } else if let Some(after) = one_matches(&pattern, p, name[n]) {
            p = after;
            n += 1;
        } else if let Some((star, tried)) = retry {
            retry = Some((star, tried + 1));
            (p, n) = (star, tried + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&letter| letter == '*')
}

/// Matches one character; returns where the pattern goes on.
fn one_matches(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match set_matches(&pattern[at + 1..], letter) {
            Some((true, len)) => Some(at + 1 + len),
            Some((false, _)) => None,
            // An unclosed bracket is an ordinary character.
            None => (letter == '[').then_some(at + 1),
        },
        '\\' if at + 1 < pattern.len() => (pattern[at + 1] == letter).then_some(at + 2),
        plain => (plain == letter).then_some(at + 1),
    }
}

/// Reads a set up to its bracket; returns whether the letter is in it and the length read.
fn set_matches(set: &[char], letter: char) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some('!' | '^'));
    let first = usize::from(negated);
    let mut at = first;
    let mut found = false;
    loop {
        let low = *set.get(at)?;
        // A bracket in the first place stands for itself.
        if low == ']' && at > first {
            return Some((found != negated, at + 1));
        }
        let is_range = set.get(at + 1) == Some(&'-') && set.get(at + 2).is_some_and(|&high| high != ']');
        let high = if is_range { set[at + 2] } else { low };
        found |= (low..=high).contains(&letter);
        at += if is_range { 3 } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_directory_and_do_not_uncover_hidden_files() {
        assert!(matches("dialplan/*.xml", "dialplan/default.xml"));
        assert!(matches("*/*.xml", "dialplan/default.xml"));
        assert!(!matches("*.xml", "dialplan/default.xml"));
        assert!(!matches("dialplan/*.xml", "dialplan/.default.xml"));
        assert!(!matches("dialplan/*.xml", "dialplan/default.xml.bak"));
        assert!(matches("*", "x"));
    }

    #[test]
    fn sets_and_single_wildcards_match_one_character() {
        assert!(matches("0[0-4]_*.xml", "03_a.xml"));
        assert!(!matches("0[0-4]_*.xml", "05_a.xml"));
        assert!(matches("[!a]?", "b1"));
        assert!(!matches("[!a]?", "a1"));
        assert!(matches("[]]", "]"));
        assert!(matches("[x", "[x"));
        assert!(matches("\\*", "*"));
        assert!(!matches("\\*", "x"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!matches(&format!("{}b", "a*".repeat(200)), &"a".repeat(2_000)));
    }
}
