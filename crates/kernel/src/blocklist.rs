//! Lists of addresses and domains that nobody wants anything from, as several servers share them
//! (real-time block lists): a node of publish-subscribe whose item ids are the SHA-256 of bare
//! addresses and of domains.
//!
//! A domain here subscribes to a list and reads it whole now and then; in between it hears of
//! changes. Who consults lists says so by [`Blocklists::follow`], and has them read on its rounds.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::RwLock;
use waxwing_jid::Jid;
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{IqType, Kind, Stanza, StanzaError, payload};
use waxwing_xml::{Child, write};

use crate::component::Letter;
use crate::hub::Hub;
use crate::links::policy::names_of;
use crate::site::Site;
use crate::stage::Party;

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// How often it is to be looked which lists are to be read.
pub const ROUND: Duration = Duration::from_secs(60);
/// How long a list is believed that was read whole; changes are heard meanwhile.
const BELIEVED: Duration = Duration::from_secs(6 * 3600);
/// How long an answer may take.
const TIME: Duration = Duration::from_secs(30);
/// Entries asked for at a time.
const PAGE: usize = 500;
/// Names above a domain that are looked for, too: a list has no entries for a top-level domain.
const ABOVE: usize = 6;

type Hash = [u8; 32];

/// Where a list is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    service: Jid,
    node: String,
}

impl Source {
    /// Reads `xmpp:SERVICE?;node=NODE` (XEP-0060 §12.22).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(uri: &str) -> Result<Self, String> {
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xmpp:{}?;node={}", self.service, self.node)
    }
}

/// The lists that one domain here follows. They outlast a reload of the settings.
#[derive(Default)]
pub struct Blocklists {
    lists: RwLock<HashMap<Source, List>>,
    followed: RwLock<HashMap<&'static str, Followed>>,
}

struct Followed {
    sources: Vec<Source>,
    most: usize,
}

#[derive(Default)]
struct List {
    hashes: HashSet<Hash>,
    /// When it is read again; at once if nothing is said.
    due: Option<Instant>,
    /// What was heard while it is being read: who was added, and who was taken off.
    heard: Option<Vec<(Hash, bool)>>,
}

impl Blocklists {
    /// Says which lists `who`, a module, consults from now on, and how many entries of each are
    /// kept. A list that nobody consults any more is forgotten.
    pub fn follow(&self, who: &'static str, sources: Vec<Source>, most: usize) {
        let mut followed = self.followed.write();
        followed.insert(who, Followed { sources, most });
        let is_followed = |source: &Source| followed.values().any(|it| it.sources.contains(source));
        self.lists.write().retain(|source, _| is_followed(source));
    }

    /// Whether an address, or its domain, is on one of these lists.
    pub fn have(&self, sources: &[Source], jid: &Jid) -> bool {
        self.find(sources, &[hash(jid.bare_str()), hash(jid.domain())]).is_some()
    }

