//! Makes accounts in-band, so that every server gets them the same way.

use serde_json::{Value, json};

use crate::Outcome;
use crate::client::Client;
use crate::scenario::all;
use crate::target::Target;

/// Makes the first `users` accounts.
pub(crate) async fn run(target: &Target, users: usize) -> Outcome<Value> {
    let one = |number| {
        let target = target.clone();
        async move { Client::connect(&target).await?.register(&Target::user(number)).await }
    };
    all(0..users, one).await?;
    Ok(json!({ "accounts": users }))
}
