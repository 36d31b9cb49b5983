use super::four::four;
use super::kept::Kept;
use super::photo::{Photo, Picture};
use super::temp::temp;

const TEMP: &str = "<vCard xmlns='vcard-temp'><FN>Peter</FN><N><FAMILY>Saint-Andre</FAMILY>\
    <GIVEN>Peter</GIVEN><MIDDLE/></N><NICKNAME>stpeter</NICKNAME><URL>https://stpeter.im/</URL>\
    <BDAY>1966-08-06</BDAY><ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>Board</ORGUNIT></ORG>\
    <TEL><WORK/><VOICE/><PREF/><NUMBER>303-308-3282</NUMBER></TEL><TEL><HOME/></TEL>\
    <ADR><WORK/><STREET>1899 Wynkoop</STREET><CTRY>USA</CTRY></ADR>\
    <EMAIL><INTERNET/><USERID>a@b</USERID></EMAIL><JABBERID>stpeter@jabber.org</JABBERID>\
    <GEO><LAT>39.59</LAT><LON>-105.01</LON></GEO><DESC>Ho &amp; hum</DESC>\
    <PHOTO><TYPE>image/png</TYPE><BINVAL>aGVs\nbG8=</BINVAL></PHOTO>\
    <CLASS><PUBLIC/></CLASS></vCard>";

const FOUR: &str = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Peter</text></fn>\
    <n><surname>Saint-Andre</surname><given>Peter</given></n>\
    <nickname><text>stpeter</text></nickname><url><uri>https://stpeter.im/</uri></url>\
    <bday><date>1966-08-06</date></bday><org><text>XSF</text><text>Board</text></org>\
    <tel><parameters><type><text>work</text><text>voice</text></type>\
    <pref><integer>1</integer></pref></parameters><uri>tel:303-308-3282</uri></tel>\
    <adr><parameters><type><text>work</text></type></parameters><street>1899 Wynkoop</street>\
    <country>USA</country></adr><email><text>a@b</text></email>\
    <impp><uri>xmpp:stpeter@jabber.org</uri></impp><geo><uri>geo:39.59,-105.01</uri></geo>\
    <note><text>Ho &amp; hum</text></note>\
    <photo><uri>data:image/png;base64,aGVsbG8=</uri></photo></vcard>";

#[test]
fn the_common_fields_become_vcard4() {
    assert_eq!(four(TEMP), FOUR);
}

#[test]
fn and_back() {
    let back = temp(FOUR);
    assert_eq!(four(&back), FOUR);
    for part in [
        "<FN>Peter</FN>",
        "<TEL><WORK/><VOICE/><PREF/><NUMBER>303-308-3282</NUMBER></TEL>",
        "<ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>Board</ORGUNIT></ORG>",
        "<PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO>",
    ] {
        assert!(back.contains(part), "{back}");
    }
}

#[test]
fn groups_and_what_is_unknown_are_no_obstacle() {
    let card = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>R</text></fn>\
                <gender><sex>M</sex></gender><x xmlns='urn:x'/>\
                <group name='a'><note><text>N</text></note></group></vcard>";
    assert_eq!(temp(card), "<vCard xmlns='vcard-temp'><FN>R</FN><DESC>N</DESC></vCard>");
    assert_eq!(temp("<other xmlns='urn:x'/>"), "<vCard xmlns='vcard-temp'></vCard>");
}

/// `printf hello | sha1sum`
#[test]
fn the_hash_is_that_of_the_picture() {
    assert_eq!(&*Photo::of(TEMP).0, "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    assert_eq!(&*Photo::of("<vCard xmlns='vcard-temp'/>").0, "");
    let odd = "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>!</BINVAL></PHOTO></vCard>";
    assert_eq!(&*Photo::of(odd).0, "");
}

#[test]
fn a_picture_is_taken_out_of_a_card_and_put_into_it() {
    let picture = Picture::read("aGVs bG8", Some("image/gif")).unwrap();
    assert_eq!((picture.bytes, &*picture.data), (5, "aGVsbG8"));
    for (card, is_four, with) in [
        (
            "<vCard xmlns='vcard-temp' version='2.0'><PHOTO><BINVAL>eA==</BINVAL></PHOTO><FN>R</FN>\
             </vCard>",
            false,
            "<vCard xmlns='vcard-temp'><FN>R</FN><PHOTO><TYPE>image/gif</TYPE>\
             <BINVAL>aGVsbG8</BINVAL></PHOTO></vCard>",
        ),
        (
            "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>R</text></fn>\
             <x xmlns='urn:x'><fn xmlns='urn:ietf:params:xml:ns:vcard-4.0'/></x></vcard>",
            true,
            "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>R</text></fn>\
             <x xmlns='urn:x'><fn xmlns='urn:ietf:params:xml:ns:vcard-4.0'/></x>\
             <photo><uri>data:image/gif;base64,aGVsbG8</uri></photo></vcard>",
        ),
    ] {
        let kept = Kept::new(card.to_owned(), is_four).with_picture(Some(&picture));
        assert_eq!(kept.card, with);
        assert_eq!(kept.picture().as_ref(), Some(&picture));
        assert!(kept.clone().only_picture().with_picture(None).is_empty());
        assert_eq!(kept.with_picture(None).picture(), None);
    }
}

#[test]
fn a_picture_tells_what_it_is_where_nobody_else_does() {
    for (data, kind) in
        [("/9j/", "image/jpeg"), ("R0lGODlh", "image/gif"), ("iVBORw==", "image/png")]
    {
        assert_eq!(Picture::read(data, None).unwrap().kind, kind);
        assert_eq!(Picture::read(data, Some("nonsense")).unwrap().kind, kind);
    }
}
