#![cfg_attr(not(doctest), doc = include_str!("disco.md"))]

use std::sync::Arc;

use waxwing_kernel::disco::{AccountDiscoAsk, AccountNode, DiscoAsk, DiscoNode};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Item, Items};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{StanzaError, to_xml};

section! {
    /// What the server tells about itself.
    pub struct DiscoConfig("disco") {
        /// The name of the server, as clients show it to people.
        pub name: String = "Waxwing",
    }
}

/// Tells what the server and its accounts are and can do.
pub struct Disco {
    name: String,
}

impl Module for Disco {
    const ABOUT: &'static About = &About {
        name: "disco",
        summary: "Tells clients what the server and its accounts are and can do.",
        is_on: true,
        xeps: &[Xep(30, "2.5.0"), Xep(128, "1.0.1")],
        server_features: &[INFO, ITEMS],
        account_features: &[INFO, ITEMS],
        manual: include_str!("disco.md"),
    };
    type Config = DiscoConfig;

    fn start(_: &mut SiteBuilder<'_>, config: DiscoConfig) -> Result<Self, StartError> {
        Ok(Self { name: config.name })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_identity(Self::identity);
        on.server().get(Self::server_info).get(Self::server_items);
        on.account().get(Self::account_info).get(Self::account_items);
        on.nobody().get(Self::nobodys_items);
    }
}

impl Disco {
    fn identity(&self) -> Identity {
        let name = Some(self.name.as_str()).filter(|name| !name.is_empty());
        Identity::new("server", "im", name)
    }

    async fn server_info(self: Arc<Self>, ask: Request<Info>) -> Result<Info, StanzaError> {
        let node = ask.payload.node.clone();
        match node {
            None => Ok(ask.site.disco_info()),
            // §3.2: "If the request included a 'node' attribute, the response MUST mirror the
            // specified 'node' attribute".
            Some(node) => {
                Ok(Info { node: Some(node.clone()), ..at_node(&ask, &node)?.info.sorted() })
            }
        }
    }

    async fn server_items(self: Arc<Self>, ask: Request<Items>) -> Result<Items, StanzaError> {
        // §4.1: "If there are no items associated with an entity … the target entity MUST return
        // an empty query element".
        let Some(node) = ask.payload.node.clone() else {
            return Ok(Items { node: None, items: ask.site.disco_items(&ask.hub) });
        };
        let mut items = at_node(&ask, &node)?.items;
        items.sort();
        Ok(Items { node: Some(node), items })
    }

    /// §8: "the server MUST return a <service-unavailable/> error if … The requesting entity is
    /// not authorized to receive presence from the target entity". Who may know of a node of the
    /// account is for the module to say that keeps the nodes.
    async fn account_info(self: Arc<Self>, ask: Request<Info>) -> Result<Info, StanzaError> {
        match ask.payload.node.clone() {
            None if may_see(&ask) => Ok(ask.site.account_info()),
            Some(node) => match account_node(&ask, Some(node.clone()), None).await? {
                Some(found) => Ok(Info { node: Some(node), ..found.info.sorted() }),
                None if may_see(&ask) => Err(no_node()),
                None => Err(StanzaError::service_unavailable()),
            },
            None => Err(StanzaError::service_unavailable()),
        }
    }

    /// §4.1: "if access is not denied the server SHOULD return the associated items including
    /// connected or available resources".
    async fn account_items(self: Arc<Self>, ask: Request<Items>) -> Result<String, StanzaError> {
        let node = ask.payload.node.clone();
        let query = ask.stanza.body.child("query", ITEMS);
        let set = query.map(rsm::Request::inside).transpose()?.flatten();
        let found = account_node(&ask, node.clone(), Some(set)).await?;
        if node.is_some() && found.is_none() && may_see(&ask) {
            return Err(no_node());
        }
        let AccountNode { mut items, page, .. } = found.unwrap_or_default();
        // §8: "the server MUST return an empty result set if … the only items are available
        // resources … and the requesting entity is not authorized".
        if node.is_none() && may_see(&ask) {
            let sessions = ask.hub.directory().sessions(ask.account().jid());
            let available = sessions.iter().filter(|session| session.is_available());
            let item = |jid: String| Item { jid, node: None, name: None };
            items.extend(available.map(|session| item(session.jid.to_string())));
            items.sort();
        }
        let answer = to_xml(&Items { node, items });
        Ok(match page {
            None => answer,
            Some(page) => {
                let inside = answer.strip_suffix("</query>");
                inside.map_or(answer.clone(), |it| format!("{it}{}</query>", to_xml(&page)))
            }
        })
    }

    /// §8: "the server MUST return an empty result set if … The target entity does not exist".
    async fn nobodys_items(self: Arc<Self>, ask: Request<Items>) -> Result<Items, StanzaError> {
        if ask.stanza.head.to.as_ref().is_some_and(|to| to.resource().is_some()) {
            return Err(StanzaError::service_unavailable());
        }
        Ok(Items { node: ask.payload.node, items: Vec::new() })
    }
}

fn may_see<P>(ask: &Request<P>) -> bool {
    ask.site.may_see(ask.account(), &ask.from.jid.bare())
}

/// What a module says of a node of an account, or of what belongs to it; `items` is which part of
/// them is asked for.
async fn account_node<P>(
    ask: &Request<P>,
    node: Option<String>,
    items: Option<Option<rsm::Request>>,
) -> Result<Option<AccountNode>, StanzaError> {
    let (is_items, set) = (items.is_some(), items.flatten());
    let (hub, site, from) = (ask.hub.clone(), Arc::clone(&ask.site), ask.from.clone());
    let account = Arc::clone(ask.account());
    let asked = AccountDiscoAsk { hub, site, from, account, node, is_items, set };
    ask.site.router.account_disco(asked).await
}

fn at_node<P>(ask: &Request<P>, node: &str) -> Result<DiscoNode, StanzaError> {
    let (site, from) = (&*ask.site, &ask.from);
    site.router.disco_node(&DiscoAsk { site, from, node })?.ok_or_else(no_node)
}

/// §7: `item-not-found` when "the JID or JID+NodeID of the specified target entity does not exist".
fn no_node() -> StanzaError {
    StanzaError::item_not_found().text("There is no such node here.")
}
