//! Every privilege of XEP-0045 §5, one row for each, judged by a room.

use waxwing_stanza::{PresenceType, Stanza};

use super::{Leave, Rank};
use crate::rooms::config::{Config, Whois};
use crate::rooms::role::{Affiliation, Role, Roles};
use crate::rooms::room::Life;
use crate::rooms::tests::{Stage, got};

/// `+`: allowed, `f`: forbidden, `n`: not allowed, `b`: a bad request.
fn sign(leave: &Leave) -> char {
    match leave {
        Ok(()) => '+',
        Err(error) => error.condition.name().chars().next().unwrap(),
    }
}

fn rank(affiliation: &str, role: &str) -> Rank {
    let affiliation = Affiliation::read(affiliation).unwrap();
    Rank { affiliation, role: Role::read(role).unwrap() }
}

/// The role state chart (§5.1.3) with §8.2 to §8.4, §9.6 and §9.7. Who acts: a participant, a
/// moderator without affiliation, one who is a member, an admin, an owner, and an admin who is not
/// in the room.
#[test]
fn roles_are_changed_by_the_chart() {
    let actors = [
        rank("none", "participant"),
        rank("none", "moderator"),
        rank("member", "moderator"),
        rank("admin", "moderator"),
        rank("owner", "moderator"),
        rank("admin", "none"),
    ];
    let chart = "
        none   visitor      none f++++f  visitor f++++f  participant f++++f  moderator fff+++
        none   participant  none f++++f  visitor f++++f  participant f++++f  moderator fff+++
        none   moderator    none fnn++f  visitor fff+++  participant fff+++  moderator fff+++
        member visitor      none fn+++f  visitor fnn++f  participant f++++f  moderator fff+++
        member participant  none fn+++f  visitor fnn++f  participant f++++f  moderator fff+++
        member moderator    none fnn++f  visitor fnn+++  participant fff+++  moderator fff+++
        admin  moderator    none fnn++f  visitor fnnnnn  participant fffnnn  moderator fff+++
        owner  moderator    none fnnn+f  visitor fnnnnn  participant fffnnn  moderator fff+++";
    for line in chart.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let target = rank(words[0], words[1]);
        for cell in words[2..].chunks(2) {
            let to = Role::read(cell[0]).unwrap();
            let judged: String = actors.iter().map(|it| sign(&it.set_role(target, to))).collect();
            assert_eq!(judged, cell[1], "{} {} to {}", words[0], words[1], cell[0]);
        }
    }
}

/// The affiliation state chart (§5.2.2). Who acts: nobody in particular, a member, an admin, an
/// owner.
#[test]
fn affiliations_are_changed_by_the_chart() {
    let actors = ["none", "member", "admin", "owner"].map(|it| Affiliation::read(it).unwrap());
    let chart = "
        outcast  outcast ff++  none ff++  member ff++  admin fff+  owner fff+
        none     outcast ff++  none ff++  member ff++  admin fff+  owner fff+
        member   outcast ff++  none ff++  member ff++  admin fff+  owner fff+
        admin    outcast ffn+  none fff+  member fff+  admin fff+  owner fff+
        owner    outcast ffn+  none fff+  member fff+  admin fff+  owner fff+";
    for line in chart.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let target = Affiliation::read(words[0]).unwrap();
        for cell in words[1..].chunks(2) {
            let to = Affiliation::read(cell[0]).unwrap();
            let judged: String =
                actors.iter().map(|it| sign(&it.set_affiliation(target, to))).collect();
            assert_eq!(judged, cell[1], "{} to {}", words[0], cell[0]);
        }
    }
}

