//! `expr(EXPRESSION)` (dialplan.md §16.3): arithmetic with variables of its own.

use std::collections::BTreeMap;

use crate::scope::Scope;
use crate::text::Text;

mod builtin;
mod parse;

use parse::Node;

/// Parts of expressions evaluated for one call of the function: bounds `for` and nesting.
const STEPS_MAX: u32 = 10_000;
/// Decimals of a result.
const DECIMALS: usize = 10;

/// The value of the last statement; `!err!` for anything that cannot be read or computed.
pub(super) fn expr(text: &Text, scope: &dyn Scope) -> Text {
    let seed = scope.now().as_micros() as f64;
    let result = parse::parse(text).and_then(|statements| {
        let mut machine = Machine { variables: BTreeMap::new(), steps_left: STEPS_MAX, seed };
        statements.iter().try_fold(None, |_, statement| machine.value(statement).map(Some)).flatten()
    });
    match result.filter(|value| value.is_finite()) {
        Some(value) => Text::trusted(printed(value)),
        None => Text::trusted("!err!"),
    }
}

/// With up to ten decimals and no zeros at their end.
fn printed(value: f64) -> String {
    let text = format!("{value:.DECIMALS$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// What evaluation remembers.
struct Machine {
    variables: BTreeMap<String, f64>,
    steps_left: u32,
    /// What `randomize` gives.
    seed: f64,
}

impl Machine {
    fn value(&mut self, node: &Node) -> Option<f64> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        match node {
            Node::Number(value) => Some(*value),
            Node::Variable(name) => {
                let value = self.variables.get(name).copied();
                Some(value.or_else(|| builtin::constant(name)).unwrap_or(0.0))
            }
            Node::Assign(name, value) => {
                let value = self.value(value)?;
                builtin::constant(name).is_none().then(|| self.variables.insert(name.clone(), value))?;
                Some(value)
            }
            Node::Negate(value) => Some(-self.value(value)?),
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let value = match operator {
                    b'+' => left + right,
                    b'-' => left - right,
                    b'*' => left * right,
                    b'/' if right != 0.0 => left / right,
                    b'^' => left.powf(right),
                    _ => return None,
                };
                value.is_finite().then_some(value)
            }
            // A reference is no value of its own.
            Node::Reference(_) => None,
            Node::Call(name, arguments) => {
                builtin::call(self, name, arguments).filter(|value| value.is_finite())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Call;

    fn result(text: impl Into<Text>) -> String {
        expr(&text.into(), &Call::new()).into_string()
    }

    #[test]
    fn operators_have_their_order() {
        for (text, expected) in [
            ("1+2*3", "7"),
            ("(1+2)*3", "9"),
            ("10-4-3", "3"),
            ("100/8/2", "6.25"),
            ("2^3^2", "64"),
            ("-2^2", "4"),
            ("2*-3", "-6"),
            ("1.5 + .5", "2"),
            ("--1", "1"),
            ("2^-1", "0.5"),
            ("1/3", "0.3333333333"),
            ("0*-1", "0"),
        ] {
            assert_eq!(result(text), expected, "{text}");
        }
    }

    #[test]
    fn statements_follow_each_other_and_the_last_counts() {
        for (text, expected) in [
            ("x=3|x*2", "6"),
            ("x=2;y=x^2;", "4"),
            ("a=b=2|a+b", "4"),
            ("undefined+1", "1"),
            ("M_PI", "3.1415926536"),
        ] {
            assert_eq!(result(text), expected, "{text}");
        }
    }

    #[test]
    fn functions_of_numbers() {
        for (text, expected) in [
            ("max(3,9,4)", "9"),
            ("min(3,9,4)", "3"),
            ("mod(17,5)", "2"),
            ("floor(2.9)", "2"),
            ("ceil(2.1)", "3"),
            ("abs(-4)", "4"),
            ("sqrt(2)", "1.4142135624"),
            ("ipart(-2.5)", "-2"),
            ("fpart(2.25)", "0.25"),
            ("pow(2,8)", "256"),
            ("log(1000)", "3"),
            ("ln(exp(2))", "2"),
            ("logn(8,2)", "3"),
            ("pow10(3)", "1000"),
            ("deg(M_PI)", "180"),
            ("rad(180)-M_PI", "0"),
            ("atan2(1,1)-M_PI_4", "0"),
            ("avg(1,2,6)", "3"),
            ("recttopolr(3,4)", "5"),
            ("deg(recttopola(0,-1))", "270"),
            ("poltorectx(2,0)", "2"),
            ("poltorecty(2,0)", "0"),
            ("clip(9,1,5)", "5"),
            ("clamp(9,1,5)", "1"),
            ("poly(2,4,3,2)", "24"),
            ("pntchange(0,10,0,100,5)", "50"),
            ("if(0,1,2)", "2"),
            ("if(above(2,1),1/1,1/0)", "1"),
            ("select(-1,5,6,7)", "5"),
            ("select(1,5,6)", "6"),
            ("equal(1,1)+below(1,2)", "2"),
            ("and(1,0)", "0"),
            ("or(1,0)", "1"),
            ("not(0)", "1"),
            ("land(1,1,1)", "1"),
            ("lor(0,0)", "0"),
            ("many(x=2,x+1)", "3"),
            ("for(i=0|0,below(i,5),i=i+1,s=s+i)|s", "!err!"),
            ("for(i=0,below(i,5),i=i+1,s=s+i)|s", "10"),
        ] {
            assert_eq!(result(text), expected, "{text}");
        }
    }

    #[test]
    fn random_numbers_come_from_a_seed() {
        assert_eq!(result("s=1|rand(&s)"), result("s=1|rand(&s)"));
        assert_ne!(result("s=1|rand(&s)"), result("s=1|rand(&s)|rand(&s)"));
        let value: f64 = result("randomize(&s)|random(5,6,&s)").parse().unwrap();
        assert!((5.0..=6.0).contains(&value));
    }

    #[test]
    fn whatever_goes_wrong_is_an_error() {
        for text in [
            "",
            "|",
            "1/0",
            "1+",
            "(1",
            "1)",
            "1 2",
            "nosuch(1)",
            "sqrt(-1)",
            "max()",
            "abs(1,2)",
            "mod(1,0)",
            "5%2",
            "1==1",
            "M_PI=3",
            "&x",
            "rand(s)",
            "10^400",
            "for(0,1,0,0)",
            "a(",
        ] {
            assert_eq!(result(text), "!err!", "{text}");
        }
        assert_eq!(result("(".repeat(100_000)), "!err!");
        assert_eq!(result("-".repeat(100_000) + "1"), "!err!");
        assert_eq!(result("1".to_owned() + &"+1".repeat(100_000)), "!err!");
    }

    #[test]
    fn digits_from_the_network_are_a_number_and_nothing_else_is() {
        let with = |network: &str| {
            let mut text = Text::trusted("10*");
            text.push_network(network);
            text.push_str("+1");
            result(text)
        };
        assert_eq!(with("12"), "121");
        for attack in ["1+1", "-1", "x", "max(1,2)", "1|2", ""] {
            assert_ne!(with(attack), "21", "{attack}");
        }
        assert_eq!(with("-1"), "!err!");
        assert_eq!(with("M_PI"), "!err!");
    }
}
