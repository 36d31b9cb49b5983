//! Tells those who are subscribed what happened at a node, and the contacts of an account whose
//! clients want to hear of it (§9, XEP-0163 §4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::Account;
use waxwing_kernel::crowd::{Crowd, Handed};
use waxwing_kernel::directory::Resource;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::{Stanza, StanzaError};
use waxwing_store::domains::pubsub::{Affiliations, Audience as Stored, Heard};

use super::access::admits;
use super::config::Config;
use super::errors::unstored;
use super::news::{self, News};
use super::node::{Node, Realm, State};
use super::rights::Affiliation;
use super::subscribers::{Subscribers, Terms};
use super::{Errand, Pubsub};

/// Subscribers that are told in one go, and read at a time where they are not in memory.
pub(super) const PAGE: u32 = 1000;

/// Bytes of randomness in the id of a notification.
pub(super) const ID_BYTES: usize = 8;

/// Whom a node tells what happens there.
pub(super) struct Audience {
    realm: Realm,
    node: Arc<Node>,
    id: i64,
    subscribers: Subscribed,
}

/// Its subscribers.
enum Subscribed {
    /// In memory.
    Held(Arc<Subscribers>),
    /// Too many for that: to be read in pages. With the affiliations that matter.
    Paged(BTreeMap<BareJid, Affiliation>),
}

impl Subscribed {
    fn named(&self) -> &BTreeMap<BareJid, Affiliation> {
        match self {
            Self::Held(all) => &all.named,
            Self::Paged(named) => named,
        }
    }
}

/// One piece of news on its way.
struct Telling<'a> {
    hub: &'a Hub,
    site: &'a Arc<Site>,
    /// Whose node it is, if it is an account's.
    account: Option<&'a Account>,
    node: &'a str,
    from: &'a Jid,
    config: &'a Config,
    news: &'a News<'a>,
    message: Stanza,
    /// The same in words, where there are any.
    in_words: Option<Stanza>,
    now: i64,
    /// The accounts whose sessions were told because their clients want it.
    served: BTreeSet<BareJid>,
}

impl Pubsub {
    /// Whom the node tells. Asked before the commit that makes the news, so that what cannot be
    /// read keeps it from happening.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn audience(
        &self,
        hub: &Hub,
        realm: &Realm,
        node: &Arc<Node>,
        state: &State,
    ) -> Result<Audience, StanzaError> {
        let subscribers = self.subscribed(hub, realm, node, state).await?;
        let (realm, node) = (realm.clone(), Arc::clone(node));
        Ok(Audience { realm, node, id: state.id, subscribers })
    }

    /// The same after a change of the node that may have shut some of them out; nobody where that
    /// cannot be read.
    pub(super) async fn audience_now(
        &self,
        on: &Errand,
        node: &Arc<Node>,
        state: &State,
    ) -> Audience {
        let subscribers = self.subscribed(&on.hub, &on.realm, node, state).await;
        let subscribers = subscribers.unwrap_or_else(|error| {
            tracing::error!(node = %node.name, %error, "subscribers cannot be read");
            Subscribed::Held(Arc::new(Subscribers::none(&self.voice.held)))
        });
        Audience { realm: on.realm.clone(), node: Arc::clone(node), id: state.id, subscribers }
    }

    async fn subscribed(
        &self,
        hub: &Hub,
        realm: &Realm,
        node: &Node,
        state: &State,
    ) -> Result<Subscribed, StanzaError> {
        if let Some(held) = node.subscribers.lock().clone() {
            return Ok(Subscribed::Held(held));
        }
        let stored = Stored::new(hub.db().clone());
        let mut all = Subscribers::none(&self.voice.held);
        all.name(named(hub, realm, state).await?);
        let mut after = String::new();
        loop {
            let (page, is_full) = stored.page(state.id, &after, PAGE).await.map_err(unstored)?;
            // Nearly all nodes have one page. Of more it is asked first whether there is room.
            if is_full && after.is_empty() && !self.has_room(&stored, state.id).await? {
                return Ok(Subscribed::Paged(std::mem::take(&mut all.named)));
            }
            for heard in &page {
                if let Some(jid) = address(heard, hub) {
                    all.put(&jid, Terms::of(heard));
                }
            }
            match page.into_iter().next_back().filter(|_| is_full) {
                Some(last) => after = last.bare,
                None => break,
            }
        }
        if !self.voice.held.has_room(0, self.config.subscribers_cached as usize) {
            return Ok(Subscribed::Held(Arc::new(all)));
        }
        let all = Arc::new(all);
        *node.subscribers.lock() = Some(Arc::clone(&all));
        Ok(Subscribed::Held(all))
    }

    /// Whether all subscriptions of a node can be in memory.
    async fn has_room(&self, stored: &Stored, node: i64) -> Result<bool, StanzaError> {
        let count = stored.count(node).await.map_err(unstored)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(self.voice.held.has_room(count, self.config.subscribers_cached as usize))
    }

    /// Tells them. It happens inside the turn of the node, after the commit, and never fails: who
    /// cannot be told now is not told.
    pub(super) async fn announce(
        &self,
        (hub, site): (&Hub, &Arc<Site>),
        audience: &Audience,
        config: &Config,
        news: News<'_>,
        by: Option<&Party>,
    ) {
        let Audience { realm, node, .. } = audience;
        self.order.mark(|| hub.next_id(), realm.jid.as_str(), &node.name);
        if !news.is_told(config) {
            return;
        }
        let id = hub.clock().token(ID_BYTES);
        let event = news.event(&node.name, config);
        let from = realm.jid.to_jid();
        let message = news::message(config, event).from(from.clone()).id(id);
        let words = news.words(config);
        let in_words = words.map(|words| news::in_words(message.clone(), &words));
        let now = hub.clock().wall_millis().cast_signed();
        let (news, from, name) = (&news, &from, &*node.name);
        let (served, account) = (BTreeSet::new(), realm.account.as_deref());
        let mut telling = Telling {
            hub,
            site,
            account,
            node: name,
            from,
            config,
            news,
            message,
            in_words,
            now,
            served,
        };
        if let Some(account) = &realm.account {
            let routed = telling.contacts(account, audience.subscribers.named(), by);
            telling.route(routed).await;
        }
        match &audience.subscribers {
            Subscribed::Held(all) => telling.held(all).await,
            Subscribed::Paged(_) => self.tell_pages(&mut telling, audience.id).await,
        }
    }

    async fn tell_pages(&self, telling: &mut Telling<'_>, node: i64) {
        let stored = Stored::new(telling.hub.db().clone());
        let mut after = String::new();
        loop {
            let (page, is_full) = match stored.page(node, &after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, node = telling.node, "subscribers cannot be read");
                    return;
                }
            };
            let mut all = Subscribers::none(&self.voice.held);
            for heard in &page {
                if let Some(jid) = address(heard, telling.hub) {
                    all.put(&jid, Terms::of(heard));
                }
            }
            telling.held(&all).await;
            match page.into_iter().next_back().filter(|_| is_full) {
                Some(last) => after = last.bare,
                None => return,
            }
        }
    }
}

