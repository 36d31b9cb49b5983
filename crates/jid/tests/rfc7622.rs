//! The tables of RFC 7622 §3.5, row by row, and what the text around them asks for.

use waxwing_jid::{
    BareJid, Jid, JidError, Part, Reason, prepare_domain, prepare_local, prepare_password,
    prepare_resource,
};

/// (row and its note, the address, local, domain, resource)
type Legal = (&'static str, &'static str, Option<&'static str>, &'static str, Option<&'static str>);

const LEGAL: &[Legal] = &[
    ("1: A \"bare JID\"", "juliet@example.com", Some("juliet"), "example.com", None),
    ("2: A \"full JID\"", "juliet@example.com/foo", Some("juliet"), "example.com", Some("foo")),
    (
        "3: Single space in resourcepart",
        "juliet@example.com/foo bar",
        Some("juliet"),
        "example.com",
        Some("foo bar"),
    ),
    (
        "4: \"At\" sign in resourcepart",
        "juliet@example.com/foo@bar",
        Some("juliet"),
        "example.com",
        Some("foo@bar"),
    ),
    (
        "5: Single space in localpart, as optionally escaped using XEP-0106",
        "foo\\20bar@example.com",
        Some("foo\\20bar"),
        "example.com",
        None,
    ),
    ("6: Another bare JID", "fussball@example.com", Some("fussball"), "example.com", None),
    (
        "7: The third character is LATIN SMALL LETTER SHARP S (U+00DF)",
        "fu\u{DF}ball@example.com",
        Some("fu\u{DF}ball"),
        "example.com",
        None,
    ),
    (
        "8: A localpart of GREEK SMALL LETTER PI (U+03C0)",
        "\u{3C0}@example.com",
        Some("\u{3C0}"),
        "example.com",
        None,
    ),
    (
        "9: A localpart of GREEK CAPITAL LETTER SIGMA (U+03A3)",
        "\u{3A3}@example.com/foo",
        Some("\u{3C3}"),
        "example.com",
        Some("foo"),
    ),
    (
        "10: A localpart of GREEK SMALL LETTER SIGMA (U+03C3)",
        "\u{3C3}@example.com/foo",
        Some("\u{3C3}"),
        "example.com",
        Some("foo"),
    ),
    (
        "11: A localpart of GREEK SMALL LETTER FINAL SIGMA (U+03C2)",
        "\u{3C2}@example.com/foo",
        Some("\u{3C2}"),
        "example.com",
        Some("foo"),
    ),
    (
        "12: A resourcepart of the Unicode character BLACK CHESS KING (U+265A)",
        "king@example.com/\u{265A}",
        Some("king"),
        "example.com",
        Some("\u{265A}"),
    ),
    ("13: A domainpart", "example.com", None, "example.com", None),
    (
        "14: A domainpart and resourcepart",
        "example.com/foobar",
        None,
        "example.com",
        Some("foobar"),
    ),
    (
        "15: A domainpart followed by a resourcepart that contains an \"at\" sign",
        "a.example.com/b@example.net",
        None,
        "a.example.com",
        Some("b@example.net"),
    ),
];

const ILLEGAL: &[(&str, &str, JidError)] = &[
    (
        "16: Quotation marks (U+0022) in localpart",
        "\"juliet\"@example.com",
        JidError::Invalid(Part::Local, Reason::Character('"')),
    ),
    (
        "17: Space (U+0020) in localpart",
        "foo bar@example.com",
        JidError::Invalid(Part::Local, Reason::Character(' ')),
    ),
    ("19: Zero-length localpart and resourcepart", "@example.com/", JidError::Empty(Part::Local)),
    (
        "20: The sixth character is ROMAN NUMERAL FOUR (U+2163)",
        "henry\u{2163}@example.com",
        JidError::Invalid(Part::Local, Reason::Character('\u{2163}')),
    ),
    (
        "21: A localpart of BLACK CHESS KING (U+265A)",
        "\u{265A}@example.com",
        JidError::Invalid(Part::Local, Reason::Character('\u{265A}')),
    ),
    ("22: A localpart without domainpart", "juliet@", JidError::Empty(Part::Domain)),
    ("23: A resourcepart without domainpart", "/foobar", JidError::Empty(Part::Domain)),
];

#[test]
fn legal_addresses_of_table_1() {
    for (row, text, local, domain, resource) in LEGAL {
        let jid = Jid::new(text).unwrap_or_else(|error| panic!("row {row}: {error}"));
        assert_eq!(jid.local(), *local, "row {row}");
        assert_eq!(jid.domain(), *domain, "row {row}");
        assert_eq!(jid.resource(), *resource, "row {row}");
    }
}

#[test]
fn illegal_addresses_of_table_2() {
    for (row, text, error) in ILLEGAL {
        assert_eq!(Jid::new(text), Err(*error), "row {row}");
    }
}

/// Row 18 of table 2 is `<juliet@example.com/ foo>`, "Leading space in resourcepart". No rule
/// of §3.4 or of OpaqueString (RFC 8265 §4.2) forbids that space, and RFC 8265 keeps spaces
/// deliberately; refusing the address would cut off peers that follow the rules. Rules win
/// over the example.
#[test]
fn row_18_is_accepted_as_the_rules_say() {
    assert_eq!(Jid::new("juliet@example.com/ foo").unwrap().resource(), Some(" foo"));
}

/// RFC 7622 §3.5 on rows 6 and 7: they "appear in many contexts to be equivalent" and are not.
#[test]
fn sharp_s_stays_itself() {
    assert_ne!(Jid::new("fussball@example.com"), Jid::new("fu\u{DF}ball@example.com"));
}

#[test]
fn local_parts() {
    for (text, prepared) in [
        ("Juliet", "juliet"),
        ("\u{FF2A}uliet", "juliet"),       // full-width J
        ("caf\u{65}\u{301}", "caf\u{E9}"), // decomposed é
        ("\u{410}\u{43D}\u{43D}\u{430}", "\u{430}\u{43D}\u{43D}\u{430}"),
        ("a.b+c=d#e", "a.b+c=d#e"),
        ("1234", "1234"),
    ] {
        assert_eq!(prepare_local(text).as_deref(), Ok(prepared), "{text}");
    }
    for c in ['"', '&', '\'', '/', ':', '<', '>', '@'] {
        let error = JidError::Invalid(Part::Local, Reason::Character(c));
        assert_eq!(prepare_local(&format!("a{c}b")), Err(error));
    }
    // Full-width @ and / turn into the excluded characters by the width mapping.
    for (wide, c) in [("a\u{FF20}b", '@'), ("a\u{FF0F}b", '/')] {
        let error = JidError::Invalid(Part::Local, Reason::Character(c));
        assert_eq!(prepare_local(wide), Err(error));
    }
    for text in ["a\u{0}", "a\u{7F}", "a\u{200B}b", "\u{5D0}a", "a\u{A0}b", "\u{FB01}"] {
        assert!(prepare_local(text).is_err(), "{text:?}");
    }
}

#[test]
fn domains() {
    for (text, prepared) in [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("xn--mnchen-3ya.de", "m\u{FC}nchen.de"),
        ("XN--mnchen-3YA.de", "m\u{FC}nchen.de"),
        ("M\u{DC}NCHEN.de", "m\u{FC}nchen.de"),
        ("mu\u{308}nchen.de", "m\u{FC}nchen.de"),
        ("fa\u{DF}.de", "fa\u{DF}.de"),
        ("example\u{3002}com\u{3002}", "example.com"),
        ("r3---sn.example", "r3---sn.example"),
    ] {
        assert_eq!(prepare_domain(text).as_deref(), Ok(prepared), "{text}");
    }
    let long_label = format!("{}.com", "a".repeat(64));
    let long_unicode = format!("{}.de", "\u{FC}".repeat(63));
    for text in [
        "",
        ".",
        "a..b",
        ".a",
        "a..",
        "-a.com",
        "a-.com",
        "a_b.com",
        "a b.com",
        "example.com:5222",
        "[::1",
        "[]",
        "[::g]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "::1",
        "a@b",
        "user@a.com",
        "xn--a",
        "xn--\u{FC}",
        "a\u{2100}b.com",
        "a\u{FF0F}b.com",
        "a\u{FF20}b.com",
        "\u{265A}\0.de",
        &long_label,
        &long_unicode,
    ] {
        assert!(prepare_domain(text).is_err(), "{text:?}");
    }
}

#[test]
fn resources_and_passwords() {
    for (text, prepared) in [
        ("Foo  Bar ", "Foo  Bar "),
        ("a\u{A0}b\u{3000}c", "a b c"),
        ("e\u{301}", "\u{E9}"),
        ("\u{FF2A}", "\u{FF2A}"), // no width mapping
        ("\u{2163}", "\u{2163}"),
        ("/@/", "/@/"),
        ("\u{1F98A}", "\u{1F98A}"), // FOX FACE of Unicode 9.0
        ("e\u{301} \u{1F98A}\u{1F98A} \u{A0}x", "\u{E9} \u{1F98A}\u{1F98A}  x"),
    ] {
        assert_eq!(prepare_resource(text).as_deref(), Ok(prepared), "{text}");
        assert_eq!(prepare_password(text).as_deref(), Ok(prepared), "{text}");
    }
    for text in ["", "a\tb", "a\u{0}", "\u{7F}", "\u{FEFF}", "\u{FDD0}", "\u{1F98A}\u{0}"] {
        assert!(prepare_resource(text).is_err(), "{text:?}");
        assert!(prepare_password(text).is_err(), "{text:?}");
    }
}

/// RFC 7622 §3.3.1, §3.4.1 and §3.2: at most 1023 octets, "enforced after any mapping or
/// normalization".
#[test]
fn lengths() {
    let label = "a".repeat(63);
    let domain = format!("{}.{}", [label.as_str(); 15].join("."), "b".repeat(63));
    assert_eq!(domain.len(), 1023);
    let (fits, over) = ("x".repeat(1023), "x".repeat(1024));
    let longest = Jid::new(&format!("{fits}@{domain}/{fits}")).unwrap();
    assert_eq!(longest.local(), Some(fits.as_str()));
    assert_eq!(longest.domain(), domain);
    assert_eq!(longest.resource(), Some(fits.as_str()));
    assert_eq!(longest.with_resource(&fits).unwrap(), longest);

    assert_eq!(prepare_local(&over), Err(JidError::TooLong(Part::Local)));
    assert_eq!(prepare_resource(&over), Err(JidError::TooLong(Part::Resource)));
    assert_eq!(prepare_password(&over), Err(JidError::TooLong(Part::Password)));
    assert_eq!(prepare_domain(&format!("{domain}.c")), Err(JidError::TooLong(Part::Domain)));
    let wide = "\u{FF58}".repeat(1023);
    assert_eq!(prepare_local(&wide).as_deref(), Ok(fits.as_str()));
    assert_eq!(prepare_local(&"\u{FF58}".repeat(1024)), Err(JidError::TooLong(Part::Local)));
    assert_eq!(prepare_resource(&"\u{E9}".repeat(512)), Err(JidError::TooLong(Part::Resource)));
}

#[test]
fn parts_cannot_smuggle_parts() {
    assert!(BareJid::from_parts(Some("romeo@evil.example"), "example.com").is_err());
    assert!(BareJid::from_parts(Some("romeo/x"), "example.com").is_err());
    assert!(BareJid::from_parts(Some("romeo"), "example.com/x").is_err());
    assert!(BareJid::from_parts(Some(""), "example.com").is_err());
    let bare = BareJid::from_parts(Some("Romeo"), "EXAMPLE.com").unwrap();
    assert_eq!(bare.as_str(), "romeo@example.com");
}

#[test]
fn bare_and_full() {
    let full = Jid::new("Romeo@Example.net/Orchard").unwrap();
    assert_eq!(full.as_str(), "romeo@example.net/Orchard");
    assert!(!full.is_bare());
    let bare = full.bare();
    assert_eq!(bare.as_str(), "romeo@example.net");
    assert_eq!(bare.as_str(), full.bare_str());
    assert!(!bare.is_domain());
    assert!(bare.as_jid().is_bare());
    assert_eq!(bare.with_resource("Orchard").unwrap(), full);
    assert_eq!(full.with_resource("x").unwrap().as_str(), "romeo@example.net/x");
    assert!(full.with_resource("").is_err());
    assert!(BareJid::new("romeo@example.net/Orchard").is_err());
    assert!(BareJid::new("example.net").unwrap().is_domain());
    let keys = std::collections::HashMap::from([(bare, 1)]);
    assert_eq!(keys.get(full.bare_str()), Some(&1));
    assert!(size_of::<Jid>() <= 24);
}

#[test]
fn errors_read_like_sentences() {
    for (text, sentence) in [
        ("a b@c", "the local part of the address must not contain U+0020"),
        ("a:b@c", "the local part of the address must not contain U+003A (:)"),
        ("@c", "the local part of the address must not be empty"),
        ("a@", "the domain of the address must not be empty"),
        ("a@b/", "the resource of the address must not be empty"),
        ("a..b", "the domain of the address has an empty label"),
        ("[::z]", "the domain of the address is not a valid IPv6 address"),
    ] {
        assert_eq!(Jid::new(text).unwrap_err().to_string(), sentence);
    }
    let leak = prepare_password("secret\u{7}").unwrap_err().to_string();
    assert_eq!(leak, "the password contains a character that is not allowed");
}
