//! What a connection may ask of the server before anybody knows who it is.

use std::net::IpAddr;
use std::sync::Arc;

use waxwing_stream::{Border, Component, Host, Hosts, StreamError};

use crate::hub::Hub;
use crate::limits::Limits;

/// What one connection may ask: under the limits that held when it came.
pub(crate) struct Door {
    hub: Hub,
    limits: Arc<Limits>,
    peer: IpAddr,
}

impl Hub {
    /// What a new connection from `peer` goes in by.
    pub(crate) fn door(&self, peer: IpAddr) -> Door {
        let limits = Arc::clone(&self.limits());
        Door { hub: self.clone(), limits, peer }
    }
}

impl Hosts for Door {
    fn host(&self, domain: &str) -> Option<Arc<Host>> {
        let host = self.hub.site(domain)?.host();
        if !self.hub.is_draining() {
            return Some(host);
        }
        let mut host = Host::clone(&host);
        host.redirect.uri = self.hub.elsewhere();
        Some(Arc::new(host))
    }

    fn default_host(&self) -> Option<Arc<Host>> {
        self.hub.sites().first().map(|site| site.host())
    }

    fn limits(&self) -> &waxwing_stream::Limits {
        &self.limits.stream
    }

    fn border(&self, local: &str, peer: Option<&str>) -> Result<Border, StreamError> {
        self.hub.border(local, peer)
    }

    fn dialback_secret(&self) -> Option<&[u8]> {
        Some(self.hub.dialback_secret())
    }

    fn component(&self, domain: &str) -> Result<Component, StreamError> {
        self.hub.admit_component(domain, self.peer)
    }
}
