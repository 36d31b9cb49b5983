#![cfg_attr(not(doctest), doc = include_str!("pubsub.md"))]

mod access;
mod affiliate;
mod approve;
mod attachments;
mod audit;
mod cache;
mod config;
mod configure;
mod create;
mod discover;
mod errors;
mod last;
mod manage;
mod mine;
mod news;
mod nobody;
mod node;
mod notify;
mod options;
mod past;
mod pending;
mod public;
mod publish;
mod quota;
mod remove;
mod retract;
mod retrieve;
mod rights;
mod seam;
mod settings;
mod shelf;
mod subscribe;
mod subscribers;
mod sweep;
mod voice;
mod wire;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use waxwing_jid::BareJid;
use waxwing_kernel::command::Command;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Party, Stage};
use waxwing_kernel::{Hub, Roster, Site, SiteBuilder, account::Slot};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Affiliations, Subscriptions};

use self::cache::Cache;
use self::config::{Access, Bounds, Config, PublishModel};
use self::errors::unstored;
use self::node::{Node, Realm, State};
use self::rights::{Action, Affiliation, Standing, judge};
use self::settings::{Creators, PubsubConfig};
use self::subscribers::Status;
use self::voice::{Order, Voice};
use self::wire::{Get, OwnerGet, OwnerSet, Set};

/// The label of the service.
const LABEL: &str = "pubsub";
/// What the service is called for people.
const NAME: &str = "Publish-Subscribe";
/// How often items are looked for whose time is over.
const SWEEP: Duration = Duration::from_secs(60);

/// Keeps nodes, for a service and for every account.
pub struct Pubsub {
    config: PubsubConfig,
    hub: Hub,
    /// The service.
    service: BareJid,
    roster: Slot<Roster>,
    cache: Arc<Cache>,
    voice: Arc<Voice>,
    /// Of all hosts.
    order: Arc<Order>,
    /// For what starts tasks and is not given a share of the module.
    itself: OnceLock<Weak<Self>>,
}

/// One request: who asks, and where.
struct Errand {
    hub: Hub,
    site: Arc<Site>,
    from: Party,
    /// The bare address of who asks.
    asker: BareJid,
    realm: Realm,
    /// The module that does it, if it is one.
    origin: Option<&'static str>,
}

impl Errand {
    /// Nobody asked: an account sees to its own nodes.
    fn unasked((hub, site): (&Hub, &Arc<Site>), realm: Realm) -> Self {
        let (hub, site, asker) = (hub.clone(), Arc::clone(site), realm.jid.clone());
        let from = Party::new(asker.to_jid(), realm.account.clone());
        Self { hub, site, from, asker, realm, origin: None }
    }

    /// Whoever asked, the account that was asked, or the service.
    fn of<P>(pubsub: &Pubsub, ask: &Request<P>) -> Self {
        let realm = pubsub.realm(ask.account.clone());
        Self {
            hub: ask.hub.clone(),
            site: Arc::clone(&ask.site),
            from: ask.from.clone(),
            asker: ask.from.jid.bare(),
            realm,
            origin: None,
        }
    }
}

/// The child of a result, if it has one.
type Answer = Result<Option<String>, StanzaError>;

impl Module for Pubsub {
    const ABOUT: &'static About = &About {
        name: "pubsub",
        summary: "Keeps nodes that people publish at, and tells those who subscribe.",
        is_on: true,
        xeps: &[
            Xep(59, "1.0"),
            Xep(60, "1.30.0").lacks("collections, which XEP-0248 describes"),
            Xep(163, "1.2.2"),
            Xep(222, "1.0"),
            Xep(223, "1.1.1"),
            Xep(442, "0.2.0"),
            Xep(462, "0.1.1"),
            Xep(465, "0.1.1")
                .lacks("what an account is subscribed to, which XEP-0376 would have to keep"),
            Xep(470, "0.2.0"),
            Xep(503, "0.3.0").lacks("several <metadata/> in one item, which XEP-0060 forbids"),
        ],
        server_features: &[],
        account_features: discover::ACCOUNT_FEATURES,
        manual: include_str!("pubsub.md"),
    };
    type Config = PubsubConfig;

    fn start(site: &mut SiteBuilder<'_>, config: PubsubConfig) -> Result<Self, StartError> {
        let (hub, domain) = (site.hub(), site.jid().domain().to_owned());
        let service = BareJid::new(&format!("{LABEL}.{domain}")).map_err(|error| StartError {
            module: Self::ABOUT.name,
            reason: format!("{LABEL}.{domain} is no address: {error}"),
        })?;
        let (cache, voice, order) = (hub.lasting(&domain), hub.lasting(&domain), hub.lasting(""));
        let (roster, itself) = (site.roster(), OnceLock::new());
        Ok(Self { config, hub, service, roster, cache, voice, order, itself })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.service(LABEL, NAME)
            .get(Self::get)
            .set(Self::set)
            .get(Self::owner_get)
            .set(Self::owner_set)
            .get(Self::service_info)
            .get(Self::service_items)
            .set(Self::command);
        on.account().get(Self::get).set(Self::set).get(Self::owner_get).set(Self::owner_set);
        // Others shall not see that there is an account.
        on.owner().set(Self::command);
        on.nobody()
            .get(Self::nobodys)
            .set(Self::nobody::<Set>)
            .get(Self::nobody::<OwnerGet>)
            .set(Self::nobody::<OwnerSet>);
        on.nodes();
        on.shelves(Self::shelf);
        on.account_identity(|_| discover::account_identity());
        on.account_disco(Self::account_disco);
        on.signal(Signal::Removed, Self::removed);
        on.signal(Signal::Unavailable, Self::went_offline);
        Self::subscription_routes(on);
        on.every(SWEEP, Self::sweep);
        on.command(|pubsub| Command::new(&audit::LIST, pubsub, Self::list_nodes));
        on.command(|pubsub| Command::new(&audit::SHOW, pubsub, Self::show_node));
        on.command(|pubsub| Command::new(&audit::DELETE, pubsub, Self::delete_node));
    }
}

