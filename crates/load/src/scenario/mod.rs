//! What clients do, one file each. A new scenario is its file, a `mod` line, and its line in the
//! list; docs/load.md says what it finds there.

mod audience;
mod chat;
mod fairness;
mod flood;
mod forum;
mod idle;
mod login;
mod pair;
mod presence;
mod pubsub;
mod register;
mod rhythm;
mod room;
mod room_join;
mod roster;
mod soak;

use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::report::Report;
use crate::run::Run;

/// The scenarios: what the help says, the module with its `run`, and its options.
macro_rules! scenarios {
    ($(#[doc = $about:literal] $module:ident::$Options:ident,)*) => {
        /// A scenario as it stands on the command line, with its options.
        #[derive(clap::Subcommand)]
        pub(crate) enum Scenario {
            $(#[doc = $about] $Options($module::$Options),)*
        }

        impl Scenario {
            /// Plays it to its end.
            pub(crate) async fn play(&self, run: &Run) -> Outcome<Report> {
                match self {
                    $(Self::$Options(options) => Box::pin($module::run(run, options)).await,)*
                }
            }
        }
    };
}

scenarios! {
    /// Accounts are made, and nothing else.
    register::Register,
    /// Clients sign in and leave, over and over: processor time per sign-in.
    login::Login,
    /// Clients sign in, show presence and fall silent: memory per session.
    idle::Idle,
    /// Pairs of clients talk, in closed or open loop: processor time and latency of a message.
    chat::Chat,
    /// Pairs talk while others flood or never read: what that does to their latency.
    fairness::Fairness,
    /// One client's presence goes to its contacts: processor time and latency of a delivery.
    presence::Presence,
    /// A room in which some talk: processor time and latency of a delivery.
    room::Room,
    /// Newcomers enter a full room and leave it: processor time per stanza that is sent for it.
    room_join::RoomJoin,
    /// Occupants come, talk, go, are thrown out and lose connections at random: is it all there?
    soak::Soak,
    /// One publishes to a node with subscribers: processor time and latency of a delivery.
    pubsub::Pubsub,
    /// Clients fetch their contact lists: processor time and latency of a list.
    roster::Roster,
}

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
fn all_there(silent: &mut JoinSet<String>) -> Outcome<()> {
    match silent.try_join_next() {
        Some(ended) => {
            let reason = ended.unwrap_or_else(|error| error.to_string());
            Err(format!("a session has ended meanwhile: {reason}"))
        }
        None => Ok(()),
    }
}
