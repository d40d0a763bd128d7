//! What a message teaches a channel: its custom headers, and the partner's share of them (`sip.md` §10).

use signaling::Message;

use crate::core::Core;
use crate::{ChannelId, headers};

impl Core {
    /// Custom headers of a request become variables of the channel and of its peer.
    pub(crate) fn learn_headers(&mut self, id: ChannelId, message: &Message, prefix: &str) {
        let peer = self.peer(id);
        for side in [Some(id), peer].into_iter().flatten() {
            if let Some(channel) = self.channels.get_mut(&side)
                && (side == id || !channel.variables.is_false("sip_copy_custom_headers"))
            {
                headers::learn(&mut channel.variables, message, prefix);
            }
        }
    }

    /// The same of a response, and what it says of its sender.
    pub(crate) fn learn_from_response(&mut self, id: ChannelId, response: &Message, prefix: &str) {
        self.learn_headers(id, response, prefix);
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Some(tag) = response.to().tag() {
            channel.variables.set("sip_to_tag", dialplan::Text::network(tag));
        }
        channel.variables.set("sip_call_id", dialplan::Text::network(response.call_id()));
        if (200..300).contains(&response.status()) {
            channel.variables.set_str("sip_term_status", response.status().to_string());
        }
    }
}
