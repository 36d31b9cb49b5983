//! Who is subscribed to a node and wants others to know (XEP-0465): a list that the service keeps
//! beside the node, and that is read by whoever may read the node.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::nodes::NodeNews;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Items, Subscription, Subscriptions};
use waxwing_xml::write;

use super::config::Config;
use super::errors::unstored;
use super::node::{Node, Realm, State};
use super::options::{Ends, Options};
use super::rights::{Action, Affiliation, Standing};
use super::subscribe::terms_of;
use super::subscribers::{Status, Terms};
use super::wire::Draft;
use super::{Errand, Pubsub};

/// Namespace of the wish to be named, and the feature of a service that names people.
pub(super) const NS: &str = "urn:xmpp:pps:0";
/// What the name of a list begins with, before that of the node.
const SUBSCRIBERS: &str = "urn:xmpp:pps:subscribers:0/";
/// The node where an account would show what it is subscribed to.
const SUBSCRIPTIONS: &str = "urn:xmpp:pps:subscriptions:0";

fn is_special(name: &str) -> bool {
    name == SUBSCRIPTIONS || name.starts_with(SUBSCRIBERS)
}

/// The node whose subscribers a node of this name lists. Lists have none themselves.
pub(super) fn target(name: &str) -> Option<&str> {
    name.strip_prefix(SUBSCRIBERS).filter(|target| !target.is_empty() && !is_special(target))
}

fn list_of(name: &str) -> Option<String> {
    (!is_special(name)).then(|| format!("{SUBSCRIBERS}{name}"))
}

/// §5: "If a user wants to create, purge or delete a special node used in this XEP, or if they want
/// to manually publish or retract items, the service MUST return a <forbidden/> error to the user."
pub(super) fn may_touch(name: &str) -> Result<(), StanzaError> {
    match is_special(name) {
        true => Err(StanzaError::forbidden().text("The service keeps this node by itself.")),
        false => Ok(()),
    }
}

/// Whether others are told of a subscription. One that lasts as long as a presence is not: it
/// would tell them when somebody comes and goes.
fn is_listed(terms: &Terms) -> bool {
    terms.options.is_public
        && terms.status == Status::Subscribed
        && terms.ends != Ends::WithPresence
}

/// The item that names somebody. An address may be longer than an id.
fn id_of(person: &BareJid) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, person.as_str().as_bytes()))
}

impl Pubsub {
    /// How somebody stands to the list of a node: as to the node.
    pub(super) async fn standing_at(
        &self,
        site: &Site,
        realm: &Realm,
        target: &str,
        jid: &BareJid,
    ) -> Result<Standing, StanzaError> {
        let node = self.node(realm, target).await?;
        match node.state() {
            Some(state) => self.standing(site, realm, (&node, &state), jid).await,
            // What is left of the list of a node that is gone is nobody's business.
            None => Ok(Standing { affiliation: Affiliation::Outcast, ..Standing::default() }),
        }
    }