    /// Which of these lists a domain is on, itself or by what it lies below.
    pub fn find_domain<'a>(&self, sources: &'a [Source], domain: &str) -> Option<&'a Source> {
        let names = names_of(domain).take(ABOVE).filter(|name| *name == domain || is_long(name));
        self.find(sources, &names.map(hash).collect::<Vec<_>>())
    }

    fn find<'a>(&self, sources: &'a [Source], hashes: &[Hash]) -> Option<&'a Source> {
        let lists = self.lists.read();
        sources.iter().find(|source| {
            let list = lists.get(*source);
            list.is_some_and(|list| hashes.iter().any(|hash| list.hashes.contains(hash)))
        })
    }

    /// How many entries of a list are known.
    pub fn len(&self, source: &Source) -> usize {
        self.lists.read().get(source).map_or(0, |list| list.hashes.len())
    }

    /// The lists to be read now, and how many entries of each are kept; what is heard of them from
    /// now on is remembered.
    fn begin(&self, now: Instant) -> Vec<(Source, usize)> {
        let followed = self.followed.read();
        let mut lists = self.lists.write();
        let mut due: Vec<(Source, usize)> = Vec::new();
        for (source, most) in
            followed.values().flat_map(|it| it.sources.iter().map(|source| (source, it.most)))
        {
            if let Some(known) = due.iter_mut().find(|(known, _)| known == source) {
                known.1 = known.1.max(most);
                continue;
            }
            let list = lists.entry(source.clone()).or_default();
            if list.due.is_none_or(|due| due <= now) && list.heard.is_none() {
                list.heard = Some(Vec::new());
                due.push((source.clone(), most));
            }
        }
        due
    }

    /// A list was read, or could not be: then it is tried again soon.
    fn end(&self, source: &Source, read: Option<HashSet<Hash>>, now: Instant) {
        let mut lists = self.lists.write();
        // Nobody may follow it any more.
        let Some(list) = lists.get_mut(source) else { return };
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

    /// The list of this node that is followed, and how many entries of it are kept.
    fn followed(&self, service: &Jid, node: &str) -> Option<(Source, usize)> {
        let followed = self.followed.read();
        let all =
            followed.values().flat_map(|it| it.sources.iter().map(move |source| (source, it.most)));
        let is_it = |source: &Source| {
            source.service.bare_str() == service.bare_str() && source.node == node
        };
        let fitting = all.filter(|(source, _)| is_it(source));
        fitting.max_by_key(|(_, most)| *most).map(|(source, most)| (source.clone(), most))
    }

    /// Somebody was put on a list, or taken off; `None` for everybody.
    fn hear(&self, source: &Source, hash: Option<Hash>, is_on: bool, most: usize) {
        let mut lists = self.lists.write();
        let list = lists.entry(source.clone()).or_default();
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
}

/// A domain of at least two labels.
fn is_long(name: &str) -> bool {
    name.trim_end_matches('.').contains('.')
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

impl Hub {
    /// The lists that the domain follows.
    pub fn blocklists(&self, domain: &str) -> Arc<Blocklists> {
        self.lasting(domain)
    }

    /// Reads those of a site's lists that are to be read.
    pub async fn read_blocklists(&self, site: &Site) {
        let lists = self.blocklists(site.domain());
        for (source, most) in lists.begin(self.clock().now()) {
            let read = self.read_blocklist(&site.jid.to_jid(), &source, most).await;
            if let Err(error) = &read {
                tracing::warn!(list = %source, %error, "a list of addresses cannot be read");
            }
            lists.end(&source, read.ok(), self.clock().now());
        }
    }

    /// Subscribes, so that nothing is missed from then on, and reads what there is.
    async fn read_blocklist(
        &self,
        own: &Jid,
        source: &Source,
        most: usize,
    ) -> Result<HashSet<Hash>, StanzaError> {
        let mut subscribe = format!("<pubsub xmlns='{PUBSUB}'><subscribe");
        write::attribute(&mut subscribe, "node", &source.node);
        write::attribute(&mut subscribe, "jid", own.as_str());
        subscribe.push_str("/></pubsub>");
        self.inquire(own, &source.service, &subscribe, TIME).await?;
        let (mut all, mut after) = (HashSet::new(), None);
        loop {
            let question = Stanza::iq(IqType::Get).to(source.service.clone());
            let question = question.with(page(source, after.as_deref()));
            let answer = self.inquire_for(&Party::new(own.clone(), None), question, TIME).await?;
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
            if all.len() >= most {
                tracing::warn!(list = %source, most, "the list is longer than what is kept of it");
                return Ok(all);
            }
            if last.is_none() || last == after || all.len() == before {
                return Ok(all);
            }
            after = last;
        }
    }

    /// Takes what may be the news of a list; false when nobody follows it.
    pub(crate) fn hear_of_list(&self, letter: &Letter) -> bool {
        let Some(event) = letter.stanza.body.child("event", EVENT) else { return false };
        let Some(news) = event.children().next() else { return false };
        let lists = self.blocklists(letter.site.domain());
        let node = news.attribute("node").unwrap_or_default();
        let Some((source, most)) = lists.followed(&letter.from.jid, &node) else { return false };
        let hear = |child: Child<'_>, is_on| {
            if let Some(hash) = child.attribute("id").and_then(|id| read(&id)) {
                lists.hear(&source, Some(hash), is_on, most);
            }
        };
        match news.name() {
            "items" => news.children().for_each(|child| hear(child, child.name() == "item")),
            "purge" | "delete" => lists.hear(&source, None, false, most),
            _ => {}
        }
        true
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

    fn following(most: usize) -> Blocklists {
        let lists = Blocklists::default();
        lists.follow("test", vec![source()], most);
        lists
    }

    #[test]
    fn a_list_has_an_address() {
        assert_eq!(source().node, "bans");
        assert_eq!(source().to_string(), "xmpp:pubsub.localhost?;node=bans");
        for wrong in ["", "pubsub.localhost", "xmpp:a.b", "xmpp:@?;node=x", "xmpp:a.b?;node="] {
            assert!(Source::read(wrong).is_err(), "{wrong}");
        }
    }

    /// `printf tybalt@evil.example | sha256sum`
    #[test]
    fn addresses_and_domains_are_found_by_their_hashes() {
        let (lists, tybalt) = (following(10), Jid::new("tybalt@evil.example/x").unwrap());
        let sources = [source()];
        assert!(!lists.have(&sources, &tybalt));
        lists.hear(&sources[0], Some(hash("evil.example")), true, 10);
        assert!(lists.have(&sources, &tybalt) && !lists.have(&[], &tybalt));
        for domain in ["evil.example", "rooms.evil.example"] {
            assert_eq!(lists.find_domain(&sources, domain), Some(&sources[0]), "{domain}");
        }
        for domain in ["example", "devil.example", "evil.example.org"] {
            assert_eq!(lists.find_domain(&sources, domain), None, "{domain}");
        }
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
        let (lists, now, source) = (following(2), Instant::now(), source());
        let jid = |text: &str| Jid::new(text).unwrap();
        assert_eq!(lists.begin(now), [(source.clone(), 2)]);
        assert_eq!(lists.begin(now), []);
        lists.hear(&source, Some(hash("a@b")), false, 2);
        lists.hear(&source, Some(hash("c@d")), true, 2);
        lists.end(&source, Some([hash("a@b"), hash("e@f")].into()), now);
        let has = |text| lists.have(std::slice::from_ref(&source), &jid(text));
        assert!(!has("a@b") && has("c@d") && has("e@f"));
        lists.hear(&source, Some(hash("g@h")), true, 2);
        assert!(!has("g@h"), "there is room for two");
        assert!(lists.begin(now).is_empty() && lists.begin(now + BELIEVED).len() == 1);
        lists.end(&source, None, now + BELIEVED);
        assert!(has("c@d") && lists.begin(now + BELIEVED).len() == 1);
    }

    #[test]
    fn a_list_that_nobody_follows_any_more_is_forgotten() {
        let (lists, source) = (following(2), source());
        lists.follow("other", vec![source.clone()], 9);
        let now = Instant::now();
        assert_eq!(lists.begin(now), [(source.clone(), 9)], "once, and as much as anybody wants");
        lists.end(&source, Some([hash("a@b")].into()), now);
        lists.follow("test", Vec::new(), 2);
        assert_eq!(lists.len(&source), 1);
        lists.follow("other", Vec::new(), 9);
        assert_eq!(lists.len(&source), 0);
        assert_eq!(lists.followed(&source.service, "bans"), None);
    }
}
