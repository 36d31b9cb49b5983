//! How a module says what it does for components, and in front of others.

use std::future::Future;
use std::sync::Arc;

use waxwing_stanza::StanzaError;

use super::Routes;
use crate::component::{Greeting, Intercepted, Later, Letter};
use crate::module::Module;

impl<M: Module> Routes<'_, M> {
    /// Takes messages to the server's domain that carry this element. What is refused goes back to
    /// the sender as an error.
    pub fn letter<F>(
        &mut self,
        name: &'static str,
        ns: &'static str,
        handler: fn(Arc<M>, Letter) -> F,
    ) where
        F: Future<Output = Result<(), StanzaError>> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |letter| Box::pin(handler(Arc::clone(&module), letter)) as _);
        if let Err(other) = self.table.letters.claim((name, ns), M::ABOUT.name, run) {
            self.conflict(format!("module {other} takes <{name} xmlns='{ns}'/> already"));
        }
    }

    /// Something to do when a component has connected that may do something for accounts of this
    /// host, or may do other things than before.
    pub fn attached<F>(&mut self, handler: fn(Arc<M>, Greeting) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |greeting| Box::pin(handler(Arc::clone(&module), greeting)) as _);
        self.table.attached.push((M::ABOUT.name, run));
    }

    /// Sees every request to the server, to an account or to nobody before the handler of its
    /// element, and may answer it instead: later, and without holding up what follows.
    pub fn intercept(&mut self, filter: fn(&Arc<M>, &Intercepted<'_>) -> Option<Later>) {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |asked: &Intercepted<'_>| filter(&module, asked));
        self.table.intercepts.push((M::ABOUT.name, run));
    }
}