impl Pubsub {
    /// Where subscriptions hear of what goes on.
    fn subscription_routes(on: &mut Routes<'_, Self>) {
        let itself = Arc::downgrade(&on.shared());
        on.module().itself.get_or_init(|| itself);
        on.visits(Self::visit);
        on.inbound(Stage::Check, Self::take_form).after("blocking");
        on.interested(Self::interested);
        on.signal(Signal::Appeared, Self::appeared);
        on.signal(Signal::Unavailable, Self::left);
        on.signal(Signal::Shared, Self::shared);
        on.signal(Signal::Withheld, Self::withheld);
        on.signal(Signal::Regrouped, Self::regrouped);
        on.every(SWEEP, Self::end_leases);
    }

    async fn get(self: Arc<Self>, ask: Request<Get>) -> Answer {
        let on = Errand::of(&self, &ask);
        match ask.payload {
            Get::Items(items) => self.retrieve(&on, items).await,
            Get::Subscriptions { node } => self.my_subscriptions(&on, node).await,
            Get::Affiliations { node } => self.my_affiliations(&on, node).await,
            Get::DefaultOptions { node } => self.default_options(&on, node).await,
            Get::Options { node, jid, subid } => self.options(&on, node, jid, subid).await,
        }
    }

    async fn set(self: Arc<Self>, ask: Request<Set>) -> Answer {
        let on = Errand::of(&self, &ask);
        match ask.payload {
            Set::Create { node, form } => self.create(&on, node, form).await,
            Set::Publish(publish) => self.publish(&on, publish).await,
            Set::Retract { node, ids, is_loud } => self.retract(&on, &node, ids, is_loud).await,
            Set::Subscribe { node, jid, form, is_public } => {
                self.subscribe(&on, node, jid, (form, is_public)).await
            }
            Set::Unsubscribe { node, jid, subid } => self.unsubscribe(&on, node, jid, subid).await,
            Set::Options { node, jid, subid, form } => {
                self.set_options(&on, node, (jid, subid), form).await
            }
        }
    }

    async fn owner_get(self: Arc<Self>, ask: Request<OwnerGet>) -> Answer {
        let on = Errand::of(&self, &ask);
        match ask.payload {
            OwnerGet::Configure { node } => self.show_config(&on, &node).await,
            OwnerGet::Default => Ok(Some(self.show_default(&on))),
            OwnerGet::Affiliations { node, set } => self.affiliations(&on, node, set).await,
            OwnerGet::Subscriptions { node, set } => self.subscriptions(&on, node, set).await,
        }
    }

    async fn owner_set(self: Arc<Self>, ask: Request<OwnerSet>) -> Answer {
        let on = Errand::of(&self, &ask);
        match ask.payload {
            OwnerSet::Configure { node, form } => self.configure(&on, &node, form).await,
            OwnerSet::Delete { node, redirect } => self.delete(&on, &node, redirect).await,
            OwnerSet::Purge { node } => self.purge(&on, &node).await,
            OwnerSet::Affiliations { node, list } => self.affiliate(&on, node, list).await,
            OwnerSet::Subscriptions { node, list } => self.manage(&on, node, list).await,
        }
    }

    /// Where the nodes of an account are, or those of the service.
    fn realm(&self, account: Option<Arc<waxwing_kernel::account::Account>>) -> Realm {
        let jid = account.as_ref().map_or(&self.service, |account| account.jid()).clone();
        Realm { jid, account }
    }

