//! What one says and many hear: in a room, and on a node.

use waxwing_stream::Framing;
use waxwing_testkit::World;

use crate::peer::{DOMAIN, Peer, block_on, world};
use crate::stanzas;
use crate::{Outcome, Runs};

/// Occupants of the room, the one who talks among them.
pub(crate) const OCCUPANTS: usize = 100;
/// Subscribers of the node.
pub(crate) const SUBSCRIBERS: usize = 1_000;

const ROOM: &str = "orchard@rooms.localhost";
const SERVICE: &str = "pubsub.localhost";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// One message to a room (XEP-0045 §7.4), over TCP's framing.
pub(crate) fn room(runs: Runs) -> Outcome {
    block_on(async {
        let world = world().await?;
        let mut occupants = people(&world, OCCUPANTS).await?;
        for (number, occupant) in occupants.iter_mut().enumerate() {
            enter(occupant, number).await?;
        }
        quiet(&world, &mut occupants).await?;
        let message = stanzas::groupchat(ROOM);
        for _ in 0..runs.now {
            occupants[0].say(&message).await?;
            for occupant in &mut occupants {
                expect(occupant, "</message>").await?;
            }
        }
        Ok(())
    })
}

/// One item on a node that keeps none (XEP-0060 §7.1).
pub(crate) fn publish(runs: Runs) -> Outcome {
    block_on(published(runs))
}

async fn published(runs: Runs) -> Outcome {
    let world = world().await?;
    let mut subscribers = people(&world, SUBSCRIBERS).await?;
    world.add_account(&format!("romeo@{DOMAIN}")).await?;
    let mut publisher = Peer::present(&world, Framing::Tcp, "romeo", "orchard").await?;
    let mut fields = String::new();
    for (name, value) in
        [("access_model", "open"), ("send_last_published_item", "never"), ("persist_items", "0")]
    {
        fields += &format!("<field var='pubsub#{name}'><value>{value}</value></field>");
    }
    let create = format!(
        "<iq type='set' to='{SERVICE}' id='c1'><pubsub xmlns='{PUBSUB}'><create node='news'/>\
         <configure><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>{PUBSUB}#node_config</value></field>{fields}</x></configure></pubsub></iq>"
    );
    publisher.say(&create).await?;
    publisher.until("result").await?;
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let subscribe = format!(
            "<iq type='set' to='{SERVICE}' id='s1'><pubsub xmlns='{PUBSUB}'><subscribe \
             node='news' jid='{}@{DOMAIN}'/></pubsub></iq>",
            name(number)
        );
        subscriber.say(&subscribe).await?;
        subscriber.until("result").await?;
    }
    quiet(&world, &mut subscribers).await?;
    let item = stanzas::item(SERVICE);
    for _ in 0..runs.now {
        publisher.say(&item).await?;
        publisher.until("result").await?;
        for subscriber in &mut subscribers {
            expect(subscriber, "</message>").await?;
        }
    }
    Ok(())
}

/// So many people, each with one session.
async fn people(world: &World, count: usize) -> Outcome<Vec<Peer>> {
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let name = name(number);
        world.add_account(&format!("{name}@{DOMAIN}")).await?;
        people.push(Peer::present(world, Framing::Tcp, &name, "home").await?);
    }
    Ok(people)
}

fn name(number: usize) -> String {
    format!("guest{number}")
}

async fn enter(peer: &mut Peer, number: usize) -> Outcome {
    let nick = name(number);
    let entry = format!(
        "<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    );
    peer.say(&entry).await?;
    let heard = peer.until("<subject").await?;
    if heard.contains("'201'") || heard.contains("\"201\"") {
        let unlock = format!(
            "<iq type='set' to='{ROOM}' id='u1'><query \
             xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' \
             type='submit'/></query></iq>"
        );
        peer.say(&unlock).await?;
        peer.until("result").await?;
    }
    Ok(())
}

/// Lets everything come that is on its way, and forgets it.
async fn quiet(world: &World, peers: &mut [Peer]) -> Outcome {
    world.settle().await?;
    peers.iter_mut().for_each(Peer::ignore);
    Ok(())
}

/// That something ends so: a benchmark of the wrong thing would be a fast one.
async fn expect(peer: &mut Peer, end: &str) -> Outcome {
    let heard = peer.hear().await?;
    if heard.ends_with(end.as_bytes()) {
        return Ok(());
    }
    Err(format!("expected {end} and got {}", String::from_utf8_lossy(&heard)))
}
