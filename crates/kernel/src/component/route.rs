//! What is said to the domain of a component.

use std::sync::Arc;

use waxwing_stanza::{Kind, Stanza, StanzaError};

use crate::component::{Component, Link};
use crate::hub::Hub;
use crate::mailbox::{Delivery, Mailbox};
use crate::stage::{Effects, Party};

impl Hub {
    /// Hands a stanza to a component, or tells its sender that this cannot be done now.
    pub(crate) fn to_component(
        &self,
        (component, link): (Arc<Component>, Option<Link>),
        from: &Party,
        stanza: Stanza,
        effects: &mut Effects,
    ) {
        if let Some(link) = link.filter(|link| link.mailbox.is_open()) {
            return effects.deliver(&link.mailbox, stanza);
        }
        let error = absent(&component);
        match stanza.head.kind {
            // Who asks to see somebody should know that the question was not heard.
            Kind::Presence(kind) if kind.is_subscription() => {
                self.refuse_presence(from, &stanza, &error, effects);
            }
            _ => self.refuse(from, &stanza, &error, effects),
        }
    }

    /// Finds another way for what a connection of a component did not take: its next one, or back.
    pub(crate) fn find_way_to_component(
        &self,
        delivery: Delivery,
        (component, link): (Arc<Component>, Option<Link>),
        not_to: &Mailbox,
        effects: &mut Effects,
    ) {
        let Some(from) = delivery.stanza.head.from.clone() else { return };
        let link = link.filter(|link| !link.mailbox.is(not_to));
        let from = Party::new(from, None);
        self.to_component((component, link), &from, delivery.stanza, effects);
    }
}

/// RFC 6120 §8.3.3.16: "A remote server or service specified as part or all of the JID of the
/// intended recipient … was resolved but communications could not be established within a
/// reasonable amount of time". Its type is `wait`: the same may be said later.
fn absent(component: &Component) -> StanzaError {
    let domain = component.domain();
    let text = format!("The service {domain} is not connected at the moment; try again later.");
    StanzaError::remote_server_timeout().text(text)
}
