//! Lists of addresses that people want nothing from, as several servers share them: a node of
//! publish-subscribe whose item ids are the SHA-256 of bare addresses and of domains.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::RwLock;
use waxwing_jid::Jid;
use waxwing_kernel::component::Letter;
use waxwing_kernel::stage::Party;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError, payload};
use waxwing_xml::{Child, write};

use super::Strangers;

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub(super) const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// How often it is looked which lists are to be read.
pub(super) const ROUND: Duration = Duration::from_secs(60);
/// How long a list is believed that was read whole; changes are heard meanwhile.
const BELIEVED: Duration = Duration::from_secs(6 * 3600);
/// How long an answer may take.
const TIME: Duration = Duration::from_secs(30);
/// Entries asked for at a time.
const PAGE: usize = 500;

type Hash = [u8; 32];

/// Where a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    service: Jid,
    node: String,
}

impl Source {
    /// Reads `xmpp:SERVICE?;node=NODE` (XEP-0060 §12.22).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(uri: &str) -> Result<Self, String> {
        let wanted = || format!("`{uri}` is not `xmpp:SERVICE?;node=NODE`");
        let rest = uri.strip_prefix("xmpp:").ok_or_else(wanted)?;
        let (service, node) = rest.split_once("?;node=").ok_or_else(wanted)?;
        let service = Jid::new(service).map_err(|error| format!("`{service}`: {error}"))?;
        match node.is_empty() || node.contains([';', '&', '%']) {
            true => Err(wanted()),
            false => Ok(Self { service, node: node.to_owned() }),
        }
    }
}

/// What was read of lists; they outlast a reload of the settings.
#[derive(Default)]
pub(super) struct Lists(RwLock<HashMap<String, List>>);

#[derive(Default)]
struct List {
    hashes: HashSet<Hash>,
    /// When it is read again; at once if nothing is said.
    due: Option<Instant>,
    /// What was heard while it is being read: who was added, and who was taken off.
    heard: Option<Vec<(Hash, bool)>>,
}

impl Lists {
    /// Whether an address, or its domain, is on one of these lists.
    pub(super) fn have(&self, sources: &[Source], jid: &Jid) -> bool {
        if sources.is_empty() {
            return false;
        }
        let hashes = [hash(jid.bare_str()), hash(jid.domain())];
        let lists = self.0.read();
        sources
            .iter()
            .filter_map(|source| lists.get(&key(source)))
            .any(|list| hashes.iter().any(|hash| list.hashes.contains(hash)))
    }

    /// Somebody was put on a list, or taken off; `None` for everybody.
    fn hear(&self, source: &Source, hash: Option<Hash>, is_on: bool, most: usize) {
        let mut lists = self.0.write();
        let list = lists.entry(key(source)).or_default();
        match hash {
            None => list.hashes.clear(),
            Some(hash) if !is_on => {
                list.hashes.remove(&hash);
            }
            Some(hash) if list.hashes.len() < most => {
                list.hashes.insert(hash);
            }
            Some(_) => {}
        }
        if let (Some(heard), Some(hash)) = (&mut list.heard, hash)
            && heard.len() < most
        {
            heard.push((hash, is_on));
        }
    }

    /// Whether a list is to be read now; then what is heard from now on is remembered.
    fn begin(&self, source: &Source, now: Instant) -> bool {
        let mut lists = self.0.write();
        let list = lists.entry(key(source)).or_default();
        let is_due = list.due.is_none_or(|due| due <= now) && list.heard.is_none();
        if is_due {
            list.heard = Some(Vec::new());
        }
        is_due
    }

    /// A list was read, or could not be: then it is tried again soon.
    fn end(&self, source: &Source, read: Option<HashSet<Hash>>, now: Instant) {
        let mut lists = self.0.write();
        let list = lists.entry(key(source)).or_default();
        let heard = list.heard.take().unwrap_or_default();
        let Some(mut hashes) = read else { return };
        for (hash, is_on) in heard {
            match is_on {
                true => hashes.insert(hash),
                false => hashes.remove(&hash),
            };
        }
        list.hashes = hashes;
        list.due = Some(now + BELIEVED);
    }
}

fn key(source: &Source) -> String {
    format!("{}/{}", source.service, source.node)
}

fn hash(address: &str) -> Hash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, address.as_bytes()).as_ref());
    bytes
}

