//! What is counted of other servers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use waxwing_stanza::Kind;

use super::{ByKind, Connected};

type Labels = [(&'static str, &'static str); 2];

/// Counters about other servers.
#[derive(Debug)]
pub struct Peers {
    links: Family<Labels, Gauge>,
    dialling: Gauge,
    queued: Gauge,
    received: ByKind,
    sent: ByKind,
    failures: Family<Labels, Counter>,
}

impl Peers {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let own = registry.sub_registry_with_prefix("federation");
        let links = Family::default();
        let help = "Pairs of domains on open server streams, by direction and proof";
        own.register("links", help, links.clone());
        let (dialling, queued) = (Gauge::default(), Gauge::default());
        own.register("dialling", "Servers that are being connected to", dialling.clone());
        own.register("queued", "Stanzas that wait for other servers", queued.clone());
        let received = ByKind::new(own, "stanzas_received", "Stanzas from other servers by kind");
        let sent = ByKind::new(own, "stanzas_sent", "Stanzas to other servers by kind");
        let failures = Family::default();
        let help = "Links that failed, and arrivals that were refused, by reason";
        own.register("failures", help, failures.clone());
        Self { links, dialling, queued, received, sent, failures }
    }

    /// A pair is linked; it is counted for as long as the answer lives.
    pub fn linked(&self, direction: &'static str, proof: &'static str) -> Connected {
        let open = self.links.get_or_create_owned(&[("direction", direction), ("proof", proof)]);
        open.inc();
        Connected(open)
    }

    /// So many more servers are being connected to.
    pub fn dialling(&self, more: i64) {
        self.dialling.inc_by(more);
    }

    /// So many more stanzas wait.
    pub fn queued(&self, more: i64) {
        self.queued.inc_by(more);
    }

    /// Another server sent a stanza.
    pub fn stanza_in(&self, kind: Kind) {
        self.received.of(kind).inc();
    }

    /// Another server was sent a stanza.
    pub fn stanza_out(&self, kind: Kind) {
        self.sent.of(kind).inc();
    }

    /// Something did not work, for a reason such as `certificate`.
    pub fn failed(&self, direction: &'static str, reason: &'static str) {
        self.failures.get_or_create(&[("direction", direction), ("reason", reason)]).inc();
    }
}
