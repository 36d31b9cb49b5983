//! Pseudonyms of occupants (XEP-0421, version 1.0.1).

use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::hmac;
use waxwing_jid::BareJid;
use waxwing_xml::write::attribute;

use super::forged::OCCUPANT_ID;

/// Bytes of the keyed hash that are shown.
const BYTES: usize = 16;

/// What an account is called in the room with this salt: the same at every visit, and saying
/// nothing of the account.
///
/// §4.1: "generate a private secret key for every room and use an HMAC algorithm with a
/// sufficiently secure hash function": so nobody else can tell whose it is, nor whose it is in
/// another room.
pub fn occupant_id(salt: &str, real: &BareJid) -> Arc<str> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
    let tag = hmac::sign(&key, real.as_str().as_bytes());
    let mut id = String::with_capacity(2 * BYTES);
    for byte in &tag.as_ref()[..BYTES] {
        let _ = write!(id, "{byte:02x}");
    }
    id.into()
}

/// The element that carries it.
pub fn element(id: &str) -> String {
    let mut out = String::with_capacity(96);
    out.push_str("<occupant-id");
    attribute(&mut out, "xmlns", OCCUPANT_ID);
    attribute(&mut out, "id", id);
    out.push_str("/>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_of_one_account_in_one_room() {
        let jid = |text: &str| BareJid::new(text).unwrap();
        let romeo = occupant_id("salt", &jid("romeo@localhost"));
        assert_eq!(romeo, occupant_id("salt", &jid("romeo@localhost")));
        assert_ne!(romeo, occupant_id("salt", &jid("juliet@localhost")));
        assert_ne!(romeo, occupant_id("other salt", &jid("romeo@localhost")));
        assert_eq!(romeo.len(), 2 * BYTES);
        assert_eq!(element("a"), "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='a'/>");
    }
}
