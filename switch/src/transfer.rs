//! A channel goes another way: `transfer`, in all the places it can come from (dialplan §12).

use dialplan::Text;

use crate::channel::Replacement;
use crate::core::Core;
use crate::{Cause, ChannelId};

/// Transfers a call may make when nothing else is said.
const TRANSFERS_MAX: i64 = 70;

impl Core {
    /// Sends a channel to an extension: a new caller profile, a new hunt. Its partner, if joined, is let go.
    pub(crate) fn transfer(
        &mut self,
        id: ChannelId,
        destination: &Text,
        dialplan: Option<&Text>,
        context: Option<&Text>,
    ) {
        if !self.channels.get(&id).is_some_and(|channel| channel.is_up()) {
            return;
        }
        if !self.count_transfer(id) {
            return self.hangup(id, Cause::EXCHANGE_ROUTING_ERROR);
        }
        let forced_dialplan = self.variable(id, "force_transfer_dialplan");
        let forced_context = self.variable(id, "force_transfer_context");
        let partner = self.partner(id);
        let now = self.now.wall;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let profile = &mut channel.profile;
        profile.rdnis = std::mem::replace(&mut profile.destination_number, destination.clone());
        if destination.as_str().is_empty() {
            profile.destination_number = Text::trusted("service");
        }
        profile.dialplan = match dialplan.cloned().or(forced_dialplan) {
            Some(dialplan) => dialplan,
            None if profile.dialplan.as_str().eq_ignore_ascii_case("inline") => Text::trusted("XML"),
            None if profile.dialplan.as_str().is_empty() => Text::trusted("XML"),
            None => profile.dialplan.clone(),
        };
        if let Some(context) = context.cloned().or(forced_context) {
            profile.context = context;
        } else if profile.context.as_str().is_empty() {
            profile.context = Text::trusted("default");
        }
        let source = format!(
            "{}:{}:bl_xfer:{}/{}/{}",
            now.as_secs(),
            channel.uuid,
            profile.destination_number,
            profile.context,
            profile.dialplan
        );
        profile.transfer_source = Text::network(source.as_str());
        channel.stamps.profile_created = now;
        channel.variables.set("transfer_source", Text::network(source.as_str()));
        channel.variables.push("transfer_history", Text::network(source));
        channel.variables.unset("signal_bond");
        channel.passed_over = None;
        self.replace(id, Replacement::Route);
        if let Some(partner) = partner {
            self.unbridge(id, None);
            self.hangup(partner, Cause::BLIND_TRANSFER);
        }
    }

    /// `ext[:dialplan[:context]]`.
    pub(crate) fn transfer_to(&mut self, id: ChannelId, target: &Text) {
        let mut parts = Vec::new();
        let mut start = 0;
        for _ in 0..2 {
            let Some(at) = target.find_syntax(b':', start) else { break };
            parts.push(target.slice(start..at));
            start = at + 1;
        }
        parts.push(target.slice(start..target.len()));
        self.transfer(id, &parts[0], parts.get(1), parts.get(2));
    }

    /// `max_session_transfers`, else `max_forwards`, counts down; false when it has come to its end.
    fn count_transfer(&mut self, id: ChannelId) -> bool {
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let name = if channel.variables.get("max_session_transfers").is_some() {
            "max_session_transfers"
        } else {
            "max_forwards"
        };
        let left = channel.variables.number(name).map_or(TRANSFERS_MAX, |left| left - 1);
        channel.variables.set_str(name, left.to_string());
        left > 0
    }
}
