//! Names that can be taken for another: `rorneo` for `romeo`, or one with a Cyrillic `о`.
//!
//! Two names look alike when they have the same skeleton (UTS 39 §4). The skeletons of all
//! accounts are kept, so that a new name is compared with one row and not with every account.

use unicode_security::confusable_detection::skeleton;
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_store::domains::accounts::{Accounts, Listing};
use waxwing_store::{Statement, StoreError, Table};

/// Accounts looked at in one go.
const PAGE: u32 = 1000;

pub(super) const TABLE: Table = Table {
    name: "lookalike",
    owner: Some("owner"),
    steps: &["CREATE TABLE lookalike (owner {text} PRIMARY KEY, domain {text} NOT NULL, \
                skeleton {text} NOT NULL); \
              CREATE INDEX lookalike_skeleton ON lookalike (domain, skeleton)"],
};

const NOTE: &str = "INSERT INTO lookalike (owner, domain, skeleton) VALUES (?1, ?2, ?3) \
     ON CONFLICT (owner) DO NOTHING";
const FIND: &str = "SELECT owner FROM lookalike WHERE domain = ?1 AND skeleton = ?2 LIMIT 1";
const COUNT: &str = "SELECT COUNT(*) FROM lookalike WHERE domain = ?1";
const KNOWN: &str = "SELECT owner FROM lookalike WHERE domain = ?1 AND owner > ?2 AND owner <= ?3";

/// Whether one name can be taken for the other.
pub(super) fn are_alike(one: &str, other: &str) -> bool {
    skeleton(one).eq(skeleton(other))
}

/// An account whose name can be taken for `jid`, perhaps the one of this very name.
pub(super) async fn find(hub: &Hub, jid: &BareJid) -> Result<Option<String>, StoreError> {
    catch_up(hub, jid.domain()).await?;
    let find = Statement::new(FIND).with(jid.domain()).with(skeleton_of(jid.as_str()));
    let row = hub.db().query_one(find).await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// Remembers the name of a new account.
pub(super) fn note(jid: &BareJid) -> Statement {
    note_of(jid.as_str(), jid.domain())
}

/// Accounts are made by admins and importers too, who may name them as they like. Both tables lose
/// a row when an account is erased, so the numbers tell whether some were made.
async fn catch_up(hub: &Hub, domain: &str) -> Result<(), StoreError> {
    let accounts = Accounts::new(hub.db().clone());
    let noted = hub.db().query_one(Statement::new(COUNT).with(domain)).await?;
    let noted = noted.map_or(Ok(0), |row| row.int(0))?;
    if noted.unsigned_abs() == accounts.count(domain).await? {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let page = Listing { domain, prefix: "", after: &after, limit: PAGE };
        let page = accounts.list(page).await?;
        let Some(last) = page.last() else { return Ok(()) };
        let known = Statement::new(KNOWN).with(domain).with(after.as_str()).with(last.jid.as_str());
        let known = hub.db().query(known).await?;
        let known: Vec<&str> = known.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
        let is_new = |jid: &&str| !known.contains(jid);
        let jids = page.iter().map(|account| account.jid.as_str());
        let notes: Vec<Statement> = jids.filter(is_new).map(|jid| note_of(jid, domain)).collect();
        if !notes.is_empty() {
            hub.db().batch(notes).await?;
        }
        after.clone_from(&last.jid);
    }
}

fn note_of(jid: &str, domain: &str) -> Statement {
    Statement::new(NOTE).with(jid).with(domain).with(skeleton_of(jid))
}

/// Of the local part.
fn skeleton_of(jid: &str) -> String {
    skeleton(jid.split_once('@').map_or(jid, |(local, _)| local)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike() {
        assert!(are_alike("romeo", "rorneo"));
        assert!(are_alike("paypal", "p\u{430}yp\u{430}l"));
        assert!(are_alike("bill", "bi11"));
        assert!(!are_alike("romeo", "romea"));
        assert_eq!(skeleton_of("romeo@localhost"), "rorneo");
    }
}
