//! Channel variables: names compare without case, values are never empty, arrays print as one text.

use std::collections::BTreeMap;

use dialplan::Text;

/// Elements an array can have; what is beyond is ignored (dialplan: indices 0 to 4000).
pub const ARRAY_ELEMENTS_MAX: usize = 4_001;

/// Variables one channel can have. Far above any dialplan seen; a script that sets more is out of its mind.
pub const VARIABLES_MAX: usize = 10_000;

#[derive(Clone, Debug)]
enum Value {
    Scalar(Text),
    Array(Vec<Text>),
}

#[derive(Clone, Debug)]
struct Entry {
    /// The name as it was written first.
    name: String,
    value: Value,
}

/// The variables of one channel, in order of their names, so that every reader sees the same order.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    entries: BTreeMap<String, Entry>,
}

impl Variables {
    /// Sets a variable; an empty value deletes it, `NAME[i]` sets one element, `ARRAY::a|:b` makes an array.
    pub fn set(&mut self, name: &str, value: Text) {
        if let Some((array, index)) = split_index(name) {
            return self.set_element(array, index, value);
        }
        let key = name.to_ascii_lowercase();
        if value.as_str().is_empty() {
            self.entries.remove(&key);
            return;
        }
        if self.entries.len() >= VARIABLES_MAX && !self.entries.contains_key(&key) {
            return;
        }
        // A caller's text is never an array: its separators would come back as the operator's own.
        let value = match value.has_syntax("ARRAY::", 0) {
            true => Value::Array(split_array(&value)),
            false => Value::Scalar(value),
        };
        self.entries.insert(key, Entry { name: name.to_owned(), value });
    }

    /// Sets a variable to text of our own.
    pub fn set_str(&mut self, name: &str, value: impl Into<String>) {
        self.set(name, Text::trusted(value.into()));
    }

    /// Deletes a variable.
    pub fn unset(&mut self, name: &str) {
        self.entries.remove(&name.to_ascii_lowercase());
    }

    /// Appends to an array; a scalar becomes its first element.
    pub fn push(&mut self, name: &str, value: Text) {
        let key = name.to_ascii_lowercase();
        if value.as_str().is_empty() {
            self.entries.remove(&key);
            return;
        }
        let entry = self
            .entries
            .entry(key)
            .or_insert_with(|| Entry { name: name.to_owned(), value: Value::Array(Vec::new()) });
        if let Value::Scalar(first) = &entry.value {
            entry.value = Value::Array(vec![first.clone()]);
        }
        if let Value::Array(elements) = &mut entry.value
            && elements.len() < ARRAY_ELEMENTS_MAX
        {
            elements.push(value);
        }
    }

    /// The value, an array in its printed form.
    pub fn get(&self, name: &str) -> Option<Text> {
        match &self.entries.get(&name.to_ascii_lowercase())?.value {
            Value::Scalar(text) => Some(text.clone()),
            Value::Array(elements) => Some(print_array(elements)),
        }
    }

    /// One element of an array; a scalar has none.
    pub fn element(&self, name: &str, index: usize) -> Option<Text> {
        match &self.entries.get(&name.to_ascii_lowercase())?.value {
            Value::Scalar(_) => None,
            Value::Array(elements) => elements.get(index).cloned(),
        }
    }

    /// The value as text of whatever origin.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.as_str().to_owned())
    }

    /// Whether the variable holds one of the words that mean yes.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| dialplan::boolean::is_true(value.as_str()))
    }

    /// Whether the variable holds one of the words that mean no.
    pub fn is_false(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| dialplan::boolean::is_false(value.as_str()))
    }

    /// The value as a whole number; anything else is nothing.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|value| value.as_str().trim().parse().ok())
    }

    /// Every variable whose name begins with `prefix`, as (name, value), in order of names; arrays give each
    /// element.
    pub fn with_prefix(&self, prefix: &str) -> Vec<(String, Text)> {
        let prefix = prefix.to_ascii_lowercase();
        let mut found = Vec::new();
        for (_, entry) in self.entries.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix))
        {
            match &entry.value {
                Value::Scalar(text) => found.push((entry.name.clone(), text.clone())),
                Value::Array(elements) => {
                    found.extend(elements.iter().map(|element| (entry.name.clone(), element.clone())));
                }
            }
        }
        found
    }

    /// All variables as (name, value), in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Text)> {
        self.entries.values().map(|entry| {
            let value = match &entry.value {
                Value::Scalar(text) => text.clone(),
                Value::Array(elements) => print_array(elements),
            };
            (entry.name.as_str(), value)
        })
    }

    fn set_element(&mut self, name: &str, index: usize, value: Text) {
        if index >= ARRAY_ELEMENTS_MAX {
            return;
        }
        let entry = self
            .entries
            .entry(name.to_ascii_lowercase())
            .or_insert_with(|| Entry { name: name.to_owned(), value: Value::Array(Vec::new()) });
        if let Value::Scalar(_) = entry.value {
            entry.value = Value::Array(Vec::new());
        }
        if let Value::Array(elements) = &mut entry.value {
            if elements.len() <= index {
                elements.resize(index + 1, Text::default());
            }
            elements[index] = value;
        }
    }
}

