//! Rooms without a server: letters go in, and what everybody gets comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::stage::Party;
use waxwing_kernel::{Hub, Limits};
use waxwing_stanza::{CLIENT, Kind, PresenceType, Stanza};
use waxwing_store::{Db, Location};

use super::letter::Letter;
use super::outcome::{Outcome, Post};
use super::role::Affiliation;
use super::room::{Life, Room, Service};
use super::settings::RoomsConfig;
use super::table::USER;
use super::task::with_now;

/// A room and those who write to it.
pub(super) struct Stage {
    pub(super) hub: Hub,
    pub(super) room: Room,
    /// Accounts that administer the domain.
    pub(super) operators: Vec<&'static str>,
}

impl Stage {
    /// A room that does not exist yet.
    pub(super) async fn new() -> Self {
        Self::with(RoomsConfig::default()).await
    }

    /// The same with other settings.
    pub(super) async fn with(settings: RoomsConfig) -> Self {
        let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
        let metrics = Arc::new(Metrics::new("0", "test"));
        let hub = Hub::new(db, Clock::simulated(1_000_000, 7), Limits::default(), metrics);
        let jid = Jid::new("rooms.localhost").unwrap();
        let service = Arc::new(Service { jid, settings, run: 1 });
        let room = Room::absent(BareJid::new("garden@rooms.localhost").unwrap(), service);
        Self { hub, room, operators: Vec::new() }
    }

    /// `from` sends this to the room; gives what everybody gets, in order.
    pub(super) fn send(&mut self, from: &str, xml: &str) -> Vec<Stanza> {
        let outcome = self.outcome(from, xml);
        let jid = Jid::new(from).unwrap();
        let mut sent = self.carry_out(outcome, &jid);
        let outcome = self.room.close_behind();
        sent.extend(self.carry_out(outcome, &jid));
        sent
    }

    /// What the room makes of it, before anything is stored or sent.
    pub(super) fn outcome(&mut self, from: &str, xml: &str) -> Outcome {
        let xml = xml.replacen(' ', &format!(" xmlns='{CLIENT}' from='{from}' "), 1);
        let stanza = Stanza::parse(&xml).unwrap();
        let nick = stanza.head.to.as_ref().and_then(|to| to.resource().map(str::to_owned));
        let jid = Jid::new(from).unwrap();
        let is_operator = self.operators.contains(&jid.bare_str());
        let from = Party::new(jid, None);
        let mut letter = Letter { from, nick, stanza, is_operator, may_create: Ok(()) };
        with_now(&self.hub, |now| self.room.on(&mut letter, now))
    }

    fn carry_out(&mut self, outcome: Outcome, sender: &Jid) -> Vec<Stanza> {
        let mut posts = outcome.posts;
        if let Some(then) = outcome.then {
            posts.extend(with_now(&self.hub, |now| then(&mut self.room, now)));
        }
        posts.into_iter().flat_map(|post| addressed(post, sender)).collect()
    }

    /// `from` enters under `nick`.
    pub(super) fn enter(&mut self, from: &str, nick: &str) -> Vec<Stanza> {
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.send(from, &format!("<presence to='garden@rooms.localhost/{nick}'>{x}</presence>"))
    }

    /// A room that `owner@localhost/o` has made and opened, as it is usual.
    pub(super) async fn open() -> Self {
        let mut stage = Self::new().await;
        stage.enter("owner@localhost/o", "Owner");
        stage.room.life = Life::Open;
        stage
    }

    /// Says how somebody stands.
    pub(super) fn affiliate(&mut self, jid: &str, affiliation: Affiliation) {
        let standing = super::affiliations::Standing { affiliation, ..Default::default() };
        self.room.affiliations.set(BareJid::new(jid).unwrap(), standing);
    }
}

/// Each stanza of a post with the address that it goes to.
fn addressed(post: Post, sender: &Jid) -> Vec<Stanza> {
    match post {
        Post::Crowd(crowd, stanza) => {
            crowd.iter().map(|place| stanza.clone().to(place.seat.jid().clone())).collect()
        }
        Post::Seat(seat, stanzas) => {
            stanzas.into_iter().map(|stanza| stanza.to(seat.jid().clone())).collect()
        }
        Post::Whisper(seats, stanza) => {
            seats.iter().map(|seat| stanza.clone().to(seat.jid().clone())).collect()
        }
        Post::Back(stanza) => vec![stanza.to(sender.clone())],
        Post::Send(stanza) | Post::Ask { question: stanza, .. } => vec![stanza],
    }
}

/// What `to` gets of all that is sent.
pub(super) fn got<'a>(sent: &'a [Stanza], to: &str) -> Vec<&'a Stanza> {
    let is_it = |stanza: &&Stanza| stanza.head.to.as_ref().is_some_and(|jid| jid.as_str() == to);
    sent.iter().filter(is_it).collect()
}

