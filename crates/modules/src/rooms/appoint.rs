//! How somebody stands in a room changes: what must hold, what is stored, who is told (XEP-0045 §9,
//! §10.3 to §10.8).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{MessageType, StanzaError};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::{RoomRow, Rooms as Rows};

use super::affiliations::Standing;
use super::config::{Config, Whois};
use super::leave::Exit;
use super::letter::{Letter, Now};
use super::occupants::Sight;
use super::outcome::Post;
use super::presence::{Item, Why};
use super::privilege::Rank;
use super::role::{Affiliation, Role};
use super::room::{Room, Subject};
use super::{thin, versions};

/// What is to become of somebody.
#[derive(Clone, Debug)]
pub struct Change {
    /// Who: an account, or everybody of a domain.
    pub jid: BareJid,
    /// What it is from now on.
    pub affiliation: Affiliation,
    /// What becomes of the nick that only that account may use.
    pub nick: Reserve,
    /// Why, in the words of whoever changes it.
    pub reason: Option<String>,
}

/// What becomes of a reserved nick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// It stays as it is.
    Keep,
    /// There is none any more.
    Drop,
    /// It is this one, prepared.
    Take(String),
}

/// Who changes something in a room.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The account.
    pub bare: BareJid,
    /// The nick, of somebody who is in the room.
    pub nick: Option<Arc<str>>,
    /// What it is in the room.
    pub rank: Rank,
}

/// Whether those hear of a change who are not in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Courtesy {
    /// The room writes to them.
    Write,
    /// They hear of it otherwise.
    Silent,
}

/// Changes that may be made: how everybody concerned stands afterwards.
pub type Plan = BTreeMap<BareJid, Standing>;

impl Actor {
    /// Whoever wrote this.
    pub fn of(room: &Room, letter: &Letter) -> Self {
        let occupant = room.occupant(letter);
        let role = occupant.map_or(Role::None, |occupant| occupant.role);
        let nick = occupant.map(|occupant| Arc::clone(&occupant.nick));
        let rank = Rank { affiliation: room.affiliation(letter), role };
        Self { bare: letter.bare(), nick, rank }
    }

    /// What those are told who see what it did.
    pub fn because(&self, reason: Option<String>) -> Why {
        let actor = self.nick.as_deref().map(str::to_owned);
        Why { actor, reason, ..Why::default() }
    }

    /// An admin of the domain from outside, by whose address others know who it was: that of the
    /// room for one who has none.
    pub fn operator(room: &Room, account: Option<BareJid>) -> Self {
        let rank = Rank { affiliation: Affiliation::Owner, role: Role::None };
        Self { bare: account.unwrap_or_else(|| room.jid.clone()), nick: None, rank }
    }
}

impl Room {
    /// Whether the actor may make these changes: all of them, or none is made (§9.2).
    ///
    /// # Errors
    /// `forbidden` and `not-allowed` as [`Affiliation::set_affiliation`]; `conflict` for who would
    /// ban itself (§9.1).
    pub fn judge_changes(&self, actor: &Actor, changes: &[Change]) -> Result<(), StanzaError> {
        for change in changes {
            let target = self.affiliations.of(&change.jid);
            // §9.1 "If an admin or owner attempts to ban himself, the service MUST deny the request
            // and return a <conflict/> error to the sender."
            let is_self = change.jid == actor.bare;
            let is_admin = actor.rank.affiliation >= Affiliation::Admin;
            if is_self && is_admin && change.affiliation == Affiliation::Outcast {
                return Err(StanzaError::conflict().text("You cannot ban yourself."));
            }
            actor.rank.affiliation.set_affiliation(target, change.affiliation)?;
            if change.jid.is_domain() && change.affiliation >= Affiliation::Admin {
                let text = "A whole domain cannot run a room; give the address of an account.";
                return Err(StanzaError::not_acceptable().text(text));
            }
        }
        Ok(())
    }

    /// How everybody concerned stands after these changes, which `by` makes.
    ///
    /// # Errors
    /// `conflict` where nobody would own the room any more (§10.4) or a nick is somebody else's,
    /// `resource-constraint` where there is no room for more.
    pub fn plan(
        &self,
        changes: Vec<Change>,
        by: &BareJid,
        now: &Now<'_>,
    ) -> Result<Plan, StanzaError> {
        let mut plan = Plan::new();
        for change in changes {
            let before = plan.get(&change.jid).or(self.affiliations.standing(&change.jid));
            let kept = before.and_then(|standing| standing.nick.clone());
            let nick = match change.nick {
                // §9.1: the service "MUST remove the outcast's nickname from the list of registered
                // nicknames".
                _ if change.affiliation < Affiliation::Member => None,
                Reserve::Keep => kept,
                Reserve::Drop => None,
                Reserve::Take(nick) => Some(nick),
            };
            let standing = Standing {
                affiliation: change.affiliation,
                nick,
                reason: change.reason,
                by: Some(by.as_str().to_owned()),
                at: now.stored(),
                version: self.version + 1,
            };
            plan.insert(change.jid, standing);
        }
        self.check_plan(&plan)?;
        Ok(plan)
    }

