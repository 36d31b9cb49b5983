#![cfg_attr(not(doctest), doc = include_str!("vcard.md"))]

use std::sync::Arc;

use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::{Payload, StanzaError};
use waxwing_store::{Statement, StoreError, Table};
use waxwing_xml::Child;

const NS: &str = "vcard-temp";

const GET: &str = "SELECT data FROM vcard WHERE owner = ?1";
const PUT: &str = "INSERT INTO vcard (owner, data) VALUES (?1, ?2) \
     ON CONFLICT (owner) DO UPDATE SET data = excluded.data";

section! {
    /// The visiting cards of people.
    pub struct VcardConfig("vcard") {
        /// The largest card, picture included.
        pub size: waxwing_kernel::config::Bytes = "128 KiB" in "1 KiB"..="4 MiB",
    }
}

/// Keeps and shows visiting cards.
pub struct Vcard {
    config: VcardConfig,
}

impl Module for Vcard {
    const ABOUT: &'static About = &About {
        name: "vcard",
        summary: "Keeps people's visiting cards and shows them to others.",
        is_on: true,
        xeps: &[Xep(54, "1.3.0")],
        server_features: &[NS],
        account_features: &[NS],
        manual: include_str!("vcard.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "vcard",
        owner: Some("owner"),
        steps: &["CREATE TABLE vcard (owner {text} PRIMARY KEY, data {text} NOT NULL)"],
    }];
    type Config = VcardConfig;

    fn start(_: &mut SiteBuilder<'_>, config: VcardConfig) -> Result<Self, StartError> {
        Ok(Self { config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().get(Self::own).set(Self::set);
        on.account().get(Self::show).set(Self::refuse);
        on.nobody().set(Self::refuse);
    }
}

impl Vcard {
    /// §3.1: "If no vCard exists, the server MUST return a stanza error … or an IQ-result
    /// containing an empty <vCard/> element."
    async fn own(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        Ok(kept(&ask).await?.unwrap_or_else(|| format!("<vCard xmlns='{NS}'/>")))
    }

    /// §3.3: "If no vCard exists or the user does not exist, the server MUST return … the same
    /// error condition in both cases … <service-unavailable/> MUST be used".
    async fn show(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        kept(&ask).await?.ok_or_else(StanzaError::service_unavailable)
    }

    async fn set(self: Arc<Self>, ask: Request<Card>) -> Result<(), StanzaError> {
        let card = ask.payload.0.as_str();
        if card.len() > self.config.size.len() {
            let text = format!("A visiting card may have {} at most.", self.config.size);
            return Err(StanzaError::policy_violation().text(text));
        }
        let put = Statement::new(PUT).with(ask.account().jid().as_str()).with(card);
        ask.hub.db().batch(vec![put]).await.map_err(unread).map(drop)
    }

    /// §3.2: "If a user attempts to perform an IQ set on another user's vCard …, the server MUST
    /// return a stanza error, which SHOULD be <forbidden/>".
    async fn refuse(self: Arc<Self>, _: Request<Card>) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("This is somebody else's visiting card."))
    }
}

async fn kept(ask: &Request<Card>) -> Result<Option<String>, StanzaError> {
    let get = Statement::new(GET).with(ask.account().jid().as_str());
    let row = ask.hub.db().query_one(get).await.map_err(unread)?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose().map_err(unread)
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
