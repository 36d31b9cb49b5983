//! Handing out what a room says.

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::Hub;
use waxwing_kernel::crowd::{Crowd, Handed, Seat};
use waxwing_kernel::stage::Party;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError};

use super::outcome::Post;
use super::relay;

/// What goes elsewhere (and whether it is an answer to the sender), and who was not there.
#[derive(Default)]
struct Rest {
    elsewhere: Vec<(Stanza, bool)>,
    missed: Vec<Jid>,
}

/// Hands everything to the sessions of this server, in order. Gives back what is for others, with
/// whether it answers the sender, and the addresses of sessions that were not there.
pub fn hand_out(
    hub: &Hub,
    posts: Vec<Post>,
    sender: Option<&Party>,
) -> (Vec<(Stanza, bool)>, Vec<Jid>) {
    let mut rest = Rest::default();
    let crowd = hub.crowd();
    for post in posts {
        match post {
            Post::Crowd(many, stanza) => {
                for place in many.iter() {
                    rest.hand(&crowd, &place.seat, stanza.clone());
                }
            }
            Post::Seat(seat, stanzas) => {
                // Several at once are what somebody gets who enters.
                let is_asked = stanzas.len() > 1;
                for stanza in stanzas {
                    rest.take(
                        &seat,
                        match is_asked {
                            true => crowd.hand_asked(&seat, stanza),
                            false => crowd.hand(&seat, stanza),
                        },
                    );
                }
            }
            Post::Whisper(seats, stanza) => {
                let mut is_taken = false;
                for seat in &seats {
                    is_taken |= rest.hand(&crowd, seat, stanza.clone());
                }
                if !is_taken && let Some(sender) = sender {
                    rest.bounce(&crowd, sender, stanza);
                }
            }
            Post::Back(stanza) => {
                if let Some(sender) = sender {
                    rest.answer(&crowd, sender, stanza);
                }
            }
            Post::Send(stanza) => rest.elsewhere.push((stanza, false)),
            Post::Ask { question, asker, nick, id } => ask(hub, question, asker, (nick, id)),
        }
    }
    (rest.elsewhere, rest.missed)
}

impl Rest {
    /// Whether somebody took it, or may yet.
    fn hand(&mut self, crowd: &Crowd<'_>, seat: &Seat, stanza: Stanza) -> bool {
        self.take(seat, crowd.hand(seat, stanza))
    }

    fn take(&mut self, seat: &Seat, handed: Handed) -> bool {
        match handed {
            Handed::Taken => return true,
            Handed::Elsewhere(stanza) => {
                self.elsewhere.push((stanza, false));
                return true;
            }
            Handed::Gone => self.missed.push(seat.jid().clone()),
        }
        false
    }

    fn answer(&mut self, crowd: &Crowd<'_>, sender: &Party, stanza: Stanza) {
        let seat = Seat::of(sender);
        if seat.is_local() {
            crowd.hand(&seat, stanza);
        } else {
            self.elsewhere.push((stanza.to(sender.jid.clone()), true));
        }
    }

    /// A private message that nobody was there to take.
    fn bounce(&mut self, crowd: &Crowd<'_>, sender: &Party, mut stanza: Stanza) {
        // It bears the address of its sender in the room, which is of no use to the sender.
        stanza.head.from = Some(sender.jid.clone());
        let error = StanzaError::recipient_unavailable().text("The occupant is not there.");
        if let Some(mut reply) = stanza.error_reply(&error) {
            reply.head.from = None;
            self.answer(crowd, sender, reply);
        }
    }
}

/// Asks an account on behalf of an occupant, and passes on what it says.
fn ask(hub: &Hub, question: Stanza, asker: Seat, (nick, id): (Jid, Option<Arc<str>>)) {
    let clock = hub.clock().clone();
    let hub = hub.clone();
    let task = async move {
        let from = question.head.from.clone().unwrap_or_else(|| nick.clone());
        let answered = hub.inquire_for(&Party::new(from, None), question, relay::PATIENCE).await;
        let answer = answered.unwrap_or_else(|error| {
            let mut xml = String::new();
            error.write(&mut xml);
            Stanza::iq(IqType::Error).with(xml)
        });
        debug_assert!(matches!(answer.head.kind, Kind::Iq(_)));
        let answer = relay::answer(answer, nick, id);
        if let Handed::Elsewhere(stanza) = hub.crowd().hand(&asker, answer) {
            let from = stanza.head.from.clone().unwrap_or_else(|| asker.jid().clone());
            hub.send(&from, stanza).await;
        }
    };
    clock.spawn(Box::pin(task));
}
