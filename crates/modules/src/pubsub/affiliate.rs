//! Who stands how to a node: for oneself (§5.7), and for owners, who may change it, also for
//! subscriptions (§8.8, §8.9).

use std::collections::BTreeSet;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::Site;
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{MessageType, Stanza, StanzaError, to_xml};
use waxwing_store::domains::pubsub::{self as rows, Affiliations, Audience as Stored, Nodes, Walk};
use waxwing_xml::write;

use super::errors::unstored;
use super::node::{Node, State};
use super::rights::{Action, Affiliation};
use super::subscribe::{closed, opened};
use super::subscribers::Status;
use super::wire::{NS, OWNER};
use super::{Answer, Errand, Pubsub};

/// Rows that are read at a time.
const PAGE: u32 = 1000;

/// One change that was not made, as it stays.
struct Unchanged {
    jid: Jid,
    is: Affiliation,
    why: &'static str,
}

impl Pubsub {
    /// §5.7
    pub(super) async fn my_affiliations(&self, on: &Errand, name: Option<String>) -> Answer {
        let mut out = opened();
        out.push_str("<affiliations");
        let mine = match &name {
            Some(name) => {
                let node = self.node(&on.realm, name).await?;
                let state = node.there()?;
                write::attribute(&mut out, "node", name);
                let place = (&*node, &*state);
                let is = self.affiliation(&on.site, &on.realm, place, &on.asker).await?;
                vec![(name.clone(), is)]
            }
            None if on.asker == on.realm.jid => self.own_nodes(on).await?,
            None => self.affiliations_of(on).await?,
        };
        out.push('>');
        for (name, is) in mine.iter().filter(|(_, is)| *is != Affiliation::None) {
            out.push_str("<affiliation");
            write::attribute(&mut out, "node", name);
            write::attribute(&mut out, "affiliation", is.name());
            out.push_str("/>");
        }
        out.push_str("</affiliations>");
        Ok(Some(closed(out)))
    }

