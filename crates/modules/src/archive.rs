#![cfg_attr(not(doctest), doc = include_str!("archive.md"))]

mod answer;
mod filter;
mod find;
mod preferences;
mod query;
mod retention;
mod retraction;
mod search;

use std::sync::Arc;
use std::time::Duration;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::{Account, Slot};
use waxwing_kernel::config::Bytes;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Stage, Transit, Verdict};
use waxwing_kernel::{Filed, Hub, Roster, SiteBuilder, choice, section, worth};
use waxwing_stanza::payload::sid;
use waxwing_stanza::{CLIENT, Kind, Stanza, StanzaError};
use waxwing_store::domains::archive::{Archive as Rows, Entry, Preset};
use waxwing_store::{Statement, StoreError};

use self::preferences::Wishes;
use self::retraction::Waiting;
use self::search::Indexing;

const NS: &str = "urn:xmpp:mam:2";

/// How often it is looked for what is too old.
const ROUND: Duration = Duration::from_secs(3600);

choice! {
    /// Which messages are kept of people who have not said what they want.
    pub enum Keep {
        /// All.
        Always = "always",
        /// Those exchanged with contacts.
        Roster = "roster",
        /// None.
        Never = "never",
    }
}

section! {
    /// The history of conversations, for all devices of a person.
    pub struct ArchiveConfig("archive") {
        /// Days that messages are kept; 0 for as long as there is room.
        pub days: u32 = 0 in 0..=36_500,
        /// Messages kept for one account; the oldest go when there are more.
        pub messages: u32 = 1_000_000 in 1..=1_000_000_000,
        /// What is kept for people who have not said what they want.
        pub preset: Keep = "always",
        /// Addresses in each of the lists of a person's wishes.
        pub exceptions: u32 = 1000 in 0..=100_000,
        /// Messages in one answer.
        pub page: u32 = 250 in 1..=1000,
        /// Bytes of messages in one answer that has more than one.
        pub page_size: Bytes = "256 KiB" in "1 KiB"..="16 MiB",
    }
}

/// Keeps conversations, and gives them to their owners.
pub struct Archive {
    wishes: Slot<Wishes>,
    roster: Slot<Roster>,
    indexing: Indexing,
    waiting: Waiting,
    config: ArchiveConfig,
}

impl Module for Archive {
    const ABOUT: &'static About = &About {
        name: "archive",
        summary: "Keeps the history of conversations for all devices of a person.",
        is_on: true,
        xeps: &[
            Xep(313, "1.1.3"),
            Xep(441, "0.2.0"),
            Xep(59, "1.0").lacks("pages by their index"),
            Xep(424, "0.4.2"),
            Xep(431, "0.2.0"),
        ],
        server_features: &[retraction::NS],
        account_features: &[
            NS,
            "urn:xmpp:mam:2#extended",
            "urn:xmpp:mam:2#groupchat-field",
            "urn:xmpp:fulltext:0",
            retraction::NS,
            "urn:xmpp:message-retract:1#tombstone",
        ],
        manual: include_str!("archive.md"),
    };
    type Config = ArchiveConfig;

    fn start(site: &mut SiteBuilder<'_>, config: ArchiveConfig) -> Result<Self, StartError> {
        let (wishes, roster) = (site.fact(), site.roster());
        let (indexing, waiting) = (Indexing::default(), Waiting::default());
        Ok(Self { wishes, roster, indexing, waiting, config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.outbound(Stage::Record, Self::record_sent);
        on.inbound(Stage::Record, Self::record_received);
        on.owner().get(Self::own_fields).set(Self::own_query).get(Self::own_metadata);
        on.owner().get(Self::wishes).set(Self::wish);
        on.account().get(Self::fields).set(Self::query).get(Self::metadata);
        on.account().get(Self::refuse_wishes).set(Self::refuse_wishes);
        on.nobody().get(Self::fields).set(Self::query).get(Self::metadata);
        on.inner().get(Self::fields).set(Self::query).get(Self::metadata);
        on.nobody().get(Self::refuse_wishes).set(Self::refuse_wishes);
        on.bound(Self::bound);
        on.every(ROUND, Self::sweep);
        on.every(retraction::ROUND, Self::retract);
    }
}

impl Archive {
    /// XEP-0313 §3: a message is kept with "the remote JID that the stanza is to (for an outgoing
    /// message)".
    fn record_sent(&self, transit: &mut Transit<'_>) -> Verdict {
        let (from, to) = (transit.from, transit.to);
        if let Some(account) = &from.account {
            self.record(transit, account, &to.jid);
        }
        Verdict::Pass
    }

    /// "… or from (for an incoming message)". One to oneself is in the archive by then.
    fn record_received(&self, transit: &mut Transit<'_>) -> Verdict {
        let (from, to) = (transit.from, transit.to);
        if let (Some(account), Filed::Unasked) = (&to.account, &*transit.filed) {
            self.record(transit, account, &from.jid);
        }
        Verdict::Pass
    }

    /// Files what goes past in the archive of `account`, if it belongs there.
    fn record(&self, transit: &mut Transit<'_>, account: &Arc<Account>, peer: &Jid) {
        let Kind::Message(_) = transit.stanza.head.kind else { return };
        if account.is_guest() || !worth::is_lasting(transit.stanza) || !self.wants(account, peer) {
            *transit.filed = Filed::Left;
            return;
        }
        // XEP-0359 §3: what claims to be an id of this archive is none.
        if sid::has_any(&transit.stanza.body) {
            sid::remove(transit.stanza.body_mut(), account.jid());
        }
        let from = &transit.from.jid;
        transit.file(account, |number, stanza| {
            let mut stanza = stanza.clone();
            stanza.head.from.get_or_insert_with(|| from.clone());
            append(number, account.jid(), peer, &stanza)
        });
        if let Filed::Kept(number) = *transit.filed
            && let Some(note) = self.note(number, account.jid(), peer.bare_str(), transit.stanza)
        {
            transit.effects.record(note);
        }
    }

    /// Whether the account wants what it exchanges with `peer` to be kept.
    fn wants(&self, account: &Account, peer: &Jid) -> bool {
        let wishes = account.fact(self.wishes);
        match wishes.of(peer, self.config.preset.into()) {
            Preset::Always => true,
            Preset::Never => false,
            // XEP-0441 §2.1.1: "only if the contact's bare JID is in the user's roster". Nobody is
            // closer to a person than the person.
            Preset::Roster => {
                let peer = peer.bare();
                peer == *account.jid() || account.fact(self.roster).contact(&peer).is_some()
            }
        }
    }

    /// The rows.
    fn rows(hub: &Hub) -> Rows {
        Rows::new(hub.db().clone())
    }
}

/// Files a message.
fn append(number: u64, owner: &BareJid, peer: &Jid, stanza: &Stanza) -> Statement {
    let mut text = String::with_capacity(256 + stanza.body.len_bytes());
    stanza.write(&mut text, Some(CLIENT));
    Rows::append(Entry {
        number: number.cast_signed(),
        owner: owner.to_string(),
        peer: peer.bare_str().to_owned(),
        resource: peer.resource().unwrap_or_default().to_owned(),
        stanza: text,
    })
}

/// What a client hears when the store fails.
fn unread(error: StoreError) -> StanzaError {
    tracing::error!(%error, "archives");
    StanzaError::internal_server_error().text("The archive cannot be reached at the moment.")
}

impl From<Keep> for Preset {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Always => Self::Always,
            Keep::Roster => Self::Roster,
            Keep::Never => Self::Never,
        }
    }
}
