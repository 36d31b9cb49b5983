//! Publish-subscribe (XEP-0060): nodes, their items, and who stands how to them.
//!
//! A node belongs to a service or to an account, whose bare address is the `owner` of every row.
//! Everything is found through an index, so nothing has to be in memory before it is touched.

mod affiliations;
mod audience;
mod history;
mod items;
mod latest;
mod nodes;
mod past;
mod subscriptions;

use crate::{Db, Statement, StoreError, Table};

pub use self::affiliations::{Affiliation, Affiliations};
pub use self::audience::{Audience, Heard, Over};
pub use self::history::{History, Stretch};
pub use self::items::{Due, Item, Items, Slice};
pub use self::latest::Latest;
pub use self::nodes::{Listed, Node, Nodes, Walk};
pub use self::past::Past;
pub use self::subscriptions::{Subscription, Subscriptions};

const HIGHEST_ITEM: &str = "SELECT number FROM pubsub_item ORDER BY number DESC LIMIT 1";
const HIGHEST_PAST: &str = "SELECT number FROM pubsub_past ORDER BY number DESC LIMIT 1";
const HIGHEST_NODE: &str = "SELECT id FROM pubsub_node ORDER BY id DESC LIMIT 1";

/// The tables of publish-subscribe.
#[derive(Debug)]
pub struct Pubsub;

impl Pubsub {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] =
        &[&nodes::TABLE, &items::TABLE, &past::TABLE, &affiliations::TABLE, &subscriptions::TABLE];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: [&'static [&'static str]; 9] = [
        &[HIGHEST_ITEM, HIGHEST_PAST, HIGHEST_NODE],
        nodes::STATEMENTS,
        items::STATEMENTS,
        past::STATEMENTS,
        history::STATEMENTS,
        affiliations::STATEMENTS,
        subscriptions::STATEMENTS,
        audience::STATEMENTS,
        latest::STATEMENTS,
    ];

    /// The highest number of an item or a node, so that numbers go on rising after a restart; 0
    /// when there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_number(db: &Db) -> Result<i64, StoreError> {
        let asked = [HIGHEST_ITEM, HIGHEST_PAST, HIGHEST_NODE].map(Statement::new);
        let found = db.query_all(asked.into()).await?;
        let numbers: Result<Vec<i64>, _> = found.iter().flatten().map(|row| row.int(0)).collect();
        Ok(numbers?.into_iter().max().unwrap_or(0))
    }
}
