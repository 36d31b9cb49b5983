#![cfg_attr(not(doctest), doc = include_str!("vcard.md"))]

mod avatar;
mod four;
mod kept;
mod node;
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
use waxwing_store::{StoreError, Table};
use waxwing_xml::Child;

use self::avatar::{DATA, DATA_NODE, METADATA_NODE, Person};
use self::kept::Kept;
use self::node::NODE;
use self::photo::Photo;

const NS: &str = "vcard-temp";
const NS4: &str = "urn:ietf:params:xml:ns:vcard-4.0";

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
        xeps: &[
            Xep(54, "1.3.0"),
            Xep(84, "1.1.4"),
            Xep(153, "1.1.1"),
            Xep(292, "0.12.0"),
            Xep(398, "1.0.0"),
        ],
        server_features: &[NS],
        account_features: &[NS, NS4, "urn:xmpp:pep-vcard-conversion:0"],
        manual: include_str!("vcard.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "vcard",
        owner: Some("owner"),
        steps: &[
            "CREATE TABLE vcard (owner {text} PRIMARY KEY, data {text} NOT NULL)",
            "ALTER TABLE vcard ADD COLUMN photo {text}; \
             ALTER TABLE vcard ADD COLUMN is_four {int} NOT NULL DEFAULT 0",
            "ALTER TABLE vcard ADD COLUMN card_node {int} NOT NULL DEFAULT 0; \
             ALTER TABLE vcard ADD COLUMN photo_node {int} NOT NULL DEFAULT 0",
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
        for node in [&DATA_NODE, &METADATA_NODE, &node::KNOWN] {
            on.node(node);
        }
        on.published(&METADATA_NODE, Self::heard_avatar);
        on.published(&node::KNOWN, Self::heard_card);
    }
}

impl Vcard {
    /// §3.1: "If no vCard exists, the server MUST return a stanza error … or an IQ-result
    /// containing an empty <vCard/> element."
    async fn own(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        Ok(kept(&ask).await?.unwrap_or_else(Kept::empty).temp())
    }

    /// §3.3: "If no vCard exists or the user does not exist, the server MUST return … the same
    /// error condition in both cases … <service-unavailable/> MUST be used".
    async fn show(self: Arc<Self>, ask: Request<Card>) -> Result<String, StanzaError> {
        self.shown(&ask).await?.map(Kept::temp).ok_or_else(StanzaError::service_unavailable)
    }

    async fn set(self: Arc<Self>, ask: Request<Card>) -> Result<(), StanzaError> {
        self.keep(&ask, Kept::new(ask.payload.0.clone(), false)).await
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
        self.shown(&ask).await?.map(Kept::four).ok_or_else(StanzaError::service_unavailable)
    }

    async fn set_four(self: Arc<Self>, ask: Request<Card4>) -> Result<(), StanzaError> {
        self.keep(&ask, Kept::new(ask.payload.0.clone(), true)).await
    }

    async fn refuse_four(self: Arc<Self>, _: Request<Card4>) -> Result<(), StanzaError> {
        Err(not_yours())
    }

    /// What somebody else may see of a card: what came from a node is for those who may read that.
    async fn shown<P>(&self, ask: &Request<P>) -> Result<Option<Kept>, StanzaError> {
        let Some(mut kept) = kept(ask).await? else { return Ok(None) };
        if !kept.is_nodes && !kept.has_nodes_photo {
            return Ok(Some(kept));
        }
        let (person, reader) = (Person::of(ask), ask.from.jid.bare());
        if kept.is_nodes && !self.may_see(person.at(NODE), &reader).await? {
            kept = kept.only_picture();
        }
        if kept.has_nodes_photo && !self.may_see(person.at(DATA), &reader).await? {
            kept = kept.with_picture(None);
        }
        Ok((!kept.is_empty()).then_some(kept))
    }

    /// Keeps the card as it came, for everybody; in the other form it is made from this when
    /// somebody asks. Those who look into nodes find it there.
    async fn keep<P>(&self, ask: &Request<P>, kept: Kept) -> Result<(), StanzaError> {
        if kept.card.len() > self.config.size.len() {
            let text = format!("A visiting card may have {} at most.", self.config.size);
            return Err(StanzaError::policy_violation().text(text));
        }
        let (picture, account) = (kept.picture(), ask.account());
        let photo = Photo::from(picture.as_ref());
        let is_same = {
            let turn = account.turn().await;
            let put = kept.put(account.jid(), &photo);
            ask.hub.db().batch(vec![put]).await.map_err(unread)?;
            let is_same = account.fact(self.photo).0 == photo.0;
            turn.publish(self.photo, photo);
            is_same
        };
        // The card is kept: what fails from here on is nothing that its owner could mend.
        let person = Person::of(ask);
        let mut given = self.give_card(&person, kept).await;
        if !is_same {
            given = given.and(self.give_picture(&person, picture.as_ref()).await);
        }
        if let Err(error) = given {
            tracing::warn!(account = %account.jid(), %error, "a card did not get into its nodes");
        }
        Ok(())
    }
}

fn not_yours() -> StanzaError {
    StanzaError::forbidden().text("This is somebody else's visiting card.")
}

async fn kept<P>(ask: &Request<P>) -> Result<Option<Kept>, StanzaError> {
    Kept::load(ask.hub.db(), ask.account().jid()).await.map_err(unread)
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
