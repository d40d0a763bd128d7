//! Hunting case by case.

use config::{Globals, LoadOptions, MemoryFiles, Problems};

use super::*;
use crate::compile::CompileOptions;
use crate::scope::Scope;
use crate::testing::Call;
use crate::text::Text;

/// Compiles what stands in section `dialplan`, and what there was to say about it.
fn compiled(section: &str, options: &CompileOptions<'_>) -> (Arc<Dialplan>, Vec<String>) {
    let xml = format!("<document><section name=\"dialplan\">\n{section}\n</section></document>");
    let files = MemoryFiles::new().with("f.xml", xml);
    let document = config::load(&files, "f.xml", Globals::new(), &LoadOptions::default()).document.unwrap();
    let mut problems = Problems::new();
    let dialplan = Dialplan::compile(document.section("dialplan").unwrap(), options, &mut problems);
    (Arc::new(dialplan), problems.iter().map(ToString::to_string).collect())
}

fn dialplan(section: &str) -> Arc<Dialplan> {
    compiled(section, &CompileOptions::default()).0
}

fn in_context(extensions: &str) -> Arc<Dialplan> {
    dialplan(&format!("<context name=\"c\">{extensions}</context>"))
}

fn call() -> Call {
    Call::new().with_field("destination_number", Text::network("100"))
}

/// Hunts without answers from outside.
fn hunted(dialplan: &Arc<Dialplan>, context: &str, call: &mut Call) -> (Option<ActionList>, HuntReport) {
    let mut hunt = Hunt::new(Arc::clone(dialplan), context, "100");
    loop {
        match hunt.step(call) {
            HuntStep::Done(list) => return (list, hunt.report()),
            HuntStep::Ask(_) => hunt.answer(None),
            HuntStep::RunInline(_) => hunt.inline_done(),
        }
    }
}

fn data(list: Option<ActionList>) -> Vec<String> {
    list.map_or_else(Vec::new, |list| list.actions.iter().map(|action| action.data.to_string()).collect())
}

