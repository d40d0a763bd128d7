//! `bridge`: dial, join, and what comes after (`bridge.md` §12).

use core::time::Duration;

use dialplan::{DialString, Text};

use super::Flow;
use crate::call::Call;
use crate::channel::{BridgeEnd, Replacement};
use crate::originate::Originate;
use crate::{Cause, ChannelId, LogLevel, cause};

/// Causes after which the dialplan goes on although no variable says so.
const PASSED_OVER: [Cause; 3] = [Cause::NO_ANSWER, Cause::NO_USER_RESPONSE, Cause::ORIGINATOR_CANCEL];

/// `DIALSTRING`.
pub(crate) async fn bridge(call: &Call, data: &Text) -> Flow {
    if data.as_str().trim().is_empty() {
        return Flow::Next;
    }
    call.channel(|channel| channel.passed_over = None);
    let dial = match DialString::parse(data) {
        Ok(dial) => dial,
        Err(why) => {
            call.log(LogLevel::Error, format!("dial string '{}': {why}", data.as_str()));
            return after_failure(call, Cause::DESTINATION_OUT_OF_ORDER);
        }
    };
    if call.channel(|channel| channel.max_forwards <= 1).unwrap_or(true) {
        call.hangup(Cause::EXCHANGE_ROUTING_ERROR);
        return Flow::Stop;
    }
    match Originate::run(call, dial).await {
        Ok(called) => match join(call, called).await {
            Some(end) => after_bridge(call, end).await,
            None => Flow::Stop,
        },
        Err(cause) => {
            call.set("originate_failed_cause", cause.name());
            after_failure(call, cause)
        }
    }
}

/// Joins both legs and waits until they part.
async fn join(call: &Call, called: ChannelId) -> Option<BridgeEnd> {
    let mut guard = Called { call: call.clone(), called, is_joined: false };
    call.core(|core| {
        core.run_hooks(call.id, "execute_on_pre_bridge");
        core.run_hooks(called, "execute_on_pre_bridge");
    });
    let Some(bridge) = call.core(|core| core.join(call.id, called)) else {
        let cause = call.core(|core| core.channels.get(&called).and_then(|channel| channel.hangup));
        return Some(BridgeEnd { cause, called_answered: call.core(|core| core.is_answered(called)) });
    };
    guard.is_joined = true; // the bridge holds the leg from here on
    call.core(|core| core.begin_bypass_after_bridge(call.id, called));
    let since = call.now().tick;
    let limit = |id: ChannelId| {
        let text = call.core(|core| core.variable(id, "bridge_answer_timeout"));
        text.and_then(|text| text.as_str().trim().parse::<u64>().ok())
            .filter(|s| *s > 0)
            .map(Duration::from_secs)
    };
    let mut rings = call.core(|core| core.is_ringing(called));
    let (own_limit, called_limit) = (limit(call.id), limit(called));
    loop {
        let (own_answered, called_answered) =
            call.core(|core| (core.is_answered(call.id), core.is_answered(called)));
        let own_deadline = own_limit.filter(|_| !own_answered).map(|limit| since + limit);
        let called_deadline = called_limit.filter(|_| !called_answered).map(|limit| since + limit);
        let deadline = own_deadline.into_iter().chain(called_deadline).min();
        let woken = call
            .wait(deadline, |core| {
                let channel = core.channels.get_mut(&call.id)?;
                if channel.bridge != Some(bridge) {
                    return Some(Woken::Parted);
                }
                if !called_answered && core.is_answered(called) {
                    return Some(Woken::CalledAnswered);
                }
                (!rings && core.is_ringing(called)).then_some(Woken::Ringing)
            })
            .await;
        match woken {
            Ok(Woken::Parted) => break,
            Ok(Woken::CalledAnswered) => {
                if !call.core(|core| core.answer(call.id, Some(called))) {
                    call.core(|core| core.hangup(called, Cause::INCOMPATIBLE_DESTINATION));
                    return None;
                }
                call.core(|core| core.begin_bypass_after_bridge(call.id, called));
                call.give_way().await;
            }
            Ok(Woken::Ringing) => {
                rings = true;
                call.core(|core| core.ring_even_after_early_media(call.id, 180));
            }
            Err(_) if own_deadline == deadline => {
                call.hangup(Cause::ALLOTTED_TIMEOUT);
                return None;
            }
            Err(_) => call.core(|core| core.hangup(called, Cause::ALLOTTED_TIMEOUT)),
        }
    }
    call.core(|core| core.run_hooks(call.id, "execute_on_post_bridge"));
    call.channel(|channel| channel.bridge_end.take()).flatten()
}

