//! Where clients of a domain are sent (RFC 6120 §3.2, XEP-0368 §3): for operators who want to know
//! whether their records are right.

use std::sync::Arc;

use super::Names;
use super::domain::Domain;
use super::order::in_order;
use super::service::{Service, services};
use super::source::Kind;
use super::target::Target;
use super::trouble::NameTrouble;

impl Names {
    /// The servers that SRV records name for clients of `domain`, in the order to be tried. Empty
    /// without such records: clients then take the domain itself and the usual port.
    ///
    /// # Errors
    /// DNS does not tell.
    pub async fn clients(&self, domain: &str) -> Result<Vec<Target>, NameTrouble> {
        let Domain::Name(name) = Domain::read(domain)? else { return Ok(Vec::new()) };
        let asked = |service: &str| Arc::<str>::from(format!("_{service}-client._tcp.{name}"));
        let (direct, plain) = (asked("xmpps"), asked("xmpp"));
        let (direct, plain) =
            tokio::join!(self.ask(&direct, Kind::Srv), self.ask(&plain, Kind::Srv));
        let mut found = Vec::new();
        for (answer, is_direct) in [(direct, true), (plain, false)] {
            match answer {
                Ok(reply) => found.extend(services(&reply, is_direct)),
                Err(trouble) if trouble.is_absence() => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let mut order = in_order(found, &mut |most| self.random(most));
        order.retain(|ranked| !ranked.item.host.is_empty());
        order.truncate(self.0.limits.targets_max);
        Ok(order.into_iter().map(Service::target).collect())
    }
}
