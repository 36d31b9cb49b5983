//! Whom a certificate stands for (RFC 9525, RFC 6120 §13.7.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::{Any, FromDer, Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// `id-on-dnsSRV`, RFC 4985 §2.
const SRV_NAME: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);
/// `id-on-xmppAddr`, RFC 6120 §13.7.1.4.
const XMPP_ADDR: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);
/// What the SRV name of a server of XMPP begins with.
const SERVICE: &str = "_xmpp-server.";
/// So many names are told to a person; a hosting company's certificate may have hundreds.
const NAMES_TOLD: usize = 3;

/// Who a peer should be, as certificates spell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A domain in A-labels and lower case.
    Domain(String),
    /// A domain that is an address.
    Address(IpAddr),
}

/// Who a certificate says that it is for. The subject's common name is no such place: "a client
/// MUST NOT seek a match for a reference identifier of CN-ID" (RFC 9525 §2, "CN-ID … MUST NOT be
/// used").
#[derive(Debug, Default)]
pub(crate) struct Names {
    domains: Vec<String>,
    /// The domains of SRV-IDs for servers of XMPP.
    services: Vec<String>,
    /// The domains of XMPP addresses.
    xmpp: Vec<String>,
    addresses: Vec<IpAddr>,
}

/// How a certificate names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// By DNS-ID or IP-ID, which an authority's name constraints bound.
    Plain,
    /// By SRV-ID or XMPP address only, which name constraints for domains say nothing of.
    Other,
}

impl Reference {
    /// A domain as JIDs have it; none if certificates cannot name it.
    pub(crate) fn of(domain: &str) -> Option<Self> {
        let bare = domain.trim_matches(['[', ']']);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        canonical(domain).map(Self::Domain)
    }
}

impl Names {
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return names };
        for name in &alternatives.value.general_names {
            names.add(name);
        }
        names
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.domains.extend(canonical(name)),
            GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
            GeneralName::OtherName(oid, value) if *oid == SRV_NAME => {
                let text = text(value).map(str::to_ascii_lowercase);
                let domain = text.as_deref().and_then(|text| text.strip_prefix(SERVICE));
                self.services.extend(domain.and_then(canonical));
            }
            GeneralName::OtherName(oid, value) if *oid == XMPP_ADDR => {
                // An address of a person stands for nobody's domain.
                let domain = text(value).filter(|text| !text.contains(['@', '/', '*']));
                self.xmpp.extend(domain.and_then(canonical));
            }
            _ => {}
        }
    }

    /// Whether the certificate is for `who`.
    pub(crate) fn cover(&self, who: &Reference) -> Option<Match> {
        let domain = match who {
            Reference::Address(address) => {
                return self.addresses.contains(address).then_some(Match::Plain);
            }
            Reference::Domain(domain) => domain,
        };
        let covers = |presented: &String| is_for(presented, domain);
        if self.domains.iter().any(covers) {
            return Some(Match::Plain);
        }
        // RFC 6120 §13.7.1.2.1: wildcards may stand in DNS-IDs and SRV-IDs.
        let is_other = self.services.iter().any(covers) || self.xmpp.contains(domain);
        is_other.then_some(Match::Other)
    }

    /// The names in words, as many as fit into a sentence; empty when there are none.
    pub(crate) fn told(&self) -> String {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        let texts = self.domains.iter().chain(&self.services).chain(&self.xmpp).cloned();
        let mut all: Vec<String> = Vec::new();
        for name in texts.chain(addresses) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        let more = all.len().saturating_sub(NAMES_TOLD);
        all.truncate(NAMES_TOLD);
        match more {
            0 => all.join(", "),
            more => format!("{} and {more} more", all.join(", ")),
        }
    }
}

/// Whether a presented name covers `domain`, both canonical (RFC 9525 §6.3: "There is only one
/// wildcard character"; it "appears only as the complete content of the left-most label"; it
/// stands for one label).
fn is_for(presented: &str, domain: &str) -> bool {
    let Some(parent) = presented.strip_prefix("*.") else { return presented == domain };
    // A wildcard for all of a top-level domain would be a mistake of its authority.
    let is_sound = parent.contains('.') && !parent.contains('*');
    let below = domain
        .split_once('.')
        .is_some_and(|(label, rest)| !label.is_empty() && label != "*" && rest == parent);
    is_sound && below
}

/// A domain in A-labels, in lower case, without the dot at the end.
fn canonical(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let (star, rest) = match domain.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", domain),
    };
    if rest.is_empty() || rest.len() > 255 {
        return None;
    }
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let ascii = match is_plain(rest) {
        true => rest.to_ascii_lowercase(),
        // This lets control characters through, and names come to logs and to terminals.
        false => idna::domain_to_ascii(rest).ok().filter(|ascii| is_plain(ascii))?,
    };
    Some(format!("{star}{ascii}"))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into())
}

/// The text inside an explicitly tagged `[0]` value.
fn text(value: &[u8]) -> Option<&str> {
    let (_, outer) = Any::from_der(value).ok()?;
    let (_, inner) = Any::from_der(outer.data).ok()?;
    std::str::from_utf8(inner.data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_whole_label() {
        let is_for = |presented: &str, domain: &str| {
            is_for(&canonical(presented).unwrap(), &canonical(domain).unwrap())
        };
        for (presented, domain) in [
            ("example.org", "example.org"),
            ("EXAMPLE.org", "example.ORG"),
            ("example.org.", "example.org"),
            ("*.example.org", "rooms.example.org"),
            ("xn--mnchen-3ya.example", "münchen.example"),
            ("*.example.org", "ü.example.org"),
        ] {
            assert!(is_for(presented, domain), "{presented} {domain}");
        }
        for (presented, domain) in [
            ("*.example.org", "example.org"),
            ("*.example.org", "a.b.example.org"),
            ("r*.example.org", "rooms.example.org"),
            ("rooms.*.org", "rooms.example.org"),
            ("*.*.org", "rooms.example.org"),
            ("*.org", "example.org"),
            ("*", "org"),
            ("example.org", "rooms.example.org"),
            ("example.org", "example.org.evil.example"),
            ("*.example.org", ".example.org"),
        ] {
            assert!(!is_for(presented, domain), "{presented} {domain}");
        }
    }

    #[test]
    fn a_domain_may_be_an_address() {
        assert_eq!(Reference::of("[::1]"), Some(Reference::Address("::1".parse().unwrap())));
        assert_eq!(Reference::of("192.0.2.1"), Some(Reference::Address([192, 0, 2, 1].into())));
        assert_eq!(Reference::of("a.Example"), Some(Reference::Domain("a.example".to_owned())));
        assert_eq!(address(&[1, 2, 3]), None);
    }

    #[test]
    fn a_text_is_found_inside_its_tags() {
        assert_eq!(text(b"\xa0\x05\x0c\x03a.b"), Some("a.b"));
        assert_eq!(text(b"\xa0\x05\x16\x03a.b"), Some("a.b"));
        assert_eq!(text(b"\xa0\x05\x0c\x09a.b"), None);
        assert_eq!(text(b""), None);
    }
}
