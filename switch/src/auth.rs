//! Digest authentication of callers. Users come from the directory, which is not read for calls yet: a profile
//! that wants its callers authenticated challenges everyone and lets nobody pass.

use signaling::{LegId, Message, Reply};

use crate::core::Core;
use crate::settings::Profile;

impl Core {
    /// Whether the request carries credentials we accept.
    pub(crate) fn authorized(&self, _: &Profile, _: &Message) -> bool {
        false
    }

    /// 407 with a fresh nonce.
    pub(crate) fn challenge(&mut self, leg: LegId, profile: &Profile) {
        self.counters.challenged += 1;
        let nonce = self.random.uuid();
        let value =
            format!("Digest realm=\"{}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"", profile.host);
        let headers = vec![("Proxy-Authenticate".to_owned(), value)];
        self.endpoint.refuse(self.now, leg, Reply { status: 407, phrase: None, headers, body: None });
    }
}
