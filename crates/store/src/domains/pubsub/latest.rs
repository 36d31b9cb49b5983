//! The last items of many nodes at once: what somebody who comes online is told.

use crate::domains::roster;
use crate::{Db, Row, Statement, StoreError};

use super::Item;

/// Owners and names of one statement.
const OWNERS: usize = 32;
const NAMES: usize = 16;

/// Of whom `?1` may see the presence, or is. A place that is left over repeats the last one.
const LATEST: &str = "SELECT n.owner, n.name, n.access, n.config, r.groups, a.affiliation, \
     i.number, i.node, i.id, i.publisher, i.published, i.expires, i.payload \
     FROM pubsub_node n JOIN pubsub_item i ON i.number = \
     (SELECT number FROM pubsub_item WHERE node = n.id ORDER BY number DESC LIMIT 1) \
     LEFT JOIN roster r ON r.owner = n.owner AND r.jid = ?1 \
     LEFT JOIN pubsub_affiliation a ON a.node = n.id AND a.jid = ?1 \
     WHERE (i.expires IS NULL OR i.expires > ?2) \
     AND (n.owner = ?1 OR r.subscription IN ('from', 'both')) \
     AND n.owner IN (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
     ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34) \
     AND n.name IN (?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, \
     ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50)";
/// Of the nodes that an address is subscribed to.
const SUBSCRIBED: &str = "SELECT n.owner, n.name, n.access, n.config, NULL, a.affiliation, \
     i.number, i.node, i.id, i.publisher, i.published, i.expires, i.payload, \
     s.jid, s.subid, s.state, s.options, s.expires, s.made \
     FROM pubsub_subscription s JOIN pubsub_node n ON n.id = s.node \
     JOIN pubsub_item i ON i.number = \
     (SELECT number FROM pubsub_item WHERE node = n.id ORDER BY number DESC LIMIT 1) \
     LEFT JOIN pubsub_affiliation a ON a.node = n.id AND a.jid = ?1 \
     WHERE s.bare = ?1 AND s.node > ?3 AND (i.expires IS NULL OR i.expires > ?2) \
     ORDER BY s.node LIMIT ?4";

pub(super) const STATEMENTS: &[&str] = &[LATEST, SUBSCRIBED];

/// The last item of a node, with what is to be known to judge who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// The bare address of the service or account that the node belongs to.
    pub owner: String,
    /// The node's name there.
    pub name: String,
    /// Who may read it, as a number of the caller's.
    pub access: i64,
    /// Its configuration as text.
    pub config: String,
    /// The groups of the owner's roster that the reader is in.
    pub groups: Vec<String>,
    /// How the reader stands to the node, as a number of the caller's.
    pub affiliation: Option<i64>,
    /// The item.
    pub item: Item,
}

impl Latest {
    /// The last items of those nodes of `owners` called one of `names` that belong to `reader`
    /// itself, or to somebody whose presence it may see. One errand, however many there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(
        db: &Db,
        reader: &str,
        owners: &[&str],
        names: &[&str],
        now: i64,
    ) -> Result<Vec<Self>, StoreError> {
        let mut asked = Vec::new();
        for owners in owners.chunks(OWNERS) {
            for names in names.chunks(NAMES) {
                let first = Statement::new(LATEST).with(reader).with(now);
                asked.push(fill(fill(first, owners, OWNERS), names, NAMES));
            }
        }
        let found = db.query_all(asked).await?;
        found.iter().flatten().map(read).collect()
    }

    /// The last items of the nodes that `bare` or a resource of it is subscribed to, with the
    /// subscription, from the node behind `after` on.
    ///
    /// # Errors
    /// The store's.
    pub async fn subscribed(
        db: &Db,
        bare: &str,
        (after, now): (i64, i64),
        limit: u32,
    ) -> Result<Vec<(Self, super::Subscription)>, StoreError> {
        let ask = Statement::new(SUBSCRIBED).with(bare).with(now).with(after).with(limit);
        db.query(ask)
            .await?
            .iter()
            .map(|row| {
                let latest = read(row)?;
                let subscription = super::Subscription {
                    node: latest.item.node,
                    owner: latest.owner.clone(),
                    jid: row.text(13)?.to_owned(),
                    bare: bare.to_owned(),
                    subid: row.text(14)?.to_owned(),
                    state: row.int(15)?,
                    options: row.text_or_null(16)?.map(str::to_owned),
                    expires: row.int_or_null(17)?,
                    made: row.int(18)?,
                };
                Ok((latest, subscription))
            })
            .collect()
    }
}

/// Fills so many places with `values`, of which there is at least one and no more than places.
fn fill(statement: Statement, values: &[&str], places: usize) -> Statement {
    let last = values.last().copied().unwrap_or_default();
    let padded = values.iter().copied().chain(std::iter::repeat(last)).take(places);
    padded.fold(statement, Statement::with)
}

fn read(row: &Row) -> Result<Latest, StoreError> {
    let owner = row.text(0)?;
    let groups = row.text_or_null(4)?.map(roster::read_groups).transpose()?;
    Ok(Latest {
        owner: owner.to_owned(),
        name: row.text(1)?.to_owned(),
        access: row.int(2)?,
        config: row.text(3)?.to_owned(),
        groups: groups.unwrap_or_default(),
        affiliation: row.int_or_null(5)?,
        item: Item {
            number: row.int(6)?,
            owner: owner.to_owned(),
            node: row.int(7)?,
            id: row.text(8)?.to_owned(),
            publisher: row.text(9)?.to_owned(),
            published: row.int(10)?,
            expires: row.int_or_null(11)?,
            // Who is only shown it need not know.
            leaves: false,
            payload: row.text(12)?.to_owned(),
        },
    })
}
