//! Which mechanisms exist, and which of them one stream offers.

use std::fmt;

use crate::host::{Host, Security};
use crate::sasl::{Failure, FailureCondition, Hash, TokenBinding};

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM; with `true`, its -PLUS form, which binds the channel.
    Scram(Hash, bool),
    /// RFC 4616.
    Plain,
    /// RFC 4422 appendix A, with the certificate of the TLS handshake.
    External,
    /// RFC 4505.
    Anonymous,
    /// RFC 7628, with a token that somebody else gave out.
    Bearer,
    /// A token of XEP-0484, by the extensible profile only.
    Token(TokenBinding),
}

impl Mechanism {
    /// The mechanism with this registered name.
    pub fn parse(name: &str) -> Option<Mechanism> {
        match name {
            "PLAIN" => return Some(Mechanism::Plain),
            "EXTERNAL" => return Some(Mechanism::External),
            "ANONYMOUS" => return Some(Mechanism::Anonymous),
            "OAUTHBEARER" => return Some(Mechanism::Bearer),
            _ => {}
        }
        if let Some(token) = TokenBinding::ALL.into_iter().find(|known| known.mechanism() == name) {
            return Some(Mechanism::Token(token));
        }
        let scram = name.strip_prefix("SCRAM-")?;
        let (hash, plus) = match scram.strip_suffix("-PLUS") {
            Some(hash) => (hash, true),
            None => (scram, false),
        };
        let hash = Hash::ALL.into_iter().find(|known| known.name() == hash)?;
        Some(Mechanism::Scram(hash, plus))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mechanism::Scram(hash, plus) => {
                write!(f, "SCRAM-{}{}", hash.name(), if *plus { "-PLUS" } else { "" })
            }
            Mechanism::Plain => f.write_str("PLAIN"),
            Mechanism::External => f.write_str("EXTERNAL"),
            Mechanism::Anonymous => f.write_str("ANONYMOUS"),
            Mechanism::Bearer => f.write_str("OAUTHBEARER"),
            Mechanism::Token(binding) => f.write_str(binding.mechanism()),
        }
    }
}

/// What a stream offers, the preferred first (RFC 6120 §6.3.3).
pub(crate) fn offered(host: &Host, security: &Security) -> Vec<Mechanism> {
    let scram = |plus| Hash::ALL.map(|hash| Mechanism::Scram(hash, plus));
    let mut all = vec![Mechanism::External];
    all.extend(scram(true));
    all.extend(scram(false));
    all.extend([Mechanism::Bearer, Mechanism::Plain, Mechanism::Anonymous]);
    all.retain(|mechanism| refusal(*mechanism, host, security).is_none());
    all
}

/// What a stream offers to who has a token (XEP-0484 §3.1).
pub(crate) fn offered_tokens(host: &Host, security: &Security) -> Vec<Mechanism> {
    let all = TokenBinding::ALL.map(Mechanism::Token);
    all.into_iter().filter(|token| refusal(*token, host, security).is_none()).collect()
}

/// What a client may make keys for (XEP-0480): what is offered and stronger than SHA-1.
pub(crate) fn upgrades(host: &Host) -> Vec<Hash> {
    let is_allowed = |hash: &Hash| host.mechanisms.allow(Mechanism::Scram(*hash, false));
    Hash::ALL.into_iter().filter(|hash| *hash != Hash::Sha1).filter(is_allowed).collect()
}

/// Whether the profile of XEP-0388 is offered. "SASL2 MUST only be used by Clients or offered by
/// Servers after TLS negotiation" (§5), or where there is nobody to protect it from; and it "MUST
/// NOT be offered if not at least one mechanism can be provided" (§2.1).
pub(crate) fn offers_sasl2(host: &Host, security: &Security) -> bool {
    host.sasl2 && security.is_private() && !offered(host, security).is_empty()
}

