//! A leg's record: its stamps and durations as variables (`control.md` §1), and all that it was.

use core::time::Duration;

use clock::Wall;
use dialplan::Text;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::channel::Channel;
use crate::core::Core;
use crate::event::Record;
use crate::settings::Configuration;
use crate::{Cause, ChannelId, Variables};

/// Completes the variables of a leg that has ended. `None` when it is to leave no record.
pub(crate) fn write(core: &mut Core, id: ChannelId) -> Option<Record> {
    let own_zone = core.variable(id, "timezone").and_then(|name| zone(name.as_str()));
    let zone = own_zone.unwrap_or_else(|| core.zone.clone());
    let process = core.variable(id, "process_cdr").map(|word| word.as_str().to_ascii_lowercase());
    let channel = core.channels.get_mut(&id)?;
    stamps(channel, &zone);
    let cause = channel.hangup.unwrap_or(Cause::NORMAL_CLEARING);
    let wanted = match process.as_deref() {
        Some("a_only") => channel.inbound,
        Some("b_only") => !channel.inbound,
        Some(word) => !dialplan::boolean::is_false(word),
        None => true,
    };
    if let Some(statistics) = channel.media.statistics {
        let mut number = |name: &str, value: String| channel.variables.set_str(name, value);
        number("rtp_audio_in_packet_count", statistics.received_packets.to_string());
        number("rtp_audio_in_media_bytes", statistics.received_bytes.to_string());
        number("rtp_audio_in_skip_packet_count", statistics.lost_packets.max(0).to_string());
        number("rtp_audio_out_packet_count", statistics.sent_packets.to_string());
        number("rtp_audio_out_media_bytes", statistics.sent_bytes.to_string());
        number("rtp_audio_in_jitter_us", statistics.jitter_us.to_string());
        number("rtp_audio_in_jitter_us_max", statistics.jitter_us_max.to_string());
    }
    let mut variables = channel.variables.clone();
    fields(channel, &mut variables);
    wanted.then(|| Record {
        uuid: channel.uuid.clone(),
        inbound: channel.inbound,
        has_originator: channel.had_originator,
        has_originatee: channel.had_originatee,
        cause,
        variables,
    })
}

/// The zone of a configuration; UTC when it names none.
pub(crate) fn zone_of(configuration: &Configuration) -> TimeZone {
    configuration.time_zone.as_deref().and_then(zone).unwrap_or(TimeZone::UTC)
}

/// A zone by its name in the time zone table, or as a POSIX rule.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| TimeZone::posix(name).ok())
}

/// The caller profile under its field names, for templates.
fn fields(channel: &Channel, variables: &mut Variables) {
    const FIELDS: [&str; 14] = [
        "username",
        "dialplan",
        "caller_id_name",
        "caller_id_number",
        "callee_id_name",
        "callee_id_number",
        "ani",
        "aniii",
        "network_addr",
        "rdnis",
        "destination_number",
        "source",
        "context",
        "uuid",
    ];
    for name in FIELDS {
        if let Some(value) = channel.profile.field(name, &channel.uuid, &channel.name)
            && variables.get(name).is_none()
        {
            variables.set(name, value);
        }
    }
    let mut caller_id = Text::trusted("\"");
    caller_id.push_text(&channel.profile.caller_id_name);
    caller_id.push_str("\" <");
    caller_id.push_text(&channel.profile.caller_id_number);
    caller_id.push_str(">");
    variables.set("caller_id", caller_id);
    variables.set_str("direction", if channel.inbound { "inbound" } else { "outbound" });
}

fn stamps(channel: &mut Channel, zone: &TimeZone) {
    let stamps = channel.stamps;
    let ended = stamps.ended.unwrap_or(stamps.created);
    let points = [
        ("start", Some(stamps.created)),
        ("profile_start", Some(stamps.profile_created)),
        ("progress", stamps.progress),
        ("progress_media", stamps.progress_media),
        ("answer", stamps.answered),
        ("bridge", stamps.bridged),
        ("end", Some(ended)),
    ];
    let variables = &mut channel.variables;
    for (name, at) in points {
        let (epoch, micros) = at.map_or((0, 0), |at| (at.as_secs(), at.as_micros()));
        if let Some(at) = at {
            variables.set_str(&format!("{name}_stamp"), stamp(at, zone));
        }
        variables.set_str(&format!("{name}_epoch"), epoch.to_string());
        variables.set_str(&format!("{name}_uepoch"), micros.to_string());
    }
    // Seconds are differences of truncated epochs, as billing systems know them; the finer forms are exact.
    let seconds =
        |from: Option<Wall>, to: Wall| from.map_or(0, |from| (to.as_secs() - from.as_secs()).max(0));
    let micros =
        |from: Option<Wall>, to: Wall| from.map_or(0, |from| (to.as_micros() - from.as_micros()).max(0));
    let start = stamps.created;
    let spans = [
        ("duration", "mduration", "uduration", Some(start), Some(ended)),
        ("billsec", "billmsec", "billusec", stamps.answered, Some(ended)),
        ("progresssec", "progressmsec", "progressusec", Some(start), stamps.progress),
        ("progress_mediasec", "progress_mediamsec", "progress_mediausec", Some(start), stamps.progress_media),
        ("answersec", "answermsec", "answerusec", Some(start), stamps.answered),
        ("waitsec", "waitmsec", "waitusec", Some(start), stamps.bridged),
        ("flow_billsec", "flow_billmsec", "flow_billusec", stamps.answered.map(|_| start), Some(ended)),
    ];
    for (name_s, name_ms, name_us, from, to) in spans {
        let (s, us) = to.map_or((0, 0), |to| (seconds(from, to), micros(from, to)));
        variables.set_str(name_s, s.to_string());
        variables
            .set_str(name_ms, Duration::from_micros(u64::try_from(us).unwrap_or(0)).as_millis().to_string());
        variables.set_str(name_us, us.to_string());
    }
}

/// `YYYY-MM-DD hh:mm:ss` in a zone.
fn stamp(at: Wall, zone: &TimeZone) -> String {
    let timestamp = Timestamp::from_microsecond(at.as_micros()).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_local_to_their_zone() {
        let at = Wall::from_micros(1_790_000_000_000_000);
        assert_eq!(stamp(at, &TimeZone::UTC), "2026-09-21 14:13:20");
        let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(stamp(at, &berlin), "2026-09-21 16:13:20");
    }
}
