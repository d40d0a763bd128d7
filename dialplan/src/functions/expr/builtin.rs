//! The functions and constants of `expr`.

use std::f64::consts;

use super::Machine;
use super::parse::Node;

/// A constant, which cannot be assigned.
pub(super) fn constant(name: &str) -> Option<f64> {
    Some(match name {
        "M_E" => consts::E,
        "M_LOG2E" => consts::LOG2_E,
        "M_LOG10E" => consts::LOG10_E,
        "M_LN2" => consts::LN_2,
        "M_LN10" => consts::LN_10,
        "M_PI" => consts::PI,
        "M_PI_2" => consts::FRAC_PI_2,
        "M_PI_4" => consts::FRAC_PI_4,
        "M_1_PI" => consts::FRAC_1_PI,
        "M_2_PI" => consts::FRAC_2_PI,
        "M_1_SQRTPI" => consts::FRAC_2_SQRT_PI / 2.0,
        "M_2_SQRTPI" => consts::FRAC_2_SQRT_PI,
        "M_SQRT2" => consts::SQRT_2,
        "M_1_SQRT2" | "M_SQRT1_2" => consts::FRAC_1_SQRT_2,
        _ => return None,
    })
}

/// Calls a function; `None` if there is none of that name, for that many arguments, or with a value for them.
pub(super) fn call(machine: &mut Machine, name: &str, arguments: &[Node]) -> Option<f64> {
    match (name, arguments) {
        ("if", [condition, yes, no]) => {
            let chosen = if machine.value(condition)? != 0.0 { yes } else { no };
            machine.value(chosen)
        }
        ("select", [value, negative, zero, rest @ ..]) if rest.len() <= 1 => {
            let value = machine.value(value)?;
            let chosen = if value < 0.0 {
                negative
            } else if value == 0.0 {
                zero
            } else {
                rest.first().unwrap_or(zero)
            };
            machine.value(chosen)
        }
        ("and" | "land", [_, ..]) => all(machine, arguments, true),
        ("or" | "lor", [_, ..]) => all(machine, arguments, false).map(|none| 1.0 - none),
        ("for", [first, condition, next, body @ ..]) if !body.is_empty() => {
            machine.value(first)?;
            let mut last = 0.0;
            while machine.value(condition)? != 0.0 {
                last = many(machine, body)?;
                machine.value(next)?;
            }
            Some(last)
        }
        ("many", [_, ..]) => many(machine, arguments),
        ("rand", [Node::Reference(seed)]) => Some(random(machine, seed)),
        ("random", [low, high, Node::Reference(seed)]) => {
            let (low, high) = (machine.value(low)?, machine.value(high)?);
            Some(low + (high - low) * random(machine, seed))
        }
        ("randomize", [Node::Reference(seed)]) => {
            // Seeds drawn in one call differ though its time does not.
            machine.seed += 1.0;
            machine.variables.insert(seed.clone(), machine.seed);
            Some(machine.seed)
        }
        _ => {
            let values: Option<Vec<f64>> = arguments.iter().map(|argument| machine.value(argument)).collect();
            of_numbers(name, &values?)
        }
    }
}

/// 1 if every argument is as wanted, looking no further than the first that is not.
fn all(machine: &mut Machine, arguments: &[Node], wanted: bool) -> Option<f64> {
    for argument in arguments {
        if (machine.value(argument)? != 0.0) != wanted {
            return Some(0.0);
        }
    }
    Some(1.0)
}

fn many(machine: &mut Machine, nodes: &[Node]) -> Option<f64> {
    nodes.iter().try_fold(0.0, |_, node| machine.value(node))
}

/// A number from 0 to 1 by the seed in a variable, which it steps on (a linear congruential generator).
fn random(machine: &mut Machine, seed: &str) -> f64 {
    let state = machine.variables.get(seed).copied().unwrap_or(0.0);
    // Any seed will do: what does not fit is cut.
    let next = (state as i64 as u64).wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7FFF_FFFF;
    machine.variables.insert(seed.to_owned(), next as f64);
    next as f64 / f64::from(0x7FFF_FFFF_u32)
}

fn of_numbers(name: &str, values: &[f64]) -> Option<f64> {
    match *values {
        [] => None,
        [value] => of_one(name, value).or_else(|| of_list(name, values)),
        [first, second] => of_two(name, first, second).or_else(|| of_list(name, values)),
        [value, low, high] => of_three(name, value, low, high).or_else(|| of_list(name, values)),
        _ => of_list(name, values),
    }
}

fn of_one(name: &str, value: f64) -> Option<f64> {
    Some(match name {
        "abs" => value.abs(),
        "ipart" => value.trunc(),
        "fpart" => value.fract(),
        "sqrt" => value.sqrt(),
        "sin" => value.sin(),
        "sinh" => value.sinh(),
        "asin" => value.asin(),
        "cos" => value.cos(),
        "cosh" => value.cosh(),
        "acos" => value.acos(),
        "tan" => value.tan(),
        "tanh" => value.tanh(),
        "atan" => value.atan(),
        "log" => value.log10(),
        "pow10" => 10_f64.powf(value),
        "ln" => value.ln(),
        "exp" => value.exp(),
        "ceil" => value.ceil(),
        "floor" => value.floor(),
        "deg" => value.to_degrees(),
        "rad" => value.to_radians(),
        "not" => f64::from(u8::from(value == 0.0)),
        _ => return None,
    })
}

fn of_two(name: &str, first: f64, second: f64) -> Option<f64> {
    let truth = |holds: bool| f64::from(u8::from(holds));
    Some(match name {
        "mod" => first % second,
        "pow" => first.powf(second),
        "atan2" => first.atan2(second),
        "logn" => first.ln() / second.ln(),
        "equal" => truth(first == second),
        "above" => truth(first > second),
        "below" => truth(first < second),
        "recttopolr" => first.hypot(second),
        "recttopola" => second.atan2(first).rem_euclid(consts::TAU),
        "poltorectx" => first * second.cos(),
        "poltorecty" => first * second.sin(),
        _ => return None,
    })
}

fn of_three(name: &str, value: f64, low: f64, high: f64) -> Option<f64> {
    match name {
        "clip" => Some(value.min(high).max(low)),
        // What leaves at one end comes in at the other.
        "clamp" => Some(low + (value - low).rem_euclid(high - low)),
        _ => None,
    }
}

fn of_list(name: &str, values: &[f64]) -> Option<f64> {
    match (name, values) {
        ("min", values) => values.iter().copied().reduce(f64::min),
        ("max", values) => values.iter().copied().reduce(f64::max),
        ("avg", values) => Some(values.iter().sum::<f64>() / values.len() as f64),
        ("poly", &[x, ref coefficients @ ..]) if !coefficients.is_empty() => {
            Some(coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient))
        }
        // A point between two sides, moved as the sides are.
        ("pntchange", &[old_low, old_high, new_low, new_high, point]) => {
            Some(new_low + (point - old_low) / (old_high - old_low) * (new_high - new_low))
        }
        _ => None,
    }
}
