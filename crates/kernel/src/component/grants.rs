//! What a component may do beyond what anybody may, and where modules hear of it.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_stanza::{IqType, Stanza, StanzaError};
use waxwing_xml::Child;

use crate::account::Account;
use crate::component::Component;
use crate::config::DomainName;
use crate::config::sections::{
    Access, ComponentConfig, Delegation, IqAccess, MessageAccess, PresenceAccess,
};
use crate::hub::Hub;
use crate::request::{Answer, Scope};
use crate::roster;
use crate::routes::Ask;
use crate::site::Site;
use crate::stage::{Effects, Party};

/// What the operator grants one component (XEP-0356).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    pub(super) hosts: Vec<DomainName>,
    /// What it may do with rosters.
    pub roster: Access,
    /// Whether it is told when rosters change.
    pub is_pushed: bool,
    /// Whether it may send messages in the name of others.
    pub message: MessageAccess,
    /// Whose presence it is told.
    pub presence: PresenceAccess,
    /// What it may ask in the name of others.
    pub iqs: Vec<IqAccess>,
    /// What it answers in the place of others (XEP-0355).
    pub delegations: Vec<Delegation>,
}

impl Grants {
    pub(super) fn of(config: &ComponentConfig) -> Self {
        Self {
            hosts: config.hosts.clone(),
            roster: config.roster,
            // XEP-0356 §4.1: "Roster pushes MUST NOT be sent if roster permission type is either
            // "none" or "set"."
            is_pushed: config.roster_push && config.roster.allows(Ask::Get),
            message: config.message,
            presence: config.presence,
            iqs: config.iq.clone(),
            delegations: config.delegate.clone(),
        }
    }

    /// Whether it may do anything in the name of others (XEP-0356).
    pub fn is_any(&self) -> bool {
        self.roster != Access::None
            || self.message != MessageAccess::None
            || self.presence != PresenceAccess::None
            || !self.iqs.is_empty()
    }
}

/// A message to the domain of a site.
pub struct Letter {
    /// The server.
    pub hub: Hub,
    /// The virtual host that it is addressed to.
    pub site: Arc<Site>,
    /// Who sent it.
    pub from: Party,
    /// The message.
    pub stanza: Stanza,
}

pub(crate) type LetterRoute =
    Box<dyn Fn(Letter) -> Answer<'static, Result<(), StanzaError>> + Send + Sync>;

/// Why a component is told what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It has connected.
    Connected,
    /// What it may do has changed.
    Changed,
    /// The site is another one since a reload, and knows nothing of it.
    Reloaded,
}

/// A component that is told what it may do.
pub struct Greeting {
    /// The server.
    pub hub: Hub,
    /// The virtual host that tells it.
    pub site: Arc<Site>,
    /// Who is told.
    pub component: Arc<Component>,
    /// Why.
    pub occasion: Occasion,
}

pub(crate) type AttachedRoute = Box<dyn Fn(Greeting) -> Answer<'static, ()> + Send + Sync>;

/// A request before the handler of its element is asked.
pub struct Intercepted<'a> {
    /// The server.
    pub hub: &'a Hub,
    /// The virtual host that is asked.
    pub site: &'a Arc<Site>,
    /// How it is addressed.
    pub scope: Scope,
    /// Whether it is a get or a set.
    pub ask: Ask,
    /// Who asks.
    pub from: &'a Party,
    /// The account that is asked, if one is.
    pub account: Option<&'a Arc<Account>>,
    /// The whole stanza.
    pub stanza: &'a Stanza,
    /// What it carries.
    pub child: Child<'a>,
}

/// An answer that comes later than those to the requests behind it may.
pub type Later = Answer<'static, Result<Option<String>, StanzaError>>;

pub(crate) type InterceptRoute = Box<dyn Fn(&Intercepted<'_>) -> Option<Later> + Send + Sync>;

impl Component {
    /// Whether it answers questions with this element.
    pub fn answers(&self, child: Child<'_>) -> bool {
        self.grants.delegations.iter().any(|it| {
            it.namespace == child.namespace()
                && it.attributes.iter().all(|name| child.attribute(name).is_some())
        })
    }

    /// Whether this very namespace is delegated to it.
    pub fn is_delegated(&self, namespace: &str) -> bool {
        self.grants.delegations.iter().any(|it| it.namespace == namespace)
    }
}

impl Hub {
    /// Lets the modules tell a component what it may do.
    pub(crate) async fn greet(&self, component: &Arc<Component>, occasion: Occasion) {
        let sites: Vec<_> = self.sites().iter().cloned().collect();
        // After a change also those may have something to say that have granted nothing any more.
        let is_concerned =
            |site: &Arc<Site>| occasion == Occasion::Changed || component.manages(site.domain());
        for site in sites.into_iter().filter(is_concerned) {
            for (_, run) in &site.router.0.attached {
                let (hub, site) = (self.clone(), Arc::clone(&site));
                run(Greeting { hub, site, component: Arc::clone(component), occasion }).await;
            }
        }
    }

    /// The component that asks, if it asks for itself and its grants are about `site`.
    pub fn privileged(&self, from: &Party, site: &Site) -> Option<Arc<Component>> {
        if from.account.is_some() || !from.jid.is_bare() || from.jid.local().is_some() {
            return None;
        }
        let (component, _) = self.components().find(from.jid.domain())?;
        (component.grants().is_any() && component.manages(site.domain())).then_some(component)
    }

    /// Whether a question about a roster is answered as if its owner asked. XEP-0356 §4.3: "The
    /// server MUST check that the privileged entity has right to get or set the roster of managed
    /// entity, and MUST return a <forbidden/> error if it is not the case".
    pub(crate) fn acts_as_owner(
        &self,
        from: &Party,
        site: &Site,
        ask: Ask,
        asked: Child<'_>,
    ) -> Result<bool, StanzaError> {
        if asked.namespace() != roster::NS {
            return Ok(false);
        }
        let Some(component) = self.privileged(from, site) else { return Ok(false) };
        match component.grants().roster.allows(ask) {
            true => Ok(true),
            false => Err(StanzaError::forbidden().text("The operator has not granted you this.")),
        }
    }

    /// Shows a changed roster to the components that may know it. XEP-0356 §4.4: "with a 'from'
    /// attribute explicitely set to the bare jid of the managed entity".
    pub(crate) fn push_to_components(
        &self,
        site: &Site,
        owner: &BareJid,
        query: &str,
        effects: &mut Effects,
    ) {
        for (component, mailbox) in self.components().linked() {
            if component.grants().is_pushed && component.manages(site.domain()) {
                let push = Stanza::iq(IqType::Set).id(self.clock().token(8)).with(query);
                let push = push.from(owner.to_jid()).to(component.jid().to_jid());
                effects.deliver(&mailbox, push);
            }
        }
    }

    /// Has a request answered by whoever takes it before the usual handler, in a task of its own:
    /// its sender's other stanzas do not wait for it. False when nobody takes it.
    pub(crate) fn intercept(&self, asked: &Intercepted<'_>) -> bool {
        let mut routes = asked.site.router.0.intercepts.iter();
        let Some(later) = routes.find_map(|(_, run)| run(asked)) else { return false };
        let (hub, from, stanza) = (self.clone(), asked.from.clone(), asked.stanza.clone());
        self.clock().spawn(async move {
            let mut effects = Effects::default();
            match later.await {
                Ok(payload) => hub.reply(&from, stanza.result(payload), &mut effects),
                Err(error) => hub.refuse(&from, &stanza, &error, &mut effects),
            }
            hub.perform(effects).await;
        });
        true
    }
}
