//! The line preprocessor, trap by trap.

use config::{Element, Globals, LoadOptions, Loaded, MemoryFiles, load};

const ROOT: &str = "freeswitch.xml";

fn loaded(files: &MemoryFiles) -> Loaded {
    load(files, ROOT, Globals::new(), &LoadOptions::default())
}

fn document(body: &str) -> MemoryFiles {
    MemoryFiles::new().with(ROOT, format!("<document>\n{body}\n</document>\n"))
}

/// All findings, one per line.
fn told(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(|problem| format!("{} {problem}", problem.severity)).collect()
}

fn root(loaded: &Loaded) -> &Element {
    loaded.document.as_ref().expect("no error was made").root()
}

/// The `v` attribute of each child.
fn values(loaded: &Loaded) -> Vec<&str> {
    root(loaded).children().iter().filter_map(|child| child.attribute("v")).collect()
}

#[test]
fn a_variable_is_visible_on_later_lines_only_and_may_build_on_earlier_ones() {
    let body = r#"<a v="[$${host}]"/>
<X-PRE-PROCESS cmd="set" data="host = sip1"/>
<X-PRE-PROCESS cmd="set" data="full=$${host}.example.test"/>
<a v="$${full}"/>"#;
    let loaded = loaded(&document(body));
    assert_eq!(values(&loaded), ["[]", "sip1.example.test"]);
    assert_eq!(loaded.globals.iter().collect::<Vec<_>>(), [("host", "sip1"), ("full", "sip1.example.test")]);
    assert_eq!(
        told(&loaded),
        ["warning freeswitch.xml:2:8: `$${host}` is not set, so nothing stands in its place"]
    );
}

#[test]
fn built_in_globals_come_from_the_caller_and_can_be_replaced() {
    let files = document("<a v=\"$${conf_dir}\"/>\n<X-PRE-PROCESS cmd=\"set\" data=\"CONF_DIR=/b\"/>");
    let globals = Globals::new().with("conf_dir", "/a");
    let loaded = load(&files, ROOT, globals, &LoadOptions::default());
    assert_eq!(values(&loaded), ["/a"]);
    assert_eq!(loaded.globals.get("conf_dir"), Some("/b"));
}