    /// An account owns all of its nodes.
    async fn own_nodes(&self, on: &Errand) -> Result<Vec<(String, Affiliation)>, StanzaError> {
        let (stored, mut all) = (Nodes::new(on.hub.db().clone()), Vec::new());
        loop {
            let from = all.last().map(|(name, _): &(String, _)| name.clone());
            let from = from.as_deref();
            let walk = Walk { owner: on.realm.jid.as_str(), kind: None, from, is_back: false };
            let page = stored.list(walk, PAGE).await.map_err(unstored)?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page.into_iter().map(|node| (node.name, Affiliation::Owner)));
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn affiliations_of(
        &self,
        on: &Errand,
    ) -> Result<Vec<(String, Affiliation)>, StanzaError> {
        let stored = Affiliations::new(on.hub.db().clone());
        let (mine, realm) = (on.asker.as_str(), on.realm.jid.as_str());
        let all = stored.of(mine, realm, 0, u32::MAX).await.map_err(unstored)?;
        Ok(all.into_iter().map(|(name, is)| (name, Affiliation::of(is))).collect())
    }

    /// §8.9.1
    pub(super) async fn affiliations(
        &self,
        on: &Errand,
        name: String,
        set: Option<rsm::Request>,
    ) -> Answer {
        let node = self.node(&on.realm, &name).await?;
        let state = self.allowed(on, &node, Action::ManageAffiliations).await?;
        let (after, most) = part(set.as_ref(), self.config.page)?;
        let stored = Affiliations::new(on.hub.db().clone());
        let mut rows = stored.list(state.id, &after, most + 1).await.map_err(unstored)?;
        let is_cut = rows.len() > most as usize;
        rows.truncate(most as usize);
        let mut out = listing("affiliations", &name);
        let put = |out: &mut String, jid: &str, is: Affiliation| {
            out.push_str("<affiliation");
            write::attribute(out, "jid", jid);
            write::attribute(out, "affiliation", is.name());
            out.push_str("/>");
        };
        // Without a row: the account whose node it is.
        if on.realm.is_account() && after.is_empty() && most > 0 {
            put(&mut out, on.realm.jid.as_str(), Affiliation::Owner);
        }
        for row in &rows {
            put(&mut out, &row.jid, Affiliation::of(row.affiliation));
        }
        out.push_str("</affiliations>");
        if set.is_some() || is_cut {
            let count = stored.count(state.id).await.map_err(unstored)?;
            let (first, last) = (rows.first(), rows.last());
            out.push_str(&page(first.map(|row| &*row.jid), last.map(|row| &*row.jid), count));
        }
        Ok(Some(closed(out)))
    }

    /// §8.8.1: "the service MUST return the list of subscriptions for entities whose subscription
    /// state is "subscribed" or "unconfigured"". A page at a time, by the addresses of the
    /// subscribers.
    pub(super) async fn subscriptions(
        &self,
        on: &Errand,
        name: String,
        set: Option<rsm::Request>,
    ) -> Answer {
        let node = self.node(&on.realm, &name).await?;
        let state = self.allowed(on, &node, Action::ManageSubscriptions).await?;
        let (after, most) = part(set.as_ref(), self.config.page)?;
        let stored = Stored::new(on.hub.db().clone());
        let limit = most.max(self.config.subscriptions_per_node) + 1;
        let (mut page_of, is_full) = match most {
            0 => (Vec::new(), false),
            _ => stored.page(state.id, &after, limit).await.map_err(unstored)?,
        };
        let is_cut = cut(&mut page_of, most as usize) || is_full;
        let mut out = listing("subscriptions", &name);
        for heard in &page_of {
            let status = Status::of(heard.state);
            if status == Status::Pending {
                continue;
            }
            out.push_str("<subscription");
            write::attribute(&mut out, "jid", &heard.jid);
            write::attribute(&mut out, "subscription", status.name());
            write::attribute(&mut out, "subid", &heard.subid);
            out.push_str("/>");
        }
        out.push_str("</subscriptions>");
        if set.is_some() || is_cut {
            let count = stored.count(state.id).await.map_err(unstored)?;
            let (first, last) = (page_of.first(), page_of.last());
            out.push_str(&page(first.map(|row| &*row.bare), last.map(|row| &*row.bare), count));
        }
        Ok(Some(closed(out)))
    }

    /// §8.9.2
    pub(super) async fn affiliate(
        &self,
        on: &Errand,
        name: String,
        list: Vec<(Jid, Option<String>)>,
    ) -> Answer {
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = self.allowed(on, &node, Action::ManageAffiliations).await?;
        let mut seen = BTreeSet::new();
        // §8.9.2.4: "The owner MUST NOT specify multiple <affiliation/> elements for the same
        // entity; otherwise the service MUST return a <bad-request/> error."
        if !list.iter().all(|(jid, _)| seen.insert(jid.bare())) {
            let error = StanzaError::bad_request();
            return Err(error.text("One address is changed twice."));
        }
        let mut unchanged = Vec::new();
        for (jid, to) in list {
            let Some(to) = to else { continue };
            // §4.1: "All affiliations MUST be based on a bare JID".
            let bare = jid.bare();
            let is = self.affiliation(&on.site, &on.realm, (&node, &state), &bare).await?;
            let verdict = match Affiliation::read(&to) {
                None => Err("There is no such affiliation."),
                Some(to) if to == is => continue,
                Some(to) => self.may_change(on, &node, &state, (&bare, is, to)).await?.map(|()| to),
            };
            match verdict {
                Ok(to) => self.change(on, (&node, &state), &bare, to).await?,
                Err(why) => unchanged.push(Unchanged { jid, is, why }),
            }
        }
        match unchanged.first().map(|one| one.why) {
            None => Ok(None),
            Some(why) => Err(refused(&name, &unchanged).text(why)),
        }
    }

    /// Whether an affiliation may change so: the state chart of §4.1, "a MUST-IMPLEMENT set of
    /// rules for checking possible state transitions", and what leaves a node with an owner.
    async fn may_change(
        &self,
        on: &Errand,
        node: &Node,
        state: &State,
        (jid, is, to): (&BareJid, Affiliation, Affiliation),
    ) -> Result<Result<(), &'static str>, StanzaError> {
        let stored = Affiliations::new(on.hub.db().clone());
        if is == Affiliation::Owner {
            return Ok(match self.is_born_owner(on, jid) {
                true => Err("This address owns the node for good."),
                false => {
                    let owner = Affiliation::Owner.number();
                    let owners = stored.of_kind(state.id, owner, 2).await.map_err(unstored)?;
                    resigns(on, jid, to, owners.len())
                }
            });
        }
        if !moves(is, to) {
            return Ok(Err("An affiliation cannot be changed so; set it to none first."));
        }
        let count = stored.count(state.id).await.map_err(unstored)?;
        let is_full = count >= i64::from(self.config.affiliations);
        if is_full && is == Affiliation::None {
            tracing::debug!(node = %node.name, "a node has as many affiliations as it may");
            return Ok(Err("The node has as many affiliations as it may."));
        }
        Ok(Ok(()))
    }

