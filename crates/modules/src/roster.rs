#![cfg_attr(not(doctest), doc = include_str!("roster.md"))]

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::presence::rules::State;
use waxwing_kernel::request::{Happening, Request, Signal, unstored};
use waxwing_kernel::roster::{Contact, NS};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_kernel::{Hub, Site, SiteBuilder};
use waxwing_stanza::{PresenceType, Stanza, StanzaError, payload};
use waxwing_xml::write;
use xso::FromXml;

/// Bytes of a contact's name.
const NAME_BYTES: usize = 1023;
/// Bytes of the name of a group.
const GROUP_BYTES: usize = 1023;
/// Groups that one contact may be in.
const GROUPS: usize = 64;

/// Lets clients read and change their rosters.
pub struct Roster;

impl Module for Roster {
    const ABOUT: &'static About = &About {
        name: "roster",
        summary: "Keeps each account's contacts, and tells its clients what changes.",
        is_on: true,
        xeps: &[],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("roster.md"),
    };
    type Config = NoConfig;

    fn start(_: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().get(Self::list).set(Self::change);
        // Whether there is such an account or not: strangers cannot tell.
        on.account().set(Self::forbid);
        on.nobody().set(Self::forbid);
        on.signal(Signal::Removed, Self::take_leave);
        // RFC 6121 §2.6.1, §3.4.1
        on.stream_feature(|_, _| Some("<ver xmlns='urn:xmpp:features:rosterver'/>".into()));
        on.stream_feature(|_, _| Some("<sub xmlns='urn:xmpp:features:pre-approval'/>".into()));
    }
}

impl Roster {
    /// §2.1.3, §2.1.4 and §2.6: the roster, or nothing when the client has it already.
    async fn list(self: Arc<Self>, ask: Request<Query>) -> Result<Option<String>, StanzaError> {
        let Request { hub, site, from, .. } = &ask;
        if let Some(mailbox) = &from.mailbox {
            // §2.2: "If a connected resource or available resource requests the roster, it is
            // referred to as an "interested resource"."
            let flag = site.interested;
            hub.directory().update(&from.jid, mailbox, |session| session.flags.set(flag, true));
        }
        let roster = ask.account().fact(site.roster);
        let version = roster.version().to_string();
        // §2.6.3: "the server MUST either return the complete roster … or return an empty
        // IQ-result". What was removed since is not noted, so it is all or nothing.
        if ask.payload.ver.as_ref() == Some(&version) {
            return Ok(None);
        }
        let mut query = String::with_capacity(64 + 96 * roster.contacts().len());
        query.push_str("<query");
        write::attribute(&mut query, "xmlns", NS);
        if ask.payload.ver.is_some() {
            write::attribute(&mut query, "ver", &version);
        }
        query.push('>');
        for contact in roster.contacts() {
            contact.write(&mut query);
        }
        query.push_str("</query>");
        Ok(Some(query))
    }

    /// §2.1.5: adding, changing or removing one contact.
    async fn change(self: Arc<Self>, ask: Request<Query>) -> Result<(), StanzaError> {
        // §2.3.3: bad-request if "The <query/> element contains more than one <item/> child
        // element."
        let [item] = &ask.payload.items[..] else {
            return Err(StanzaError::bad_request().text("A roster set has exactly one <item/>."));
        };
        let (hub, site, account) = (&ask.hub, &*ask.site, ask.account());
        let jid = item.address()?;
        let mut effects = Effects::default();
        if item.subscription.as_deref() == Some("remove") {
            let state = remove(hub, site, account, &jid).await?;
            say_goodbye(hub, account, &jid, state, &mut effects).await;
            if state.subscription.shows() {
                let at = (&ask.site, account);
                hub.signal_contact(at, Signal::Withheld, &jid, &mut effects).await;
            }
            hub.perform(effects).await;
            return Ok(());
        }
        if jid == *account.jid() {
            return Err(StanzaError::not_allowed().text("Nobody is in their own roster."));
        }
        if put(hub, site, account, item.check()?.to_contact(jid.clone())).await? {
            let at = (&ask.site, account);
            hub.signal_contact(at, Signal::Regrouped, &jid, &mut effects).await;
            hub.perform(effects).await;
        }
        Ok(())
    }

    /// §2.3.3: "The server MUST return a <forbidden/> stanza error to the client if the sender of
    /// the roster set is not authorized to update the roster".
    async fn forbid(self: Arc<Self>, _: Request<Query>) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden())
    }

    /// An account is about to be erased: nobody shall see or await its presence any more.
    async fn take_leave(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, account, .. } = &happening;
        let roster = account.fact(site.roster);
        let mut effects = Effects::default();
        for contact in roster.contacts() {
            let state = roster.state(&contact.jid);
            say_goodbye(hub, account, &contact.jid, state, &mut effects).await;
        }
        for request in roster.requests() {
            if let Some(from) = request.head.from.map(|from| from.bare())
                && roster.contact(&from).is_none()
            {
                say_goodbye(hub, account, &from, roster.state(&from), &mut effects).await;
            }
        }
        effects
    }
}

