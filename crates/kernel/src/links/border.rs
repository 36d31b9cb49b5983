//! What the streams of other servers must know before anything is proven.

use std::sync::Arc;

use waxwing_stream::{Border, StreamError};

use crate::hub::Hub;
use crate::links::demand;
use crate::site::Site;

impl Hub {
    /// Whether other servers may write to `local`, and `peer` to anybody here: `peer` is only what
    /// they say.
    ///
    /// # Errors
    /// What the stream is told instead.
    pub(crate) fn border(&self, local: &str, peer: Option<&str>) -> Result<Border, StreamError> {
        let site = self.site_of(local).ok_or_else(StreamError::host_unknown)?;
        if self.links().is_closing() {
            return Err(StreamError::system_shutdown().text("The server is shutting down."));
        }
        if peer.is_some_and(|peer| !self.is_elsewhere(peer)) {
            // RFC 6120 §4.9.3.4: a name "provided by the initiating entity … that is hosted" here
            // cannot be somebody else's.
            let text = "this server speaks for that domain itself";
            return Err(StreamError::policy_violation().text(text));
        }
        let terms = match peer {
            Some(peer) => Some(self.policy().judge(peer).map_err(|barred| barred.stream_error())?),
            None => None,
        };
        if !self.policy().is_on() {
            return Err(StreamError::policy_violation().text("this server talks to no others"));
        }
        let host = site.host();
        Ok(Border {
            starttls: host.starttls,
            demand: terms.as_ref().map(demand).unwrap_or_default(),
            bidi: true,
            acks: true,
            lang: Arc::clone(&host.lang),
        })
    }

    /// The site that a domain of ours belongs to: itself, that of a service, or for a component the
    /// one above it, or else the first.
    fn site_of(&self, domain: &str) -> Option<Arc<Site>> {
        if let Some(site) = self.site(domain) {
            return Some(site);
        }
        if let Some((site, _)) = self.service(domain) {
            return Some(site);
        }
        let (component, _) = self.components().find(domain)?;
        let sites = self.sites();
        let above = sites.iter().find(|site| component.is_below(site.domain()));
        above.or_else(|| sites.first()).cloned()
    }
}
