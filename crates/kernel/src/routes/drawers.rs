//! How a module says that it keeps a piece of private storage in a way of its own.

use std::future::Future;
use std::sync::Arc;

use waxwing_stanza::StanzaError;

use super::Routes;
use crate::drawer::{Drawer, Drawn};
use crate::module::Module;

impl<M: Module> Routes<'_, M> {
    /// Keeps a piece of private storage (XEP-0049), known by its element, in a way of its own. It
    /// is asked before the piece is stored, and may refuse it.
    pub fn drawer<F>(
        &mut self,
        name: &'static str,
        ns: &'static str,
        handler: fn(Arc<M>, Drawer) -> F,
    ) where
        F: Future<Output = Result<Drawn, StanzaError>> + Send + 'static,
    {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |drawer| Box::pin(handler(Arc::clone(&module), drawer)) as _);
        if let Err(other) = self.table.drawers.claim((name, ns), M::ABOUT.name, run) {
            self.conflict(format!("module {other} keeps <{name} xmlns='{ns}'/> already"));
        }
    }
}
