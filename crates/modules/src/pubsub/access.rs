//! Who is subscribed and may no longer be, and who is told from now on: when a node lets others in,
//! or an account others see its presence (XEP-0163 §7.1, XEP-0060 §13.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::request::Happening;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::StanzaError;
use waxwing_store::domains::pubsub::{Audience as Stored, Nodes, Subscriptions, Walk};

use super::config::{Access, Config};
use super::errors::unstored;
use super::node::{Node, Realm, State};
use super::notify::PAGE;
use super::rights::{Action, Affiliation, judge};
use super::subscribers::Status;
use super::{Errand, Pubsub};

/// Whether a contact in these groups who may see the presence of an account is told what happens at
/// a node of it (§9.1.2: "The node has an access model of …").
pub(super) fn admits<'a>(
    config: &Config,
    mut groups: impl Iterator<Item = &'a str>,
    affiliation: Affiliation,
) -> bool {
    match affiliation {
        Affiliation::Outcast | Affiliation::PublishOnly => false,
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
        Affiliation::None => match config.access {
            Access::Open | Access::Presence => true,
            Access::Roster => groups.any(|group| config.groups.iter().any(|it| *it == group)),
            Access::Authorize | Access::Whitelist => false,
        },
    }
}

impl Pubsub {
    /// The access model of a node has changed, from what it was `before`: ends the subscriptions of
    /// those who may no longer read it, and sends the last item to contacts who are told of it from
    /// now on. To be called in the node's turn, after the change is shown.
    pub(super) async fn recheck(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        before: &Config,
    ) {
        let config = &state.config;
        if config.access == before.access && config.groups == before.groups {
            return;
        }
        if let Err(error) = self.end_unallowed(on, (node, state)).await {
            tracing::error!(%error, node = %node.name, "subscriptions could not be checked");
        }
        self.tell_admitted(on, (node, state), before).await;
    }

    /// Ends the subscriptions of those who may not have them.
    async fn end_unallowed(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
    ) -> Result<(), StanzaError> {
        // Who is subscribed stays so, where the owner is asked only of those who come.
        if matches!(state.config.access, Access::Open | Access::Authorize) {
            return Ok(());
        }
        let stored = Stored::new(on.hub.db().clone());
        let mut after = String::new();
        loop {
            let (page, is_full) = stored.page(state.id, &after, PAGE).await.map_err(unstored)?;
            let people: BTreeSet<&str> = page.iter().map(|heard| heard.bare.as_str()).collect();
            for bare in people {
                if let Ok(bare) = BareJid::new(bare) {
                    self.end_if_unallowed(on, (node, state), &bare).await?;
                }
            }
            match page.into_iter().next_back().filter(|_| is_full) {
                Some(last) => after = last.bare,
                None => return Ok(()),
            }
        }
    }

    /// Ends the subscriptions of somebody who may not read the node, and tells it.
    pub(super) async fn end_if_unallowed(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        bare: &BareJid,
    ) -> Result<(), StanzaError> {
        let standing = self.standing(&on.site, &on.realm, (node, state), bare).await?;
        if judge(Action::Retrieve, &state.config, &standing).is_ok() {
            return Ok(());
        }
        self.end_all(on, (node, state), bare, |_| true).await
    }

    /// Ends those subscriptions of somebody that are `meant`, and tells it.
    pub(super) async fn end_all(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        bare: &BareJid,
        meant: impl Fn(Status) -> bool,
    ) -> Result<(), StanzaError> {
        let stored = Subscriptions::new(on.hub.db().clone());
        let mut rows = stored.of(state.id, bare.as_str()).await.map_err(unstored)?;
        rows.retain(|row| meant(Status::of(row.state)));
        if rows.is_empty() {
            return Ok(());
        }
        let ended: Vec<&str> = rows.iter().map(|row| row.subid.as_str()).collect();
        self.unname(on, (node, state), bare, &ended).await?;
        let drop = rows.iter().map(|row| Subscriptions::drop(state.id, &row.subid));
        on.hub.db().batch(drop.collect()).await.map_err(unstored)?;
        for row in &rows {
            if let Ok(jid) = Jid::new(&row.jid) {
                self.forget_one(node, &jid, &row.subid);
                self.tell_change(on, node, &jid, (Some(&row.subid), "none")).await;
            }
        }
        Ok(())
    }

