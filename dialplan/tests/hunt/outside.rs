//! Cases kept outside the repository: lists of contexts, calls and what is expected of them, as JSON. Skipped unless
//! `DIALPLAN_CASES` or `DIALPLAN_EXAMPLES` names a file.

use crate::world::World;
use clock::Wall;
use config::MemoryFiles;
use dialplan::Text;
use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

fn read(variable: &str) -> Option<Value> {
    let path = std::env::var(variable).ok()?;
    let file = std::fs::read(&path).expect("the variable names a file");
    Some(serde_json::from_slice(&file).expect("the file holds JSON"))
}

fn prepare(world: &mut World, call: &Value) {
    for name in ["caller_id_name", "caller_id_number", "network_addr"] {
        world.set_field(name, text(call, name));
    }
    for name in ["privacy_hide_number", "privacy_hide_name"] {
        world.fields.insert(name.to_owned(), Text::trusted("false"));
    }
    for (name, value) in call["variables"].as_object().into_iter().flatten() {
        world.set_variable(name, Text::trusted(value.as_str().unwrap_or_default()));
    }
}

#[test]
fn hunt_cases_from_outside() {
    let Some(cases) = read("DIALPLAN_CASES") else { return };
    let mut failed = Vec::new();
    let cases = cases.as_array().expect("the file holds a list");
    for case in cases {
        let xml = format!(
            "<document type=\"freeswitch/xml\"><section name=\"dialplan\"><context name=\"test\">\n{}\n</context></section></document>",
            text(case, "context_xml")
        );
        let mut world = World::new(&MemoryFiles::new().with("freeswitch.xml", xml)).expect("the case loads");
        prepare(&mut world, case);
        let has_route = world.run("test", text(case, "destination"));
        let executed = if has_route { world.executed } else { vec!["<NO ROUTE>".to_owned()] };
        if executed != strings(&case["expected"]) {
            failed.push(format!(
                "{}: {executed:?}, expected {:?}",
                text(case, "id"),
                strings(&case["expected"])
            ));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn examples_from_outside() {
    let Some(examples) = read("DIALPLAN_EXAMPLES") else { return };
    let (mut failed, mut skipped, mut passed) = (Vec::new(), Vec::new(), 0);
    for example in examples["examples"].as_array().expect("the file holds examples") {
        let name = text(example, "name");
        let mut files = MemoryFiles::new().with_environment("ACCEPT_ENV", "from-environment");
        for (path, content) in example["files"].as_object().expect("an example has files") {
            files.insert(path.as_str(), content.as_str().unwrap_or_default());
        }
        let Some(mut world) = World::new(&files) else {
            if example["refused"].is_null() && example["may_refuse"].is_null() {
                failed.push(format!("{name}: refused"));
            }
            continue;
        };
        let inputs = &example["inputs"];
        prepare(&mut world, inputs);
        if let Ok(at) = text(inputs, "at").parse::<jiff::civil::DateTime>() {
            let instant = at.to_zoned(jiff::tz::TimeZone::UTC).expect("a time in UTC").timestamp();
            world.now = Wall::from_micros(instant.as_microsecond());
        }
        world.run(text(inputs, "context"), text(inputs, "number"));
        let mut differences = Vec::new();
        let accepted =
            std::iter::once(&example["expected"]).chain(example["also"].as_array().into_iter().flatten());
        for expected in accepted {
            differences.push(compare(&world, expected, &example["compared"], &example["expected"]));
        }
        if differences.iter().any(String::is_empty) {
            passed += 1;
        } else if world.unanswered.is_empty() {
            failed.push(format!("{name}:\n{}", differences[0]));
        } else {
            skipped.push(format!("{name}: {:?}", world.unanswered));
        }
    }
    println!("{passed} passed\nskipped for functions of other rooms:\n{}", skipped.join("\n"));
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

fn compare(world: &World, expected: &Value, compared: &Value, standard: &Value) -> String {
    let mut differences = String::new();
    let field = |name: &str| if expected[name].is_null() { &standard[name] } else { &expected[name] };
    let calls = |name: &str| -> Vec<String> {
        let list = field(name).as_array().into_iter().flatten();
        list.map(|item| format!("{}({})", text(item, "application"), text(item, "data"))).collect()
    };
    let mut differ = |name: &str, is: &dyn std::fmt::Debug, should: &dyn std::fmt::Debug| {
        if format!("{is:?}") != format!("{should:?}") {
            differences += &format!("  {name}: {is:?}\n   should: {should:?}\n");
        }
    };
    for name in strings(compared) {
        match name.as_str() {
            "extensions" => {
                let list = field("extensions").as_array().into_iter().flatten();
                let should: Vec<_> = list
                    .map(|item| (text(item, "name").to_owned(), item["matched"] == Value::Bool(true)))
                    .collect();
                differ("extensions", &world.extensions, &should);
            }
            "actions" => differ("actions", &world.collected, &calls("actions")),
            "executed" => {
                let is: Vec<_> = world.executed.iter().filter(|line| !line.starts_with("I:")).collect();
                differ("executed", &is, &calls("executed"));
            }
            "variables" => {
                for (name, value) in field("variables").as_object().into_iter().flatten() {
                    differ(name, &world.printed(name), &value.as_str());
                }
            }
            _ => {}
        }
    }
    differences
}
