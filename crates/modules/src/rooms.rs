#![cfg_attr(not(doctest), doc = include_str!("rooms.md"))]

pub mod activity;
pub mod admin;
pub mod affiliations;
pub mod appoint;
pub mod avatar;
mod commands;
pub mod config;
pub mod deliver;
pub mod destroy;
pub mod dress;
mod ending;
pub mod enter;
pub mod extras;
pub mod faraway;
pub mod forged;
pub mod hats;
pub mod history;
pub mod ids;
pub mod info;
pub mod invite;
pub mod leave;
pub mod letter;
mod load;
pub mod lobby;
pub mod nick;
pub mod notes;
pub mod occupants;
pub mod options;
pub mod outcome;
pub mod owner;
pub mod pace;
pub mod places;
pub mod presence;
pub mod privilege;
pub mod record;
pub mod register;
pub mod relay;
pub mod retention;
pub mod retract;
pub mod role;
pub mod room;
pub mod search;
pub mod service;
pub mod settings;
pub mod shelf;
pub mod slow;
pub mod subject;
pub mod table;
pub mod talk;
pub mod task;
#[cfg(test)]
mod tests;
pub mod thin;
pub mod versions;
pub mod voice;
pub mod whisper;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use waxwing_jid::BareJid;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::visit::Visit;
use waxwing_kernel::{Hub, SiteBuilder};
use waxwing_stanza::{Kind, PresenceType, StanzaError};
use waxwing_store::domains::rooms::Rooms as Rows;

use self::letter::{Letter, Now};
use self::lobby::{Lobby, Mail};
use self::outcome::Outcome;
use self::room::{Room, Service};
use self::settings::RoomsConfig;

/// The name of the service for people.
const NAME: &str = "Rooms";

/// The part of the address in front of the domain.
const LABEL: &str = "rooms";

/// How often rooms are looked for that ended with an earlier run of the server.
const SWEEP: Duration = Duration::from_secs(300);

/// Searches for rooms at a time.
const SEARCHES: usize = 2;

/// Rooms where people talk.
pub struct Rooms {
    hub: Hub,
    service: Arc<Service>,
    rows: Rows,
    lobby: Arc<Lobby>,
    /// Those who search for rooms, a few at a time.
    searching: Semaphore,
}

impl Module for Rooms {
    const ABOUT: &'static About = &About {
        name: "rooms",
        summary: "Rooms where many people talk with each other.",
        is_on: true,
        xeps: &[
            Xep(45, "1.35.5"),
            Xep(249, "1.2"),
            Xep(313, "1.1.3"),
            Xep(317, "0.3.1"),
            Xep(410, "1.1.0"),
            Xep(421, "1.0.1"),
            Xep(424, "0.4.2"),
            Xep(425, "0.3.0"),
            Xep(433, "0.1.0"),
            Xep(463, "0.2.0"),
            Xep(486, "0.1.0"),
            Xep(500, "0.1.1"),
            Xep(502, "0.1.0"),
        ],
        server_features: &[],
        account_features: &[],
        manual: include_str!("rooms.md"),
    };
    type Config = RoomsConfig;

    fn start(site: &mut SiteBuilder<'_>, settings: RoomsConfig) -> Result<Self, StartError> {
        let hub = site.hub();
        let address = format!("{LABEL}.{}", site.jid().domain());
        let jid = BareJid::new(&address).map_err(|error| StartError {
            module: Self::ABOUT.name,
            reason: format!("{address} is no address: {error}"),
        })?;
        let lobby = hub.lasting::<Lobby>(site.jid().domain());
        let run = lobby.run(&hub);
        let service = Arc::new(Service { jid: jid.to_jid(), settings, run });
        lobby.serve(&service);
        let rows = Rows::new(hub.db().clone());
        let searching = Semaphore::new(SEARCHES);
        Ok(Self { hub, service, rows, lobby, searching })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.service(LABEL, NAME).get(Self::describe).get(Self::list).get(Self::search);
        on.visits(Self::visit);
        on.ending(Self::end);
        commands::declare(on);
        on.shelves(Self::shelf);
        on.inner().set(Self::moderate).set(Self::command).get(Self::card).set(Self::set_card);
        on.signal(Signal::Removed, Self::remove);
        on.every(SWEEP, Self::sweep);
        on.every(retention::ROUND, Self::expire);
    }
}

impl Rooms {
    /// The room that a request is for.
    ///
    /// # Errors
    /// `service-unavailable` when it is for another service.
    fn room_of<P>(&self, ask: &Request<P>) -> Result<BareJid, StanzaError> {
        let to = ask.stanza.head.to.as_ref().map(|to| to.bare());
        let to = to.filter(|to| !to.is_domain() && to.domain() == self.service.jid.domain());
        to.ok_or_else(StanzaError::service_unavailable)
    }

    /// An account goes, and its rows with it: rooms in use forget it as well, so that whoever gets
    /// the address next is nobody in them.
    async fn remove(self: Arc<Self>, happening: Happening) -> Effects {
        let forget = Rows::forget_notes(hats::WORN, happening.account.jid().as_str());
        if let Err(error) = self.hub.db().batch(vec![forget]).await {
            tracing::warn!(%error, "the hats of an account that was erased stay");
        }
        for room in self.in_use() {
            let gone = happening.account.jid().clone();
            let errand = move |room: &mut Room, _: &Now<'_>| {
                room.affiliations.remove(&gone);
                room.notes.remove(hats::WORN, gone.as_str());
                (Outcome::nothing(), ())
            };
            if let Err(error) = self.ask(&room, errand).await {
                tracing::warn!(%error, %room, "an account that was erased could not be forgotten");
            }
        }
        Effects::default()
    }

    /// A stanza for a room, or for somebody in one.
    async fn visit(self: Arc<Self>, visit: Visit) -> Effects {
        let Visit { hub, site, from, to, stanza } = visit;
        let mut effects = Effects::default();
        if to.local().is_none() {
            if matches!(stanza.head.kind, Kind::Message(_)) {
                let error = StanzaError::service_unavailable();
                let error = error.text("Nobody reads messages to the service of rooms itself.");
                hub.refuse(&from, &stanza, &error, &mut effects);
            }
            return effects;
        }
        // Whoever says goodbye to an empty room wakes nobody.
        let leaves = stanza.head.kind == Kind::Presence(PresenceType::Unavailable);
        if leaves && !self.lobby.is_open(&to.bare()) {
            return effects;
        }
        let goes_on = self.must_go_on(&stanza);
        let is_operator = from.account.is_some() && site.is_admin(&from.jid.bare());
        let head = waxwing_stanza::Stanza { head: stanza.head.clone(), body: Arc::default() };
        let party = from.clone();
        let nick = to.resource().map(str::to_owned);
        let letter = Letter { from, nick, stanza, is_operator, may_create: Ok(()) };
        let (receipt, done) = oneshot::channel();
        let mail = Mail::Letter(Box::new(letter), receipt);
        // Services wait for nobody: it may be one that this room waits for.
        let may_wait =
            party.mailbox.is_some() || hub.components().find(party.jid.domain()).is_some();
        let posted = match (goes_on, may_wait) {
            (Err(error), _) => Err(error),
            (Ok(()), true) => self.post(&to.bare(), mail).await,
            (Ok(()), false) => self.deliver(&to.bare(), mail),
        };
        match posted {
            Ok(()) => effects.until(done),
            Err(error) => {
                if let Some(reply) = head.error_reply(&error) {
                    hub.reply(&party, reply, &mut effects);
                }
            }
        }
        effects
    }
}
