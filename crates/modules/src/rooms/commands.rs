//! What admins of the domain see and do of its rooms, whoever owns them.

mod forms;

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{
    Caller, Command, FieldKind, Grid, Order, Refusal, RefusalKind, Said,
};
use waxwing_kernel::routes::Routes;
use waxwing_stanza::payload::dataform::{DataForm, Field, FormType};
use waxwing_stanza::{Condition, StanzaError};
use waxwing_store::StoreError;

use self::forms::{
    AFFILIATE, Affiliate, CREATE, CreateRoom, DESTROY, DestroyRoom, KICK, Kick, LIST, ListMembers,
    ListRooms, MEMBERS, SET, SHOW, SetRoom, ShowRoom, Standing,
};
use super::Rooms;
use super::appoint::{Actor, Change, Courtesy, Reserve};
use super::destroy::Destroy;
use super::letter::Now;
use super::options;
use super::outcome::Outcome;
use super::role::{Affiliation, Role};
use super::room::{Life, Room};

/// Rows of one answer.
const PAGE: usize = 100;

/// Says which commands there are.
pub(super) fn declare(on: &mut Routes<'_, Rooms>) {
    on.command(|rooms| Command::new(&LIST, rooms, Rooms::list_rooms));
    on.command(|rooms| Command::new(&SHOW, rooms, Rooms::show_room));
    on.command(|rooms| Command::new(&CREATE, rooms, Rooms::create_room));
    on.command(|rooms| Command::new(&DESTROY, rooms, Rooms::destroy_room));
    on.command(|rooms| Command::new(&SET, rooms, Rooms::set_room));
    on.command(|rooms| Command::new(&AFFILIATE, rooms, Rooms::affiliate));
    on.command(|rooms| Command::new(&MEMBERS, rooms, Rooms::list_members));
    on.command(|rooms| Command::new(&KICK, rooms, Rooms::kick));
}

impl Rooms {
    async fn list_rooms(self: Arc<Self>, order: Order<ListRooms>) -> Result<Said, Refusal> {
        let after = order.form.after.as_ref().map_or("", BareJid::as_str);
        let service = self.service.jid.as_str();
        let rows = self.rows.all(service, after, PAGE as u32 + 1).await.map_err(failed)?;
        let in_use = self.in_use();
        let mut grid = Grid::new(&[
            ("room", "Room"),
            ("name", "Name"),
            ("public", "Listed"),
            ("persistent", "Stays"),
            ("in-use", "In use"),
            ("made", "Since"),
            ("maker", "Made by"),
        ]);
        let has_more = rows.len() > PAGE;
        for row in rows.into_iter().take(PAGE) {
            let is_used = in_use.iter().any(|room| room.as_str() == row.room);
            let made = stamp_of(row.made.cast_unsigned());
            let flags = [row.is_public, row.is_persistent, is_used].map(yes);
            let [public, persistent, used] = flags;
            grid.row([row.room, row.name, public, persistent, used, made, row.maker]);
        }
        Ok(page(grid, has_more, "There are no rooms."))
    }

    async fn show_room(self: Arc<Self>, order: Order<ShowRoom>) -> Result<Said, Refusal> {
        self.within(&order.form.room, |room, _| Ok((Outcome::nothing(), shown(room)))).await
    }

    async fn create_room(self: Arc<Self>, order: Order<CreateRoom>) -> Result<Said, Refusal> {
        let CreateRoom { room: jid, owner, name, .. } = order.form;
        self.check(&jid)?;
        let note = format!("{jid} is there, and {owner} owns it.");
        let made = self.ask(&jid, move |room, now| {
            if room.life != Life::Absent {
                let there = Refusal::conflict(format!("{} is there already", room.jid));
                return (Outcome::nothing(), Err(there));
            }
            let (mut fresh, mut rows) = room.fresh(&owner, now);
            fresh.life = Life::Open;
            fresh.config.is_persistent = true;
            fresh.config.name = name.unwrap_or_default();
            rows.push(fresh.put());
            let outcome = Outcome::after(rows, move |room, _| {
                *room = fresh;
                Vec::new()
            });
            (outcome, Ok(()))
        });
        made.await.map_err(refused)??;
        Ok(Said::note(note))
    }

