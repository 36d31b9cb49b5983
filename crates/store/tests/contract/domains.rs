//! Accounts, rosters and the spool.

use waxwing_store::domains;
use waxwing_store::domains::accounts::{Accounts, Credential, Listing};
use waxwing_store::domains::archive::Archive;
use waxwing_store::domains::clients::Clients;
use waxwing_store::domains::offline::{Held, Offline, Spooled};
use waxwing_store::domains::outgoing::{Outgoing, Sent};
use waxwing_store::domains::peers::{Peers, Said};
use waxwing_store::domains::pubsub::Pubsub;
use waxwing_store::domains::rooms::Rooms;
use waxwing_store::domains::roster::{Item, Request, Roster};
use waxwing_store::domains::secrets::Secrets;
use waxwing_store::{Db, Statement, StoreError, Table};

use crate::ground::{Ground, grounds};

const ROMEO: &str = "romeo@example.org";
const JULIET: &str = "juliet@example.org";

fn tables() -> Vec<&'static Table> {
    [Accounts::TABLES, Offline::TABLES, Roster::TABLES].concat()
}

async fn open(ground: &Ground) -> Db {
    ground.open_with(&tables()).await
}

fn credential(hash: &str, byte: u8) -> Credential {
    Credential {
        hash: hash.to_owned(),
        salt: vec![byte; 16],
        iterations: 10_000,
        stored_key: vec![byte; 32],
        server_key: vec![byte; 32],
    }
}

fn spooled(id: i64, owner: &str) -> Spooled {
    let stanza = format!("<message id='{id}'/>");
    Spooled { id, owner: owner.to_owned(), stamp: 1_000 + id, stanza }
}

/// `EXPLAIN` prepares a statement without running it.
async fn is_understood(db: &Db, sql: &str) -> Result<(), StoreError> {
    let places = (1..100).take_while(|place| sql.contains(&format!("?{place}"))).count();
    let explain = Statement::new(format!("EXPLAIN {sql}").leak());
    let explain = (0..places).fold(explain, |statement, _| statement.with(None::<i64>));
    db.query(explain).await.map(drop)
}

#[tokio::test]
async fn every_statement_is_understood() {
    let own = [Accounts::STATEMENTS, Offline::STATEMENTS, Roster::STATEMENTS, Clients::STATEMENTS];
    let mut statements = own.concat();
    statements.extend([Archive::STATEMENTS, Secrets::STATEMENTS].concat());
    statements.extend(Outgoing::STATEMENTS);
    statements.extend(Peers::STATEMENTS);
    statements.extend(Archive::QUERIES.concat());
    statements.extend([Rooms::STATEMENTS, Rooms::LISTS].concat());
    statements.extend(Pubsub::STATEMENTS.concat());
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        for sql in &statements {
            let answer = is_understood(&db, sql).await;
            assert_eq!(answer, Ok(()), "{}: {sql}", ground.name);
        }
        assert!(is_understood(&db, "SELECT nothing FROM account").await.is_err());
    }
}

#[tokio::test]
async fn an_account_is_made_once() {
    for ground in grounds() {
        let accounts = Accounts::new(open(&ground).await);
        let keys = [credential("SHA-1", 1), credential("SHA-256", 2)];
        accounts.create(ROMEO, 5, &keys).await.unwrap();
        assert_eq!(accounts.credentials(ROMEO).await.unwrap(), keys, "{}", ground.name);
        let again = accounts.create(ROMEO, 6, &[credential("SHA-1", 9)]).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{}: {again:?}", ground.name);
        assert_eq!(accounts.credentials(ROMEO).await.unwrap(), keys, "{}", ground.name);
        assert_eq!(accounts.find(ROMEO).await.unwrap().unwrap().created, 5);
        assert_eq!(accounts.find(JULIET).await, Ok(None));
        assert_eq!(accounts.credentials(JULIET).await, Ok(Vec::new()));
    }
}

/// A message may still be written while its recipient's account is erased.
#[tokio::test]
async fn a_new_account_gets_nothing_of_an_earlier_one() {
    for ground in grounds() {
        let db = open(&ground).await;
        let late = Spooled { id: 1, owner: ROMEO.into(), stamp: 1, stanza: "<message/>".into() };
        db.batch(vec![Offline::append(late)]).await.unwrap();
        Accounts::new(db.clone()).create(ROMEO, 5, &[credential("SHA-1", 1)]).await.unwrap();
        let held = Offline::new(db).held(ROMEO).await.unwrap();
        assert_eq!(held.stanzas, 0, "{}", ground.name);
    }
}

