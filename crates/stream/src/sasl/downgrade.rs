//! What shows a client that somebody has changed what we offered (XEP-0474, XEP-0515).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::host::{Host, Security};
use crate::sasl::{Hash, Mechanism, offered};

/// Between two items of a list; neither can be in XML.
const NEXT_ITEM: char = '\x1e';
/// Between the lists.
const NEXT_LIST: char = '\x1f';

/// The types of channel binding that a stream announces (XEP-0440) beside the mechanisms that it
/// offers, the preferred first.
pub(crate) fn binding_kinds(security: &Security, offered: &[Mechanism]) -> Vec<&'static str> {
    let binds = offered.iter().any(|mechanism| matches!(mechanism, Mechanism::Scram(_, true)));
    let kinds = ["tls-exporter", "tls-server-end-point"].into_iter();
    kinds.filter(|kind| binds && security.binding(kind).is_some()).collect()
}

/// The attributes that go into the first message of SCRAM, where the password signs them.
pub(crate) fn attributes(hash: Hash, host: &Host, security: &Security) -> String {
    let mechanisms = offered(host, security);
    let kinds = binding_kinds(security, &mechanisms);
    let mut mechanisms: Vec<String> = mechanisms.iter().map(Mechanism::to_string).collect();
    mechanisms.sort_unstable();
    let mut text = join(&mechanisms);
    if !kinds.is_empty() {
        let mut kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        kinds.sort_unstable();
        text.push(NEXT_LIST);
        text.push_str(&join(&kinds));
    }
    let mut out = format!(",h={}", BASE64.encode(hash.digest(text.as_bytes())));
    if let Some(version) = security.tls_version {
        // XEP-0515 §4.1: "four lowercased hexadecimal numbers".
        out.push_str(&format!(",t={version:04x}"));
    }
    out
}

fn join(items: &[String]) -> String {
    items.join(NEXT_ITEM.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Mechanisms;

    /// The example of XEP-0474 §6.3, with that of XEP-0515 §4.3.
    #[test]
    fn the_lists_and_the_version_are_those_of_the_specifications() {
        let mut host = Host::new("example.org", [0; 32]);
        host.mechanisms = Mechanisms {
            scram_sha_256: false,
            scram_sha_512: false,
            plain: false,
            ..Mechanisms::default()
        };
        let mut security = Security { tls: true, exporter: Some([1; 32]), ..Security::default() };
        security.end_point = Some(vec![1]);
        let attributes = |security: &Security| attributes(Hash::Sha1, &host, security);
        assert_eq!(attributes(&security), ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=");
        security.tls_version = Some(0x0304);
        assert_eq!(attributes(&security), ",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=,t=0304");
    }

    #[test]
    fn without_a_binding_there_is_one_list() {
        let host = Host::new("example.org", [0; 32]);
        let security = Security { trusted_proxy: true, ..Security::default() };
        let list = "PLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-256\x1eSCRAM-SHA-512";
        let hash = BASE64.encode(Hash::Sha256.digest(list.as_bytes()));
        assert_eq!(attributes(Hash::Sha256, &host, &security), format!(",h={hash}"));
    }
}
