//! The item that was published last, for those who come: to a node as a subscriber, online, or to
//! see the presence of an account (§6.1.7, §13.10; XEP-0163 §4.3.3, §4.3.4).
//!
//! Who comes online may be told of nodes of all its contacts. These are read many at a time, by a
//! task of its own, and handed out no faster than the session takes them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Hub;
use waxwing_kernel::crowd::Handed;
use waxwing_kernel::interests::Interested;
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::request::Happening;
use waxwing_kernel::stage::Effects;
use waxwing_stanza::Stanza;
use waxwing_store::StoreError;
use waxwing_store::domains::pubsub::{Latest, Subscription};

use super::access::admits;
use super::config::{Config, SendLast};
use super::news::{self, News};
use super::node::{Item, Node, State};
use super::notify::{ID_BYTES, wants};
use super::rights::Affiliation;
use super::subscribe::terms_of;
use super::{Errand, Pubsub};

/// Contacts whose nodes are read at a time.
const CONTACTS: usize = 128;
/// Subscriptions whose nodes are read at a time.
const PAGE: u32 = 200;
/// How often a node is read again that speaks while it is read.
const TRIES: usize = 3;
/// How long a session that takes nothing is waited for, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(100);

/// A session that is told last items.
struct Newcomer {
    hub: Hub,
    /// Its account, here or elsewhere.
    reader: BareJid,
    jid: Jid,
    /// None for one on another server.
    mailbox: Option<Mailbox>,
    /// Configurations that were read: nodes of one name nearly always have the same.
    configs: HashMap<String, Arc<Config>>,
}

impl Pubsub {
    /// A client wants to hear of nodes: it gets the last items of its own account's, and of those
    /// of the contacts whose presence it may see.
    pub(super) async fn interested(self: Arc<Self>, it: Interested) {
        let Interested { hub, party, account, owner, added, .. } = it;
        let reader = party.jid.bare();
        let owners: Vec<BareJid> = match (account, owner) {
            (Some(account), _) => {
                let roster = account.fact(self.roster);
                let is_here = |jid: &BareJid| hub.site(jid.domain()).is_some();
                let contacts = roster.contacts().filter(|contact| contact.subscription.sees());
                let contacts = contacts.map(|contact| contact.jid.clone()).filter(is_here);
                std::iter::once(reader.clone()).chain(contacts).collect()
            }
            (None, Some(owner)) if self.shows(&hub, &owner, &reader).await => vec![owner],
            (None, _) => return,
        };
        let clock = hub.clock().clone();
        let (jid, mailbox, configs) = (party.jid, party.mailbox, HashMap::new());
        let mut newcomer = Newcomer { hub, reader, jid, mailbox, configs };
        clock.spawn(async move { self.tell_latest(&mut newcomer, &owners, &added).await });
    }

    /// Whether an account here lets somebody elsewhere see its presence.
    async fn shows(&self, hub: &Hub, owner: &BareJid, reader: &BareJid) -> bool {
        let account = hub.account(owner).await.ok().flatten();
        account.is_some_and(|account| account.fact(self.roster).state(reader).subscription.shows())
    }