#[tokio::test]
async fn keys_are_replaced_whole() {
    for ground in grounds() {
        let accounts = Accounts::new(open(&ground).await);
        let old = [credential("SHA-1", 1), credential("SHA-256", 2)];
        accounts.create(ROMEO, 5, &old).await.unwrap();
        let new = [credential("SHA-512", 3)];
        assert_eq!(accounts.set_credentials(ROMEO, &new).await, Ok(true), "{}", ground.name);
        assert_eq!(accounts.credentials(ROMEO).await.unwrap(), new, "{}", ground.name);
        assert_eq!(accounts.set_credentials(JULIET, &new).await, Ok(false), "{}", ground.name);
        assert_eq!(accounts.credentials(JULIET).await, Ok(Vec::new()));
        let account = accounts.find(ROMEO).await.unwrap().unwrap();
        let both = accounts.find_with_credentials(ROMEO).await;
        assert_eq!(both, Ok(Some((account, new.into()))), "{}", ground.name);
        assert_eq!(accounts.find_with_credentials(JULIET).await, Ok(None), "{}", ground.name);
    }
}

#[tokio::test]
async fn an_account_is_disabled_and_seen() {
    for ground in grounds() {
        let accounts = Accounts::new(open(&ground).await);
        accounts.create(ROMEO, 5, &[]).await.unwrap();
        assert_eq!(accounts.disable(ROMEO, "spam").await, Ok(true));
        assert_eq!(accounts.seen(ROMEO, 77).await, Ok(true));
        let account = accounts.find(ROMEO).await.unwrap().unwrap();
        assert_eq!(account.disabled.as_deref(), Some("spam"), "{}", ground.name);
        assert_eq!(account.last_seen, Some(77));
        let domain = ROMEO.split_once('@').unwrap().1;
        let all = Listing { domain, prefix: "", after: "", limit: 10 };
        assert_eq!(accounts.list_disabled(all).await, Ok(vec![account]), "{}", ground.name);
        assert_eq!(accounts.count_disabled(domain).await, Ok(1));
        assert_eq!(accounts.enable(ROMEO).await, Ok(true));
        assert_eq!(accounts.count_disabled(domain).await, Ok(0), "{}", ground.name);
        assert_eq!(accounts.find(ROMEO).await.unwrap().unwrap().disabled, None);
        assert_eq!(accounts.disable(JULIET, "spam").await, Ok(false), "{}", ground.name);
    }
}

#[tokio::test]
async fn accounts_are_listed_by_domain_prefix_and_page() {
    for ground in grounds() {
        let accounts = Accounts::new(open(&ground).await);
        for local in ["anna", "annika", "zoë", "ben", "anne", "an_b", "an%c"] {
            accounts.create(&format!("{local}@example.org"), 1, &[]).await.unwrap();
        }
        accounts.create("anna@example.net", 1, &[]).await.unwrap();
        let list = async |prefix, after, limit| {
            let listing = Listing { domain: "example.org", prefix, after, limit };
            let page = accounts.list(listing).await.unwrap();
            page.into_iter()
                .map(|account| account.jid.split_once('@').unwrap().0.to_owned())
                .collect::<Vec<_>>()
        };
        let all = ["an%c", "an_b", "anna", "anne", "annika", "ben", "zoë"];
        assert_eq!(list("", "", 100).await, all, "{}", ground.name);
        assert_eq!(list("ann", "", 100).await, ["anna", "anne", "annika"], "{}", ground.name);
        assert_eq!(list("an_", "", 100).await, ["an_b"], "{}", ground.name);
        assert_eq!(list("zoë", "", 100).await, ["zoë"], "{}", ground.name);
        assert_eq!(list("ann", "anna@example.org", 1).await, ["anne"], "{}", ground.name);
        assert_eq!(accounts.count("example.org").await, Ok(7));
        assert_eq!(accounts.count("example.com").await, Ok(0));
    }
}

