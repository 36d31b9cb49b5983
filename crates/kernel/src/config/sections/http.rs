//! How the server is reached by HTTP.

use std::fmt;
use std::net::IpAddr;

use crate::config::value::worded;

crate::section! {
    /// HTTP: WebSocket, pages, metrics.
    pub struct HttpConfig("http") {
        /// Where browsers reach the server, such as `https://chat.example.org`, when that is not
        /// the domain itself: behind a proxy, or under another name.
        pub public_url: Option<PublicUrl> = None,
        /// The addresses under which the internet reaches this server, such as
        /// `["203.0.113.7"]`. With them `host-meta.json` tells clients every way in, so that they
        /// need not ask DNS (XEP-0487).
        pub addresses: Vec<PublicAddress> = [],
        /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        pub trusted_proxies: Vec<Network> = [],
        /// Web origins whose pages may open a WebSocket, such as `https://app.example.org`, on
        /// domains that list none themselves. An empty list lets every page: none can sign in
        /// without a password anyway.
        pub origins: Vec<String> = [],
        /// Whether messages on WebSockets may be compressed where the client can (RFC 7692). Short
        /// ones never are, nor is anything of ours before the client has signed in.
        pub deflate: bool = true,
        /// Whether `/metrics` answers only to this machine and the trusted proxies.
        pub metrics_private: bool = true,
    }
}

/// The beginning of a web address: a scheme, a host, perhaps a port and a path; no `/` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads `https://host[:port][/path]`, or the same with `http`.
    pub fn new(url: &str) -> Result<Self, &'static str> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or("it must begin with https:// or http://")?;
        if rest.starts_with('/') || rest.is_empty() {
            return Err("the name of the host is missing");
        }
        if rest.contains(['?', '#', ' ', '@', '"', '<', '>', '\'']) {
            return Err("only a host, a port and a path may follow");
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is reached by TLS.
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The same place for a WebSocket: `wss://…` or `ws://…`.
    pub fn to_websocket(&self) -> String {
        self.0.replacen("http", "ws", 1)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

worded!(PublicUrl, "a web address such as \"https://chat.example.org\"", PublicUrl::new);

/// An address that others reach this machine by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicAddress(IpAddr);

impl PublicAddress {
    /// Reads an address; one that only this machine has is refused.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let ip: IpAddr = text.parse().map_err(|_| "the address is not written in numbers")?;
        match ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            true => Err("nobody else reaches this machine there"),
            false => Ok(Self(ip)),
        }
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

worded!(PublicAddress, "an address such as \"203.0.113.7\" or \"2001:db8::7\"", PublicAddress::new);

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| "the address is not written in numbers")?;
        let width: u8 = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).ok().filter(|bits| *bits <= width);
        let network = Self { base, bits: bits.ok_or("the number of bits is wrong")? };
        // A base with more bits than the mask counts is a slip worth pointing out.
        if network.contains(base) && network.masked(base) == number(base) {
            Ok(network)
        } else {
            Err("the address has bits beyond the prefix")
        }
    }

    /// Whether an address lies inside. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && self.masked(address) == self.masked(self.base)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let rest = width - u32::from(self.bits);
        number(address).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

worded!(Network, "a network such as \"10.0.0.0/8\" or \"::1\"", Network::new);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::/0", "::1", "1.2.3.4"),
            ("192.168.0.0/16", "::ffff:192.168.3.4", "::ffff:192.169.0.0"),
        ] {
            let network = Network::new(network).expect(network);
            assert!(network.contains(inside.parse().expect(inside)), "{network} {inside}");
            assert!(!network.contains(outside.parse().expect(outside)), "{network} {outside}");
        }
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.1/8", "example.org", "1.2.3.4/x"] {
            assert!(Network::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn public_urls_end_without_a_slash() {
        let url = PublicUrl::new("https://a.example/xmpp/").expect("a URL");
        assert_eq!(url.as_str(), "https://a.example/xmpp");
        assert_eq!(url.to_websocket(), "wss://a.example/xmpp");
        for wrong in ["ftp://a", "https://", "https:///x", "https://a/?b", "https://u@a"] {
            assert!(PublicUrl::new(wrong).is_err(), "{wrong}");
        }
    }
}
