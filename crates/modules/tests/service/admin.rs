//! XEP-0133: what the commands do.

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::command::{Caller, Refusal, RefusalKind};
use waxwing_stanza::Kind;
use waxwing_stanza::MessageType;

use crate::world::World;

fn refusal<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> (RefusalKind, &'static str, String) {
    let Refusal { kind, field, text } = answer.unwrap_err();
    (kind, field.unwrap_or_default(), text)
}

#[tokio::test]
async fn an_account_is_made_once_and_on_its_own_host() {
    let world = World::new().await;
    let add = async |jid: &str, again: &str| {
        let values = [("accountjid", jid), ("password", "o"), ("password-verify", again)];
        world.order("user add", &values).await
    };
    assert_eq!(
        add("Tybalt@LOCALHOST", "o").await.unwrap().note,
        "The account tybalt@localhost was added."
    );
    let (kind, field, _) = refusal(add("tybalt@localhost", "o").await);
    assert_eq!((kind, field), (RefusalKind::Conflict, "accountjid"));
    let (kind, field, _) = refusal(add("paris@localhost", "p").await);
    assert_eq!((kind, field), (RefusalKind::Invalid, "password-verify"));
    for (jid, remedy) in [
        ("paris", "an account is written like paris@localhost"),
        ("paris@verona.example", "give the command to verona.example"),
        ("paris@mantua.example", "there is localhost, verona.example"),
        ("a b@localhost", "is no address"),
    ] {
        let (kind, field, text) = refusal(add(jid, "o").await);
        assert_eq!((kind, field), (RefusalKind::Invalid, "accountjid"), "{jid}");
        assert!(text.contains(remedy), "{text}");
    }
}

#[tokio::test]
async fn a_disabled_account_loses_its_sessions_and_can_be_enabled() {
    let world = World::new().await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let values = [("accountjids", "romeo@localhost"), ("reason", "banished")];
    let said = world.order("user disable", &values).await.unwrap();
    assert_eq!(said.note, "Disabled 1 account and ended 1 session.");
    assert!(romeo.is_dismissed().await);
    let row = world.accounts().find("romeo@localhost").await.unwrap().unwrap();
    assert_eq!(row.disabled.as_deref(), Some("banished"));
    let count = world.order("user count-disabled", &[]).await.unwrap();
    assert_eq!(count.facts[0].values, ["1"]);
    let list = world.order("user list-disabled", &[]).await.unwrap();
    assert_eq!(list.facts[0].values, ["romeo@localhost"]);
    world.order("user enable", &values[..1]).await.unwrap();
    let row = world.accounts().find("romeo@localhost").await.unwrap().unwrap();
    assert_eq!(row.disabled, None);
}

#[tokio::test]
async fn a_removed_account_is_gone_with_its_sessions() {
    let world = World::new().await;
    let values = [("accountjids", "romeo@localhost"), ("accountjids", "nobody@localhost")];
    let (kind, _, text) = refusal(world.order("user remove", &values).await);
    assert_eq!(
        (kind, text.as_str()),
        (RefusalKind::NotFound, "there is no account nobody@localhost")
    );
    let romeo = BareJid::new("romeo@localhost").unwrap();
    assert!(world.hub.account(&romeo).await.unwrap().is_some(), "all or nothing");
    world.order("user remove", &values[..1]).await.unwrap();
    assert!(world.hub.account(&romeo).await.unwrap().is_none());
    assert!(world.accounts().find("romeo@localhost").await.unwrap().is_none());
}

#[tokio::test]
async fn nobody_is_appointed_whose_account_is_being_removed() {
    let romeo = BareJid::new("romeo@localhost").unwrap();
    let admins = [("adminjids", "admin@localhost"), ("adminjids", "romeo@localhost")];
    let removed = [("accountjids", "romeo@localhost")];
    for is_first in [true, false] {
        let world = World::new().await;
        // Known, so that neither has to wait before it writes.
        let _known = world.hub.account(&romeo).await.unwrap();
        let appoint = world.order("admin edit", &admins);
        let remove = world.order("user remove", &removed);
        let appointed = if is_first {
            tokio::join!(biased; appoint, remove).0
        } else {
            tokio::join!(biased; remove, appoint).1
        };
        assert_eq!(appointed.is_ok(), is_first, "{appointed:?}");
        assert!(world.accounts().find("romeo@localhost").await.unwrap().is_none());
        assert!(!world.site.is_admin(&romeo), "whoever has the name next is none");
    }
    let world = World::new().await;
    assert!(world.hub.account(&romeo).await.unwrap().is_some());
    world.accounts().begin_erasure("romeo@localhost").await.unwrap();
    let (kind, field, _) = refusal(world.order("admin edit", &admins).await);
    assert_eq!((kind, field), (RefusalKind::NotFound, "adminjids"));
    assert!(!world.site.is_admin(&romeo));
    world.hub.erase(&world.site, &romeo).await.unwrap();
}

