//! What is answered for accounts that there are not.

use std::sync::Arc;

use waxwing_kernel::request::Request;
use waxwing_stanza::{Condition, StanzaError};

use super::errors::no_node;
use super::wire::Get;
use super::{Answer, Pubsub, retrieve};

impl Pubsub {
    /// Nobody has nodes. An account without nodes answers strangers alike, so that they cannot tell
    /// who exists (RFC 6121 §8.5.1).
    pub(super) async fn nobody<P>(self: Arc<Self>, ask: Request<P>) -> Answer {
        match ask.stanza.head.to.as_ref().is_some_and(|to| to.resource().is_some()) {
            true => Err(StanzaError::service_unavailable()),
            false => Err(no_node()),
        }
    }

    /// The same for those who would read.
    pub(super) async fn nobodys(self: Arc<Self>, ask: Request<Get>) -> Answer {
        let node = match &ask.payload {
            Get::Items(items) => Some(items.node.clone()),
            _ => None,
        };
        self.nobody(ask).await.map_err(|error| match node {
            Some(node) if error.condition == Condition::ItemNotFound => {
                error.beside(retrieve::empty(&node))
            }
            _ => error,
        })
    }
}