#[test]
fn contexts_are_found_without_case_and_only_the_first_of_a_name() {
    let always = |text: &str| {
        format!("<extension><condition><action application=\"log\" data=\"{text}\"/></condition></extension>")
    };
    let section = format!(
        "<context name=\"Main\">{}</context><context name=\"MAIN\">{}</context><context name=\"any\">{}</context><context>{}</context>",
        always("first"),
        always("second"),
        always("any"),
        always("nameless")
    );
    let (plan, problems) = compiled(&section, &CompileOptions::default());
    assert_eq!(data(hunted(&plan, "mAIN", &mut call()).0), ["first"]);
    let (list, report) = hunted(&plan, "other", &mut call());
    assert!(list.is_none() && !report.has_context);
    assert!(plan.has_context("ANY") && !plan.has_context("global"));
    assert_eq!(plan.context_names().collect::<Vec<_>>(), ["Main", "any"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("f.xml:2:") && problems[0].contains("`MAIN` is never used"),
        "{}",
        problems[0]
    );
    let plan = dialplan(&format!("<context name=\"Global\">{}</context>", always("fallback")));
    assert_eq!(data(hunted(&plan, "other", &mut call()).0), ["fallback"]);
}

#[test]
fn the_list_bears_the_name_of_the_extension_of_its_first_action() {
    let name = |extensions: &str| hunted(&in_context(extensions), "c", &mut call()).0.unwrap().extension_name;
    let action = "<action application=\"log\"/>";
    assert_eq!(
        name(&format!(
            "<extension name=\"a\" continue=\"true\"><condition>{action}</condition></extension><extension name=\"b\"><condition>{action}</condition></extension>"
        )),
        "a"
    );
    assert_eq!(
        name(&format!(
            "<extension name=\"a\"><condition><condition><condition>{action}</condition></condition></condition></extension>"
        )),
        "a_recur_2"
    );
    assert_eq!(name(&format!("<extension><condition>{action}</condition></extension>")), "_anon_");
}

#[test]
fn an_action_knows_its_place() {
    let plan =
        in_context("<extension>\n<condition>\n  <action application=\"log\"/></condition></extension>");
    let list = hunted(&plan, "c", &mut call()).0.unwrap();
    assert_eq!(list.actions[0].place.as_ref().map(ToString::to_string).as_deref(), Some("f.xml:4:3"));
}

#[test]
fn a_hunt_waits_for_functions_in_field_and_expression_and_for_inline_actions() {
    let plan = in_context(
        "<extension><condition field=\"${hash(select/a)}\" expression=\"^${db(select/b)}(.*)$\">\
         <action application=\"set\" data=\"x=$1\" inline=\"true\"/><action application=\"log\" data=\"${x}\"/></condition></extension>",
    );
    let mut call = call();
    let mut hunt = Hunt::new(plan, "c", "100");
    let ask = |name: &str, arguments: &str| {
        HuntStep::Ask(ApiCall { name: name.to_owned(), arguments: Text::trusted(arguments) })
    };
    assert_eq!(hunt.step(&mut call), ask("hash", "select/a"));
    assert_eq!(hunt.step(&mut call), ask("hash", "select/a"), "it waits");
    hunt.answer(Some(Text::network("49,30")));
    assert_eq!(hunt.step(&mut call), ask("db", "select/b"));
    hunt.answer(Some(Text::trusted("49")));
    let HuntStep::RunInline(action) = hunt.step(&mut call) else { panic!("the inline action comes") };
    assert_eq!(format!("{:?}", action.data), "\"x=‹,30›\"");
    hunt.inline_done();
    let HuntStep::Done(Some(list)) = hunt.step(&mut call) else { panic!("the list comes") };
    assert_eq!(list.actions.len(), 1);
    assert_eq!(call.element("DP_MATCH", 1), Some(Text::network(",30")));
    assert_eq!(hunt.step(&mut call), HuntStep::Done(None), "there is nothing more");
}

#[test]
fn an_inline_action_without_word_from_the_caller_is_taken_as_refused() {
    let plan = in_context(
        "<extension><condition><action application=\"set\" inline=\"true\"/><action application=\"log\" data=\"x\"/></condition></extension>",
    );
    let mut call = call();
    let mut hunt = Hunt::new(plan, "c", "100");
    assert!(matches!(hunt.step(&mut call), HuntStep::RunInline(_)));
    let HuntStep::Done(list) = hunt.step(&mut call) else { panic!("it goes on") };
    assert_eq!(data(list), ["x"]);
}

#[test]
fn searches_that_hit_a_limit_match_nothing_and_are_counted() {
    let plan = in_context(
        "<extension><condition field=\"ani\" expression=\"^(a+)+$\" break=\"never\"><anti-action application=\"log\" data=\"no\"/></condition>\
         <condition field=\"ani\" expression=\"${bad}\" break=\"never\"/></extension>",
    );
    let mut call = call().with_field("ani", Text::network("a".repeat(3_000) + "!")).with("bad", "(");
    let (list, report) = hunted(&plan, "c", &mut call);
    assert_eq!(data(list), ["no"]);
    assert_eq!((report.limits_hit, report.bad_patterns, report.extensions), (1, 1, 1));
}

#[test]
fn conditions_below_the_hundredth_level_fail_and_are_told() {
    let nested = |levels: usize| {
        let inner = "<action application=\"log\" data=\"x\"/>";
        format!(
            "<extension>{}{inner}{}</extension>",
            "<condition>".repeat(levels),
            "</condition>".repeat(levels)
        )
    };
    assert_eq!(data(hunted(&in_context(&nested(101)), "c", &mut call()).0), ["x"]);
    let (plan, problems) =
        compiled(&format!("<context name=\"c\">{}</context>", nested(102)), &CompileOptions::default());
    assert_eq!(hunted(&plan, "c", &mut call()).0, None);
    assert!(problems[0].contains("conditions below the hundredth level"), "{problems:?}");
}

#[test]
fn ten_thousand_extensions_are_looked_through() {
    let extension = |index: usize| {
        format!(
            "<extension name=\"{index}\"><condition field=\"destination_number\" expression=\"^{index}0$\"><action application=\"log\" data=\"{index}\"/></condition></extension>"
        )
    };
    let extensions: String = (10_000..20_000).map(extension).collect();
    let (list, report) = hunted(&in_context(&extensions), "c", &mut call());
    assert_eq!((list, report.extensions), (None, 10_000));
}

#[test]
fn a_loop_is_bounded() {
    let plan = in_context(
        "<extension><condition><action application=\"log\" loop=\"2000000000\"/></condition></extension>",
    );
    assert_eq!(data(hunted(&plan, "c", &mut call()).0).len(), 1_000);
}

#[test]
fn a_full_list_takes_no_more_actions() {
    let condition = "<condition><action application=\"log\" loop=\"1000\"/></condition>".repeat(101);
    let (list, report) =
        hunted(&in_context(&format!("<extension>{condition}</extension>")), "c", &mut call());
    assert_eq!((data(list).len(), report.dropped), (ACTIONS_MAX, 1_000));
}

#[test]
fn unknown_applications_are_told_with_what_was_meant() {
    let options = CompileOptions {
        applications: Some(&["answer", "bridge", "set"]),
        inline_applications: Some(&["set"]),
    };
    let section = "<context name=\"c\"><extension nmae=\"x\"><condition>\
         <action application=\"Bridge\"/><action application=\"brigde\" dta=\"x\"/><action application=\"frobnicate\"/>\
         <action application=\"answer\" inline=\"true\"/><action data=\"x\"/></condition><anti-action application=\"set\"/></extension></context>";
    let problems = compiled(section, &options).1;
    let told: Vec<&str> =
        problems.iter().map(|problem| problem.splitn(4, ':').nth(3).unwrap().trim()).collect();
    assert_eq!(
        told,
        [
            "`nmae` is no attribute of <extension> and has no effect, expected perhaps `name`",
            "<anti-action> has no effect in <extension>",
            "`dta` is no attribute of <action> and has no effect, expected perhaps `data`",
            "there is no application `brigde`, expected perhaps `bridge`",
            "there is no application `frobnicate`",
            "`answer` may not run inline: it is neither run nor queued",
            "an action without attribute `application`",
        ]
    );
    assert!(problems[3].starts_with("f.xml:2:"), "{}", problems[3]);
}

#[test]
fn a_trace_tells_what_was_tried() {
    let plan = in_context(
        "<extension name=\"a\"><condition field=\"destination_number\" expression=\"^9\"/></extension>\
         <extension name=\"b\"><condition hour=\"10\" break=\"never\"/><condition field=\"${destination_number}\" expression=\"^${one}(00)$\">\
         <action application=\"log\" data=\"$1\"/><action application=\"log\" data=\"it\\'s\"/></condition><condition/></extension>",
    );
    let mut call = call().with("one", "1");
    let mut hunt = Hunt::new(plan, "C", "100").with_trace();
    assert!(matches!(hunt.step(&mut call), HuntStep::Done(Some(_))));
    let lines: Vec<String> = hunt.trace().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "c -> a",
            "Regex (FAIL) destination_number(100) =~ /^9/ break=on-false",
            "a did not match",
            "c -> b",
            "Date/Time Match (PASS) break=never",
            "Regex (PASS) ${destination_number}(100) =~ /^1(00)$/ break=on-false",
            "action log(00)",
            "action log(it\\'s)",
            "dropped log",
            "Absolute Condition",
            "b matched",
        ]
    );
}

#[test]
fn auto_hunt_may_be_global() {
    let plan = in_context(
        "<extension name=\"a\"><condition><action application=\"log\" data=\"a\"/></condition></extension>\
         <extension name=\"100\"><condition><action application=\"log\" data=\"named\"/></condition></extension>",
    );
    let mut call = call().with_global("auto_hunt", "true");
    assert_eq!(data(hunted(&plan, "c", &mut call).0), ["named"]);
    let mut call = call.with("auto_hunt", "false");
    assert_eq!(data(hunted(&plan, "c", &mut call).0), ["a"]);
}