/// Why `mechanism` is not offered; `None` if it is.
pub(crate) fn refusal(
    mechanism: Mechanism,
    host: &Host,
    security: &Security,
) -> Option<FailureCondition> {
    let encrypted = security.is_encrypted();
    let weak = matches!(mechanism, Mechanism::Plain | Mechanism::Scram(..));
    match mechanism {
        _ if host.require_tls && !security.is_private() => {
            Some(FailureCondition::EncryptionRequired)
        }
        // RFC 6120 §6.5.9: "The mechanism requested by the initiating entity is weaker than
        // server policy permits for that initiating entity."
        _ if !host.mechanisms.allow(mechanism) && weak => Some(FailureCondition::MechanismTooWeak),
        Mechanism::Token(_) if !host.tokens => Some(FailureCondition::InvalidMechanism),
        Mechanism::Bearer if host.bearer.is_none() => Some(FailureCondition::InvalidMechanism),
        _ if !host.mechanisms.allow(mechanism) => Some(FailureCondition::InvalidMechanism),
        Mechanism::Plain if !encrypted && !host.plain_without_tls => {
            Some(FailureCondition::EncryptionRequired)
        }
        // XEP-0484 §6: "only ... over a secure connection": whoever reads it can say it again.
        // RFC 7628 §3: "MUST be used over TLS" likewise.
        Mechanism::Token(_) | Mechanism::Bearer if !encrypted && !host.plain_without_tls => {
            Some(FailureCondition::EncryptionRequired)
        }
        Mechanism::Token(binding)
            if binding.kind().is_some_and(|kind| security.binding(kind).is_none()) =>
        {
            Some(FailureCondition::InvalidMechanism)
        }
        Mechanism::Scram(_, true) if !security.binds_channel() => {
            Some(FailureCondition::InvalidMechanism)
        }
        // XEP-0178 §2: only to who came with a certificate that can be verified.
        Mechanism::External if security.peer_certificate.is_none() || !security.peer_verified => {
            Some(FailureCondition::InvalidMechanism)
        }
        _ => None,
    }
}

impl From<FailureCondition> for Failure {
    fn from(condition: FailureCondition) -> Self {
        Failure::new(condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{BearerOffer, Mechanisms};

    fn names(host: &Host, security: &Security) -> String {
        let names: Vec<String> = offered(host, security).iter().map(Mechanism::to_string).collect();
        names.join(" ")
    }

    #[test]
    fn names_are_read_and_written() {
        for name in [
            "HT-SHA-256-NONE",
            "HT-SHA-256-ENDP",
            "HT-SHA-256-EXPR",
            "SCRAM-SHA-1",
            "SCRAM-SHA-512-PLUS",
            "PLAIN",
            "EXTERNAL",
            "ANONYMOUS",
            "OAUTHBEARER",
        ] {
            assert_eq!(Mechanism::parse(name).unwrap().to_string(), name);
        }
        for name in ["", "SCRAM-", "SCRAM-SHA-256-", "SCRAM-PLUS", "plain", "HT-SHA-256-UNIQ"] {
            assert_eq!(Mechanism::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_transport_decides_what_is_offered() {
        let mut host = Host::new("example.org", [0; 32]);
        let clear = Security::default();
        let tls = Security { tls: true, exporter: Some([1; 32]), ..Security::default() };
        let proxy = Security { trusted_proxy: true, ..Security::default() };
        assert_eq!(names(&host, &clear), "");
        assert_eq!(names(&host, &proxy), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN");
        assert_eq!(
            names(&host, &tls),
            "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS \
             SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"
        );
        host.require_tls = false;
        assert_eq!(names(&host, &clear), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1");
        host.plain_without_tls = true;
        assert!(names(&host, &clear).ends_with(" PLAIN"));
    }

    #[test]
    fn a_bearer_of_tokens_needs_somebody_who_knows_them_and_tls() {
        let mut host = Host::new("example.org", [0; 32]);
        let tls = Security { tls: true, ..Security::default() };
        assert!(!names(&host, &tls).contains("OAUTHBEARER"));
        host.bearer = Some(BearerOffer::default());
        host.mechanisms = Mechanisms { plain: false, ..Mechanisms::default() };
        assert!(names(&host, &tls).ends_with(" OAUTHBEARER"));
        host.require_tls = false;
        let condition = refusal(Mechanism::Bearer, &host, &Security::default());
        assert_eq!(condition, Some(FailureCondition::EncryptionRequired));
    }

    #[test]
    fn external_needs_a_certificate_and_anonymous_a_policy() {
        let mut host = Host::new("example.org", [0; 32]);
        let all = Mechanisms { external: true, anonymous: true, ..Mechanisms::default() };
        host.mechanisms = all;
        let mut tls = Security { tls: true, ..Security::default() };
        assert!(!names(&host, &tls).contains("EXTERNAL"));
        assert!(names(&host, &tls).ends_with("PLAIN ANONYMOUS"));
        tls.peer_certificate = Some(vec![1]);
        assert!(!names(&host, &tls).contains("EXTERNAL"), "nobody vouches for it");
        tls.peer_verified = true;
        assert!(names(&host, &tls).starts_with("EXTERNAL SCRAM"));
    }
}
