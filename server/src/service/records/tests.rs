//! Records of made-up legs, written to real files.

use std::fs;
use std::path::Path;

use switch::{Cause, Uuid, Variables};

use super::*;
use crate::testing::Directory;

fn leg(uuid: &str, originator: bool, originatee: bool, variables: &[(&str, &str)]) -> Arc<Record> {
    let mut all = Variables::default();
    all.set_str("uuid", uuid);
    all.set_str("hangup_cause", "NORMAL_CLEARING");
    for (name, value) in variables {
        all.set(name, Text::network(*value));
    }
    Arc::new(Record {
        uuid: Uuid::from_text(uuid),
        inbound: !originator,
        has_originator: originator,
        has_originatee: originatee,
        cause: Cause::NORMAL_CLEARING,
        variables: all,
    })
}

fn settings(directory: &Directory, legs: Legs) -> RecordSettings {
    RecordSettings {
        directory: directory.join("cdr-csv").into(),
        legs,
        default_template: Template::parse(r#""${uuid}","${caller_id_name}""#),
        templates: BTreeMap::from([("1000".to_owned(), Template::parse("mine ${uuid}"))]),
        rotate_on_hup: true,
        master_file_only: false,
    }
}

fn write(settings: RecordSettings, records: &[Arc<Record>]) {
    let mut writer = Records::start(Some(settings)).expect("starts");
    records.iter().for_each(|record| writer.record(Arc::clone(record)));
    let counters = Arc::clone(&writer.counters);
    writer.finish();
    assert_eq!(counters.rows_lost.load(Ordering::Relaxed), 0);
}

#[test]
fn each_leg_is_one_row_in_order_with_quotes_doubled() {
    let directory = Directory::new("rows");
    let records = [leg("a", false, true, &[("caller_id_name", "say \"hi\"\n")]), leg("b", true, false, &[])];
    write(settings(&directory, Legs::Both), &records);
    assert_eq!(directory.read("cdr-csv/Master.csv"), "\"a\",\"say \"\"hi\"\" \"\n\"b\",\"\"\n");
}

#[test]
fn legs_and_the_legs_own_variables_choose_the_rows() {
    let records = [
        leg("called", true, false, &[]),
        leg("caller", false, true, &[]),
        leg("alone", false, false, &[]),
        leg("none", false, false, &[("process_cdr", "false")]),
        leg("a_only", true, false, &[("process_cdr", "a_only")]),
        leg("b_only", true, false, &[("process_cdr", "b_only")]),
        leg("skipped", false, false, &[("skip_cdr_causes", "USER_BUSY|normal_clearing")]),
        leg("misspelt", false, false, &[("skip_cdr_causes", "NORMAL_CLEARNIG")]),
    ];
    for (legs, expected) in [
        (Legs::A, vec!["caller", "alone", "misspelt"]),
        (Legs::B, vec!["called", "alone", "b_only", "misspelt"]),
        (Legs::Both, vec!["called", "caller", "alone", "b_only", "misspelt"]),
    ] {
        let directory = Directory::new("legs");
        write(settings(&directory, legs), &records);
        let rows = directory.read("cdr-csv/Master.csv");
        let uuids: Vec<&str> = rows.lines().filter_map(|row| row.split('"').nth(1)).collect();
        assert_eq!(uuids, expected, "{legs:?}");
    }
}

#[test]
fn an_account_code_has_a_file_of_its_own_but_never_outside_the_directory() {
    let directory = Directory::new("account");
    let codes = ["1000", "acme", "../evil", "/etc/x", "", ".hidden", "master"];
    let records: Vec<_> = codes.map(|code| leg(code, false, false, &[("accountcode", code)])).into();
    write(settings(&directory, Legs::A), &records);
    let mut files: Vec<String> = fs::read_dir(directory.join("cdr-csv"))
        .expect("was made")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    files.sort();
    assert_eq!(files, ["1000.csv", "Master.csv", "acme.csv"]);
    assert_eq!(directory.read("cdr-csv/1000.csv"), "mine 1000\n");
    assert_eq!(directory.read("cdr-csv/acme.csv"), "\"acme\",\"\"\n");
    assert_eq!(directory.read("cdr-csv/Master.csv").lines().count(), codes.len());
}

#[test]
fn rows_wait_while_the_disk_refuses_them_and_follow_when_it_takes_them() {
    let directory = Directory::new("refuses");
    // A file where the directory should be.
    directory.write("cdr-csv", "");
    let counters = Arc::new(RecordCounters::default());
    let mut writer = Writer::new(Some(settings(&directory, Legs::A)), Arc::clone(&counters));
    for uuid in ["a", "b"] {
        writer.render(&leg(uuid, false, false, &[]));
        writer.write();
    }
    assert_eq!(counters.rows_waiting.load(Ordering::Relaxed), 2);
    assert!(writer.refused_at.is_some());
    fs::remove_file(directory.join("cdr-csv")).expect("removes");
    writer.render(&leg("c", false, false, &[]));
    writer.write();
    assert_eq!(counters.rows_waiting.load(Ordering::Relaxed), 0);
    assert_eq!(counters.rows_written.load(Ordering::Relaxed), 3);
    assert_eq!(directory.read("cdr-csv/Master.csv"), "\"a\",\"\"\n\"b\",\"\"\n\"c\",\"\"\n");
    assert_eq!((writer.waiting_rows, writer.waiting_len), (0, 0));
}

#[test]
fn rotating_renames_files_where_that_is_wanted_and_new_settings_hold_from_then_on() {
    let directory = Directory::new("hup");
    let mut writer = Records::start(Some(settings(&directory, Legs::A))).expect("starts");
    writer.record(leg("before", false, false, &[]));
    writer.rotate();
    writer.record(leg("after", false, false, &[]));
    let plain = RecordSettings { rotate_on_hup: false, ..settings(&directory, Legs::A) };
    writer.configure(Some(plain));
    writer.rotate();
    writer.configure(None);
    writer.record(leg("unwanted", false, false, &[]));
    writer.finish();
    assert_eq!(directory.read("cdr-csv/Master.csv"), "\"after\",\"\"\n");
    let entries = fs::read_dir(directory.join("cdr-csv")).expect("there");
    let rotated = entries.flatten().map(|entry| entry.path()).find(|path| !path.ends_with("Master.csv"));
    let rotated = rotated.expect("renamed");
    assert!(rotated.to_string_lossy().contains("Master.csv.2"), "{rotated:?}");
    assert_eq!(fs::read_to_string(Path::new(&rotated)).expect("readable"), "\"before\",\"\"\n");
}

#[test]
fn more_rows_than_may_wait_are_lost_and_counted() {
    let directory = Directory::new("overload");
    let counters = Arc::new(RecordCounters::default());
    let mut writer = Writer::new(Some(settings(&directory, Legs::A)), Arc::clone(&counters));
    writer.waiting_rows = ROWS_WAITING_MAX - 1;
    for uuid in ["a", "b"] {
        writer.render(&leg(uuid, false, false, &[]));
    }
    assert_eq!(counters.rows_lost.load(Ordering::Relaxed), 1);
    assert_eq!(writer.waiting.len(), 1);
}