    async fn destroy_room(self: Arc<Self>, order: Order<DestroyRoom>) -> Result<Said, Refusal> {
        let DestroyRoom { room: jid, reason, alternate, .. } = order.form;
        let note = format!("{jid} is no more.");
        let jid_of = alternate.map(|jid| jid.as_str().to_owned());
        let destroy = Destroy { jid: jid_of, reason, password: None };
        self.within(&jid, move |room, _| Ok((room.ending(&destroy, None), Said::note(note)))).await
    }

    async fn set_room(self: Arc<Self>, order: Order<SetRoom>) -> Result<Said, Refusal> {
        let by = account(&order.caller);
        let SetRoom { room: jid, option, values, .. } = order.form;
        let known =
            |var: &str| var == option || var.rsplit(['_', '}', '#']).next() == Some(&*option);
        let Some(found) = options::all().find(|option| known(option.var)) else {
            let names: Vec<&str> = options::all().map(|option| option.var).collect();
            let text = format!("there is no {option:?}; the settings are {}", names.join(", "));
            return Err(Refusal::invalid("option", text));
        };
        let values = values.unwrap_or_default();
        let field = Field { var: Some(found.var.to_owned()), values, ..Field::default() };
        let form = DataForm::new(FormType::Submit).with(field);
        self.within(&jid, move |room, now| {
            let actor = Actor::operator(room, by);
            let outcome = room.set_up(&form, actor, None, now)?;
            Ok((outcome, Said::note(format!("{} of {} is set.", found.label, room.jid))))
        })
        .await
    }

    async fn affiliate(self: Arc<Self>, order: Order<Affiliate>) -> Result<Said, Refusal> {
        let by = account(&order.caller);
        let Affiliate { room: address, jid, affiliation, nick, reason, .. } = order.form;
        let affiliation = affiliation.meant();
        let note = format!("{jid} is {} in {address}.", affiliation.name());
        self.within(&address, move |room, now| {
            let nick = nick.map(|nick| room.proper_nick(&nick)).transpose()?;
            let nick = nick.map_or(Reserve::Keep, Reserve::Take);
            let changes = vec![Change { jid, affiliation, nick, reason }];
            let actor = Actor::operator(room, by);
            room.judge_changes(&actor, &changes)?;
            let plan = room.plan(changes, &actor.bare, now)?;
            let rows = room.rows_of(&plan);
            let then =
                move |room: &mut Room, _: &Now<'_>| room.appoint(plan, &actor, Courtesy::Write);
            Ok((Outcome::after(rows, then), Said::note(note)))
        })
        .await
    }

    async fn list_members(self: Arc<Self>, order: Order<ListMembers>) -> Result<Said, Refusal> {
        let ListMembers { room, affiliation, after, .. } = order.form;
        let wanted = affiliation.map(Standing::meant);
        self.within(&room, move |room, _| {
            let listed = room.affiliations.iter().filter(|(jid, standing)| {
                let is_wanted = match wanted {
                    Some(wanted) => standing.affiliation == wanted,
                    None => standing.affiliation != Affiliation::None,
                };
                is_wanted && after.as_ref().is_none_or(|after| *jid > after)
            });
            let mut grid = Grid::new(&[
                ("jid", "Address"),
                ("affiliation", "Affiliation"),
                ("nick", "Nick"),
                ("since", "Since"),
                ("by", "By"),
                ("reason", "Reason"),
            ]);
            let mut listed = listed.peekable();
            for (jid, standing) in listed.by_ref().take(PAGE) {
                grid.row([
                    jid.to_string(),
                    standing.affiliation.name().to_owned(),
                    standing.nick.clone().unwrap_or_default(),
                    stamp_of(standing.at.cast_unsigned()),
                    standing.by.clone().unwrap_or_default(),
                    standing.reason.clone().unwrap_or_default(),
                ]);
            }
            let said = page(grid, listed.peek().is_some(), "Nobody stands in any way there.");
            Ok((Outcome::nothing(), said))
        })
        .await
    }

    async fn kick(self: Arc<Self>, order: Order<Kick>) -> Result<Said, Refusal> {
        let by = account(&order.caller);
        let Kick { room, nick, reason, .. } = order.form;
        self.within(&room, move |room, _| {
            let Some(number) = room.occupants.by_nick(&nick).map(|occupant| occupant.number) else {
                let text = format!("nobody is called {nick} in {}", room.jid);
                return Err(StanzaError::item_not_found().text(text));
            };
            let actor = Actor::operator(room, by);
            let posts = room.give_role(number, Role::None, &actor, reason);
            Ok((Outcome::of(posts), Said::note(format!("{nick} is out of {}.", room.jid))))
        })
        .await
    }

