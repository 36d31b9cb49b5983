//! Each limit at its value and one over, and what is held meanwhile.

#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use std::time::{Duration, Instant};

use waxwing_xml::{Event, Limits, Splitter, XmlError, parse};

const CONTENT: &str = "jabber:client";

/// `write(n)` is a document that needs exactly `n` of what `set` limits.
#[track_caller]
fn check(at: usize, set: fn(&mut Limits, usize), write: impl Fn(usize) -> String) {
    let mut limits = Limits::default();
    set(&mut limits, at);
    let fits = write(at);
    parse(fits.as_bytes(), &limits, CONTENT, false).expect("the limit itself is allowed");
    let over = write(at + 1);
    let error = parse(over.as_bytes(), &limits, CONTENT, false).unwrap_err();
    assert!(matches!(error, XmlError::TooLarge(_)), "{error:?}");
    let mut splitter = Splitter::stream(limits, CONTENT);
    splitter.next(&mut &b"<r>"[..]).unwrap();
    assert!(matches!(splitter.next(&mut fits.as_bytes()), Ok(Some(Event::Element(_)))));
    assert_eq!(splitter.next(&mut over.as_bytes()).unwrap_err(), error);
}

#[test]
fn each_limit_is_the_largest_value_accepted() {
    check(50, |limits, n| limits.element_bytes = n, |n| format!("<a>{}</a>", "x".repeat(n - 7)));
    check(5, |limits, n| limits.depth = n, |n| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n)));
    let attributes = |n| (0..n).map(|n| format!(" a{n}=''")).collect::<String>();
    check(20, |limits, n| limits.attributes = n, |n| format!("<a{}/>", attributes(n)));
    check(9, |limits, n| limits.name_bytes = n, |n| format!("<{}/>", "n".repeat(n)));
    check(9, |limits, n| limits.name_bytes = n, |n| format!("<a {}=''/>", "n".repeat(n)));
    check(9, |limits, n| limits.namespace_bytes = n, |n| format!("<a xmlns='{}'/>", "n".repeat(n)));
    let scopes = |n| (1..n).map(|n| format!("<a xmlns:p{n}='u'>")).collect::<String>();
    let nested = |n| format!("<a xmlns='{CONTENT}'>{}{}", scopes(n), "</a>".repeat(n));
    check(6, |limits, n| limits.namespaces = n, nested);
    check(7, |limits, n| limits.children = n, |n| format!("<a>{}</a>", "<b/>".repeat(n)));
}

/// Closed scopes and grandchildren do not count.
#[test]
fn only_what_is_in_scope_counts() {
    let limits = Limits { namespaces: 1, children: 1, depth: 3, ..Limits::default() };
    let inside = "<c xmlns:p='u'/><d xmlns='v'/>";
    parse(format!("<a><b>{inside}</b></a>").as_bytes(), &limits, "", false).unwrap();
}

/// What is added by rewriting counts too, so nobody gets a large element for a small one.
#[test]
fn rewriting_keeps_to_the_limit() {
    let limits = Limits { element_bytes: 4000, ..Limits::default() };
    let document = |n| format!("<a xmlns:p='{}'>{}</a>", "n".repeat(500), "<p:b/>".repeat(n));
    parse(document(5).as_bytes(), &limits, CONTENT, false).unwrap();
    let error = parse(document(50).as_bytes(), &limits, CONTENT, false).unwrap_err();
    assert!(matches!(error, XmlError::TooLarge(_)));
}

/// The text up to its limit, and for it tables of a few times that.
#[test]
fn what_is_held_is_bounded() {
    let limits = Limits { element_bytes: 10_000, ..Limits::default() };
    for (start, more, bound) in [
        ("<a b='", "x", 12_000),
        ("<a>", "x", 12_000),
        ("<a><![CDATA[", "x", 12_000),
        ("<a>", "]", 12_000),
        ("<", "x", 12_000),
        ("</r", " ", 12_000),
        ("<a>", "<b/>", 70_000),
        ("<a><b>", "<c xmlns:p='u'/>", 50_000),
        ("<a><b>", "<c xmlns='&lt;'/>", 70_000),
    ] {
        let mut splitter = Splitter::stream(limits, CONTENT);
        splitter.next(&mut &b"<r>"[..]).unwrap();
        assert_eq!(splitter.held(), 0);
        let mut input = start.as_bytes();
        let error = (0..20_000).find_map(|_| {
            let error = splitter.next(&mut input).err();
            assert!(splitter.held() <= bound, "{start}{more}: {}", splitter.held());
            input = more.as_bytes();
            error
        });
        assert!(matches!(error, Some(XmlError::TooLarge(_))), "{start}{more}: {error:?}");
        assert_eq!(splitter.held(), 0, "a dead splitter holds nothing");
    }
}

#[test]
fn nothing_is_held_between_elements() {
    let mut splitter = Splitter::stream(Limits::default(), CONTENT);
    for byte in b"<r xmlns='jabber:client'><message><body>x</body></message> " {
        splitter.next(&mut &[*byte][..]).unwrap();
    }
    assert_eq!(splitter.held(), 0);
    splitter.next(&mut &b"<mess"[..]).unwrap();
    assert!(splitter.held() >= 5);
}

/// A megabyte that comes byte by byte costs about what it costs at once: no byte is read anew for
/// each that follows. Quadratic work would take hours, so the bound can be generous.
#[test]
fn dripping_is_linear() {
    let limits = Limits { element_bytes: 1 << 21, ..Limits::default() };
    let long = "y".repeat(1 << 18);
    let started = now();
    for element in [
        format!("<a b='{long}'/>"),
        format!("<a>{long}</a>"),
        format!("<a><![CDATA[{long}]]></a>"),
        format!("<a>{}</a>", "]".repeat(1 << 18)),
        format!("<a></a{}>", " ".repeat(1 << 18)),
        format!("<a{}/>", " ".repeat(1 << 18)),
        format!("<a>{}</a>", "&lt;".repeat(1 << 16)),
    ] {
        let mut splitter = Splitter::stream(limits, CONTENT);
        splitter.next(&mut &b"<r>"[..]).unwrap();
        let (last, rest) = element.as_bytes().split_last().unwrap();
        for byte in rest {
            assert!(splitter.next(&mut &[*byte][..]).unwrap().is_none());
        }
        assert!(splitter.next(&mut &[*last][..]).unwrap().is_some());
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[expect(clippy::disallowed_methods, reason = "the test is about real time")]
fn now() -> Instant {
    Instant::now()
}
