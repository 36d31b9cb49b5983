//! The two lists: who is refused, and who alone is allowed.

use waxwing_jid::{BareJid, Jid};
use waxwing_store::{Db, Statement, StoreError, Table};

pub(super) const TABLE: Table = Table {
    name: "border",
    owner: None,
    steps: &["CREATE TABLE border (domain {text} NOT NULL, list {text} NOT NULL, \
              jid {text} NOT NULL, PRIMARY KEY (domain, list, jid))"],
};

const LOAD: &str = "SELECT list, jid FROM border WHERE domain = ?1 ORDER BY jid";
const CLEAR: &str = "DELETE FROM border WHERE domain = ?1 AND list = ?2";
const ADD: &str = "INSERT INTO border (domain, list, jid) VALUES (?1, ?2, ?3)";

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Refused,
    Allowed,
}

impl Which {
    /// Its name in the store, and the field of XEP-0133.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refused => "blacklistjids",
            Self::Allowed => "whitelistjids",
        }
    }
}

/// Addresses of other domains.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    refused: Vec<Jid>,
    /// When there are any, everybody else is refused.
    allowed: Vec<Jid>,
}

impl Lists {
    pub(super) async fn load(db: &Db, domain: &BareJid) -> Result<Self, StoreError> {
        let mut lists = Self::default();
        for row in db.query(Statement::new(LOAD).with(domain.as_str())).await? {
            let jid = Jid::new(row.text(1)?);
            let jid = jid.map_err(|error| StoreError::Corrupt(format!("an address: {error}")))?;
            for which in [Which::Refused, Which::Allowed] {
                if row.text(0)? == which.word() {
                    lists.of_mut(which).push(jid.clone());
                }
            }
        }
        Ok(lists)
    }

    pub(super) fn of(&self, which: Which) -> &[Jid] {
        match which {
            Which::Refused => &self.refused,
            Which::Allowed => &self.allowed,
        }
    }

    pub(super) fn of_mut(&mut self, which: Which) -> &mut Vec<Jid> {
        match which {
            Which::Refused => &mut self.refused,
            Which::Allowed => &mut self.allowed,
        }
    }

    /// Whether anything may pass between this domain and `peer`.
    pub(super) fn admit(&self, peer: &Jid) -> bool {
        let is_on = |list: &[Jid]| list.iter().any(|listed| covers(listed, peer));
        !is_on(&self.refused) && (self.allowed.is_empty() || is_on(&self.allowed))
    }
}

/// What puts `jids` in the place of a list.
pub(super) fn replacing(domain: &BareJid, which: Which, jids: &[Jid]) -> Vec<Statement> {
    let of = |statement| Statement::new(statement).with(domain.as_str()).with(which.word());
    let add = |jid: &Jid| of(ADD).with(jid.as_str());
    std::iter::once(of(CLEAR)).chain(jids.iter().map(add)).collect()
}

/// XEP-0133 §4.11: "a JID of any form"; "the order of JID matching SHOULD be that specified for
/// privacy lists in XEP-0016": `user@domain/resource`, `user@domain`, `domain/resource`, `domain`.
fn covers(listed: &Jid, peer: &Jid) -> bool {
    listed.domain() == peer.domain()
        && listed.local().is_none_or(|local| peer.local() == Some(local))
        && listed.resource().is_none_or(|resource| peer.resource() == Some(resource))
}

#[cfg(test)]
mod tests {
    use waxwing_store::{Limits, Location};

    use super::*;

    fn jids(texts: &[&str]) -> Vec<Jid> {
        texts.iter().map(|text| Jid::new(text).unwrap()).collect()
    }

    fn admits(refused: &[&str], allowed: &[&str], peer: &str) -> bool {
        let lists = Lists { refused: jids(refused), allowed: jids(allowed) };
        lists.admit(&Jid::new(peer).unwrap())
    }

    #[tokio::test]
    async fn the_lists_are_the_same_after_a_restart() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        db.migrate(&[&TABLE]).await.unwrap();
        let domain = BareJid::new("localhost").unwrap();
        for entries in [&["verona.example", "mantua.example"][..], &["padua.example"]] {
            let batch = replacing(&domain, Which::Refused, &jids(entries));
            db.batch(batch).await.unwrap();
        }
        let lists = Lists::load(&db, &domain).await.unwrap();
        assert_eq!(lists.of(Which::Refused), jids(&["padua.example"]));
        assert!(lists.of(Which::Allowed).is_empty());
        let other = Lists::load(&db, &BareJid::new("verona.example").unwrap()).await.unwrap();
        assert!(other.of(Which::Refused).is_empty());
    }

    #[test]
    fn without_lists_everybody_passes() {
        assert!(admits(&[], &[], "tybalt@verona.example/hall"));
    }

    #[test]
    fn who_is_refused_does_not_pass_whatever_form_the_entry_has() {
        let peer = "tybalt@verona.example/hall";
        for entry in ["verona.example", "tybalt@verona.example", peer, "verona.example/hall"] {
            assert!(!admits(&[entry], &[], peer), "{entry}");
            assert!(admits(&[entry], &[], "romeo@mantua.example/hall"), "{entry}");
        }
        assert!(admits(&["tybalt@verona.example"], &[], "nurse@verona.example"));
    }

    #[test]
    fn where_some_are_allowed_nobody_else_passes_and_a_no_goes_before() {
        let allowed = ["verona.example"];
        assert!(admits(&[], &allowed, "nurse@verona.example"));
        assert!(!admits(&[], &allowed, "romeo@mantua.example"));
        assert!(!admits(&["tybalt@verona.example"], &allowed, "tybalt@verona.example"));
    }
}
