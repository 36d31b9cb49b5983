//! What is worth waking a phone for.

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::http::percent_decoded;
use waxwing_kernel::tone::Tone;
use waxwing_stanza::{CLIENT, Kind, MessageType, Stanza};
use waxwing_xml::Child;

const CARBONS: &str = "urn:xmpp:carbons:2";
const FORWARD: &str = "urn:xmpp:forward:0";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const REFERENCE: &str = "urn:xmpp:reference:0";

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Worth knowing, not worth waking up for: a correction, talk in a room.
    Normal,
    /// Somebody says something to this person.
    High,
    /// Somebody calls, and will not wait long.
    Call,
}

/// Something that matters.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) weight: Weight,
    /// Who said it.
    pub(super) sender: Option<Jid>,
    /// What can be read of it.
    pub(super) body: Option<String>,
    /// Tells one message from others as well as its sender does.
    pub(super) id: Option<String>,
    /// Whether only the client can read what is said.
    pub(super) is_sealed: bool,
    /// The occupants of the room that it mentions, by their addresses there.
    pub(super) mentioned: Vec<Jid>,
}

impl News {
    /// Whether somebody is to be told who wants this conversation to be so loud.
    ///
    /// XEP-0492 §3: a mention "MAY rely on the user's nickname being spelled out in an incoming
    /// message in a group chat". What cannot be read may be one.
    pub(super) fn is_wanted(&self, tone: &Tone) -> bool {
        match tone {
            Tone::Always => true,
            Tone::Never => false,
            Tone::Mentions(nick) => {
                let spells = |nick: &str| self.body.as_ref().is_some_and(|body| spells(body, nick));
                self.weight > Weight::Normal
                    || self.is_sealed
                    || nick.as_deref().is_some_and(|nick| spells(nick) || self.names(nick))
            }
        }
    }
}

impl News {
    /// Whether it mentions the occupant of its room with this nick.
    fn names(&self, nick: &str) -> bool {
        let room = self.sender.as_ref().map(Jid::bare);
        let is_it = |jid: &Jid| Some(jid.bare()) == room && jid.resource() == Some(nick);
        self.mentioned.iter().any(is_it)
    }
}

/// Whether a name stands in a text as a word.
fn spells(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(&name).any(|(at, _)| {
        is_apart(text[..at].chars().next_back()) && is_apart(text[at + name.len()..].chars().next())
    })
}

/// What `stanza` means to `owner`; None when it can wait until the client comes by itself:
/// receipts, markers, chat states, reactions, what the owner wrote.
pub(super) fn news(stanza: &Stanza, owner: &BareJid) -> Option<News> {
    let Kind::Message(kind) = stanza.head.kind else { return None };
    let from = stanza.head.from.as_ref()?;
    if from.bare() == *owner {
        // What somebody wrote to another device, as a copy (XEP-0280); nothing else of one's own.
        let copy = stanza.body.child("received", CARBONS)?;
        let message = copy.child("forwarded", FORWARD)?.child("message", CLIENT)?;
        let kind = MessageType::read(message.attribute("type").as_deref());
        let sender = message.attribute("from").and_then(|from| Jid::new(&from).ok())?;
        let is_own = sender.bare() == *owner;
        let id = message.attribute("id").map(|id| id.into_owned());
        return (!is_own).then(|| read(kind, message.children(), owner, (Some(sender), id)))?;
    }
    let id = stanza.head.id.as_deref().map(str::to_owned);
    read(kind, stanza.body.children(), owner, (Some(from.clone()), id))
}