#[test]
fn a_reference_in_a_value_is_made_harmless() {
    let loaded = loaded(&document(r#"<X-PRE-PROCESS cmd="set" data="greeting=hello ${caller_id_name}"/>"#));
    assert_eq!(loaded.globals.get("greeting"), Some("hello %{caller_id_name}"));
}

#[test]
fn a_directive_takes_its_whole_line_with_it() {
    let body = "<a v=\"1\"/><X-PRE-PROCESS cmd=\"set\" data=\"x=1\"/>\n\
                <X-PRE-PROCESS cmd=\"set\" data=\"y=1\"/> <!-- why -->\n\
                <a v=\"2\"/>";
    let loaded = loaded(&document(body));
    assert_eq!(values(&loaded), ["2"]);
    let warnings = ["warning freeswitch.xml:2:11: what stands beside a directive on its line is dropped"];
    assert_eq!(told(&loaded), warnings);
}

#[test]
fn a_directive_in_a_comment_is_executed_and_told() {
    let body = "<!-- off:\n<X-PRE-PROCESS cmd=\"set\" data=\"x=1\"/>\n-->\n\
                <!-- <X-PRE-PROCESS cmd=\"set\" data=\"y=2\"/> -->";
    let loaded = loaded(&document(body));
    assert_eq!((loaded.globals.get("x"), loaded.globals.get("y")), (Some("1"), Some("2")));
    let what = "this directive stands in a comment and is executed all the same";
    let expected =
        [format!("warning freeswitch.xml:3:1: {what}"), format!("warning freeswitch.xml:5:6: {what}")];
    assert_eq!(told(&loaded), expected);
}

#[test]
fn a_directive_is_switched_off_by_a_letter_before_its_name() {
    let loaded = loaded(&document("<XX-PRE-PROCESS cmd=\"set\" data=\"x=1\"/>\n<a v=\"1\"/>"));
    assert_eq!(loaded.globals.get("x"), None);
    assert_eq!(values(&loaded), ["1"]);
    assert_eq!(told(&loaded), Vec::<String>::new());
}

#[test]
fn directives_that_do_nothing_are_told() {
    let body = "<X-PRE-PROCESS data=\"x=1\" cmd=\"set\"/>\n<X-PRE-PROCESS cmd=\"set\" data=\"x\"/>\n\
                <X-PRE-PROCESS cmd=\"inclde\" data=\"x.xml\"/>\n<X-PRE-PROCESS cmd=\"env-set\" data=\"x=HOME\"/>";
    assert_eq!(
        told(&loaded(&document(body))),
        [
            "warning freeswitch.xml:2:1: a directive that does nothing; all of its line is dropped, \
             expected cmd=\"…\" and then data=\"…\"",
            "warning freeswitch.xml:3:1: `x` sets nothing, expected `name=value`",
            "warning freeswitch.xml:4:1: unknown directive `inclde`, expected `include`",
            "warning freeswitch.xml:5:1: `env-set` without `$` sets nothing, expected `NAME=$NAME`",
        ]
    );
}

#[test]
fn lines_with_a_wrapper_or_a_declaration_are_dropped_whole() {
    let files = MemoryFiles::new()
        .with(ROOT, "<?xml version=\"1.0\"?>\n<document>\n<X-PRE-PROCESS cmd=\"include\" data=\"x.xml\"/>\n</document>")
        .with("x.xml", "<include>\n<a v=\"1\"/>\n<include><a v=\"2\"/>\n</include> <a v=\"3\"/>\n</include>");
    let loaded = loaded(&files);
    assert_eq!(values(&loaded), ["1"]);
    let lost = |word: &str| format!("a line with `{word}` is dropped, and with it what else stands on it");
    let warnings = [
        format!("warning x.xml:3:1: {}", lost("<include>")),
        format!("warning x.xml:4:1: {}", lost("</include>")),
    ];
    assert_eq!(told(&loaded), warnings);
}

#[test]
fn the_old_comment_form_sets_and_includes_and_leaves_the_rest_of_its_line() {
    let files = document(
        "<a v=\"1\"/><!--#set \"old=style\"--><a v=\"2\"/>\n<!--#include \"x.xml\"-->\n\
         <!--#comment first\n<a v=\"no\"/>\nlast --><a v=\"$${old}\"/>",
    )
    .with("x.xml", "<a v=\"included\"/>\n");
    let loaded = loaded(&files);
    assert_eq!(values(&loaded), ["1", "2", "included", "style"]);
    assert_eq!(told(&loaded), Vec::<String>::new());
    let last = root(&loaded).children().last().expect("four children").place().to_string();
    assert_eq!(last, "freeswitch.xml:6:9");
}

#[test]
fn includes_are_relative_to_the_including_file_sorted_and_expanded() {
    let include = |pattern: &str| format!("<X-PRE-PROCESS cmd=\"include\" data=\"{pattern}\"/>\n");
    let files = MemoryFiles::new()
        .with("/c/freeswitch.xml", format!("<document>\n{}</document>", include("dialplan/*.xml")))
        .with("/c/dialplan/20_b.xml", format!("<include>\n{}</include>", include("b/*.xml")))
        .with("/c/dialplan/10_a.xml", "<a v=\"a\"/>")
        .with("/c/dialplan/.hidden.xml", "<a v=\"hidden\"/>")
        .with("/c/dialplan/b/1.xml", "\u{feff}<a v=\"b1\"/>\r\n")
        .with("/c/dialplan/b/2.xml", include("../../vars.xml"))
        .with("/c/vars.xml", "\n  <a v=\"vars\"/>\n");
    let loaded = load(&files, "/c/freeswitch.xml", Globals::new(), &LoadOptions::default());
    assert_eq!(values(&loaded), ["a", "b1", "vars"]);
    let places: Vec<String> =
        root(&loaded).children().iter().map(|child| child.place().to_string()).collect();
    assert_eq!(places, ["/c/dialplan/10_a.xml:1:1", "/c/dialplan/b/1.xml:1:1", "/c/vars.xml:2:3"]);
}

#[test]
fn a_pattern_may_match_nothing_but_a_named_file_must_exist() {
    let body = "<X-PRE-PROCESS cmd=\"include\" data=\"none/*.xml\"/>";
    assert_eq!(told(&loaded(&document(body))), Vec::<String>::new());
    let body = "<a/>\n  <X-PRE-PROCESS cmd=\"include\" data=\"none.xml\"/>";
    let loaded = loaded(&document(body));
    assert_eq!(told(&loaded), ["error freeswitch.xml:3:3: `none.xml` does not exist"]);
    assert!(loaded.document.is_none());
}

#[test]
fn a_missing_root_is_an_error() {
    assert_eq!(
        told(&loaded(&MemoryFiles::new())),
        ["error freeswitch.xml:1:1: `freeswitch.xml` cannot be read: no such file"]
    );
}

#[test]
fn columns_after_a_replacement_are_those_of_the_file() {
    let body = "<X-PRE-PROCESS cmd=\"set\" data=\"x=a long value\"/>\n<a v=\"$${x}\"><b c=\"1\"/></a>";
    let loaded = loaded(&document(body));
    let child = &root(&loaded).children()[0];
    assert_eq!(child.attribute("v"), Some("a long value"));
    assert_eq!(child.place_of("v").to_string(), "freeswitch.xml:3:7");
    assert_eq!(child.children()[0].place().to_string(), "freeswitch.xml:3:14");
    assert_eq!(child.children()[0].place_of("c").to_string(), "freeswitch.xml:3:20");
}

#[test]
fn a_replaced_value_can_be_markup() {
    let body = "<X-PRE-PROCESS cmd=\"set\" data=\"more=<a v='1'/><a v='2'/>\"/>\n$${more}";
    let loaded = loaded(&document(body));
    assert_eq!(values(&loaded), ["1", "2"]);
    assert_eq!(root(&loaded).children()[1].place().to_string(), "freeswitch.xml:3:1");
}

#[test]
fn the_environment_sets_a_variable_behind_a_dollar() {
    let body = "<X-PRE-PROCESS cmd=\"env-set\" data=\"home=$HOME_OF_TEST\"/>\n\
                <X-PRE-PROCESS cmd=\"env-set\" data=\"none=$NONE\"/>";
    let loaded = loaded(&document(body).with_environment("HOME_OF_TEST", "/h"));
    assert_eq!((loaded.globals.get("home"), loaded.globals.get("none")), (Some("/h"), None));
    assert_eq!(told(&loaded), ["warning freeswitch.xml:3:1: the environment has no `NONE`"]);
}

#[test]
fn commands_run_only_where_allowed() {
    let files = document(
        "<X-PRE-PROCESS cmd=\"exec-set\" data=\"host=hostname -f\"/>\n<X-PRE-PROCESS cmd=\"exec\" data=\"list\"/>",
    )
    .with_output("hostname -f", "sbc1\n\n")
    .with_output("list", "<a v=\"1\"/>\n<a v=\"$${host}\"/>\n");
    let refused = loaded(&files);
    assert_eq!((refused.globals.get("host"), refused.problems.warnings().count()), (None, 2));
    let options = LoadOptions { allow_exec: true, ..LoadOptions::default() };
    let loaded = load(&files, ROOT, Globals::new(), &options);
    assert_eq!(loaded.globals.get("host"), Some("sbc1"));
    // Output is inserted as it is: it is not preprocessed.
    assert_eq!(values(&loaded), ["1", "$${host}"]);
    assert_eq!(root(&loaded).children()[1].place().to_string(), "freeswitch.xml:3:1");
}

#[test]
fn a_stun_server_is_replaced_by_the_address_of_the_default_route() {
    let files = document("<X-PRE-PROCESS cmd=\"stun-set\" data=\"ext=stun.example.test\"/>");
    let options =
        LoadOptions { default_route_address: Some("192.0.2.7".to_owned()), ..LoadOptions::default() };
    let loaded = load(&files, ROOT, Globals::new().with("local_ip_v4", "10.0.0.1"), &options);
    assert_eq!(loaded.globals.get("ext"), Some("192.0.2.7"));
    assert_eq!(loaded.problems.warnings().count(), 1);
    let loaded = load(&files, ROOT, Globals::new().with("local_ip_v4", "10.0.0.1"), &LoadOptions::default());
    assert_eq!(loaded.globals.get("ext"), Some("10.0.0.1"));
}

#[test]
fn latin_1_bytes_are_read_and_told_once_per_file() {
    let mut bytes = b"<document>\n<a v=\"caf\xe9 \xfc\"/>\n<a v=\"\xe4\"/>\n<a v=\"".to_vec();
    bytes.extend("ü\"/></document>".as_bytes());
    let loaded = loaded(&MemoryFiles::new().with(ROOT, bytes));
    assert_eq!(values(&loaded), ["café ü", "ä", "ü"]);
    assert_eq!(
        told(&loaded),
        ["warning freeswitch.xml:2:10: a byte that is not UTF-8 is read as latin-1, expected UTF-8"]
    );
}

#[test]
fn a_file_of_another_encoding_is_refused() {
    let bytes: Vec<u8> = "<document/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let loaded = loaded(&MemoryFiles::new().with(ROOT, bytes));
    assert_eq!(told(&loaded), ["error freeswitch.xml:1:2: a NUL byte: this is no text file, or UTF-16"]);
}
