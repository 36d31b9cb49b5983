//! Who stands how in a room, for good.

use std::collections::BTreeMap;

use waxwing_jid::BareJid;
use waxwing_store::domains::rooms::StandingRow;

use super::role::Affiliation;

/// How somebody stands in a room, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The affiliation.
    pub affiliation: Affiliation,
    /// The nick that nobody else may use, prepared.
    pub nick: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who said so: a bare address.
    pub by: Option<String>,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// The version of the list that brought it (XEP-0463).
    pub version: i64,
}

/// Everybody who stands in some way in a room, by bare address or domain.
#[derive(Clone, Debug, Default)]
pub struct Affiliations {
    standings: BTreeMap<BareJid, Standing>,
    nicks: BTreeMap<String, BareJid>,
}

impl Affiliations {
    /// Those that were stored. What cannot be read any more is nobody's.
    pub fn restore(rows: &[StandingRow]) -> Self {
        let mut all = Self::default();
        for row in rows {
            let (Ok(jid), Some(affiliation)) =
                (BareJid::new(&row.jid), Affiliation::of_number(row.affiliation))
            else {
                continue;
            };
            let standing = Standing {
                affiliation,
                nick: row.nick.clone(),
                reason: row.reason.clone(),
                by: row.maker.clone(),
                at: row.at,
                version: row.version,
            };
            all.set(jid, standing);
        }
        all
    }

    /// The affiliation of `jid`: its own, or that of its domain, which may be banned or welcome
    /// as a whole (XEP-0045 §9.1).
    pub fn of(&self, jid: &BareJid) -> Affiliation {
        if let Some(standing) = self.standings.get(jid) {
            return standing.affiliation;
        }
        // The texts order as the addresses do; a domain is an address without a local part.
        let domain = self.standings.get(jid.domain());
        domain.map_or(Affiliation::None, |standing| standing.affiliation)
    }

    /// What is said of this very address.
    pub fn standing(&self, jid: &BareJid) -> Option<&Standing> {
        self.standings.get(jid)
    }

    /// Says how `jid` stands.
    pub fn set(&mut self, jid: BareJid, standing: Standing) {
        self.remove(&jid);
        if let Some(nick) = &standing.nick {
            self.nicks.insert(nick.clone(), jid.clone());
        }
        self.standings.insert(jid, standing);
    }

    /// Says nothing of `jid` any more.
    pub fn remove(&mut self, jid: &BareJid) -> Option<Standing> {
        let gone = self.standings.remove(jid)?;
        if let Some(nick) = &gone.nick
            && self.nicks.get(nick) == Some(jid)
        {
            self.nicks.remove(nick);
        }
        Some(gone)
    }

    /// Whose nick this is.
    pub fn reserved(&self, nick: &str) -> Option<&BareJid> {
        self.nicks.get(nick)
    }

    /// Everybody, ordered by address.
    pub fn iter(&self) -> impl Iterator<Item = (&BareJid, &Standing)> {
        self.standings.iter()
    }

    /// How many have this affiliation.
    pub fn count(&self, affiliation: Affiliation) -> usize {
        self.standings.values().filter(|standing| standing.affiliation == affiliation).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.standings.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.standings.is_empty()
    }
}

impl Standing {
    /// As it is stored.
    pub fn row(&self, jid: &BareJid) -> StandingRow {
        StandingRow {
            jid: jid.as_str().to_owned(),
            affiliation: self.affiliation.number(),
            nick: self.nick.clone(),
            reason: self.reason.clone(),
            maker: self.by.clone(),
            at: self.at,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    fn standing(affiliation: Affiliation, nick: Option<&str>) -> Standing {
        Standing { affiliation, nick: nick.map(str::to_owned), ..Standing::default() }
    }

    #[test]
    fn an_address_comes_before_its_domain() {
        let mut all = Affiliations::default();
        all.set(jid("verona.example"), standing(Affiliation::Outcast, None));
        all.set(jid("nurse@verona.example"), standing(Affiliation::Member, None));
        assert_eq!(all.of(&jid("tybalt@verona.example")), Affiliation::Outcast);
        assert_eq!(all.of(&jid("nurse@verona.example")), Affiliation::Member);
        assert_eq!(all.of(&jid("romeo@localhost")), Affiliation::None);
    }

    #[test]
    fn a_reserved_nick_follows_its_owner() {
        let mut all = Affiliations::default();
        all.set(jid("romeo@localhost"), standing(Affiliation::Member, Some("Romeo")));
        assert_eq!(all.reserved("Romeo"), Some(&jid("romeo@localhost")));
        all.set(jid("romeo@localhost"), standing(Affiliation::Member, Some("R")));
        assert_eq!((all.reserved("Romeo"), all.len()), (None, 1));
        assert_eq!(all.reserved("R"), Some(&jid("romeo@localhost")));
        all.remove(&jid("romeo@localhost"));
        assert!(all.reserved("R").is_none() && all.is_empty());
    }

    #[test]
    fn what_was_stored_comes_back() {
        let one = standing(Affiliation::Admin, Some("J"));
        let row = one.row(&jid("juliet@localhost"));
        let broken = StandingRow { jid: "@".into(), ..StandingRow::default() };
        let all = Affiliations::restore(&[row, broken]);
        assert_eq!(all.standing(&jid("juliet@localhost")), Some(&one));
        assert_eq!(all.len(), 1);
    }
}
