//! An account that is being erased when the server is killed is erased by the next start.

use waxwing_modules::MODULES;
use waxwing_store::domains::accounts::{Accounts, Listing};
use waxwing_testkit::{Plan, World};

type Outcome = Result<(), String>;

async fn left(world: &World) -> Result<Vec<String>, String> {
    let listing = Listing { domain: "localhost", prefix: "", after: "", limit: 10 };
    let list = Accounts::new(world.hub().db().clone()).list(listing).await;
    Ok(list.map_err(|error| error.to_string())?.into_iter().map(|account| account.jid).collect())
}

#[tokio::test]
async fn an_interrupted_erasure_is_finished() -> Outcome {
    let world = World::start(Plan::in_memory(MODULES)).await?;
    for account in ["juliet@localhost", "nurse@localhost", "romeo@localhost"] {
        world.add_account(account).await?;
    }
    let accounts = Accounts::new(world.hub().db().clone());
    let begun = accounts.begin_erasure("romeo@localhost").await;
    assert!(begun.map_err(|error| error.to_string())?);
    let nobody = accounts.begin_erasure("tybalt@localhost").await;
    assert!(!nobody.map_err(|error| error.to_string())?);
    // Who is only locked out, or was forgiven, stays.
    let locked = accounts.disable("juliet@localhost", "This account is being erased.").await;
    assert!(locked.map_err(|error| error.to_string())?);
    let begun = accounts.begin_erasure("nurse@localhost").await;
    assert!(begun.map_err(|error| error.to_string())?);
    assert!(accounts.enable("nurse@localhost").await.map_err(|error| error.to_string())?);
    world.hub().finish_erasures().await;
    assert_eq!(left(&world).await?, ["juliet@localhost", "nurse@localhost"]);
    let unfinished = accounts.unfinished("", 10).await.map_err(|error| error.to_string())?;
    assert!(unfinished.is_empty(), "{unfinished:?}");
    Ok(())
}
