//! How a module says that it knows how loud conversations are.

use std::sync::Arc;

use waxwing_jid::Jid;

use super::Routes;
use crate::account::Account;
use crate::module::Module;
use crate::tone::Tone;

impl<M: Module> Routes<'_, M> {
    /// Knows how loud the conversations of an account are. Asked for every message of which
    /// somebody would be told who is not connected, so it must be quick.
    pub fn tone(&mut self, ask: fn(&M, &Account, &Jid) -> Option<Tone>) {
        let module = Arc::clone(&self.module);
        let run = Box::new(move |account: &Account, jid: &Jid| ask(&module, account, jid));
        self.table.tones.push((M::ABOUT.name, run));
    }
}
