//! How a module says that it serves addresses of its own, and many at once.

use std::future::Future;
use std::sync::Arc;

use waxwing_jid::Jid;

use super::{At, Routes};
use crate::account::Account;
use crate::hub::Hub;
use crate::module::Module;
use crate::request::Scope;
use crate::shelf::{ShelfAnswer, ShelfAsk};
use crate::stage::Effects;
use crate::visit::Visit;

impl<'a, M: Module> Routes<'a, M> {
    /// Everything that is sent to an address at the module's service ([`Routes::service`]), and
    /// messages and presences to the service itself. Requests to the service have handlers of their
    /// own.
    ///
    /// The handler must not wait for a turn at the place that the stanza is for: it hands the
    /// stanza over and gives back a receipt ([`Effects::until`]).
    pub fn visits<F>(&mut self, handler: fn(Arc<M>, Visit) -> F)
    where
        F: Future<Output = Effects> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |visit| Box::pin(handler(Arc::clone(&module), visit)) as _);
        if self.table.visits.insert(M::ABOUT.name, run).is_some() {
            self.conflict("it takes visits twice".into());
        }
    }

    /// Requests of anybody to any bare address at a service of ours, the service itself included
    /// where it does not answer by itself. What is for a full address is for somebody there.
    pub fn inner(&mut self) -> At<'_, 'a, M> {
        At { on: self, scope: Scope::Inner }
    }

    /// Opens archives that this module keeps for those who may read them: of addresses at its
    /// service, or of nodes. The handler is asked for every archive but those of accounts.
    pub fn shelves<F>(&mut self, handler: fn(Arc<M>, ShelfAsk) -> F)
    where
        F: Future<Output = ShelfAnswer> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask)) as _);
        self.table.shelves.push((M::ABOUT.name, run));
    }

    /// Has something to say when the server is about to end, while the streams of everybody are
    /// still open. New sessions are refused by then ([`Hub::is_draining`]). It is waited for,
    /// but no longer than a part of the time that the operator gives to the end.
    pub fn ending<F>(&mut self, handler: fn(Arc<M>, Hub) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |hub| Box::pin(handler(Arc::clone(&module), hub)) as _);
        self.table.endings.push((M::ABOUT.name, run));
    }

    /// Says whether an account wants to hear anything from an address, when it would get what many
    /// get: from a room, from a node. Asked for every receiver, so it must be quick.
    pub fn welcome(&mut self, check: fn(&M, &Account, &Jid) -> bool) {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |account: &Account, from: &Jid| check(&module, account, from));
        self.table.welcomes.push((M::ABOUT.name, run));
    }
}
