//! The caller profile: who calls whom, in which context, by which dialplan.

use dialplan::Text;

use crate::Uuid;

/// Fields of dialplan §14. A transfer makes a new one from the old.
#[derive(Clone, Debug, Default)]
pub struct CallerProfile {
    /// User of the request's From, as authenticated or as written.
    pub username: Text,
    /// Dialplans to ask, as a list.
    pub dialplan: Text,
    /// Caller's name.
    pub caller_id_name: Text,
    /// Caller's number.
    pub caller_id_number: Text,
    /// Name of whom the caller reached.
    pub callee_id_name: Text,
    /// Number of whom the caller reached.
    pub callee_id_number: Text,
    /// Billing number of the caller.
    pub ani: Text,
    /// Kind of the billing number.
    pub aniii: Text,
    /// IP address the call came from.
    pub network_addr: Text,
    /// Number that was dialled before the last transfer.
    pub rdnis: Text,
    /// What is dialled.
    pub destination_number: Text,
    /// Where the call comes from: the endpoint's module name.
    pub source: Text,
    /// How the call was transferred last.
    pub transfer_source: Text,
    /// Context the dialplan is searched in.
    pub context: Text,
    /// Caller wishes the name hidden.
    pub privacy_hide_name: bool,
    /// Caller wishes the number hidden.
    pub privacy_hide_number: bool,
    /// Caller's number was verified by someone we trust.
    pub screen: bool,
}

impl CallerProfile {
    /// A field by its name, in any case; `None` for names that are no fields.
    pub fn field(&self, name: &str, uuid: &Uuid, channel_name: &str) -> Option<Text> {
        let flag = |value: bool| Text::trusted(if value { "true" } else { "false" });
        let text = match name.to_ascii_lowercase().as_str() {
            "username" => self.username.clone(),
            "dialplan" => self.dialplan.clone(),
            "caller_id_name" | "orig_caller_id_name" => self.caller_id_name.clone(),
            "caller_id_number" | "orig_caller_id_number" => self.caller_id_number.clone(),
            "callee_id_name" => self.callee_id_name.clone(),
            "callee_id_number" => self.callee_id_number.clone(),
            "ani" => self.ani.clone(),
            "aniii" => self.aniii.clone(),
            "network_addr" => self.network_addr.clone(),
            "rdnis" => self.rdnis.clone(),
            "destination_number" => self.destination_number.clone(),
            "source" => self.source.clone(),
            "transfer_source" => self.transfer_source.clone(),
            "context" => self.context.clone(),
            "uuid" => Text::trusted(uuid.as_str()),
            "chan_name" => Text::network(channel_name),
            "privacy_hide_name" => flag(self.privacy_hide_name),
            "privacy_hide_number" => flag(self.privacy_hide_number),
            "screen_bit" => flag(self.screen),
            "caller_ton"
            | "caller_numplan"
            | "destination_number_ton"
            | "destination_number_numplan"
            | "ani_ton"
            | "ani_numplan"
            | "rdnis_ton"
            | "rdnis_numplan" => Text::trusted("255"),
            _ => return None,
        };
        Some(text)
    }
}
