#![cfg_attr(not(doctest), doc = include_str!("offline.md"))]

mod clear;
mod waiting;

use std::sync::Arc;

use waxwing_jid::Jid;
use waxwing_kernel::account::{Account, Slot};
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::config::Bytes;
use waxwing_kernel::mailbox::Delivery;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Answer, Happening, Signal};
use waxwing_kernel::router::{Page, Released, Spool};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::{Effects, Stage, Transit, Verdict};
use waxwing_kernel::{Hub, SiteBuilder, section};
use waxwing_stanza::payload::delay::delay;
use waxwing_stanza::{CLIENT, Kind, MessageType, Stanza, StanzaError};
use waxwing_store::domains::offline::{Offline as Rows, Spooled};
use waxwing_store::{Statement, StoreError};
use waxwing_stream::Tag;

use self::waiting::{Reading, Waiting};

const HINTS: &str = "urn:xmpp:hints";
const DELAY: &str = "urn:xmpp:delay";

/// Rows read from the spool at a time.
const PAGE: u32 = 100;

section! {
    /// Messages for people who are away, and every message until its recipient has it.
    pub struct OfflineConfig("offline") {
        /// Messages kept for one account; one more is refused.
        pub messages: u32 = 1000 in 0..=1_000_000,
        /// Bytes of messages kept for one account.
        pub size: Bytes = "16 MiB" in "64 KiB"..="16 GiB",
    }
}

/// Keeps messages until a client has them.
pub struct Offline {
    waiting: Slot<Waiting>,
    config: OfflineConfig,
}

impl Module for Offline {
    const ABOUT: &'static About = &About {
        name: "offline",
        summary: "Keeps messages until a client has them.",
        is_on: true,
        xeps: &[Xep(160, "1.0.1"), Xep(334, "1.0.0"), Xep(203, "2.0")],
        server_features: &["msgoffline"],
        account_features: &[],
        manual: include_str!("offline.md"),
    };
    type Config = OfflineConfig;

    fn start(site: &mut SiteBuilder<'_>, config: OfflineConfig) -> Result<Self, StartError> {
        Ok(Self { waiting: site.fact(), config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.inbound(Stage::Check, Self::strip);
        on.inbound(Stage::Deliver, Self::keep);
        on.signal(Signal::Available, Self::flush);
        on.spool();
    }
}

impl Offline {
    /// XEP-0203 §3: "the 'from' attribute … specifies the Jabber ID of the entity that …
    /// delayed the delivery". What says that the recipient's own account or server did, and comes
    /// from somebody else, is forged.
    fn strip(&self, transit: &mut Transit<'_>) -> Verdict {
        if !transit.stanza.body.has("delay", DELAY) {
            return Verdict::Pass;
        }
        let (own, sender) = (transit.to.jid.bare(), transit.from.jid.bare());
        if sender == own || sender.as_str() == own.domain() {
            return Verdict::Pass;
        }
        transit.stanza.body_mut().retain(|child| {
            let by = child.is("delay", DELAY).then(|| child.attribute("from")).flatten();
            // As an address, not as text: `Romeo@LOCALHOST` is the same.
            let by = by.and_then(|by| Jid::new(&by).ok());
            by.is_none_or(|by| by.bare() != own && by.as_str() != own.domain())
        });
        Verdict::Pass
    }

    /// Writes a message down when nobody is there to take it now, or when its sender will be told
    /// that it arrived: from then on it must not be lost. One for several sessions is only
    /// watched, so that it finds another way when none of them takes it, and not when one does.
    fn keep(&self, transit: &mut Transit<'_>) -> Verdict {
        let is_due = !transit.is_live() || transit.from.is_acknowledged;
        let sessions = transit.targets.len();
        if !(is_due || sessions > 1) || !may_wait(transit.stanza) {
            return Verdict::Pass;
        }
        let Some(account) = transit.recipient().cloned() else { return Verdict::Pass };
        let (id, waiting) = (transit.hub.next_id(), account.fact(self.waiting));
        if !is_due {
            waiting.begin(Tag(id), sessions, false);
            *transit.kept = Some(Tag(id));
            return Verdict::Pass;
        }
        let mut text = String::with_capacity(256 + transit.stanza.body.len_bytes());
        transit.stanza.write(&mut text, Some(CLIENT));
        if !waiting.admit(text.len() as u64, u64::from(self.config.messages), self.config.size.0) {
            // XEP-0160 §3: "the server MUST … return a <service-unavailable/> error" when it
            // cannot keep a message; the text tells why.
            let error = StanzaError::service_unavailable();
            return Verdict::Refuse(error.text("Too many messages wait for this account."));
        }
        waiting.begin(Tag(id), sessions, true);
        let row = Spooled {
            id: id.cast_signed(),
            owner: account.jid().to_string(),
            stamp: transit.hub.clock().wall_millis().cast_signed(),
            stanza: text,
        };
        transit.keep(Tag(id), Rows::append(row));
        Verdict::Pass
    }

    /// XEP-0160 §2: the server sends what it kept when "the recipient next sends non-negative
    /// available presence".
    async fn flush(self: Arc<Self>, happening: Happening) -> Effects {
        let mut effects = Effects::default();
        if !happening.account.fact(self.waiting).is_empty() {
            effects.read_spool();
        }
        effects
    }

    async fn read(&self, hub: &Hub, account: &Account, after: Tag) -> Result<Page, StoreError> {
        let waiting = account.fact(self.waiting);
        if after == Tag(0) {
            waiting.know_all();
        }
        let _reading = Reading::begin(&waiting);
        let rows = Rows::new(hub.db().clone());
        let rows = rows.page(account.jid().as_str(), after.0.cast_signed(), PAGE).await?;
        let last = rows.last().map(|row| Tag(row.id.cast_unsigned()));
        let mut page =
            Page { deliveries: Vec::new(), next: last.filter(|_| rows.len() == PAGE as usize) };
        for row in rows {
            let tag = Tag(row.id.cast_unsigned());
            if let Some(stanza) = revive(&row, account.jid().domain())
                && waiting.claim_row(tag)
            {
                page.deliveries.push(Delivery { stanza, tag });
            }
        }
        Ok(page)
    }
}

impl Spool for Offline {
    fn page<'a>(
        &'a self,
        hub: &'a Hub,
        account: &'a Account,
        after: Tag,
    ) -> Answer<'a, Result<Page, StoreError>> {
        Box::pin(self.read(hub, account, after))
    }

    fn clear<'a>(&'a self, hub: &'a Hub, account: &'a Account) -> Answer<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.clear_archived(hub, account).await {
                tracing::error!(%error, "kept messages could not be cleared; they stay");
            }
        })
    }

    fn claim(&self, account: &Account, tag: Tag, sessions: usize) -> bool {
        account.fact(self.waiting).claim(tag, sessions)
    }

    fn release(&self, account: &Account, tag: Tag) -> Released {
        account.fact(self.waiting).release(tag)
    }

    fn confirm(&self, account: &Account, tags: &[Tag]) -> Vec<Statement> {
        let waiting = account.fact(self.waiting);
        let kept = tags.iter().filter(|tag| **tag != Tag(0) && waiting.settle(**tag));
        kept.map(|tag| Rows::remove(tag.0.cast_signed())).collect()
    }

    fn forgotten(&self, account: &Account, tags: &[Tag]) {
        account.fact(self.waiting).forgotten(tags);
    }

    fn abandon(&self, account: &Account, tag: Tag) {
        account.fact(self.waiting).abandon(tag);
    }
}

