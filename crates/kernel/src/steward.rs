//! Who may change which domains are served while the server runs: set once, by the program that
//! reads the configuration.

use std::sync::{Arc, OnceLock};

use waxwing_jid::BareJid;

use crate::command::{Refusal, Secret};
use crate::config::DomainName;
use crate::hub::Hub;
use crate::request::Answer;

/// Looks after the domains that are served.
pub trait Steward: Send + Sync {
    /// All of them, in the order of the configuration.
    fn hosts(&self) -> Vec<HostEntry>;

    /// Serves a domain from now on, or serves it with other settings; all or nothing. What comes
    /// back is a sentence for whoever asked.
    fn put(&self, draft: HostDraft) -> Answer<'static, Result<String, Refusal>>;

    /// Serves a domain no more. Its accounts stay in the database.
    fn remove(&self, domain: DomainName) -> Answer<'static, Result<String, Refusal>>;
}

/// A domain that is served.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// The domain.
    pub domain: DomainName,
    /// Its settings as TOML, where they were given by a command; none where they stand in the
    /// configuration file.
    pub settings: Option<String>,
}

/// What shall hold for a domain.
#[derive(Debug)]
pub struct HostDraft {
    /// The domain.
    pub domain: DomainName,
    /// Whether it must not be served yet; else it must be.
    pub is_new: bool,
    /// Settings as they would stand below `[[host]]`, in TOML; they are put over those that hold.
    pub settings: Option<String>,
    /// Settings by their paths, such as `modules.register.open`, that shall be as usual again.
    pub unset: Vec<String>,
    /// Who administers it, if that shall change.
    pub admins: Option<Vec<BareJid>>,
    /// A certificate with its chain and its private key (PEM), to be kept in the data folder.
    pub pem: Option<Secret>,
}

/// The one who looks after the domains, if there is one.
#[derive(Default)]
pub(crate) struct Stewardship(OnceLock<Arc<dyn Steward>>);

impl Hub {
    /// Says who looks after the domains. The first word counts.
    pub fn obey(&self, steward: Arc<dyn Steward>) {
        let _ = self.stewardship().0.set(steward);
    }

    /// Who looks after the domains, if anybody does.
    pub fn steward(&self) -> Option<Arc<dyn Steward>> {
        self.stewardship().0.get().cloned()
    }
}
