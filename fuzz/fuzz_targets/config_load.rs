//! Loads a configuration whose files are the parts of the input between form feeds: the first is the root,
//! the others stand in `x/`. It is either refused with places or read, never both or neither.
#![no_main]

use config::{Globals, LoadOptions, MemoryFiles, Settings, load, parse_plain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut files = MemoryFiles::new().with_environment("HOME", "/home");
    for (index, part) in data.split(|byte| *byte == 0x0c).enumerate() {
        let path = if index == 0 { "freeswitch.xml".to_owned() } else { format!("x/{index}.xml") };
        files.insert(path, part);
    }
    // Low limits, so that the fuzzer spends its time on forms and not on sizes.
    let options = LoadOptions {
        expanded_bytes_max: 64 * 1024,
        include_files_max: 64,
        default_route_address: Some("192.0.2.1".to_owned()),
        ..LoadOptions::default()
    };
    let loaded = load(&files, "freeswitch.xml", Globals::new().with("local_ip_v4", "192.0.2.1"), &options);
    assert_eq!(loaded.document.is_none(), loaded.problems.has_errors());
    assert!(loaded.problems.iter().all(|problem| problem.place.is_some() && !problem.to_string().is_empty()));
    if let Some(document) = &loaded.document {
        for element in document.root().children() {
            let mut settings = Settings::new(element);
            settings.number("number", 1_u32, 0..=9);
            settings.boolean("boolean", true);
            settings.finish(&mut config::Problems::new());
        }
    }
    let mut problems = config::Problems::new();
    let document = parse_plain("plain.xml", data, &mut problems);
    assert_eq!(document.is_none(), problems.has_errors());
});
