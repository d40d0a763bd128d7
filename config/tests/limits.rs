//! Configurations that must be refused before they cost much, and damaged ones that must not do harm.

use config::limits::{
    ELEMENT_DEPTH_MAX, FILE_BYTES_MAX, GLOBAL_VALUE_BYTES_MAX, INCLUDE_FILES_MAX, NODES_MAX,
};
use config::{Element, Globals, LoadOptions, Loaded, MemoryFiles, load};

const ROOT: &str = "freeswitch.xml";

fn loaded(files: &MemoryFiles) -> Loaded {
    load(files, ROOT, Globals::new(), &LoadOptions::default())
}

/// The errors of a load that must be refused.
fn refused(files: &MemoryFiles) -> Vec<String> {
    let loaded = loaded(files);
    assert!(loaded.document.is_none());
    loaded.problems.errors().map(|problem| problem.to_string()).collect()
}

fn include(pattern: &str) -> String {
    format!("<X-PRE-PROCESS cmd=\"include\" data=\"{pattern}\"/>\n")
}

#[test]
fn a_file_that_includes_itself_is_refused_however_it_is_spelled() {
    let files = MemoryFiles::new()
        .with(ROOT, format!("<document>\n{}</document>", include("x/../a.xml")))
        .with("a.xml", format!("\n{}", include("./b.xml")))
        .with("b.xml", include("*.xml"));
    let errors = refused(&files);
    assert_eq!(errors[0], "b.xml:1:1: `a.xml` includes itself: freeswitch.xml → a.xml → b.xml → a.xml");
    assert_eq!(errors.len(), 3, "a, b and the root each include themselves: {errors:?}");
}

#[test]
fn a_file_may_be_included_twice_side_by_side() {
    let files = MemoryFiles::new()
        .with(ROOT, format!("<document>\n{}{}</document>", include("a.xml"), include("a.xml")))
        .with("a.xml", "<a/>");
    let children = loaded(&files).document.map(|document| document.root().children().len());
    assert_eq!(children, Some(2));
}

#[test]
fn includes_deeper_than_the_limit_are_refused() {
    let chain = |length: usize| {
        let mut files = MemoryFiles::new().with(ROOT, format!("<document>\n{}</document>", include("1.xml")));
        for number in 1..length {
            files.insert(format!("{number}.xml"), include(&format!("{}.xml", number + 1)));
        }
        files.with(format!("{length}.xml"), "<a/>")
    };
    assert!(loaded(&chain(100)).document.is_some());
    assert_eq!(refused(&chain(101)), ["100.xml:1:1: includes are nested deeper than 100"]);
}

#[test]
fn ten_thousand_includes_are_refused() {
    let mut files = MemoryFiles::new().with(ROOT, format!("<document>\n{}</document>", include("d/*.xml")));
    (0..10_000).for_each(|number| files.insert(format!("d/{number}.xml"), "<a/>"));
    assert_eq!(
        refused(&files),
        [format!("freeswitch.xml:2:1: more than {INCLUDE_FILES_MAX} files are included")]
    );
}

#[test]
fn includes_that_double_at_each_level_are_refused() {
    let mut files = MemoryFiles::new().with(ROOT, format!("<document>\n{}</document>", include("0.xml")));
    files.insert("40.xml", "<a/>");
    for level in 0..40 {
        files.insert(format!("{level}.xml"), include(&format!("{}.xml", level + 1)).repeat(2));
    }
    assert_eq!(refused(&files).len(), 1);
}

#[test]
fn a_file_that_is_too_long_is_refused_at_its_include() {
    let files = MemoryFiles::new()
        .with(ROOT, format!("<document>\n{}</document>", include("big.xml")))
        .with("big.xml", vec![b' '; FILE_BYTES_MAX + 1]);
    assert_eq!(
        refused(&files),
        [format!("freeswitch.xml:2:1: `big.xml` is longer than {FILE_BYTES_MAX} bytes")]
    );
}

#[test]
fn files_that_are_too_long_together_are_refused() {
    let mut files = MemoryFiles::new().with(ROOT, format!("<document>\n{}</document>", include("d/*")));
    (0..3).for_each(|number| files.insert(format!("d/{number}"), vec![b' '; FILE_BYTES_MAX]));
    assert_eq!(refused(&files).len(), 1);
}

#[test]
fn a_variable_that_doubles_is_refused() {
    let mut text = "<document>\n<X-PRE-PROCESS cmd=\"set\" data=\"a=xxxxxxxxxxxxxxxx\"/>\n".to_owned();
    text.push_str(&"<X-PRE-PROCESS cmd=\"set\" data=\"a=$${a}$${a}\"/>\n".repeat(40));
    let errors = refused(&MemoryFiles::new().with(ROOT, text));
    assert_eq!(
        errors,
        [format!("freeswitch.xml:15:1: the value of `a` is longer than {GLOBAL_VALUE_BYTES_MAX} bytes")]
    );
}

