//! Whose presence is told to whom: to everybody, as a rule; in large rooms to those who need it.
//!
//! XEP-0045 §7.2.2 has everybody told of everybody, which costs the square of those who
//! come. A room that has grown large tells less: whoever comes gets the presences of the moderators
//! and its own; of the others it gets one when they speak for the first time since, just before the
//! message. Whoever has got a presence gets the changes and the end of it as well. So clients know
//! everybody they hear of, and those who only listen cost nothing. Such a room stays so until it is
//! empty.
//!
//! Occupants have rising numbers, so what was told to whom is one number for each of them: the
//! highest of those who have its presence. Whoever was spoken to alone is noted besides.

use std::sync::Arc;

use waxwing_stanza::Stanza;

use super::occupants::{Occupant, Sight};
use super::outcome::{Crowd, Post};
use super::role::Role;
use super::room::Room;

/// To how many somebody may speak alone before everybody is told of it.
const MET: usize = 32;

/// What a room knows of who has whose presence.
#[derive(Debug, Default)]
pub struct Thin {
    /// Whether it has grown large.
    is_on: bool,
    /// Those up to this number have the presences of all others up to it.
    all: u64,
    /// The numbers of those whom everybody is shown, and perhaps of some who have left.
    heads: Vec<u64>,
}

/// Somebody has come in, and nobody was told so far.
pub fn enter(room: &mut Room, number: u64) {
    let most = room.service.settings.all_shown as usize;
    if room.occupants.len() <= 1 {
        room.thin = Thin::default();
    } else if !room.thin.is_on && room.occupants.len() > most {
        room.thin.is_on = true;
        let all = room.occupants.iter().filter(|it| is_head(it)).map(|it| it.number);
        room.thin.heads = all.collect();
    }
    if !room.thin.is_on {
        room.thin.all = number;
        return;
    }
    let mut heads = std::mem::take(&mut room.thin.heads);
    heads.retain(|head| room.occupants.get(*head).is_some_and(is_head));
    for head in &heads {
        if let Some(head) = room.occupants.get_mut(*head) {
            head.told = head.told.max(number);
        }
    }
    room.thin.heads = heads;
}

/// Whom everybody is shown also in a large room.
fn is_head(occupant: &Occupant) -> bool {
    occupant.role == Role::Moderator
}

/// Whether something new of an occupant is told at all: not of those who were never heard of.
pub fn is_told(room: &Room, occupant: &Occupant) -> bool {
    !room.thin.is_on || occupant.is_shown || is_head(occupant)
}

/// Notes that a presence was told, to everybody or to those who had one before.
pub fn told(room: &mut Room, number: u64) {
    let (last, is_on) = (room.occupants.last_number(), room.thin.is_on);
    let Some(occupant) = room.occupants.get_mut(number) else { return };
    if !is_on || is_head(occupant) {
        occupant.told = last;
    }
    if is_on && is_head(occupant) && !room.thin.heads.contains(&number) {
        room.thin.heads.push(number);
    }
}

/// The highest number of those who have the presence of an occupant.
fn reach(room: &Room, occupant: &Occupant) -> u64 {
    if occupant.number <= room.thin.all { occupant.told.max(room.thin.all) } else { occupant.told }
}

/// Those who are told of an occupant.
pub fn audience(room: &Room, occupant: &Occupant, sight: Sight) -> Crowd {
    let crowd = room.occupants.crowd(sight, Some(occupant.number));
    if !room.thin.is_on || is_head(occupant) {
        return crowd;
    }
    let reach = reach(room, occupant);
    among(crowd, |other| other <= reach || occupant.met.contains(&other))
}

fn among(crowd: Crowd, is_meant: impl Fn(u64) -> bool) -> Crowd {
    let meant = crowd.iter().filter(|place| is_meant(place.occupant)).cloned();
    let list = Arc::new(meant.collect::<Vec<_>>());
    Crowd { lists: [list].into_iter().collect(), but: None }
}

/// The presences that somebody gets who comes in, or who sees real addresses from now on: of all
/// whose presence it has, or is to have.
pub fn roster(room: &Room, own: &Occupant) -> Vec<Stanza> {
    let sees = room.may_see_real(own);
    let shown = |other: &Occupant| {
        if sees { other.shown.open.clone() } else { other.shown.closed.clone() }
    };
    let is_other = |other: &&Occupant| other.number != own.number && other.is_shown;
    // Whoever came last has not heard of anybody else.
    if room.thin.is_on && own.number == room.occupants.last_number() {
        let heads = room.thin.heads.iter().filter_map(|head| room.occupants.get(*head));
        return heads.filter(is_other).map(shown).collect();
    }
    let others = room.occupants.iter().filter(is_other);
    let knows =
        |other: &&Occupant| own.number <= reach(room, other) || other.met.contains(&own.number);
    others.filter(knows).map(shown).collect()
}

/// The highest number of those who know an occupant at all.
fn known_to(room: &Room, occupant: &Occupant) -> u64 {
    if occupant.is_shown { reach(room, occupant) } else { 0 }
}

