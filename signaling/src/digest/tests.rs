//! Behaviours of Digest, with the examples of RFC 2617 §3.5 and RFC 7616 §3.9.1.

use super::*;
use crate::testing::Random;

const MUFASA: Secret<'_> = Secret { username: "Mufasa", key: Key::Password("Circle of Life") };

fn challenge(value: &str) -> Challenge {
    Challenge::parse(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

#[test]
fn the_example_of_rfc_7616_comes_out_for_both_algorithms() {
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let asked = challenge(&format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        ));
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let secret = Secret { username: "Mufasa", key: Key::Password("Circle of Life") };
        let proof = asked.answer(secret, "GET", "/dir/index.html", 1, cnonce);
        assert_eq!(proof.response, response);
        assert_eq!(Credentials::parse(&proof.to_string()).as_ref(), Ok(&proof));
        assert!(proof.verify(secret, "GET"));
        assert!(
            proof
                .to_string()
                .contains("qop=auth, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", nc=00000001")
        );
    }
}

#[test]
fn the_example_of_rfc_2617_comes_out() {
    let asked = challenge(
        "Digest realm=\"testrealm@host.com\",qop=\"auth,auth-int\",nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let secret = Secret { username: "Mufasa", key: Key::Password("Circle Of Life") };
    let proof = asked.answer(secret, "GET", "/dir/index.html", 1, "0a4f113b");
    assert_eq!(proof.response, "6629fae49393a05397450978507c4ef1");
}

#[test]
fn without_qop_the_old_form_is_used() {
    let asked = challenge("Digest realm=\"r\", nonce=\"n\"");
    let proof = asked.answer(MUFASA, "REGISTER", "sip:r", 1, "unused");
    assert_eq!(proof.qop_auth, None);
    assert!(!proof.to_string().contains("nc="));
    assert!(proof.verify(MUFASA, "REGISTER"));
}

#[test]
fn a_stored_hash_serves_as_well_as_the_password() {
    let asked = challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=sha-512-256");
    let proof = asked.answer(MUFASA, "INVITE", "sip:x", 2, "c");
    let ha1 = Algorithm::Sha512_256.ha1("Mufasa", "r", "Circle of Life");
    assert!(proof.verify(Secret { username: "Mufasa", key: Key::Ha1(&ha1.to_uppercase()) }, "INVITE"));
}

#[test]
fn a_proof_is_wrong_when_anything_in_it_is() {
    let asked = challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth\"");
    let proof = asked.answer(MUFASA, "INVITE", "sip:x", 1, "c");
    assert!(proof.verify(MUFASA, "INVITE"));
    assert!(!proof.verify(MUFASA, "BYE"));
    assert!(!proof.verify(Secret { username: "Mufasa", key: Key::Password("circle of life") }, "INVITE"));
    assert!(!proof.verify(Secret { username: "Scar", ..MUFASA }, "INVITE"));
    let counted = Some(Counted { cnonce: "c".to_owned(), nc: 2 });
    for wrong in [
        Credentials { uri: "sip:y".to_owned(), ..proof.clone() },
        Credentials { nonce: "m".to_owned(), ..proof.clone() },
        Credentials { realm: "s".to_owned(), ..proof.clone() },
        Credentials { username: "Scar".to_owned(), ..proof.clone() },
        Credentials { qop_auth: counted, ..proof.clone() },
        Credentials { qop_auth: None, ..proof.clone() },
        Credentials { algorithm: Algorithm::Sha256, ..proof.clone() },
        Credentials { response: proof.response[1..].to_owned(), ..proof.clone() },
        Credentials { response: String::new(), ..proof.clone() },
    ] {
        assert!(!wrong.verify(MUFASA, "INVITE"), "{wrong}");
    }
}

#[test]
fn the_first_challenge_that_we_can_answer_is_taken() {
    let values = [
        "Bearer realm=\"x\"",
        "Digest realm=\"r\", nonce=\"1\", algorithm=MD5-sess",
        "Digest realm=\"r\", nonce=\"2\", qop=\"auth-int\"",
        "Digest realm=\"r\", nonce=\"3\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"4\", algorithm=MD5",
    ];
    assert_eq!(Challenge::choose(values).map(|challenge| challenge.nonce), Ok("3".to_owned()));
    assert_eq!(Challenge::choose(values[1..3].iter().copied()), Err(DigestError::Algorithm));
    assert_eq!(Challenge::choose([]), Err(DigestError::Missing("challenge")));
}

#[test]
fn quotes_in_names_survive_printing() {
    let asked = Challenge {
        realm: "a\"b\\".to_owned(),
        nonce: "n".to_owned(),
        opaque: Some(String::new()),
        algorithm: Algorithm::Sha256,
        qop_auth: true,
        stale: true,
    };
    assert_eq!(challenge(&asked.to_string()), asked);
    let evil = Secret { username: "u\r\nVia: x", key: Key::Password("") };
    assert!(!asked.answer(evil, "INVITE", "sip:x", 1, "c").to_string().contains(['\r', '\n']));
    assert!(!format!("{MUFASA:?}").contains("Circle"));
}

#[test]
fn broken_values_are_refused_by_name() {
    for (value, error) in [
        ("", DigestError::Scheme),
        ("NoOneKnowsThisScheme opaque-data=here", DigestError::Scheme),
        ("Digestion username=\"a\"", DigestError::Scheme),
        ("Digest", DigestError::Missing("username")),
        ("Digest username", DigestError::Parameter),
        ("Digest =x", DigestError::Parameter),
        ("Digest username=\"a", DigestError::Parameter),
        ("Digest username=\"a\"b", DigestError::Parameter),
        ("Digest username=", DigestError::Parameter),
        (
            "Digest username=\"\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"x\"",
            DigestError::Missing("username"),
        ),
        ("Digest username=\"a\", USERNAME=\"b\"", DigestError::Repeated),
        ("Digest username=\"a\", nonce=\"n\", uri=\"u\", response=\"x\"", DigestError::Missing("realm")),
    ] {
        assert_eq!(Credentials::parse(value), Err(error), "{value}");
    }
    let with = |more: &str| {
        Credentials::parse(&format!("Digest username=a, realm=r, nonce=n, uri=sip:u;x=y, response=x{more}"))
    };
    assert_eq!(with("").map(|credentials| credentials.uri), Ok("sip:u;x=y".to_owned()));
    assert_eq!(with(", algorithm=\"AKAv1-MD5\""), Err(DigestError::Algorithm));
    assert_eq!(with(", qop=auth-int, nc=00000001, cnonce=c"), Err(DigestError::Qop));
    assert_eq!(with(", qop=auth, cnonce=c"), Err(DigestError::Missing("nc")));
    assert_eq!(with(", qop=auth, nc=1, cnonce=c"), Err(DigestError::Malformed("nc")));
    assert_eq!(with(", qop=auth, nc=+0000001, cnonce=c"), Err(DigestError::Malformed("nc")));
    assert_eq!(with(", qop=auth, nc=00000001"), Err(DigestError::Missing("cnonce")));
    assert_eq!(with(&format!(", x={}", "y".repeat(VALUE_BYTES_MAX))), Err(DigestError::TooLong));
}

#[test]
fn mutations_print_to_what_parses_the_same() {
    let asked = challenge("Digest realm=\"r\", nonce=\"n\", opaque=\"o\", qop=\"auth\"");
    let proof = asked.answer(MUFASA, "INVITE", "sip:x", 1, "c").to_string();
    let pieces = [",", "=", "\"", "\\", " ", "é", "qop=auth", "Digest ", "\t", "nc=00000001", ";", "<", ">"];
    let (mut random, mut taken, mut refused) = (Random::new(1), 0, 0);
    for round in 0..20_000 {
        let bytes = random.mutated(proof.as_bytes(), &pieces);
        let text = String::from_utf8_lossy(&bytes);
        match Credentials::parse(&text) {
            Ok(credentials) => {
                taken += 1;
                let printed = credentials.to_string();
                if !printed.contains(['\r', '\n', '\0']) && !text.contains(['\r', '\n', '\0']) {
                    assert_eq!(Credentials::parse(&printed), Ok(credentials), "round {round}: {text}");
                }
            }
            Err(_) => refused += 1,
        }
        drop(Challenge::parse(&text));
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}
