//! The same verdict and the same content as an independent strict parser (rxml), over generated
//! documents, hand-made ones, and small corruptions of both.
//! `support/compare.rs` lists the known differences.

#![allow(clippy::unwrap_used)] // helpers of tests may fail like tests

mod support {
    pub(crate) mod compare;
    pub(crate) mod documents;
    pub(crate) mod limits;
    pub(crate) mod oracle;
    pub(crate) mod random;
}

use support::{compare::compare, documents::document, random::*};

/// Documents tried by each of two threads.
const CASES: usize = 120_000;

fn run(seed: u64, base: &[&str]) {
    let mut random = Random(seed);
    for case in 0..CASES {
        let mut bytes = match case % 2 {
            0 => document(&mut random).into_bytes(),
            _ => random.pick(base).as_bytes().to_vec(),
        };
        if case % 16 != 0 {
            mutate(&mut bytes, &mut random);
        }
        compare(&bytes);
    }
}

#[test]
fn hand_made_documents() {
    DOCUMENTS.iter().for_each(|document| compare(document.as_bytes()));
}

#[test]
fn corrupted_documents() {
    let other = std::thread::spawn(|| run(0x5EED_0001, DOCUMENTS));
    run(0x5EED_0002, DOCUMENTS);
    other.join().unwrap();
}

const DOCUMENTS: &[&str] = &[
    "<message xmlns='jabber:client' to='a@b/c' id='1' type='chat'><body>hi &amp; ho</body>\
     <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<presence xmlns='jabber:client' xml:lang='de'><show>away</show>\n <c xmlns='urn:c' \
     hash='sha-1'/></presence>",
    "<iq xmlns='jabber:client'><q xmlns='urn:q' xmlns:p='urn:p'><p:item p:a='1' a='2'/></q></iq>",
    "<message xmlns='urn:f' xmlns:c='jabber:client' xmlns:p='urn:p'><c:body p:x='1'>t</c:body>\
     <p:y><z/></p:y><w/><v xmlns=''/></message>",
    "<a xmlns='jabber:client'><b xmlns='jabber:client'><c/></b></a>",
    "<a><b/><c xmlns='jabber:client'/><xml:d xmlns='urn:d'/></a>",
    "<?xml version='1.0'?><a/>",
    "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<a></a>",
    "<a b='1' c = \"2\"\td\n=\n'3'\n/>",
    "<a>x<![CDATA[<&]]>]]&gt;</a>\n",
    "<a xmlns:p='u' xmlns:q='u' p:x='' q:x=''/>",
    "<a xmlns:p='u' xmlns:q='u' p:x='' q:y=''><p:b q:x='1'/></a>",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='x'/>",
    "<é xmlns:ñ='urn:ñ' ñ:ü='ö'>&#x10FFFF;\u{FFFD}</é>",
    "<a xmlns='jabber:client' xmlns:p='a&amp;b'><p:b xmlns='x&lt;y'><c/><p:d/></p:b></a>",
];