#[test]
fn text_that_grows_by_replacement_is_refused() {
    let value = "x".repeat(GLOBAL_VALUE_BYTES_MAX);
    let text = format!("<document>\n{}\n</document>", "$${a}\n".repeat(1_000));
    let files = MemoryFiles::new().with(ROOT, text);
    let loaded = load(&files, ROOT, Globals::new().with("a", &value), &LoadOptions::default());
    let errors: Vec<String> = loaded.problems.errors().map(|problem| problem.to_string()).collect();
    assert_eq!(errors, ["freeswitch.xml:257:1: the configuration is too long after replacing `$${}`"]);
}

#[test]
fn references_and_lines_without_number_are_refused() {
    assert_eq!(refused(&MemoryFiles::new().with(ROOT, "$${a}".repeat(100_000))).len(), 1);
    assert_eq!(
        refused(&MemoryFiles::new().with(ROOT, format!("<a>{}</a>", "x\n".repeat(2_000_000)))).len(),
        1
    );
}

#[test]
fn elements_deeper_than_the_limit_are_refused() {
    let nested = |depth: usize| format!("{}{}", "<a>\n".repeat(depth), "</a>\n".repeat(depth));
    let files = MemoryFiles::new().with(ROOT, nested(ELEMENT_DEPTH_MAX));
    assert!(loaded(&files).document.is_some());
    let line = ELEMENT_DEPTH_MAX + 1;
    assert_eq!(
        refused(&MemoryFiles::new().with(ROOT, nested(500_000))),
        [format!("freeswitch.xml:{line}:1: elements are nested deeper than {ELEMENT_DEPTH_MAX}")]
    );
}

#[test]
fn elements_and_attributes_without_number_are_refused() {
    let errors = refused(&MemoryFiles::new().with(ROOT, format!("<a>{}</a>", "<b/>".repeat(NODES_MAX))));
    assert!(errors[0].ends_with(&format!("more than {NODES_MAX} elements and attributes")), "{errors:?}");
    let attributes: String = (0..300).map(|number| format!(" a{number}=''")).collect();
    assert_eq!(refused(&MemoryFiles::new().with(ROOT, format!("<a{attributes}/>"))).len(), 1);
}

#[test]
fn limits_can_be_lowered_and_not_raised() {
    let files = MemoryFiles::new().with(ROOT, "<document/>");
    let low = LoadOptions { file_bytes_max: 10, ..LoadOptions::default() };
    assert!(load(&files, ROOT, Globals::new(), &low).document.is_none());
    let files = MemoryFiles::new().with(ROOT, vec![b' '; FILE_BYTES_MAX + 1]);
    let high = LoadOptions { file_bytes_max: usize::MAX, ..LoadOptions::default() };
    assert!(load(&files, ROOT, Globals::new(), &high).document.is_none());
}

/// Every place lies in one of the files, within its lines.
fn check_places(element: &Element, lines: u32) {
    let place = element.place();
    assert!(place.line >= 1 && place.line <= lines && place.column >= 1, "{place}");
    element.children().iter().for_each(|child| check_places(child, lines));
}

/// A damaged configuration is refused with a reason or read; nothing else happens.
#[test]
fn damage_of_any_kind_is_refused_with_a_place_or_read() {
    const SEED: u64 = 0x5eed_0c0f_f1e5;
    let whole: &[u8] = b"<?xml version=\"1.0\"?>\n<document type=\"freeswitch/xml\">\n  <!-- note -->\n\
        <X-PRE-PROCESS cmd=\"set\" data=\"a=b${c}\"/>\n<X-PRE-PROCESS cmd=\"include\" data=\"x/*.xml\"/>\n\
        <!--#set \"old=1\"-->\n<section name=\"dialplan\"><context name=\"$${a}\">\n<extension name='x &amp; y' continue=\"a<b\">\n\
        <![CDATA[ <x> ]]>text &#228; \xc3\xa9 \xe9\n</extension></context></section>\n</document>\n";
    let parts: [&[u8]; 14] = [
        b"<",
        b">",
        b"\"",
        b"'",
        b"&",
        b"$${",
        b"}",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"<!--#",
        b"\n",
        b"</",
        b"\xff",
    ];
    let mut state = SEED;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % limit.max(1)
    };
    for round in 0..20_000 {
        let mut text = whole.to_vec();
        for _ in 0..=below(4) {
            let at = below(text.len());
            let end = (at + below(12)).min(text.len());
            match below(3) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, parts[below(parts.len())].iter().copied())),
                _ => text.truncate(end.max(1)),
            }
        }
        let lines = u32::try_from(text.iter().filter(|byte| **byte == b'\n').count() + 1).expect("few lines");
        let files =
            MemoryFiles::new().with(ROOT, text).with("x/y.xml", "<include>\n<y z=\"1\"/>\n</include>\n");
        let loaded = load(&files, ROOT, Globals::new(), &LoadOptions::default());
        assert_eq!(
            loaded.document.is_none(),
            loaded.problems.has_errors(),
            "round {round} of seed {SEED:#x}"
        );
        assert!(
            loaded.problems.iter().all(|problem| problem.place.is_some()),
            "round {round} of seed {SEED:#x}"
        );
        if let Some(document) = loaded.document {
            check_places(document.root(), lines.max(3));
        }
    }
}
