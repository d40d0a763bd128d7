//! A channel as its dialplan sees it.

use clock::Wall;
use dialplan::{HuntScope, Party, Scope, Text};
use jiff::tz::TimeZone;

use crate::ChannelId;
use crate::core::Core;

/// For expansion: nothing is changed.
pub(crate) struct ChannelScope<'a> {
    core: &'a Core,
    id: ChannelId,
}

impl<'a> ChannelScope<'a> {
    pub(crate) fn new(core: &'a Core, id: ChannelId) -> ChannelScope<'a> {
        ChannelScope { core, id }
    }
}

impl Scope for ChannelScope<'_> {
    fn variable(&self, name: &str) -> Option<Text> {
        let channel = self.core.channels.get(&self.id)?;
        channel.variables.get(name).or_else(|| self.core.live_variable(channel, name))
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.core.channels.get(&self.id)?.variables.element(name, index)
    }

    fn field(&self, name: &str) -> Option<Text> {
        let channel = self.core.channels.get(&self.id)?;
        channel.profile.field(name, &channel.uuid, &channel.name)
    }

    fn now(&self) -> Wall {
        self.core.now.wall
    }

    fn zone(&self) -> TimeZone {
        self.core.zone.clone()
    }

    fn party_field(&self, party: Party, name: &str) -> Option<Text> {
        let channel = self.core.channels.get(&self.id)?;
        let other = self.core.channels.get(&self.core.peer(self.id)?)?;
        let called_us = matches!(party, Party::Originator);
        (called_us != channel.inbound).then(|| other.profile.field(name, &other.uuid, &other.name)).flatten()
    }

    fn global(&self, name: &str) -> Option<Text> {
        let name = name.to_ascii_lowercase();
        self.core.configuration.globals.get(&name).map(|value| Text::trusted(value.as_str()))
    }
}

/// For hunting: captures are written into the channel.
pub(crate) struct HuntingScope<'a> {
    core: &'a mut Core,
    id: ChannelId,
}

impl<'a> HuntingScope<'a> {
    pub(crate) fn new(core: &'a mut Core, id: ChannelId) -> HuntingScope<'a> {
        HuntingScope { core, id }
    }

    fn reading(&self) -> ChannelScope<'_> {
        ChannelScope::new(self.core, self.id)
    }
}

impl Scope for HuntingScope<'_> {
    fn variable(&self, name: &str) -> Option<Text> {
        self.reading().variable(name)
    }

    fn element(&self, name: &str, index: usize) -> Option<Text> {
        self.reading().element(name, index)
    }

    fn field(&self, name: &str) -> Option<Text> {
        self.reading().field(name)
    }

    fn now(&self) -> Wall {
        self.reading().now()
    }

    fn zone(&self) -> TimeZone {
        self.reading().zone()
    }

    fn party_field(&self, party: Party, name: &str) -> Option<Text> {
        self.reading().party_field(party, name)
    }

    fn global(&self, name: &str) -> Option<Text> {
        self.reading().global(name)
    }
}

impl HuntScope for HuntingScope<'_> {
    fn set_captures(&mut self, name: &str, values: Vec<Text>) {
        let Some(channel) = self.core.channels.get_mut(&self.id) else { return };
        channel.variables.unset(name);
        for value in values {
            channel.variables.push(name, value);
        }
    }

    fn clear_captures(&mut self, prefix: &str) {
        let Some(channel) = self.core.channels.get_mut(&self.id) else { return };
        for (name, _) in channel.variables.with_prefix(prefix) {
            channel.variables.unset(&name);
        }
    }
}