fn read<'a>(
    kind: MessageType,
    children: impl Iterator<Item = Child<'a>>,
    owner: &BareJid,
    (sender, id): (Option<Jid>, Option<String>),
) -> Option<News> {
    if matches!(kind, MessageType::Error | MessageType::Headline) {
        return None;
    }
    let (mut weight, mut body) = (None, None);
    let (mut is_correction, mut is_sealed, mut mentioned) = (false, false, Vec::new());
    for child in children {
        weight = weight.max(weigh(child)?);
        match (child.name(), child.namespace()) {
            ("body", CLIENT) => body = Some(child.text().into_owned()),
            ("replace", "urn:xmpp:message-correct:0") => is_correction = true,
            ("delay", "urn:xmpp:delay") if kind == MessageType::Groupchat => return None,
            ("encrypted" | "openpgp", _) | ("x", "jabber:x:encrypted") => is_sealed = true,
            ("reference", REFERENCE) => mentioned.extend(mentions(child)),
            _ => {}
        }
    }
    let is_mention = mentioned.iter().any(|jid| jid.bare() == *owner);
    let is_talk = kind == MessageType::Groupchat && !is_mention;
    let weight = match weight? {
        Weight::High if is_correction || is_talk => Weight::Normal,
        weight => weight,
    };
    Some(News { weight, sender, body, id, is_sealed, mentioned })
}

/// How much one element of a message matters; the outer None when it takes all meaning from the
/// others, which are there for clients that do not know it.
fn weigh(child: Child<'_>) -> Option<Option<Weight>> {
    let high = |does: bool| does.then_some(Weight::High);
    Some(match (child.namespace(), child.name()) {
        (CLIENT, "body") => high(!child.text().trim().is_empty()),
        // XEP-0384: without a payload it carries a key and nothing for people.
        ("eu.siacs.conversations.axolotl" | "urn:xmpp:omemo:2", "encrypted") => {
            high(child.child("payload", child.namespace()).is_some())
        }
        ("urn:xmpp:openpgp:0", "openpgp") | ("jabber:x:encrypted", "x") => high(true),
        // Invitations to rooms (XEP-0249, XEP-0045 §7.8.2).
        ("jabber:x:conference", "x") => high(true),
        (MUC_USER, "x") => high(child.child("invite", MUC_USER).is_some()),
        // XEP-0353 §3: the other steps of a call concern devices that ring already.
        ("urn:xmpp:jingle-message:0", "propose") | ("urn:xmpp:call-invites:0", "invite") => {
            Some(Weight::Call)
        }
        ("urn:xmpp:reactions:0", "reactions")
        | ("urn:xmpp:message-retract:1", "retract")
        | ("urn:xmpp:mam:2", "result") => return None,
        _ => None,
    })
}

