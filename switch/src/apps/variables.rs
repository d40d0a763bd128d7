//! `set`, `unset`, `multiset`, `export`, `bridge_export`, `eval`.

use dialplan::{Text, tokenizer};

use super::Flow;
use crate::LogLevel;
use crate::call::Call;

/// `NAME=VALUE` or `NAME,VALUE`; the value is expanded once more; an empty one unsets.
pub(crate) async fn set(call: &Call, data: &Text) -> Flow {
    let Some((name, value)) = split_assignment(data) else {
        call.channel(|channel| channel.variables.unset(data.as_str()));
        return Flow::Next;
    };
    let value = call.expand(&value).await;
    call.channel(|channel| channel.variables.set(&name, value));
    Flow::Next
}

/// Several assignments, by blank or `^^D`.
pub(crate) async fn multiset(call: &Call, data: &Text) -> Flow {
    for item in tokenizer::split(data, ' ', usize::MAX) {
        let _ = set(call, &item).await;
    }
    Flow::Next
}

/// `NAME`.
pub(crate) async fn unset(call: &Call, data: &Text) -> Flow {
    call.channel(|channel| channel.variables.unset(data.as_str()));
    Flow::Next
}

/// Sets, and hands to every leg called from here.
pub(crate) async fn export(call: &Call, data: &Text) -> Flow {
    export_by(call, data, "export_vars")
}

/// Sets, and copies to whatever leg this one is joined with.
pub(crate) async fn bridge_export(call: &Call, data: &Text) -> Flow {
    export_by(call, data, "bridge_export_vars")
}

/// Does nothing: its data has been expanded, which is what it is used for.
pub(crate) async fn eval(_: &Call, _: &Text) -> Flow {
    Flow::Next
}

/// `nolocal:NAME` keeps the prefix here and loses it at the other leg.
fn export_by(call: &Call, data: &Text, list_name: &str) -> Flow {
    let Some((name, value)) = split_assignment(data).filter(|(_, value)| !value.as_str().is_empty()) else {
        let name = data.as_str().split('=').next().unwrap_or_default();
        call.channel(|channel| channel.variables.unset(name));
        if name.is_empty() {
            call.log(LogLevel::Warning, "export without a name: nothing done");
        }
        return Flow::Next;
    };
    call.channel(|channel| {
        let list = match channel.variables.text(list_name) {
            Some(list) => format!("{list},{name}"),
            None => name.clone(),
        };
        channel.variables.set_str(list_name, list);
        channel.variables.set(&name, value);
    });
    Flow::Next
}

/// Splits at the first `=`, or if there is none at the first `,`.
fn split_assignment(data: &Text) -> Option<(String, Text)> {
    let at = data.find_syntax(b'=', 0).or_else(|| data.find_syntax(b',', 0))?;
    Some((data.as_str()[..at].to_owned(), data.slice(at + 1..data.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_splits_at_the_first_equals_sign_else_at_the_first_comma() {
        let split = |text: &str| {
            split_assignment(&Text::trusted(text)).map(|(name, value)| (name, value.as_str().to_owned()))
        };
        assert_eq!(split("a=b=c"), Some(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(split("a,b"), Some(("a".to_owned(), "b".to_owned())));
        assert_eq!(split("a = 1"), Some(("a ".to_owned(), " 1".to_owned())));
        assert_eq!(split("a"), None);
    }
}
