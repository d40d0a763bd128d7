//! Loading as a whole: preprocess, read, look for what would silently have no effect.

use crate::files::Files;
use crate::globals::Globals;
use crate::limits::{EXPANDED_BYTES_MAX, FILE_BYTES_MAX, INCLUDE_DEPTH_MAX, INCLUDE_FILES_MAX};
use crate::place::Place;
use crate::preprocess::{decode, preprocess};
use crate::problem::Problems;
use crate::reader::read;
use crate::source::Source;
use crate::tree::{Document, Element};

/// What a load may do and cost. The limits can be lowered, not raised.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Bytes of one file.
    pub file_bytes_max: usize,
    /// Bytes of all lines after `$${}` replacement.
    pub expanded_bytes_max: usize,
    /// Files within files.
    pub include_depth_max: usize,
    /// Files read in all.
    pub include_files_max: usize,
    /// Whether `exec` and `exec-set` run commands.
    pub allow_exec: bool,
    /// What `stun-set` sets instead of asking a server: the address by which the default route leaves.
    pub default_route_address: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions {
            file_bytes_max: FILE_BYTES_MAX,
            expanded_bytes_max: EXPANDED_BYTES_MAX,
            include_depth_max: INCLUDE_DEPTH_MAX,
            include_files_max: INCLUDE_FILES_MAX,
            allow_exec: false,
            default_route_address: None,
        }
    }
}

/// The outcome of a load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `None` exactly when there are errors among the problems.
    pub document: Option<Document>,
    /// The variables given by the caller and those that the files set.
    pub globals: Globals,
    /// What was found, in order.
    pub problems: Problems,
}

/// Loads the root file and all that it includes. `globals` holds the built-in variables (`local_ip_v4`,
/// `hostname`, `conf_dir` …), which the files may use and replace.
pub fn load(files: &dyn Files, root: &str, globals: Globals, options: &LoadOptions) -> Loaded {
    let mut problems = Problems::new();
    let (source, globals) = preprocess(files, root, globals, options, &mut problems);
    let root_element = source.and_then(|source| read(&source, &mut problems));
    let document = finish(root_element, &mut problems);
    Loaded { document, globals, problems }
}

/// Reads one file as plain XML, without the preprocessor: what a dialplan string `XML:/path/file.xml` names.
pub fn parse_plain(name: &str, bytes: &[u8], problems: &mut Problems) -> Option<Document> {
    if bytes.len() > FILE_BYTES_MAX {
        let what = format!("`{name}` is longer than {FILE_BYTES_MAX} bytes");
        problems.error(Place::new(name, 1, 1), what);
        return None;
    }
    let mut found = Problems::new();
    let (text, _) = decode(bytes.to_vec());
    let root_element = read(&Source::plain(name, &text), &mut found);
    let document = finish(root_element, &mut found);
    problems.append(found);
    document
}

fn finish(root: Option<Element>, problems: &mut Problems) -> Option<Document> {
    let root = root?;
    warn_of_unused(&root, problems);
    (!problems.has_errors()).then(|| Document::new(root))
}

/// Same-named siblings are not merged: the first alone counts, and who wrote the second should know.
fn warn_of_unused(root: &Element, problems: &mut Problems) {
    warn_of_second(root, "section", problems);
    if let Some(section) = root.child_with("section", "name", "configuration") {
        warn_of_second(section, "configuration", problems);
    }
}

fn warn_of_second(parent: &Element, name: &str, problems: &mut Problems) {
    let mut first = std::collections::BTreeMap::new();
    for child in parent.children_named(name) {
        let Some(value) = child.attribute("name") else {
            problems.warning(child.place(), format!("a `<{name}>` without a name is never used"));
            continue;
        };
        if let Some(place) = first.get(&value.to_ascii_lowercase()) {
            let what = format!("this `<{name} name=\"{value}\">` is never used: the one at {place} counts");
            problems.warning(child.place(), what);
        } else {
            first.insert(value.to_ascii_lowercase(), child.place());
        }
    }
}
