//! `crosspoint-perf`: what it says is true, and its exit status tells.

use std::process::Command;

use serde_json::Value;

use crate::conf::Conf;
use crate::sipp::Run;
use crate::site::Site;
use crate::switch::{Switch, binary};

/// Runs the harness; its exit status, its report and what it printed.
fn measure(site: &Site, target: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let file = site.directory().join("report.json");
    let local = site.caller().ip().to_string();
    let mut command = Command::new(binary("crosspoint-perf"));
    command.args(["run", "--target", target, "--local", &local, "--answer", &site.callee().to_string()]);
    let output = command.args(more).arg("--json").arg(&file).output().expect("crosspoint-perf runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let report = std::fs::read(&file).ok().and_then(|json| serde_json::from_slice(&json).ok());
    (output.status.code(), report.unwrap_or(Value::Null), said.into_owned())
}

#[test]
fn a_run_against_itself_is_clean() {
    let site = Site::new("perf-itself");
    let target = format!("sip:{}", site.callee());
    let (status, report, said) =
        measure(&site, &target, &["--wait", "0s", "--calls", "10", "--rate", "50", "--hold", "500ms"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(report["calls"]["completed"], 10);
    for direction in ["to_callee", "to_caller"] {
        assert_eq!(report[direction]["received"], 250, "{said}");
        assert_eq!(report[direction]["delay"]["count"], 250);
    }
}

#[test]
fn a_hundred_calls_through_the_switch_are_clean() {
    let site = Site::new("perf-switch");
    let bridge = format!("sofia/transit/200@{}", site.callee());
    let switch = Switch::start(&site, &Conf::new(&site).extension("100", &[("bridge", &bridge)]));
    let target = format!("sip:100@{}", site.switch());
    let pid = switch.pid().to_string();
    let (status, report, said) = measure(&site, &target, &["--hold", "2s", "--pid", &pid]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(report["calls"]["completed"], 100);
    assert_eq!(report["to_callee"]["received"], 10_000);
    assert!(report["target"]["cpu_ns"].as_u64().is_some_and(|cpu_ns| cpu_ns > 0), "{said}");
    switch.stop();
}

#[test]
fn refused_calls_are_counted_by_status_and_fail_the_run() {
    let site = Site::new("perf-refused");
    let callee =
        Run::of("callee_refuses").with("status", 486).with("phrase", "Busy Here").with("header", "X-Test: 1");
    let callee = callee.calls(5, 20).answer(&site, site.other_callee());
    let target = format!("sip:{}", site.other_callee());
    let (status, report, said) = measure(&site, &target, &["--wait", "0s", "--calls", "5", "--hold", "1s"]);
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(report["calls"]["failures"]["486"], 5);
    assert_eq!(report["calls"]["answered"], 0);
    assert!(said.contains("5 calls failed"), "{said}");
    callee.succeed();
}

#[test]
fn what_cannot_be_measured_is_said_and_exits_with_2() {
    let site = Site::new("perf-absent");
    let target = format!("sip:{}", site.switch());
    let (status, report, said) = measure(&site, &target, &["--wait", "300ms"]);
    assert_eq!((status, report), (Some(2), Value::Null));
    assert!(said.contains("did not answer OPTIONS"), "{said}");
    let (status, _, said) = measure(&site, "nowhere", &[]);
    assert_eq!(status, Some(2));
    assert!(said.contains("expected sip:"), "{said}");
}
