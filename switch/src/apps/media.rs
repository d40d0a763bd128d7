//! `answer`, `pre_answer`, `ring_ready`, and the media an application needs.

use core::time::Duration;

use dialplan::Text;

use super::Flow;
use crate::call::Call;

/// How long an application that needs media waits for a called leg to have some.
const MEDIA_WAIT: Duration = Duration::from_secs(2);

/// Answers an inbound channel; outbound or answered ones are left alone.
pub(crate) async fn answer(call: &Call, _: &Text) -> Flow {
    if !call.core(|core| core.answer(call.id, None)) {
        return Flow::Stop;
    }
    call.give_way().await;
    if let Some(ms) = call.variable_number("answer_delay").and_then(|ms| u64::try_from(ms).ok()) {
        call.sleep(Duration::from_millis(ms)).await;
    }
    Flow::Next
}

/// Early media: 183 with SDP.
pub(crate) async fn pre_answer(call: &Call, _: &Text) -> Flow {
    if !call.core(|core| core.pre_answer(call.id, None)) {
        return Flow::Stop;
    }
    call.give_way().await;
    Flow::Next
}

/// 180, or 182 with `queued`.
pub(crate) async fn ring_ready(call: &Call, data: &Text) -> Flow {
    let status = if data.as_str().trim().eq_ignore_ascii_case("queued") { 182 } else { 180 };
    call.core(|core| core.ring(call.id, status));
    Flow::Next
}

/// Sees to it that media is up before an application that needs it: an inbound channel is pre-answered, an
/// outbound one is waited for.
pub(crate) async fn ready(call: &Call) -> bool {
    let Some((inbound, has_media)) = call.channel(|channel| (channel.inbound, channel.has_media())) else {
        return false;
    };
    call.core(|core| core.leave_bypass(call.id));
    if has_media {
        return true;
    }
    if inbound {
        return call.core(|core| core.pre_answer(call.id, None));
    }
    let deadline = call.now().tick + MEDIA_WAIT;
    call.wait(Some(deadline), |core| core.channels.get(&call.id)?.has_media().then_some(())).await.is_ok()
}
