//! The hash of the picture in a card, which presence tells (XEP-0153, XEP-0398).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use waxwing_jid::BareJid;
use waxwing_kernel::account::{Account, Fact};
use waxwing_stanza::{Kind, PresenceType, Stanza};
use waxwing_store::{Db, Statement, StoreError};
use waxwing_xml::write::element;

use super::tree::{Tree, parts};
use super::{NS, Vcard};

const UPDATE: &str = "vcard-temp:x:update";

const HASH: &str = "SELECT photo FROM vcard WHERE owner = ?1";
/// Only of cards that were kept before their hashes were.
const CARD: &str = "SELECT data FROM vcard WHERE owner = ?1 AND photo IS NULL";

/// SHA-1 of the picture of an account, in hexadecimal; empty when it has none.
pub(super) struct Photo(pub(super) Box<str>);

impl Fact for Photo {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let none = || Self(Box::default());
        let Some(row) = db.query_one(Statement::new(HASH).with(owner.as_str())).await? else {
            return Ok(none());
        };
        if let Some(hash) = row.text_or_null(0)? {
            return Ok(Self(hash.into()));
        }
        let card = db.query_one(Statement::new(CARD).with(owner.as_str())).await?;
        card.map_or(Ok(none()), |row| Ok(Self::of(row.text(0)?)))
    }
}

impl Photo {
    /// Of the picture in a vcard-temp. XEP-0153 §3.1: "the SHA1 hash of the avatar image data
    /// itself (not the base64-encoded version)".
    pub(super) fn of(card: &str) -> Self {
        Self::from(Picture::of(card).as_ref())
    }
}

impl From<Option<&Picture>> for Photo {
    fn from(picture: Option<&Picture>) -> Self {
        Self(picture.map(|picture| picture.hash.clone()).unwrap_or_default())
    }
}

/// A picture of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Its media type.
    pub(super) kind: String,
    /// Base64 without white space.
    pub(super) data: String,
    /// SHA-1 of the picture, in hexadecimal.
    pub(super) hash: Box<str>,
    pub(super) bytes: usize,
}

impl Picture {
    /// Reads Base64, with white space or without. Where nobody says what it is, the picture does.
    pub(super) fn read(data: &str, kind: Option<&str>) -> Option<Self> {
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        // XEP-0153 §4.6: "any whitespace characters (e.g., '\r' and '\n') MUST be ignored".
        let data: String = data.split_whitespace().collect();
        let image = GeneralPurpose::new(&STANDARD, config).decode(&data).ok()?;
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &image);
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let kind = kind.filter(|kind| kind.contains('/')).unwrap_or_else(|| kind_of(&image));
        let picture = Self { kind: kind.to_owned(), data, hash: hash.into(), bytes: image.len() };
        (!image.is_empty()).then_some(picture)
    }

    /// The picture in a vcard-temp.
    pub(super) fn of(card: &str) -> Option<Self> {
        let tree = Tree::read(card);
        let photo = tree.root("vCard", NS)?.child("PHOTO", NS)?;
        let first = |name| parts(photo, name).into_iter().next();
        Self::read(&first("BINVAL")?, first("TYPE").as_deref())
    }
}

/// By the first bytes. XEP-0084 §4.1 knows one type for pictures of which nothing else is said.
fn kind_of(image: &[u8]) -> &'static str {
    match image {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => "image/png",
    }
}

impl Vcard {
    /// XEP-0398 §4: "services MUST include the hash on behalf of their users in every available
    /// presence that does not contain an empty photo element … Empty x elements … MUST be
    /// overwritten. Presences where the content of the photo element is not empty and not equal to
    /// the hash calculated by the service MAY be overwritten."
    pub(super) fn stamp(&self, account: &Account, stanza: &mut Stanza) {
        if stanza.head.kind != Kind::Presence(PresenceType::Available) {
            return;
        }
        let hash = account.fact(self.photo);
        let said = stanza.body.child("x", UPDATE);
        let said = said.map(|x| x.child("photo", UPDATE).map(|photo| photo.text().into_owned()));
        let is_right = match said.as_ref().map(|photo| photo.as_deref().map(str::trim)) {
            None => hash.0.is_empty(),
            Some(None) => false,
            Some(Some("")) => true,
            Some(Some(said)) => hash.0.is_empty() || said.eq_ignore_ascii_case(&hash.0),
        };
        if is_right {
            return;
        }
        let mut update = format!("<x xmlns='{UPDATE}'>");
        element(&mut update, "photo", &hash.0);
        update.push_str("</x>");
        let body = stanza.body_mut();
        if said.is_some() {
            body.remove("x", UPDATE);
        }
        body.append(update);
    }
}
