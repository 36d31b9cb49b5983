//! What is sent to an address at a service of ours: a room, a node's owner, somebody in a room.

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_stanza::{IqType, Kind, Stanza};

use crate::hub::Hub;
use crate::request::{Answer, Scope};
use crate::routes::Ask;
use crate::site::Site;
use crate::stage::{Effects, Party};

/// A stanza for an address at the service of a module.
pub struct Visit {
    /// The server.
    pub hub: Hub,
    /// The virtual host whose service it is.
    pub site: Arc<Site>,
    /// Who sent it.
    pub from: Party,
    /// The address.
    pub to: Jid,
    /// The stanza. An answer to a question of ours ([`Hub::inquire`]) is none of those that come
    /// here; every other error and result is.
    pub stanza: Stanza,
}

pub(crate) type VisitRoute = Box<dyn Fn(Visit) -> Answer<'static, Effects> + Send + Sync>;

impl Hub {
    /// A stanza for the service of the module `service` of `site`, or for an address there.
    ///
    /// Requests to the service itself have typed handlers, and so have those that are answered
    /// alike for every address at a service of ours; all else is for the module to see to.
    pub(crate) async fn to_service(
        &self,
        (site, service): (&Arc<Site>, &'static str),
        from: &Party,
        to: Jid,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        if self.answered(&stanza) {
            return;
        }
        let scope = match (to.local(), stanza.head.kind) {
            (None, Kind::Iq(_)) => Some(Scope::Service(service)),
            (Some(_), Kind::Iq(_)) if to.is_bare() && is_inner(site, &stanza) => Some(Scope::Inner),
            _ => None,
        };
        if let Some(scope) = scope {
            return self.to_server(site, scope, from, stanza, effects).await;
        }
        let Some(visit) = site.router.visit(service) else {
            return match to.local() {
                None => {
                    self.to_server(site, Scope::Service(service), from, stanza, effects).await;
                }
                Some(_) => self.to_nobody(site, from, &to, stanza, effects).await,
            };
        };
        let (hub, site) = (self.clone(), Arc::clone(site));
        effects.merge(visit(Visit { hub, site, from: from.clone(), to, stanza }).await);
    }

    /// Sends `stanza` as `from`, an address of a service of ours, and waits until that is done.
    /// Who is to get it may be anybody anywhere; what comes back as an error comes as a [`Visit`].
    pub async fn send(&self, from: &Jid, stanza: Stanza) {
        let mut effects = Effects::default();
        let from = Party::new(from.clone(), None);
        Box::pin(self.route(&from, stanza, &mut effects)).await;
        let returned = effects.returned.take();
        self.perform(effects).await;
        if let Some(answer) = returned {
            Box::pin(self.bring_back(&from.jid, *answer)).await;
        }
    }

    /// An answer to what an address at a service of ours sent.
    pub(crate) async fn bring_back(&self, to: &Jid, answer: Stanza) {
        let Some((site, service)) = self.service(to.domain()) else { return };
        let sender = answer.head.from.clone().unwrap_or_else(|| to.clone());
        let (party, mut effects) = (Party::new(sender, None), Effects::default());
        self.to_service((&site, service), &party, to.clone(), answer, &mut effects).await;
        self.perform(effects).await;
    }
}

/// Whether this request is answered alike for every bare address at a service.
fn is_inner(site: &Site, stanza: &Stanza) -> bool {
    let ask = match stanza.head.kind {
        Kind::Iq(IqType::Get) => Ask::Get,
        Kind::Iq(IqType::Set) => Ask::Set,
        _ => return false,
    };
    let mut children = stanza.body.children();
    children.next().is_some_and(|child| site.router.iq(Scope::Inner, ask, child).is_some())
}