/// A kept message as it goes out, with the time of its arrival (XEP-0203, XEP-0160 §2). What
/// others say about time stays, unless they say it in our name.
fn revive(row: &Spooled, domain: &str) -> Option<Stanza> {
    match Stanza::parse(&row.stanza) {
        Ok(mut stanza) => {
            if stanza.body.has("delay", DELAY) {
                stanza.body_mut().retain(|child| {
                    let by = child.is("delay", DELAY).then(|| child.attribute("from")).flatten();
                    by.is_none_or(|by| by != domain)
                });
            }
            let stamp = stamp_of(row.stamp.cast_unsigned());
            stanza.body_mut().append(delay(&stamp, domain));
            Some(stanza)
        }
        Err(error) => {
            tracing::error!(id = row.id, %error, "a kept message cannot be read");
            None
        }
    }
}

/// XEP-0160 §3, XEP-0334: which messages may wait. Types other than `normal` and `chat` may not,
/// nor what says so, nor what is stale at once ("Messages … that contain only Chat State
/// Notifications").
fn may_wait(stanza: &Stanza) -> bool {
    let Kind::Message(MessageType::Normal | MessageType::Chat) = stanza.head.kind else {
        return false;
    };
    if stanza.body.has("no-store", HINTS) {
        return false;
    }
    stanza.body.has("store", HINTS)
        || stanza.body.children().any(|child| {
            let is_thread = child.is("thread", CLIENT);
            !is_thread && !FLEETING.contains(&child.namespace())
        })
}

/// Namespaces of what means nothing on its own, or nothing later.
const FLEETING: [&str; 4] =
    ["http://jabber.org/protocol/chatstates", HINTS, "urn:xmpp:sid:0", "urn:xmpp:carbons:2"];
