//! Two channels joined: an object that two stories wait on, owned by neither.

use dialplan::Text;

use crate::channel::BridgeEnd;
use crate::core::Core;
use crate::{BridgeId, Cause, ChannelId, EventKind};

/// Two joined channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bridge {
    /// The side that called.
    pub(crate) caller: ChannelId,
    /// The side that was called.
    pub(crate) called: ChannelId,
}

impl Bridge {
    /// The other side.
    pub(crate) fn other(&self, id: ChannelId) -> ChannelId {
        if id == self.caller { self.called } else { self.caller }
    }
}

impl Core {
    /// The channel this one is joined with.
    pub(crate) fn partner(&self, id: ChannelId) -> Option<ChannelId> {
        let bridge = self.channels.get(&id)?.bridge?;
        self.bridges.get(&bridge).map(|bridge| bridge.other(id))
    }

    /// The channel this one speaks with: joined, or calling or being called by it.
    pub(crate) fn peer(&self, id: ChannelId) -> Option<ChannelId> {
        self.partner(id).or_else(|| self.channels.get(&id)?.originator)
    }

    /// Joins two channels and lets their audio flow. `None` when one of them has ended meanwhile.
    pub(crate) fn join(&mut self, caller: ChannelId, called: ChannelId) -> Option<BridgeId> {
        let up = |core: &Core, id| core.channels.get(&id).is_some_and(|channel| channel.is_up());
        if !up(self, caller) || !up(self, called) {
            return None;
        }
        self.unbridge(caller, None);
        self.unbridge(called, None);
        let id = self.next_bridge_id();
        self.bridges.insert(id, Bridge { caller, called });
        let (now, names) = (self.now.wall, self.names_of(caller, called));
        for (side, other) in [(caller, called), (called, caller)] {
            let Some((uuid, name, number)) = names.get(&other).cloned() else { continue };
            let Some(channel) = self.channels.get_mut(&side) else { continue };
            channel.bridge = Some(id);
            channel.bridge_end = None;
            if side == called {
                // A leg that dials while it is being dialled is still waited for by its own caller.
                channel.originator = None;
            }
            channel.had_originator |= side == called;
            channel.had_originatee |= side == caller;
            channel.stamps.bridged.get_or_insert(now);
            channel.variables.set("bridge_channel", Text::network(name));
            channel.variables.set_str("bridge_uuid", uuid.as_str());
            channel.variables.set_str("signal_bond", uuid.as_str());
            channel.variables.set_str("last_bridge_to", uuid.as_str());
            if side == caller {
                channel.variables.set_str("bleg_uuid", uuid.as_str());
                channel.profile.callee_id_number = number;
            }
            let role = if side == caller { "originator" } else { "originatee" };
            channel.variables.set_str("last_bridge_role", role);
            self.copy_bridge_exports(other, side);
            self.wake(side);
        }
        if let Some((uuid, ..)) = names.get(&called) {
            let with = uuid.clone();
            self.say(caller, EventKind::Bridged { with });
        }
        self.bring_together(caller, called);
        self.plan_media(caller);
        self.plan_media(called);
        Some(id)
    }

    /// Takes a channel out of its bridge. `cause`: why it ended, where it did.
    pub(crate) fn unbridge(&mut self, id: ChannelId, cause: Option<Cause>) {
        let Some(bridge_id) = self.channels.get(&id).and_then(|channel| channel.bridge) else { return };
        let Some(bridge) = self.bridges.remove(&bridge_id) else { return };
        let other = bridge.other(id);
        let called_answered = self.channels.get(&bridge.called).is_some_and(|channel| channel.answered);
        let own_cause = self.channels.get(&other).and_then(|channel| channel.hangup);
        for (side, cause) in [(id, own_cause), (other, cause)] {
            let Some(channel) = self.channels.get_mut(&side) else { continue };
            channel.bridge = None;
            channel.bridge_end = Some(BridgeEnd { cause, called_answered });
            channel.variables.unset("bridge_uuid");
            channel.variables.unset("signal_bond");
            if let Some(cause) = cause {
                channel.variables.set_str("bridge_hangup_cause", cause.name());
                channel.variables.set_str("last_bridge_hangup_cause", cause.name());
            }
            self.wake(side);
        }
        if let Some(uuid) = self.channels.get(&other).map(|channel| channel.uuid.clone()) {
            self.say(id, EventKind::Unbridged { from: uuid });
        }
        self.end_relay(id);
        self.end_relay(other);
        self.plan_media(id);
        self.plan_media(other);
    }

    /// Legs that met later may have their streams on two workers: the called one moves to its caller's.
    fn bring_together(&mut self, caller: ChannelId, called: ChannelId) {
        let stream = |id: ChannelId| self.channels.get(&id).and_then(|channel| channel.media.stream);
        if let (Some(home), Some(guest)) = (stream(caller), stream(called)) {
            let worker = self.desk.moving(home.id).unwrap_or(home.worker);
            self.desk.move_to(&[guest], worker);
        }
    }

    /// Moves a channel's stream, and its partner's, to another worker.
    pub(crate) fn move_media(&mut self, id: ChannelId, worker: link::WorkerId) {
        let streams: Vec<_> = [Some(id), self.partner(id)]
            .into_iter()
            .flatten()
            .filter_map(|side| self.channels.get(&side)?.media.stream)
            .collect();
        self.desk.move_to(&streams, worker);
    }

    /// `bridge_export_vars`: copied in both directions when legs are joined.
    fn copy_bridge_exports(&mut self, from: ChannelId, to: ChannelId) {
        let Some(source) = self.channels.get(&from) else { return };
        let Some(list) = source.variables.text("bridge_export_vars") else { return };
        let copies: Vec<_> = list
            .split(',')
            .map(str::trim)
            .filter_map(|name| {
                Some((name.strip_prefix("nolocal:").unwrap_or(name).to_owned(), source.variables.get(name)?))
            })
            .collect();
        if let Some(target) = self.channels.get_mut(&to) {
            for (name, value) in copies {
                target.variables.set(&name, value);
            }
        }
    }

    fn names_of(
        &self,
        caller: ChannelId,
        called: ChannelId,
    ) -> std::collections::BTreeMap<ChannelId, (crate::Uuid, String, dialplan::Text)> {
        [caller, called]
            .into_iter()
            .filter_map(|id| {
                let channel = self.channels.get(&id)?;
                let number = channel.profile.destination_number.clone();
                Some((id, (channel.uuid.clone(), channel.name.clone(), number)))
            })
            .collect()
    }
}