/// What becomes of the role with the affiliation: the table of §5.1.2 and the note of §5.1.3. The
/// columns: a room that is open, moderated, for members only.
#[test]
fn roles_follow_affiliations() {
    let chart = "
        none   participant  outcast none none none
        none   visitor      member  participant participant participant
        none   participant  member  participant participant participant
        none   participant  admin   moderator moderator moderator
        none   visitor      owner   moderator moderator moderator
        none   moderator    member  moderator moderator moderator
        none   moderator    outcast none none none
        member participant  none    participant visitor none
        member moderator    none    moderator moderator none
        member participant  admin   moderator moderator moderator
        admin  moderator    none    participant visitor none
        admin  moderator    member  participant participant participant
        owner  moderator    admin   moderator moderator moderator
        owner  moderator    none    participant visitor none";
    let rooms = [
        Config::default(),
        Config { is_moderated: true, ..Config::default() },
        Config { is_members_only: true, ..Config::default() },
    ];
    for line in chart.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (before, after) = (rank(words[0], words[1]), Affiliation::read(words[2]).unwrap());
        let roles = rooms.each_ref().map(|room| after.role_after(before, room).name());
        assert_eq!(roles, words[3..], "{} {} to {}", words[0], words[1], words[2]);
    }
}

/// Who may see which list (§5.2.1, §8.5, §9.2, §9.5, §9.8, §10.5, §10.8). Who asks: somebody from
/// outside, a visitor, a participant, a moderator, a member from outside, a member, an admin from
/// outside, an owner from outside.
#[test]
fn lists_are_for_those_who_may_see_them() {
    let actors = [
        rank("none", "none"),
        rank("none", "visitor"),
        rank("none", "participant"),
        rank("none", "moderator"),
        rank("member", "none"),
        rank("member", "participant"),
        rank("admin", "none"),
        rank("owner", "none"),
    ];
    let closed = Config::default();
    let open = Config { whois: Whois::Anyone, ..Config::default() };
    let kept = Config { member_list: Roles::NOBODY, ..open.clone() };
    let chart = [
        (
            &closed,
            "outcast ffffff++  none bbbbbbbb  member fff+ff++  admin fffffff+  owner fffffff+",
        ),
        (&open, "outcast ffffff++  none bbbbbbbb  member fff+++++  admin fff+++++  owner fff+++++"),
        (&kept, "outcast ffffff++  none bbbbbbbb  member ffffff++  admin ffffff++  owner ffffff++"),
    ];
    for (config, row) in chart {
        for cell in row.split_whitespace().collect::<Vec<_>>().chunks(2) {
            let list = Affiliation::read(cell[0]).unwrap();
            let judged: String =
                actors.iter().map(|it| sign(&it.list_affiliation(list, config))).collect();
            assert_eq!(judged, cell[1], "{} where {:?}", cell[0], config.whois);
        }
    }
    for (list, signs) in [
        (Role::None, "bbbbbbbb"),
        (Role::Visitor, "fff+ff++"),
        (Role::Participant, "fff+ff++"),
        (Role::Moderator, "ffffff++"),
    ] {
        let judged: String = actors.iter().map(|it| sign(&it.list_role(list))).collect();
        assert_eq!(judged, signs, "{}", list.name());
    }
}

/// `jid` does something; gives `yes`, or the condition of the error that it gets.
fn done(stage: &mut Stage, jid: &str, xml: &str) -> &'static str {
    let xml = xml.replace("ROOM", "garden@rooms.localhost");
    let sent = stage.send(jid, &xml);
    let own = got(&sent, jid);
    if let Some(error) = own.iter().find_map(|stanza| stanza.error()) {
        return error.condition.name();
    }
    let leave = PresenceType::Unavailable;
    let turned_away = |it: &&&Stanza| it.head.kind == waxwing_stanza::Kind::Presence(leave);
    let codes = own.iter().find(turned_away).map(|it| crate::rooms::tests::codes(it));
    // §7.2.18: who is not in the room is told so.
    if codes.is_some_and(|codes| codes.contains(&333)) { "turned away" } else { "yes" }
}

const FULL: [&str; 4] = [
    "nobody@localhost/x",
    "visitor@localhost/x",
    "participant@localhost/x",
    "moderator@localhost/x",
];

