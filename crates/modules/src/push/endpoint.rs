//! Browsers and apps that are registered at this server's own push service.

use waxwing_store::{Db, Row, Statement, StoreError, Table};

pub(super) const TABLE: Table = Table {
    name: "push_endpoint",
    owner: Some("owner"),
    steps: &["CREATE TABLE push_endpoint (token {text} PRIMARY KEY, host {text} NOT NULL, \
              owner {text} NOT NULL, kind {int} NOT NULL, secret {text} NOT NULL, \
              address {text} NOT NULL, one {text} NOT NULL, two {text} NOT NULL, \
              expires {instant} NOT NULL); \
              CREATE INDEX push_endpoint_owner ON push_endpoint (owner)"],
};

/// One that is known gets new keys and a new time. It may have gone since it was looked up, so this
/// is what brings it back as well.
const KEEP: &str = "INSERT INTO push_endpoint (token, host, owner, kind, secret, address, one, \
     two, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (token) \
     DO UPDATE SET one = excluded.one, two = excluded.two, expires = excluded.expires";
const FIND: &str = "SELECT token, owner, kind, secret, address, one, two, expires \
     FROM push_endpoint WHERE token = ?1 AND host = ?2 AND expires > ?3";
const OWNED: &str = "SELECT token, owner, kind, secret, address, one, two, expires \
     FROM push_endpoint WHERE owner = ?1 AND host = ?2 AND expires > ?3";
const REMOVE: &str = "DELETE FROM push_endpoint WHERE token = ?1 AND host = ?2";
const SWEEP: &str = "DELETE FROM push_endpoint WHERE host = ?1 AND expires <= ?2";

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A browser behind its maker's push service (RFC 8030).
    Web = 0,
    /// An app behind a client of this server (UnifiedPush).
    Unified = 1,
}

/// One of them. Times are in milliseconds since 1970.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// Its name here: the node for the one kind, the end of its address for the other.
    pub(super) token: String,
    pub(super) owner: String,
    pub(super) kind: Kind,
    /// What whoever publishes to it must know.
    pub(super) secret: String,
    /// The URL of a browser; the full address of the client in front of an app.
    pub(super) address: String,
    /// The public key of a browser; the name of an app.
    pub(super) one: String,
    /// The authentication secret of a browser; the name of an installation of an app.
    pub(super) two: String,
    pub(super) expires: i64,
}

impl Endpoint {
    /// Whether both are the same browser or app, whatever its keys are now.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_app = self.kind == Kind::Unified;
        self.kind == other.kind
            && self.address == other.address
            && (!is_app || (&self.one, &self.two) == (&other.one, &other.two))
    }
}

/// The endpoints of one host.
pub(super) struct Endpoints {
    db: Db,
    host: String,
}

impl Endpoints {
    pub(super) fn new(db: Db, host: &str) -> Self {
        Self { db, host: host.to_owned() }
    }

    /// Writes one down, with its name.
    pub(super) async fn keep(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let keep = Statement::new(KEEP)
            .with(endpoint.token.as_str())
            .with(self.host.as_str())
            .with(endpoint.owner.as_str())
            .with(endpoint.kind as i64)
            .with(endpoint.secret.as_str())
            .with(endpoint.address.as_str())
            .with(endpoint.one.as_str())
            .with(endpoint.two.as_str())
            .with(endpoint.expires);
        self.db.batch(vec![keep]).await.map(drop)
    }

    /// The one that is called `token`, if its time has not come.
    pub(super) async fn find(&self, token: &str, now: i64) -> Result<Option<Endpoint>, StoreError> {
        let find = Statement::new(FIND).with(token).with(self.host.as_str()).with(now);
        self.db.query_one(find).await?.map(|row| read(&row)).transpose()
    }

    pub(super) async fn owned(&self, owner: &str, now: i64) -> Result<Vec<Endpoint>, StoreError> {
        let owned = Statement::new(OWNED).with(owner).with(self.host.as_str()).with(now);
        self.db.query(owned).await?.iter().map(read).collect()
    }

    pub(super) async fn remove(&self, token: &str) -> Result<(), StoreError> {
        let remove = Statement::new(REMOVE).with(token).with(self.host.as_str());
        self.db.batch(vec![remove]).await.map(drop)
    }

    /// Removes those whose time has come.
    pub(super) async fn sweep(&self, now: i64) -> Result<(), StoreError> {
        let sweep = Statement::new(SWEEP).with(self.host.as_str()).with(now);
        self.db.batch(vec![sweep]).await.map(drop)
    }
}

fn read(row: &Row) -> Result<Endpoint, StoreError> {
    let text = |column| row.text(column).map(str::to_owned);
    Ok(Endpoint {
        token: text(0)?,
        owner: text(1)?,
        kind: match row.int(2)? {
            0 => Kind::Web,
            1 => Kind::Unified,
            _ => return Err(StoreError::Corrupt("an endpoint of no known kind".to_owned())),
        },
        secret: text(3)?,
        address: text(4)?,
        one: text(5)?,
        two: text(6)?,
        expires: row.int(7)?,
    })
}

#[cfg(test)]
mod tests {
    use waxwing_store::{Limits, Location};

    use super::*;

    #[tokio::test]
    async fn one_that_went_meanwhile_is_there_again() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        db.migrate(&[&TABLE]).await.unwrap();
        let endpoints = Endpoints::new(db, "localhost");
        let mut browser = Endpoint {
            token: "t".to_owned(),
            owner: "romeo@localhost".to_owned(),
            kind: Kind::Web,
            secret: "s".to_owned(),
            address: "https://push.example/a".to_owned(),
            one: "old".to_owned(),
            two: "x".to_owned(),
            expires: 10,
        };
        endpoints.keep(&browser).await.unwrap();
        (browser.one, browser.expires) = ("new".to_owned(), 20);
        endpoints.keep(&browser).await.unwrap();
        let found = endpoints.find("t", 15).await.unwrap().expect("renewed");
        assert_eq!((found.one.as_str(), found.secret.as_str()), ("new", "s"));
        endpoints.remove("t").await.unwrap();
        endpoints.keep(&browser).await.unwrap();
        assert!(endpoints.find("t", 15).await.unwrap().is_some());
    }
}
