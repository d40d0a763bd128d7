//! Global variables: what `$${name}` gives while loading and `global_getvar` at run time.

use std::collections::BTreeMap;

/// Variables in the order of their first definition; names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    list: Vec<(String, String)>,
    index: BTreeMap<String, usize>,
}

impl Globals {
    /// No variables.
    pub fn new() -> Globals {
        Globals::default()
    }

    /// The same with one more variable.
    pub fn with(mut self, name: &str, value: &str) -> Globals {
        self.set(name, value);
        self
    }

    /// Sets a variable. A reference in the value is made harmless first (`${x}` becomes `%{x}`), so that a
    /// global value is never expanded again per call.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = value.replace("${", "%{");
        match self.index.get(&name.to_ascii_lowercase()) {
            Some(&at) => self.list[at].1 = value,
            None => {
                self.index.insert(name.to_ascii_lowercase(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        if let Some(at) = self.index.remove(&name.to_ascii_lowercase()) {
            self.list.remove(at);
            self.index.values_mut().filter(|position| **position > at).for_each(|position| *position -= 1);
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = *self.index.get(&name.to_ascii_lowercase())?;
        Some(self.list[at].1.as_str())
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_keep_their_order() {
        let mut globals = Globals::new().with("Domain", "a").with("x", "1").with("y", "2");
        globals.set("DOMAIN", "b");
        assert_eq!(globals.get("domain"), Some("b"));
        globals.remove("X");
        assert_eq!(globals.get("x"), None);
        assert_eq!(globals.iter().collect::<Vec<_>>(), [("Domain", "b"), ("y", "2")]);
        assert_eq!(globals.get("y"), Some("2"));
    }

    #[test]
    fn references_in_values_are_made_harmless() {
        let globals = Globals::new().with("greeting", "hello ${name} $${other} $x");
        assert_eq!(globals.get("greeting"), Some("hello %{name} $%{other} $x"));
    }
}
