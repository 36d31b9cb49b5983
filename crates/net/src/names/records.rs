//! The DNS records that a domain of ours should have, as lines for its zone.

use std::fmt::Write;

/// Seconds that others may keep the records.
const TTL: u32 = 3600;
/// RFC 2782: one machine, so any priority and weight will do.
const RANK: &str = "5 0";

/// The machine that serves a domain, as others reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name in DNS, in A-labels.
    pub host: String,
    /// The port for clients with STARTTLS.
    pub client: Option<u16>,
    /// The port for clients with direct TLS.
    pub client_tls: Option<u16>,
    /// The port for servers with STARTTLS.
    pub server: Option<u16>,
    /// The port for servers with direct TLS.
    pub server_tls: Option<u16>,
    /// SHA-256 of the SubjectPublicKeyInfo of its certificate, for DANE.
    pub key: Option<[u8; 32]>,
}

/// The lines for the zone of `domain` (A-labels): SRV (RFC 6120 §3.2.1, XEP-0368), and with a key
/// TLSA (RFC 7671 §5.1: usage DANE-EE, of the public key, by SHA-256), which count only where the
/// zone is signed.
pub fn records_for(domain: &str, machine: &Machine) -> Vec<String> {
    let host = &machine.host;
    let services = [
        ("xmpp-client", machine.client),
        ("xmpps-client", machine.client_tls),
        ("xmpp-server", machine.server),
        ("xmpps-server", machine.server_tls),
    ];
    let mut lines: Vec<_> = services
        .iter()
        .filter_map(|(service, port)| Some((service, (*port)?)))
        .map(|(service, port)| {
            format!("_{service}._tcp.{domain}. {TTL} IN SRV {RANK} {port} {host}.")
        })
        .collect();
    if let Some(key) = &machine.key {
        let mut hash = String::new();
        for byte in key {
            let _ = write!(hash, "{byte:02x}");
        }
        let ports = services.iter().filter_map(|(_, port)| *port);
        lines.extend(ports.map(|port| format!("_{port}._tcp.{host}. {TTL} IN TLSA 3 1 1 {hash}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_port_gets_its_records() {
        let machine = Machine {
            host: "xmpp.example.org".to_owned(),
            client: Some(5222),
            server: Some(5269),
            server_tls: Some(5270),
            key: Some([0xab; 32]),
            ..Machine::default()
        };
        let hash = "ab".repeat(32);
        assert_eq!(
            records_for("example.org", &machine),
            [
                "_xmpp-client._tcp.example.org. 3600 IN SRV 5 0 5222 xmpp.example.org.".to_owned(),
                "_xmpp-server._tcp.example.org. 3600 IN SRV 5 0 5269 xmpp.example.org.".to_owned(),
                "_xmpps-server._tcp.example.org. 3600 IN SRV 5 0 5270 xmpp.example.org.".to_owned(),
                format!("_5222._tcp.xmpp.example.org. 3600 IN TLSA 3 1 1 {hash}"),
                format!("_5269._tcp.xmpp.example.org. 3600 IN TLSA 3 1 1 {hash}"),
                format!("_5270._tcp.xmpp.example.org. 3600 IN TLSA 3 1 1 {hash}"),
            ]
        );
        assert!(records_for("example.org", &Machine::default()).is_empty());
    }
}