/// The hash that an item stands for; `None` when its id is none.
fn read(id: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&id[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

impl Strangers {
    /// Reads the lists that are to be read.
    pub(super) async fn read_lists(self: Arc<Self>, hub: Hub, _: Arc<Site>) {
        for source in &self.sources {
            if !self.lists.begin(source, hub.clock().now()) {
                continue;
            }
            let read = self.read_list(&hub, source).await;
            if let Err(error) = &read {
                tracing::warn!(list = %key(source), %error, "a list of addresses cannot be read");
            }
            self.lists.end(source, read.ok(), hub.clock().now());
        }
    }

    /// Subscribes, so that nothing is missed from then on, and reads what there is.
    async fn read_list(&self, hub: &Hub, source: &Source) -> Result<HashSet<Hash>, StanzaError> {
        let own = self.domain.to_jid();
        let mut subscribe = format!("<pubsub xmlns='{PUBSUB}'><subscribe");
        write::attribute(&mut subscribe, "node", &source.node);
        write::attribute(&mut subscribe, "jid", own.as_str());
        subscribe.push_str("/></pubsub>");
        hub.inquire(&own, &source.service, &subscribe, TIME).await?;
        let (mut all, mut after) = (HashSet::new(), None);
        loop {
            let question = Stanza::iq(IqType::Get).to(source.service.clone());
            let question = question.with(page(source, after.as_deref()));
            let answer = hub.inquire_for(&Party::new(own.clone(), None), question, TIME).await?;
            if answer.head.kind != Kind::Iq(IqType::Result) {
                return Err(answer.error().unwrap_or_else(StanzaError::undefined_condition));
            }
            let Some(pubsub) = answer.body.child("pubsub", PUBSUB) else { return Ok(all) };
            let items = pubsub.child("items", PUBSUB);
            let items = items.into_iter().flat_map(|items| items.children());
            let before = all.len();
            all.extend(items.filter_map(|item| read(&item.attribute("id")?)));
            let set = pubsub.child("set", rsm::NS).map(payload::read::<rsm::Page>).transpose()?;
            let last = set.and_then(|set| set.last);
            if all.len() >= self.config.list_entries as usize {
                tracing::warn!(list = %key(source), "the list is longer than `list_entries`");
                return Ok(all);
            }
            if last.is_none() || last == after || all.len() == before {
                return Ok(all);
            }
            after = last;
        }
    }

    /// A list has changed.
    pub(super) async fn hear_of_list(self: Arc<Self>, letter: Letter) -> Result<(), StanzaError> {
        let event = letter.stanza.body.child("event", EVENT);
        let news = event.and_then(|event| event.children().next());
        let node = news.and_then(|news| news.attribute("node"));
        let source = self.sources.iter().find(|source| {
            source.service.bare_str() == letter.from.jid.bare_str()
                && node.as_deref() == Some(source.node.as_str())
        });
        let (Some(source), Some(news)) = (source, news) else {
            return Err(StanzaError::service_unavailable());
        };
        let most = self.config.list_entries as usize;
        let hear = |child: Child<'_>, is_on| {
            if let Some(hash) = child.attribute("id").and_then(|id| read(&id)) {
                self.lists.hear(source, Some(hash), is_on, most);
            }
        };
        match news.name() {
            "items" => news.children().for_each(|child| hear(child, child.name() == "item")),
            "purge" | "delete" => self.lists.hear(source, None, false, most),
            _ => {}
        }
        Ok(())
    }
}

/// Asks for some entries.
fn page(source: &Source, after: Option<&str>) -> String {
    let mut out = format!("<pubsub xmlns='{PUBSUB}'><items");
    write::attribute(&mut out, "node", &source.node);
    out.push_str(&format!("/><set xmlns='{}'><max>{PAGE}</max>", rsm::NS));
    if let Some(after) = after {
        out.push_str("<after>");
        write::text(&mut out, after);
        out.push_str("</after>");
    }
    out + "</set></pubsub>"
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::read("xmpp:pubsub.localhost?;node=bans").unwrap()
    }

    #[test]
    fn a_list_has_an_address() {
        assert_eq!(source().node, "bans");
        for wrong in ["", "pubsub.localhost", "xmpp:a.b", "xmpp:@?;node=x", "xmpp:a.b?;node="] {
            assert!(Source::read(wrong).is_err(), "{wrong}");
        }
    }

    /// `printf tybalt@evil.example | sha256sum`
    #[test]
    fn addresses_and_domains_are_found_by_their_hashes() {
        let (lists, tybalt) = (Lists::default(), Jid::new("tybalt@evil.example/x").unwrap());
        let sources = [source()];
        assert!(!lists.have(&sources, &tybalt));
        lists.hear(&sources[0], Some(hash("evil.example")), true, 10);
        assert!(lists.have(&sources, &tybalt) && !lists.have(&[], &tybalt));
        lists.hear(&sources[0], Some(hash("evil.example")), false, 10);
        assert!(!lists.have(&sources, &tybalt));
        let id = "1d4c1a2b".repeat(8);
        assert_eq!(read(&id).map(|bytes| bytes[0]), Some(0x1d));
        for wrong in [&id[1..], &id.replace('d', "g"), &"ä".repeat(32)] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn what_is_heard_while_a_list_is_read_counts_and_lists_have_an_end() {
        let (lists, now, source) = (Lists::default(), Instant::now(), source());
        let jid = |text: &str| Jid::new(text).unwrap();
        assert!(lists.begin(&source, now) && !lists.begin(&source, now));
        lists.hear(&source, Some(hash("a@b")), false, 2);
        lists.hear(&source, Some(hash("c@d")), true, 2);
        lists.end(&source, Some([hash("a@b"), hash("e@f")].into()), now);
        let has = |text| lists.have(std::slice::from_ref(&source), &jid(text));
        assert!(!has("a@b") && has("c@d") && has("e@f"));
        lists.hear(&source, Some(hash("g@h")), true, 2);
        assert!(!has("g@h"), "there is room for two");
        assert!(!lists.begin(&source, now) && lists.begin(&source, now + BELIEVED));
        lists.end(&source, None, now + BELIEVED);
        assert!(has("c@d") && lists.begin(&source, now + BELIEVED));
    }
}
