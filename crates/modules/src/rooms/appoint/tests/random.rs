//! Whatever people do, in whatever order: those are in the room who may be, and everybody sees
//! what there is and no more. A room takes one letter after the other, so an order of letters is
//! all that a race can be.

use std::collections::{BTreeMap, BTreeSet};

use waxwing_jid::Jid;
use waxwing_stanza::{Kind, PresenceType, Stanza};

use crate::rooms::config::Whois;
use crate::rooms::role::{Affiliation, Role};
use crate::rooms::room::Life;
use crate::rooms::tests::{Stage, codes, real};

/// Letters of one run.
const LETTERS: usize = 1500;

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";
const NICKS: [&str; 7] = ["A", "B", "C", "D", "E", "F", "G"];

/// What one session has been told.
#[derive(Default)]
struct View {
    /// The nick under which it is in the room.
    inside: Option<String>,
    /// The nicks of others.
    others: BTreeSet<String>,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

fn sessions() -> Vec<String> {
    let people = (0..6).flat_map(|number| ["a", "b"].map(|it| format!("p{number}@localhost/{it}")));
    people.chain(["owner@localhost/o".to_owned()]).collect()
}

/// What somebody does next.
fn letter(dice: &mut Dice) -> String {
    let (nick, person) = (dice.one_of(&NICKS), format!("p{}@localhost", dice.roll(6)));
    let room = "garden@rooms.localhost";
    let order = |item: String| {
        format!("<iq type='set' id='i' to='{room}'><query xmlns='{ADMIN}'>{item}</query></iq>")
    };
    let own = |xml: String| {
        format!("<iq type='set' id='i' to='{room}'><query xmlns='{OWNER}'>{xml}</query></iq>")
    };
    let set = |var: &str, value: &str| {
        let field = format!("<field var='muc#roomconfig_{var}'><value>{value}</value></field>");
        own(format!("<x xmlns='jabber:x:data' type='submit'>{field}</x>"))
    };
    let affiliate = |to: &str| order(format!("<item jid='{person}' affiliation='{to}'/>"));
    let role = |to: &str| order(format!("<item nick='{nick}' role='{to}'/>"));
    match dice.roll(24) {
        0..=6 => {
            let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
            format!("<presence to='{room}/{nick}'>{x}</presence>")
        }
        7 => format!("<presence type='unavailable' to='{room}/{nick}'/>"),
        8 => format!("<presence to='{room}/{nick}'><show>away</show></presence>"),
        9 => format!("<message type='groupchat' to='{room}'><body>Ay me</body></message>"),
        10 => role("none"),
        11 => role("visitor"),
        12 => role("participant"),
        13 => role("moderator"),
        14 => affiliate("outcast"),
        15 => affiliate("none"),
        16 => affiliate("member"),
        17 => affiliate("admin"),
        18 => affiliate("owner"),
        19 => set("membersonly", dice.one_of(&["0", "1"])),
        20 => set("whois", dice.one_of(&["moderators", "anyone"])),
        21 => set("moderatedroom", dice.one_of(&["0", "1"])),
        22 if dice.roll(10) == 0 => own("<destroy/>".to_owned()),
        _ => own("<x xmlns='jabber:x:data' type='submit'/>".to_owned()),
    }
}

/// A session is told something.
fn hear(view: &mut View, stanza: &Stanza) {
    let (Kind::Presence(kind), Some(from)) = (stanza.head.kind, &stanza.head.from) else { return };
    let Some(nick) = from.resource().map(str::to_owned) else { return };
    let codes = codes(stanza);
    match (kind, codes.contains(&110)) {
        (PresenceType::Available, true) => view.inside = Some(nick),
        (PresenceType::Available, false) => drop(view.others.insert(nick)),
        (PresenceType::Unavailable, true) => {
            view.inside = None;
            if !codes.contains(&303) {
                view.others.clear();
            }
        }
        (PresenceType::Unavailable, false) => drop(view.others.remove(&nick)),
        _ => {}
    }
}

fn role_of(stage: &Stage, jid: &str) -> Role {
    let jid = Jid::new(jid).unwrap();
    stage.room.occupants.by_jid(&jid).map_or(Role::None, |occupant| occupant.role)
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let (mut stage, sessions) = (Stage::open().await, sessions());
    let mut views: BTreeMap<&str, View> =
        sessions.iter().map(|jid| (jid.as_str(), View::default())).collect();
    views.get_mut("owner@localhost/o").unwrap().inside = Some("Owner".to_owned());
    let mut met = 0;
    for number in 0..LETTERS {
        // Owners do what changes most, so they are chosen more often.
        let from = &sessions[if dice.roll(3) == 0 { 12 } else { dice.roll(13) }];
        let xml = letter(&mut dice);
        let step = format!("seed {seed}, letter {number}: {from} sends {xml}");
        let before: BTreeMap<&str, Role> =
            sessions.iter().map(|jid| (jid.as_str(), role_of(&stage, jid))).collect();
        let was_closed = stage.room.config.whois == Whois::Moderators;
        let sent = stage.send(from, &xml);
        let is_closed = stage.room.config.whois == Whois::Moderators;
        for stanza in &sent {
            let Some(to) = stanza.head.to.as_ref().map(Jid::as_str) else { continue };
            let Some(view) = views.get_mut(to) else { continue };
            hear(view, stanza);
            let is_own = codes(stanza).contains(&110);
            let sees = |role: Role| role == Role::Moderator;
            let is_blind = !sees(before[to]) && !sees(role_of(&stage, to));
            let leak = real(stanza).filter(|_| was_closed && is_closed && is_blind && !is_own);
            assert_eq!(
                leak, None,
                "{step}: {to} is told a real address: {stanza:?} {:?}",
                stage.room.config.whois
            );
        }
        met = met.max(stage.room.occupants.len());
        check(&stage, &views, &step);
    }
    assert!(met > 3, "seed {seed}: nobody met");
}

/// What must hold after every letter.
fn check(stage: &Stage, views: &BTreeMap<&str, View>, step: &str) {
    let room = &stage.room;
    let nicks: BTreeSet<String> = room.occupants.iter().map(|it| it.nick.to_string()).collect();
    for occupant in room.occupants.iter() {
        let affiliation = occupant.affiliation;
        assert_eq!(affiliation, room.affiliations.of(&occupant.real), "{step}: {}", occupant.nick);
        assert!(affiliation > Affiliation::Outcast, "{step}: {} is banned", occupant.nick);
        let may_be = !room.config.is_members_only || affiliation >= Affiliation::Member;
        assert!(may_be, "{step}: {} is no member", occupant.nick);
        let runs = affiliation >= Affiliation::Admin;
        assert!(!runs || occupant.role == Role::Moderator, "{step}: {}", occupant.nick);
        assert_ne!(occupant.role, Role::None, "{step}: {}", occupant.nick);
    }
    for (jid, view) in views {
        let occupant = room.occupants.by_jid(&Jid::new(jid).unwrap());
        let nick = occupant.map(|occupant| occupant.nick.to_string());
        assert_eq!(view.inside, nick, "{step}: {jid} thinks otherwise");
        if let Some(nick) = nick {
            let mut seen = view.others.clone();
            seen.insert(nick);
            assert_eq!(seen, nicks, "{step}: {jid} sees others");
        }
    }
    let is_owned = room.affiliations.count(Affiliation::Owner) > 0;
    assert_eq!(room.life != Life::Absent, is_owned, "{step}: nobody owns the room");
}

#[tokio::test]
async fn whatever_people_do_the_room_is_as_it_must_be() {
    for seed in 0..4 {
        run(seed).await;
    }
}
