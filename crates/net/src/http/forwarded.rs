//! Who the client is when a proxy stands in between. A proxy is believed only if it is listed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{FORWARDED, HeaderMap};

/// A range of addresses: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    start: IpAddr,
    prefix: u32,
}

/// Which header field the trusted proxies set. Only that one is read, because most proxies pass
/// the other on as the client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`, as nginx, HAProxy, Caddy and Traefik do.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Where they are.
    pub networks: Vec<Network>,
    /// How they say who the client is.
    pub header: ProxyHeader,
}

/// What a trusted proxy says of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    /// The client came to the proxy over TLS.
    pub(crate) is_secure: bool,
}

impl Proxies {
    /// Whether `ip` is a trusted proxy.
    pub fn trust(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// The client behind `peer`; None unless a trusted proxy names one.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Client> {
        if !self.trust(peer) {
            return None;
        }
        match self.header {
            ProxyHeader::XForwarded => self.x_forwarded(headers),
            ProxyHeader::Forwarded => self.forwarded(headers),
        }
    }

    fn x_forwarded(&self, headers: &HeaderMap) -> Option<Client> {
        let hops: Vec<_> = values(headers, "x-forwarded-for").map(address).collect();
        let mut schemes = values(headers, "x-forwarded-proto").peekable();
        // One hop without TLS is enough to be insecure.
        let is_secure =
            schemes.peek().is_some() && schemes.all(|scheme| scheme.eq_ignore_ascii_case("https"));
        let ip = self.first_stranger(hops.iter().copied())?;
        Some(Client { ip, is_secure })
    }

    fn forwarded(&self, headers: &HeaderMap) -> Option<Client> {
        let elements: Vec<_> = values(headers, FORWARDED.as_str()).map(element).collect();
        let ip = self.first_stranger(elements.iter().map(|(ip, _)| *ip))?;
        let is_secure = elements
            .iter()
            .rev()
            .find(|(one, _)| *one == Some(ip))
            .is_some_and(|(_, is_secure)| *is_secure);
        Some(Client { ip, is_secure })
    }

    /// From the nearest hop outwards: the first that is no proxy of ours. What lies beyond it
    /// anyone can write.
    fn first_stranger(
        &self,
        hops: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    ) -> Option<IpAddr> {
        let mut last = None;
        for hop in hops.rev() {
            last = Some(hop?);
            if !self.trust(hop?) {
                break;
            }
        }
        last
    }
}

/// The comma-separated values of all header fields of that name.
fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// An address with or without port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// One element of `Forwarded` (RFC 7239 §4): its `for` address and whether `proto` is https.
fn element(text: &str) -> (Option<IpAddr>, bool) {
    let (mut ip, mut is_secure) = (None, false);
    for pair in text.split(';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => ip = address(value.trim()),
            "proto" => is_secure = value.trim().trim_matches('"').eq_ignore_ascii_case("https"),
            _ => {}
        }
    }
    (ip, is_secure)
}

impl Network {
    /// Whether `ip` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.start, ip.to_canonical()) {
            (IpAddr::V4(start), IpAddr::V4(ip)) => {
                let cut = |bits: u32| bits.checked_shr(32 - self.prefix).unwrap_or(0);
                cut(start.to_bits()) == cut(ip.to_bits())
            }
            (IpAddr::V6(start), IpAddr::V6(ip)) => {
                let cut = |bits: u128| bits.checked_shr(128 - self.prefix).unwrap_or(0);
                cut(start.to_bits()) == cut(ip.to_bits())
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no address or network, such as 10.0.0.0/8");
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let start: IpAddr = ip.trim().parse().map_err(|_| wrong())?;
        let longest = if start.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| wrong())?,
            None => longest,
        };
        if prefix > longest { Err(wrong()) } else { Ok(Self { start, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let networks = ["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"];
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Proxies { networks, header }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn ask(header: ProxyHeader, peer: &str, pairs: &[(&'static str, &str)]) -> Option<String> {
        let client = proxies(header).client(peer.parse().unwrap(), &headers(pairs))?;
        Some(format!("{} {}", client.ip, client.is_secure))
    }

    #[test]
    fn networks_are_read_and_contain_their_addresses() {
        let contains = |network: &str, ip: &str| {
            network.parse::<Network>().unwrap().contains(ip.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("::1", "::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "localhost", "1.2.3.4/x"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_listed_proxy_is_believed_and_only_its_header() {
        use ProxyHeader::{Forwarded, XForwarded};
        let spoof = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(ask(XForwarded, "203.0.113.1", &spoof), None);
        assert_eq!(ask(Forwarded, "127.0.0.1", &spoof), None);
        assert_eq!(ask(XForwarded, "127.0.0.1", &spoof), Some("192.0.2.1 true".to_owned()));
        let other = [("forwarded", "for=192.0.2.1;proto=https")];
        assert_eq!(ask(XForwarded, "127.0.0.1", &other), None);
        assert_eq!(ask(Forwarded, "127.0.0.1", &other), Some("192.0.2.1 true".to_owned()));
    }

    #[test]
    fn the_nearest_stranger_is_the_client() {
        let x = |hops: &str, scheme: &str| {
            let pairs = [("x-forwarded-for", hops), ("x-forwarded-proto", scheme)];
            ask(ProxyHeader::XForwarded, "10.0.0.1", &pairs)
        };
        assert_eq!(x("198.51.100.66, 192.0.2.1, 10.2.3.4", "https").unwrap(), "192.0.2.1 true");
        assert_eq!(x("10.9.9.9, 10.2.3.4", "https, http").unwrap(), "10.9.9.9 false");
        assert_eq!(x("192.0.2.1:4711", "HTTPS").unwrap(), "192.0.2.1 true");
        assert_eq!(x("[2001:db9::7]:4711", "http").unwrap(), "2001:db9::7 false");
        assert_eq!(x("192.0.2.1, unknown", "https"), None);
        let rfc = "for=198.51.100.66, For=\"[2001:db9::7]:4711\";proto=https;by=10.0.0.1, \
                   for=10.2.3.4;proto=http";
        let asked = ask(ProxyHeader::Forwarded, "10.0.0.1", &[("forwarded", rfc)]);
        assert_eq!(asked.unwrap(), "2001:db9::7 true");
    }
}