/// The address that is told, unless its subscription was to last as long as a presence that ended
/// with the last run of the server.
fn address(heard: &Heard, hub: &Hub) -> Option<Jid> {
    let uptime = i64::try_from(hub.uptime().as_millis()).unwrap_or(i64::MAX);
    let start = hub.clock().wall_millis().cast_signed() - uptime;
    let is_left_over = heard.expires == Some(0) && heard.made < start;
    Jid::new(&heard.jid).ok().filter(|_| !is_left_over)
}

/// Those whom the owner of an account's node has given an affiliation: some are told without a
/// subscription, and outcasts are not.
async fn named(
    hub: &Hub,
    realm: &Realm,
    state: &State,
) -> Result<BTreeMap<BareJid, Affiliation>, StanzaError> {
    if realm.account.is_none() {
        return Ok(BTreeMap::new());
    }
    let stored = Affiliations::new(hub.db().clone());
    let rows = stored.list(state.id, "", u32::MAX).await.map_err(unstored)?;
    let named = rows
        .iter()
        .filter_map(|row| Some((BareJid::new(&row.jid).ok()?, Affiliation::of(row.affiliation))));
    Ok(named.collect())
}

/// Whether a session is there and its client wants to hear of a node.
pub(super) fn wants(session: &Resource, node: &str) -> bool {
    session.is_available()
        && session.interests.as_ref().is_some_and(|interests| interests.wants(node))
}

