//! The picture of a person in two places (XEP-0398): in the nodes of XEP-0084 and in the card.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::account::Account;
use waxwing_kernel::module::Module;
use waxwing_kernel::nodes::{KnownNode, NodeAsk, NodeNews, Publication, Published, Which};
use waxwing_kernel::request::Request;
use waxwing_kernel::{Hub, Site};
use waxwing_stanza::StanzaError;
use waxwing_xml::write;

use super::kept::Kept;
use super::photo::{Photo, Picture};
use super::tree::Tree;
use super::{Vcard, unread};

pub(super) const DATA: &str = "urn:xmpp:avatar:data";
const METADATA: &str = "urn:xmpp:avatar:metadata";

/// Pictures are fetched by those who have not got them: nobody is told.
pub(super) static DATA_NODE: KnownNode = KnownNode {
    name: DATA,
    is_prefix: false,
    preset: &[("pubsub#send_last_published_item", "never"), ("pubsub#notify_retract", "false")],
};
pub(super) static METADATA_NODE: KnownNode =
    KnownNode { name: METADATA, is_prefix: false, preset: &[] };

/// Whose nodes and card.
pub(super) struct Person<'a> {
    pub(super) hub: &'a Hub,
    pub(super) site: &'a Arc<Site>,
    pub(super) account: &'a Arc<Account>,
}

impl<'a> Person<'a> {
    /// Whose card is asked for.
    pub(super) fn of<P>(ask: &'a Request<P>) -> Self {
        Self { hub: &ask.hub, site: &ask.site, account: ask.account() }
    }

    /// A node of theirs.
    pub(super) fn at(&self, node: &'a str) -> NodeAsk<'a> {
        let Self { hub, site, account } = *self;
        NodeAsk { hub, site, owner: Some(account), node, origin: Vcard::ABOUT.name }
    }

    /// Publishes something that replaces what was there.
    pub(super) async fn publish(&self, node: &str, id: &str, xml: &str) -> Result<(), StanzaError> {
        let Some(nodes) = self.site.nodes() else { return Ok(()) };
        let Self { hub, site, account } = *self;
        let at = NodeAsk { hub, site, owner: Some(account), node, origin: Vcard::ABOUT.name };
        nodes.publish(at, Publication { items: &[(id, xml)], options: &[] }).await
    }
}

impl Vcard {
    /// §3.1: "Upon receiving a publication request to the 'urn:xmpp:avatar:metadata' node the
    /// service MUST look up the corresponding item published in the 'urn:xmpp:avatar:data' node and
    /// store the content of the data element as a photo in the vcard."
    pub(super) async fn heard_avatar(self: Arc<Self>, published: Published) {
        if published.origin == Some(Self::ABOUT.name) {
            return;
        }
        let Published { hub, site, owner: Some(account), news, .. } = published else { return };
        let person = Person { hub: &hub, site: &site, account: &account };
        if let Err(error) = self.take_picture(&person, &news).await {
            tracing::warn!(account = %account.jid(), %error, "a picture did not get into the card");
        }
    }

    async fn take_picture(&self, person: &Person<'_>, news: &NodeNews) -> Result<(), StanzaError> {
        let picture = match news {
            NodeNews::Items(items) => match items.last() {
                Some(item) => published_picture(person, &item.payload).await?,
                None => return Ok(()),
            },
            NodeNews::Retracted(_) | NodeNews::Purged | NodeNews::Deleted => None,
        };
        let (account, db) = (person.account, person.hub.db());
        let turn = account.turn().await;
        let before = Kept::load(db, account.jid()).await.map_err(unread)?;
        let Some(kept) = before.or_else(|| picture.as_ref().map(|_| Kept::empty())) else {
            return Ok(());
        };
        if !matches!(news, NodeNews::Items(_)) && !kept.has_nodes_photo {
            return Ok(());
        }
        let mut kept = kept.with_picture(picture.as_ref());
        kept.has_nodes_photo = picture.is_some();
        if kept.card.len() > self.config.size.len() {
            let text = format!("the card with it would be larger than {}", self.config.size);
            return Err(StanzaError::policy_violation().text(text));
        }
        let photo = Photo::from(picture.as_ref());
        db.batch(vec![kept.put(account.jid(), &photo)]).await.map_err(unread)?;
        turn.publish(self.photo, photo);
        Ok(())
    }

    /// §3.2: "Upon receiving a vCard publication request with a valid photo attached to it a
    /// service MUST first publish an item to the 'urn:xmpp:avatar:data' node on behalf of the
    /// requesting entity. … Afterwards the service MUST publish a new item to the
    /// 'urn:xmpp:avatar:metadata' node with one info element". Where the picture was taken out,
    /// XEP-0084 §3.5: "the user publishes an empty <metadata/> element".
    pub(super) async fn give_picture(
        &self,
        person: &Person<'_>,
        picture: Option<&Picture>,
    ) -> Result<(), StanzaError> {
        let Some(Picture { kind, data, hash, bytes }) = picture else {
            let none = format!("<metadata xmlns='{METADATA}'/>");
            return person.publish(METADATA, "current", &none).await;
        };
        person.publish(DATA, hash, &format!("<data xmlns='{DATA}'>{data}</data>")).await?;
        let mut metadata = format!("<metadata xmlns='{METADATA}'><info");
        for (name, value) in [("bytes", bytes.to_string().as_str()), ("id", hash), ("type", kind)] {
            write::attribute(&mut metadata, name, value);
        }
        metadata.push_str("/></metadata>");
        person.publish(METADATA, hash, &metadata).await
    }

    /// §5.2: services "SHOULD check if the requestor of the vCard has access to the PEP nodes".
    pub(super) async fn may_see(
        &self,
        at: NodeAsk<'_>,
        reader: &BareJid,
    ) -> Result<bool, StanzaError> {
        match at.site.nodes() {
            Some(nodes) => nodes.may_read(at, reader).await,
            None => Ok(false),
        }
    }
}

/// The picture that metadata tell of. §3.1: "Services MUST consider the fact that the metadata node
/// might contain multiple info elements and MUST pick the info element that does not point to an
/// exernal URL. Services SHOULD verify that the SHA-1 hash of the image matches the id."
async fn published_picture(
    person: &Person<'_>,
    metadata: &str,
) -> Result<Option<Picture>, StanzaError> {
    let told: Vec<(String, Option<String>)> = {
        let tree = Tree::read(metadata);
        let root = tree.root("metadata", METADATA);
        let infos = root.iter().flat_map(|root| root.children());
        let here =
            infos.filter(|info| info.is("info", METADATA) && info.attribute("url").is_none());
        let owned = |text: std::borrow::Cow<'_, str>| text.into_owned();
        here.filter_map(|info| {
            Some((owned(info.attribute("id")?), info.attribute("type").map(owned)))
        })
        .collect()
    };
    let Some(nodes) = person.site.nodes() else { return Ok(None) };
    for (id, kind) in told {
        let items = nodes.items(person.at(DATA), Which::Ids(&[&id])).await?;
        let data = items.first().and_then(|item| {
            let tree = Tree::read(&item.payload);
            tree.root("data", DATA).map(|data| data.text().into_owned())
        });
        let picture = data.and_then(|data| Picture::read(&data, kind.as_deref()));
        if let Some(picture) = picture.filter(|picture| picture.hash.eq_ignore_ascii_case(&id)) {
            return Ok(Some(picture));
        }
    }
    Ok(None)
}