    /// Whether somebody is an owner without having been made one.
    fn is_born_owner(&self, on: &Errand, jid: &BareJid) -> bool {
        match &on.realm.account {
            Some(account) => account.jid() == jid,
            None => is_ruler(&on.site, &self.service, jid),
        }
    }

    async fn change(
        &self,
        on: &Errand,
        (node, state): (&Node, &State),
        jid: &BareJid,
        to: Affiliation,
    ) -> Result<(), StanzaError> {
        let statement = match to {
            Affiliation::None => Affiliations::drop(state.id, jid.as_str()),
            to => Affiliations::put(&rows::Affiliation {
                node: state.id,
                owner: node.owner.as_str().to_owned(),
                jid: jid.as_str().to_owned(),
                affiliation: to.number(),
            }),
        };
        on.hub.db().batch(vec![statement]).await.map_err(unstored)?;
        node.forget_affiliation(jid);
        if on.realm.is_account() {
            node.forget_subscribers();
        }
        self.tell_affiliation(on, node, jid, to);
        match to {
            // §8.7.4: "if the affiliation of an entity with a pending subscription is modified to
            // owner or publisher, the service SHOULD automatically approve the subscription
            // request". Members may read as well.
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => {
                self.approve_all(on, (node, state), jid).await
            }
            // "if the affiliation of an entity with a pending subscription is modified to outcast,
            // the service SHOULD automatically reject the subscription request".
            Affiliation::Outcast | Affiliation::PublishOnly => {
                self.end_all(on, (node, state), jid, |_| true).await?;
                self.recheck_list(on, node, jid).await
            }
            Affiliation::None => {
                self.end_if_unallowed(on, (node, state), jid).await?;
                self.recheck_list(on, node, jid).await
            }
        }
    }

    /// §8.9.4: "An implementation MAY send an event notification to an entity whose affiliation has
    /// changed".
    fn tell_affiliation(&self, on: &Errand, node: &Node, jid: &BareJid, to: Affiliation) {
        let mut out = format!("<pubsub xmlns='{NS}'><affiliations");
        write::attribute(&mut out, "node", &node.name);
        out.push_str("><affiliation");
        write::attribute(&mut out, "jid", jid.as_str());
        write::attribute(&mut out, "affiliation", to.name());
        out.push_str("/></affiliations></pubsub>");
        let message = Stanza::message(MessageType::Headline).from(node.owner.to_jid()).with(out);
        // Who is not there sees it when it looks.
        let _ = on.hub.crowd().reach(jid.as_jid(), message);
    }
}

/// Whether somebody rules a service without having been made an owner of a node.
fn is_ruler(site: &Site, service: &BareJid, jid: &BareJid) -> bool {
    jid == service || site.is_admin(jid)
}

/// §4.1, the row of owners: an owner "resigns", and is made nothing else; there is always one left.
fn resigns(on: &Errand, jid: &BareJid, to: Affiliation, owners: usize) -> Result<(), &'static str> {
    let is_account = on.realm.is_account();
    let may_dismiss = *jid == on.asker || is_account || on.site.is_admin(&on.asker);
    match to {
        Affiliation::None if owners < 2 && !is_account => Err("A node has an owner."),
        Affiliation::None if may_dismiss => Ok(()),
        Affiliation::None => Err("Owners resign by themselves."),
        _ => Err("An owner can only resign."),
    }
}

/// §4.1, the rows of the others. Publishers of both kinds are alike.
fn moves(is: Affiliation, to: Affiliation) -> bool {
    use Affiliation::{Member, PublishOnly, Publisher};
    !matches!((is, to), (Publisher | PublishOnly, Member))
}