/// A moderated room with somebody of each role, and two to be acted upon.
async fn full_room(allows_subject: bool) -> Stage {
    let mut stage = Stage::open().await;
    stage.room.config.is_moderated = true;
    stage.room.config.allows_subject = allows_subject;
    for name in ["visitor", "participant", "moderator", "mute", "other"] {
        stage.enter(&format!("{name}@localhost/x"), name);
    }
    for name in ["participant", "other", "moderator"] {
        let role = if name == "moderator" { "moderator" } else { "participant" };
        let change = format!("<item nick='{name}' role='{role}'/>");
        assert_eq!(done(&mut stage, "owner@localhost/o", &admin(&change)), "yes");
    }
    stage
}

fn admin(item: &str) -> String {
    let ns = crate::rooms::admin::NS;
    format!("<iq type='set' id='i' to='ROOM'><query xmlns='{ns}'>{item}</query></iq>")
}

/// §5.1.1, row by row: none, visitor, participant, moderator.
#[tokio::test]
async fn roles_have_their_privileges() {
    let invite = "<message to='ROOM'><x xmlns='http://jabber.org/protocol/muc#user'>\
                  <invite to='paris@localhost'/></x></message>";
    let subject = "<message type='groupchat' to='ROOM'><subject>Spells</subject></message>";
    let (out, away) = ("not-acceptable", "turned away");
    let (no, yes, never) = ("forbidden", "yes", "not-allowed");
    let kick = |nick: &str| admin(&format!("<item nick='{nick}' role='none'/>"));
    let role = |nick: &str, role: &str| admin(&format!("<item nick='{nick}' role='{role}'/>"));
    let rows: [(&str, bool, String, [&str; 4]); 13] = [
        ("broadcast presence", false, "<presence to='ROOM/NICK'/>".into(), [away, yes, yes, yes]),
        (
            "change availability",
            false,
            "<presence to='ROOM/NICK'><show>dnd</show></presence>".into(),
            [away, yes, yes, yes],
        ),
        ("change nick", false, "<presence to='ROOM/new'/>".into(), [away, yes, yes, yes]),
        (
            "send private messages",
            false,
            "<message type='chat' to='ROOM/other'><body>Hush</body></message>".into(),
            [out, yes, yes, yes],
        ),
        ("invite", false, invite.into(), [no, yes, yes, yes]),
        (
            "send messages to all",
            false,
            "<message type='groupchat' to='ROOM'><body>Ay me</body></message>".into(),
            [out, no, yes, yes],
        ),
        ("modify the subject", false, subject.into(), [out, no, no, yes]),
        ("modify the subject where all may", true, subject.into(), [out, no, yes, yes]),
        ("kick a participant", false, kick("other"), [no, no, no, yes]),
        ("kick a visitor", false, kick("mute"), [no, no, no, yes]),
        ("grant voice", false, role("mute", "participant"), [no, no, no, yes]),
        ("revoke voice", false, role("other", "visitor"), [no, no, no, yes]),
        ("revoke voice of an owner", false, role("Owner", "visitor"), [no, no, no, never]),
    ];
    for (what, allows_subject, xml, expected) in rows {
        for (jid, expected) in FULL.into_iter().zip(expected) {
            let mut stage = full_room(allows_subject).await;
            let nick = jid.split('@').next().unwrap();
            assert_eq!(
                done(&mut stage, jid, &xml.replace("NICK", nick)),
                expected,
                "{what}: {nick}"
            );
        }
    }
}

/// The first three rows of §5.1.1: who is present, gets messages, and gets presence.
#[tokio::test]
async fn those_in_the_room_hear_and_see() {
    let mut stage = full_room(false).await;
    let said = "<message type='groupchat' to='garden@rooms.localhost'><body>Ay me</body></message>";
    let said = stage.send("owner@localhost/o", said);
    let entered = stage.enter("paris@localhost/x", "Paris");
    for (jid, count) in FULL.into_iter().zip([0, 1, 1, 1]) {
        assert_eq!((got(&said, jid).len(), got(&entered, jid).len()), (count, count), "{jid}");
    }
}

