//! What modules may add to service discovery (XEP-0030), and what comes of it for the server.

use std::sync::Arc;

use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::DataForm;
use waxwing_stanza::payload::disco::{Identity, Info, Item};
use waxwing_stanza::payload::rsm;

use crate::account::Account;
use crate::hub::Hub;
use crate::request::Answer;
use crate::router::Router;
use crate::site::Site;
use crate::stage::Party;

/// A question about one node of the server.
pub struct DiscoAsk<'a> {
    /// The virtual host.
    pub site: &'a Site,
    /// Who asks.
    pub from: &'a Party,
    /// The node.
    pub node: &'a str,
}

/// A question about one node of an account, or about what belongs to the account itself.
#[derive(Clone)]
pub struct AccountDiscoAsk {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// Who asks; not always somebody who may see the presence of the account.
    pub from: Party,
    /// The account.
    pub account: Arc<Account>,
    /// The node; none for items of the account itself.
    pub node: Option<String>,
    /// Whether it is asked what the node holds, not what it is.
    pub is_items: bool,
    /// Which part of the items is asked for (XEP-0059).
    pub set: Option<rsm::Request>,
}

/// What a node is and holds. The node's name is filled in by whoever answers.
#[derive(Clone, Debug, Default)]
pub struct DiscoNode {
    /// What it is and can do.
    pub info: Info,
    /// What belongs to it.
    pub items: Vec<Item>,
}

/// What a node of an account is or holds, or what belongs to the account.
#[derive(Clone, Debug, Default)]
pub struct AccountNode {
    /// What it is and can do.
    pub info: Info,
    /// What belongs to it.
    pub items: Vec<Item>,
    /// Which part of the items these are, if they are not all.
    pub page: Option<rsm::Page>,
}

/// What a module says of a node of an account: nothing when it is not its own.
pub type AccountAnswer = Result<Option<AccountNode>, StanzaError>;

/// What a module says of a node: nothing when it is not its own.
pub type DiscoAnswer = Result<Option<DiscoNode>, StanzaError>;

impl Site {
    /// What the server is and can do, from what its modules say of themselves; in one order, so
    /// that its hash (XEP-0115) is what everybody is shown.
    pub fn disco_info(&self) -> Info {
        let router = &self.router;
        let features = router.abouts().iter().flat_map(|about| about.server_features);
        let info = Info {
            identities: router.identities().collect(),
            forms: router.server_forms(),
            ..Info::default()
        };
        self.nested.on_server(info.with(features.copied())).sorted()
    }

    /// What belongs to the server: the services with addresses of their own, and components.
    pub fn disco_items(&self, hub: &Hub) -> Vec<Item> {
        let services = self.router.0.services.iter();
        let items = services.map(|service| Item {
            jid: format!("{}.{}", service.label, self.domain()),
            node: None,
            name: Some(service.name.to_owned()),
        });
        let mut items: Vec<Item> = items.collect();
        let components = hub.listed_components(self.domain()).into_iter();
        for component in components {
            // A component has the address before a service of ours.
            items.retain(|item| item.jid != component.jid);
            items.push(component);
        }
        items.sort();
        items
    }

    /// What every account is and can do.
    pub fn account_info(&self) -> Info {
        let features = self.router.abouts().iter().flat_map(|about| about.account_features);
        let routes = &self.router.0.account_routes;
        let mut identities = vec![Identity::new("account", "registered", None)];
        identities.extend(routes.identities.iter().map(|identity| identity()));
        let own = Info { identities, ..Info::default() }.with(features.copied());
        self.nested.on_account(own).sorted()
    }
}

impl Router {
    /// One disco node of an account, or its own items; nothing when no module knows any.
    ///
    /// # Errors
    /// The module's that knows it but does not tell this asker.
    pub async fn account_disco(&self, ask: AccountDiscoAsk) -> AccountAnswer {
        for route in &self.0.account_routes.nodes {
            if let Some(found) = route(ask.clone()).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What modules say of accounts.
#[derive(Default)]
pub(crate) struct AccountRoutes {
    pub(crate) identities: Vec<IdentityRoute>,
    pub(crate) nodes: Vec<AccountDiscoRoute>,
}

pub(crate) type AccountDiscoRoute =
    Box<dyn Fn(AccountDiscoAsk) -> Answer<'static, AccountAnswer> + Send + Sync>;
pub(crate) type NodeRoute = Box<dyn Fn(&DiscoAsk<'_>) -> DiscoAnswer + Send + Sync>;
pub(crate) type FormRoute = Box<dyn Fn() -> Option<DataForm> + Send + Sync>;
pub(crate) type IdentityRoute = Box<dyn Fn() -> Identity + Send + Sync>;
