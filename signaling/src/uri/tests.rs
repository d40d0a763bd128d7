//! Behaviours of [`Uri`](super::Uri).

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_part_is_found() {
    let u = uri("sips:alice:secret@gw1.example.net:5071;transport=tcp;lr?Subject=x&Priority=urgent");
    assert_eq!(u.scheme, Scheme::Sips);
    assert_eq!((u.user, u.password), (Some("alice"), Some("secret")));
    assert_eq!((u.host.as_str(), u.port), ("gw1.example.net", Some(5071)));
    assert_eq!((u.param("Transport"), u.param("lr"), u.param("maddr")), (Some("tcp"), Some(""), None));
    assert_eq!(u.headers, Some("Subject=x&Priority=urgent"));
    assert_eq!(u.host_port(), "gw1.example.net:5071");
}

#[test]
fn a_user_part_may_hold_what_looks_like_parameters_and_headers() {
    let u = uri("sip:a;b=c%40d?/,*:p&w=d@example.com;x=y");
    assert_eq!((u.user, u.password), (Some("a;b=c%40d?/,*"), Some("p&w=d")));
    assert_eq!(u.user_without_params(), Some("a"));
    assert_eq!(u.params.as_str(), ";x=y");
    assert_eq!(uri("sip:*21#@10.0.0.1").user, Some("*21#"));
}

#[test]
fn escapes_are_undone_once_and_never_cut() {
    assert_eq!(uri("sip:%61%2541@h").user_unescaped().as_deref(), Some("a%41"));
    assert_eq!(uri("sip:null-%00-null@h").user_unescaped().as_deref(), Some("null-\0-null"));
    assert_eq!(uri("sip:%ff@h").user_unescaped().as_deref(), Some("%ff"));
    assert_eq!(encode_user("a b%\r\n@ü#"), "a%20b%25%0D%0A%40%C3%BC%23");
    assert_eq!(encode_user("+4930;x=y"), "+4930;x=y");
}

#[test]
fn ipv6_references_keep_their_colons() {
    let u = uri("sip:[2001:db8::10:5070]");
    assert_eq!((u.host.as_str(), u.port), ("[2001:db8::10:5070]", None));
    assert_eq!(u.address(), "2001:db8::10:5070".parse().ok());
    let u = uri("sip:bob@[::ffff:192.0.2.2]:5070;user=phone");
    assert_eq!((u.address(), u.port), ("::ffff:192.0.2.2".parse().ok(), Some(5070)));
    assert_eq!(u.host_port(), "[::ffff:192.0.2.2]:5070");
}

#[test]
fn tel_uris_have_a_number_and_parameters() {
    let u = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!((u.scheme, u.user), (Scheme::Tel, Some("+1-201-555-0123")));
    assert_eq!(u.param("phone-context"), Some("example.com"));
    assert_eq!(u.host.as_str(), "");
}

#[test]
fn unknown_schemes_are_kept_whole() {
    for text in ["isbn:2983792873", "soap.beep://192.0.2.103:3002", "urn:service:sos", "http://x/%zz"] {
        assert_eq!((uri(text).scheme, uri(text).as_str()), (Scheme::Other, text));
    }
}

#[test]
fn what_is_ambiguous_is_refused() {
    for (text, error) in [
        ("", UriError::Scheme),
        ("alan@example.com", UriError::Scheme),
        (":x", UriError::Scheme),
        ("sip:", UriError::Host),
        ("sip:@h", UriError::User),
        ("sip:a@b@c", UriError::User),
        ("sip:a@", UriError::Host),
        ("sip:a@h:", UriError::Port),
        ("sip:a@h:65536", UriError::Port),
        ("sip:a@h:+80", UriError::Port),
        ("sip:2001:db8::10", UriError::Port),
        ("sip:a@[2001:db8:::192.0.2.1]", UriError::Host),
        ("sip:a@[::1", UriError::Host),
        ("sip:a@[::1]x", UriError::Host),
        ("sip:a@h;", UriError::Params),
        ("sip:a@h;;lr", UriError::Params),
        ("sip:a%4@h", UriError::Escape),
        ("sip:a%zz@h", UriError::Escape),
        ("sip:a@h; lr", UriError::Character),
        ("<sip:a@h>", UriError::Character),
        ("sip:a\r\n@h", UriError::Character),
        ("tel:", UriError::User),
    ] {
        assert_eq!(Uri::parse(text), Err(error), "{text}");
    }
    assert_eq!(Uri::parse(&format!("sip:{}@h", "a".repeat(URI_BYTES_MAX))), Err(UriError::TooLong));
}
