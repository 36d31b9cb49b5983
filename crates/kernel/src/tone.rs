//! How loud a conversation is: whether its owner wants to be told of what is said there while no
//! device is connected (XEP-0492).

use std::sync::Arc;

use waxwing_jid::Jid;

use crate::account::Account;
use crate::router::Router;

/// What somebody wants to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Everything.
    Always,
    /// What is said to them: with what they call themselves there, if that is known.
    Mentions(Option<Arc<str>>),
    /// Nothing.
    Never,
}

impl Router {
    /// How loud a conversation is for an account; nothing when nobody said so.
    pub fn tone(&self, account: &Account, conversation: &Jid) -> Option<Tone> {
        self.0.tones.iter().find_map(|(_, ask)| ask(account, conversation))
    }
}

pub(crate) type ToneRoute = Box<dyn Fn(&Account, &Jid) -> Option<Tone> + Send + Sync>;
