//! Dialling: attempts one after another, the legs of an attempt at once, the first that qualifies wins
//! (`bridge.md` §4–§7).
//!
//! ```text
//!   start ─▶ for each attempt: create legs ─▶ wait ─┬─ winner ─▶ settle the caller ─▶ Ok
//!                 ▲                                 ├─ all down / timed out ─▶ cause ─┐
//!                 └────────────── next ◀────────────┴─────────────────────────────────┴─ none left ─▶ Err
//! ```

use core::time::Duration;

use clock::Tick;
use dialplan::{DialString, Group, Leg};

use crate::call::Call;
use crate::{Cause, ChannelId, LogLevel, endpoints};

mod settings;

use settings::{Settings, SingleReject, exports};

/// One dial in progress. Dropped before it is done, it ends every leg it called.
pub(crate) struct Originate {
    call: Call,
    legs: Vec<DialledLeg>,
    settings: Settings,
    /// 180 was passed on already.
    rang: bool,
    /// A cause that rules over all later ones.
    forced: Option<Cause>,
}

/// A leg of the present attempt.
struct DialledLeg {
    id: ChannelId,
    /// Ends it if it has not won until then, with this cause.
    deadlines: Vec<(Tick, LegTimer)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LegTimer {
    Leg,
    Progress,
}

/// How an attempt ended.
enum Outcome {
    Winner(ChannelId),
    Failed(Cause),
    /// One leg's end was enough.
    Rejected(Cause),
    TimedOut,
}

impl Originate {
    /// Dials; gives the leg that won, with the caller settled as far as that leg is.
    pub(crate) async fn run(call: &Call, dial: DialString) -> Result<ChannelId, Cause> {
        begin(call);
        let Some(thread) = single_thread(call, &dial) else {
            return Err(fail(call, Cause::CHAN_NOT_IMPLEMENTED));
        };
        let mut shared = exports(call, "export_vars");
        shared.extend(dial.variables.iter().cloned());
        shared.extend(thread.variables.iter().cloned());
        let settings = Settings::read(call, shared);
        let mut dialling =
            Originate { call: call.clone(), legs: Vec::new(), settings, rang: false, forced: None };
        let mut cause = Cause::DESTINATION_OUT_OF_ORDER;
        for group in &thread.attempts {
            match dialling.attempt(group).await {
                Outcome::Winner(winner) => return dialling.settle(winner),
                Outcome::Failed(why) => {
                    cause = why;
                    let listed =
                        !matches!(dialling.settings.single_reject, SingleReject::Off | SingleReject::Any);
                    if listed && dialling.settings.single_reject.is_met_by(why) {
                        break;
                    }
                }
                Outcome::Rejected(why) => {
                    cause = why;
                    if dialling.settings.single_reject != SingleReject::Any {
                        break;
                    }
                }
                Outcome::TimedOut => {
                    cause = Cause::NO_ANSWER;
                    if !dialling.settings.continue_on_timeout {
                        break;
                    }
                }
            }
        }
        let forced = dialling.forced;
        call.set("originate_disposition", cause.name());
        Err(fail(call, forced.unwrap_or(cause)))
    }

    async fn attempt(&mut self, group: &Group) -> Outcome {
        // What an earlier attempt was refused with must not colour the answer to the caller after this one.
        self.call.channel(|channel| {
            channel.variables.unset("last_bridge_proto_specific_hangup_cause");
            channel.variables.unset("sip_reason");
            channel.leg_ends.clear();
        });
        let started = self.call.now().tick;
        let mut creation_failure = None;
        for leg in &group.legs {
            match self.create(leg, started) {
                Ok(dialled) => self.legs.push(dialled),
                Err(cause) => creation_failure = Some(cause),
            }
        }
        if self.legs.is_empty() {
            return Outcome::Failed(creation_failure.unwrap_or(Cause::DESTINATION_OUT_OF_ORDER));
        }
        let outcome = self.watch(started).await;
        self.release(&outcome);
        outcome
    }

    fn create(&self, leg: &Leg, started: Tick) -> Result<DialledLeg, Cause> {
        let id = endpoints::dial(&self.call, leg, &self.settings.shared).inspect_err(|cause| {
            let text = format!("cannot dial {}/{}: {cause}", leg.endpoint_type, leg.data.as_str());
            self.call.log(LogLevel::Notice, text);
        })?;
        let seconds = |name: &str| {
            let value = self.call.core(|core| core.channels.get(&id)?.variables.number(name));
            value.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0).map(Duration::from_secs)
        };
        let mut deadlines = Vec::new();
        deadlines.extend(seconds("leg_timeout").map(|limit| (started + limit, LegTimer::Leg)));
        deadlines.extend(seconds("leg_progress_timeout").map(|limit| (started + limit, LegTimer::Progress)));
        self.call.core(|core| core.run_hooks(id, "execute_on_originate"));
        Ok(DialledLeg { id, deadlines })
    }

