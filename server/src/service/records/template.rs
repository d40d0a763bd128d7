//! Templates of rows: text with `${variable}`s in it.

use dialplan::{Expansion, Scope, Step, Text};

/// A row's form, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// What stands between `${` and `}`, and whether that is inside quotes.
    Value {
        expression: String,
        is_quoted: bool,
    },
}

impl Template {
    /// Reads a template; every text is one.
    pub fn parse(text: &str) -> Template {
        let mut pieces = Vec::new();
        let mut is_quoted = false;
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let Some(len) = expression_len(&rest[at + 2..]) else { break };
            let before = &rest[..at];
            is_quoted ^= before.matches('"').count() % 2 == 1;
            pieces.push(Piece::Text(before.to_owned()));
            let expression = rest[at + 2..at + 2 + len].to_owned();
            pieces.push(Piece::Value { expression, is_quoted });
            rest = &rest[at + 2 + len + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Template { pieces }
    }

    /// The row of one leg, without a line end. Inside quotes a quote is doubled, and a line end in a value becomes a
    /// blank everywhere, so that one leg is one line.
    pub fn row(&self, scope: &dyn Scope) -> String {
        let mut row = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => row.push_str(text),
                Piece::Value { expression, is_quoted } => {
                    push_value(&mut row, value(expression, scope).as_str(), *is_quoted);
                }
            }
        }
        row
    }

    /// The variables it names plainly.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value { expression, .. } if is_name(expression) => Some(expression.as_str()),
            Piece::Value { .. } | Piece::Text(_) => None,
        })
    }
}

/// How long the text up to the brace is that closes an expression.
fn expression_len(text: &str) -> Option<usize> {
    let mut depth = 0u32;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_name(expression: &str) -> bool {
    !expression.is_empty()
        && expression.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
}

fn value(expression: &str, scope: &dyn Scope) -> Text {
    if is_name(expression) {
        // A plain variable is taken as it is: a value that looks like a reference is not one here.
        return scope.variable(expression).unwrap_or_default();
    }
    let text = Text::trusted(format!("${{{expression}}}"));
    let mut expansion = Expansion::new(&text);
    loop {
        match expansion.step(scope) {
            Step::Done(text) => return text,
            // The leg is over: what would have to be asked outside has no answer any more.
            Step::Ask(_) => expansion.answer(None),
        }
    }
}

fn push_value(row: &mut String, value: &str, is_quoted: bool) {
    for letter in value.chars() {
        match letter {
            '\r' | '\n' | '\0' => row.push(' '),
            '"' if is_quoted => row.push_str("\"\""),
            letter => row.push(letter),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clock::Wall;

    /// Variables of a leg in a test.
    pub struct Leg<'a>(pub &'a [(&'a str, &'a str)]);

    impl Scope for Leg<'_> {
        fn variable(&self, name: &str) -> Option<Text> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| Text::network(*value))
        }

        fn element(&self, _name: &str, _index: usize) -> Option<Text> {
            None
        }

        fn field(&self, _name: &str) -> Option<Text> {
            None
        }

        fn now(&self) -> Wall {
            Wall::default()
        }
    }

    #[test]
    fn values_take_the_place_of_their_names_and_absent_ones_are_empty() {
        let template = Template::parse(r#""${a}","${absent}",${b};"#);
        assert_eq!(template.row(&Leg(&[("a", "1"), ("b", "2")])), r#""1","",2;"#);
        assert_eq!(template.variables().collect::<Vec<_>>(), ["a", "absent", "b"]);
    }

    #[test]
    fn a_quote_inside_a_quoted_field_is_doubled_and_a_line_end_becomes_a_blank() {
        let template = Template::parse(r#"'${a}',"${a}","x${a}""#);
        let row = template.row(&Leg(&[("a", "say \"hi\"\r\nthere")]));
        assert_eq!(row, r#"'say "hi"  there',"say ""hi""  there","xsay ""hi""  there""#);
    }

    #[test]
    fn a_value_that_looks_like_a_reference_is_not_resolved() {
        let template = Template::parse("${a}");
        assert_eq!(template.row(&Leg(&[("a", "${b}"), ("b", "secret")])), "${b}");
    }

    #[test]
    fn what_is_not_closed_is_text() {
        assert_eq!(Template::parse("x${a").row(&Leg(&[("a", "1")])), "x${a");
        assert_eq!(Template::parse("").row(&Leg(&[])), "");
    }
}
