//! The domains that this server answers for.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::site::Site;

/// The virtual hosts by domain, and the one for clients that name none.
#[derive(Default)]
pub struct Sites {
    by_domain: HashMap<String, Arc<Site>, RandomState>,
    /// The services of all sites by their addresses, each with the module that answers.
    by_service: HashMap<String, (Arc<Site>, &'static str), RandomState>,
    first: Option<Arc<Site>>,
}

impl Sites {
    /// The sites, the first of them being the default.
    pub fn new(sites: Vec<Arc<Site>>) -> Self {
        let first = sites.first().cloned();
        let services = sites.iter().flat_map(|site| {
            let services = site.router.0.services.iter();
            services.map(move |service| {
                let address = format!("{}.{}", service.label, site.domain());
                (address, (Arc::clone(site), service.module))
            })
        });
        let by_service = services.collect();
        let by_domain = sites.into_iter().map(|site| (site.domain().to_owned(), site)).collect();
        Self { by_domain, by_service, first }
    }

    /// The one of `domain`.
    pub(crate) fn find(&self, domain: &str) -> Option<&Arc<Site>> {
        // Mostly there is no other, and comparing costs less than looking up.
        match &self.first {
            Some(first) if first.domain() == domain => Some(first),
            _ => self.by_domain.get(domain),
        }
    }

    /// The site and the module whose service has this address.
    pub(crate) fn service(&self, address: &str) -> Option<&(Arc<Site>, &'static str)> {
        self.by_service.get(address)
    }

    /// The default one.
    pub fn first(&self) -> Option<&Arc<Site>> {
        self.first.as_ref()
    }

    /// How many domains these are, those of services among them.
    pub(crate) fn count(&self) -> usize {
        self.by_domain.len() + self.by_service.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.by_domain.values()
    }
}
