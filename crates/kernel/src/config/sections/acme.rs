//! Certificates that the server gets by itself.

use std::path::PathBuf;

use super::component::Secret;
use crate::config::section::Flaw;
use crate::config::uri::Uri;

crate::section! {
    /// Certificates that the server gets and renews by itself, from an authority that speaks ACME
    /// (RFC 8555), such as Let's Encrypt: for every `[[host]]` without a `certificate` of its own.
    /// `docs/certificates.md` tells what it needs.
    pub struct AcmeConfig("acme", check = AcmeConfig::check) {
        /// Whether certificates are got in this way.
        pub enabled: bool = false,
        /// Whether you agree to the terms of service of the authority. Without that there are no
        /// certificates.
        pub terms_agreed: bool = false,
        /// The authority, by the address of its directory. To try things out, Let's Encrypt has
        /// `https://acme-staging-v02.api.letsencrypt.org/directory`, whose certificates nobody
        /// trusts.
        pub directory: Uri = "https://acme-v02.api.letsencrypt.org/directory",
        /// Where the authority may write to you, such as `["mailto:admin@example.org"]`.
        pub contact: Vec<Uri> = [],
        /// How it is proven that a domain leads here.
        pub challenge: Challenge = "auto",
        /// What kind of key new certificates are for.
        pub key: KeyKind = "p256",
        /// Whether certificates also name the services and components below their domain, such as
        /// `rooms.example.org`, which other servers ask for. A name that the authority cannot reach
        /// is left out.
        pub services: bool = true,
        /// Certificates (PEM) of the authorities that are trusted when the directory is asked, in
        /// place of those that this machine trusts: for an authority of your own network.
        pub authorities: Option<PathBuf> = None,
        /// The name of an account that you have with the authority already, where it asks for one
        /// (external account binding). Needs `external_key` or `external_key_file`.
        pub external_account: Option<String> = None,
        /// The key that the authority gave you for that account (base64url):
        /// `external_key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"`.
        pub external_key: Option<Secret> = None,
        /// A file that holds this key; then `external_key` does not count.
        pub external_key_file: Option<PathBuf> = None,
        /// How long one order may take (seconds).
        pub order_seconds: u32 = 180 in 5..=3600,
        /// How long it is waited after an order that failed, before the next (seconds). The time
        /// doubles with each failure in a row, up to a day. Authorities count failures.
        pub retry_seconds: u32 = 900 in 1..=86400,
    }
}

crate::choice! {
    /// How it is proven that a domain leads here.
    pub enum Challenge {
        /// By the one whose port this server listens on, else by `http-01`; after a failure by the
        /// other.
        Auto = "auto",
        /// The authority asks for a page on port 80, which `listen.challenges` or a proxy serves.
        Http01 = "http-01",
        /// The authority asks for a certificate on port 443, which must lead to a port of ours
        /// with TLS (RFC 8737).
        TlsAlpn01 = "tls-alpn-01",
    }
}

crate::choice! {
    /// A kind of key.
    pub enum KeyKind {
        /// ECDSA on P-256: small and fast, and known to every client of today.
        P256 = "p256",
        /// ECDSA on P-384.
        P384 = "p384",
        /// RSA with 2048 bits, for clients that are older than ECDSA.
        Rsa2048 = "rsa2048",
        /// RSA with 4096 bits: slow handshakes.
        Rsa4096 = "rsa4096",
    }
}

impl AcmeConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        // RFC 8555 §6.1: authorities are asked over HTTPS only.
        if !self.directory.is_private() {
            return flaw("directory", "it must begin with https://");
        }
        let has_key = self.external_key.is_some() || self.external_key_file.is_some();
        if self.external_account.is_some() && !has_key {
            return flaw("external_account", "it needs `external_key` beside it");
        }
        if self.enabled && !self.terms_agreed {
            let problem = "an authority gives nothing to who does not agree to its terms: read \
                           them, and write `terms_agreed = true`";
            return flaw("enabled", problem);
        }
        Ok(())
    }
}
