//! The lenient XML reader: what it takes, what it refuses, and where it says that something is wrong.

use config::{Document, Globals, LoadOptions, Loaded, MemoryFiles, Problems, load, parse_plain};

const ROOT: &str = "freeswitch.xml";

fn loaded(text: &str) -> Loaded {
    load(&MemoryFiles::new().with(ROOT, text), ROOT, Globals::new(), &LoadOptions::default())
}

fn told(text: &str) -> Vec<String> {
    loaded(text).problems.iter().map(|problem| format!("{} {problem}", problem.severity)).collect()
}

fn document(text: &str) -> Document {
    let loaded = loaded(text);
    assert!(loaded.document.is_some(), "{:?}", loaded.problems);
    loaded.document.expect("just seen")
}

/// The value of the root's attribute `v`.
fn value(text: &str) -> String {
    document(text).root().attribute("v").expect("an attribute v").to_owned()
}

#[test]
fn bare_signs_in_values_are_taken_and_told() {
    assert_eq!(value("<a v=\"^<sip:(.*)>$ & b &c\"/>"), "^<sip:(.*)>$ & b &c");
    assert_eq!(
        told("<a v=\"^<sip:(.*)>$ & b &c\"/>"),
        [
            "warning freeswitch.xml:1:8: a bare `<`, expected `&lt;`",
            "warning freeswitch.xml:1:20: a bare `&`, expected `&amp;`",
        ]
    );
}

#[test]
fn references_are_resolved_and_unknown_ones_kept() {
    assert_eq!(value("<a v='&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#228;'/>"), "<>&\"'ABä");
    assert_eq!(
        value("<a v='&amp;lt; &nbsp; &#0; &#xD800; &#; &#-1;'/>"),
        "&lt; &nbsp; &#0; &#xD800; &#; &#-1;"
    );
    let warning = "warning freeswitch.xml:1:8: `&nbsp;` is not known and stays as it is, \
                   expected `&amp;` for a plain `&`";
    assert_eq!(told("<a v=' &nbsp;'/>"), [warning]);
}

#[test]
fn white_space_in_a_value_becomes_blanks_unless_it_is_written_as_a_number() {
    assert_eq!(value("<a v='1\n2\t3&#10;4'/>"), "1 2 3\n4");
}

#[test]
fn character_content_is_kept_to_the_blank() {
    let text = "<a><b> </b><c>\n</c><d>1<![CDATA[<&amp;>]]>2<!-- no -->3 &amp; & 4</d><e/></a>";
    let document = document(text);
    let texts: Vec<&str> = document.root().children().iter().map(|child| child.text()).collect();
    assert_eq!(texts, [" ", "\n", "1<&amp;>23 & & 4", ""]);
}

#[test]
fn tags_may_spread_over_lines_and_signs_in_quotes_are_no_markup() {
    let document = document("<a\n  x = \"1>\"\n  y='\"/>'\n>\n<b\n/></a>");
    let root = document.root();
    assert_eq!(root.attributes().collect::<Vec<_>>(), [("x", "1>"), ("y", "\"/>")]);
    assert_eq!(root.place_of("y").to_string(), "freeswitch.xml:3:6");
    assert_eq!(root.place_of("z").to_string(), "freeswitch.xml:1:1");
    assert_eq!(root.child("b").map(|b| b.place().line), Some(5));
}

#[test]
fn the_first_of_two_equal_attributes_counts() {
    assert_eq!(value("<a v='1' v='2'/>"), "1");
    assert_eq!(
        told("<a v='1' v='2'/>"),
        ["warning freeswitch.xml:1:13: a second `v` in `<a>`: the first counts"]
    );
    assert_eq!(
        told("<a v='1'w='2'/>"),
        ["warning freeswitch.xml:1:9: no blank between two attributes, expected a blank"]
    );
}

#[test]
fn a_mismatched_tag_is_told_where_it_stands_with_the_one_it_misses() {
    let text = "<document>\n  <extension>\n    <condition>\n  </extension>\n</document>\n";
    assert_eq!(
        told(text),
        [
            "error freeswitch.xml:4:3: `</extension>` where `<condition>`, opened at freeswitch.xml:3:5, is open, \
          expected `</condition>`"
        ]
    );
    assert!(loaded(text).document.is_none());
}

#[test]
fn an_end_without_a_beginning_is_told_once() {
    assert_eq!(
        told("<a>\n</b>\n<c/></a>"),
        [
            "error freeswitch.xml:2:1: `</b>` where `<a>`, opened at freeswitch.xml:1:1, is open, expected `</a>`"
        ]
    );
    assert_eq!(told("<a/>\n </a>"), ["error freeswitch.xml:2:2: `</a>` closes nothing"]);
}

#[test]
fn what_is_not_closed_is_told_where_it_was_opened() {
    assert_eq!(
        told("<a>\n <b>\n"),
        ["error freeswitch.xml:1:1: `<a>` is not closed", "error freeswitch.xml:2:2: `<b>` is not closed"]
    );
    assert_eq!(told("<a>\n <!-- x </a>"), ["error freeswitch.xml:2:2: this comment is not closed"]);
    assert_eq!(
        told("<a>\n <![CDATA[ x </a>"),
        ["error freeswitch.xml:2:2: this CDATA section is not closed"]
    );
    assert_eq!(
        told("<a>\n <b x='1' </a>"),
        ["error freeswitch.xml:2:11: in `<b>`: another tag begins within this one, expected `>`"]
    );
    assert_eq!(told("<a>\n <b"), ["error freeswitch.xml:2:2: this tag is not closed"]);
}

