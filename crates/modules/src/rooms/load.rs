//! A room is read from the store: what it is, and what was said last.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::request::unstored;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::sid;
use waxwing_stanza::{CLIENT, Stanza, StanzaError};
use waxwing_store::StoreError;
use waxwing_store::domains::archive::{Archive, Entry, Order, Selection, With};
use waxwing_store::domains::rooms::Rooms as Rows;

use super::Rooms;
use super::letter::{Letter, Now};
use super::outcome::Outcome;
use super::role::Affiliation;
use super::room::{Life, Room};
use super::table::USER;
use super::task::restricted;

/// The lower bits of a number, which are no time.
const COUNTER_BITS: u32 = 19;

/// Rooms that ended with an earlier run are removed so many at a time.
const LEFT_OVER: u32 = 100;

impl Rooms {
    /// The room at this address, as it was left.
    pub(super) async fn load(&self, jid: &BareJid) -> Result<Room, StoreError> {
        let service = Arc::clone(&self.service);
        let found = self.rows.load(jid.as_str()).await?;
        let found =
            found.filter(|stored| stored.room.is_persistent || stored.room.run == self.service.run);
        let Some(stored) = found else { return Ok(Room::absent(jid.clone(), service)) };
        let mut room = Room::restore(jid.clone(), service, &stored);
        if room.config.is_archived && room.config.history > 0 {
            for entry in self.last_said(&room).await? {
                self.recall(&mut room, &entry);
            }
        }
        Ok(room)
    }

    async fn last_said(&self, room: &Room) -> Result<Vec<Entry>, StoreError> {
        let most = self.service.settings.history_max;
        let wanted = u32::try_from(room.config.history).unwrap_or(u32::MAX).min(most);
        let all =
            Selection { owner: room.jid.as_str(), above: 0, below: i64::MAX, with: With::Anybody };
        let archive = Archive::new(self.hub.db().clone());
        let mut entries = archive.page(&all, Order::Falling, wanted).await?;
        entries.reverse();
        Ok(entries)
    }

    fn recall(&self, room: &mut Room, entry: &Entry) {
        let Ok(mut stanza) = Stanza::parse(&entry.stanza) else { return };
        if !stanza.body.has("body", CLIENT) {
            return;
        }
        // Who may see that is another matter than who could when it was said.
        stanza.body_mut().remove("x", USER);
        let number = entry.number.cast_unsigned();
        let stanza = match sid::find(&stanza.body, &room.jid) {
            Some(_) => stanza,
            None => {
                let name = self.hub.names().name(number);
                stanza.with(sid::stanza_id(room.jid.as_str(), &name))
            }
        };
        room.history.push(number, number >> COUNTER_BITS, stanza);
    }

    /// Whether somebody may make a room (XEP-0045 §10.1.1: "the service MUST return a
    /// <not-allowed/> error" otherwise).
    pub(super) async fn may_create(&self, letter: &Letter) -> Result<(), StanzaError> {
        if letter.is_operator {
            return Ok(());
        }
        let service = self.lobby.service().unwrap_or_else(|| Arc::clone(&self.service));
        let settings = &service.settings;
        let is_member = letter.from.account.as_ref().is_some_and(|account| !account.is_guest());
        if !is_member || !settings.anybody_creates {
            return Err(restricted());
        }
        let (service, owner) = (self.service.jid.as_str(), letter.bare());
        let counts = self.rows.count(service, owner.as_str(), Affiliation::Owner.number()).await;
        let (all, own) = counts.map_err(|error| unstored(&error))?;
        if own >= settings.rooms_per_account.into() {
            let text = format!("You own {own} rooms already.");
            return Err(StanzaError::resource_constraint().text(text));
        }
        if all >= settings.rooms.into() {
            tracing::warn!(all, "no more rooms can be made; raise modules.rooms.rooms");
            let text = "There is no room for more rooms on this server.";
            return Err(StanzaError::resource_constraint().text(text));
        }
        Ok(())
    }

    /// Removes rooms that ended with an earlier run of the server.
    pub(super) async fn sweep(self: Arc<Self>, _: Hub, _: Arc<Site>) {
        let (service, run) = (self.service.jid.as_str(), self.service.run);
        loop {
            let rooms = match self.rows.left_over(service, run, LEFT_OVER).await {
                Ok(rooms) if rooms.is_empty() => return,
                Ok(rooms) => rooms,
                Err(error) => return tracing::error!(%error, "old rooms could not be found"),
            };
            for room in rooms {
                if let Err(error) = self.clear_away(&room).await {
                    return tracing::error!(%error, room, "an old room could not be removed");
                }
            }
        }
    }

    /// Removes a room that ended, in its task: somebody may make another there at that moment.
    async fn clear_away(self: &Arc<Self>, room: &str) -> Result<(), StanzaError> {
        let errand = |room: &mut Room, _: &Now<'_>| {
            let rows = match room.life {
                Life::Absent => Rows::destroy(room.jid.as_str()),
                Life::Locked | Life::Open => Vec::new(),
            };
            (Outcome { rows, ..Outcome::nothing() }, ())
        };
        self.ask(&BareJid::new(room)?, errand).await
    }
}