    /// Somebody may see the presence of an account from now on: its sessions that are there get the
    /// last items of that account's nodes.
    pub(super) async fn shared(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, party, account, .. } = happening;
        self.tell_shared(&hub, (&party.jid.bare(), account.jid()), None).await;
        Effects::default()
    }

    /// Tells the sessions of `reader` the last items of the nodes of `owner`, or of some of them.
    pub(super) async fn tell_shared(
        &self,
        hub: &Hub,
        (reader, owner): (&BareJid, &BareJid),
        names: Option<&[Box<str>]>,
    ) {
        let here = hub.directory().select(reader.as_str(), |session| {
            session.is_available() && session.interests.is_some()
        });
        let here = here
            .into_iter()
            .filter_map(|session| Some((session.jid, Some(session.mailbox), session.interests?)));
        let outside = hub.outsiders().interested(reader).into_iter();
        let outside = outside.map(|(jid, interests)| (jid, None, interests));
        let Some(itself) = self.itself.get().and_then(Weak::upgrade) else { return };
        for (jid, mailbox, interests) in here.chain(outside) {
            let is_meant =
                |name: &&str| names.is_none_or(|names| names.iter().any(|it| **it == **name));
            let wanted: Vec<Box<str>> = interests.nodes().filter(is_meant).map(Box::from).collect();
            let (hub, reader, configs) = (hub.clone(), reader.clone(), HashMap::new());
            let clock = hub.clock().clone();
            let mut newcomer = Newcomer { hub, reader, jid, mailbox, configs };
            let (pubsub, owners) = (Arc::clone(&itself), [owner.clone()]);
            clock.spawn(async move {
                pubsub.tell_latest(&mut newcomer, &owners, &wanted).await;
            });
        }
    }

    /// A session is there: it gets the last items of the nodes that it, or its account, is
    /// subscribed to (§4.3, "on_sub_and_presence").
    pub(super) async fn appeared(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, party, .. } = happening;
        if party.mailbox.is_some() {
            let clock = hub.clock().clone();
            let (reader, jid, mailbox) = (party.jid.bare(), party.jid, party.mailbox);
            let mut newcomer = Newcomer { hub, reader, jid, mailbox, configs: HashMap::new() };
            clock.spawn(async move { self.tell_subscribed(&mut newcomer).await });
        }
        Effects::default()
    }

    /// §6.1.7
    pub(super) async fn send_last(&self, on: &Errand, (node, state): (&Node, &State), jid: &Jid) {
        let now = on.hub.clock().wall_millis().cast_signed();
        let last = match state.last_item(on.hub.db()).await {
            Ok(last) => last,
            Err(error) => return tracing::error!(%error, "a last item could not be read"),
        };
        let Some(item) = last.filter(|item| !item.is_over(now)) else { return };
        if !state.config.delivers {
            return;
        }
        let owner = node.owner.to_jid();
        let message = last_item(&on.hub, &owner, &node.name, (&state.config, &item));
        if !state.config.headlines {
            return on.hub.send(&owner, message.to(jid.clone())).await;
        }
        let handed = on.hub.crowd().reach(jid, message);
        if let Handed::Elsewhere(message) = handed {
            on.hub.send(&owner, message).await;
        }
    }

    async fn tell_latest(&self, to: &mut Newcomer, owners: &[BareJid], names: &[Box<str>]) {
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        for owners in owners.chunks(CONTACTS) {
            let owners: Vec<&str> = owners.iter().map(BareJid::as_str).collect();
            match self.tell_some(to, &owners, &names).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return unread(to, &error),
            }
        }
    }

    /// Hands out the last items of these nodes; whether the session keeps up.
    async fn tell_some(
        &self,
        to: &mut Newcomer,
        owners: &[&str],
        names: &[&str],
    ) -> Result<bool, StoreError> {
        let line = to.hub.next_id();
        for latest in self.latest(to, owners, names).await? {
            if !to.keeps_up().await {
                return Ok(false);
            }
            self.tell_one(to, line, latest).await?;
        }
        Ok(true)
    }

    async fn tell_one(
        &self,
        to: &mut Newcomer,
        mut line: u64,
        mut latest: Latest,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            if !to.may_hear(&latest).await || self.hand(to, line, &latest).await {
                return Ok(());
            }
            line = to.hub.next_id();
            let again = self.latest(to, &[&latest.owner], &[&latest.name]).await?;
            match again.into_iter().next() {
                Some(again) => latest = again,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn tell_subscribed(&self, to: &mut Newcomer) {
        let mut after = 0;
        loop {
            match self.tell_page(to, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => return,
                Err(error) => return unread(to, &error),
            }
        }
    }

    /// Hands out the last items of some nodes that the session is subscribed to; gives the last of
    /// the nodes when there may be more.
    async fn tell_page(&self, to: &mut Newcomer, after: i64) -> Result<Option<i64>, StoreError> {
        let line = to.hub.next_id();
        let found = self.newest(to, after, PAGE).await?;
        let last = found.last().map(|(latest, _)| latest.item.node);
        let is_full = found.len() >= PAGE as usize;
        let mut told = None;
        for (latest, subscription) in found {
            let node = latest.item.node;
            if told == Some(node) || !to.is_meant(&latest, &subscription) {
                continue;
            }
            told = Some(node);
            if !to.is_welcome(&latest.owner).await {
                continue;
            }
            if !to.keeps_up().await {
                return Ok(None);
            }
            if !self.hand(to, line, &latest).await {
                self.tell_again(to, node, &subscription.subid).await?;
            }
        }
        Ok(last.filter(|_| is_full))
    }

    async fn tell_again(
        &self,
        to: &mut Newcomer,
        node: i64,
        subid: &str,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let line = to.hub.next_id();
            let found = self.newest(to, node - 1, self.config.subscriptions_per_node).await?;
            let meant =
                found.into_iter().find(|(it, held)| it.item.node == node && held.subid == subid);
            let Some((latest, _)) = meant else { return Ok(()) };
            if self.hand(to, line, &latest).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads last items. Only while it reads a task keeps others from reading, and not while it
    /// waits for a session that takes nothing.
    async fn latest(
        &self,
        to: &Newcomer,
        owners: &[&str],
        names: &[&str],
    ) -> Result<Vec<Latest>, StoreError> {
        let _reader = self.voice.readers.acquire().await;
        let reader = to.reader.as_str();
        Latest::of(to.hub.db(), reader, owners, names, to.now()).await
    }

    async fn newest(
        &self,
        to: &Newcomer,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(Latest, Subscription)>, StoreError> {
        let _reader = self.voice.readers.acquire().await;
        let reader = to.reader.as_str();
        Latest::subscribed(to.hub.db(), reader, (after, to.now()), limit).await
    }

    /// Hands the item to the session, unless the node has spoken since it was read.
    async fn hand(&self, to: &mut Newcomer, line: u64, latest: &Latest) -> bool {
        let Some(message) = to.message(latest) else { return true };
        let node = (latest.owner.as_str(), latest.name.as_str());
        let mut handed = Handed::Gone;
        let reach = || handed = to.hub.crowd().reach(&to.jid, message);
        let is_silent = self.order.unless_spoken(line, node, reach);
        let (Handed::Elsewhere(message), Ok(owner)) = (handed, Jid::new(&latest.owner)) else {
            return is_silent;
        };
        to.hub.send(&owner, message).await;
        // What the node has said since may have been overtaken, and is said again.
        self.order.unless_spoken(line, node, || {})
    }
}

impl Newcomer {
    fn now(&self) -> i64 {
        self.hub.clock().wall_millis().cast_signed()
    }

    fn config(&mut self, text: &str) -> Arc<Config> {
        if let Some(config) = self.configs.get(text) {
            return Arc::clone(config);
        }
        let config = Config::from_text(text);
        self.configs.insert(text.to_owned(), Arc::clone(&config));
        config
    }

    /// Whether it is told of a node of its own account or of a contact's because it wants to be
    /// (§9.1.1, §9.1.2), and the contact has not blocked it.
    async fn may_hear(&mut self, latest: &Latest) -> bool {
        let config = self.config(&latest.config);
        let is_own = latest.owner == self.reader.as_str();
        let affiliation = latest.affiliation.map_or(Affiliation::None, Affiliation::of);
        let groups = latest.groups.iter().map(String::as_str);
        let may = config.delivers
            && config.send_last == SendLast::OnSubscriptionAndPresence
            && (is_own || admits(&config, groups, affiliation));
        may && self.is_welcome(&latest.owner).await
    }

    /// Whether whose nodes are `owner`'s has not blocked it.
    async fn is_welcome(&self, owner: &str) -> bool {
        let Ok(owner) = BareJid::new(owner) else { return false };
        // A service blocks nobody, and nobody themselves.
        if owner.local().is_none() || owner == self.reader {
            return true;
        }
        // What is not in memory is read: who was blocked is not told.
        match (self.hub.account(&owner).await, self.hub.site(owner.domain())) {
            (Ok(Some(owner)), Some(site)) => site.welcomes(&owner, self.reader.as_jid()),
            _ => false,
        }
    }

    /// Whether it is told of a node because of this subscription.
    fn is_meant(&mut self, latest: &Latest, subscription: &Subscription) -> bool {
        let (config, terms) = (self.config(&latest.config), terms_of(subscription));
        let Some(session) = self.hub.directory().session(&self.jid) else { return false };
        let is_here =
            subscription.jid == self.jid.bare_str() || subscription.jid == self.jid.as_str();
        let suits = session.presence.as_ref().is_some_and(|it| terms.options.suits(it));
        is_here
            && suits
            && terms.hears(self.now())
            && config.delivers
            && config.send_last == SendLast::OnSubscriptionAndPresence
            // It is told of those because its client wants it.
            && !wants(&session, &latest.name)
    }

    fn message(&mut self, latest: &Latest) -> Option<Stanza> {
        let (config, owner) = (self.config(&latest.config), Jid::new(&latest.owner).ok()?);
        let item = Arc::new(Item::of(latest.item.clone()).ok()?);
        Some(last_item(&self.hub, &owner, &latest.name, (&config, &item)))
    }

    /// Waits until there is room in the letter box of the session; false when it is gone or takes
    /// nothing for long.
    async fn keeps_up(&self) -> bool {
        let clock = self.hub.clock();
        let until = clock.now() + PATIENCE;
        let enough = self.hub.limits().mailbox_stanzas / 2;
        let Some(mailbox) = &self.mailbox else { return true };
        while mailbox.room() < enough {
            let now = clock.now();
            if now >= until || !mailbox.is_open() {
                return false;
            }
            clock.until(Some(now + GLANCE)).await;
        }
        mailbox.is_open()
    }
}

/// The message with a last item.
fn last_item(hub: &Hub, owner: &Jid, node: &str, (config, item): (&Config, &Arc<Item>)) -> Stanza {
    let event = News::Items(std::slice::from_ref(item)).event(node, config);
    let message = news::message(config, event).from(owner.clone()).id(hub.clock().token(ID_BYTES));
    news::delayed(message, owner, item.published)
}

fn unread(to: &Newcomer, error: &StoreError) {
    tracing::error!(%error, session = %to.jid, "last items cannot be read");
}
