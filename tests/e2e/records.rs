//! Call detail records: one row per leg, written as they are meant to be read.

use crate::conf::Conf;
use crate::sipp::Run;
use crate::site::Site;
use crate::switch::Switch;

const CALLER_NAME: usize = 0;
const CALLER_NUMBER: usize = 1;
const DESTINATION: usize = 2;
const CONTEXT: usize = 3;
const ANSWER_STAMP: usize = 5;
const BILLSEC: usize = 8;
const CAUSE: usize = 9;
const UUID: usize = 10;
const OTHER_UUID: usize = 11;

/// The fields of a row of quoted fields in which a quote is doubled (RFC 4180 §2).
pub fn fields(row: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = row.chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is always a field");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[test]
fn a_bridged_call_leaves_one_row_per_leg() {
    let site = Site::new("records");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let conf = Conf::new(&site).extension("100", &[("bridge", &bridge)]);
    let switch = Switch::start(&site, &conf);
    let callee = Run::of("callee_talks").with("ring_ms", 100).answer(&site, site.callee());
    let display = r#"A \"quoted\", name"#;
    Run::of("caller_talks")
        .with("talk_ms", 1200)
        .with("display", display)
        .call(&site, site.caller())
        .succeed();
    callee.succeed();

    let rows = switch.await_records(2);
    let caller = rows.iter().find(|row| row[DESTINATION] == "100").expect("the caller's row");
    let callee = rows.iter().find(|row| row[DESTINATION] != "100").expect("the callee's row");
    assert_eq!(caller[CALLER_NAME], r#"A "quoted", name"#);
    assert_eq!(caller[CALLER_NUMBER], "90");
    assert_eq!(caller[CONTEXT], "transit");
    for row in [caller, callee] {
        assert_eq!(row[CAUSE], "NORMAL_CLEARING");
        assert!(!row[ANSWER_STAMP].is_empty(), "{row:?}");
        assert!(["1", "2"].contains(&row[BILLSEC].as_str()), "{row:?}");
    }
    assert_ne!(caller[UUID], callee[UUID]);
    assert_eq!(caller[OTHER_UUID], callee[UUID]);
    switch.stop();
}

#[test]
fn a_refused_call_is_recorded_with_its_cause_and_no_answer() {
    let site = Site::new("records-refused");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let conf = Conf::new(&site).extension("100", &[("bridge", &bridge)]);
    let switch = Switch::start(&site, &conf);
    let callee =
        Run::of("callee_refuses").with("status", 486).with("phrase", "Busy Here").with("header", "X-Test: 1");
    let callee = callee.answer(&site, site.callee());
    Run::of("caller_refused")
        .with("status", 486)
        .with("expected", "cause=17")
        .call(&site, site.caller())
        .succeed();
    callee.succeed();

    for row in switch.await_records(2) {
        assert_eq!(row[CAUSE], "USER_BUSY");
        assert_eq!((row[ANSWER_STAMP].as_str(), row[BILLSEC].as_str()), ("", "0"));
    }
    switch.stop();
}

#[test]
fn fields_are_read_with_doubled_quotes() {
    assert_eq!(fields(r#""a ""b"", c","","d""#), [r#"a "b", c"#, "", "d"]);
}
