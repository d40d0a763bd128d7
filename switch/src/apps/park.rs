//! `park`: waits for control from outside.

use core::time::Duration;

use dialplan::Text;

use super::Flow;
use crate::call::Call;
use crate::{Cause, EventKind};

/// The application.
pub(crate) async fn run(call: &Call, _: &Text) -> Flow {
    park(call).await;
    Flow::Next
}

/// Waits until replaced, ended, or `park_timeout` (`SECONDS[:CAUSE]`) has passed.
pub(crate) async fn park(call: &Call) {
    call.channel(|channel| channel.parked = true);
    call.core(|core| core.say(call.id, EventKind::Parked));
    let timeout = call.variable("park_timeout").unwrap_or_default();
    let (seconds, cause) = timeout.split_once(':').unwrap_or((&timeout, "NORMAL_CLEARING"));
    match seconds.trim().parse::<u64>() {
        Ok(seconds) if seconds > 0 => {
            call.sleep(Duration::from_secs(seconds)).await;
            call.channel(|channel| channel.parked = false);
            call.hangup(Cause::parse(cause));
        }
        _ => call.forever().await,
    }
}
