#![cfg_attr(not(doctest), doc = include_str!("blocking.md"))]

mod report;

use std::collections::BTreeSet;
use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::{Account, Fact, Slot};
use waxwing_kernel::command::Command;
use waxwing_kernel::directory::Flag;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Party, Stage, Transit, Verdict};
use waxwing_kernel::{Hub, Roster, SiteBuilder, section};
use waxwing_stanza::{IqType, Kind, PresenceType, Stanza, StanzaError, payload, reply, to_xml};
use waxwing_store::{Db, Statement, StoreError, Table};
use xso::{AsXml, FromXml};

use self::report::{Kept, Report};

const NS: &str = "urn:xmpp:blocking";
const ERRORS: &str = "urn:xmpp:blocking:errors";

const LOAD: &str = "SELECT jid FROM blocking WHERE owner = ?1";
const ADD: &str = "INSERT INTO blocking (owner, jid) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const REMOVE: &str = "DELETE FROM blocking WHERE owner = ?1 AND jid = ?2";
const CLEAR: &str = "DELETE FROM blocking WHERE owner = ?1";

section! {
    /// Which addresses each person refuses to hear from.
    pub struct BlockingConfig("blocking") {
        /// Addresses that one account may block.
        pub addresses: u32 = 2000 in 1..=100_000,
        /// Whether the admins of the domain get a message when somebody reports an address.
        pub tell_admins: bool = true,
        /// For how many days reports are kept.
        pub report_days: u32 = 90 in 1..=3650,
        /// Reports that one account can make in 24 hours. Beyond it, blocking goes on.
        pub reports_per_day: u32 = 50 in 0..=10_000,
    }
}

/// Refuses what comes from, or goes to, addresses that an account has blocked.
pub struct Blocking {
    hub: Hub,
    domain: BareJid,
    lists: Slot<Blocklist>,
    roster: Slot<Roster>,
    asked: Flag,
    config: BlockingConfig,
}

