//! One test per rule, with the sentence of the standard.

#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

use waxwing_xml::{Content, Element, Event, Limits, Splitter, XmlError, parse};

const CONTENT: &str = "jabber:client";

fn read(document: impl AsRef<[u8]>) -> Result<Element, XmlError> {
    parse(document.as_ref(), &Limits::default(), CONTENT, false)
}

#[track_caller]
fn accepts(documents: &[&str]) {
    for document in documents {
        read(document).unwrap_or_else(|error| panic!("{document}: {error}"));
    }
}

#[track_caller]
fn refuses(kind: fn(&'static str) -> XmlError, documents: &[&str]) {
    for document in documents {
        let error = read(document).expect_err(document);
        assert_eq!(error, kind(error.reason()), "{document}");
    }
}

/// XML 1.0 §3: "The Name in an element's end-tag MUST match the element type in the start-tag."
#[test]
fn end_tags_match() {
    accepts(&["<a></a>", "<a></a \n>", "<a:b xmlns:a='u'></a:b>"]);
    refuses(
        XmlError::NotWellFormed,
        &["<a></b>", "<a></aa>", "<aa></a>", "<a><b></a></b>", "</a>"],
    );
    refuses(
        XmlError::NotWellFormed,
        &["<a", "<a>", "<a><b></b>", "<a></a", "<a></ a>", "<a></a/>"],
    );
}

/// RFC 7395 §3.3.3: "The first character of each WebSocket message MUST be a '<'"; one element.
#[test]
fn a_document_is_one_element() {
    accepts(&["<a/> \r\n"]);
    refuses(
        XmlError::NotWellFormed,
        &["", " <a/>", "<a/><b/>", "<a/>x", "x", "\u{FEFF}<a/>", "<a/><![CDATA[]]>"],
    );
}

/// Namespaces in XML §4: `QName ::= PrefixedName | UnprefixedName`; XML 1.0 §2.3, Name.
#[test]
fn names_follow_the_productions() {
    accepts(&["<é/>", "<_/>", "<a-b.c1·/>", "<\u{10000}/>", "<a\u{300}/>", "<a é='1'/>"]);
    refuses(
        XmlError::NotWellFormed,
        &[
            "<1/>",
            "<-/>",
            "<a!/>",
            "<·/>",
            "<\u{300}/>",
            "<×/>",
            "<a:/>",
            "<:a/>",
            "< a/>",
            "<a\u{37E}/>",
        ],
    );
    refuses(XmlError::NotWellFormed, &["<a:b:c xmlns:a='u'/>", "<a xmlns:a='u' a:b:c=''/>"]);
}

/// XML 1.0 §3.1: `Attribute ::= Name Eq AttValue`, separated by white space.
#[test]
fn attributes_are_quoted_and_separated() {
    accepts(&["<a b='1' c = \"2\"\n/>", "<a b='>'/>", "<a b='\"' c=\"'\"></a>"]);
    refuses(
        XmlError::NotWellFormed,
        &["<a b/>", "<a b=1/>", "<a b='1'c='2'/>", "<a b='1/>", "<a/ >"],
    );
}

/// XML 1.0 §3.1: "An attribute name MUST NOT appear more than once in the same start-tag";
/// Namespaces in XML §6.3 says it of names with their namespaces.
#[test]
fn attributes_are_unique() {
    accepts(&["<a b='' B=''/>", "<a xmlns='u' xmlns:p='u' b='' p:b=''/>"]);
    refuses(XmlError::NotWellFormed, &["<a b='' b=''/>", "<a xmlns='u' xmlns='u'/>"]);
    refuses(XmlError::NotWellFormed, &["<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>"]);
    refuses(XmlError::NotWellFormed, &["<a xmlns:p='u' xmlns:p='v'/>"]);
    let mut many: String = (0..40).map(|n| format!(" a{n}=''")).collect();
    accepts(&[&format!("<a{many}/>")]);
    many.push_str(" a7=''");
    refuses(XmlError::NotWellFormed, &[&format!("<a{many}/>")]);
}

/// XML 1.0 §3.1: no `<` in attribute values; §2.4: no `]]>` in character data.
#[test]
fn markup_characters_are_escaped() {
    accepts(&["<a>]]</a>", "<a>]] ></a>", "<a>></a>", "<a b=']]>'/>"]);
    refuses(XmlError::NotWellFormed, &["<a b='<'/>", "<a>]]></a>", "<a>]]]></a>"]);
}

/// RFC 6120 §11.1: no "internal or external entity references … with the exception of the
/// predefined entities"; XML 1.0 §4.1 on character references.
#[test]
fn references_are_predefined_or_legal_characters() {
    let element = read("<a b='&lt;&#x9;'>&amp;&lt;&gt;&apos;&quot;&#65;&#x1F600;</a>").unwrap();
    assert_eq!(element.text(), "&<>'\"A😀");
    assert_eq!(element.attribute("b").unwrap(), "<\t");
    refuses(XmlError::Restricted, &["<a>&nbsp;</a>", "<a b='&x;'/>", "<a>&AMP;</a>"]);
    refuses(
        XmlError::NotWellFormed,
        &[
            "<a>&</a>",
            "<a>& </a>",
            "<a>&;</a>",
            "<a>&#;</a>",
            "<a>&#x;</a>",
            "<a>&#xG;</a>",
            "<a>&#0;</a>",
            "<a>&#x1;</a>",
            "<a>&#xD800;</a>",
            "<a>&#xFFFE;</a>",
            "<a>&#x110000;</a>",
            "<a>&#X41;</a>",
            "<a>&#-1;</a>",
            "<a>&amp</a>",
            "<a>&#99999999999999999999;</a>",
        ],
    );
}

/// XML 1.0 §2.2: Char.
#[test]
fn characters_are_legal() {
    accepts(&["<a>\t\r\n\u{7F}\u{85}\u{FFFD}\u{10FFFF}</a>", "<a b='\u{FFFD}'/>"]);
    for bad in ["\0", "\u{1}", "\u{B}", "\u{C}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
        let [text, value, cdata] = [
            format!("<a>{bad}</a>"),
            format!("<a b='{bad}'/>"),
            format!("<a><![CDATA[{bad}]]></a>"),
        ];
        refuses(XmlError::NotWellFormed, &[&text, &value, &cdata, &format!("<a{bad}/>")]);
    }
}

/// RFC 6120 §11.6: UTF-8 only. RFC 3629: no overlong forms, no surrogates.
#[test]
fn bytes_are_utf8() {
    for bad in
        [&b"\xFF"[..], b"\xC0\xAF", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82", b"\x80"]
    {
        for (before, after) in [("<a>", "</a>"), ("<a b='", "'/>"), ("<a", "/>"), ("<a>", "")] {
            let document = [before.as_bytes(), bad, b"x", after.as_bytes()].concat();
            let error = read(&document).unwrap_err();
            assert_eq!(error, XmlError::Encoding("not UTF-8"), "{}", document.escape_ascii());
        }
    }
}

/// Namespaces in XML §5: "The namespace prefix … MUST have been declared".
#[test]
fn prefixes_are_declared() {
    accepts(&["<p:a xmlns:p='u'><p:b p:c=''/></p:a>", "<xml:a xml:b=''/>"]);
    refuses(XmlError::BadPrefix, &["<p:a/>", "<a p:b=''/>", "<a><b xmlns:p='u'/><p:c/></a>"]);
}

/// Namespaces in XML §3 and §5: reserved prefixes and names, and no undeclaring of prefixes.
#[test]
fn reserved_names_are_left_alone() {
    let (xml, xmlns) = ("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/");
    accepts(&[&format!("<a xmlns:xml='{xml}'/>"), "<a xmlns=''/>", "<xmlnsa/>", "<a xmlnsb=''/>"]);
    refuses(
        XmlError::NotWellFormed,
        &[
            "<a xmlns:p=''/>",
            "<a xmlns:xml='u'/>",
            "<a xmlns:xmlns='u'/>",
            "<xmlns:a/>",
            &format!("<a xmlns:p='{xml}'/>"),
            &format!("<a xmlns='{xml}'/>"),
            &format!("<a xmlns:p='{xmlns}'/>"),
            &format!("<a xmlns='{xmlns}'/>"),
            &format!("<a xmlns:xmlns='{xmlns}'/>"),
            "<a xmlns:p='http://www.w3.org/2000/xmlns&#47;'/>",
        ],
    );
}

/// RFC 6120 §11.1: no comments, processing instructions, DTD subsets.
#[test]
fn restricted_features_are_refused() {
    refuses(
        XmlError::Restricted,
        &[
            "<a><!-- x --></a>",
            "<!-- x --><a/>",
            "<!DOCTYPE a><a/>",
            "<a><!DOCTYPE a></a>",
            "<?x?><a/>",
            "<a><?x y?></a>",
            "<a><?xml version='1.0'?></a>",
        ],
    );
    refuses(XmlError::NotWellFormed, &["<a><!x></a>", "<![CDATA[]]><a/>", "<a><![CDAT[]]></a>"]);
}

/// XML 1.0 §2.7: CDATA sections are character data in which only `]]>` is markup.
#[test]
fn cdata_is_text() {
    let element = read("<a>x<![CDATA[<&]]]]><![CDATA[>\r\n]]></a>").unwrap();
    assert_eq!(element.text(), "x<&]]>\n");
    assert_eq!(read("<a><![CDATA[<b/>]]><c/></a>").unwrap().children().count(), 1);
}

/// XML 1.0 §2.8, and §2.9 on `standalone`.
#[test]
fn the_declaration_is_exact() {
    let declared = |text: &str| {
        parse(format!("<?xml{text}?>\n<a/>").as_bytes(), &Limits::default(), CONTENT, true)
            .map(|_| ())
    };
    for good in
        [" version='1.0'", " version = \"1.0\" encoding='Utf-8' ", " version='1.0' standalone='no'"]
    {
        assert_eq!(declared(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        " ",
        "version='1.0'",
        " version='1.1'",
        " encoding='utf-8'",
        " version='1.0'encoding='utf-8'",
        " version='1.0' standalone='YES'",
        " version='1.0' x='y'",
        " version='1.0' version='1.0'",
        " version=1.0",
        " version='1.0' standalone='yes' encoding='utf-8'",
    ] {
        assert!(matches!(declared(bad), Err(XmlError::NotWellFormed(_))), "{bad}");
    }
    let latin = declared(" version='1.0' encoding='latin1'");
    assert!(matches!(latin, Err(XmlError::Encoding(_))));
    refuses(XmlError::Restricted, &["<?xml version='1.0'?><a/>"]);
    assert!(declared("-stylesheet href='x'").is_err());
}

/// XML 1.0 §3.3.3 and §2.11: white space in values and line ends in text are normalised.
#[test]
fn white_space_is_normalised() {
    let element = read("<a b='x\t\r\ny\nz&#10;'>1\r\n2\r3\n&#13;</a>").unwrap();
    assert_eq!(element.attribute("b").unwrap(), "x  y z\n");
    assert_eq!(element.text(), "1\n2\n3\n\r");
}

#[test]
fn an_element_tells_its_parts() {
    let text = "<message xmlns='jabber:client' xml:lang='de' to='a@b' xmlns:p='u' p:to='no'>\
                <body>hi</body> <x xmlns='urn:x'><y z='1'>in</y></x></message>";
    let element = read(text).unwrap();
    assert!(element.is("message", CONTENT));
    assert_eq!(element.as_str(), text);
    assert_eq!(element.attribute("to").unwrap(), "a@b");
    assert_eq!(element.attribute("xmlns"), None);
    assert_eq!(element.lang().unwrap(), "de");
    assert_eq!(
        element.attributes().map(|(name, _)| name).collect::<Vec<_>>(),
        ["xml:lang", "to", "p:to"]
    );
    let x = element.child("x", "urn:x").unwrap();
    assert!(
        x.child("y", "urn:x").is_some_and(|y| y.attribute("z").unwrap() == "1" && y.text() == "in")
    );
    let mut content = element.into_content();
    content.retain(|child| child.name() != "x");
    assert_eq!(
        content.children().map(|child| child.as_str()).collect::<Vec<_>>(),
        ["<body>hi</body>"]
    );
    assert_eq!(content.len_bytes(), "<body>hi</body>".len());
}

/// What a child takes from outside is written into it.
#[test]
fn children_stand_alone() {
    let children = |document: &str| -> Vec<String> {
        let element = read(document).unwrap();
        element.children().map(|child| child.as_str().to_owned()).collect()
    };
    let stanza = |inside: &str| {
        children(&format!(
            "<m xmlns='jabber:client' xmlns:p='urn:p' xmlns:c='jabber:client'>{inside}</m>"
        ))
    };
    assert_eq!(stanza("<body>x</body> <a xmlns='u'/>"), ["<body>x</body>", "<a xmlns='u'/>"]);
    assert_eq!(stanza("<body xmlns='jabber:client'>x</body>"), ["<body>x</body>"]);
    assert_eq!(stanza("<c:body c:x='1'/>"), ["<body c:x='1' xmlns:c='jabber:client'/>"]);
    assert_eq!(
        stanza("<p:a><p:b/><d/></p:a>"),
        ["<a xmlns='urn:p'><b/><d xmlns='jabber:client'/></a>"]
    );
    assert_eq!(stanza("<q:a xmlns:q='u'><q:b/></q:a>"), ["<a xmlns='u' xmlns:q='u'><b/></a>"]);
    assert_eq!(children("<m xmlns='urn:m'><a/></m>"), ["<a xmlns='urn:m'/>"]);
    assert_eq!(children("<m><a/></m>"), ["<a xmlns=''/>"]);
}

#[test]
fn content_is_parsed_as_it_was_written() {
    let text = "<body>x</body><a xmlns='u' xmlns:p='v'><p:b/></a><c xmlns=''/>";
    let content = Content::parse(text, &Limits::default(), CONTENT).unwrap();
    assert_eq!(content.children().map(|child| child.as_str()).collect::<String>(), text);
    let namespaces: Vec<_> = content.children().map(|child| child.namespace()).collect();
    assert_eq!(namespaces, [CONTENT, "u", ""]);
    assert!(Content::parse("", &Limits::default(), CONTENT).unwrap().is_empty());
    assert!(Content::parse("</c><c>", &Limits::default(), CONTENT).is_err());
    assert!(Content::default().is_empty());
}

/// The header's declarations hold for every element, and are not repeated by any.
#[test]
fn the_header_is_the_context() {
    let mut splitter = Splitter::stream(Limits::default(), CONTENT);
    let mut input =
        &b"<s:stream xmlns:s='urn:s' xmlns='urn:d' to='x'><s:features/><a/></s:stream>"[..];
    let mut next = || splitter.next(&mut input).unwrap();
    let Some(Event::Header(header)) = next() else { panic!("a header comes first") };
    assert!(header.is("stream", "urn:s") && header.attribute("to").unwrap() == "x");
    assert!(matches!(next(), Some(Event::Element(element)) if element.is("features", "urn:s")));
    assert!(matches!(next(), Some(Event::Element(element)) if element.is("a", "urn:d")));
    assert!(matches!(next(), Some(Event::Footer)));
    assert!(next().is_none());
    assert!(splitter.next(&mut &b" "[..]).is_ok());
    assert!(splitter.next(&mut &b"<a/>"[..]).is_err());
}

/// Errors do not wait for the end of the element.
#[test]
fn errors_are_prompt() {
    for bad in ["x", "<a>&nbsp;", "<a><!-", "<a><?", "<!D", "<a></b>", "<a>\0", "<a>]]>", "<a b='<"]
    {
        let mut splitter = Splitter::stream(Limits::default(), CONTENT);
        splitter.next(&mut &b"<stream>"[..]).unwrap();
        let error = splitter.next(&mut bad.as_bytes()).expect_err(bad);
        assert_eq!(splitter.next(&mut &b"<a/>"[..]).unwrap_err(), error, "the splitter is dead");
    }
}