    /// Waits until one leg qualifies, none is left, or time is up.
    async fn watch(&mut self, started: Tick) -> Outcome {
        let give_up_at = started + self.settings.call_timeout;
        let progress_by = self.settings.progress_timeout.map(|limit| started + limit);
        loop {
            if let Some(winner) = self.winner() {
                return Outcome::Winner(winner);
            }
            self.pass_on_progress();
            if !self.legs.iter().any(|leg| self.is_up(leg.id)) {
                let first = self.legs.first().map(|leg| leg.id);
                return Outcome::Failed(self.cause_of(first));
            }
            if let Some(end) = self.single_reject() {
                return Outcome::Rejected(self.cause_of(Some(end)));
            }
            let now = self.call.now().tick;
            if self.expire_legs(now) {
                continue;
            }
            let progressed = self.rang || self.legs.iter().any(|leg| self.has_progress(leg.id));
            if progress_by.is_some_and(|by| by <= now) && !progressed {
                self.forced = Some(Cause::PROGRESS_TIMEOUT);
                return Outcome::TimedOut;
            }
            if give_up_at <= now {
                return Outcome::TimedOut;
            }
            let deadline = self
                .legs
                .iter()
                .filter(|leg| self.is_up(leg.id))
                .flat_map(|leg| leg.deadlines.iter().map(|(at, _)| *at))
                .chain(progress_by.filter(|_| !progressed))
                .chain([give_up_at])
                .filter(|at| *at > now)
                .min();
            self.next_change(deadline).await;
        }
    }

    /// Sleeps until a leg changed, or the deadline.
    async fn next_change(&self, deadline: Option<Tick>) {
        let ids: Vec<ChannelId> = self.legs.iter().map(|leg| leg.id).collect();
        let before = self.call.core(|core| progress_of(core, &ids));
        let _ = self.call.wait(deadline, move |core| (progress_of(core, &ids) != before).then_some(())).await;
    }

    /// The leg whose end is enough to end the attempt.
    fn single_reject(&self) -> Option<ChannelId> {
        let rule = &self.settings.single_reject;
        self.call
            .channel(|channel| {
                channel.leg_ends.iter().find(|end| rule.is_met_by(end.cause)).map(|end| end.leg)
            })
            .flatten()
    }

    /// The first leg of the list that qualifies.
    fn winner(&self) -> Option<ChannelId> {
        let early_ok = !self.settings.ignore_early_media;
        let ring_ok = self.settings.return_ring_ready && self.legs.len() == 1;
        self.legs.iter().map(|leg| leg.id).find(|id| {
            self.call.core(|core| {
                core.channels.get(id).is_some_and(|leg| {
                    leg.is_up() && (leg.answered || (early_ok && leg.early) || (ring_ok && leg.ringing))
                })
            })
        })
    }

    /// 180 and its kin to the caller, once.
    fn pass_on_progress(&mut self) {
        if self.rang || self.settings.ignore_ring_ready {
            return;
        }
        let only_leg = self.legs.len() == 1;
        let ring = self.legs.iter().map(|leg| leg.id).find_map(|id| {
            self.call.core(|core| {
                let leg = core.channels.get(&id).filter(|leg| leg.is_up())?;
                let by_early = leg.early && self.settings.ring_ready_on_early && only_leg;
                let status = if leg.variables.is_true("sip_queued") { 182 } else { 180 };
                (leg.ringing || by_early).then_some(status)
            })
        });
        if let Some(status) = ring {
            self.rang = true;
            self.call.core(|core| core.ring(self.call.id, status));
        }
        if let Some(source) = self.early_body_of_bypass() {
            // Without media of our own the far end's early SDP goes to the caller whatever else is said.
            self.call.core(|core| core.pre_answer(self.call.id, Some(source)));
        }
    }

    fn early_body_of_bypass(&self) -> Option<ChannelId> {
        self.call.core(|core| {
            let caller = core.channels.get(&self.call.id)?;
            if caller.media.mode != crate::media::MediaMode::Bypass || caller.has_media() {
                return None;
            }
            self.legs.iter().map(|leg| leg.id).find(|id| core.channels.get(id).is_some_and(|leg| leg.early))
        })
    }

    /// Ends legs whose own timers have passed; true when one did.
    fn expire_legs(&mut self, now: Tick) -> bool {
        let mut expired = Vec::new();
        for leg in &mut self.legs {
            let (due, rest): (Vec<_>, Vec<_>) = leg.deadlines.drain(..).partition(|(at, _)| *at <= now);
            leg.deadlines = rest;
            expired.extend(due.into_iter().map(|(_, timer)| (leg.id, timer)));
        }
        let mut any = false;
        for (id, timer) in expired {
            let cause = match timer {
                LegTimer::Leg => Cause::ALLOTTED_TIMEOUT,
                LegTimer::Progress if self.has_progress(id) => continue,
                LegTimer::Progress => {
                    self.forced = Some(Cause::PROGRESS_TIMEOUT);
                    Cause::PROGRESS_TIMEOUT
                }
            };
            if self.is_up(id) {
                any = true;
                self.call.core(|core| core.hangup(id, cause));
            }
        }
        any
    }

