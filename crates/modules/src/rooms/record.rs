//! What is kept of what is said in a room (XEP-0313 §6.1.2).

use waxwing_jid::Jid;
use waxwing_kernel::worth::says_something;
use waxwing_stanza::{Body, CLIENT, Stanza};
use waxwing_store::Statement;
use waxwing_store::domains::archive::{Archive, Entry};
use waxwing_xml::write::attribute;

use super::config::Whois;
use super::letter::Now;
use super::room::Room;
use super::table::USER;

/// The row of a message as everybody gets it, which `from`, a real address, has sent; or the room
/// itself. `None` when nothing is kept here, or it is not worth it.
///
/// "A MUC archive MUST store each message only once", and "the archiving entity MUST strip any
/// pre-existing <x> element from MUC messages", which was done before.
pub fn record(room: &Room, now: &Now<'_>, stanza: &Stanza, from: &Jid) -> Option<Statement> {
    if !room.config.is_archived || !says_something(&stanza.body) {
        return None;
    }
    let real = (from.bare_str() != room.jid.as_str()).then_some(from);
    // What everybody was shown when it was said may be shown to everybody later; what only
    // moderators were shown stands beside the text.
    let is_open = room.config.whois == Whois::Anyone;
    let item = real.filter(|_| is_open).map(item);
    Some(Archive::append(Entry {
        number: now.number.cast_signed(),
        owner: room.jid.as_str().to_owned(),
        peer: real.map_or("", Jid::bare_str).to_owned(),
        resource: real.and_then(Jid::resource).unwrap_or_default().to_owned(),
        stanza: text(stanza, item.as_deref()),
    }))
}

/// "an <x/> element qualified by the 'http://jabber.org/protocol/muc#user' namespace and containing
/// an <item/> child with a 'jid' attribute specifying the occupant's full JID".
pub fn item(real: &Jid) -> String {
    let mut out = format!("<x xmlns='{USER}'><item");
    attribute(&mut out, "jid", real.as_str());
    out.push_str("/></x>");
    out
}

/// A message as text. No `>` stands before the end of its start tag, so that what follows can be
/// replaced by a tombstone without being read.
fn text(stanza: &Stanza, item: Option<&str>) -> String {
    let mut out = String::with_capacity(384 + stanza.body.len_bytes());
    let head = Stanza { head: stanza.head.clone(), body: Body::default().into() };
    head.write(&mut out, Some(CLIENT));
    out.truncate(out.len() - "/>".len());
    if out.contains('>') {
        out = out.replace('>', "&gt;");
    }
    out.push('>');
    stanza.body.write(&mut out);
    out.push_str(item.unwrap_or_default());
    out.push_str("</message>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_closing_bracket_ends_the_start_tag() {
        let stanza = Stanza::parse(
            "<message xmlns='jabber:client' from='a@rooms.b/x>y' id='1>2' type='groupchat'>\
             <body>3>2</body></message>",
        )
        .unwrap();
        let kept = text(&stanza, Some(&item(&Jid::new("r@b/c").unwrap())));
        assert_eq!(
            kept,
            "<message xmlns='jabber:client' from='a@rooms.b/x&gt;y' id='1&gt;2' type='groupchat'>\
             <body>3>2</body><x xmlns='http://jabber.org/protocol/muc#user'><item jid='r@b/c'/></x>\
             </message>"
        );
        assert_eq!(Stanza::parse(&kept).unwrap().head, stanza.head);
    }
}
