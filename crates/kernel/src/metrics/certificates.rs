//! What is counted of certificates.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Label;

/// When certificates end, and how orders for new ones went.
#[derive(Debug)]
pub struct Certificates {
    ends: Family<[(&'static str, String); 1], Gauge>,
    orders: Family<Label, Counter>,
}

impl Certificates {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (ends, orders) = (Family::default(), Family::default());
        let help = "When the certificate that a domain shows expires, in Unix time";
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            help,
            Unit::Seconds,
            Family::clone(&ends),
        );
        let help = "Certificates ordered of an authority (ACME), by what came of it";
        registry.register("certificate_orders", help, Family::clone(&orders));
        Self { ends, orders }
    }

    /// When the certificates expire now: domains, and Unix seconds.
    pub fn show(&self, ends: impl Iterator<Item = (String, i64)>) {
        self.ends.clear();
        for (domain, end) in ends {
            self.ends.get_or_create(&[("domain", domain)]).set(end);
        }
    }

    /// An order is over.
    pub fn ordered(&self, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        self.orders.get_or_create(&[("outcome", outcome)]).inc();
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{Metrics, Process};

    #[test]
    fn only_what_is_shown_now_is_told() {
        let metrics = Metrics::new("0", "test");
        let certificates = metrics.certificates();
        certificates.show([("old.example".to_owned(), 1)].into_iter());
        certificates.show([("new.example".to_owned(), 1_800_000_000)].into_iter());
        certificates.ordered(true);
        certificates.ordered(false);
        certificates.ordered(false);
        let text = metrics.to_text(&Process::default());
        let is_told = |line: &str| text.lines().any(|told| told == line);
        let end = "waxwing_certificate_expiry_timestamp_seconds{domain=\"new.example\"} 1800000000";
        assert!(is_told(end), "{text}");
        assert!(!text.contains("old.example"), "{text}");
        assert!(is_told("waxwing_certificate_orders_total{outcome=\"done\"} 1"), "{text}");
        assert!(is_told("waxwing_certificate_orders_total{outcome=\"failed\"} 2"), "{text}");
    }
}
