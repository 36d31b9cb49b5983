//! Requests that the server answers, for itself or for an account.

use std::net::IpAddr;
use std::sync::Arc;

use waxwing_stanza::{IqType, Kind, MessageType, Stanza, StanzaError};
use waxwing_xml::Child;

use crate::account::Account;
use crate::component::{Intercepted, Letter};
use crate::hub::Hub;
use crate::request::{Call, Pass, Request, Scope};
use crate::routes::Ask;
use crate::site::Site;
use crate::stage::{Effects, Party};

impl Hub {
    /// A stanza for the domain itself, or for a service of its own.
    pub(crate) async fn to_server(
        &self,
        site: &Arc<Site>,
        scope: Scope,
        from: &Party,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        match stanza.head.kind {
            Kind::Iq(_) => Box::pin(self.ask(site, scope, from, None, stanza, effects)).await,
            Kind::Message(MessageType::Error) | Kind::Presence(_) => {}
            Kind::Message(_) if scope == Scope::Server => {
                Box::pin(self.take_letter(site, from, stanza, effects)).await;
            }
            Kind::Message(_) => {
                let error = StanzaError::service_unavailable()
                    .text("Nobody reads messages to the server itself.");
                self.refuse(from, &stanza, &error, effects);
            }
        }
    }

    /// A message to the domain: whoever knows what it carries takes it.
    async fn take_letter(
        &self,
        site: &Arc<Site>,
        from: &Party,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let letter = Letter {
            hub: self.clone(),
            site: Arc::clone(site),
            from: from.clone(),
            stanza: stanza.clone(),
        };
        if self.hear_of_list(&letter) {
            return;
        }
        let mut children = stanza.body.children();
        let route = |child: Child<'_>| site.router.letter(child.name(), child.namespace());
        let verdict = match children.find_map(route) {
            Some(take) => take(letter).await,
            None => Err(StanzaError::service_unavailable()
                .text("Nobody reads messages to the server itself.")),
        };
        if let Err(error) = verdict {
            self.refuse(from, &stanza, &error, effects);
        }
    }

    /// Asks the handler of a request and adds its answer to `effects`.
    pub(crate) async fn ask(
        &self,
        site: &Arc<Site>,
        scope: Scope,
        from: &Party,
        account: Option<Arc<Account>>,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        let ask = match stanza.head.kind {
            Kind::Iq(IqType::Get) => Ask::Get,
            Kind::Iq(IqType::Set) => Ask::Set,
            // An answer to a question of ours, or to none.
            _ => {
                self.answered(&stanza);
                return;
            }
        };
        if let Some(child) = stanza.body.children().next()
            && !matches!(scope, Scope::Service(_) | Scope::Inner)
        {
            let (account, stanza) = (account.as_ref(), &stanza);
            let asked = Intercepted { hub: self, site, scope, ask, from, account, stanza, child };
            if self.intercept(&asked) {
                return;
            }
        }
        // Answering may change rosters and deliver to others: it never holds their tasks.
        let call = Request {
            hub: self.clone(),
            site: Arc::clone(site),
            from: from.clone(),
            account,
            stanza: stanza.clone(),
            peer: None,
            pass: Pass::default(),
            payload: (),
        };
        match call_route(scope, ask, call).await {
            Ok(payload) => self.reply(from, stanza.result(payload), effects),
            Err(error) => self.refuse(from, &stanza, &error, effects),
        }
    }

    /// Answers a request of somebody who has not signed in.
    pub(crate) async fn ask_early(
        &self,
        site: &Arc<Site>,
        stanza: Stanza,
        (peer, pass): (IpAddr, Pass),
    ) -> Option<Stanza> {
        let ask = match stanza.head.kind {
            Kind::Iq(IqType::Get) => Ask::Get,
            Kind::Iq(IqType::Set) => Ask::Set,
            _ => return None,
        };
        let call = Request {
            hub: self.clone(),
            site: Arc::clone(site),
            from: Party::new(site.jid.to_jid(), None),
            account: None,
            stanza: stanza.clone(),
            peer: Some(peer),
            pass,
            payload: (),
        };
        match call_route(Scope::Early, ask, call).await {
            Ok(payload) => Some(stanza.result(payload)),
            Err(error) => stanza.error_reply(&error),
        }
    }
}

async fn call_route(scope: Scope, ask: Ask, call: Call) -> Result<Option<String>, StanzaError> {
    let (body, site) = (Arc::clone(&call.stanza.body), Arc::clone(&call.site));
    let answer = {
        let Some(child) = body.children().next() else {
            let error = StanzaError::bad_request();
            return Err(error.text("A request carries exactly one element."));
        };
        let asked = call.account.as_ref().map(|account| account.jid());
        let is_owner = scope == Scope::Account && asked == Some(&call.from.jid.bare());
        let is_like_owner = scope == Scope::Account
            && call.hub.acts_as_owner(&call.from, &call.site, ask, child)?;
        let own =
            (is_owner || is_like_owner).then(|| site.router.iq(Scope::Owner, ask, child)).flatten();
        let inner = || {
            let scope = matches!(scope, Scope::Service(_)).then_some(Scope::Inner)?;
            site.router.iq(scope, ask, child)
        };
        match own.or_else(|| site.router.iq(scope, ask, child)).or_else(inner) {
            Some(route) => route(call, child),
            // Strangers get the same for an account, for a resource and for nobody: RFC 6121
            // §8.5.1 wants that they cannot tell who exists.
            None if !is_owner && matches!(scope, Scope::Account | Scope::Nobody) => {
                return Err(StanzaError::service_unavailable());
            }
            None => return Err(unknown(child)),
        }
    };
    answer.await
}

/// RFC 6120 §8.4: "If an intended recipient receives an IQ stanza of type 'get' or 'set' containing
/// a child element qualified by a namespace it does not understand, then the entity MUST return an
/// IQ stanza of type 'error' with an error condition of <service-unavailable/>."
fn unknown(child: Child<'_>) -> StanzaError {
    let (name, ns) = (child.name(), child.namespace());
    StanzaError::service_unavailable().text(format!("Nothing here answers <{name} xmlns='{ns}'/>."))
}