impl Telling<'_> {
    /// XEP-0163 §4: "The entity shares presence with the account owner, is authorized to receive
    /// events from the node in accordance with the node access model, and advertises an interest",
    /// or "is the account owner itself". The notifications go to full addresses (§4.3.1). Gives
    /// back those that are for other servers.
    fn contacts(
        &mut self,
        account: &Account,
        named: &BTreeMap<BareJid, Affiliation>,
        by: Option<&Party>,
    ) -> Vec<Stanza> {
        // "when sending notifications to an entity that has a presence subscription".
        let publisher = by.filter(|by| self.names(by)).map(|by| &by.jid);
        let message = match publisher {
            Some(publisher) => news::replying_to(self.message.clone(), publisher),
            None => self.message.clone(),
        };
        let (hub, site) = (self.hub, self.site);
        let (crowd, roster) = (hub.crowd(), account.fact(site.roster));
        let (node, mut routed) = (self.node, Vec::new());
        let mut tell = |jid: &BareJid| {
            let (here, before) = (crowd.tell(jid, |it| wants(it, node), &message), routed.len());
            if hub.site(jid.domain()).is_none() {
                let outside = hub.outsiders().interested(jid).into_iter();
                let meant = outside.filter(|(_, interests)| interests.wants(node));
                routed.extend(meant.map(|(jid, _)| message.clone().to(jid)));
            }
            if here > 0 || routed.len() > before {
                self.served.insert(jid.clone());
            }
        };
        tell(account.jid());
        for contact in roster.contacts().filter(|contact| contact.subscription.shows()) {
            let affiliation = named.get(&contact.jid).copied().unwrap_or_default();
            let groups = contact.groups.iter().map(|group| &**group);
            if admits(self.config, groups, affiliation)
                && site.welcomes(account, contact.jid.as_jid())
            {
                tell(&contact.jid);
            }
        }
        routed
    }

    /// Whether a notification says which resource has published.
    fn names(&self, by: &Party) -> bool {
        matches!(self.news, News::Items(_))
            && by.jid.bare_str() == self.from.as_str()
            && !by.jid.is_bare()
    }

    /// Those who are subscribed.
    async fn held(&mut self, all: &Subscribers) {
        let mut rest = all.iter();
        loop {
            let (mut count, mut routed) = (0, Vec::new());
            {
                let crowd = self.hub.crowd();
                for (jid, terms) in rest.by_ref().take(PAGE as usize) {
                    count += 1;
                    routed.extend(self.tell(&crowd, jid, terms));
                }
            }
            self.route(routed).await;
            if count < PAGE {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Tells one address that is subscribed, or gives back what cannot be handed to a session.
    fn tell(&self, crowd: &Crowd<'_>, jid: &Jid, terms: &[Terms]) -> Option<Stanza> {
        let is_for_all = self.news.is_for_all();
        let hears = |one: &&Terms| is_for_all || one.hears(self.now);
        let mut told = terms.iter().filter(hears);
        let first = told.next()?;
        // XEP-0163 §4.3.3: "a PEP service MUST NOT send notifications to a subscriber if the user
        // has blocked the subscriber".
        let is_blocked = self.account.is_some_and(|account| !self.site.welcomes(account, jid));
        if is_blocked || self.is_served(jid) {
            return None;
        }
        // §13.8: "If a subscriber has multiple subscriptions to the same node, where some of the
        // SubIDs have include_body set to true …, the service SHOULD include a body with all".
        let wants_words = terms.iter().filter(hears).any(|one| one.options.has_body);
        let message = self.in_words.as_ref().filter(|_| wants_words).unwrap_or(&self.message);
        let mut message = message.clone();
        if terms.len() > 1 && self.news.has_headers() {
            message = news::with_headers(message, std::iter::once(first).chain(told));
        }
        let looks = |one: &&Terms| one.options.looks_at_presence();
        if !is_for_all
            && (self.config.presence_based || terms.iter().filter(hears).all(|one| looks(&one)))
            && self.hub.site(jid.domain()).is_some()
        {
            self.tell_present(crowd, jid, terms, &message);
            return None;
        }
        if !self.config.headlines {
            return Some(message.to(jid.clone()));
        }
        match crowd.reach(jid, message) {
            Handed::Taken | Handed::Gone => None,
            Handed::Elsewhere(message) => Some(message),
        }
    }

    /// Those sessions that are available, and in a state that one of the subscriptions asks for.
    fn tell_present(&self, crowd: &Crowd<'_>, jid: &Jid, terms: &[Terms], message: &Stanza) {
        let suits = |session: &Resource| {
            let is_meant = jid.is_bare() || session.jid == *jid;
            let Some(presence) = session.presence.as_ref().filter(|_| is_meant) else {
                return false;
            };
            terms.iter().any(|one| one.hears(self.now) && one.options.suits(presence))
        };
        crowd.tell(&jid.bare(), suits, message);
    }

    /// XEP-0163 §4.3.2: who was told at the resources that want it is not told once more because
    /// of a subscription.
    fn is_served(&self, jid: &Jid) -> bool {
        let is_served = !self.served.is_empty() && self.served.contains(&jid.bare());
        is_served
            && (jid.is_bare()
                || self.hub.directory().session(jid).is_some_and(|it| wants(&it, self.node))
                || self.hub.outsiders().wants(jid, self.node))
    }

    async fn route(&self, stanzas: Vec<Stanza>) {
        if stanzas.is_empty() {
            return;
        }
        let (from, mut effects) = (Party::new(self.from.clone(), None), Effects::default());
        for stanza in stanzas {
            Box::pin(self.hub.arrive(&from, stanza, &mut effects)).await;
        }
        self.hub.perform(effects).await;
    }
}
