//! Who speaks for the server to machines outside: set once, by the program that has the sockets.

use std::sync::{Arc, OnceLock};

use crate::certificates::CertificateKeeper;
use crate::hub::Hub;
use crate::ldap::Ldap;
use crate::outgoing::Fetch;

/// The ways out.
#[derive(Default)]
pub(crate) struct Outside {
    fetcher: OnceLock<Arc<dyn Fetch>>,
    ldap: OnceLock<Arc<dyn Ldap>>,
    pub(crate) keeper: OnceLock<Arc<dyn CertificateKeeper>>,
}

impl Hub {
    /// Says who asks others over HTTP. The first word counts.
    pub fn fetch_with(&self, fetcher: Arc<dyn Fetch>) {
        let _ = self.outside().fetcher.set(fetcher);
    }

    /// Who asks others over HTTP, if anybody does.
    pub(crate) fn fetcher(&self) -> Option<&Arc<dyn Fetch>> {
        self.outside().fetcher.get()
    }

    /// Says who speaks LDAP. The first word counts.
    pub fn speak_ldap_with(&self, ldap: Arc<dyn Ldap>) {
        let _ = self.outside().ldap.set(ldap);
    }

    /// Who speaks LDAP, if anybody does.
    pub(crate) fn ldap_speaker(&self) -> Option<&Arc<dyn Ldap>> {
        self.outside().ldap.get()
    }
}
