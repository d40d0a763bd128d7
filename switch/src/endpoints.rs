//! What can be dialled: one file a kind. A further endpoint is one more file and one more row here.

use dialplan::{Assignment, Leg, Text};

use crate::call::Call;
use crate::{Cause, ChannelId};

mod sofia;

/// Creates the leg of a dial string and sends it on its way, or says why it cannot be.
pub(crate) fn dial(call: &Call, leg: &Leg, shared: &[Assignment]) -> Result<ChannelId, Cause> {
    let kind = leg.endpoint_type.trim();
    if kind.eq_ignore_ascii_case("error") {
        return Err(error(leg.data.as_str()));
    }
    if kind.eq_ignore_ascii_case("sofia") {
        return sofia::dial(call, leg, &Variables { shared, own: &leg.variables });
    }
    Err(Cause::CHAN_NOT_IMPLEMENTED)
}

/// Names of the kinds that exist.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    ["error", "sofia"].into_iter()
}

/// `error/CAUSE`: fails with it. No cause at all is DESTINATION_OUT_OF_ORDER.
fn error(text: &str) -> Cause {
    match Cause::parse(text.trim()) {
        Cause::NONE => Cause::DESTINATION_OUT_OF_ORDER,
        cause => cause,
    }
}

/// The variables of a leg: those of its own `[…]` over those shared by all.
///
/// Exception: the reference lets `{…}` win unless `local_var_clobber` is set; the stronger block being the nearer
/// one is what its documents promise and what people write.
pub(crate) struct Variables<'a> {
    shared: &'a [Assignment],
    own: &'a [Assignment],
}

impl Variables<'_> {
    /// The value that counts; the last one of the stronger block.
    pub(crate) fn get(&self, name: &str) -> Option<&Text> {
        let find =
            |items: &'_ [Assignment]| items.iter().rposition(|item| item.name.eq_ignore_ascii_case(name));
        match find(self.own) {
            Some(at) => self.own.get(at).map(|item| &item.value),
            None => find(self.shared).and_then(|at| self.shared.get(at)).map(|item| &item.value),
        }
    }

    /// All assignments, weakest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Assignment> {
        self.shared.iter().chain(self.own)
    }

    /// The value as text, nothing if it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(Text::as_str).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_takes_names_numbers_and_nothing() {
        assert_eq!(error("USER_BUSY"), Cause::USER_BUSY);
        assert_eq!(error("17"), Cause::USER_BUSY);
        assert_eq!(error("NOSUCH"), Cause::NORMAL_CLEARING);
        assert_eq!(error("NONE"), Cause::DESTINATION_OUT_OF_ORDER);
    }

    #[test]
    fn the_last_value_of_the_nearer_block_counts() {
        let item =
            |name: &str, value: &str| Assignment { name: name.to_owned(), value: Text::trusted(value) };
        let shared = [item("a", "1"), item("a", "2"), item("b", "3")];
        let own = [item("B", "4")];
        let variables = Variables { shared: &shared, own: &own };
        assert_eq!(variables.text("a"), Some("2"));
        assert_eq!(variables.text("b"), Some("4"));
        assert_eq!(variables.text("c"), None);
    }
}