impl Module for Blocking {
    const ABOUT: &'static About = &About {
        name: "blocking",
        summary: "Lets people refuse to hear from addresses.",
        is_on: true,
        xeps: &[Xep(191, "1.3"), Xep(377, "0.4.1")],
        server_features: &[NS, report::REPORTING],
        account_features: &[NS],
        manual: include_str!("blocking.md"),
    };
    const TABLES: &'static [Table] = &[
        Table {
            name: "blocking",
            owner: Some("owner"),
            steps: &["CREATE TABLE blocking (owner {text} NOT NULL, jid {text} NOT NULL, \
                      PRIMARY KEY (owner, jid))"],
        },
        report::TABLE,
    ];
    type Config = BlockingConfig;

    fn start(site: &mut SiteBuilder<'_>, config: BlockingConfig) -> Result<Self, StartError> {
        let (hub, domain) = (site.hub(), site.jid().clone());
        let (lists, roster, asked) = (site.fact(), site.roster(), site.flag());
        Ok(Self { hub, domain, lists, roster, asked, config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().get(Self::list).set(Self::block).set(Self::unblock);
        on.inbound(Stage::Check, Self::screen);
        on.outbound(Stage::Check, Self::hold_back);
        on.welcome(Self::hears);
        on.event(&report::REPORT_FILED);
        on.command(|blocking| Command::new(&report::LIST_REPORTS, blocking, Self::list_reports));
        on.command(|blocking| Command::new(&report::REMOVE_REPORT, blocking, Self::remove_report));
    }
}

impl Blocking {
    async fn list(self: Arc<Self>, ask: Request<ListQuery>) -> Result<ListReply, StanzaError> {
        if let Some(mailbox) = &ask.from.mailbox {
            // §3.2: later changes go to "all of the user's resources that have requested the
            // blocklist".
            ask.hub.directory().update(&ask.from.jid, mailbox, |session| {
                session.flags.set(self.asked, true);
            });
        }
        let list = ask.account().fact(self.lists);
        Ok(ListReply { items: list.0.iter().cloned().map(Item::new).collect() })
    }

    async fn block(self: Arc<Self>, mut ask: Request<Block>) -> Result<(), StanzaError> {
        let reports = Kept::take(&mut ask.payload.items);
        let Request { hub, site, from, payload: Block { items }, account, .. } = &ask;
        // §3.3: "If the <block/> element does not contain at least one <item/> child element, the
        // server MUST return a <bad-request/> error."
        if items.is_empty() {
            return Err(StanzaError::bad_request().text("There is nothing to block."));
        }
        let account = account.as_ref().expect("owner requests carry the account");
        if items.iter().any(|item| item.jid.bare() == from.jid.bare()) {
            let error = StanzaError::not_acceptable();
            return Err(error.text("You cannot block your own devices."));
        }
        let reports = self.admit(hub, account.jid(), reports).await.map_err(unstored)?;
        let added = {
            let turn = account.turn().await;
            let mut list = turn.fact(self.lists).0.clone();
            let added: Vec<Jid> = items.iter().map(|item| item.jid.clone()).collect();
            list.extend(added.iter().cloned());
            if list.len() > self.config.addresses as usize {
                let error = StanzaError::resource_constraint();
                return Err(error.text("Your block list is full."));
            }
            let add =
                |jid: &Jid| Statement::new(ADD).with(account.jid().as_str()).with(jid.as_str());
            let mut batch: Vec<Statement> = added.iter().map(add).collect();
            batch.extend(self.keep(hub, account.jid(), &reports));
            hub.db().batch(batch).await.map_err(unstored)?;
            turn.publish(self.lists, Blocklist(list));
            added
        };
        let mut effects = Effects::default();
        hub.push(account.jid(), self.asked, &to_xml(&ask.payload), &mut effects);
        self.tell(hub, site, account.jid(), &reports, &mut effects).await;
        // §3.3: "the user's server MUST send unavailable presence information to the JID (but only
        // if the JID is allowed to receive presence notifications from the user)".
        self.show(hub, account, &added, false, &mut effects).await;
        hub.perform(effects).await;
        Ok(())
    }

    async fn unblock(self: Arc<Self>, ask: Request<Unblock>) -> Result<(), StanzaError> {
        let Request { hub, payload: Unblock { items }, account, .. } = &ask;
        let account = account.as_ref().expect("owner requests carry the account");
        let removed: Vec<Jid> = {
            let turn = account.turn().await;
            let mut list = turn.fact(self.lists).0.clone();
            let owner = account.jid().as_str();
            let (removed, statements): (Vec<Jid>, Vec<Statement>) = if items.is_empty() {
                // §3.5: "An empty <unblock/>" unblocks all.
                (
                    std::mem::take(&mut list).into_iter().collect(),
                    vec![Statement::new(CLEAR).with(owner)],
                )
            } else {
                let held = items.iter().filter(|item| list.remove(&item.jid));
                let removed: Vec<Jid> = held.map(|item| item.jid.clone()).collect();
                let remove = |jid: &Jid| Statement::new(REMOVE).with(owner).with(jid.as_str());
                let statements = removed.iter().map(remove).collect();
                (removed, statements)
            };
            hub.db().batch(statements).await.map_err(unstored)?;
            turn.publish(self.lists, Blocklist(list));
            removed
        };
        let mut effects = Effects::default();
        hub.push(account.jid(), self.asked, &to_xml(&ask.payload), &mut effects);
        // §3.4: "the user's server MUST send the user's current presence information to the JID".
        self.show(hub, account, &removed, true, &mut effects).await;
        hub.perform(effects).await;
        Ok(())
    }

    /// Tells those contacts among `jids` who may see the account's presence that it is there, or
    /// that it is not.
    async fn show(
        &self,
        hub: &Hub,
        account: &Arc<Account>,
        jids: &[Jid],
        is_there: bool,
        effects: &mut Effects,
    ) {
        let roster = account.fact(self.roster);
        let sessions = hub.directory().sessions(account.jid());
        let seeing = roster.contacts().filter(|contact| {
            contact.subscription.shows()
                && jids.iter().any(|jid| covers(jid, &contact.jid.to_jid()))
        });
        for contact in seeing {
            for session in sessions.iter().filter(|session| session.is_available()) {
                let presence = if is_there { session.presence.clone() } else { None };
                let presence =
                    presence.unwrap_or_else(|| Stanza::presence(PresenceType::Unavailable));
                let presence = presence.from(session.jid.clone()).to(contact.jid.to_jid());
                let from = Party::new(session.jid.clone(), Some(Arc::clone(account)));
                hub.arrive(&from, presence, effects).await;
            }
        }
    }

    /// §3.3: "the user's server MUST NOT deliver any XML stanzas from the JID to the user."
    fn screen(&self, transit: &mut Transit<'_>) -> Verdict {
        let Some(account) = transit.recipient() else { return Verdict::Pass };
        if !account.fact(self.lists).blocks(&transit.from.jid, account.jid()) {
            return Verdict::Pass;
        }
        match transit.stanza.head.kind {
            // "For presence stanzas …, the server MUST NOT respond and MUST NOT return an error";
            // "IQ stanzas of other types MUST be silently dropped by the server."
            Kind::Presence(_) | Kind::Iq(IqType::Result | IqType::Error) => Verdict::Done,
            // "For message stanzas, the server SHOULD return an error, which SHOULD be
            // <service-unavailable/>", and likewise for requests.
            Kind::Message(_) | Kind::Iq(_) => Verdict::Refuse(StanzaError::service_unavailable()),
        }
    }

    /// The same as [`Blocking::screen`] where many are told the same.
    fn hears(&self, account: &Account, from: &Jid) -> bool {
        !account.look(self.lists, |list| list.blocks(from, account.jid()))
    }

    /// §3.3: "If the user attempts to send an outbound stanza to the JID, the user's server MUST
    /// NOT route the stanza to the JID but instead MUST return a <not-acceptable/> error
    /// containing an application-specific error condition of <blocked/>".
    fn hold_back(&self, transit: &mut Transit<'_>) -> Verdict {
        let Some(account) = transit.sender() else { return Verdict::Pass };
        if !account.fact(self.lists).blocks(&transit.to.jid, account.jid()) {
            return Verdict::Pass;
        }
        let error = StanzaError::not_acceptable().with(format!("<blocked xmlns='{ERRORS}'/>"));
        Verdict::Refuse(error.text("You have blocked this address."))
    }
}

fn unstored(error: StoreError) -> StanzaError {
    tracing::error!(%error, "a block list could not be stored");
    StanzaError::internal_server_error().text("The block list could not be stored.")
}

/// The addresses that one account has blocked.
#[derive(Clone, Default)]
pub struct Blocklist(BTreeSet<Jid>);

impl Fact for Blocklist {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let rows = db.query(Statement::new(LOAD).with(owner.as_str())).await?;
        let jids = rows.iter().map(|row| {
            let text = row.text(0)?;
            Jid::new(text).map_err(|error| StoreError::Corrupt(format!("blocking: {error}")))
        });
        jids.collect::<Result<_, _>>().map(Self)
    }
}

