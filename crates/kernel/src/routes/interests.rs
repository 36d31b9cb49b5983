//! How a module says that it has something for those who are interested.

use std::future::Future;
use std::sync::Arc;

use super::Routes;
use crate::interests::{self, Interested};
use crate::module::Module;

impl<M: Module> Routes<'_, M> {
    /// Hears of sessions whose wish to be told of nodes became known or grew. Whoever found out
    /// waits for the handler, and so may a session: what takes time is done in a task.
    pub fn interested<F>(&mut self, handler: fn(Arc<M>, Interested) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let run = interests::route(Arc::clone(&self.module), handler);
        self.table.interested.push((M::ABOUT.name, run));
    }
}
