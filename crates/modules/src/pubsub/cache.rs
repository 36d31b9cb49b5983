//! The nodes in memory: as many as there is room for, forgotten when they have not been asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use waxwing_jid::BareJid;
use waxwing_store::domains::pubsub::Nodes;
use waxwing_store::{Db, StoreError};

use super::node::Node;
use super::quota::Stored;
use super::sweep::Leavers;

/// Nodes that are looked at to find one that can be forgotten.
const LOOKED_AT: usize = 32;

/// The nodes in memory, and what else must be known of all of them together; see
/// [`waxwing_kernel::Hub::lasting`].
#[derive(Default)]
pub(super) struct Cache {
    held: Mutex<Held>,
    /// How many nodes the service has, once somebody wanted to know.
    count: Mutex<Option<i64>>,
    pub(super) leavers: Leavers,
    pub(super) stored: Stored,
}

#[derive(Default)]
struct Held {
    known: HashMap<BareJid, HashMap<Arc<str>, Arc<Node>>>,
    /// In the order in which they came, or were last found to be in use.
    order: VecDeque<Arc<Node>>,
}

impl Cache {
    /// The place `name` of `owner`, read if it was not; at most `room` are kept beyond those in
    /// use.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn node(
        &self,
        db: &Db,
        (owner, name): (&BareJid, &str),
        room: usize,
    ) -> Result<Arc<Node>, StoreError> {
        let node = self.held.lock().find(owner, name, room);
        node.load(db).await?;
        Ok(node)
    }

    /// How many nodes the service `owner` has.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn count(&self, db: &Db, owner: &BareJid) -> Result<i64, StoreError> {
        if let Some(count) = *self.count.lock() {
            return Ok(count);
        }
        // Two may count at a time and both be right: nobody makes nodes faster than they count.
        let count = Nodes::new(db.clone()).count(owner.as_str()).await?;
        Ok(*self.count.lock().get_or_insert(count))
    }

    /// The service has so many nodes more.
    pub(super) fn counted(&self, more: i64) {
        if let Some(count) = &mut *self.count.lock() {
            *count += more;
        }
    }

    /// Forgets the nodes of an account that is erased.
    pub(super) fn forget(&self, owner: &BareJid) {
        let mut held = self.held.lock();
        held.known.remove(owner);
        held.order.retain(|node| node.owner != *owner);
    }

    /// Forgets how `jid` stands to any node, and whether it is told anything.
    pub(super) fn forget_person(&self, jid: &BareJid) {
        for node in &self.held.lock().order {
            node.forget_affiliation(jid);
            node.forget_subscribers();
        }
    }
}

impl Held {
    fn find(&mut self, owner: &BareJid, name: &str, room: usize) -> Arc<Node> {
        if let Some(node) = self.known.get(owner).and_then(|nodes| nodes.get(name)) {
            node.is_recent.store(true, Ordering::Relaxed);
            return Arc::clone(node);
        }
        let node = Arc::new(Node::new(owner, name));
        let nodes = self.known.entry(owner.clone()).or_default();
        nodes.insert(Arc::clone(&node.name), Arc::clone(&node));
        self.order.push_back(Arc::clone(&node));
        self.make_room(room);
        node
    }

    /// Forgets nodes that nobody uses and nobody asked for lately.
    fn make_room(&mut self, room: usize) {
        let mut looks = LOOKED_AT;
        while self.order.len() > room && looks > 0 {
            looks -= 1;
            let Some(node) = self.order.pop_front() else { return };
            // Held here, in the map, and by nobody else.
            let is_free = Arc::strong_count(&node) == 2;
            if node.is_recent.swap(false, Ordering::Relaxed) || !is_free {
                self.order.push_back(node);
                continue;
            }
            if let Some(nodes) = self.known.get_mut(&node.owner) {
                nodes.remove(&node.name);
                if nodes.is_empty() {
                    self.known.remove(&node.owner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