/// The status codes of an extended presence.
pub(super) fn codes(stanza: &Stanza) -> Vec<u16> {
    let Some(x) = stanza.body.child("x", USER) else { return Vec::new() };
    let codes = x.children().filter(|child| child.is("status", USER));
    codes.filter_map(|child| child.attribute("code")?.parse().ok()).collect()
}

/// The real address in an extended presence.
pub(super) fn real(stanza: &Stanza) -> Option<String> {
    let item = stanza.body.child("x", USER)?.child("item", USER)?;
    item.attribute("jid").map(|jid| jid.into_owned())
}

#[tokio::test]
async fn real_addresses_are_told_to_moderators_alone() {
    let mut stage = Stage::open().await;
    stage.enter("romeo@localhost/r", "Romeo");
    let sent = stage.enter("juliet@localhost/j", "Juliet");
    let to_owner = got(&sent, "owner@localhost/o");
    assert_eq!(real(to_owner[0]).as_deref(), Some("juliet@localhost/j"));
    let to_romeo = got(&sent, "romeo@localhost/r");
    assert_eq!((to_romeo.len(), real(to_romeo[0])), (1, None));
    // Of herself she learns no secret.
    let own: Vec<_> = got(&sent, "juliet@localhost/j").into_iter().filter_map(real).collect();
    assert_eq!(own, ["juliet@localhost/j"]);
    // Nor does anybody learn it when she changes her presence or nick, or goes.
    for xml in [
        "<presence to='garden@rooms.localhost/Juliet'><show>away</show></presence>",
        "<presence to='garden@rooms.localhost/J'/>",
        "<message to='garden@rooms.localhost' type='groupchat'><body>Hi</body></message>",
        "<message to='garden@rooms.localhost/Romeo' type='chat'><body>Hi</body></message>",
        "<iq to='garden@rooms.localhost/Romeo' type='get' id='1'><q xmlns='urn:q'/></iq>",
        "<presence to='garden@rooms.localhost/J' type='unavailable'/>",
    ] {
        let sent = stage.send("juliet@localhost/j", xml);
        let to_romeo = got(&sent, "romeo@localhost/r");
        assert!(!to_romeo.is_empty(), "{xml}");
        for stanza in to_romeo {
            let mut text = String::new();
            stanza.write(&mut text, None);
            assert!(!text.contains("juliet@localhost"), "{text}");
        }
    }
}

#[tokio::test]
async fn what_only_the_room_may_say_is_not_passed_on() {
    let mut stage = Stage::open().await;
    stage.enter("romeo@localhost/r", "Romeo");
    let forged = "<x xmlns='http://jabber.org/protocol/muc#user'><item role='moderator' \
         affiliation='owner'/><status code='301'/></x>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='GARDEN@rooms.localhost' id='1'/>\
         <occupant-id xmlns='urn:xmpp:occupant-id:0' id='owner'/>\
         <delay xmlns='urn:xmpp:delay' from='garden@rooms.localhost' stamp='x'/>";
    for xml in [
        format!(
            "<message to='garden@rooms.localhost' type='groupchat'><body>Hi</body>{forged}\
             </message>"
        ),
        format!("<presence to='garden@rooms.localhost/Romeo'>{forged}</presence>"),
    ] {
        for stanza in stage.send("romeo@localhost/r", &xml) {
            let mut text = String::new();
            stanza.write(&mut text, None);
            let is_left = |word: &str| text.contains(word);
            assert!(!is_left("301") && !is_left("GARDEN") && !is_left("id='owner'"), "{text}");
            assert!(!is_left("affiliation='owner'"), "{text}");
        }
    }
}

#[tokio::test]
async fn sessions_of_one_person_share_a_nick() {
    let mut stage = Stage::open().await;
    stage.enter("romeo@localhost/r", "Romeo");
    let sent = stage.enter("romeo@localhost/phone", "Romeo");
    assert_eq!(stage.room.occupants.len(), 2);
    let mine = got(&sent, "romeo@localhost/phone");
    assert!(mine.iter().any(|stanza| codes(stanza).contains(&110)));
    // What is said to the nick comes to both, and so does what is said to all.
    let to = "garden@rooms.localhost/Romeo";
    let whisper = format!("<message to='{to}' type='chat'><body>Hi</body></message>");
    let sent = stage.send("owner@localhost/o", &whisper);
    assert_eq!(sent.len(), 2);
    // One leaves: nobody else sees him go.
    let bye = "<presence to='garden@rooms.localhost/Romeo' type='unavailable'/>";
    let sent = stage.send("romeo@localhost/phone", bye);
    let gone = |to: &str| {
        got(&sent, to)
            .iter()
            .filter(|it| it.head.kind == Kind::Presence(PresenceType::Unavailable))
            .count()
    };
    assert_eq!((gone("romeo@localhost/phone"), gone("owner@localhost/o")), (1, 0));
    let sent = stage.send("romeo@localhost/r", bye);
    assert_eq!(got(&sent, "owner@localhost/o").len(), 1);
    assert_eq!(stage.room.occupants.len(), 1);
}

