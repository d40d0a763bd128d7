//! `playback`: a sound file to the channel's peer.

use dialplan::Text;
use link::PlaybackId;

use super::Flow;
use crate::LogLevel;
use crate::ask::{Answer, Ask, PROMPT_WAIT_MAX};
use crate::call::Call;

/// `FILE`: relative names get `sound_prefix`.
pub(crate) async fn playback(call: &Call, data: &Text) -> Flow {
    let response = match play_file(call, data.as_str().trim()).await {
        Played::Whole => "FILE PLAYED",
        Played::NotFound => "FILE NOT FOUND",
        Played::Impossible => "PLAYBACK ERROR",
    };
    call.set("current_application_response", response);
    call.set("playback_response", response);
    Flow::Next
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Played {
    Whole,
    NotFound,
    Impossible,
}

/// Loads a file and plays it to its end.
pub(crate) async fn play_file(call: &Call, file: &str) -> Played {
    let path = match call.variable("sound_prefix") {
        Some(prefix) if !file.starts_with('/') => format!("{}/{file}", prefix.trim_end_matches('/')),
        _ => file.to_owned(),
    };
    let prompt = match call.ask(Ask::Prompt { path: path.clone() }, PROMPT_WAIT_MAX).await {
        Some(Answer::Prompt(Ok(prompt))) => prompt,
        Some(Answer::Prompt(Err(why))) => {
            call.log(LogLevel::Warning, format!("cannot play {path}: {why}"));
            return Played::NotFound;
        }
        Some(Answer::Resolved(_)) | None => {
            call.log(LogLevel::Warning, format!("cannot play {path}: it took too long to load"));
            return Played::NotFound;
        }
    };
    let started = call.core(|core| {
        let stream = core.channels.get(&call.id)?.media.stream?;
        stream.plan.play_as?;
        let playback = core.desk.play(&stream, prompt, 1);
        let channel = core.channels.get_mut(&call.id)?;
        channel.media.playing = Some(playback);
        Some(playback)
    });
    let Some(playback) = started else {
        call.log(LogLevel::Warning, format!("cannot play {path}: the call has no audio we can encode"));
        return Played::Impossible;
    };
    let _guard = Playing { call: call.clone(), playback };
    let _ = call
        .wait(None, |core| {
            let playing = core.channels.get(&call.id).and_then(|channel| channel.media.playing);
            (playing != Some(playback)).then_some(())
        })
        .await;
    Played::Whole
}

/// Stops the playing when the story is taken away.
struct Playing {
    call: Call,
    playback: PlaybackId,
}

impl Drop for Playing {
    fn drop(&mut self) {
        let playback = self.playback;
        self.call.core(|core| {
            let Some(channel) = core.channels.get_mut(&self.call.id) else { return };
            if channel.media.playing == Some(playback) {
                channel.media.playing = None;
                if let Some(stream) = channel.media.stream {
                    core.desk.stop_play(&stream, playback);
                }
            }
        });
    }
}
