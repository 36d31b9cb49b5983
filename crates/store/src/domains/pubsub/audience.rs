//! The subscriptions of a node as they are read to tell their subscribers something, and ended
//! when their time is over.

use crate::{Db, Row, Statement, StoreError};

/// Pages behind an address, so that those of one address stand together.
const PAGE: &str = "SELECT jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription WHERE node = ?1 AND bare > ?2 ORDER BY bare LIMIT ?3";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_subscription WHERE node = ?1";
const COUNT_OF: &str = "SELECT COUNT(*) FROM pubsub_subscription WHERE bare = ?1 AND owner = ?2";
/// Those whose time is a moment are over then. Zero stands for the end of a presence.
const OVER: &str = "SELECT n.owner, n.name, s.jid, s.bare, s.subid FROM pubsub_subscription s \
     JOIN pubsub_node n ON n.id = s.node WHERE s.expires > 0 AND s.expires <= ?1 \
     ORDER BY s.expires LIMIT ?2";
const LEFT_OVER: &str = "DELETE FROM pubsub_subscription WHERE expires = 0 AND made < ?1";
const PENDING: &str = "SELECT jid, bare, subid, state, options, expires, made \
     FROM pubsub_subscription WHERE node = ?1 AND state = ?2 ORDER BY made LIMIT ?3";
const WITH_PENDING: &str = "SELECT DISTINCT n.name FROM pubsub_affiliation a \
     JOIN pubsub_node n ON n.id = a.node JOIN pubsub_subscription s ON s.node = n.id \
     WHERE a.jid = ?1 AND a.owner = ?2 AND a.affiliation = ?3 AND s.state = ?4 \
     ORDER BY n.name LIMIT ?5";
const OWN_PENDING: &str = "SELECT DISTINCT n.name FROM pubsub_node n \
     JOIN pubsub_subscription s ON s.node = n.id WHERE n.owner = ?1 AND s.state = ?2 \
     ORDER BY n.name LIMIT ?3";

pub(super) const STATEMENTS: &[&str] =
    &[PAGE, COUNT, COUNT_OF, OVER, LEFT_OVER, PENDING, WITH_PENDING, OWN_PENDING];

/// A subscription as a subscriber is told by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The address that is told, as it was subscribed.
    pub jid: String,
    /// That address without its resource.
    pub bare: String,
    /// Its id at the node.
    pub subid: String,
    /// Its state, as a number of the caller's.
    pub state: i64,
    /// Its options as text, if they are not the usual ones.
    pub options: Option<String>,
    /// When it ends, if it does; 0 for the end of the subscriber's presence.
    pub expires: Option<i64>,
    /// When it was made.
    pub made: i64,
}

/// A subscription whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Whom the node belongs to.
    pub owner: String,
    /// The node's name.
    pub node: String,
    /// The address that was subscribed.
    pub jid: String,
    /// That address without its resource.
    pub bare: String,
    /// The id of the subscription.
    pub subid: String,
}

/// The subscriptions of nodes, to be read in pages.
#[derive(Clone, Debug)]
pub struct Audience(Db);

impl Audience {
    /// Those in `db`.
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// At most `limit` subscriptions of a node, those of bare addresses behind `after`, by these
    /// addresses. Nobody has more than `limit` at one node: where the page is full, those of its
    /// last address are left for the next one.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        node: i64,
        after: &str,
        limit: u32,
    ) -> Result<(Vec<Heard>, bool), StoreError> {
        let rows = self.0.query(Statement::new(PAGE).with(node).with(after).with(limit)).await?;
        let mut heard: Vec<Heard> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let is_full = heard.len() >= limit as usize;
        if is_full
            && let Some(last) = heard.last().map(|last| last.bare.clone())
            && heard.first().is_some_and(|first| first.bare != last)
        {
            heard.retain(|one| one.bare != last);
        }
        Ok((heard, is_full))
    }

    /// How many subscriptions a node has, of every state.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, node: i64) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT).with(node)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// How many subscriptions an address has at the nodes of `owner`.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_of(&self, bare: &str, owner: &str) -> Result<i64, StoreError> {
        let row = self.0.query_one(Statement::new(COUNT_OF).with(bare).with(owner)).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// At most `limit` subscriptions that were over by `now`, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn over(&self, now: i64, limit: u32) -> Result<Vec<Over>, StoreError> {
        let rows = self.0.query(Statement::new(OVER).with(now).with(limit)).await?;
        let read = |row: &Row| {
            Ok(Over {
                owner: row.text(0)?.to_owned(),
                node: row.text(1)?.to_owned(),
                jid: row.text(2)?.to_owned(),
                bare: row.text(3)?.to_owned(),
                subid: row.text(4)?.to_owned(),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Ends those that were to last as long as a presence, and were made before `start`: no
    /// presence has lasted since then.
    pub fn end_left_over(start: i64) -> Statement {
        Statement::new(LEFT_OVER).with(start)
    }

    /// At most `limit` subscriptions of a node in `state`, the oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn in_state(
        &self,
        node: i64,
        state: i64,
        limit: u32,
    ) -> Result<Vec<Heard>, StoreError> {
        let rows = self.0.query(Statement::new(PENDING).with(node).with(state).with(limit)).await?;
        rows.iter().map(read).collect()
    }

    /// The names of those nodes of `owner` that have subscriptions in `state`, and to which `jid`
    /// stands in this way; all of them, when `jid` is the owner itself.
    ///
    /// # Errors
    /// The store's.
    pub async fn nodes_in_state(
        &self,
        owner: &str,
        (jid, affiliation): (&str, i64),
        state: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let ask = if jid == owner {
            Statement::new(OWN_PENDING).with(owner).with(state).with(limit)
        } else {
            let ask = Statement::new(WITH_PENDING).with(jid).with(owner).with(affiliation);
            ask.with(state).with(limit)
        };
        let rows = self.0.query(ask).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }
}

fn read(row: &Row) -> Result<Heard, StoreError> {
    Ok(Heard {
        jid: row.text(0)?.to_owned(),
        bare: row.text(1)?.to_owned(),
        subid: row.text(2)?.to_owned(),
        state: row.int(3)?,
        options: row.text_or_null(4)?.map(str::to_owned),
        expires: row.int_or_null(5)?,
        made: row.int(6)?,
    })
}
