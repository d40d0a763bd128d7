//! What a channel does, told from beginning to end: route and execute, be called, park, say farewell.

use core::time::Duration;
use std::sync::Arc;

use dialplan::{Action, ActionList, Hunt, HuntStep};

use crate::apps::{self, Flow};
use crate::call::Call;
use crate::channel::{BridgeEnd, Frame, Interjection};
use crate::scope::HuntingScope;
use crate::{Cause, EventKind, LogLevel, record};

/// How long a leg that has ended waits for the last figures of its streams.
const LAST_FIGURES_WAIT: Duration = Duration::from_secs(2);

/// Dialplans that may be named in one profile.
const DIALPLANS_MAX: usize = 25;

/// An inbound call: find its way, then do what the dialplan says.
pub(crate) async fn inbound(call: Call) {
    route(call).await;
}

/// Hunts with the profile as it is and runs what was found. Begins anew after a transfer, too.
pub(crate) async fn route(call: Call) {
    match hunt(&call).await {
        Some(list) => {
            call.channel(|channel| {
                channel.frames.push(Frame { actions: Arc::from(list.actions), next: 0 });
            });
            execute(&call).await;
            // A transfer that the last action asked for takes effect here, before the call would end.
            call.give_way().await;
            let cause = call.channel(|channel| channel.passed_over.take()).flatten();
            call.hangup(cause.unwrap_or(Cause::NORMAL_CLEARING));
        }
        None => {
            call.log(LogLevel::Notice, "no route: no extension matched");
            call.hangup(Cause::NO_ROUTE_DESTINATION);
        }
    }
    call.forever().await;
}

/// Runs the frames until they are empty, the channel has ended, or an application says stop.
async fn execute(call: &Call) {
    while let Some(action) = next_action(call) {
        if !call.is_up() {
            return;
        }
        if run_application(call, &action).await == Flow::Stop {
            return;
        }
        call.give_way().await;
    }
}

fn next_action(call: &Call) -> Option<Action> {
    call.channel(|channel| {
        loop {
            let frame = channel.frames.last_mut()?;
            if let Some(action) = frame.actions.get(frame.next) {
                frame.next += 1;
                return Some(action.clone());
            }
            channel.frames.pop();
        }
    })
    .flatten()
}

/// Expands an action's data and runs its application.
pub(crate) async fn run_application(call: &Call, action: &Action) -> Flow {
    let Some(row) = apps::find(&action.application) else {
        let place = action.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let text = format!("unknown application '{}'{place}: the call ends", action.application);
        call.log(LogLevel::Error, text);
        call.hangup(Cause::DESTINATION_OUT_OF_ORDER);
        return Flow::Stop;
    };
    if row.needs_media && !apps::media::ready(call).await {
        return Flow::Stop;
    }
    let data = if call.variable_is_true("app_disable_expand_variables") {
        action.data.clone()
    } else {
        call.expand(&action.data).await
    };
    call.channel(|channel| {
        channel.variables.set_str("current_application", row.name);
        channel.variables.set("current_application_data", data.clone());
        channel.variables.set_str("last_app", row.name);
        channel.variables.set("last_arg", data.clone());
    });
    let (application, text) = (row.name.to_owned(), data.as_str().to_owned());
    call.core(|core| core.say(call.id, EventKind::Executing { application, data: text }));
    let flow = (row.run)(call, &data).await;
    let application = row.name.to_owned();
    call.core(|core| core.say(call.id, EventKind::Executed { application }));
    flow
}

/// Asks the dialplans of the profile one after the other.
async fn hunt(call: &Call) -> Option<ActionList> {
    let names = call.core(|core| {
        core.channels.get(&call.id).map(|channel| channel.profile.dialplan.clone()).unwrap_or_default()
    });
    let names = call.expand(&names).await;
    for name in dialplan::tokenizer::split(&names, ',', DIALPLANS_MAX) {
        if name.has_atoms() {
            call.log(LogLevel::Error, "a caller's text cannot choose the dialplan");
            continue;
        }
        let (kind, _argument) = name.as_str().split_once(':').unwrap_or((name.as_str(), ""));
        if kind.eq_ignore_ascii_case("inline") {
            return Some(inline_list(call));
        }
        if kind.is_empty() || kind.eq_ignore_ascii_case("xml") {
            if let Some(list) = hunt_xml(call).await {
                return Some(list);
            }
        } else {
            call.log(LogLevel::Error, format!("there is no dialplan '{kind}'"));
        }
    }
    None
}