    fn check_plan(&self, plan: &Plan) -> Result<(), StanzaError> {
        for (jid, standing) in plan {
            let Some(nick) = &standing.nick else { continue };
            let is_other = |other: &BareJid| other != jid;
            let holder = self.affiliations.reserved(nick).filter(|other| {
                is_other(other) && plan.get(*other).is_none_or(|it| it.nick.as_ref() == Some(nick))
            });
            let rival = plan.iter().any(|(other, it)| is_other(other) && it.nick == standing.nick);
            if holder.is_some() || rival {
                let text = format!("The nick {nick:?} is reserved for somebody else.");
                return Err(StanzaError::conflict().text(text));
            }
        }
        // §10.4 "A service MUST NOT allow an owner to revoke his or her own owner status if there
        // are no other owners; if an owner attempts to do this, the service MUST return a
        // <conflict/> error to the owner."
        let owns = |standing: &Standing| standing.affiliation == Affiliation::Owner;
        let stays = self.affiliations.iter().any(|(jid, it)| owns(it) && !plan.contains_key(jid));
        let loses = plan.keys().any(|jid| self.affiliations.of(jid) == Affiliation::Owner);
        if loses && !stays && !plan.values().any(owns) {
            return Err(StanzaError::conflict().text("A room needs an owner."));
        }
        let new = plan.keys().filter(|jid| self.affiliations.standing(jid).is_none()).count();
        let most = self.service.settings.affiliations as usize;
        if new > 0 && self.affiliations.len() + new > most {
            let text = format!("A room remembers {most} addresses at most.");
            return Err(StanzaError::resource_constraint().text(text));
        }
        Ok(())
    }

    /// What stores these changes.
    pub fn rows_of(&self, plan: &Plan) -> Vec<Statement> {
        let mut rows = self.standing_rows(plan);
        if !rows.is_empty() {
            rows.push(Rows::put(&self.next_row(&self.config, self.subject.as_ref())));
        }
        rows
    }

    /// What stores how everybody concerned stands, without the room itself.
    pub fn standing_rows(&self, plan: &Plan) -> Vec<Statement> {
        plan.iter().map(|(jid, standing)| self.put_standing(jid, standing)).collect()
    }

    /// The room as it is stored along with a plan.
    pub fn next_row(&self, config: &Config, subject: Option<&Subject>) -> RoomRow {
        RoomRow { version: self.version + 1, ..self.row_with(config, subject) }
    }

    /// Makes the changes, and tells everybody whom they concern.
    pub fn appoint(&mut self, plan: Plan, actor: &Actor, courtesy: Courtesy) -> Vec<Post> {
        if plan.is_empty() {
            return Vec::new();
        }
        let before = self.occupants.iter().filter_map(|occupant| {
            let listed = self.affiliations.of(&occupant.real);
            let domain = plan.iter().any(|(jid, _)| jid.as_str() == occupant.real.domain());
            let is_meant = domain || plan.contains_key(&occupant.real);
            // Whoever is more than the list says is so by being an admin of the domain.
            (is_meant && listed == occupant.affiliation).then(|| Moved {
                number: occupant.number,
                real: occupant.real.clone(),
                was: Rank { affiliation: listed, role: occupant.role },
            })
        });
        let before: Vec<Moved> = before.collect();
        let absent: Vec<(BareJid, Affiliation)> = plan
            .keys()
            .filter(|jid| self.occupants.of(jid).is_empty())
            .map(|jid| (jid.clone(), self.affiliations.of(jid)))
            .collect();
        let step = versions::step(self);
        self.version += 1;
        for (jid, standing) in plan {
            self.affiliations.set(jid, standing);
        }
        let mut posts = Vec::new();
        // What changes at once is one version, told with the last of it.
        let mut left = before.len() + absent.len();
        let mut step_of = || {
            left -= 1;
            if left == 0 { step.clone() } else { String::new() }
        };
        for moved in before {
            self.move_occupant(moved, actor, step_of(), &mut posts);
        }
        for (jid, was) in absent {
            posts.extend(self.tell_room(&jid, was, &step_of()));
            if courtesy == Courtesy::Write {
                posts.extend(self.write_to(&jid, was, actor));
            }
        }
        posts
    }

