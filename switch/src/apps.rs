//! The applications of the dialplan: one row of data each, one small file per family.

use std::future::Future;
use std::pin::Pin;

use dialplan::Text;

use crate::call::Call;

pub(crate) mod bridge;
pub(crate) mod control;
pub(crate) mod media;
pub(crate) mod park;
pub(crate) mod playback;
pub(crate) mod variables;

/// Whether the action list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Stop,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Flow> + 'a>>;

/// One application.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// May run while hunting.
    pub(crate) inline: bool,
    /// Media must be up before it runs: an unanswered inbound call is pre-answered.
    pub(crate) needs_media: bool,
    pub(crate) run: for<'a> fn(&'a Call, &'a Text) -> Running<'a>,
}

macro_rules! rows {
    ($($name:literal $(inline $inline:literal)? $(media $media:literal)? => $run:path;)*) => {
        const ROWS: &[Row] = &[$(Row {
            name: $name,
            inline: false $(|| $inline)?,
            needs_media: false $(|| $media)?,
            run: |call, data| Box::pin($run(call, data)),
        },)*];
    };
}

rows! {
    "answer" => media::answer;
    "bridge" => bridge::bridge;
    "bridge_export" inline true => variables::bridge_export;
    "eval" inline true => variables::eval;
    "export" inline true => variables::export;
    "hangup" => control::hangup;
    "info" inline true => control::info;
    "log" inline true => control::log;
    "multiset" inline true => variables::multiset;
    "park" => park::run;
    "playback" media true => playback::playback;
    "pre_answer" => media::pre_answer;
    "respond" => control::respond;
    "ring_ready" => media::ring_ready;
    "set" inline true => variables::set;
    "sleep" => control::sleep;
    "transfer" => control::transfer;
    "unset" inline true => variables::unset;
}

/// Names of all applications, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The row of a name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_found_in_any_case() {
        assert!(ROWS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(find("BRIDGE").is_some());
        assert!(find("nosuch").is_none());
    }
}
