//! What a session wants to be told of unasked: the nodes that its client names with `+notify` among
//! what it can do (XEP-0060 §9.2, XEP-0163 §4.2).
//!
//! Who learns what a client can do notes it here, with the session in the directory; whoever has
//! something to tell looks there.

use std::future::Future;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};

use crate::account::Account;
use crate::hub::Hub;
use crate::request::Answer;
use crate::site::Site;
use crate::stage::Party;

/// What is appended to the name of a node.
const NOTIFY: &str = "+notify";

/// Names that are kept of one client at most, and their bytes together.
const NODES: usize = 200;
const BYTES: usize = 8 * 1024;

/// The nodes that a client wants to hear of. Shared by all sessions of the same client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interests(Box<[Box<str>]>);

impl Interests {
    /// Of the features that a client has. Names beyond what is kept of one client are dropped.
    pub fn of<'a>(features: impl Iterator<Item = &'a str>) -> Self {
        let mut bytes = 0;
        let mut nodes: Vec<Box<str>> = features
            .filter_map(|feature| feature.strip_suffix(NOTIFY))
            .take_while(|node| {
                bytes += node.len();
                bytes <= BYTES
            })
            .take(NODES)
            .map(Box::from)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        Self(nodes.into())
    }

    /// Whether it wants to hear of `node`.
    pub fn wants(&self, node: &str) -> bool {
        self.0.binary_search_by(|held| (**held).cmp(node)).is_ok()
    }

    /// The nodes, in the order of their bytes.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|node| &**node)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A session of which became known what it wants to hear of, or more than before.
pub struct Interested {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// The session.
    pub party: Party,
    /// Its account, when it is one of ours. To a session elsewhere only `owner` has something to
    /// tell.
    pub account: Option<Arc<Account>>,
    /// The account that a session elsewhere has shown its presence to.
    pub owner: Option<BareJid>,
    /// The nodes that it had not been known to want since it became available.
    pub added: Vec<Box<str>>,
}

pub(crate) type InterestedRoute = Box<dyn Fn(Interested) -> Answer<'static, ()> + Send + Sync>;

impl Hub {
    /// Notes what an available session wants to hear of, and tells those who have something for
    /// it. It is in the directory when they are told.
    pub async fn interest(&self, site: &Arc<Site>, party: &Party, now: Arc<Interests>) {
        let (Some(account), Some(mailbox)) = (&party.account, &party.mailbox) else { return };
        let (mut before, mut is_available) = (None, false);
        self.directory().update(&party.jid, mailbox, |session| {
            is_available = session.is_available();
            if is_available {
                before = session.interests.replace(Arc::clone(&now));
            }
        });
        let is_known = before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &now));
        if !is_available || is_known {
            return;
        }
        let is_added = |node: &&str| !before.as_ref().is_some_and(|before| before.wants(node));
        let added: Vec<Box<str>> = now.nodes().filter(is_added).map(Box::from).collect();
        if added.is_empty() {
            return;
        }
        for (_, run) in &site.router.0.interested {
            run(Interested {
                hub: self.clone(),
                site: Arc::clone(site),
                party: party.clone(),
                account: Some(Arc::clone(account)),
                owner: None,
                added: added.clone(),
            })
            .await;
        }
    }

    /// The same for a session on another server that accounts of ours know of ([`Hub::outsiders`]).
    pub async fn interest_outside(&self, jid: &Jid, now: &Arc<Interests>) {
        for (owner, added) in self.outsiders().learn(jid, now) {
            let Some(site) = self.site(owner.domain()) else { continue };
            for (_, run) in &site.router.0.interested {
                run(Interested {
                    hub: self.clone(),
                    site: Arc::clone(&site),
                    party: Party::new(jid.clone(), None),
                    account: None,
                    owner: Some(owner.clone()),
                    added: added.clone(),
                })
                .await;
            }
        }
    }
}

impl Site {
    /// Whether anybody here has something for those who are interested.
    pub fn minds_interests(&self) -> bool {
        !self.router.0.interested.is_empty()
    }
}

/// Erases the type of a handler.
pub(crate) fn route<M, F>(module: Arc<M>, handler: fn(Arc<M>, Interested) -> F) -> InterestedRoute
where
    M: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Box::new(move |interested| Box::pin(handler(Arc::clone(&module), interested)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_with_notify_is_wanted() {
        let features = ["urn:b+notify", "urn:c", "urn:a+notify", "urn:b+notify", "+notify+notify"];
        let interests = Interests::of(features.into_iter());
        assert_eq!(interests.nodes().collect::<Vec<_>>(), ["+notify", "urn:a", "urn:b"]);
        assert!(interests.wants("urn:a") && !interests.wants("urn:c") && !interests.wants("urn"));
        assert!(Interests::of(["urn:c"].into_iter()).is_empty());
    }

    #[test]
    fn of_a_client_that_names_too_much_no_more_is_kept() {
        let many: Vec<String> = (0..1000).map(|number| format!("urn:{number}+notify")).collect();
        assert_eq!(Interests::of(many.iter().map(String::as_str)).nodes().count(), NODES);
        let long = format!("{}+notify", "x".repeat(BYTES + 1));
        assert!(Interests::of(std::iter::once(long.as_str())).is_empty());
    }
}