/// `NAME[3]` as name and index.
fn split_index(name: &str) -> Option<(&str, usize)> {
    let (array, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    Some((array, index.parse().ok()?))
}

fn split_array(value: &Text) -> Vec<Text> {
    let mut elements = Vec::new();
    let (mut start, mut from) = ("ARRAY::".len(), "ARRAY::".len());
    while let Some(at) = value.find_syntax(b'|', from) {
        from = at + 1;
        if value.syntax_at(from) != Some(b':') {
            continue;
        }
        elements.push(value.slice(start..at));
        (start, from) = (at + 2, at + 2);
        if elements.len() == ARRAY_ELEMENTS_MAX {
            return elements;
        }
    }
    elements.push(value.slice(start..value.len()));
    elements
}

fn print_array(elements: &[Text]) -> Text {
    if let [only] = elements {
        return only.clone();
    }
    let mut text = Text::trusted("ARRAY::");
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            text.push_str("|:");
        }
        text.push_text(element);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(variables: &Variables, name: &str) -> Option<String> {
        variables.text(name)
    }

    #[test]
    fn names_compare_without_case_and_empty_values_delete() {
        let mut variables = Variables::default();
        variables.set_str("Foo", "1");
        assert_eq!(text(&variables, "fOO").as_deref(), Some("1"));
        variables.set_str("foo", "");
        assert_eq!(text(&variables, "Foo"), None);
    }

    #[test]
    fn arrays_are_pushed_indexed_and_printed() {
        let mut variables = Variables::default();
        variables.set_str("a", "x");
        variables.push("a", Text::trusted("y"));
        assert_eq!(text(&variables, "a").as_deref(), Some("ARRAY::x|:y"));
        assert_eq!(variables.element("a", 1).map(|e| e.as_str().to_owned()).as_deref(), Some("y"));
        variables.set_str("b", "ARRAY::1|:2|:3");
        variables.set_str("b[1]", "two");
        assert_eq!(text(&variables, "b").as_deref(), Some("ARRAY::1|:two|:3"));
        variables.set_str("b[999999]", "no");
        assert_eq!(text(&variables, "b").as_deref(), Some("ARRAY::1|:two|:3"));
    }

    #[test]
    fn a_callers_text_is_no_array_and_an_element_of_it_does_not_end() {
        let mut variables = Variables::default();
        variables.set("a", Text::network("ARRAY::x|:y"));
        assert_eq!(variables.element("a", 0), None);
        assert_eq!(variables.get("a"), Some(Text::network("ARRAY::x|:y")));
        let mut mixed = Text::trusted("ARRAY::1|:");
        mixed.push_network("2|:3");
        variables.set("b", mixed);
        assert_eq!(variables.element("b", 1), Some(Text::network("2|:3")));
        assert_eq!(variables.element("b", 2), None);
    }

    #[test]
    fn a_prefix_finds_each_element_in_order_of_names() {
        let mut variables = Variables::default();
        variables.set_str("execute_on_answer_2", "b");
        variables.set_str("execute_on_answer", "ARRAY::a1|:a2");
        variables.set_str("execute_on_other", "c");
        let found: Vec<String> = variables
            .with_prefix("execute_on_answer")
            .into_iter()
            .map(|(_, v)| v.as_str().to_owned())
            .collect();
        assert_eq!(found, ["a1", "a2", "b"]);
    }
}
