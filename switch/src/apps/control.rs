//! `hangup`, `respond`, `sleep`, `transfer`, `log`, `info`.

use core::time::Duration;

use dialplan::{Text, tokenizer};
use signaling::Reply;

use super::Flow;
use crate::call::Call;
use crate::{Cause, LogLevel};

/// Lines `info` writes at most.
const INFO_LINES_MAX: usize = 2_000;

/// `[CAUSE]`.
pub(crate) async fn hangup(call: &Call, data: &Text) -> Flow {
    let text = data.as_str().trim();
    call.hangup(if text.is_empty() { Cause::NORMAL_CLEARING } else { Cause::parse(text) });
    Flow::Stop
}

/// `CODE[ PHRASE]`: a SIP response now, and nothing else. A final one is sent when the call ends, so that it
/// carries the call's Reason; until then it stands.
pub(crate) async fn respond(call: &Call, data: &Text) -> Flow {
    let (code, phrase) = data.as_str().split_once(' ').unwrap_or((data.as_str(), ""));
    let status = code.trim().parse::<u16>().ok().filter(|status| (100..700).contains(status)).unwrap_or(488);
    let phrase = Some(phrase.trim().to_owned()).filter(|phrase| !phrase.is_empty());
    if status == 100 {
        return Flow::Next;
    }
    if status < 200 {
        call.core(|core| {
            let leg = core.channels.get(&call.id).filter(|c| c.inbound && !c.answered).and_then(|c| c.leg());
            if let Some(leg) = leg {
                core.endpoint.provisional(
                    core.now,
                    leg,
                    Reply { status, phrase, headers: Vec::new(), body: None },
                );
            }
        });
        return Flow::Next;
    }
    if status < 300 {
        return super::media::answer(call, &Text::default()).await;
    }
    call.core(|core| core.respond_finally(call.id, status, phrase));
    Flow::Next
}

/// `MS`.
pub(crate) async fn sleep(call: &Call, data: &Text) -> Flow {
    match data.as_str().trim().parse::<u64>() {
        Ok(ms) => call.sleep(Duration::from_millis(ms)).await,
        Err(_) => call.log(LogLevel::Warning, format!("sleep wants milliseconds, not '{}'", data.as_str())),
    }
    Flow::Next
}

/// `[-bleg|-both] EXT [DIALPLAN [CONTEXT]]`: replaces the rest of the list.
pub(crate) async fn transfer(call: &Call, data: &Text) -> Flow {
    let mut words = tokenizer::split(data, ' ', 5).into_iter().peekable();
    let flag = words.next_if(|word| matches!(word.as_str(), "-bleg" | "-both"));
    let destination = words.next().unwrap_or_default();
    let dialplan = words.next().filter(|word| !word.as_str().is_empty());
    let context = words.next().filter(|word| !word.as_str().is_empty());
    let partner = call.core(|core| core.partner(call.id));
    if flag.is_some() {
        match partner {
            Some(partner) => {
                call.core(|core| core.transfer(partner, &destination, dialplan.as_ref(), context.as_ref()));
            }
            None => call.log(LogLevel::Warning, "transfer: there is no other leg"),
        }
    }
    if flag.is_none_or(|flag| flag.as_str() == "-both") {
        call.core(|core| core.transfer(call.id, &destination, dialplan.as_ref(), context.as_ref()));
        return Flow::Stop;
    }
    Flow::Next
}

/// `LEVEL TEXT`; without a blank the whole text at debug; an unknown level word is lost.
pub(crate) async fn log(call: &Call, data: &Text) -> Flow {
    let (level, text) = match data.as_str().split_once(' ') {
        Some((word, text)) => (LogLevel::parse(word).unwrap_or(LogLevel::Debug), text),
        None => (LogLevel::Debug, data.as_str()),
    };
    call.log(level, text);
    Flow::Next
}

/// `[LEVEL]`: everything known of the channel.
pub(crate) async fn info(call: &Call, data: &Text) -> Flow {
    let level = LogLevel::parse(data.as_str().trim()).unwrap_or(LogLevel::Info);
    let lines = call.channel(|channel| {
        let mut lines = vec![
            format!("Channel-Name: {}", channel.name),
            format!("Unique-ID: {}", channel.uuid),
            format!("Caller-Caller-ID-Name: {}", channel.profile.caller_id_name),
            format!("Caller-Caller-ID-Number: {}", channel.profile.caller_id_number),
            format!("Caller-Destination-Number: {}", channel.profile.destination_number),
            format!("Caller-Context: {}", channel.profile.context),
        ];
        lines.extend(channel.variables.iter().map(|(name, value)| format!("variable_{name}: {value}")));
        lines
    });
    for line in lines.unwrap_or_default().into_iter().take(INFO_LINES_MAX) {
        call.log(level, line);
    }
    Flow::Next
}
