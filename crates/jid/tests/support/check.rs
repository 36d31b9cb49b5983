//! What holds for every text that is taken for an address.

use waxwing_jid::{
    BareJid, Jid, prepare_domain, prepare_local, prepare_password, prepare_resource,
};
use xso::{AsXmlText, FromXmlText};

/// The longest part (RFC 7622 §3.2, §3.3, §3.4).
const PART_BYTES: usize = 1023;

/// Panics where preparation is not idempotent, an address does not survive being written and read,
/// or its parts do not make it again.
pub(crate) fn check(text: &str) {
    for prepare in [prepare_local, prepare_domain, prepare_resource, prepare_password] {
        let Ok(once) = prepare(text) else { continue };
        let again = prepare(&once);
        assert_eq!(again.as_deref(), Ok(&*once), "{text:?} prepared twice");
        assert!(!once.is_empty() && once.len() <= PART_BYTES, "{text:?} became {once:?}");
    }
    if let Ok(jid) = Jid::new(text) {
        round_trip(&jid);
        assert_eq!(BareJid::new(jid.bare_str()), Ok(jid.bare()), "{text:?}");
    }
    if let Ok(bare) = BareJid::new(text) {
        let written = bare.as_xml_text().expect("an address is text").into_owned();
        assert_eq!(BareJid::from_xml_text(written).expect("ours"), bare, "{text:?}");
        assert_eq!(bare.to_jid().resource(), None, "{text:?}");
    }
}

fn round_trip(jid: &Jid) {
    assert_eq!(Jid::new(jid.as_str()).as_ref(), Ok(jid), "{jid:?} read again");
    let parts = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
    assert_eq!(parts.as_ref(), Ok(jid), "{jid:?} from its parts");
    let written = jid.as_xml_text().expect("an address is text").into_owned();
    assert_eq!(Jid::from_xml_text(written).expect("ours"), *jid, "{jid:?} through XML");
}
