//! The XMPP addresses that a client certificate names (RFC 6120 §13.7.1.4, XEP-0178 §2).

use waxwing_jid::BareJid;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// `id-on-xmppAddr`, RFC 6120 §13.7.1.4.
const XMPP_ADDR: &str = "1.3.6.1.5.5.7.8.5";

/// The bare addresses under `id-on-xmppAddr` in the certificate's subject alternative names;
/// none when the certificate cannot be read.
pub(crate) fn addresses(der: &[u8]) -> Vec<BareJid> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let others = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::OtherName(oid, value) if oid.to_id_string() == XMPP_ADDR => utf8(value),
        _ => None,
    });
    others.filter_map(|text| BareJid::new(text).ok()).collect()
}

/// The UTF8String inside an explicitly tagged `[0]` value.
fn utf8(value: &[u8]) -> Option<&str> {
    let content = unwrap(0xa0, value).unwrap_or(value);
    std::str::from_utf8(unwrap(0x0c, content)?).ok()
}

/// The content of one DER element with `tag` and a length below 128 or in one or two octets.
fn unwrap(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let rest = der.strip_prefix(&[tag])?;
    let (length, rest) = match rest {
        [0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_inside_its_tags() {
        assert_eq!(utf8(b"\xa0\x05\x0c\x03a@b"), Some("a@b"));
        assert_eq!(utf8(b"\x0c\x03a@b"), Some("a@b"));
        assert_eq!(utf8(b"\xa0\x05\x0c\x09a@b"), None);
        assert_eq!(addresses(b"no certificate"), []);
    }
}
