//! A card as it is kept, and whose it is to see.

use waxwing_jid::BareJid;
use waxwing_store::{Db, Row, Statement, StoreError};
use waxwing_xml::write::element;

use super::four::four;
use super::photo::{Photo, Picture};
use super::temp::temp;
use super::tree::{is_empty, rewrite, value};
use super::{NS, NS4};

const GET: &str = "SELECT data, is_four, card_node, photo_node FROM vcard WHERE owner = ?1";
const PUT: &str = "INSERT INTO vcard (owner, data, photo, is_four, card_node, photo_node) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (owner) DO UPDATE SET data = excluded.data, photo = excluded.photo, \
     is_four = excluded.is_four, card_node = excluded.card_node, photo_node = excluded.photo_node";

/// A card in the form in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) card: String,
    pub(super) is_four: bool,
    /// Whether it came from a node: those may see it who may read that.
    pub(super) is_nodes: bool,
    /// The same for its picture.
    pub(super) has_nodes_photo: bool,
}

impl Kept {
    /// One that its owner wrote for everybody.
    pub(super) fn new(card: String, is_four: bool) -> Self {
        Self { card, is_four, is_nodes: false, has_nodes_photo: false }
    }

    /// A card without anything.
    pub(super) fn empty() -> Self {
        Self::new(format!("<vCard xmlns='{NS}'/>"), false)
    }

    pub(super) async fn load(db: &Db, owner: &BareJid) -> Result<Option<Self>, StoreError> {
        let read = |row: Row| {
            Ok(Self {
                card: row.text(0)?.to_owned(),
                is_four: row.flag(1)?,
                is_nodes: row.flag(2)?,
                has_nodes_photo: row.flag(3)?,
            })
        };
        let row = db.query_one(Statement::new(GET).with(owner.as_str())).await?;
        row.map(read).transpose()
    }

    pub(super) fn put(&self, owner: &BareJid, photo: &Photo) -> Statement {
        Statement::new(PUT)
            .with(owner.as_str())
            .with(self.card.as_str())
            .with(&*photo.0)
            .with(self.is_four)
            .with(self.is_nodes)
            .with(self.has_nodes_photo)
    }

    /// As vcard-temp.
    pub(super) fn temp(self) -> String {
        if self.is_four { temp(&self.card) } else { self.card }
    }

    /// As vCard4.
    pub(super) fn four(self) -> String {
        if self.is_four { self.card } else { four(&self.card) }
    }

    /// The picture in it.
    pub(super) fn picture(&self) -> Option<Picture> {
        if self.is_four { Picture::of(&temp(&self.card)) } else { Picture::of(&self.card) }
    }

    /// The same with another picture, or with none.
    pub(super) fn with_picture(self, picture: Option<&Picture>) -> Self {
        let (root, photo) = self.names();
        let more = picture.map(|picture| self.element(picture)).unwrap_or_default();
        let card = rewrite(&self.card, root, |child| !child.is(photo, root.1), &more);
        Self { card, ..self }
    }

    /// Nothing but the picture.
    pub(super) fn only_picture(self) -> Self {
        let (root, photo) = self.names();
        let card = rewrite(&self.card, root, |child| child.is(photo, root.1), "");
        Self { card, ..self }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        let (root, _) = self.names();
        is_empty(&self.card, root)
    }

    /// The card's element and that of its picture.
    fn names(&self) -> ((&'static str, &'static str), &'static str) {
        if self.is_four { (("vcard", NS4), "photo") } else { (("vCard", NS), "PHOTO") }
    }

    fn element(&self, picture: &Picture) -> String {
        let mut out = String::new();
        if self.is_four {
            let uri = format!("data:{};base64,{}", picture.kind, picture.data);
            value(&mut out, "photo", "uri", &uri);
        } else {
            out.push_str("<PHOTO>");
            element(&mut out, "TYPE", &picture.kind);
            element(&mut out, "BINVAL", &picture.data);
            out.push_str("</PHOTO>");
        }
        out
    }
}
