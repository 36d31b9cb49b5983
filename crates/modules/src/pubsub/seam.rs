//! Nodes for other modules ([`waxwing_kernel::nodes`]).

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::nodes::{NodeAsk, NodeItem, Nodes, Publication, Which};
use waxwing_kernel::request::Answer;
use waxwing_kernel::stage::Party;
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_store::domains::pubsub::{Items, Slice};

use super::config::OPTIONS_FORM;
use super::errors::unstored;
use super::node::Item;
use super::rights::{Action, judge};
use super::wire::Draft;
use super::{Errand, Pubsub};

impl Pubsub {
    /// What a module does, it does as the owner.
    fn errand(&self, at: &NodeAsk<'_>) -> Errand {
        let realm = self.realm(at.owner.map(Arc::clone));
        Errand {
            hub: at.hub.clone(),
            site: Arc::clone(at.site),
            from: Party::new(realm.jid.to_jid(), at.owner.map(Arc::clone)),
            asker: realm.jid.clone(),
            realm,
            origin: Some(at.origin),
        }
    }
}

impl Nodes for Pubsub {
    fn publish<'a>(
        &'a self,
        at: NodeAsk<'a>,
        what: Publication<'a>,
    ) -> Answer<'a, Result<(), StanzaError>> {
        Box::pin(async move {
            let on = self.errand(&at);
            let node = self.node(&on.realm, at.node).await?;
            let draft = |(id, payload): &(&str, &str)| Draft {
                id: Some((*id).to_owned()),
                payload: (*payload).to_owned(),
            };
            let drafts = what.items.iter().map(draft).collect();
            let options = (!what.options.is_empty()).then(|| {
                let field = |form: DataForm, (var, value): &(&str, &str)| {
                    form.with(Field::new(FieldType::TextSingle, *var).value(*value))
                };
                let form = DataForm::new(FormType::Submit).about(OPTIONS_FORM);
                what.options.iter().fold(form, field)
            });
            self.publish_at(&on, &node, drafts, options).await.map(drop)
        })
    }

    fn items<'a>(
        &'a self,
        at: NodeAsk<'a>,
        which: Which<'a>,
    ) -> Answer<'a, Result<Vec<NodeItem>, StanzaError>> {
        Box::pin(async move {
            let on = self.errand(&at);
            let node = self.node(&on.realm, at.node).await?;
            let Some(state) = node.state() else { return Ok(Vec::new()) };
            let now = at.hub.clock().wall_millis().cast_signed();
            // Nearly always the last is all that is asked for.
            if let Which::Last(1) = which {
                let last = state.last_item(at.hub.db()).await.map_err(unstored)?;
                let last = last.filter(|last| !last.is_over(now));
                return Ok(last.iter().map(|last| last.shown()).collect());
            }
            let rows = Items::new(at.hub.db().clone());
            let all = Slice { node: state.id, above: 0, below: i64::MAX, is_back: true, now };
            let mut found = match which {
                Which::Last(count) => rows.slice(all, count).await,
                Which::Ids(ids) => rows.find(state.id, ids, now).await,
            }
            .map_err(unstored)?;
            if let Which::Last(_) = which {
                found.reverse();
            }
            let items = found.into_iter().map(|row| Item::of(row).map(|item| item.shown()));
            items.collect::<Result<_, _>>().map_err(unstored)
        })
    }

    fn retract<'a>(
        &'a self,
        at: NodeAsk<'a>,
        ids: &'a [&'a str],
    ) -> Answer<'a, Result<(), StanzaError>> {
        Box::pin(async move {
            let on = self.errand(&at);
            let node = self.node(&on.realm, at.node).await?;
            let _turn = node.turn(at.hub.db()).await.map_err(unstored)?;
            let Some(state) = node.state() else { return Ok(()) };
            let rows = Items::new(at.hub.db().clone());
            let now = at.hub.clock().wall_millis().cast_signed();
            let there = rows.find(state.id, ids, now).await.map_err(unstored)?;
            if there.is_empty() {
                return Ok(());
            }
            let ids = there.into_iter().map(|item| item.id).collect();
            self.retract_there(&on, &node, &state, (ids, false)).await
        })
    }

    fn delete<'a>(&'a self, at: NodeAsk<'a>) -> Answer<'a, Result<bool, StanzaError>> {
        Box::pin(async move {
            let on = self.errand(&at);
            let node = self.node(&on.realm, at.node).await?;
            let _turn = node.turn(at.hub.db()).await.map_err(unstored)?;
            let Some(state) = node.state() else { return Ok(false) };
            self.delete_there(&on, &node, &state, None).await.map(|()| true)
        })
    }

    fn may_read<'a>(
        &'a self,
        at: NodeAsk<'a>,
        reader: &'a BareJid,
    ) -> Answer<'a, Result<bool, StanzaError>> {
        Box::pin(async move {
            let realm = self.realm(at.owner.map(Arc::clone));
            let node = self.node(&realm, at.node).await?;
            let Some(state) = node.state() else { return Ok(false) };
            let standing = self.standing(at.site, &realm, (&node, &state), reader).await?;
            Ok(judge(Action::Retrieve, &state.config, &standing).is_ok())
        })
    }
}
