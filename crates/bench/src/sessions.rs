//! What goes from one client through its session, the kernel and the modules to another.

use waxwing_store::domains::roster::{Item, Roster};
use waxwing_stream::Framing;
use waxwing_testkit::World;

use crate::peer::{DOMAIN, Peer, archiving_world, block_on, world};
use crate::stanzas;
use crate::{Outcome, Runs};

/// Messages under way at a time in [`chat_burst`].
pub(crate) const BURST: usize = 16;
/// Contacts who are online, each with one session.
pub(crate) const CONTACTS: usize = 100;

const XMLNS: &str = " xmlns='jabber:client'";

/// One message on its own, over TCP's framing.
pub(crate) fn chat(runs: Runs) -> Outcome {
    block_on(chat_over(Framing::Tcp, stanzas::chat(""), runs))
}

/// The same over WebSocket's.
pub(crate) fn chat_websocket(runs: Runs) -> Outcome {
    block_on(chat_over(Framing::WebSocket, stanzas::chat(XMLNS), runs))
}

/// One message that both archives keep.
pub(crate) fn chat_archived(runs: Runs) -> Outcome {
    block_on(async {
        let world = archiving_world().await?;
        let (mut romeo, mut juliet) = couple(&world, Framing::Tcp).await?;
        let message = stanzas::chat("");
        for _ in 0..runs.now {
            romeo.say(&message).await?;
            expect(&juliet.hear().await?, "</message>")?;
        }
        world.hub().db().batch(Vec::new()).await.map(drop).map_err(|error| error.to_string())
    })
}

async fn chat_over(framing: Framing, message: String, runs: Runs) -> Outcome {
    let (_world, mut romeo, mut juliet) = pair(framing).await?;
    for _ in 0..runs.now {
        romeo.say(&message).await?;
        expect(&juliet.hear().await?, "</message>")?;
    }
    Ok(())
}

/// [`BURST`] messages that arrive in one read.
pub(crate) fn chat_burst(runs: Runs) -> Outcome {
    block_on(async {
        let (_world, mut romeo, mut juliet) = pair(Framing::Tcp).await?;
        let messages = stanzas::chat("").repeat(BURST);
        for _ in 0..runs.now {
            romeo.say(&messages).await?;
            let mut bytes = 0;
            while bytes < messages.len() {
                bytes += juliet.hear().await?.len();
            }
        }
        Ok(())
    })
}

/// One message, and its copy for another client of the recipient (XEP-0280).
pub(crate) fn chat_carbon(runs: Runs) -> Outcome {
    block_on(async {
        let (world, mut romeo, mut juliet) = pair(Framing::Tcp).await?;
        let mut phone = Peer::present(&world, Framing::Tcp, "juliet", "phone").await?;
        phone.say("<iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await?;
        phone.until("result").await?;
        world.settle().await?;
        juliet.ignore();
        let message = stanzas::chat("");
        for _ in 0..runs.now {
            romeo.say(&message).await?;
            expect(&juliet.hear().await?, "</message>")?;
            expect(&phone.hear().await?, "</received></message>")?;
        }
        Ok(())
    })
}

/// One message between clients with stream management: it is stored before its sender hears that
/// it arrived, and forgotten once its recipient has acknowledged it.
pub(crate) fn chat_promised(runs: Runs) -> Outcome {
    block_on(async {
        let (_world, mut romeo, mut juliet) = pair(Framing::Tcp).await?;
        for peer in [&mut romeo, &mut juliet] {
            peer.say("<enable xmlns='urn:xmpp:sm:3'/>").await?;
            peer.until("<enabled").await?;
        }
        let asking = stanzas::chat("") + "<r xmlns='urn:xmpp:sm:3'/>";
        for number in 1..=runs.now {
            romeo.say(&asking).await?;
            juliet.until("</message>").await?;
            juliet.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{number}'/>")).await?;
            romeo.until(&format!(" h='{number}'")).await?;
        }
        Ok(())
    })
}

/// A request that the server answers (XEP-0199).
pub(crate) fn ping(runs: Runs) -> Outcome {
    block_on(async {
        let (_world, mut romeo, _juliet) = pair(Framing::Tcp).await?;
        let ping = "<iq type='get' id='p1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
        for _ in 0..runs.now {
            romeo.say(ping).await?;
            expect(&romeo.hear().await?, "/>")?;
        }
        Ok(())
    })
}

/// One presence for [`CONTACTS`] contacts and the sender's own session.
pub(crate) fn presence(runs: Runs) -> Outcome {
    block_on(async {
        let world = world().await?;
        let names: Vec<String> = (0..CONTACTS).map(|number| format!("friend{number}")).collect();
        befriend(&world, "romeo", &names).await?;
        let mut contacts = Vec::new();
        for name in &names {
            contacts.push(Peer::present(&world, Framing::Tcp, name, "home").await?);
        }
        let mut romeo = Peer::present(&world, Framing::Tcp, "romeo", "orchard").await?;
        contacts.iter_mut().for_each(Peer::ignore);
        let presence = "<presence><show>away</show><status>In a grove</status></presence>";
        for _ in 0..runs.now {
            romeo.say(presence).await?;
            expect(&romeo.hear().await?, "</presence>")?;
            for contact in &mut contacts {
                expect(&contact.hear().await?, "</presence>")?;
            }
        }
        Ok(())
    })
}

/// Accounts, and subscriptions both ways between the first and all others.
async fn befriend(world: &World, name: &str, others: &[String]) -> Outcome {
    let jid = |name: &str| format!("{name}@{DOMAIN}");
    let item = |name: &str| Item {
        jid: jid(name),
        name: None,
        subscription: "both".into(),
        ask: false,
        approved: false,
        groups: Vec::new(),
        version: 1,
    };
    let mut rows = Vec::new();
    world.add_account(&jid(name)).await?;
    for other in others {
        world.add_account(&jid(other)).await?;
        rows.push(Roster::put(&jid(name), &item(other)));
        rows.push(Roster::put(&jid(other), &item(name)));
    }
    world.hub().db().batch(rows).await.map(drop).map_err(|error| error.to_string())
}

/// Romeo and Juliet, both online.
async fn pair(framing: Framing) -> Outcome<(World, Peer, Peer)> {
    let world = world().await?;
    let (romeo, juliet) = couple(&world, framing).await?;
    Ok((world, romeo, juliet))
}

async fn couple(world: &World, framing: Framing) -> Outcome<(Peer, Peer)> {
    for name in ["romeo", "juliet"] {
        world.add_account(&format!("{name}@{DOMAIN}")).await?;
    }
    let romeo = Peer::present(world, framing, "romeo", "orchard").await?;
    let juliet = Peer::present(world, framing, "juliet", "balcony").await?;
    Ok((romeo, juliet))
}

/// That something ends so: a benchmark of the wrong thing would be a fast one.
fn expect(heard: &[u8], end: &str) -> Outcome {
    if heard.ends_with(end.as_bytes()) {
        return Ok(());
    }
    Err(format!("expected {end} and got {}", String::from_utf8_lossy(heard)))
}
