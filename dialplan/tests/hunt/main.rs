//! What is collected and run for a call, case by case: the files in `cases` hold contexts, calls and expectations.

mod outside;
mod world;

use config::MemoryFiles;
use dialplan::Text;
use world::World;

/// One case as it stands in a file.
#[derive(Default)]
struct Case {
    name: String,
    number: Option<String>,
    fields: Vec<(String, String)>,
    variables: Vec<(String, String)>,
    xml: String,
    executed: Vec<String>,
    extensions: Vec<String>,
    warnings: Vec<String>,
}

/// `## name`, `key: value`, lines of XML, `=> executed`, `! warning`.
fn read(file: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in file.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(executed) = line.strip_prefix("=> ") {
            case.executed.push(executed.to_owned());
        } else if let Some(warning) = line.strip_prefix("! ") {
            case.warnings.push(warning.to_owned());
        } else if let Some(extension) = line.strip_prefix("extension: ") {
            case.extensions.push(extension.to_owned());
        } else if let Some(number) = line.strip_prefix("number: ") {
            case.number = Some(number.to_owned());
        } else if let Some((name, value)) =
            line.strip_prefix("variable: ").and_then(|line| line.split_once('='))
        {
            case.variables.push((name.to_owned(), value.to_owned()));
        } else if let Some((name, value)) = line.split_once(": ").filter(|_| line.starts_with("caller_id_")) {
            case.fields.push((name.to_owned(), value.to_owned()));
        } else {
            case.xml += line;
            case.xml += "\n";
        }
    }
    cases
}

/// What went otherwise than the case says; empty if nothing did.
fn run(case: &Case) -> String {
    let xml = format!(
        "<document type=\"freeswitch/xml\"><section name=\"dialplan\"><context name=\"test\">\n{}</context></section></document>",
        case.xml
    );
    let Some(mut world) = World::new(&MemoryFiles::new().with("freeswitch.xml", xml)) else {
        return "does not load".to_owned();
    };
    world.set_field("caller_id_name", "Ann Lee");
    world.set_field("caller_id_number", "1001");
    world.set_variable("one", Text::trusted("1"));
    case.fields.iter().for_each(|(name, value)| world.set_field(name, value));
    case.variables.iter().for_each(|(name, value)| world.set_variable(name, Text::trusted(value.as_str())));
    let has_route = world.run("test", case.number.as_deref().unwrap_or("100"));
    let executed = if has_route { world.executed } else { vec!["NO ROUTE".to_owned()] };
    let mut differences = String::new();
    if executed != case.executed {
        differences += &format!("executed {executed:?} instead of {:?}", case.executed);
    }
    let verdict = |matched: bool| if matched { "matched" } else { "failed" };
    let extensions: Vec<_> =
        world.extensions.iter().map(|(name, matched)| format!("{name} {}", verdict(*matched))).collect();
    if !case.extensions.is_empty() && extensions != case.extensions {
        differences += &format!("tried {extensions:?} instead of {:?}", case.extensions);
    }
    let is_expected = |problem: &&String| !case.warnings.iter().any(|warning| problem.contains(warning));
    let unexpected: Vec<_> = world.problems.iter().filter(is_expected).collect();
    let missing: Vec<_> = case
        .warnings
        .iter()
        .filter(|warning| !world.problems.iter().any(|problem| problem.contains(*warning)))
        .collect();
    if !missing.is_empty() || (!case.warnings.is_empty() && !unexpected.is_empty()) {
        differences += &format!("warned {:?} instead of {:?}", world.problems, case.warnings);
    }
    differences
}

fn run_all(file: &str, expected_count: usize) {
    let cases = read(file);
    assert_eq!(cases.len(), expected_count, "cases in the file");
    let failed: Vec<String> = (cases.iter())
        .map(|case| (case, run(case)))
        .filter(|(_, differences)| !differences.is_empty())
        .map(|(case, differences)| format!("{}: {differences}", case.name))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_is_collected() {
    run_all(include_str!("cases/collecting.txt"), 19);
}

#[test]
fn how_conditions_are_tested() {
    run_all(include_str!("cases/conditions.txt"), 32);
}

#[test]
fn how_regex_children_are_taken_together() {
    run_all(include_str!("cases/regex.txt"), 17);
}