#[tokio::test]
async fn a_watch_has_bounds_and_stays_on_its_host() {
    let world = World::new().await;
    let admin = Caller::Account(Jid::new("admin@localhost/desk").unwrap());
    for (jid, seconds, field) in [
        ("romeo@localhost", "11", "seconds"),
        ("romeo@localhost", "61", "seconds"),
        ("romeo@verona.example", "1", "accountjid"),
        ("nobody@localhost", "1", "accountjid"),
    ] {
        let values = [("accountjid", jid), ("seconds", seconds)];
        let answer = world.order_as(admin.clone(), "session trace", &values).await;
        assert_eq!(refusal(answer).1, field, "{jid} {seconds}");
    }
    let watches: Vec<_> =
        (0..8).map_while(|_| world.hub.watch(Jid::new("romeo@localhost").unwrap())).collect();
    assert_eq!(watches.len(), 8);
    let values = [("accountjid", "romeo@localhost"), ("seconds", "1")];
    assert_eq!(refusal(world.order("session trace", &values).await).0, RefusalKind::Busy);
    drop(watches);
    assert_eq!(world.order("session trace", &values).await.unwrap().note, "0 lines in 1 s.");
}

#[tokio::test]
async fn nobody_locks_themselves_out() {
    let world = World::new().await;
    let admin = Caller::Account(Jid::new("admin@localhost/desk").unwrap());
    let values = [("accountjids", "admin@localhost")];
    for words in ["user remove", "user disable"] {
        let answer = world.order_as(admin.clone(), words, &values).await;
        assert_eq!(refusal(answer).0, RefusalKind::NotAllowed, "{words}");
    }
}

#[tokio::test]
async fn a_new_password_replaces_all_keys() {
    let world = World::new().await;
    let values = [("accountjid", "romeo@localhost"), ("password", "o")];
    world.order("user passwd", &values).await.unwrap();
    let first = world.accounts().credentials("romeo@localhost").await.unwrap();
    world.order("user passwd", &values).await.unwrap();
    let second = world.accounts().credentials("romeo@localhost").await.unwrap();
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(first.iter().zip(&second).all(|(one, other)| one.salt != other.salt));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::new().await;
    let said = world.order("user list", &[("max_items", "2")]).await.unwrap();
    assert_eq!(said.facts[0].values, ["admin@localhost", "juliet@localhost"]);
    assert_eq!(said.note, "There are more; ask for those after juliet@localhost.");
    let after = [("after", "juliet@localhost"), ("host", "localhost")];
    let said = world.order("user list", &after).await.unwrap();
    assert_eq!(said.facts[0].values, ["romeo@localhost"]);
    let (kind, field, _) = refusal(world.order("user list", &[("host", "verona.example")]).await);
    assert_eq!((kind, field), (RefusalKind::Invalid, "host"));
    let count = world.order("user count", &[]).await.unwrap();
    assert_eq!(
        (count.facts[0].var, count.facts[0].values[0].as_str()),
        ("registeredusersnum", "3")
    );
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let world = World::new().await;
    let orchard = world.bind("romeo@localhost/orchard").await;
    let tomb = world.bind("romeo@localhost/tomb").await;
    let list = world.order("session list", &[]).await.unwrap().table.unwrap();
    assert_eq!(list.rows.len(), 2);
    assert_eq!(list.rows[0][0], "romeo@localhost/orchard");
    let online = world.order("session online", &[]).await.unwrap();
    assert_eq!(online.facts[0].values, ["romeo@localhost"]);
    assert_eq!(world.order("session count-idle", &[]).await.unwrap().facts[0].values, ["0"]);
    let one = [("accountjids", "romeo@localhost/tomb")];
    assert_eq!(world.order("session kick", &one).await.unwrap().note, "Ended 1 session.");
    assert!(tomb.is_dismissed().await && !orchard.is_dismissed().await);
    let none = [("accountjids", "juliet@localhost")];
    assert_eq!(refusal(world.order("session kick", &none).await).0, RefusalKind::NotFound);
}

#[tokio::test]
async fn an_announcement_reaches_who_is_online() {
    let world = World::new().await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let lines = [("announcement", "Down in <5 minutes."), ("announcement", "Sorry.")];
    let said = world.order("server announce", &lines).await.unwrap();
    assert_eq!(said.note, "Sent to 1 person.");
    let message = romeo.next().unwrap();
    assert_eq!(message.head.kind, Kind::Message(MessageType::Headline));
    assert_eq!(message.head.from.unwrap().as_str(), "localhost");
    assert_eq!(message.body.text_of("body").unwrap(), "Down in <5 minutes.\nSorry.");
}

#[tokio::test]
async fn what_is_known_of_an_account_is_told() {
    let world = World::new().await;
    let jid = [("accountjid", "romeo@localhost")];
    let said = world.order("user show", &jid).await.unwrap();
    let vars: Vec<_> = said.facts.iter().map(|fact| fact.var).collect();
    assert_eq!(vars, ["accountjid", "created", "rostersize", "onlineresources"]);
    let jids = [("accountjids", "romeo@localhost")];
    let said = world.order("user seen", &jids).await.unwrap();
    assert_eq!(said.facts[1].values, [""], "never");
    let _romeo = world.bind("romeo@localhost/orchard").await;
    let said = world.order("user seen", &jids).await.unwrap();
    assert_eq!(said.facts[1].values, ["1970-01-01T00:00:00.000Z"]);
    let roster = world.order("user roster", &jids).await.unwrap();
    assert!(roster.table.unwrap().rows.is_empty());
}
