//! Variables that a dialplan sets and nothing here looks at.

use std::collections::BTreeSet;

use config::{Element, Place, Problems, nearest};

mod names;

use names::{FAMILIES, HONOURED, WITHOUT_EFFECT};

/// Which variables the dialplan itself reads, and what was told already.
#[derive(Default)]
pub struct Variables {
    read: BTreeSet<String>,
    told: BTreeSet<String>,
}

/// The variable that an application sets, if it is one that sets a variable.
pub fn set_by<'a>(application: &str, data: &'a str) -> Option<&'a str> {
    let setters = ["set", "export", "bridge_export", "set_profile_var", "push", "unshift"];
    // `set_profile_var` and the like write fields or arrays of the author's own.
    if !setters[..3].iter().any(|setter| setter.eq_ignore_ascii_case(application)) {
        return None;
    }
    let name = data.split('=').next().unwrap_or(data).trim();
    let name = name.strip_prefix("nolocal:").unwrap_or(name);
    let name = name.split('[').next().unwrap_or(name);
    Some(name).filter(|name| !name.is_empty() && !name.contains('$'))
}

impl Variables {
    /// Notes every `${name` of a section, and every name that a condition looks at.
    pub fn note_reads(&mut self, element: &Element) {
        for (_, value) in element.attributes() {
            self.note_references(value);
        }
        self.note_references(element.text());
        if let Some(field) = element.attribute("field") {
            self.read.insert(field.to_ascii_lowercase());
        }
        for child in element.children() {
            self.note_reads(child);
        }
    }

    fn note_references(&mut self, text: &str) {
        for reference in text.split("${").skip(1) {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
            let len = reference.find(|letter| !is_name(letter)).unwrap_or(reference.len());
            self.read.insert(reference[..len].to_ascii_lowercase());
        }
    }

    /// Warns when a variable that is set has no effect here, once per name. A name of the author's own is fine when
    /// something reads it, or when it resembles none of ours.
    pub fn check(&mut self, name: &str, place: &Place, problems: &mut Problems) {
        let lower = name.to_ascii_lowercase();
        let is_one_of = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(&lower));
        // Of these, every variable that begins like the name is looked at.
        let hooks =
            HONOURED.iter().filter(|known| known.starts_with("execute_on_") || known.starts_with("api_on_"));
        let has_effect = hooks.chain(&FAMILIES).any(|prefix| lower.starts_with(prefix));
        let is_honoured = has_effect || is_one_of(&HONOURED);
        if is_honoured || self.told.contains(&lower) {
            return;
        }
        if is_one_of(&WITHOUT_EFFECT) {
            problems.warning(place.clone(), format!("variable `{name}` has no effect here"));
        } else if let Some(near) = nearest(&lower, HONOURED)
            && !self.read.contains(&lower)
        {
            let what = format!("nothing reads the variable `{name}`");
            problems.warning_expecting(place.clone(), what, format!("`{near}`"));
        } else {
            return;
        }
        self.told.insert(lower);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_application_sets_is_found() {
        assert_eq!(set_by("set", "call_timeout=30"), Some("call_timeout"));
        assert_eq!(set_by("export", "nolocal:a=b=c"), Some("a"));
        assert_eq!(set_by("set", "list[3]=x"), Some("list"));
        assert_eq!(set_by("set", "${x}=1"), None);
        assert_eq!(set_by("bridge", "sofia/a/b"), None);
    }

    /// Sources of the rooms that look at variables.
    fn sources(directory: &std::path::Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *all += &std::fs::read_to_string(&path).expect("text").to_ascii_lowercase();
            }
        }
    }

    #[test]
    fn what_is_said_to_have_no_effect_is_looked_at_nowhere() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut all = String::new();
        for room in ["switch/src", "dialplan/src", "server/src/service"] {
            sources(&root.join(room), &mut all);
        }
        let honoured: Vec<&str> =
            WITHOUT_EFFECT.into_iter().filter(|name| all.contains(&format!("\"{name}\""))).collect();
        assert_eq!(honoured, Vec::<&str>::new(), "these belong to HONOURED by now");
    }

    #[test]
    fn a_misspelt_variable_is_told_unless_something_reads_it() {
        let mut problems = Problems::new();
        let xml =
            r#"<section><condition field="hangup_after_brigde"/><action data="${call_timeouts}"/></section>"#;
        let document = config::parse_plain("d.xml", xml.as_bytes(), &mut problems).expect("well-formed");
        let mut variables = Variables::default();
        variables.note_reads(document.root());
        let place = Place::new("d.xml", 1, 1);
        for name in [
            "hangup_after_brigde",
            "call_timeouts",
            "call_timeuot",
            "sip_h_X-Anything",
            "our_own",
            "HANGUP_AFTER_BRIDGE",
        ] {
            variables.check(name, &place, &mut problems);
            variables.check(name, &place, &mut problems);
        }
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["d.xml:1:1: nothing reads the variable `call_timeuot`, expected `call_timeout`"]);
    }
}