enum Woken {
    Parted,
    CalledAnswered,
    Ringing,
}

/// A leg that was dialled and not joined yet: if the story goes, so does it.
struct Called {
    call: Call,
    called: ChannelId,
    is_joined: bool,
}

impl Drop for Called {
    fn drop(&mut self) {
        if !self.is_joined {
            let called = self.called;
            self.call.core(|core| core.hangup(called, Cause::ORIGINATOR_CANCEL));
        }
    }
}

/// §12.4, the calling side.
async fn after_bridge(call: &Call, end: BridgeEnd) -> Flow {
    let cause = end.cause.unwrap_or(Cause::NORMAL_CLEARING);
    if !end.called_answered {
        return after_failure(call, cause);
    }
    let hangup_after = call.variable("hangup_after_bridge").unwrap_or_default();
    if hangup_after.eq_ignore_ascii_case("explicit") {
        call.hangup(cause);
        return Flow::Stop;
    }
    if call.variable_is_true("park_after_bridge") {
        call.core(|core| core.replace(call.id, Replacement::Park));
        call.forever().await;
    }
    if let Some(target) = call.variable_text("transfer_after_bridge") {
        call.core(|core| core.transfer_to(call.id, &target));
        call.forever().await;
    }
    if dialplan::boolean::is_true(&hangup_after) {
        call.hangup(cause);
        return Flow::Stop;
    }
    if let Some(application) = call.variable("exec_after_bridge_app") {
        let data = call.variable_text("exec_after_bridge_arg").unwrap_or_default();
        let action = dialplan::Action { application, data, place: None };
        return Box::pin(crate::stories::run_application(call, &action)).await;
    }
    Flow::Next
}

/// §12.3: a dial that failed, or a bridge whose called side never answered.
fn after_failure(call: &Call, cause: Cause) -> Flow {
    if !call.is_up() {
        return Flow::Stop;
    }
    if cause == Cause::ATTENDED_TRANSFER {
        return Flow::Stop;
    }
    let failure_causes = call.variable("failure_causes");
    let continue_on_fail = call.variable("continue_on_fail");
    if let Some(list) = &failure_causes
        && !cause::parse_list(list).contains(&cause)
    {
        return Flow::Next;
    }
    if let Some(list) = &continue_on_fail
        && (dialplan::boolean::is_true(list) || cause::parse_list(list).contains(&cause))
    {
        return Flow::Next;
    }
    if failure_causes.is_none() && continue_on_fail.is_none() && PASSED_OVER.contains(&cause) {
        if cause == Cause::NO_USER_RESPONSE {
            // Exception: the reference ends such a call with NORMAL_CLEARING, which hides what happened.
            call.channel(|channel| channel.passed_over = Some(cause));
        }
        return Flow::Next;
    }
    if let Some(flow) = transfer_on_fail(call, cause) {
        return flow;
    }
    call.hangup(cause);
    Flow::Stop
}

/// `transfer_on_fail = "<true|cause list> [<extension>|auto_cause [dialplan [context]]]"`.
fn transfer_on_fail(call: &Call, cause: Cause) -> Option<Flow> {
    let value = call.variable_text("transfer_on_fail")?;
    let mut words = dialplan::tokenizer::split(&value, ' ', 4).into_iter();
    let causes = words.next()?;
    if causes.as_str().eq_ignore_ascii_case("true") {
        return Some(Flow::Next);
    }
    if !cause::parse_list(causes.as_str()).contains(&cause) {
        return None;
    }
    let extension = words.next().filter(|word| !word.as_str().eq_ignore_ascii_case("auto_cause"));
    let extension = extension.unwrap_or_else(|| Text::trusted(cause.name()));
    let (dialplan, context) = (words.next(), words.next());
    call.core(|core| core.transfer(call.id, &extension, dialplan.as_ref(), context.as_ref()));
    Some(Flow::Stop)
}
