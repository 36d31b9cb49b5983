//! What a room tells of what it can do besides XEP-0045.

use waxwing_stanza::payload::dataform::Field;
use waxwing_stanza::payload::sid;

use super::letter::Now;
use super::room::Room;
use super::{activity, avatar, forged, hats, retract, versions};

/// Namespace of commands, and the node under which they are listed (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

/// What every room can do.
const FEATURES: &[&str] = &[
    "http://jabber.org/protocol/muc#self-ping-optimization",
    COMMANDS,
    forged::OCCUPANT_ID,
    hats::NS,
    avatar::NS,
    retract::NS,
    versions::NS,
];

/// What rooms can do that keep what is said.
const KEPT: &[&str] = &[
    "urn:xmpp:mam:2",
    "urn:xmpp:mam:2#extended",
    "urn:xmpp:mam:2#groupchat-field",
    "urn:xmpp:fulltext:0",
    sid::NS,
    retract::MODERATE,
    "urn:xmpp:message-retract:1#tombstone",
];

/// The features of a room.
pub fn features(room: &Room) -> impl Iterator<Item = &'static str> {
    let kept = if room.config.is_archived { KEPT } else { &[] };
    FEATURES.iter().chain(kept).copied()
}

/// What belongs into its `muc#roominfo` form.
pub fn fields(room: &Room, now: &Now<'_>) -> impl Iterator<Item = Field> {
    [avatar::field(room), hats::hash(room), activity::field(room, now)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::Stage;

    /// XEP-0502 §4: "if: The room is persistent, and The room is public".
    #[tokio::test]
    async fn a_room_tells_how_much_is_said_in_it() {
        let mut stage = Stage::new().await;
        stage.send(
            "romeo@localhost/desk",
            "<presence to='garden@rooms.localhost/R'><x xmlns='http://jabber.org/protocol/muc'/>\
             </presence>",
        );
        stage.room.life = super::super::room::Life::Open;
        let told = |stage: &mut Stage| {
            let asked = "<iq type='get' id='1' to='garden@rooms.localhost'>\
                <query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
            let mut answer = String::new();
            for stanza in stage.send("juliet@localhost/desk", asked) {
                stanza.write(&mut answer, None);
            }
            let (_, rest) = answer.split_once("message-activity'")?;
            let (_, rest) = rest.split_once("<value>")?;
            rest.split_once('<').map(|(value, _)| value.to_owned())
        };
        assert_eq!(told(&mut stage), None, "the room does not persist");
        stage.room.config.is_persistent = true;
        for id in 0..6 {
            let message = format!(
                "<message type='groupchat' id='{id}' to='garden@rooms.localhost'><body>Hi</body>\
                 </message>"
            );
            stage.send("romeo@localhost/desk", &message);
        }
        stage.send(
            "romeo@localhost/desk",
            "<message type='groupchat' to='garden@rooms.localhost'>\
             <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        );
        assert_eq!(told(&mut stage).as_deref(), Some("0.00"));
        stage.hub.clock().advance(Duration::from_secs(3600));
        assert_eq!(told(&mut stage).as_deref(), Some("0.25"));
        stage.room.config.is_members_only = true;
        assert_eq!(told(&mut stage), None, "not everybody may come in");
    }
}
