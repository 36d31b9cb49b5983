use waxwing_jid::BareJid;
use waxwing_stanza::Condition;
use waxwing_store::domains::accounts::Accounts;

use super::world::World;
use crate::bind::bind;
use crate::wire::Transport;

/// Between sign-in and binding an account can be disabled, or be about to be erased.
#[tokio::test]
async fn who_may_not_sign_in_any_more_gets_no_session() {
    let world = World::new(&["romeo"]).await;
    let romeo = BareJid::new("romeo@localhost").unwrap();
    let bind = || bind(&world.hub, romeo.clone(), None, Transport::Memory);
    bind().await.map(drop).unwrap();
    let before = world.hub.directory().sessions(&romeo).len();
    let accounts = Accounts::new(world.hub.db().clone());
    accounts.disable("romeo@localhost", "He is banished.").await.unwrap();
    let refused = bind().await.err().unwrap();
    assert_eq!(refused.condition, Condition::NotAllowed);
    assert_eq!(world.hub.directory().sessions(&romeo).len(), before);
}
