//! Publish-subscribe for those who build on it: what a module says of nodes that it knows, what it
//! does at nodes, and how it hears of what others did there.
//!
//! Which module keeps the nodes is not its business.

use std::future::Future;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::StanzaError;

use crate::account::Account;
use crate::hub::Hub;
use crate::request::Answer;
use crate::site::Site;

/// Nodes that a module knows, by their name.
#[derive(Debug)]
pub struct KnownNode {
    /// The name of the node; what it begins with if `is_prefix`.
    pub name: &'static str,
    /// Whether all nodes are meant whose name begins so.
    pub is_prefix: bool,
    /// How such a node of an account is, where its owner does not say otherwise: fields of
    /// `pubsub#node_config` (XEP-0060 §16.4.4) with their values, as far as they are not those of
    /// any node of an account.
    pub preset: &'static [(&'static str, &'static str)],
}

impl KnownNode {
    /// Whether it is about the node `name`.
    pub fn is(&self, name: &str) -> bool {
        match self.is_prefix {
            true => name.starts_with(self.name),
            false => name == self.name,
        }
    }
}

/// A node that a module works on, in the name of its owner.
#[derive(Clone, Copy)]
pub struct NodeAsk<'a> {
    /// The server.
    pub hub: &'a Hub,
    /// The virtual host.
    pub site: &'a Arc<Site>,
    /// The account whose node it is; none for a node of the host's service.
    pub owner: Option<&'a Arc<Account>>,
    /// Its name.
    pub node: &'a str,
    /// The name of the module, so that it knows its own deeds when it hears of them.
    pub origin: &'static str,
}

/// What a module publishes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Publication<'a> {
    /// The items: an id, and one element that can stand alone.
    pub items: &'a [(&'a str, &'a str)],
    /// How the node must be, as [`KnownNode::preset`] says it. A node that is otherwise is made so.
    pub options: &'a [(&'a str, &'a str)],
}

/// Which items of a node a module asks for.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// So many of those that were published last, the oldest of them first.
    Last(u32),
    /// Those with these ids that there are.
    Ids(&'a [&'a str]),
}

/// An item of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeItem {
    /// Its id at the node.
    pub id: String,
    /// Who published it.
    pub publisher: BareJid,
    /// What was published: one element that can stand alone, or nothing.
    pub payload: Arc<str>,
    /// Rises with everything that is published anywhere.
    pub number: i64,
    /// When it was published, in milliseconds since 1970.
    pub published: i64,
}

/// The keeper of nodes. Everything is done as the owner of the node would do it.
pub trait Nodes: Send + Sync {
    /// Publishes; makes the node if there is none. It is durable when this returns, and those who
    /// are to be told have been told.
    ///
    /// # Errors
    /// What a client would be told.
    fn publish<'a>(
        &'a self,
        at: NodeAsk<'a>,
        what: Publication<'a>,
    ) -> Answer<'a, Result<(), StanzaError>>;

    /// Reads items; none when there is no such node.
    ///
    /// # Errors
    /// The store's, as a client would be told.
    fn items<'a>(
        &'a self,
        at: NodeAsk<'a>,
        which: Which<'a>,
    ) -> Answer<'a, Result<Vec<NodeItem>, StanzaError>>;

    /// Removes items, and tells those who are told when items go. There need not be any of them.
    ///
    /// # Errors
    /// What a client would be told.
    fn retract<'a>(
        &'a self,
        at: NodeAsk<'a>,
        ids: &'a [&'a str],
    ) -> Answer<'a, Result<(), StanzaError>>;

    /// Removes the node with everything in it. False when there is none.
    ///
    /// # Errors
    /// What a client would be told.
    fn delete<'a>(&'a self, at: NodeAsk<'a>) -> Answer<'a, Result<bool, StanzaError>>;

    /// Whether somebody may read the node; not when there is none.
    ///
    /// # Errors
    /// The store's, as a client would be told.
    fn may_read<'a>(
        &'a self,
        at: NodeAsk<'a>,
        reader: &'a BareJid,
    ) -> Answer<'a, Result<bool, StanzaError>>;
}

/// Something that was done at a node.
#[derive(Clone)]
pub struct Published {
    /// The server.
    pub hub: Hub,
    /// The virtual host.
    pub site: Arc<Site>,
    /// The account whose node it is; none for a node of the host's service.
    pub owner: Option<Arc<Account>>,
    /// The node.
    pub node: Arc<str>,
    /// Which module did it, if it was one.
    pub origin: Option<&'static str>,
    /// What was done.
    pub news: NodeNews,
}

/// What was done at a node.
#[derive(Clone, Debug)]
pub enum NodeNews {
    /// These items were published, in this order.
    Items(Vec<NodeItem>),
    /// The items with these ids were removed.
    Retracted(Vec<String>),
    /// All items were removed.
    Purged,
    /// The node was removed.
    Deleted,
}

/// Who hears of what is done at a node.
pub(crate) struct PublishedRoute {
    pub(crate) module: &'static str,
    pub(crate) node: &'static KnownNode,
    pub(crate) run: Box<dyn Fn(Published) -> Answer<'static, ()> + Send + Sync>,
}

impl PublishedRoute {
    pub(crate) fn new<M, F>(
        (name, module): (&'static str, Arc<M>),
        node: &'static KnownNode,
        handler: fn(Arc<M>, Published) -> F,
    ) -> Self
    where
        M: Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let run = Box::new(move |published| Box::pin(handler(Arc::clone(&module), published)) as _);
        Self { module: name, node, run }
    }
}

/// What modules say of nodes.
#[derive(Default)]
pub(crate) struct NodeRoutes {
    pub(crate) keeper: Option<Arc<dyn Nodes>>,
    pub(crate) known: Vec<(&'static str, &'static KnownNode)>,
    pub(crate) published: Vec<PublishedRoute>,
}

impl NodeRoutes {
    /// In words, for [`Router::describe`](crate::router::Router::describe).
    pub(crate) fn describe(&self) -> impl Iterator<Item = String> {
        let name = |node: &KnownNode| match node.is_prefix {
            true => format!("{}*", node.name),
            false => node.name.to_owned(),
        };
        let known = self.known.iter();
        let known = known.map(move |(module, node)| format!("node {} · {module}", name(node)));
        let heard = self.published.iter();
        let heard = heard.map(move |it| format!("published {} · {}", name(it.node), it.module));
        known.chain(heard)
    }
}

impl Site {
    /// The keeper of nodes, if there is one.
    pub fn nodes(&self) -> Option<&dyn Nodes> {
        self.router.0.node_routes.keeper.as_deref()
    }

    /// What modules know of the node `name`; the exact name comes before a prefix.
    pub fn known_node(&self, name: &str) -> Option<&'static KnownNode> {
        let known = || self.router.0.node_routes.known.iter().map(|(_, node)| *node);
        known()
            .find(|node| !node.is_prefix && node.is(name))
            .or_else(|| known().find(|node| node.is(name)))
    }

    /// Whether anybody hears of what is done at the node `name`.
    pub fn is_heard(&self, name: &str) -> bool {
        self.router.0.node_routes.published.iter().any(|route| route.node.is(name))
    }

    /// Tells the modules that listen what was done at a node.
    pub async fn published(&self, published: Published) {
        for route in
            self.router.0.node_routes.published.iter().filter(|it| it.node.is(&published.node))
        {
            (route.run)(published.clone()).await;
        }
    }
}