/// §5.2.1, row by row: outcast, none, member, admin, owner. Nobody of them is in the room when it
/// is done, so that it is the affiliation that counts.
#[tokio::test]
async fn affiliations_have_their_privileges() {
    let (no, yes) = ("forbidden", "yes");
    let enter =
        "<presence to='ROOM/Newcomer'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    let register = "<iq type='set' id='i' to='ROOM'><query xmlns='jabber:iq:register'>\
                    <x xmlns='jabber:x:data' type='submit'><field var='muc#register_roomnick'>\
                    <value>Newcomer</value></field></x></query></iq>";
    let owner = |xml: &str| {
        let ns = crate::rooms::owner::NS;
        format!("<iq type='set' id='i' to='ROOM'><query xmlns='{ns}'>{xml}</query></iq>")
    };
    let list = admin("<item affiliation='member'/>").replace("'set'", "'get'");
    let item =
        |jid: &str, to: &str| admin(&format!("<item jid='{jid}@localhost' affiliation='{to}'/>"));
    let membership = "registration-required";
    let only_members = Config { is_members_only: true, ..Config::default() };
    let open = || Config { whois: Whois::Anyone, ..Config::default() };
    let rows: [(&str, Config, String, [&str; 5]); 15] = [
        ("enter open room", open(), enter.into(), [no, yes, yes, yes, yes]),
        ("register", open(), register.into(), ["not-allowed", yes, yes, yes, yes]),
        ("retrieve member list", open(), list.clone(), [no, no, yes, yes, yes]),
        ("the same unseen", Config::default(), list, [no, no, no, yes, yes]),
        ("enter members-only room", only_members, enter.into(), [no, membership, yes, yes, yes]),
        ("ban somebody", open(), item("paris", "outcast"), [no, no, no, yes, yes]),
        ("ban a member", open(), item("tybalt", "outcast"), [no, no, no, yes, yes]),
        ("make a member", open(), item("paris", "member"), [no, no, no, yes, yes]),
        ("unmake a member", open(), item("tybalt", "none"), [no, no, no, yes, yes]),
        (
            "assign moderators",
            open(),
            admin("<item nick='other' role='moderator'/>"),
            [no, no, no, yes, yes],
        ),
        (
            "remove moderators",
            open(),
            admin("<item nick='moderator' role='participant'/>"),
            [no, no, no, yes, yes],
        ),
        ("edit admin list", open(), item("paris", "admin"), [no, no, no, no, yes]),
        ("edit owner list", open(), item("paris", "owner"), [no, no, no, no, yes]),
        (
            "change configuration",
            open(),
            owner("<x xmlns='jabber:x:data' type='submit'/>"),
            [no, no, no, no, yes],
        ),
        ("destroy", open(), owner("<destroy/>"), [no, no, no, no, yes]),
    ];
    for (what, config, xml, expected) in rows {
        for (affiliation, expected) in Affiliation::ALL.into_iter().zip(expected) {
            let mut stage = full_room(false).await;
            stage.room.config = config.clone();
            stage.affiliate("actor@localhost", affiliation);
            stage.affiliate("tybalt@localhost", Affiliation::Member);
            let what = format!("{what}: {}", affiliation.name());
            assert_eq!(done(&mut stage, "actor@localhost/x", &xml), expected, "{what}");
        }
    }
}

/// §10: admins of the domain may do in every room what its owners may.
#[tokio::test]
async fn admins_of_the_domain_are_owners() {
    let mut stage = full_room(false).await;
    stage.operators.push("boss@localhost");
    let ns = crate::rooms::owner::NS;
    let destroy =
        format!("<iq type='set' id='i' to='ROOM'><query xmlns='{ns}'><destroy/></query></iq>");
    for xml in [
        admin("<item jid='paris@localhost' affiliation='owner'/>"),
        admin("<item jid='owner@localhost' affiliation='none'/>"),
        destroy,
    ] {
        assert_eq!(done(&mut stage, "boss@localhost/x", &xml), "yes", "{xml}");
    }
    assert_eq!(stage.room.life, Life::Absent);
}
