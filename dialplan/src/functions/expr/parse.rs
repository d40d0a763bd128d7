//! Reading an expression.
//!
//! ```text
//!   statements = expression { ("|" | ";") expression }        expression = name "=" expression | sum
//!   sum        = product { ("+" | "-") product }              product    = power { ("*" | "/") power }
//!   power      = signed { "^" signed }                        signed     = "-" signed | atom
//!   atom       = number | name | name "(" arguments ")" | "(" expression ")" | "&" name
//! ```

use crate::text::Text;

/// Parentheses and signs within each other.
const NESTING_MAX: usize = 64;
/// Operators of one expression: its tree is at most so deep on the left.
const OPERATORS_MAX: usize = 500;

pub(super) enum Node {
    Number(f64),
    Variable(String),
    Assign(String, Box<Node>),
    Negate(Box<Node>),
    Binary(u8, Box<Node>, Box<Node>),
    /// `&name`, for functions that write a variable.
    Reference(String),
    Call(String, Vec<Node>),
}

/// The statements of a text; `None` if it cannot be read.
pub(super) fn parse(text: &Text) -> Option<Vec<Node>> {
    let mut reader = Reader { text, at: 0, depth: 0, operators_left: OPERATORS_MAX };
    let mut statements = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.at >= text.len() {
            return Some(statements);
        }
        statements.push(reader.expression()?);
        match reader.peek() {
            Some(b'|' | b';') => reader.at += 1,
            None if reader.at >= text.len() => {}
            _ => return None,
        }
    }
}

struct Reader<'a> {
    text: &'a Text,
    at: usize,
    depth: usize,
    operators_left: usize,
}

impl Reader<'_> {
    fn expression(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return None;
        }
        let start = self.at;
        let assigned = self.name().filter(|_| self.peek() == Some(b'='));
        let node = if let Some(name) = assigned {
            self.at += 1;
            Node::Assign(name, Box::new(self.expression()?))
        } else {
            self.at = start;
            self.binary(&[b"+-", b"*/", b"^"])?
        };
        self.depth -= 1;
        Some(node)
    }

    /// Operators of the first level, their operands being of the next; all associate to the left.
    fn binary(&mut self, levels: &[&[u8]]) -> Option<Node> {
        let Some((operators, tighter)) = levels.split_first() else { return self.signed() };
        let mut left = self.binary(tighter)?;
        while let Some(operator) = self.peek().filter(|byte| operators.contains(byte)) {
            self.operators_left = self.operators_left.checked_sub(1)?;
            self.at += 1;
            let right = self.binary(tighter)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Some(left)
    }

    fn signed(&mut self) -> Option<Node> {
        if self.peek() != Some(b'-') {
            return self.atom();
        }
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return None;
        }
        self.at += 1;
        let value = self.signed()?;
        self.depth -= 1;
        Some(Node::Negate(Box::new(value)))
    }

    fn atom(&mut self) -> Option<Node> {
        match self.peek() {
            Some(b'(') => {
                self.at += 1;
                let value = self.expression()?;
                self.expect(b')')?;
                Some(value)
            }
            Some(b'&') => {
                self.at += 1;
                self.name().map(Node::Reference)
            }
            _ => {
                let Some(name) = self.name() else { return self.number() };
                if self.peek() != Some(b'(') {
                    return Some(Node::Variable(name));
                }
                self.at += 1;
                self.arguments().map(|arguments| Node::Call(name, arguments))
            }
        }
    }

    fn arguments(&mut self) -> Option<Vec<Node>> {
        let mut arguments = Vec::new();
        if self.peek() == Some(b')') {
            self.at += 1;
            return Some(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if self.peek() != Some(b',') {
                self.expect(b')')?;
                return Some(arguments);
            }
            self.at += 1;
        }
    }

    fn name(&mut self) -> Option<String> {
        self.skip_blanks();
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let start = self.at;
        self.text.syntax_at(start).filter(|&byte| is_letter(byte))?;
        while self.text.syntax_at(self.at).is_some_and(|byte| is_letter(byte) || byte.is_ascii_digit()) {
            self.at += 1;
        }
        Some(self.text.as_str()[start..self.at].to_owned())
    }

    /// Digits may come from the network: there is nothing else that they can be.
    fn number(&mut self) -> Option<Node> {
        self.skip_blanks();
        let rest = &self.text.as_str()[self.at..];
        let len = rest.bytes().take_while(|&byte| byte.is_ascii_digit() || byte == b'.').count();
        let value = rest[..len].parse().ok()?;
        self.at += len;
        Some(Node::Number(value))
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.syntax_at(self.at)
    }

    fn skip_blanks(&mut self) {
        while self.text.syntax_at(self.at).is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }
}
