//! An account's roster: its contacts, and the requests of others that wait for its answer
//! (RFC 6121 §2, §3).
//!
//! A roster is never changed in place. A [`Draft`] gathers a change, says what must be written,
//! and becomes the next roster, which is published once the writes are durable.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{CLIENT, Stanza, StanzaError};
use waxwing_store::domains::roster as rows;
use waxwing_store::{Db, Statement, StoreError};
use waxwing_xml::write;

use crate::account::Fact;
use crate::limits::Limits;
use crate::presence::rules::{State, Subscription};

/// Namespace of roster queries and pushes.
pub const NS: &str = "jabber:iq:roster";

/// Stored requests that are larger lose their children: a thousand strangers must not be able to
/// fill the memory of an account that never answers.
const REQUEST_BYTES: usize = 8 * 1024;

/// A roster as it stands. Copies share contacts, so a change costs a word per contact.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Ordered by address.
    contacts: Vec<Arc<Contact>>,
    /// Ordered by address.
    requests: Vec<Arc<Request>>,
    version: i64,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The address.
    pub jid: BareJid,
    /// What the owner calls it.
    pub name: Option<Box<str>>,
    /// The groups it is in.
    pub groups: Box<[Box<str>]>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// Whether the owner's request waits for an answer (`ask='subscribe'`).
    pub is_asking: bool,
    /// Whether a request of the contact is approved beforehand (RFC 6121 §3.4).
    pub is_approved: bool,
}

const _: () = assert!(size_of::<Contact>() <= 64 && size_of::<Roster>() <= 56);

/// A request that waits for the owner's answer.
#[derive(Debug)]
struct Request {
    jid: BareJid,
    stanza: Box<str>,
}

impl Fact for Roster {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let store = rows::Roster::new(db.clone());
        let contacts = store.load(owner.as_str()).await?;
        let requests = store.requests(owner.as_str()).await?;
        let version = store.version(owner.as_str()).await?;
        let mut roster = Self {
            contacts: contacts.into_iter().map(contact).collect::<Result<_, _>>()?,
            requests: requests.into_iter().map(request).collect::<Result<_, _>>()?,
            version,
        };
        roster.contacts.sort_by(|one, other| one.jid.cmp(&other.jid));
        roster.requests.sort_by(|one, other| one.jid.cmp(&other.jid));
        Ok(roster)
    }
}

impl Roster {
    /// The version as clients see it; it changes with every change of a contact (§2.1.4).
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The contacts, ordered by address.
    pub fn contacts(&self) -> impl ExactSizeIterator<Item = &Contact> {
        self.contacts.iter().map(|contact| &**contact)
    }

    /// The contact with this address.
    pub fn contact(&self, jid: &BareJid) -> Option<&Contact> {
        self.find(jid).ok().map(|index| &*self.contacts[index])
    }

    /// What stands between the owner and `jid`, who need not be a contact.
    pub fn state(&self, jid: &BareJid) -> State {
        let is_asked = self.find_request(jid).is_ok();
        self.contact(jid).map_or(State { is_asked, ..State::default() }, |contact| State {
            subscription: contact.subscription,
            is_asking: contact.is_asking,
            is_asked,
            is_approved: contact.is_approved,
        })
    }

    /// The subscription requests that wait for the owner, as they are shown to each of its
    /// resources that comes online (§3.1.3).
    pub fn requests(&self) -> impl Iterator<Item = Stanza> {
        self.requests.iter().filter_map(|request| Stanza::parse(&request.stanza).ok())
    }

    /// How many of them there are.
    pub fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// Begins a change. `owner` is whose roster it is, `id` a number that grows with time.
    pub fn draft(&self, owner: &BareJid, id: u64) -> Draft {
        // Time-like versions are never reached again, also when an account is erased and made
        // anew: a client cannot mistake the new roster for the one in its cache.
        let version = (self.version + 1).max(i64::try_from(id).unwrap_or(i64::MAX));
        let writes = Vec::new();
        Draft { roster: self.clone(), owner: owner.clone(), version, writes, is_changed: false }
    }

    fn find(&self, jid: &BareJid) -> Result<usize, usize> {
        self.contacts.binary_search_by(|contact| contact.jid.cmp(jid))
    }

    fn find_request(&self, jid: &BareJid) -> Result<usize, usize> {
        self.requests.binary_search_by(|request| request.jid.cmp(jid))
    }
}

impl Contact {
    /// A contact that the owner has just thought of.
    pub fn new(jid: BareJid) -> Self {
        Self {
            jid,
            name: None,
            groups: Box::default(),
            subscription: Subscription::None,
            is_asking: false,
            is_approved: false,
        }
    }

    /// Appends the `<item/>` (§2.1.2).
    pub fn write(&self, out: &mut String) {
        out.push_str("<item");
        write::attribute(out, "jid", self.jid.as_str());
        if let Some(name) = &self.name {
            write::attribute(out, "name", name);
        }
        write::attribute(out, "subscription", self.subscription.name());
        if self.is_asking {
            write::attribute(out, "ask", "subscribe");
        }
        if self.is_approved {
            write::attribute(out, "approved", "true");
        }
        if self.groups.is_empty() {
            return out.push_str("/>");
        }
        out.push('>');
        for group in &self.groups {
            out.push_str("<group>");
            write::text(out, group);
            out.push_str("</group>");
        }
        out.push_str("</item>");
    }
}

