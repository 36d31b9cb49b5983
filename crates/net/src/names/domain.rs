//! A domain as DNS and TLS spell it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::trouble::NameTrouble;

/// RFC 1035 §2.3.4: names have 255 octets or less, which leaves 253 characters.
const NAME_BYTES: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_BYTES: usize = 63;

/// The domain of an address, as far as looking it up is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// An address, which nobody looks up.
    Literal(IpAddr),
    /// A name in A-labels and lower case, without a dot at its end.
    Name(Arc<str>),
}

impl Domain {
    /// Reads the domainpart of a JID (RFC 7622 §3.2: a name with letters of any language, an IPv4
    /// address, or an IPv6 address in brackets).
    ///
    /// # Errors
    /// What no DNS name can be.
    pub(super) fn read(domain: &str) -> Result<Self, NameTrouble> {
        let bad = || NameTrouble::BadDomain(domain.into());
        if let Ok(v4) = domain.parse::<Ipv4Addr>() {
            return Ok(Self::Literal(v4.into()));
        }
        if let Some(inner) = domain.strip_prefix('[') {
            let v6 = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return v6.map(|v6| Self::Literal(v6.into())).ok_or_else(bad);
        }
        let name = idna::domain_to_ascii(domain).map_err(|_| bad())?;
        let name = name.strip_suffix('.').unwrap_or(&name).to_ascii_lowercase();
        if !is_name(&name) {
            return Err(bad());
        }
        Ok(Self::Name(name.into()))
    }
}

/// Whether DNS can be asked for `name`: labels of letters, digits, `-` and `_`. Other octets are
/// possible in DNS, and never in the name of a server.
pub(super) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= NAME_BYTES && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_looked_up_in_a_labels() {
        let name = |name: &str| Ok(Domain::Name(name.into()));
        assert_eq!(Domain::read("example.org"), name("example.org"));
        assert_eq!(Domain::read("Example.ORG."), name("example.org"));
        assert_eq!(Domain::read("bücher.example"), name("xn--bcher-kva.example"));
        assert_eq!(Domain::read("例え.テスト"), name("xn--r8jz45g.xn--zckzah"));
        assert_eq!(Domain::read("xmpp_one.example"), name("xmpp_one.example"));
    }

    #[test]
    fn an_address_is_taken_as_it_is() {
        assert_eq!(Domain::read("192.0.2.7"), Ok(Domain::Literal("192.0.2.7".parse().unwrap())));
        assert_eq!(
            Domain::read("[2001:db8::7]"),
            Ok(Domain::Literal("2001:db8::7".parse().unwrap()))
        );
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        let long = format!("{}.example", "a".repeat(64));
        let whole = ["a".repeat(50).as_str(); 6].join(".");
        for bad in ["", ".", "a..b", "a b", "a/b", "[::1", "[1.2.3.4]", "x\0y", &long, &whole] {
            assert_eq!(Domain::read(bad), Err(NameTrouble::BadDomain(bad.into())), "{bad}");
        }
    }
}
