//! Owners change who is subscribed (§8.8.2); subscriptions whose time is over end (§13.5, §13.19).

use std::collections::BTreeSet;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::request::Happening;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::StanzaError;
use waxwing_store::StoreError;
use waxwing_store::domains::pubsub::{Audience as Stored, Over, Subscription, Subscriptions};
use waxwing_xml::write;

use super::affiliate::listing;
use super::errors::unstored;
use super::node::{Node, Realm, State};
use super::options::{Ends, Options};
use super::rights::{Action, Affiliation};
use super::subscribe::{SUBID_BYTES, choose, closed, terms_of};
use super::subscribers::{Status, Terms};
use super::{Answer, Errand, Pubsub};

/// Subscriptions that are ended at a time.
const BATCH: u32 = 500;

/// One change that an owner wants.
struct Change {
    jid: Jid,
    subid: Option<String>,
    /// None for the end of the subscription.
    to: Option<Status>,
}

/// One change that was not made: the subscription as it stays, and why.
struct Unchanged {
    jid: Jid,
    subid: Option<String>,
    is: &'static str,
    why: &'static str,
}

impl Pubsub {
    /// §8.8.2
    pub(super) async fn manage(
        &self,
        on: &Errand,
        name: String,
        list: Vec<(Jid, Option<String>, Option<String>)>,
    ) -> Answer {
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::ManageSubscriptions).await?;
        // §8.8.2.4: "The owner MAY specify multiple <subscription/> elements for the same entity,
        // but each element MUST possess a distinct value of the 'subid' attribute."
        let mut seen = BTreeSet::new();
        if !list.iter().all(|(jid, subid, _)| seen.insert((jid.clone(), subid.clone()))) {
            let error = StanzaError::bad_request();
            return Err(error.text("One subscription is changed twice."));
        }
        let mut unchanged = Vec::new();
        for (jid, subid, to) in list {
            let Some(to) = to else { continue };
            let rows = self.of(on, &state, &jid).await?;
            let is = rows.first().map_or("none", |row| Status::of(row.state).name());
            let made = match (to.as_str(), Status::read(&to)) {
                ("none", _) => Ok(None),
                (_, Some(status)) => Ok(Some(status)),
                _ => Err("There is no such state of a subscription."),
            };
            let made = match made {
                Ok(to) => {
                    let change = Change { jid: jid.clone(), subid: subid.clone(), to };
                    self.change_one(on, (&node, &state), rows, change).await?
                }
                Err(why) => Err(why),
            };
            if let Err(why) = made {
                unchanged.push(Unchanged { jid, subid, is, why });
            }
        }
        match unchanged.first().map(|one| one.why) {
            None => Ok(None),
            Some(why) => Err(refused(&name, &unchanged).text(why)),
        }
    }

    /// The subscriptions of an address at a node.
    async fn of(
        &self,
        on: &Errand,
        state: &State,
        jid: &Jid,
    ) -> Result<Vec<Subscription>, StanzaError> {
        let stored = Subscriptions::new(on.hub.db().clone());
        let mut rows = stored.of(state.id, jid.bare_str()).await.map_err(unstored)?;
        rows.retain(|row| row.jid == jid.as_str());
        Ok(rows)
    }

    async fn change_one(
        &self,
        on: &Errand,
        place: (&Node, &State),
        rows: Vec<Subscription>,
        change: Change,
    ) -> Result<Result<(), &'static str>, StanzaError> {
        let (node, state) = place;
        let Change { jid, subid, to } = change;
        let Some(to) = to else {
            // §8.8.3. Without an id all of the address end.
            let meant = |row: &&Subscription| subid.as_ref().is_none_or(|it| *it == row.subid);
            for row in rows.iter().filter(meant) {
                self.drop_one(on, place, &jid, &row.subid).await?;
                self.tell_change(on, node, &jid, (Some(&row.subid), "none")).await;
            }
            return Ok(Ok(()));
        };
        if rows.is_empty() && subid.is_none() {
            return self.add_one(on, place, &jid, to).await;
        }
        let Ok(row) = choose(rows, subid.as_deref()) else {
            return Ok(Err("It must be said which subscription of this address is meant."));
        };
        let before = Status::of(row.state);
        if before == Status::Pending && to == Status::Subscribed {
            self.approve(on, place, &row).await?;
        } else if before != to {
            let terms = Terms { status: to, ..terms_of(&row) };
            self.keep(on, (node, state), &jid, &terms).await?;
            self.tell_change(on, node, &jid, (Some(&terms.subid), to.name())).await;
        }
        Ok(Ok(()))
    }

    /// Subscribes somebody who has not asked for it.
    async fn add_one(
        &self,
        on: &Errand,
        place: (&Node, &State),
        jid: &Jid,
        status: Status,
    ) -> Result<Result<(), &'static str>, StanzaError> {
        let (node, state) = place;
        let bare = jid.bare();
        let is = self.affiliation(&on.site, &on.realm, place, &bare).await?;
        if matches!(is, Affiliation::Outcast | Affiliation::PublishOnly) {
            return Ok(Err("This address may not be told."));
        }
        let stored = Stored::new(on.hub.db().clone());
        let (mine, realm) = (bare.as_str(), on.realm.jid.as_str());
        let held = stored.count_of(mine, realm).await.map_err(unstored)?;
        if held >= i64::from(self.config.subscriptions) {
            return Ok(Err("This address has too many subscriptions here."));
        }
        let ends = match self.lease(state).bound(Ends::Never) {
            Ends::WithPresence => {
                return Ok(Err("Subscriptions of this node end with a presence."));
            }
            ends => ends,
        };
        let subid = on.hub.clock().token(SUBID_BYTES).into();
        let terms = Terms { subid, status, options: Options::default(), ends };
        self.keep(on, place, jid, &terms).await?;
        self.tell_change(on, node, jid, (Some(&terms.subid), status.name())).await;
        if status == Status::Subscribed {
            self.welcome(on, place, jid).await;
        }
        Ok(Ok(()))
    }

    /// A session is not available any more: its temporary subscriptions end (§13.5).
    pub(super) async fn left(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, party, .. } = happening;
        let others = hub.directory().select(party.jid.bare_str(), |session| {
            session.is_available() && session.jid != party.jid
        });
        let over = self.voice.fleeting.take(&party.jid, others.is_empty());
        if !over.is_empty() {
            let clock = hub.clock().clone();
            clock.spawn(async move {
                for fleet in over {
                    let (owner, jid) = (fleet.owner.as_str(), fleet.jid);
                    let over = Over {
                        owner: owner.to_owned(),
                        node: fleet.node.into(),
                        bare: jid.bare_str().to_owned(),
                        jid: jid.as_str().to_owned(),
                        subid: fleet.subid.into(),
                    };
                    self.end(&hub, &site, &over, false).await;
                }
            });
        }
        Effects::default()
    }

    /// Ends subscriptions whose time is over, and those that were to last as long as a presence
    /// that ended with the last run of the server.
    pub(super) async fn end_leases(self: Arc<Self>, hub: Hub, site: Arc<Site>) {
        let (clock, stored) = (hub.clock(), Stored::new(hub.db().clone()));
        let now = clock.wall_millis().cast_signed();
        let (hub, site) = (&hub, &site);
        let start = now - i64::try_from(hub.uptime().as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = hub.db().batch(vec![Stored::end_left_over(start)]).await {
            return failed(&error);
        }
        loop {
            match stored.over(now, BATCH).await {
                Ok(over) => {
                    // Of several hosts each sees to its own.
                    let own = over.iter().filter(|one| self.is_of(site, &one.owner));
                    let mut count = 0;
                    for one in own {
                        if !self.end(hub, site, one, true).await {
                            return;
                        }
                        count += 1;
                    }
                    if count == 0 {
                        return;
                    }
                }
                Err(error) => return failed(&error),
            }
        }
    }

    /// Ends one subscription that is over; false when that could not be done.
    async fn end(&self, hub: &Hub, site: &Arc<Site>, over: &Over, is_told: bool) -> bool {
        let Some(realm) = self.realm_of(hub, &over.owner).await else { return true };
        let Ok(jid) = Jid::new(&over.jid) else { return true };
        let on = Errand::unasked((hub, site), realm);
        let ended: Result<(), StanzaError> = async {
            let node = self.node(&on.realm, &over.node).await?;
            let _turn = node.turn(hub.db()).await.map_err(unstored)?;
            let state = node.there()?;
            self.drop_one(&on, (&node, &state), &jid, &over.subid).await?;
            if is_told {
                self.tell_change(&on, &node, &jid, (Some(&over.subid), "none")).await;
            }
            Ok(())
        }
        .await;
        ended.is_ok()
    }

    fn is_of(&self, site: &Site, owner: &str) -> bool {
        let is_account = |owner: BareJid| owner.domain() == site.domain();
        owner == self.service.as_str() || BareJid::new(owner).is_ok_and(is_account)
    }

    /// Where the nodes of an address are.
    async fn realm_of(&self, hub: &Hub, owner: &str) -> Option<Realm> {
        if owner == self.service.as_str() {
            return Some(self.realm(None));
        }
        let owner = BareJid::new(owner).ok()?;
        let account = hub.account(&owner).await.ok().flatten()?;
        Some(self.realm(Some(account)))
    }
}

fn failed(error: &StoreError) {
    tracing::error!(%error, "subscriptions whose time is over could not be ended");
}

/// §8.8.2.4: "the service MUST return an IQ error (which SHOULD be <not-acceptable/>) with the
/// invalid entries, where the subscription returned is the original, un-altered subscription."
fn refused(name: &str, unchanged: &[Unchanged]) -> StanzaError {
    let mut out = listing("subscriptions", name);
    for one in unchanged {
        out.push_str("<subscription");
        write::attribute(&mut out, "jid", one.jid.as_str());
        write::attribute(&mut out, "subscription", one.is);
        if let Some(subid) = &one.subid {
            write::attribute(&mut out, "subid", subid);
        }
        out.push_str("/>");
    }
    out.push_str("</subscriptions>");
    StanzaError::not_acceptable().beside(closed(out))
}