#[tokio::test]
async fn a_room_that_does_not_stay_ends_with_its_last_occupant() {
    let mut stage = Stage::open().await;
    let bye = "<presence to='garden@rooms.localhost/Owner' type='unavailable'/>";
    stage.send("owner@localhost/o", bye);
    assert_eq!(stage.room.life, Life::Absent);
    assert!(stage.room.affiliations.is_empty());
}

/// What a client believes, from what it was sent: whether it is in the room, under which nick.
#[derive(Default)]
struct Belief(BTreeMap<String, String>);

impl Belief {
    fn hear(&mut self, sent: &[Stanza]) {
        for stanza in sent {
            let (Some(to), Some(from)) = (&stanza.head.to, &stanza.head.from) else { continue };
            let Kind::Presence(kind) = stanza.head.kind else { continue };
            if !codes(stanza).contains(&110) {
                continue;
            }
            let nick = from.resource().unwrap_or_default().to_owned();
            match kind {
                PresenceType::Available => {
                    self.0.insert(to.as_str().to_owned(), nick);
                }
                PresenceType::Unavailable => {
                    self.0.remove(to.as_str());
                }
                _ => {}
            }
        }
    }
}

/// Whatever comes in whatever order, everybody knows at every moment whether it is in the room, and
/// nobody who is not gets what is said there.
#[tokio::test]
async fn joins_race_with_kicks_bans_and_the_end_of_the_room() {
    let people = ["a@localhost/1", "b@localhost/1", "b@localhost/2", "c@localhost/1"];
    for seed in 0..40 {
        let (mut stage, mut belief) = (Stage::open().await, Belief::default());
        belief.0.insert("owner@localhost/o".into(), "Owner".into());
        let mut dice = Dice(seed);
        for step in 0..200 {
            let who = people[dice.roll(people.len())];
            let nick = ["x", "y", "z"][dice.roll(3)];
            let (from, xml) = deed(dice.roll(10), who, nick);
            let sent = match xml {
                None => stage.enter(from, nick),
                Some(xml) => stage.send(from, &xml),
            };
            for stanza in &sent {
                if stanza.head.kind != Kind::Message(waxwing_stanza::MessageType::Groupchat) {
                    continue;
                }
                let to = stanza.head.to.as_ref().unwrap();
                let is_in = stage.room.occupants.by_jid(to).is_some();
                assert!(is_in, "seed {seed}, step {step}: {to} hears what is said");
            }
            belief.hear(&sent);
            let there: BTreeMap<String, String> = stage
                .room
                .occupants
                .iter()
                .flat_map(|it| it.sittings.iter().map(move |sitting| (sitting, it)))
                .map(|(sitting, it)| (sitting.seat.jid().to_string(), it.nick.to_string()))
                .collect();
            assert_eq!(there, belief.0, "seed {seed}, step {step}");
            if !stage.room.occupants.iter().any(|it| &*it.nick == "Owner") {
                stage.affiliate("owner@localhost", Affiliation::Owner);
                belief.hear(&stage.enter("owner@localhost/o", "Owner"));
                stage.room.life = Life::Open;
            }
        }
    }
}

/// The ids of questions are remembered, so they are bounded.
#[tokio::test]
async fn a_question_under_a_huge_id_is_refused() {
    let mut stage = Stage::open().await;
    stage.enter("a@localhost/1", "A");
    let mut asked = |bytes: usize| {
        let id = "x".repeat(bytes);
        let iq = format!(
            "<iq to='garden@rooms.localhost/Owner' type='get' id='{id}'>\
             <query xmlns='jabber:iq:version'/></iq>"
        );
        stage.send("a@localhost/1", &iq)[0].error().map(|error| error.condition)
    };
    assert_eq!(asked(1024), None);
    assert_eq!(asked(1025), Some(waxwing_stanza::Condition::NotAcceptable));
}

/// Something that happens: who does it and with which stanza; none to enter.
fn deed<'a>(number: usize, who: &'a str, nick: &str) -> (&'a str, Option<String>) {
    let room = "garden@rooms.localhost";
    let owner = "owner@localhost/o";
    let admin = |item: String| {
        let query = "<query xmlns='http://jabber.org/protocol/muc#admin'>";
        Some(format!("<iq to='{room}' type='set' id='1'>{query}{item}</query></iq>"))
    };
    let bare = who.split('/').next().unwrap_or_default();
    match number {
        0..=3 => (who, None),
        4 => (who, Some(format!("<presence to='{room}/{nick}'/>"))),
        5 => (who, Some(format!("<presence to='{room}/{nick}' type='unavailable'/>"))),
        6 => (owner, admin(format!("<item nick='{nick}' role='none'/>"))),
        7 => (owner, admin(format!("<item jid='{bare}' affiliation='outcast'/>"))),
        8 => (owner, admin(format!("<item jid='{bare}' affiliation='none'/>"))),
        _ => {
            let query = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
            (owner, Some(format!("<iq to='{room}' type='set' id='1'>{query}</iq>")))
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}