/// The destination is the list; afterwards the number takes back what was dialled before.
fn inline_list(call: &Call) -> ActionList {
    let destination = call
        .channel(|channel| {
            let destination = channel.profile.destination_number.clone();
            channel.profile.destination_number = std::mem::take(&mut channel.profile.rdnis);
            destination
        })
        .unwrap_or_default();
    dialplan::parse_inline(&destination)
}

async fn hunt_xml(call: &Call) -> Option<ActionList> {
    let (plan, context, destination) = call.channel(|channel| {
        let profile = &channel.profile;
        (channel.dialplan.clone(), profile.context.clone(), profile.destination_number.clone())
    })?;
    let mut hunt = Hunt::new(plan, context.as_str(), destination.as_str());
    loop {
        let step = call.core(|core| hunt.step(&mut HuntingScope::new(core, call.id)));
        match step {
            HuntStep::Done(list) => return list,
            HuntStep::Ask(question) => {
                let answer = crate::api::call(call, &question).await;
                hunt.answer(answer);
            }
            HuntStep::RunInline(action) => {
                run_inline(call, &action).await;
                hunt.inline_done();
            }
        }
    }
}

/// Inline actions run while hunting; what may not is neither run nor queued.
async fn run_inline(call: &Call, action: &Action) {
    match apps::find(&action.application) {
        Some(row) if !row.inline => {
            call.log(LogLevel::Error, format!("application '{}' cannot run inline: skipped", row.name));
        }
        _ => {
            let _ = run_application(call, action).await;
        }
    }
}

/// A leg we called: nothing to do until it is joined; afterwards the rules of its side.
pub(crate) async fn called(call: Call) {
    loop {
        let ended = call
            .wait(None, |core| core.channels.get_mut(&call.id).and_then(|channel| channel.bridge_end.take()))
            .await;
        if let Ok(end) = ended {
            after_bridge_of_called(&call, end);
        }
        call.give_way().await;
    }
}

/// `bridge.md` §12.4, the called side.
fn after_bridge_of_called(call: &Call, end: BridgeEnd) {
    if call.core(|core| core.partner(call.id)).is_some() {
        return; // taken over by another bridge already
    }
    if !end.called_answered {
        return call.hangup(Cause::ORIGINATOR_CANCEL);
    }
    if call.variable_is_true("park_after_bridge") {
        return call.core(|core| core.replace(call.id, crate::channel::Replacement::Park));
    }
    if let Some(target) = call.variable_text("transfer_after_bridge") {
        return call.core(|core| core.transfer_to(call.id, &target));
    }
    let bypass =
        call.channel(|channel| channel.media.mode == crate::media::MediaMode::Bypass).unwrap_or(false);
    let cause = if bypass { end.cause } else { None };
    call.hangup(cause.unwrap_or(Cause::NORMAL_CLEARING));
}

/// Waits for control from outside.
pub(crate) async fn park(call: Call) {
    apps::park::park(&call).await;
    call.hangup(Cause::NORMAL_CLEARING);
    call.forever().await;
}

/// An application on top of the story.
pub(crate) async fn interject(call: Call, interjection: Interjection) {
    let action = Action { application: interjection.application, data: interjection.data, place: None };
    let _ = run_application(&call, &action).await;
}

/// The end of a channel: last figures, record, and nothing remains.
pub(crate) async fn farewell(call: Call) {
    let deadline = call.now().tick + LAST_FIGURES_WAIT;
    let _ = call
        .wait(Some(deadline), |core| core.channels.get(&call.id)?.media.stream.is_none().then_some(()))
        .await;
    let record = call.core(|core| record::write(core, call.id));
    if let Some(record) = record {
        call.core(|core| core.say(call.id, EventKind::Record(Arc::new(record))));
    }
    // Signaling goes on alone: it repeats a BYE and absorbs late messages for up to 32 s, which must not keep a
    // place among the sessions.
    call.core(|core| core.forget(call.id));
}