    fn bounds(&self) -> Bounds {
        let payload_bytes = u32::try_from(self.config.payload.0).unwrap_or(u32::MAX);
        Bounds { items: self.config.items, payload_bytes }
    }

    /// The place of a node, read if it was not in memory.
    async fn node(&self, realm: &Realm, name: &str) -> Result<Arc<Node>, StanzaError> {
        let room = self.config.nodes_cached as usize;
        self.cache.node(self.hub.db(), (&realm.jid, name), room).await.map_err(unstored)
    }

    /// How a node is configured when nobody says otherwise.
    fn usual(&self, site: &Site, realm: &Realm, name: &str) -> Config {
        let bounds = self.bounds();
        if !realm.is_account() {
            return Config::of_service(bounds);
        }
        let mut config = Config::of_account(bounds);
        if let Some(known) = site.known_node(name) {
            config.preset(known.preset, bounds);
        }
        config
    }

    /// How somebody stands to a node by name. The account itself owns its nodes, and so do admins
    /// of the domain those of the service.
    async fn affiliation(
        &self,
        site: &Site,
        realm: &Realm,
        (node, state): (&Node, &State),
        jid: &BareJid,
    ) -> Result<Affiliation, StanzaError> {
        let is_owner = match &realm.account {
            Some(account) => account.jid() == jid,
            None => *jid == self.service || site.is_admin(jid),
        };
        if is_owner {
            return Ok(Affiliation::Owner);
        }
        node.affiliation(self.hub.db(), state.id, jid).await.map_err(unstored)
    }

    /// What of somebody matters at a node.
    async fn standing(
        &self,
        site: &Site,
        realm: &Realm,
        (node, state): (&Node, &State),
        jid: &BareJid,
    ) -> Result<Standing, StanzaError> {
        if let Some(target) = public::target(&node.name) {
            return Box::pin(self.standing_at(site, realm, target, jid)).await;
        }
        let affiliation = self.affiliation(site, realm, (node, state), jid).await?;
        let mut standing = Standing { affiliation, ..Standing::default() };
        let config = &state.config;
        if !matches!(affiliation, Affiliation::None | Affiliation::Member) {
            return Ok(standing);
        }
        if config.access == Access::Authorize || config.publish_model == PublishModel::Subscribers {
            let rows = Subscriptions::new(self.hub.db().clone());
            let held = rows.of(state.id, jid.as_str()).await.map_err(unstored)?;
            let subscribed = Status::Subscribed.number();
            standing.is_subscribed = held.iter().any(|held| held.state == subscribed);
        }
        if matches!(config.access, Access::Presence | Access::Roster)
            && let Some(owner) = self.person(realm, state).await?
        {
            let roster = owner.fact(self.roster);
            standing.sees_presence = owner.jid() == jid || roster.state(jid).subscription.shows();
            let groups = roster.contact(jid).map(|contact| contact.groups.iter());
            standing.is_in_group = standing.sees_presence
                && groups
                    .into_iter()
                    .flatten()
                    .any(|group| config.groups.iter().any(|allowed| **allowed == **group));
        }
        Ok(standing)
    }

    /// The person whose presence and contacts decide at a node: the account itself, or at the
    /// service who made the node.
    async fn person(
        &self,
        realm: &Realm,
        state: &State,
    ) -> Result<Option<Arc<waxwing_kernel::account::Account>>, StanzaError> {
        match &realm.account {
            Some(account) => Ok(Some(Arc::clone(account))),
            None => self.hub.account(&state.creator).await.map_err(unstored),
        }
    }

    /// The node, if there is one and whoever asks may do that.
    ///
    /// # Errors
    /// What the XEP says of it.
    async fn allowed(
        &self,
        on: &Errand,
        node: &Node,
        action: Action,
    ) -> Result<Arc<State>, StanzaError> {
        let state = node.there()?;
        let standing = self.standing(&on.site, &on.realm, (node, &state), &on.asker).await?;
        judge(action, &state.config, &standing).map(|()| state)
    }

    /// An account is erased. Its own nodes go by themselves; so does what it was elsewhere, here.
    async fn removed(self: Arc<Self>, happening: Happening) -> Effects {
        let jid = happening.account.jid();
        if let Err(error) = self.unname_everywhere((&happening.hub, &happening.site), jid).await {
            tracing::error!(%error, "an erased account is still named as a subscriber");
        }
        let batch = vec![Affiliations::forget(jid.as_str()), Subscriptions::forget(jid.as_str())];
        if let Err(error) = self.hub.db().batch(batch).await {
            tracing::error!(%error, "what an erased account was at nodes could not be removed");
        }
        self.cache.forget(jid);
        for site in self.hub.sites().iter() {
            self.hub.lasting::<Cache>(site.domain()).forget_person(jid);
        }
        Effects::default()
    }
}