    /// Whether a list would be there if somebody stood on it, and whoever asks may read it.
    pub(super) async fn has_list(&self, on: &Errand, name: &str) -> bool {
        let Some(target) = target(name) else { return false };
        match self.node(&on.realm, target).await {
            Ok(node) => self.allowed(on, &node, Action::Retrieve).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Sees to it that there is the list that somebody wants to subscribe to; nothing at other
    /// nodes.
    pub(super) async fn make_list(&self, on: &Errand, name: &str) -> Result<(), StanzaError> {
        let Some(target) = target(name) else { return Ok(()) };
        let node = self.node(&on.realm, target).await?;
        let state = self.allowed(on, &node, Action::Subscribe).await?;
        self.match_node(on, name, &state.config).await.map(drop)
    }

    /// The list of a node, if there is one.
    async fn list(&self, realm: &Realm, name: &str) -> Result<Option<Arc<Node>>, StanzaError> {
        let Some(list) = list_of(name) else { return Ok(None) };
        let list = self.node(realm, &list).await?;
        Ok(list.state().is_some().then_some(list))
    }

    /// A subscription is about to be written. Whoever is not to be named any more is not from now
    /// on, whatever happens next.
    pub(super) async fn before_kept(
        &self,
        on: &Errand,
        place: (&Node, &State),
        jid: &Jid,
        terms: &Terms,
    ) -> Result<(), StanzaError> {
        match is_listed(terms) {
            true => Ok(()),
            false => self.unname(on, place, &jid.bare(), &[&terms.subid]).await,
        }
    }

    /// §4.3: "by subscribing again to the node without the <public> element": then none of
    /// somebody's other subscriptions is to be known either.
    pub(super) async fn keep_quiet(
        &self,
        on: &Errand,
        place: (&Node, &State),
        (held, subid): (&[Subscription], &str),
    ) -> Result<(), StanzaError> {
        for row in held.iter().filter(|row| row.subid != subid) {
            let mut terms = terms_of(row);
            if let Ok(jid) = Jid::new(&row.jid)
                && terms.options.is_public
            {
                terms.options.is_public = false;
                self.keep(on, place, &jid, &terms).await?;
            }
        }
        Ok(())
    }

    /// These subscriptions of somebody are about to end, or are not to be known any more: takes the
    /// name off the list if no other is on it.
    pub(super) async fn unname(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        person: &BareJid,
        ended: &[&str],
    ) -> Result<(), StanzaError> {
        let Some(list) = self.list(&on.realm, &node.name).await? else { return Ok(()) };
        let rows = Subscriptions::new(on.hub.db().clone());
        let held = rows.of(state.id, person.as_str()).await.map_err(unstored)?;
        let mut others = held.iter().filter(|row| !ended.contains(&row.subid.as_str()));
        if others.any(|row| is_listed(&terms_of(row))) {
            return Ok(());
        }
        let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
        self.retract_any(&own, &list.name, id_of(person)).await
    }

    /// A subscription was written: names who is to be named. It is in force whether or not that
    /// succeeds.
    pub(super) async fn after_kept(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &Jid,
        terms: &Terms,
    ) {
        let Some(list) = list_of(&node.name).filter(|_| is_listed(terms)) else { return };
        if let Err(error) = self.name(on, state, &list, &jid.bare()).await {
            tracing::warn!(node = %node.name, %error, "a subscriber is not named");
        }
    }

    async fn name(
        &self,
        on: &Errand,
        state: &State,
        list: &str,
        person: &BareJid,
    ) -> Result<(), StanzaError> {
        let list = self.match_node(on, list, &state.config).await?;
        let (rows, id) = (Items::new(on.hub.db().clone()), id_of(person));
        let there = list.there()?.id;
        if rows.number(there, &id).await.map_err(unstored)?.is_some() {
            return Ok(());
        }
        let mut payload = String::from("<subscriber");
        write::attribute(&mut payload, "xmlns", NS);
        write::attribute(&mut payload, "jid", person.as_str());
        payload.push_str("/>");
        let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
        let draft = Draft { id: Some(id), payload };
        Box::pin(self.publish_at(&own, &list, vec![draft], None)).await.map(drop)
    }

    /// Somebody may read a node no longer, perhaps: the same then goes for its list. In the turn of
    /// the node.
    pub(super) async fn recheck_list(
        &self,
        on: &Errand,
        node: &Node,
        person: &BareJid,
    ) -> Result<(), StanzaError> {
        let Some(list) = self.list(&on.realm, &node.name).await? else { return Ok(()) };
        let _turn = list.turn(on.hub.db()).await.map_err(unstored)?;
        let Some(state) = list.state() else { return Ok(()) };
        self.end_if_unallowed(on, (&list, &state), person).await
    }

    /// A node is configured otherwise, and its list lets in the same people.
    pub(super) async fn list_matches(&self, on: &Errand, node: &Node, config: &Config) {
        let matched = async {
            let Some(list) = self.list(&on.realm, &node.name).await? else { return Ok(()) };
            self.match_node(on, &list.name, config).await.map(drop)
        };
        if let Err::<(), StanzaError>(error) = matched.await {
            tracing::error!(node = %node.name, %error, "a list is as open as before");
        }
    }

    /// A list goes with its node.
    pub(super) async fn list_follows(&self, on: &Errand, node: &Node, news: &NodeNews) {
        if !matches!(news, NodeNews::Deleted) {
            return;
        }
        let followed = async {
            let Some(list) = self.list(&on.realm, &node.name).await? else { return Ok(()) };
            let own = Errand::unasked((&on.hub, &on.site), on.realm.clone());
            self.drop_node(&own, &list.name).await
        };
        if let Err::<(), StanzaError>(error) = followed.await {
            tracing::warn!(node = %node.name, %error, "a list of subscribers stays behind");
        }
    }

    /// Takes an account that is erased off all lists.
    pub(super) async fn unname_everywhere(
        &self,
        (hub, site): (&Hub, &Arc<Site>),
        person: &BareJid,
    ) -> Result<(), StanzaError> {
        let rows = Subscriptions::new(hub.db().clone());
        let held = rows.anywhere(person.as_str()).await.map_err(unstored)?;
        for row in held {
            if !Options::from_text(row.options.as_deref()).is_public {
                continue;
            }
            let Some((realm, node)) = self.by_id(site, row.node).await? else { continue };
            if let Some(list) = self.list(&realm, &node.name).await? {
                let own = Errand::unasked((hub, site), realm);
                self.retract_any(&own, &list.name, id_of(person)).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_belongs_to_a_node_and_has_none_itself() {
        assert_eq!(target("urn:xmpp:pps:subscribers:0/blog"), Some("blog"));
        for name in [
            "blog",
            "urn:xmpp:pps:subscribers:0",
            "urn:xmpp:pps:subscribers:0/",
            "urn:xmpp:pps:subscribers:0/urn:xmpp:pps:subscribers:0/blog",
            "urn:xmpp:pps:subscribers:0/urn:xmpp:pps:subscriptions:0",
        ] {
            assert_eq!(target(name), None, "{name}");
        }
        assert_eq!(list_of("blog").as_deref().and_then(target), Some("blog"));
        assert_eq!(list_of(SUBSCRIPTIONS), None);
        assert_eq!(list_of("urn:xmpp:pps:subscribers:0/blog"), None);
    }

    #[test]
    fn who_is_named_asked_for_it_and_is_subscribed() {
        let options = Options { is_public: true, ..Options::default() };
        let terms =
            Terms { subid: "1".into(), status: Status::Subscribed, options, ends: Ends::Never };
        assert!(is_listed(&terms));
        assert!(is_listed(&Terms { ends: Ends::At(7), ..terms.clone() }));
        assert!(!is_listed(&Terms { ends: Ends::WithPresence, ..terms.clone() }));
        assert!(!is_listed(&Terms { status: Status::Pending, ..terms.clone() }));
        assert!(!is_listed(&Terms { options: Options::default(), ..terms }));
    }
}
