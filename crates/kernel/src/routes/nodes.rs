//! How a module says what it knows of nodes, and that it keeps them.

use std::future::Future;
use std::sync::Arc;

use waxwing_stanza::payload::disco::Identity;

use super::Routes;
use crate::disco::{AccountAnswer, AccountDiscoAsk, AccountDiscoRoute};
use crate::module::Module;
use crate::nodes::{KnownNode, Nodes, Published, PublishedRoute};

impl<M: Module> Routes<'_, M> {
    /// Makes this module the keeper of nodes.
    pub fn nodes(&mut self)
    where
        M: Nodes,
    {
        if self.table.node_routes.keeper.is_some() {
            return self.conflict("another module keeps the nodes already".into());
        }
        let module: Arc<dyn Nodes> = Arc::<M>::clone(&self.module);
        self.table.node_routes.keeper = Some(module);
    }

    /// Says how nodes of this name are in accounts.
    pub fn node(&mut self, node: &'static KnownNode) {
        self.table.node_routes.known.push((M::ABOUT.name, node));
    }

    /// Hears of what is done at nodes of this name, once it is durable, in order and before the
    /// next is done at the same node. The handler may read any node. It must not write to the node
    /// that it hears of, nor to any whose handlers write to this one: they would wait for each
    /// other.
    pub fn published<F>(&mut self, node: &'static KnownNode, handler: fn(Arc<M>, Published) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let route = PublishedRoute::new((M::ABOUT.name, Arc::clone(&self.module)), node, handler);
        self.table.node_routes.published.push(route);
    }

    /// Says what every account is, besides an account (XEP-0030 §3.1).
    pub fn account_identity(&mut self, identity: fn(&M) -> Identity) {
        let module = Arc::clone(&self.module);
        self.table.account_routes.identities.push(Box::new(move || identity(&module)));
    }

    /// Disco nodes of accounts, and what belongs to an account besides its sessions. The handler is
    /// asked for every node, and without a node for items of the account itself.
    pub fn account_disco<F>(&mut self, handler: fn(Arc<M>, AccountDiscoAsk) -> F)
    where
        F: Future<Output = AccountAnswer> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: AccountDiscoRoute =
            Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask)));
        self.table.account_routes.nodes.push(run);
    }
}