    /// §13.2: "The entity gains access to the node because of a change to the node access model; as
    /// a result, the service sends the last published item to the entity."
    async fn tell_admitted(&self, on: &Errand, (node, state): (&Node, &State), before: &Config) {
        let Some(account) = &on.realm.account else { return };
        let roster = account.fact(self.roster);
        let contacts = roster.contacts().filter(|contact| contact.subscription.shows());
        let names = [Box::from(&*node.name)];
        for contact in contacts {
            let groups = || contact.groups.iter().map(|group| &**group);
            let lets_in = |config| admits(config, groups(), Affiliation::None);
            if lets_in(&state.config) && !lets_in(before) {
                self.tell_shared(&on.hub, (&contact.jid, account.jid()), Some(&names)).await;
            }
        }
    }

    /// A contact is in other groups. It loses what these give no access to (XEP-0163 §7.1), and
    /// XEP-0060 §13.2: "The entity is added to the roster group associated with a node access model
    /// of "roster"; as a result, the service sends the last published item to the entity."
    pub(super) async fn regrouped(self: Arc<Self>, happening: Happening) -> Effects {
        let (hub, account) = (happening.hub.clone(), Arc::clone(&happening.account));
        let reader = happening.party.jid.bare();
        let effects = Arc::clone(&self).withheld(happening).await;
        match self.named_by_groups(&hub, account.jid()).await {
            Ok(names) if names.is_empty() => {}
            Ok(names) => self.tell_shared(&hub, (&reader, account.jid()), Some(&names)).await,
            Err(error) => tracing::error!(%error, "nodes could not be read"),
        }
        effects
    }

    /// The nodes of an account that groups of its contacts may read.
    async fn named_by_groups(
        &self,
        hub: &Hub,
        owner: &BareJid,
    ) -> Result<Vec<Box<str>>, StanzaError> {
        let (stored, mut names, mut from) = (Nodes::new(hub.db().clone()), Vec::new(), None);
        loop {
            let walk =
                Walk { owner: owner.as_str(), kind: None, from: from.as_deref(), is_back: false };
            let page = stored.list(walk, PAGE).await.map_err(unstored)?;
            let by_groups = page.iter().filter(|node| node.access == Access::Roster.number());
            names.extend(by_groups.map(|node| node.name.as_str().into()));
            match page.into_iter().next_back() {
                Some(last) => from = Some(last.name),
                None => return Ok(names),
            }
        }
    }

    /// Somebody may see the presence of an account no longer. XEP-0163 §7.1: "If the modification
    /// results in a loss of access, the service MUST cancel the entity's subscription."
    pub(super) async fn withheld(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, party, account, .. } = happening;
        let reader = party.jid.bare();
        // Its own nodes, and those that it made at the service.
        for realm in [self.realm(Some(Arc::clone(&account))), self.realm(None)] {
            let owner = account.jid();
            if let Err(error) = self.end_withheld((&hub, &site), realm, (owner, &reader)).await {
                tracing::error!(%error, account = %owner, "subscriptions could not be checked");
            }
        }
        Effects::default()
    }

    async fn end_withheld(
        &self,
        (hub, site): (&Hub, &Arc<Site>),
        realm: Realm,
        (person, reader): (&BareJid, &BareJid),
    ) -> Result<(), StanzaError> {
        let stored = Subscriptions::new(hub.db().clone());
        let (bare, owner) = (reader.as_str(), realm.jid.as_str());
        let rows = stored.everywhere(bare, owner, u32::MAX).await.map_err(unstored)?;
        let names: BTreeSet<String> = rows.into_iter().map(|(name, _)| name).collect();
        let on = Errand::unasked((hub, site), realm);
        for name in names {
            let node = self.node(&on.realm, &name).await?;
            let _turn = node.turn(hub.db()).await.map_err(unstored)?;
            if let Some(state) = node.state()
                && (on.realm.is_account() || state.creator == *person)
                && matches!(state.config.access, Access::Presence | Access::Roster)
            {
                self.end_if_unallowed(&on, (&node, &state), reader).await?;
            }
        }
        Ok(())
    }
}