/// Somebody speaks: those who do not know it yet are told who it is.
pub fn introduce(room: &mut Room, number: u64) -> Vec<Post> {
    if !room.thin.is_on {
        return Vec::new();
    }
    let last = room.occupants.last_number();
    let Some(occupant) = room.occupants.get(number) else { return Vec::new() };
    let reach = known_to(room, occupant);
    if !room.is_told(occupant.role) || reach >= last {
        return Vec::new();
    }
    let both = [
        (Sight::Seeing, occupant.shown.open.clone()),
        (Sight::Blind, occupant.shown.closed.clone()),
    ];
    let crowd = |sight| room.occupants.crowd(sight, Some(number));
    let is_new = |other: u64| other > reach && !occupant.met.contains(&other);
    let both = both.map(|(sight, stanza)| (among(crowd(sight), is_new), stanza));
    let both = both.into_iter().filter(|(crowd, _)| !crowd.is_empty());
    let posts = both.map(|(crowd, stanza)| Post::Crowd(crowd, stanza)).collect();
    if let Some(occupant) = room.occupants.get_mut(number) {
        (occupant.is_shown, occupant.told) = (true, last);
        occupant.met = Vec::new();
    }
    posts
}

/// Somebody speaks to one other alone: who does not know it yet is told who it is. Whoever speaks
/// so to many is told to everybody.
pub fn introduce_to(room: &mut Room, number: u64, other: u64) -> Vec<Post> {
    if !room.thin.is_on || number == other {
        return Vec::new();
    }
    let Some((own, to)) = room.occupants.get(number).zip(room.occupants.get(other)) else {
        return Vec::new();
    };
    if !room.is_told(own.role) || known_to(room, own) >= other || own.met.contains(&other) {
        return Vec::new();
    }
    // Of those who came early and are not shown all others of that time count as told.
    let is_early = !own.is_shown && number <= room.thin.all;
    if is_early || own.met.len() >= MET {
        return introduce(room, number);
    }
    let shown = if room.may_see_real(to) { &own.shown.open } else { &own.shown.closed };
    let seats = to.sittings.iter().map(|sitting| sitting.seat.clone());
    let posts = seats.map(|seat| Post::Seat(seat, vec![shown.clone()])).collect();
    if let Some(own) = room.occupants.get_mut(number) {
        own.is_shown = true;
        own.met.push(other);
    }
    posts
}

#[cfg(test)]
mod tests {
    use super::super::settings::RoomsConfig;
    use super::super::tests::Stage;

    fn come(stage: &mut Stage, number: usize) -> usize {
        let presence = format!(
            "<presence to='garden@rooms.localhost/P{number}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        stage.send(&format!("p{number}@localhost/d"), &presence).len()
    }

    /// Issues of cost: who comes into a large room costs what it is sent, however many are there.
    #[tokio::test]
    async fn in_a_large_room_newcomers_cost_what_they_are_sent() {
        let settings = RoomsConfig { all_shown: 10, ..RoomsConfig::default() };
        let mut stage = Stage::with(settings).await;
        come(&mut stage, 0);
        stage.room.life = super::super::room::Life::Open;
        let mut costs = Vec::new();
        for number in 1..200 {
            costs.push(come(&mut stage, number));
        }
        // Everybody else twice (what it gets and what others get), itself and the subject.
        assert_eq!(costs[8], 2 * 9 + 2);
        // The moderator, itself, the subject.
        assert!(costs[9..].iter().all(|cost| *cost == 3), "{:?}", &costs[9..20]);
        let say = "<message type='groupchat' to='garden@rooms.localhost'><body>Hi</body></message>";
        // Whoever came after the one that speaks does not know it; the next time everybody does.
        assert_eq!(stage.send("p5@localhost/d", say).len(), 200 + 190);
        assert_eq!(stage.send("p5@localhost/d", say).len(), 200);
        assert_eq!(stage.send("p150@localhost/d", say).len(), 200 + 199);
        // Who never spoke goes without a word to others; who did is taken leave of.
        let go = |nick: &str| {
            format!("<presence type='unavailable' to='garden@rooms.localhost/{nick}'/>")
        };
        assert_eq!(stage.send("p160@localhost/d", &go("P160")).len(), 1);
        assert_eq!(stage.send("p150@localhost/d", &go("P150")).len(), 1 + 198);
        // Who spoke to one alone is known to that one alone.
        let whisper = |to: &str| {
            let to = format!("garden@rooms.localhost/{to}");
            format!("<message type='chat' to='{to}'><body>Hi</body></message>")
        };
        assert_eq!(stage.send("p170@localhost/d", &whisper("P180")).len(), 1 + 1);
        assert_eq!(stage.send("p170@localhost/d", &whisper("P180")).len(), 1);
        let away = "<presence to='garden@rooms.localhost/P170'><show>away</show></presence>";
        assert_eq!(stage.send("p170@localhost/d", away).len(), 1 + 1);
        assert_eq!(stage.send("p170@localhost/d", &go("P170")).len(), 1 + 1);
        for number in 20..20 + super::MET {
            assert_eq!(stage.send("p190@localhost/d", &whisper(&format!("P{number}"))).len(), 2);
        }
        // Others are left: but for those who have heard of it and itself, all of 197.
        let others = 197 - super::MET - 1;
        assert_eq!(stage.send("p190@localhost/d", &whisper("P60")).len(), others + 1);
        assert_eq!(stage.send("p190@localhost/d", say).len(), 197);
        // So is who changes the subject, once.
        let subject = "<message type='groupchat' to='garden@rooms.localhost'><subject>S</subject>\
                       </message>";
        stage.room.config.allows_subject = true;
        assert_eq!(stage.send("p191@localhost/d", subject).len(), 196 + 197);
        assert_eq!(stage.send("p191@localhost/d", subject).len(), 197);
        // Who came when the room was small is known to those who were there by then.
        assert_eq!(stage.send("p9@localhost/d", &go("P9")).len(), 1 + 9);
    }
}