/// Stores a contact with the state that it has, and tells the account's clients. Whether it may see
/// the account's presence and is in other groups now.
async fn put(
    hub: &Hub,
    site: &Site,
    account: &Account,
    wanted: Contact,
) -> Result<bool, StanzaError> {
    let turn = account.turn().await;
    let roster = turn.fact(site.roster);
    // §2.1.5: "The server MUST ignore any value of the 'subscription' attribute other than
    // "remove""; the same holds for `ask` and `approved`.
    let is_regrouped = roster
        .contact(&wanted.jid)
        .is_some_and(|known| known.subscription.shows() && known.groups != wanted.groups);
    let contact = match roster.contact(&wanted.jid) {
        Some(known) => Contact { name: wanted.name, groups: wanted.groups, ..known.clone() },
        None => wanted,
    };
    let mut draft = roster.draft(account.jid(), hub.next_id());
    let (version, mut item) = (draft.version(), String::new());
    contact.write(&mut item);
    draft.put(contact, &hub.limits())?;
    let (roster, writes) = draft.finish();
    hub.db().batch(writes).await.map_err(|error| unstored(&error))?;
    turn.publish(site.roster, roster);
    let mut effects = Effects::default();
    hub.push_roster(site, account.jid(), version, &item, &mut effects);
    hub.perform(effects).await;
    Ok(is_regrouped)
}

/// Removes a contact and tells the account's clients. Gives what stood between the two.
async fn remove(
    hub: &Hub,
    site: &Site,
    account: &Account,
    jid: &BareJid,
) -> Result<State, StanzaError> {
    let turn = account.turn().await;
    let roster = turn.fact(site.roster);
    let state = roster.state(jid);
    let mut draft = roster.draft(account.jid(), hub.next_id());
    let version = draft.version();
    // §2.5.3: "If the value of the 'jid' attribute specifies an item that is not in the roster,
    // then the server MUST return an <item-not-found/> stanza error."
    draft.remove(jid).ok_or_else(StanzaError::item_not_found)?;
    let (roster, writes) = draft.finish();
    hub.db().batch(writes).await.map_err(|error| unstored(&error))?;
    turn.publish(site.roster, roster);
    let mut item = String::from("<item");
    write::attribute(&mut item, "jid", jid.as_str());
    item.push_str(" subscription='remove'/>");
    let mut effects = Effects::default();
    hub.push_roster(site, account.jid(), version, &item, &mut effects);
    hub.perform(effects).await;
    Ok(state)
}

/// §2.5.2: "If the presence subscription is mutual, then the user's server MUST send both a
/// presence stanza of type "unsubscribe" and a presence stanza of type "unsubscribed" to the
/// contact", otherwise the one that ends something. Then the account's resources go out of sight.
async fn say_goodbye(
    hub: &Hub,
    account: &Arc<Account>,
    contact: &BareJid,
    state: State,
    effects: &mut Effects,
) {
    let from = Party::new(account.jid().to_jid(), Some(Arc::clone(account)));
    let say = |kind| Stanza::presence(kind).from(account.jid().to_jid()).to(contact.to_jid());
    if state.subscription.sees() || state.is_asking {
        hub.route(&from, say(PresenceType::Unsubscribe), effects).await;
    }
    if state.subscription.shows() || state.is_asked {
        hub.route(&from, say(PresenceType::Unsubscribed), effects).await;
    }
    if state.subscription.shows() {
        hub.hide_presence(account, contact, effects).await;
    }
}

/// `<query/>`, as clients send it.
#[derive(FromXml)]
#[xml(namespace = NS, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Query {
    /// The version the client has; empty when it has none but could keep one.
    #[xml(attribute(default))]
    pub ver: Option<String>,
    /// The contacts to change.
    #[xml(child(n = ..))]
    pub items: Vec<Item>,
}
payload!(Query, "query", NS);

/// `<item/>`, as clients send it.
#[derive(FromXml)]
#[xml(namespace = NS, name = "item", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Item {
    /// The contact.
    #[xml(attribute(default))]
    pub jid: Option<String>,
    /// What to call it.
    #[xml(attribute(default))]
    pub name: Option<String>,
    /// `remove` is the only value that means anything here.
    #[xml(attribute(default))]
    pub subscription: Option<String>,
    /// The groups to put it in.
    #[xml(extract(namespace = NS, name = "group", n = .., fields(text(type_ = String))))]
    pub groups: Vec<String>,
}

impl Item {
    fn address(&self) -> Result<BareJid, StanzaError> {
        let Some(jid) = &self.jid else {
            return Err(StanzaError::bad_request().text("The <item/> lacks a `jid`."));
        };
        BareJid::new(jid).map_err(|error| StanzaError::jid_malformed().text(error.to_string()))
    }

    /// §2.3.3: not-acceptable for a name or a group that is too long and for a group "of zero
    /// length", bad-request when "there are duplicate groups".
    fn check(&self) -> Result<&Self, StanzaError> {
        let not_acceptable = |text: &'static str| Err(StanzaError::not_acceptable().text(text));
        if self.name.as_ref().is_some_and(|name| name.len() > NAME_BYTES) {
            return not_acceptable("The name is too long.");
        }
        if self.groups.len() > GROUPS {
            return not_acceptable("Too many groups.");
        }
        for (index, group) in self.groups.iter().enumerate() {
            if group.is_empty() || group.len() > GROUP_BYTES {
                return not_acceptable("The name of a group is empty or too long.");
            }
            if self.groups[..index].contains(group) {
                return Err(StanzaError::bad_request().text("A group is named twice."));
            }
        }
        Ok(self)
    }

    fn to_contact(&self, jid: BareJid) -> Contact {
        Contact {
            name: self.name.as_deref().filter(|name| !name.is_empty()).map(Into::into),
            groups: self.groups.iter().map(|group| group.as_str().into()).collect(),
            ..Contact::new(jid)
        }
    }
}

#[cfg(test)]
mod tests;
