#![cfg_attr(not(doctest), doc = include_str!("private.md"))]

use std::sync::Arc;

use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::Request;
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{SiteBuilder, section};
use waxwing_stanza::{Payload, StanzaError};
use waxwing_store::{Statement, StoreError, Table};
use waxwing_xml::Child;

const NS: &str = "jabber:iq:private";

const GET: &str = "SELECT data FROM private WHERE owner = ?1 AND name = ?2 AND ns = ?3";
const HELD: &str = "SELECT COUNT(*) FROM private WHERE owner = ?1 AND NOT (name = ?2 AND ns = ?3)";
const PUT: &str = "INSERT INTO private (owner, name, ns, data) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (owner, ns, name) DO UPDATE SET data = excluded.data";

section! {
    /// Small pieces of data that clients keep for themselves.
    pub struct PrivateConfig("private") {
        /// Pieces that one account may keep.
        pub pieces: u32 = 200 in 1..=10_000,
    }
}

/// Keeps small pieces of XML for clients.
pub struct Private {
    config: PrivateConfig,
}

impl Module for Private {
    const ABOUT: &'static About = &About {
        name: "private",
        summary: "Keeps small pieces of data that clients store for themselves.",
        is_on: true,
        xeps: &[Xep(49, "1.2")],
        server_features: &[NS],
        account_features: &[],
        manual: include_str!("private.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "private",
        owner: Some("owner"),
        steps: &["CREATE TABLE private (owner {text} NOT NULL, ns {text} NOT NULL, \
                  name {text} NOT NULL, data {text} NOT NULL, PRIMARY KEY (owner, ns, name))"],
    }];
    type Config = PrivateConfig;

    fn start(_: &mut SiteBuilder<'_>, config: PrivateConfig) -> Result<Self, StartError> {
        Ok(Self { config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.owner().get(Self::get).set(Self::set);
        on.account().get(Self::refuse).set(Self::refuse);
        on.nobody().get(Self::refuse).set(Self::refuse);
    }
}

impl Private {
    async fn get(self: Arc<Self>, ask: Request<Query>) -> Result<String, StanzaError> {
        let Query(pieces) = &ask.payload;
        // §4: "A client MUST NOT query for more than one namespace in a single IQ get request."
        let [piece] = pieces.as_slice() else { return Err(wrong_count()) };
        let statement = Statement::new(GET)
            .with(ask.account().jid().as_str())
            .with(piece.name.as_str())
            .with(piece.ns.as_str());
        let row = ask.hub.db().query_one(statement).await.map_err(unread)?;
        let kept = match &row {
            Some(row) => row.text(0).map_err(unread)?,
            // Nothing kept: the question itself is the answer (example 6).
            None => &piece.xml,
        };
        Ok(format!("<query xmlns='{NS}'>{kept}</query>"))
    }

    async fn set(self: Arc<Self>, ask: Request<Query>) -> Result<(), StanzaError> {
        let Query(pieces) = &ask.payload;
        // §4: "At least one child element with a proper namespace MUST be included; otherwise the
        // server MUST respond with a 'Not Acceptable' error".
        if pieces.is_empty() {
            return Err(wrong_count());
        }
        let (account, db) = (ask.account(), ask.hub.db());
        // One after the other, or two sets could both find room for one more.
        let _turn = account.turn().await;
        let owner = account.jid().as_str();
        let mut batch = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let (name, ns) = (piece.name.as_str(), piece.ns.as_str());
            let held = Statement::new(HELD).with(owner).with(name).with(ns);
            let others = db.query_one(held).await.map_err(unread)?;
            let others = others.map_or(Ok(0), |row| row.int(0)).map_err(unread)?;
            if others + index as i64 >= i64::from(self.config.pieces) {
                let error = StanzaError::resource_constraint();
                return Err(error.text("Your private storage is full."));
            }
            let put = Statement::new(PUT).with(owner).with(name).with(ns);
            batch.push(put.with(piece.xml.as_str()));
        }
        db.batch(batch).await.map_err(unread).map(drop)
    }

    /// §5: "If a user attempts to get or set jabber:iq:private data that belongs to another user,
    /// the server MUST return a 'Forbidden' … error".
    async fn refuse(self: Arc<Self>, _: Request<Query>) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("Private storage is private."))
    }
}

fn wrong_count() -> StanzaError {
    StanzaError::not_acceptable().text("Ask for one element at a time, in its own namespace.")
}

fn unread(error: StoreError) -> StanzaError {
    tracing::error!(%error, "private storage");
    StanzaError::internal_server_error().text("Private storage cannot be reached at the moment.")
}

/// `<query/>` with what is asked for or kept.
pub struct Query(Vec<Piece>);

/// One piece of XML, as it arrived.
struct Piece {
    name: String,
    ns: String,
    xml: String,
}

impl Payload for Query {
    const NAME: &'static str = "query";
    const NS: &'static str = NS;

    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let pieces = child.children().map(|piece| Piece {
            name: piece.name().to_owned(),
            ns: piece.namespace().to_owned(),
            xml: piece.as_str().to_owned(),
        });
        let pieces: Vec<Piece> = pieces.collect();
        let is_proper = |piece: &Piece| !piece.ns.is_empty() && piece.ns != NS;
        if pieces.iter().all(is_proper) { Ok(Self(pieces)) } else { Err(wrong_count()) }
    }
}