/// XEP-0372 §3.2: whom a reference mentions.
fn mentions(reference: Child<'_>) -> Option<Jid> {
    let uri = reference.attribute("uri")?;
    let address = uri.strip_prefix("xmpp:")?.split(['?', '#']).next()?;
    let is_mention = reference.attribute("type").is_some_and(|kind| kind == "mention");
    Jid::new(&percent_decoded(address)?).ok().filter(|_| is_mention)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(xml: &str) -> Option<Weight> {
        let stanza = Stanza::parse(xml).expect("a stanza");
        let owner = BareJid::new("romeo@localhost").expect("an address");
        news(&stanza, &owner).map(|news| news.weight)
    }

    fn chat(inside: &str) -> Option<Weight> {
        weight(&format!(
            "<message xmlns='jabber:client' from='juliet@localhost/desk' to='romeo@localhost' \
             type='chat'>{inside}</message>"
        ))
    }

    #[test]
    fn what_people_say_matters() {
        for inside in [
            "<body>Hi</body>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/><payload>x</payload>\
             </encrypted>",
            "<encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload></encrypted>",
            "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>",
            "<x xmlns='jabber:x:conference' jid='capulets@rooms.localhost'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>",
        ] {
            assert_eq!(chat(inside), Some(Weight::High), "{inside}");
        }
        assert_eq!(
            chat(
                "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/><store xmlns='urn:xmpp:hints'/>"
            ),
            Some(Weight::Call)
        );
        assert_eq!(
            chat("<body>Hi!</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>"),
            Some(Weight::Normal)
        );
    }

    #[test]
    fn the_rest_can_wait() {
        for inside in [
            "",
            "<body> </body>",
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/></encrypted>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/><body>> Hi</body>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/><body>gone</body>",
            "<accept xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'/>",
        ] {
            assert_eq!(chat(inside), None, "{inside}");
        }
        for xml in [
            "<message xmlns='jabber:client' from='a@b' type='headline'><body>x</body></message>",
            "<message xmlns='jabber:client' from='a@b' type='error'><body>x</body></message>",
            "<message xmlns='jabber:client' from='romeo@localhost/x' type='chat'><body>x</body>\
             </message>",
            "<presence xmlns='jabber:client' from='a@b'/>",
        ] {
            assert_eq!(weight(xml), None, "{xml}");
        }
    }

    #[test]
    fn in_rooms_mentions_stand_out() {
        let room = |inside: &str| {
            weight(&format!(
                "<message xmlns='jabber:client' from='capulets@rooms.localhost/juliet' \
                 type='groupchat'>{inside}</message>"
            ))
        };
        assert_eq!(room("<body>Hi all</body>"), Some(Weight::Normal));
        let mention = "<body>romeo!</body><reference xmlns='urn:xmpp:reference:0' type='mention' \
                       uri='xmpp:romeo@localhost'/>";
        assert_eq!(room(mention), Some(Weight::High));
        assert_eq!(room(&mention.replace("xmpp:romeo", "xmpp:paris")), Some(Weight::Normal));
        assert_eq!(room("<body>old</body><delay xmlns='urn:xmpp:delay' stamp='x'/>"), None);
    }

    #[test]
    fn who_wants_to_hear_of_mentions_hears_of_no_talk() {
        let wanted = |inside: &str, tone: &Tone| {
            let xml = format!(
                "<message xmlns='jabber:client' from='capulets@rooms.localhost/juliet' \
                 type='groupchat'>{inside}</message>"
            );
            let owner = BareJid::new("romeo@localhost").expect("an address");
            news(&Stanza::parse(&xml).expect("a stanza"), &owner).unwrap().is_wanted(tone)
        };
        let mentions = Tone::Mentions(Some("Rome".into()));
        let reference = "<reference xmlns='urn:xmpp:reference:0' type='mention' \
                         uri='xmpp:romeo@localhost'/>";
        let in_room =
            |jid: &str| format!("<body>you</body>{}", reference.replace("romeo@localhost", jid));
        for (inside, is_wanted) in [
            ("<body>Hi all</body>", false),
            ("<body>romeo?</body>", false),
            ("<body>Hi, rome!</body>", true),
            (&*format!("<body>you</body>{reference}"), true),
            // Or by the address in the room.
            (&*in_room("capulets@rooms.localhost/Rome"), true),
            (&*in_room("capulets@rooms.localhost/%52ome"), true),
            (&*in_room("capulets@rooms.localhost/Rom"), false),
            (&*in_room("montagues@rooms.localhost/Rome"), false),
            (
                "<body>sealed</body><encrypted xmlns='urn:xmpp:omemo:2'><payload>x</payload>\
                 </encrypted>",
                true,
            ),
        ] {
            assert_eq!(wanted(inside, &mentions), is_wanted, "{inside}");
            assert!(wanted(inside, &Tone::Always) && !wanted(inside, &Tone::Never));
        }
    }

    #[test]
    fn copies_count_as_what_they_hold() {
        let copy = |name: &str, from: &str| {
            weight(&format!(
                "<message xmlns='jabber:client' from='romeo@localhost' type='chat'><{name} \
                 xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message \
                 xmlns='jabber:client' from='{from}' type='chat'><body>Hi</body></message>\
                 </forwarded></{name}></message>"
            ))
        };
        assert_eq!(copy("received", "juliet@localhost/desk"), Some(Weight::High));
        assert_eq!(copy("sent", "romeo@localhost/desk"), None);
        assert_eq!(copy("received", "romeo@localhost/desk"), None);
    }
}
