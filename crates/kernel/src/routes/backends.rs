//! How a module says that it knows passwords, tokens or accounts that this server does not.

use std::future::Future;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stream::{AuthFailure, BearerOffer};

use super::Routes;
use crate::backend::{
    Backend, Bearer, BearerAsk, BearerRoute, LookUp, LookUpRoute, PasswordAsk, PasswordRoute,
};
use crate::module::Module;

impl<M: Module> Routes<'_, M> {
    /// Knows passwords that this server does not keep; answers so many questions at a time. With
    /// such a module only PLAIN works for passwords: whoever is asked must see them.
    pub fn passwords<F>(&mut self, running: usize, handler: fn(Arc<M>, PasswordAsk) -> F)
    where
        F: Future<Output = Result<bool, AuthFailure>> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: PasswordRoute = Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask)));
        self.table.passwords.push(Backend::new(M::ABOUT.name, running, run));
    }

    /// Knows tokens that somebody else gave out (RFC 7628); answers so many questions at a time.
    /// Where `is_password`, a token may be sent as the password of PLAIN too.
    pub fn bearer<F>(
        &mut self,
        (offer, is_password): (BearerOffer, bool),
        running: usize,
        handler: fn(Arc<M>, BearerAsk) -> F,
    ) where
        F: Future<Output = Result<BareJid, AuthFailure>> + Send + 'static,
    {
        if self.table.bearer.is_some() {
            return self.conflict("another module knows tokens already".into());
        }
        let module = Arc::clone(&self.module);
        let run: BearerRoute = Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask)));
        let backend = Backend::new(M::ABOUT.name, running, run);
        self.table.bearer = Some(Bearer { offer, is_password, backend });
    }

    /// Knows whether an account exists that this server has never seen.
    pub fn lookup<F>(&mut self, handler: fn(Arc<M>, LookUp) -> F)
    where
        F: Future<Output = Result<bool, AuthFailure>> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run: LookUpRoute = Box::new(move |ask| Box::pin(handler(Arc::clone(&module), ask)));
        self.table.lookups.backends.push((M::ABOUT.name, run));
    }
}