#[tokio::test]
async fn removing_an_account_erases_all_it_owns() {
    for ground in grounds() {
        let db = open(&ground).await;
        let accounts = Accounts::new(db.clone());
        let offline = Offline::new(db.clone());
        for owner in [ROMEO, JULIET] {
            accounts.create(owner, 1, &[credential("SHA-1", 1)]).await.unwrap();
            db.batch(vec![Roster::put(owner, &item("tybalt@example.org", 1))]).await.unwrap();
        }
        let kept = vec![Offline::append(spooled(1, ROMEO)), Offline::append(spooled(2, JULIET))];
        db.batch(kept).await.unwrap();
        assert_eq!(accounts.export(ROMEO).await.unwrap().len(), 4, "{}", ground.name);
        assert_eq!(accounts.remove(ROMEO).await, Ok(true), "{}", ground.name);
        assert_eq!(accounts.remove(ROMEO).await, Ok(false), "{}", ground.name);
        assert!(accounts.export(ROMEO).await.unwrap().is_empty(), "{}", ground.name);
        assert_eq!(accounts.find(ROMEO).await, Ok(None));
        assert_eq!(offline.held(JULIET).await.unwrap().stanzas, 1, "{}", ground.name);
        assert_eq!(accounts.export(JULIET).await.unwrap().len(), 4, "{}", ground.name);
    }
}

#[tokio::test]
async fn the_spool_keeps_pages_and_counts() {
    for ground in grounds() {
        let db = open(&ground).await;
        let offline = Offline::new(db.clone());
        assert_eq!(offline.held(ROMEO).await, Ok(Held::default()), "{}", ground.name);
        assert_eq!(offline.last_id().await, Ok(0));
        let batch = [3, 1, 2].map(|id| Offline::append(spooled(id, ROMEO))).to_vec();
        db.batch(batch).await.unwrap();
        db.batch(vec![Offline::append(spooled(4, JULIET))]).await.unwrap();
        let page = offline.page(ROMEO, 0, 2).await.unwrap();
        assert_eq!(page, [spooled(1, ROMEO), spooled(2, ROMEO)], "{}", ground.name);
        assert_eq!(offline.page(ROMEO, 2, 2).await.unwrap(), [spooled(3, ROMEO)]);
        assert_eq!(offline.held(ROMEO).await, Ok(Held { stanzas: 3, bytes: 51 }));
        assert_eq!(offline.last_id().await, Ok(4), "{}", ground.name);
        let twice = db.batch(vec![Offline::append(spooled(4, ROMEO))]).await;
        assert!(matches!(twice, Err(StoreError::Conflict(_))), "{}", ground.name);
        db.batch(vec![Offline::remove(1), Offline::remove(9)]).await.unwrap();
        assert_eq!(offline.held(ROMEO).await.unwrap().stanzas, 2, "{}", ground.name);
        db.batch(vec![Offline::prune(1_003)]).await.unwrap();
        assert_eq!(offline.page(ROMEO, 0, 9).await.unwrap(), [spooled(3, ROMEO)]);
        db.batch(vec![Offline::clear(ROMEO)]).await.unwrap();
        assert_eq!(offline.held(ROMEO).await, Ok(Held::default()), "{}", ground.name);
        assert_eq!(offline.held(JULIET).await.unwrap().stanzas, 1, "{}", ground.name);
    }
}

fn item(jid: &str, version: i64) -> Item {
    Item {
        jid: jid.to_owned(),
        name: Some("Cousin".to_owned()),
        subscription: "both".to_owned(),
        ask: false,
        approved: true,
        groups: vec!["Family \"Capulet\"".to_owned(), "Fäncing\n".to_owned()],
        version,
    }
}