/// A change of one roster that nobody sees yet.
pub struct Draft {
    roster: Roster,
    owner: BareJid,
    version: i64,
    writes: Vec<Statement>,
    /// Whether contacts changed; requests are not part of what clients see.
    is_changed: bool,
}

impl Draft {
    /// The version that the roster will have if a contact changes.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Adds or replaces a contact.
    ///
    /// # Errors
    /// `resource-constraint` when there is no room for another.
    pub fn put(&mut self, contact: Contact, limits: &Limits) -> Result<(), StanzaError> {
        self.writes.push(rows::Roster::put(self.owner.as_str(), &self.row(&contact)));
        self.is_changed = true;
        match self.roster.find(&contact.jid) {
            Ok(index) => self.roster.contacts[index] = Arc::new(contact),
            Err(index) if self.roster.contacts.len() < limits.roster_items => {
                self.roster.contacts.insert(index, Arc::new(contact));
            }
            Err(_) => {
                let text = format!("A roster holds {} contacts at most.", limits.roster_items);
                return Err(StanzaError::resource_constraint().text(text));
            }
        }
        Ok(())
    }

    /// Removes a contact, and its request if it has one waiting. Gives the contact.
    pub fn remove(&mut self, jid: &BareJid) -> Option<Arc<Contact>> {
        self.settle(jid);
        let index = self.roster.find(jid).ok()?;
        self.writes.push(rows::Roster::delete(self.owner.as_str(), jid.as_str()));
        self.is_changed = true;
        Some(self.roster.contacts.remove(index))
    }

    /// Keeps a subscription request until it is answered; the first of each address counts.
    ///
    /// # Errors
    /// `resource-constraint` when too many wait already.
    pub fn keep(
        &mut self,
        jid: &BareJid,
        stanza: &Stanza,
        limits: &Limits,
    ) -> Result<(), StanzaError> {
        let Err(index) = self.roster.find_request(jid) else { return Ok(()) };
        if self.roster.requests.len() >= limits.subscription_requests {
            return Err(StanzaError::resource_constraint());
        }
        let mut text = String::new();
        if stanza.body.len_bytes() > REQUEST_BYTES {
            let bare = Stanza { head: stanza.head.clone(), body: Arc::default() };
            bare.write(&mut text, Some(CLIENT));
        } else {
            stanza.write(&mut text, Some(CLIENT));
        }
        let row = rows::Request { jid: jid.as_str().to_owned(), stanza: text };
        self.writes.push(rows::Roster::ask(self.owner.as_str(), &row));
        let request = Request { jid: jid.clone(), stanza: row.stanza.into() };
        self.roster.requests.insert(index, Arc::new(request));
        Ok(())
    }

    /// Forgets a subscription request: it was answered or taken back.
    pub fn settle(&mut self, jid: &BareJid) {
        if let Ok(index) = self.roster.find_request(jid) {
            self.writes.push(rows::Roster::settle(self.owner.as_str(), jid.as_str()));
            self.roster.requests.remove(index);
        }
    }

    /// The next roster, and what must be written before anybody may see it.
    pub fn finish(self) -> (Roster, Vec<Statement>) {
        let Self { mut roster, owner, version, mut writes, is_changed } = self;
        if is_changed {
            roster.version = version;
            writes.push(rows::Roster::advance(owner.as_str(), version));
        }
        (roster, writes)
    }

    fn row(&self, contact: &Contact) -> rows::Item {
        rows::Item {
            jid: contact.jid.as_str().to_owned(),
            name: contact.name.as_deref().map(str::to_owned),
            subscription: contact.subscription.name().to_owned(),
            ask: contact.is_asking,
            approved: contact.is_approved,
            groups: contact.groups.iter().map(|group| group.to_string()).collect(),
            version: self.version,
        }
    }
}

fn contact(row: rows::Item) -> Result<Arc<Contact>, StoreError> {
    let subscription = Subscription::read(&row.subscription)
        .ok_or_else(|| StoreError::Corrupt(format!("subscription {}", row.subscription)))?;
    Ok(Arc::new(Contact {
        jid: address(&row.jid)?,
        name: row.name.map(Into::into),
        groups: row.groups.into_iter().map(Into::into).collect(),
        subscription,
        is_asking: row.ask,
        is_approved: row.approved,
    }))
}

fn request(row: rows::Request) -> Result<Arc<Request>, StoreError> {
    Ok(Arc::new(Request { jid: address(&row.jid)?, stanza: row.stanza.into() }))
}

fn address(text: &str) -> Result<BareJid, StoreError> {
    BareJid::new(text).map_err(|error| StoreError::Corrupt(format!("an address: {error}")))
}

#[cfg(test)]
mod tests;