    /// Does something in a room that exists.
    async fn within(
        self: &Arc<Self>,
        jid: &BareJid,
        errand: impl FnOnce(&mut Room, &Now<'_>) -> Result<(Outcome, Said), StanzaError>
        + Send
        + 'static,
    ) -> Result<Said, Refusal> {
        self.check(jid)?;
        let said = self.ask(jid, |room, now| {
            if room.life == Life::Absent {
                let missing = Refusal::not_found(format!("there is no {}", room.jid));
                return (Outcome::nothing(), Err(missing));
            }
            match errand(room, now) {
                Ok((outcome, said)) => (outcome, Ok(said)),
                Err(error) => (Outcome::nothing(), Err(refused(error))),
            }
        });
        said.await.map_err(refused)?
    }

    fn check(&self, room: &BareJid) -> Result<(), Refusal> {
        match room.domain() == self.service.jid.domain() && room.local().is_some() {
            true => Ok(()),
            false => {
                let text = format!("rooms of this domain are called NAME@{}", self.service.jid);
                Err(Refusal::invalid("room", text))
            }
        }
    }
}

/// What there is to know of a room. Its password is for its owners.
fn shown(room: &Room) -> Said {
    let mut said = Said::default()
        .fact("room", "Room", room.jid.as_str())
        .fact("made", "Since", stamp_of(room.made.cast_unsigned()))
        .fact("maker", "Made by", room.maker.as_str());
    for option in options::all().filter(|option| option.var != "muc#roomconfig_roomsecret") {
        let values = (option.show)(&room.config);
        if values.iter().any(|value| !value.is_empty()) {
            said = said.facts(option.var, option.label, FieldKind::Texts, values);
        }
    }
    let owners = room.affiliations.iter().filter(|(_, it)| it.affiliation == Affiliation::Owner);
    let owners = owners.take(PAGE).map(|(jid, _)| jid.to_string()).collect();
    said = said.facts("owners", "Owners", FieldKind::Jids, owners);
    said = said.fact("members", "Standing in some way", room.affiliations.len().to_string());
    said = said.fact("occupants", "In the room", room.occupants.len().to_string());
    let mut grid = Grid::new(&[
        ("nick", "Nick"),
        ("jid", "Address"),
        ("affiliation", "Affiliation"),
        ("role", "Role"),
    ]);
    for occupant in room.occupants.iter().take(PAGE) {
        let full: &Jid = occupant.full();
        let (affiliation, role) = (occupant.affiliation.name(), occupant.role.name());
        let (nick, jid) = (occupant.nick.to_string(), full.to_string());
        grid.row([nick, jid, affiliation.to_owned(), role.to_owned()]);
    }
    said.table(grid)
}

/// A list, and how to go on where there is more.
fn page(grid: Grid, has_more: bool, nothing: &str) -> Said {
    let note = match grid.rows.last() {
        None => nothing.to_owned(),
        Some(last) if has_more => format!("There are more; ask for those after {}.", last[0]),
        Some(_) => String::new(),
    };
    Said::note(note).table(grid)
}

/// The account of whoever gives a command, if it has one.
fn account(caller: &Caller) -> Option<BareJid> {
    match caller {
        Caller::Account(jid) => Some(jid.bare()),
        Caller::Operator | Caller::Token { .. } => None,
    }
}

fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// What a room says no to, for who gave the command.
fn refused(error: StanzaError) -> Refusal {
    let text = error.text.as_deref().unwrap_or("the room refuses").to_owned();
    match error.condition {
        Condition::ItemNotFound => Refusal::not_found(text),
        Condition::NotAcceptable | Condition::JidMalformed | Condition::BadRequest => {
            Refusal { kind: RefusalKind::Invalid, field: None, text }
        }
        Condition::Conflict => Refusal::conflict(text),
        Condition::ResourceConstraint => Refusal::busy(text),
        Condition::InternalServerError => Refusal::failed(text),
        _ => Refusal::not_allowed(text),
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "the rooms could not be listed");
    Refusal::failed("the rooms cannot be reached at the moment")
}
