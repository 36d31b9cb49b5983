#![cfg_attr(not(doctest), doc = include_str!("vcard.md"))]

mod four;
mod photo;
mod temp;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use waxwing_kernel::account::Slot;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::{Payload, StanzaError};
use waxwing_store::{Row, Statement, StoreError, Table};
use waxwing_xml::Child;

use self::four::four;
use self::photo::Photo;
use self::temp::temp;

const NS: &str = "vcard-temp";
const NS4: &str = "urn:ietf:params:xml:ns:vcard-4.0";

const GET: &str = "SELECT data, is_four FROM vcard WHERE owner = ?1";
const PUT: &str = "INSERT INTO vcard (owner, data, photo, is_four) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (owner) DO UPDATE SET data = excluded.data, photo = excluded.photo, \
     is_four = excluded.is_four";

section! {
    /// The visiting cards of people.
    pub struct VcardConfig("vcard") {
        /// The largest card, picture included.
        pub size: waxwing_kernel::config::Bytes = "128 KiB" in "1 KiB"..="4 MiB",
    }
}

/// Keeps and shows visiting cards.
pub struct Vcard {
    photo: Slot<Photo>,
    config: VcardConfig,
}

impl Module for Vcard {
    const ABOUT: &'static About = &About {
        name: "vcard",
        summary: "Keeps people's visiting cards and shows them to others.",
        is_on: true,
        xeps: &[Xep(54, "1.3.0"), Xep(153, "1.1.1"), Xep(292, "0.10")],
        server_features: &[NS],
        account_features: &[NS, NS4],
        manual: include_str!("vcard.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "vcard",
        owner: Some("owner"),
        steps: &[
            "CREATE TABLE vcard (owner {text} PRIMARY KEY, data {text} NOT NULL)",
            "ALTER TABLE vcard ADD COLUMN photo {text}; \
             ALTER TABLE vcard ADD COLUMN is_four {int} NOT NULL DEFAULT 0",
        ],
    }];
    type Config = VcardConfig;

    fn start(site: &mut SiteBuilder<'_>, config: VcardConfig) -> Result<Self, StartError> {
        Ok(Self { photo: site.fact(), config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().get(Self::own).set(Self::set);
        on.account().get(Self::show).set(Self::refuse);
        on.nobody().set(Self::refuse);
        on.owner().get(Self::own_four).set(Self::set_four);
        on.account().get(Self::show_four).set(Self::refuse_four);
        on.nobody().set(Self::refuse_four);
        on.presence(Self::stamp);
    }
}

impl Vcard {
    /// §3.1: "If no vCard exists, the server MUST return a stanza error … or an IQ-result
    /// containing an empty <vCard/> element."
    async fn own(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        Ok(kept(&ask).await?.map_or_else(|| format!("<vCard xmlns='{NS}'/>"), Kept::temp))
    }

    /// §3.3: "If no vCard exists or the user does not exist, the server MUST return … the same
    /// error condition in both cases … <service-unavailable/> MUST be used".
    async fn show(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        kept(&ask).await?.map(Kept::temp).ok_or_else(StanzaError::service_unavailable)
    }

    async fn set(self: Arc<Self>, ask: Request<Card>) -> Result<(), StanzaError> {
        let card = &ask.payload.0;
        self.keep(&ask, card, Photo::of(card), false).await
    }

    /// §3.2: "If a user attempts to perform an IQ set on another user's vCard …, the server MUST
    /// return a stanza error, which SHOULD be <forbidden/>".
    async fn refuse(self: Arc<Self>, _: Request<Card>) -> Result<(), StanzaError> {
        Err(not_yours())
    }

    async fn own_four(self: Arc<Self>, ask: Request<Card4>) -> Result<String, StanzaError> {
        let none = || StanzaError::item_not_found().text("You have no visiting card yet.");
        kept(&ask).await?.map(Kept::four).ok_or_else(none)
    }

    /// No card and no account look the same, as in vcard-temp.
    async fn show_four(self: Arc<Self>, ask: Request<Card4>) -> Result<String, StanzaError> {
        kept(&ask).await?.map(Kept::four).ok_or_else(StanzaError::service_unavailable)
    }

    async fn set_four(self: Arc<Self>, ask: Request<Card4>) -> Result<(), StanzaError> {
        let card = &ask.payload.0;
        self.keep(&ask, card, Photo::of(&temp(card)), true).await
    }

    async fn refuse_four(self: Arc<Self>, _: Request<Card4>) -> Result<(), StanzaError> {
        Err(not_yours())
    }

    /// Keeps the card as it came; in the other form it is made from this when somebody asks.
    async fn keep<P>(
        &self,
        ask: &Request<P>,
        card: &str,
        photo: Photo,
        is_four: bool,
    ) -> Result<(), StanzaError> {
        if card.len() > self.config.size.len() {
            let text = format!("A visiting card may have {} at most.", self.config.size);
            return Err(StanzaError::policy_violation().text(text));
        }
        let turn = ask.account().turn().await;
        let put = Statement::new(PUT).with(ask.account().jid().as_str()).with(card);
        let put = put.with(&*photo.0).with(is_four);
        ask.hub.db().batch(vec![put]).await.map_err(unread)?;
        turn.publish(self.photo, photo);
        Ok(())
    }
}

fn not_yours() -> StanzaError {
    StanzaError::forbidden().text("This is somebody else's visiting card.")
}

/// A card in the form in which it came.
struct Kept {
    card: String,
    is_four: bool,
}

impl Kept {
    fn temp(self) -> String {
        if self.is_four { temp(&self.card) } else { self.card }
    }

    fn four(self) -> String {
        if self.is_four { self.card } else { four(&self.card) }
    }
}

async fn kept<P>(ask: &Request<P>) -> Result<Option<Kept>, StanzaError> {
    let get = Statement::new(GET).with(ask.account().jid().as_str());
    let row = ask.hub.db().query_one(get).await.map_err(unread)?;
    let kept = |row: Row| Ok(Kept { card: row.text(0)?.to_owned(), is_four: row.flag(1)? });
    row.map(kept).transpose().map_err(unread)
}

fn unread(error: StoreError) -> StanzaError {
    tracing::error!(%error, "visiting cards");
    StanzaError::internal_server_error().text("Visiting cards cannot be reached at the moment.")
}

/// `<vCard/>`, as it arrived.
pub struct Card(String);

impl Payload for Card {
    const NAME: &'static str = "vCard";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        Ok(Self(child.as_str().to_owned()))
    }
}

/// `<vcard/>` (RFC 6351), as it arrived.
pub struct Card4(String);

impl Payload for Card4 {
    const NAME: &'static str = "vcard";
    const NS: &'static str = NS4;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        Ok(Self(child.as_str().to_owned()))
    }
}
