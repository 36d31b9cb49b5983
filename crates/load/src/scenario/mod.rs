//! What clients do, one file each.

pub(crate) mod chat;
pub(crate) mod idle;
pub(crate) mod login;
mod pair;
pub(crate) mod presence;
pub(crate) mod roster;

use tokio::task::JoinSet;

use crate::client::Client;

/// Answers the server's requests until the end, which gives a reason if it comes early.
fn keep(silent: &mut JoinSet<String>, clients: impl IntoIterator<Item = Client>) {
    for mut client in clients {
        silent.spawn(async move {
            loop {
                if let Err(reason) = client.next().await {
                    return reason;
                }
            }
        });
    }
}

/// An error when one of those that should have stayed is gone.
fn all_there(silent: &mut JoinSet<String>) -> crate::Outcome<()> {
    match silent.try_join_next() {
        Some(ended) => {
            let reason = ended.unwrap_or_else(|error| error.to_string());
            Err(format!("a session has ended meanwhile: {reason}"))
        }
        None => Ok(()),
    }
}
