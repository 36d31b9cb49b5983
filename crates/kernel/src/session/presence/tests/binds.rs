use waxwing_jid::BareJid;
use waxwing_stanza::Condition;
use waxwing_store::domains::accounts::Accounts;

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
    let bind = || bind(&world.hub, romeo.clone(), None, Transport::Memory);
    let session = bind().await.ok().unwrap();
    let accounts = Accounts::new(world.hub.db().clone());
    accounts.disable("romeo@localhost", "He is banished.").await.unwrap();
    let refused = bind().await.err().unwrap();
    assert_eq!(refused.condition, Condition::NotAllowed);
    assert_eq!(world.hub.directory().sessions(&romeo).len(), 1);
    drop(session);
}
