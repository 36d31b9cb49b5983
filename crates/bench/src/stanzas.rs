//! What needs no server: splitting, reading and writing one message, and addresses.

use std::hint::black_box;

use waxwing_jid::Jid;
use waxwing_stanza::{CLIENT, Stanza};
use waxwing_xml::{Element, Event, Limits, Splitter};

use crate::{Outcome, Runs};

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='localhost'>";

/// The size of the message that everything here is about, as a client sends it on TCP.
const BYTES: usize = 400;

/// A message as chat clients send it, of [`BYTES`] bytes without `xmlns`.
pub(crate) fn chat(xmlns: &str) -> String {
    let write = |body: &str| {
        format!(
            "<message{xmlns} type='chat' to='juliet@localhost/balcony' id='a0b1c2' xml:lang='en'>\
             <body>{body}</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='a0b1c2'/><request xmlns='urn:xmpp:receipts'/>\
             </message>"
        )
    };
    let text = "Neither, fair saint, if either thee dislike. ".repeat(8);
    write(&text[..BYTES + xmlns.len() - write("").len()])
}

/// The same size for a room.
pub(crate) fn groupchat(room: &str) -> String {
    filled(|body| {
        format!(
            "<message type='groupchat' to='{room}' id='a0b1c2' xml:lang='en'><body>{body}</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='a0b1c2'/></message>"
        )
    })
}

/// The same size, published to the node `news`.
pub(crate) fn item(service: &str) -> String {
    filled(|body| {
        format!(
            "<iq type='set' to='{service}' id='p1'><pubsub \
             xmlns='http://jabber.org/protocol/pubsub'><publish node='news'><item id='one'><entry \
             xmlns='http://www.w3.org/2005/Atom'><title>{body}</title></entry></item></publish>\
             </pubsub></iq>"
        )
    })
}

/// With as much text as makes [`BYTES`].
fn filled(write: impl Fn(&str) -> String) -> String {
    let text = "Neither, fair saint, if either thee dislike. ".repeat(8);
    write(&text[..BYTES - write("").len()])
}

/// From bytes to an element.
pub(crate) fn split(runs: Runs) -> Outcome {
    let mut splitter = splitter()?;
    let message = chat("");
    for _ in 0..runs.now {
        black_box(element(&mut splitter, &message)?);
    }
    Ok(())
}

/// From an element to a stanza.
pub(crate) fn read(runs: Runs) -> Outcome {
    let mut splitter = splitter()?;
    let message = chat("");
    let elements = (0..runs.most).map(|_| element(&mut splitter, &message));
    let mut elements = elements.collect::<Outcome<Vec<Element>>>()?.into_iter();
    for element in elements.by_ref().take(runs.now) {
        black_box(stanza(element)?);
    }
    // What is left over is no part of the operation.
    std::mem::forget(elements);
    Ok(())
}

/// The way out on TCP, with the sender stamped on.
pub(crate) fn write(runs: Runs) -> Outcome {
    write_as(runs, None)
}

/// The same on WebSocket.
pub(crate) fn write_with_namespace(runs: Runs) -> Outcome {
    write_as(runs, Some(CLIENT))
}

fn write_as(runs: Runs, xmlns: Option<&str>) -> Outcome {
    let mut stanza = stanza(element(&mut splitter()?, &chat(""))?)?;
    let sender = address("romeo@localhost/orchard")?;
    let mut out = String::with_capacity(2 * BYTES);
    for _ in 0..runs.now {
        stanza.head.from = Some(sender.clone());
        out.clear();
        black_box(&stanza).write(&mut out, black_box(xmlns));
        black_box(&out);
    }
    Ok(())
}

/// An address in plain ASCII that needs no change.
pub(crate) fn jid(runs: Runs) -> Outcome {
    addresses(runs, "juliet@capulet.example/balcony")
}

/// One that PRECIS and IDNA have to work on.
pub(crate) fn jid_unicode(runs: Runs) -> Outcome {
    addresses(runs, "Jülïet@CAPÙLET.example/Bälcony")
}

fn addresses(runs: Runs, text: &str) -> Outcome {
    for _ in 0..runs.now {
        black_box(address(black_box(text))?);
    }
    Ok(())
}

fn splitter() -> Outcome<Splitter> {
    let mut splitter = Splitter::stream(Limits::default(), CLIENT);
    match splitter.next(&mut HEADER.as_bytes()) {
        Ok(Some(Event::Header(_))) => Ok(splitter),
        other => Err(format!("the header became {other:?}")),
    }
}

fn element(splitter: &mut Splitter, message: &str) -> Outcome<Element> {
    match splitter.next(&mut black_box(message.as_bytes())) {
        Ok(Some(Event::Element(element))) => Ok(element),
        other => Err(format!("the message became {other:?}")),
    }
}

fn stanza(element: Element) -> Outcome<Stanza> {
    Stanza::read(element).map_err(|error| format!("{error:?}"))
}

fn address(text: &str) -> Outcome<Jid> {
    Jid::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_its_size() {
        assert_eq!(chat("").len(), BYTES);
        let xmlns = " xmlns='jabber:client'";
        assert_eq!(chat(xmlns).replace(xmlns, ""), chat(""));
        assert_eq!(groupchat("orchard@rooms.localhost").len(), BYTES);
        assert_eq!(item("pubsub.localhost").len(), BYTES);
    }
}