/// The error with what was not changed, as it stays (§8.9.2.4).
fn refused(name: &str, unchanged: &[Unchanged]) -> StanzaError {
    let mut out = listing("affiliations", name);
    for one in unchanged {
        out.push_str("<affiliation");
        write::attribute(&mut out, "jid", one.jid.as_str());
        write::attribute(&mut out, "affiliation", one.is.name());
        out.push_str("/>");
    }
    out.push_str("</affiliations>");
    StanzaError::not_acceptable().beside(closed(out))
}

/// The beginning of an answer to an owner.
pub(super) fn listing(what: &str, name: &str) -> String {
    let mut out = String::from("<pubsub");
    write::attribute(&mut out, "xmlns", OWNER);
    out.push_str("><");
    out.push_str(what);
    write::attribute(&mut out, "node", name);
    out.push('>');
    out
}

/// Leaves no more than `most` of a page, and no fewer than those of one address, which stand
/// together; whether any were left out.
fn cut(page: &mut Vec<rows::Heard>, most: usize) -> bool {
    let count = page.len();
    if let Some(over) = page.get(most).map(|heard| heard.bare.clone()) {
        let first = page.iter().position(|heard| heard.bare == over).unwrap_or(most);
        match first {
            0 => page.retain(|heard| heard.bare == over),
            first => page.truncate(first),
        }
    }
    page.len() < count
}

/// Which part of a list is asked for: from behind an address, and at most so many.
fn part(set: Option<&rsm::Request>, most: u32) -> Result<(String, u32), StanzaError> {
    let Some(set) = set else { return Ok((String::new(), most)) };
    if set.before.is_some() || set.index.is_some() {
        let error = StanzaError::feature_not_implemented();
        return Err(error.text("This list is read from its beginning; ask with `after`."));
    }
    let asked = set.max.map_or(most, |max| u32::try_from(max).unwrap_or(most).min(most));
    Ok((set.after.clone().unwrap_or_default(), asked))
}

fn page(first: Option<&str>, last: Option<&str>, count: i64) -> String {
    let count = usize::try_from(count).ok();
    to_xml(&match first.zip(last) {
        Some((first, last)) => rsm::Page::new(first, last, None, count),
        None => rsm::Page::empty(count),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §4.1, the table of transitions.
    #[test]
    fn affiliations_change_as_the_state_chart_says() {
        use Affiliation::{Member, None, Outcast, Owner, PublishOnly, Publisher};
        for is in [Outcast, None, Member, Publisher, PublishOnly] {
            for to in [Outcast, None, Member, Publisher, PublishOnly, Owner] {
                let is_missing = matches!((is, to), (Publisher | PublishOnly, Member));
                assert_eq!(moves(is, to), !is_missing, "{is:?} {to:?}");
            }
        }
    }

    #[test]
    fn the_subscriptions_of_one_address_stand_on_one_page() {
        let heard = |bare: &&str| rows::Heard {
            jid: (*bare).to_owned(),
            bare: (*bare).to_owned(),
            subid: String::new(),
            state: 3,
            options: None,
            expires: None,
            made: 0,
        };
        let cut = |page: &[&str], most| {
            let mut page: Vec<rows::Heard> = page.iter().map(heard).collect();
            (cut(&mut page, most), page.len())
        };
        assert_eq!(cut(&["a", "b", "c"], 2), (true, 2));
        assert_eq!(cut(&["a", "b", "b"], 2), (true, 1));
        assert_eq!(cut(&["a", "a", "a", "b"], 2), (true, 3));
        assert_eq!(cut(&["a", "b"], 2), (false, 2));
    }

    #[test]
    fn a_list_is_read_from_its_beginning_in_pages() {
        let set = |max, after: &str| rsm::Request {
            max,
            after: Some(after.to_owned()),
            ..rsm::Request::default()
        };
        assert_eq!(part(None, 10).unwrap(), (String::new(), 10));
        assert_eq!(part(Some(&set(Some(3), "a@b")), 10).unwrap(), ("a@b".into(), 3));
        assert_eq!(part(Some(&set(Some(30), "")), 10).unwrap(), (String::new(), 10));
        let back = rsm::Request { before: Some(String::new()), ..rsm::Request::default() };
        assert!(part(Some(&back), 10).is_err());
    }
}