    /// Somebody who is in the room is something else now.
    fn move_occupant(&mut self, moved: Moved, actor: &Actor, step: String, posts: &mut Vec<Post>) {
        let affiliation = self.affiliations.of(&moved.real);
        if affiliation == moved.was.affiliation {
            return;
        }
        let reason = self.reason_for(&moved.real);
        let role = affiliation.role_after(moved.was, &self.config);
        if role == Role::None {
            // §9.4 "including a status code of 321 to indicate that the user was removed because of
            // an affiliation change".
            let code = if affiliation == Affiliation::Outcast { 301 } else { 321 };
            let why = Why { codes: vec![code], step, ..actor.because(reason) };
            if let Some(occupant) = self.occupants.get_mut(moved.number) {
                occupant.affiliation = affiliation;
            }
            posts.extend(self.remove(moved.number, &Exit { why, ..Exit::default() }));
            return;
        }
        let why = Why { step, ..actor.because(reason) };
        posts.extend(self.promote(moved.number, (affiliation, role), &why));
    }

    /// Somebody in the room has another affiliation and role now. §8: moderators "discover an
    /// occupant's full JID in a semi-anonymous room (occurs automatically through presence)", so a
    /// new one is shown everybody once more.
    pub fn promote(
        &mut self,
        number: u64,
        (affiliation, role): (Affiliation, Role),
        why: &Why,
    ) -> Vec<Post> {
        let Some(occupant) = self.occupants.get_mut(number) else { return Vec::new() };
        let saw = occupant.role == Role::Moderator;
        occupant.affiliation = affiliation;
        let mut posts = self.set_role(number, role, why);
        let is_new = role == Role::Moderator && !saw && self.config.whois == Whois::Moderators;
        if let Some(occupant) = self.occupants.get(number).filter(|_| is_new) {
            let others = thin::roster(self, occupant);
            let seats = occupant.sittings.iter().map(|sitting| sitting.seat.clone());
            posts.extend(seats.map(|seat| Post::Seat(seat, others.clone())));
        }
        posts
    }

    /// §10.3 "If the user is not in the room, the service MAY send a message from the room itself
    /// to the room occupants": to those who may see real addresses.
    fn tell_room(&self, jid: &BareJid, was: Affiliation, step: &str) -> Option<Post> {
        let affiliation = self.affiliations.of(jid);
        let crowd = self.occupants.crowd(Sight::Seeing, None);
        if affiliation == was || crowd.is_empty() {
            return None;
        }
        let item = Item { affiliation, jid: Some(jid.as_jid()), ..Item::default() };
        let news = self.message(MessageType::Normal).with(item.x(std::iter::empty(), step));
        Some(Post::Crowd(crowd, news))
    }

    /// Somebody who is not in the room hears what it is there from now on.
    fn write_to(&self, jid: &BareJid, was: Affiliation, actor: &Actor) -> Option<Post> {
        let affiliation = self.affiliations.of(jid);
        if affiliation == was || jid.is_domain() {
            return None;
        }
        let (reason, is_new) = (self.reason_for(jid), was <= Affiliation::None);
        let is_member = affiliation >= Affiliation::Member;
        let note = match self.config.is_members_only && is_new && is_member {
            // §9.5 "the service SHOULD send an invitation to any user who has been added to the
            // member list of a members-only room if the user is not currently affiliated".
            true => self.invitation(&self.shown_as(actor), reason.as_deref(), ""),
            // §18.1 "a MUC service MAY send an out-of-room <message/> if a user's affiliation
            // changes while the user is not in the room; the message SHOULD be sent from the room
            // to the user's bare JID, … and MUST contain a status code of 101."
            false => {
                let item = Item { affiliation, reason: reason.as_deref(), ..Item::default() };
                self.message(MessageType::Normal).with(item.x([101].into_iter(), ""))
            }
        };
        Some(Post::Send(note.to(jid.to_jid())))
    }

    fn reason_for(&self, jid: &BareJid) -> Option<String> {
        let domain = || BareJid::from_parts(None, jid.domain()).ok();
        let own = self.affiliations.standing(jid).cloned();
        let standing = own.or_else(|| self.affiliations.standing(&domain()?).cloned());
        standing.and_then(|standing| standing.reason)
    }
}

/// Somebody in the room whose standing is changed.
struct Moved {
    number: u64,
    real: BareJid,
    was: Rank,
}