impl Blocklist {
    /// Whether `jid` is blocked. XEP-0016 rule: a user's own resources never are.
    fn blocks(&self, jid: &Jid, owner: &BareJid) -> bool {
        !self.0.is_empty()
            && jid.bare() != *owner
            && self.0.iter().any(|blocked| covers(blocked, jid))
    }
}

/// §5, JID matching: `<user@domain/resource>`, `<user@domain>`, `<domain/resource>`, `<domain>`.
fn covers(blocked: &Jid, jid: &Jid) -> bool {
    blocked.domain() == jid.domain()
        && blocked.local().is_none_or(|local| jid.local() == Some(local))
        && blocked.resource().is_none_or(|resource| jid.resource() == Some(resource))
}

/// `<item jid='…'/>`
#[derive(FromXml, AsXml)]
#[xml(namespace = NS, name = "item", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Item {
    #[xml(attribute)]
    jid: Jid,
    /// XEP-0377 §6: why it is blocked. At most the first is read.
    #[xml(child(n = ..))]
    reports: Vec<Report>,
}

impl Item {
    fn new(jid: Jid) -> Self {
        Self { jid, reports: Vec::new() }
    }
}

/// `<blocklist/>`, asked.
#[derive(FromXml)]
#[xml(namespace = NS, name = "blocklist", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct ListQuery;
payload!(empty ListQuery, "blocklist", NS);

/// `<blocklist/>`, answered.
#[derive(AsXml)]
#[xml(namespace = NS, name = "blocklist")]
pub struct ListReply {
    #[xml(child(n = ..))]
    items: Vec<Item>,
}
reply!(ListReply);

/// `<block/>`
#[derive(FromXml, AsXml)]
#[xml(namespace = NS, name = "block", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Block {
    #[xml(child(n = ..))]
    items: Vec<Item>,
}
payload!(Block, "block", NS);

/// `<unblock/>`
#[derive(FromXml, AsXml)]
#[xml(namespace = NS, name = "unblock", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct Unblock {
    #[xml(child(n = ..))]
    items: Vec<Item>,
}
payload!(Unblock, "unblock", NS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_address_covers_what_the_standard_says() {
        let covers = |blocked: &str, jid: &str| {
            super::covers(&Jid::new(blocked).unwrap(), &Jid::new(jid).unwrap())
        };
        assert!(covers("a@b/c", "a@b/c") && !covers("a@b/c", "a@b/d") && !covers("a@b/c", "a@b"));
        assert!(covers("a@b", "a@b/c") && covers("a@b", "a@b") && !covers("a@b", "x@b/c"));
        assert!(covers("b/c", "b/c") && covers("b/c", "a@b/c") && !covers("b/c", "b/d"));
        assert!(covers("b", "b") && covers("b", "a@b/c") && !covers("b", "c"));
    }

    #[test]
    fn own_devices_are_never_blocked() {
        let owner = BareJid::new("a@b").unwrap();
        let list = Blocklist([Jid::new("b").unwrap()].into());
        assert!(!list.blocks(&Jid::new("a@b/c").unwrap(), &owner));
        assert!(list.blocks(&Jid::new("x@b/c").unwrap(), &owner));
    }
}
