//! API functions that expansions ask the switch for: those that need more than the text they are given.

use dialplan::{ApiCall, Text};

use crate::call::Call;

/// Answers `${name(arguments)}`; `None` for what is not known here or failed.
pub(crate) async fn call(call: &Call, question: &ApiCall) -> Option<Text> {
    let argument = question.arguments.as_str().trim();
    match question.name.to_ascii_lowercase().as_str() {
        "create_uuid" => Some(Text::trusted(call.core(|core| core.random.uuid()).as_str())),
        "global_getvar" => call.core(|core| {
            let name = argument.to_ascii_lowercase();
            core.configuration.globals.get(&name).map(|value| Text::trusted(value.as_str()))
        }),
        "uuid_exists" => {
            let exists = call.core(|core| core.find_uuid(argument).is_some());
            Some(Text::trusted(if exists { "true" } else { "false" }))
        }
        "uuid_getvar" => {
            let (uuid, name) = argument.split_once(' ')?;
            call.core(|core| {
                let Some(id) = core.find_uuid(uuid) else {
                    return Some(Text::trusted("-ERR No such channel!\n"));
                };
                Some(core.variable(id, name.trim()).unwrap_or_else(|| Text::trusted("_undef_")))
            })
        }
        "acl" => {
            let (address, list) = argument.split_once(' ')?;
            let address = address.trim().parse().ok()?;
            let allowed = call.core(|core| core.list_allows(list.trim(), address));
            Some(Text::trusted(if allowed { "true" } else { "false" }))
        }
        _ => None,
    }
}
