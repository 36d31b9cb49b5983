//! What a server stream is for, and what it must prove.

use std::sync::Arc;

use crate::role::server::Pair;

/// A stream that we open to another server.
#[derive(Clone, Debug)]
pub struct Call {
    /// `from` is ours, `to` the server that we call.
    pub pair: Pair,
    /// Why we call.
    pub purpose: Purpose,
    /// What the other side must prove.
    pub demand: Demand,
    /// Try SASL EXTERNAL where it is offered; without it dialback is all that is tried.
    pub external: bool,
    /// Let the peer write to us on the same stream, where it can (XEP-0288).
    pub bidi: bool,
    /// Count stanzas, where the peer can (XEP-0198).
    pub acks: bool,
}

/// Why we call another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To send stanzas.
    Link,
    /// To ask the authoritative server about a dialback key (XEP-0220 §2.1.2).
    Verify {
        /// The id of the stream that the key was sent on.
        id: String,
        /// The key.
        key: String,
    },
}

/// What another server must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Nothing happens without TLS.
    pub tls_required: bool,
    /// A certificate must vouch for its domain.
    pub certificate_required: bool,
    /// A dialback key is enough to come in; and we may show one where our certificate does not do.
    pub dialback_allowed: bool,
}

impl Default for Demand {
    /// TLS, and any proof.
    fn default() -> Self {
        Demand { tls_required: true, certificate_required: false, dialback_allowed: true }
    }
}

impl Demand {
    /// A certificate is shown during a TLS handshake, and nowhere else.
    pub(super) fn needs_tls(self) -> bool {
        self.tls_required || self.certificate_required
    }
}

/// What holds for streams of other servers that come in for one of our domains.
#[derive(Clone, Debug)]
pub struct Border {
    /// There is a certificate for our domain, so that STARTTLS can be offered.
    pub starttls: bool,
    /// What the peer must prove.
    pub demand: Demand,
    /// XEP-0288 is offered.
    pub bidi: bool,
    /// XEP-0198 is offered.
    pub acks: bool,
    /// Language of our header.
    pub lang: Arc<str>,
}

impl Default for Border {
    fn default() -> Self {
        let demand = Demand::default();
        Border { starttls: true, demand, bidi: true, acks: true, lang: "en".into() }
    }
}
