//! What a hunt collects.

use config::Place;

use crate::text::Text;

/// One application to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The application's name as written; names compare without case and are checked when it runs.
    pub application: String,
    /// Its data, captures put in, variables not yet expanded.
    pub data: Text,
    /// Where it stands in the configuration.
    pub place: Option<Place>,
}

/// The route of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionList {
    /// The extension in which the first action was collected; `NAME_recur_LEVEL` in a nested condition.
    pub extension_name: String,
    /// What to run, in order. A list may be empty and is a route all the same.
    pub actions: Vec<Action>,
    /// Items of an inline dialplan that were refused, because the network chose the application.
    pub refused: usize,
}

impl ActionList {
    /// An empty list.
    pub fn new(extension_name: impl Into<String>) -> ActionList {
        ActionList { extension_name: extension_name.into(), actions: Vec::new(), refused: 0 }
    }
}