    /// Ends what has not won.
    fn release(&mut self, outcome: &Outcome) {
        let cause = match outcome {
            Outcome::Winner(_) | Outcome::Rejected(_) => Cause::LOSE_RACE,
            Outcome::TimedOut => self.forced.unwrap_or(Cause::NO_ANSWER),
            Outcome::Failed(cause) => *cause,
        };
        let kept = match outcome {
            Outcome::Winner(winner) => Some(*winner),
            Outcome::Failed(_) | Outcome::Rejected(_) | Outcome::TimedOut => None,
        };
        for leg in self.legs.drain(..).filter(|leg| Some(leg.id) != kept) {
            self.call.core(|core| core.hangup(leg.id, cause));
        }
    }

    /// Gives the caller what the winner has: 200, or 183 with its SDP.
    fn settle(mut self, winner: ChannelId) -> Result<ChannelId, Cause> {
        let id = self.call.id;
        let settled = self.call.core(|core| {
            match core.channels.get(&winner).map(|winner| (winner.answered, winner.early)) {
                Some((true, _)) => core.answer(id, Some(winner)),
                Some((false, true)) => core.pre_answer(id, Some(winner)),
                Some((false, false)) | None => true,
            }
        });
        if !settled {
            self.call.core(|core| core.hangup(winner, Cause::INCOMPATIBLE_DESTINATION));
            return Err(fail(&self.call, Cause::INCOMPATIBLE_DESTINATION));
        }
        self.legs.clear();
        self.call.set("originate_disposition", "SUCCESS");
        self.call.set("DIALSTATUS", "SUCCESS");
        Ok(winner)
    }

    /// The cause of the leg that decides, the first of the list: and, so that status and cause agree, its status
    /// rules, too.
    fn cause_of(&self, first: Option<ChannelId>) -> Cause {
        let (cause, status) = self
            .call
            .channel(|channel| channel.leg_ends.iter().find(|end| Some(end.leg) == first).copied())
            .flatten()
            .map_or((Cause::DESTINATION_OUT_OF_ORDER, None), |end| (end.cause, end.status));
        self.call.channel(|channel| match status {
            Some(status) => {
                channel.variables.set_str("last_bridge_proto_specific_hangup_cause", format!("sip:{status}"));
            }
            None => channel.variables.unset("last_bridge_proto_specific_hangup_cause"),
        });
        if matches!(cause, Cause::SUCCESS | Cause::NONE) { Cause::ORIGINATOR_CANCEL } else { cause }
    }

    fn is_up(&self, id: ChannelId) -> bool {
        self.call.core(|core| core.channels.get(&id).is_some_and(|leg| leg.is_up()))
    }

    fn has_progress(&self, id: ChannelId) -> bool {
        let rings_count = !self.settings.ignore_ring_ready;
        self.call.core(|core| {
            core.channels
                .get(&id)
                .is_some_and(|leg| (leg.ringing && rings_count) || leg.early || leg.answered)
        })
    }
}

impl Drop for Originate {
    fn drop(&mut self) {
        for leg in self.legs.drain(..) {
            self.call.core(|core| core.hangup(leg.id, Cause::ORIGINATOR_CANCEL));
        }
    }
}

/// What a story that dials looks at of its legs: whatever of it changes wakes it.
fn progress_of(core: &crate::core::Core, ids: &[ChannelId]) -> Vec<(bool, bool, bool, bool)> {
    ids.iter()
        .map(|id| match core.channels.get(id) {
            Some(leg) => (leg.is_up(), leg.ringing, leg.early, leg.answered),
            None => (false, false, false, false),
        })
        .collect()
}

fn begin(call: &Call) {
    call.core(|core| {
        core.run_hooks(call.id, "execute_on_pre_originate");
        core.choose_media_mode(call.id);
    });
    call.set("originate_disposition", "failure");
    call.set("DIALSTATUS", "INVALIDARGS");
    if !call.variable_is_true("preserve_originated_vars") {
        call.channel(|channel| {
            channel.variables.unset("originated_legs");
            channel.variables.unset("originate_causes");
        });
    }
}

/// Several independent dials at once are not there yet: said plainly, not half done.
fn single_thread<'a>(call: &Call, dial: &'a DialString) -> Option<&'a dialplan::Thread> {
    match dial.threads.as_slice() {
        [thread] => Some(thread),
        _ => {
            call.log(LogLevel::Error, "dial strings with ':_:' are not supported yet");
            None
        }
    }
}

fn fail(call: &Call, cause: Cause) -> Cause {
    let dial_status = match cause {
        Cause::ORIGINATOR_CANCEL => "CANCEL",
        Cause::USER_BUSY => "BUSY",
        Cause::NO_ANSWER => "NOANSWER",
        Cause::DESTINATION_OUT_OF_ORDER | Cause::INVALID_PROFILE => "INVALIDARGS",
        Cause::CALL_REJECTED => "DONTCALL",
        other => other.name(),
    };
    call.set("DIALSTATUS", dial_status);
    if call.variable("originate_disposition").is_none_or(|text| text == "failure") {
        call.set("originate_disposition", cause.name());
    }
    cause
}
