#![cfg_attr(not(doctest), doc = include_str!("certificates.md"))]

use std::sync::Arc;

use waxwing_kernel::certificates::{CertificateKeeper, ShownCertificate};
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{Caller, Command, CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, form};

/// The day of a date as it is written.
const DAY: usize = "2026-01-31".len();

form! {
    /// Show the certificates of the server, with what went wrong when one was ordered.
    pub struct ListCertificates {
        /// Only that of this domain. All if nothing is said, for whoever may see all.
        pub host: Option<String>,
    }
}
static LIST: CommandAbout =
    CommandAbout::of::<ListCertificates>("urn:waxwing:certificates#list", &["certificate", "list"])
        .reads();

form! {
    /// Order a new certificate for a domain now, and put it in use.
    pub struct RenewCertificate {
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
static RENEW: CommandAbout = CommandAbout::of::<RenewCertificate>(
    "urn:waxwing:certificates#renew",
    &["certificate", "renew"],
);

/// Tells of the certificates of the server, and orders new ones.
pub struct Certificates {
    hub: Hub,
    domain: String,
}

impl Module for Certificates {
    const ABOUT: &'static About = &About {
        name: "certificates",
        summary: "Tells of the certificates of the server, and orders new ones.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("certificates.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { hub: site.hub(), domain: site.jid().domain().to_owned() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.command(|certificates| Command::new(&LIST, certificates, Self::list));
        on.command(|certificates| Command::new(&RENEW, certificates, Self::renew));
    }
}

impl Certificates {
    async fn list(self: Arc<Self>, order: Order<ListCertificates>) -> Result<Said, Refusal> {
        let sees_all = match &order.caller {
            Caller::Operator => true,
            Caller::Token { everywhere, .. } => *everywhere,
            Caller::Account(_) => false,
        };
        let is_all = sees_all && order.form.host.is_none();
        let shown = self.keeper()?.list().into_iter();
        let mut grid = Grid::new(&[
            ("domain", "Domain"),
            ("source", "From"),
            ("expires", "Expires"),
            ("renewed", "Renewed"),
            ("names", "Names"),
            ("fingerprint", "SHA-256"),
            ("trouble", "Trouble"),
        ]);
        for one in shown.filter(|one| is_all || one.domain == self.domain) {
            grid.row(cells(one));
        }
        Ok(Said::default().table(grid))
    }

    async fn renew(self: Arc<Self>, order: Order<RenewCertificate>) -> Result<Said, Refusal> {
        tracing::info!(by = ?order.caller, host = self.domain, "certificate ordered");
        let renewed = self.keeper()?.renew(&self.domain).await;
        renewed.map(Said::note).map_err(Refusal::not_allowed)
    }

    fn keeper(&self) -> Result<Arc<dyn CertificateKeeper>, Refusal> {
        let keeper = self.hub.certificates().cloned();
        keeper.ok_or_else(|| Refusal::not_allowed("this server keeps no certificates"))
    }
}

fn cells(one: ShownCertificate) -> [String; 7] {
    let day = |millis: u64| stamp_of(millis).get(..DAY).unwrap_or_default().to_owned();
    // Whoever wonders why reads it once; the rest of the line is for every day.
    [
        one.domain,
        one.source.word().to_owned(),
        day(one.until_millis),
        one.renewal_millis.map(day).unwrap_or_default(),
        one.names.join(" "),
        one.fingerprint,
        one.trouble,
    ]
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::certificates::CertificateSource;

    use super::*;

    #[test]
    fn a_certificate_is_a_row() {
        let one = ShownCertificate {
            domain: "example.org".to_owned(),
            names: vec!["example.org".to_owned(), "rooms.example.org".to_owned()],
            source: CertificateSource::Authority,
            until_millis: 1_800_000_000_000,
            renewal_millis: Some(1_797_000_000_000),
            fingerprint: "AB:CD".to_owned(),
            trouble: String::new(),
        };
        let row = ["example.org", "acme", "2027-01-15", "2026-12-11"];
        assert_eq!(cells(one.clone())[..4], row);
        assert_eq!(cells(one.clone())[4], "example.org rooms.example.org");
        let own = ShownCertificate { renewal_millis: None, ..one };
        assert_eq!(cells(own)[3], "");
    }
}
