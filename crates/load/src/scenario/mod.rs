//! What clients do, one file each.

pub(crate) mod chat;
pub(crate) mod idle;
pub(crate) mod register;

pub(crate) use chat::Chat;
pub(crate) use idle::Idle;

use std::ops::Range;

use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::target::Target;

/// Clients that sign in at the same time.
const AT_ONCE: usize = 16;

/// Signs these clients in and shows their presence; they come back in order.
async fn sign_in(target: &Target, users: Range<usize>) -> Outcome<Vec<Client>> {
    let one = |number| {
        let target = target.clone();
        async move {
            let mut client = Client::connect(&target).await?;
            client.sign_in(&Target::user(number)).await?;
            client.show().await?;
            Ok((number, client))
        }
    };
    let mut clients = all(users, one).await?;
    clients.sort_by_key(|(number, _)| *number);
    Ok(clients.into_iter().map(|(_, client)| client).collect())
}

/// Does something for every number, [`AT_ONCE`] at a time; the first failure ends it.
async fn all<T, F>(numbers: Range<usize>, each: impl Fn(usize) -> F) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut done = Vec::new();
    for number in numbers {
        if tasks.len() >= AT_ONCE
            && let Some(joined) = tasks.join_next().await
        {
            done.push(flatten(joined)?);
        }
        tasks.spawn(each(number));
    }
    while let Some(joined) = tasks.join_next().await {
        done.push(flatten(joined)?);
    }
    Ok(done)
}

fn flatten<T>(joined: Result<Outcome<T>, tokio::task::JoinError>) -> Outcome<T> {
    joined.map_err(|error| error.to_string())?
}
