use waxwing_jid::BareJid;
use waxwing_stanza::Condition;
use waxwing_store::domains::accounts::Accounts;
use waxwing_stream::{Installation, StreamError};

use super::world::World;
use crate::bind::bind;
use crate::wire::Transport;

#[tokio::test]
async fn a_session_whose_task_is_gone_is_not_found() {
    let world = World::new(&["romeo"]).await;
    let account = BareJid::new("romeo@localhost").unwrap();
    let romeo = world.sign_in("romeo@localhost/orchard").await;
    assert!(world.hub.directory().is_present(&account));
    drop(romeo);
    assert!(!world.hub.directory().is_present(&account));
}

/// Between sign-in and binding an account can be disabled, or be about to be erased.
#[tokio::test]
async fn who_may_not_sign_in_any_more_gets_no_session() {
    let world = World::new(&["romeo"]).await;
    let romeo = BareJid::new("romeo@localhost").unwrap();
    // Who authenticated looked at the account after this was noted, or did not look at all.
    let looked_at = Some(world.hub.locked());
    let by = Installation::default();
    let bind = |at| bind(&world.hub, romeo.clone(), (None, &by), (Transport::Memory, at));
    let first = bind(looked_at).await.ok().unwrap();
    let second = bind(None).await.ok().unwrap();
    let accounts = Accounts::new(world.hub.db().clone());
    accounts.disable("romeo@localhost", "He is banished.").await.unwrap();
    assert_eq!(bind(None).await.err().unwrap().condition, Condition::NotAllowed);
    // What disables an account ends its sessions too, those that it finds.
    let banished = StreamError::not_authorized();
    assert_eq!(world.hub.dismiss(&romeo, &banished), 2);
    assert_eq!(bind(looked_at).await.err().unwrap().condition, Condition::NotAllowed);
    assert_eq!(world.hub.directory().sessions(&romeo).len(), 2);
    drop((first, second));
}
