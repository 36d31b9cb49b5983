#![cfg_attr(not(doctest), doc = include_str!("private.md"))]

use std::sync::Arc;

use waxwing_kernel::account::Account;
use waxwing_kernel::drawer::{Drawer, Drawn};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site, SiteBuilder, section};
use waxwing_stanza::{Payload, StanzaError};
use waxwing_store::{Statement, StoreError, Table};
use waxwing_xml::Child;

const NS: &str = "jabber:iq:private";

const GET: &str = "SELECT data FROM private WHERE owner = ?1 AND name = ?2 AND ns = ?3";
const HELD: &str = "SELECT COUNT(*) FROM private WHERE owner = ?1 AND NOT (name = ?2 AND ns = ?3)";
const PUT: &str = "INSERT INTO private (owner, name, ns, data) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (owner, ns, name) DO UPDATE SET data = excluded.data";
const DROP: &str = "DELETE FROM private WHERE owner = ?1 AND name = ?2 AND ns = ?3";

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
        on.signal(Signal::Appeared, Self::hand_over);
    }
}

impl Private {
    async fn get(self: Arc<Self>, ask: Request<Query>) -> Result<String, StanzaError> {
        let Query(pieces) = &ask.payload;
        // §4: "A client MUST NOT query for more than one namespace in a single IQ get request."
        let [piece] = pieces.as_slice() else { return Err(wrong_count()) };
        let owner = Owner { hub: &ask.hub, site: &ask.site, account: ask.account() };
        let kept = match owner.look(piece).await? {
            Some(drawn) => drawn.shown,
            None => owner.stored(piece).await?,
        };
        // Nothing kept: the question itself is the answer (example 6).
        let kept = kept.as_deref().unwrap_or(&piece.xml);
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
        let owner = Owner { hub: &ask.hub, site: &ask.site, account };
        let (mut writes, mut counted) = (Vec::new(), Vec::new());
        for piece in pieces {
            writes.push(match owner.draw(piece, Some(&piece.xml)).await? {
                None => {
                    counted.push(piece);
                    owner.write(piece, Some(&piece.xml))
                }
                Some((_, drawn)) => owner.write(piece, drawn.stored.as_deref()),
            });
        }
        // One after the other, or two sets could both find room for one more.
        let _turn = account.turn().await;
        for (index, piece) in counted.into_iter().enumerate() {
            let held = Statement::new(HELD).with(account.jid().as_str());
            let held = held.with(piece.name.as_str()).with(piece.ns.as_str());
            let others = db.query_one(held).await.map_err(unread)?;
            let others = others.map_or(Ok(0), |row| row.int(0)).map_err(unread)?;
            if others + index as i64 >= i64::from(self.config.pieces) {
                let error = StanzaError::resource_constraint();
                return Err(error.text("Your private storage is full."));
            }
        }
        db.batch(writes).await.map_err(unread).map(drop)
    }

    /// Somebody comes online: what was stored before there was another way to keep it moves there.
    async fn hand_over(self: Arc<Self>, happening: Happening) -> Effects {
        let Happening { hub, site, account, .. } = &happening;
        for (name, ns) in site.router.drawers() {
            let piece = Piece { name: name.to_owned(), ns: ns.to_owned(), xml: String::new() };
            let owner = Owner { hub, site, account };
            let moved = async {
                match owner.stored(&piece).await? {
                    Some(_) => owner.look(&piece).await.map(drop),
                    None => Ok(()),
                }
            };
            if let Err(error) = moved.await {
                tracing::warn!(account = %account.jid(), ns, %error, "private storage stays");
            }
        }
        Effects::default()
    }

    /// §5: "If a user attempts to get or set jabber:iq:private data that belongs to another user,
    /// the server MUST return a 'Forbidden' … error".
    async fn refuse(self: Arc<Self>, _: Request<Query>) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("Private storage is private."))
    }
}

/// Whose storage it is.
struct Owner<'a> {
    hub: &'a Hub,
    site: &'a Arc<Site>,
    account: &'a Arc<Account>,
}

impl Owner<'_> {
    /// What stands here of a piece.
    async fn stored(&self, piece: &Piece) -> Result<Option<String>, StanzaError> {
        let get = Statement::new(GET).with(self.account.jid().as_str());
        let get = get.with(piece.name.as_str()).with(piece.ns.as_str());
        let row = self.hub.db().query_one(get).await.map_err(unread)?;
        row.map(|row| row.text(0).map(str::to_owned)).transpose().map_err(unread)
    }

    /// What makes a piece this, or nothing.
    fn write(&self, piece: &Piece, xml: Option<&str>) -> Statement {
        let statement = Statement::new(if xml.is_some() { PUT } else { DROP });
        let statement = statement.with(self.account.jid().as_str());
        let statement = statement.with(piece.name.as_str()).with(piece.ns.as_str());
        match xml {
            Some(xml) => statement.with(xml),
            None => statement,
        }
    }

    /// Asks who keeps a piece in another way as well, if anybody does. Gives what stood here before
    /// and what becomes of it.
    async fn draw(
        &self,
        piece: &Piece,
        put: Option<&str>,
    ) -> Result<Option<(Option<String>, Drawn)>, StanzaError> {
        let Some(open) = self.site.router.drawer(&piece.name, &piece.ns) else { return Ok(None) };
        let before = self.stored(piece).await?;
        let drawn = open(Drawer {
            hub: self.hub.clone(),
            site: Arc::clone(self.site),
            account: Arc::clone(self.account),
            stored: before.clone(),
            put: put.map(str::to_owned),
        });
        Ok(Some((before, drawn.await?)))
    }

    /// The same for somebody who looks; stores what is to stand here from now on.
    async fn look(&self, piece: &Piece) -> Result<Option<Drawn>, StanzaError> {
        let Some((before, drawn)) = self.draw(piece, None).await? else { return Ok(None) };
        if drawn.stored != before {
            let write = self.write(piece, drawn.stored.as_deref());
            self.hub.db().batch(vec![write]).await.map_err(unread)?;
        }
        Ok(Some(drawn))
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
            xml: piece.alone(),
        });
        let pieces: Vec<Piece> = pieces.collect();
        let is_proper = |piece: &Piece| !piece.ns.is_empty() && piece.ns != NS;
        if pieces.iter().all(is_proper) { Ok(Self(pieces)) } else { Err(wrong_count()) }
    }
}