#[tokio::test]
async fn a_roster_comes_back_as_it_was_put() {
    for ground in grounds() {
        let db = open(&ground).await;
        let roster = Roster::new(db.clone());
        let bare = Item { name: None, groups: Vec::new(), ask: true, ..item("a@example.net", 1) };
        let cousin = item("tybalt@example.org", 2);
        db.batch(vec![Roster::put(JULIET, &cousin), Roster::put(JULIET, &bare)]).await.unwrap();
        assert_eq!(roster.load(JULIET).await.unwrap(), [bare.clone(), cousin], "{}", ground.name);
        let changed = Item { name: None, ..item("tybalt@example.org", 3) };
        let batch = vec![Roster::put(JULIET, &changed), Roster::delete(JULIET, "a@example.net")];
        assert_eq!(db.batch(batch).await, Ok(vec![1, 1]), "{}", ground.name);
        assert_eq!(roster.load(JULIET).await.unwrap(), [changed], "{}", ground.name);
        assert_eq!(roster.load(ROMEO).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn roster_versions_only_rise() {
    for ground in grounds() {
        let db = open(&ground).await;
        let roster = Roster::new(db.clone());
        assert_eq!(roster.version(JULIET).await, Ok(0), "{}", ground.name);
        for version in [1, 5] {
            db.batch(vec![Roster::advance(JULIET, version)]).await.unwrap();
            assert_eq!(roster.version(JULIET).await, Ok(version), "{}", ground.name);
        }
        for version in [5, 4] {
            let item = item("tybalt@example.org", version);
            let batch = vec![Roster::put(JULIET, &item), Roster::advance(JULIET, version)];
            let outcome = db.batch(batch).await;
            assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{}", ground.name);
        }
        assert_eq!(roster.load(JULIET).await, Ok(Vec::new()), "{}", ground.name);
        assert_eq!(roster.version(JULIET).await, Ok(5), "{}", ground.name);
    }
}

#[tokio::test]
async fn a_request_waits_until_it_is_settled() {
    for ground in grounds() {
        let db = open(&ground).await;
        let roster = Roster::new(db.clone());
        let request = |text: &str| Request {
            jid: ROMEO.to_owned(),
            stanza: format!("<presence type='subscribe'><status>{text}</status></presence>"),
        };
        db.batch(vec![Roster::ask(JULIET, &request("one"))]).await.unwrap();
        db.batch(vec![Roster::ask(JULIET, &request("two"))]).await.unwrap();
        assert_eq!(roster.requests(JULIET).await.unwrap(), [request("two")], "{}", ground.name);
        db.batch(vec![Roster::settle(JULIET, ROMEO)]).await.unwrap();
        assert_eq!(roster.requests(JULIET).await, Ok(Vec::new()), "{}", ground.name);
    }
}

#[tokio::test]
async fn what_goes_to_another_server_is_read_by_its_pair_and_in_order() {
    let sent = |id: i64, ours: &str, peer: &str| {
        let (stanza, stamp) = (format!("<message id='{id}'/>"), 1_000 + id);
        let (ours, peer) = (ours.to_owned(), peer.to_owned());
        Sent { id, sender: ROMEO.to_owned(), ours, peer, stamp, stanza }
    };
    for ground in grounds() {
        let db = ground.open_with(Outgoing::TABLES).await;
        let rows = Outgoing::new(db.clone());
        assert_eq!(rows.last_id().await, Ok(0), "{}", ground.name);
        let (here, there) = (("a.example", "x.example"), ("b.example", "x.example"));
        let all = [(3, here), (1, here), (2, there), (4, here), (5, here)];
        let append =
            |(id, (ours, peer)): (i64, (&str, &str))| Outgoing::append(sent(id, ours, peer));
        db.batch(all.into_iter().map(append).collect()).await.unwrap();
        let pairs = rows.pairs().await.unwrap();
        let own = |(ours, peer): (&str, &str)| (ours.to_owned(), peer.to_owned());
        assert_eq!(pairs, [own(here), own(there)]);
        let ids = |page: Vec<Sent>| page.into_iter().map(|sent| sent.id).collect::<Vec<_>>();
        assert_eq!(ids(rows.page(here, (0, 9), 2).await.unwrap()), [1, 3]);
        assert_eq!(ids(rows.page(here, (3, 4), 2).await.unwrap()), [4]);
        assert_eq!(rows.page(there, (0, 9), 2).await.unwrap(), [sent(2, there.0, there.1)]);
        db.batch(vec![Outgoing::remove(5), Outgoing::remove(2)]).await.unwrap();
        assert_eq!(rows.last_id().await, Ok(4));
        assert_eq!(rows.pairs().await.unwrap(), [own(here)]);
    }
}

#[tokio::test]
async fn the_last_word_on_another_server_counts() {
    let said = |domain: &str, word: &str| Said {
        domain: domain.to_owned(),
        word: word.to_owned(),
        reason: "sends spam".to_owned(),
        who: "operator".to_owned(),
        at: 1_000,
    };
    for ground in grounds() {
        let peers = Peers::new(ground.open_with(Peers::TABLES).await);
        for (domain, word) in
            [("b.example", "block"), ("a.example", "allow"), ("b.example", "allow")]
        {
            peers.say(&said(domain, word)).await.unwrap();
        }
        let all = [said("a.example", "allow"), said("b.example", "allow")];
        assert_eq!(peers.list().await.unwrap(), all, "{}", ground.name);
        assert_eq!(peers.find("a.example").await.unwrap().as_ref(), Some(&all[0]));
        peers.forget("a.example").await.unwrap();
        assert_eq!(peers.find("a.example").await, Ok(None));
    }
}
