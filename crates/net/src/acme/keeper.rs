//! The certificates of the server, for its commands.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use waxwing_kernel::certificates::{CertificateKeeper, CertificateSource, ShownCertificate};
use waxwing_kernel::request::Answer;

use super::Acme;
use crate::tls::{InUse, ascii};

/// How long whoever ordered a certificate by hand is kept waiting; the order goes on.
const PATIENCE: Duration = Duration::from_secs(90);

/// Tells commands of the certificates, and takes their orders.
pub struct Keeper(Arc<Acme>);

impl Keeper {
    /// Speaks for `acme`.
    pub fn new(acme: Arc<Acme>) -> Self {
        Self(acme)
    }
}

impl CertificateKeeper for Keeper {
    fn list(&self) -> Vec<ShownCertificate> {
        let shown = self.0.tls.shown().into_iter();
        shown.map(|(domain, in_use)| self.0.shown(domain, in_use)).collect()
    }

    fn renew(&self, domain: &str) -> Answer<'static, Result<String, String>> {
        let (acme, domain) = (Arc::clone(&self.0), domain.to_owned());
        Box::pin(async move {
            acme.may_order(&domain)?;
            let (tell, told) = oneshot::channel();
            let (clock, name) = (acme.clock.clone(), domain.clone());
            clock.spawn(async move {
                // Nobody may wait any more.
                let _ = tell.send(acme.order_by_hand(name).await);
            });
            match timeout(PATIENCE, told).await {
                Ok(answer) => answer.unwrap_or_else(|_| Err("The order broke off.".to_owned())),
                Err(_) => Ok(format!(
                    "The certificate for {domain} is ordered, and the authority takes its time. \
                     What comes of it is in the log and in the list of certificates."
                )),
            }
        })
    }
}

impl Acme {
    fn shown(&self, domain: String, in_use: InUse) -> ShownCertificate {
        let options = self.options();
        let name = ascii(&domain);
        let is_ordered = options.is_on
            && !self.tls.is_configured(&name)
            && options.orders.iter().any(|wanted| wanted.domain == name);
        let book = self.book.lock();
        let page = Some(book.page(&name)).filter(|_| is_ordered);
        let millis = |seconds: i64| u64::try_from(seconds).unwrap_or_default() * 1000;
        let mut trouble = page.map_or_else(String::new, |page| page.notes.trouble.clone());
        for why in page.iter().flat_map(|page| page.notes.left_out.values()) {
            trouble.push_str(if trouble.is_empty() { "" } else { " " });
            trouble.push_str(why);
        }
        ShownCertificate {
            domain,
            source: match (in_use.is_generated, in_use.is_obtained) {
                (true, _) => CertificateSource::Own,
                (_, true) => CertificateSource::Authority,
                _ => CertificateSource::File,
            },
            names: in_use.names,
            until_millis: millis(in_use.expires_at),
            renewal_millis: page.and_then(|page| page.renewal()).map(millis),
            fingerprint: in_use.fingerprint,
            trouble,
        }
    }

    /// Whether there is anything to order for a domain.
    fn may_order(&self, domain: &str) -> Result<(), String> {
        let (options, name) = (self.options(), ascii(domain));
        if !options.is_on {
            return Err("Certificates are not ordered by this server: write `enabled = true` \
                        below [acme]."
                .to_owned());
        }
        if self.tls.is_configured(&name) {
            return Err(format!(
                "The certificate of {domain} is in files that you named. Renew it where it comes \
                 from; the new files are noticed."
            ));
        }
        match options.orders.iter().any(|wanted| wanted.domain == name) {
            true => Ok(()),
            false => Err(format!("No certificate is ordered for {domain}: see its [[host]].")),
        }
    }

    async fn order_by_hand(self: Arc<Self>, domain: String) -> Result<String, String> {
        let options = self.options();
        let name = ascii(&domain);
        let wanted = options.orders.iter().find(|wanted| wanted.domain == name);
        let wanted = wanted.ok_or("the settings have changed meanwhile")?;
        let ordered = self.order(&options, wanted).await;
        // Whoever waits for the next round looks again when that is.
        self.changed.notify_one();
        ordered?;
        let (_, shown) = self
            .tls
            .shown()
            .into_iter()
            .find(|(shown, _)| ascii(shown) == name)
            .ok_or("the domain is served no more")?;
        Ok(format!(
            "A new certificate for {} is in use; it is good for {} days.",
            shown.names.join(", "),
            shown.days_left
        ))
    }

    /// Tells the metrics when the certificates expire.
    pub fn measure(&self) {
        let ends = self.tls.shown().into_iter();
        let ends = ends.map(|(domain, in_use)| (domain, in_use.expires_at));
        self.metrics.certificates().show(ends);
    }
}
