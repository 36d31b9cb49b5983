//! The card in a node of the account, as XEP-0292 §4.1 has it since version 0.11.

use std::sync::Arc;

use waxwing_kernel::module::Module;
use waxwing_kernel::nodes::{KnownNode, NodeNews, Published, Which};
use waxwing_stanza::StanzaError;

use super::avatar::Person;
use super::kept::Kept;
use super::photo::Photo;
use super::tree::Tree;
use super::{NS4, Vcard, unread};

/// A card without anything.
const EMPTY: &str = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>";

pub(super) const NODE: &str = "urn:xmpp:vcard4";

/// XEP-0222 §2: kept, and as open as other things that a person tells of themselves.
pub(super) static KNOWN: KnownNode = KnownNode { name: NODE, is_prefix: false, preset: &[] };

impl Vcard {
    /// The card was published: it is what those get who ask for a card, too.
    pub(super) async fn heard_card(self: Arc<Self>, published: Published) {
        if published.origin == Some(Self::ABOUT.name) {
            return;
        }
        let Published { hub, site, owner: Some(account), news, .. } = published else { return };
        let person = Person { hub: &hub, site: &site, account: &account };
        if let Err(error) = self.take_card(&person, &news).await {
            tracing::warn!(account = %account.jid(), %error, "a card did not get out of its node");
        }
    }

    async fn take_card(&self, person: &Person<'_>, news: &NodeNews) -> Result<(), StanzaError> {
        let card = match news {
            NodeNews::Items(items) => match items.last() {
                Some(it) if Tree::read(&it.payload).root("vcard", NS4).is_some() => {
                    it.payload.to_string()
                }
                _ => return Ok(()),
            },
            NodeNews::Retracted(_) | NodeNews::Purged | NodeNews::Deleted => EMPTY.to_owned(),
        };
        let (account, db) = (person.account, person.hub.db());
        let turn = account.turn().await;
        let before = Kept::load(db, account.jid()).await.map_err(unread)?;
        if card == EMPTY && before.as_ref().is_none_or(|before| !before.is_nodes) {
            return Ok(()); // what was written elsewhere stays
        }
        let picture = before.as_ref().and_then(Kept::picture);
        let mut kept = Kept { is_nodes: true, ..Kept::new(card, true) };
        kept.has_nodes_photo = before.is_none_or(|before| before.has_nodes_photo);
        // The picture has nodes of its own.
        if let Some(picture) = &picture {
            kept = kept.with_picture(Some(picture));
        }
        if kept.card.len() > self.config.size.len() {
            let text = format!("it is larger than {}", self.config.size);
            return Err(StanzaError::policy_violation().text(text));
        }
        let photo = Photo::from(kept.picture().as_ref());
        db.batch(vec![kept.put(account.jid(), &photo)]).await.map_err(unread)?;
        turn.publish(self.photo, photo);
        Ok(())
    }

    /// A card that came by another way is published as well, without its picture. XEP-0292 §4.1.2:
    /// "The publication request needs to include the entire vCard".
    pub(super) async fn give_card(
        &self,
        person: &Person<'_>,
        kept: Kept,
    ) -> Result<(), StanzaError> {
        let kept = kept.with_picture(None);
        let is_nothing = kept.is_empty();
        let card = kept.four();
        let Some(nodes) = person.site.nodes() else { return Ok(()) };
        let there = nodes.items(person.at(NODE), Which::Last(1)).await?;
        let is_there = there.last().is_some_and(|item| *item.payload == *card);
        if is_there || there.is_empty() && is_nothing {
            return Ok(());
        }
        person.publish(NODE, "current", &card).await
    }
}