#[test]
fn a_forgotten_quote_is_told_where_the_value_begins() {
    let text = "<a>\n<b data=\"x/>\n<c name=\"ok\"/>\n</a>\n";
    let errors: Vec<String> = loaded(text).problems.errors().map(|problem| problem.to_string()).collect();
    let expected = "freeswitch.xml:2:9: the value of attribute `data` in `<b>`, begun here, is not closed, \
                    expected a closing quote";
    assert_eq!(errors, [expected]);
    // The same with no further quote in the file.
    let errors: Vec<String> =
        loaded("<a>\n<b data=\"x/>\n</a>\n").problems.errors().map(|problem| problem.to_string()).collect();
    assert_eq!(errors, [expected]);
}

#[test]
fn attributes_that_are_none_are_refused() {
    assert_eq!(
        told("<a b=c/>"),
        ["error freeswitch.xml:1:6: in `<a>`: the value of attribute `b` is not quoted, expected `\"`"]
    );
    assert_eq!(
        told("<a b/>"),
        ["error freeswitch.xml:1:4: in `<a>`: attribute `b` has no value, expected `=\"…\"`"]
    );
    assert_eq!(
        told("<a \"b\"/>"),
        ["error freeswitch.xml:1:4: in `<a>`: text that is no attribute, expected `name=\"value\"`"]
    );
    assert_eq!(told("<a>1 < 2</a>").len(), 2);
}

#[test]
fn several_errors_are_told_at_once() {
    let text = "<a>\n<b c=d/>\n<e>\n</a>\n";
    let places: Vec<u32> =
        loaded(text).problems.errors().filter_map(|p| Some(p.place.as_ref()?.line)).collect();
    assert_eq!(places, [2, 4]);
}

#[test]
fn document_types_are_refused_with_all_their_entities() {
    let bomb = "<!DOCTYPE x [\n<!ENTITY a \"ha\">\n<!ENTITY b \"&a;&a;&a;\">\n]>\n<document>&b;</document>\n";
    let refused = [
        "error freeswitch.xml:1:1: a document type declaration is refused, expected none: entities are not read",
    ];
    assert_eq!(told(bomb), refused);
    assert_eq!(told("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">\n<document/>\n"), refused);
    assert_eq!(told("<!DOCTYPE x [\n<document/>\n").len(), 1);
}

#[test]
fn nothing_may_follow_the_document_but_comments() {
    assert_eq!(told("<a/>\n<b/>"), ["error freeswitch.xml:2:1: `<b>` stands after the end of the document"]);
    assert_eq!(told("<a/>\n <!-- x -->\n"), Vec::<String>::new());
    assert_eq!(told("<a/>\n x"), ["warning freeswitch.xml:2:2: text outside of the document is dropped"]);
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n\n", "<?xml version=\"1.0\"?>\n", "<!-- nothing -->"] {
        assert_eq!(
            told(text),
            ["error freeswitch.xml:1:1: no element at all, expected `<document type=\"freeswitch/xml\">`"]
        );
    }
}

#[test]
fn sections_and_configurations_are_found_by_name_the_first_counts() {
    let text = "<document>\n<section name='Configuration'>\n<configuration name='sofia.conf' n='1'/>\n\
                <configuration name='SOFIA.conf' n='2'/>\n</section>\n<section name='dialplan'/>\n\
                <section name='dialplan' n='2'/>\n<group><section name='hidden'/></group>\n</document>";
    let document = document(text);
    let n = |name| document.configuration(name).and_then(|found| found.attribute("n"));
    assert_eq!((n("sofia.conf"), n("acl.conf")), (Some("1"), None));
    assert!(document.section("DIALPLAN").is_some_and(|section| section.attribute("n").is_none()));
    assert!(document.section("hidden").is_none());
    let warnings: Vec<u32> =
        loaded(text).problems.warnings().filter_map(|p| Some(p.place.as_ref()?.line)).collect();
    assert_eq!(warnings, [7, 4]);
}

#[test]
fn byte_order_marks_before_the_document_move_no_place() {
    let text = "\u{feff}\u{feff}\u{feff}<a><b></c></a>";
    assert_eq!(
        loaded(text).problems.errors().map(|p| p.place.as_ref().map_or(0, |p| p.column)).next(),
        Some(9)
    );
}

#[test]
fn a_plain_file_is_read_without_the_preprocessor() {
    let mut problems = Problems::new();
    let text = b"<?xml version='1.0'?><document><!-- x -->\r\n<section name='$${x}'/>\r\n</document>";
    let document = parse_plain("x.xml", text, &mut problems).expect("no error");
    assert_eq!(document.root().children()[0].attribute("name"), Some("$${x}"));
    assert_eq!(document.root().children()[0].place().to_string(), "x.xml:2:1");
    assert!(problems.is_empty());
    assert!(parse_plain("x.xml", b"<document>", &mut problems).is_none());
    assert!(problems.has_errors());
}
