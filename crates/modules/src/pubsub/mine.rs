//! What subscribers see and change of what they have: the options of a subscription, and the list
//! of their subscriptions (§5.6, §6.3, §6.4).

use waxwing_jid::Jid;
use waxwing_stanza::payload::dataform::{DataForm, FormType};
use waxwing_stanza::to_xml;
use waxwing_store::domains::pubsub::Subscriptions;
use waxwing_xml::write;

use super::errors::unstored;
use super::news::has_words;
use super::options::{Ends, Options};
use super::rights::Action;
use super::subscribe::{closed, is_own, opened, put, terms_of};
use super::subscribers::{Status, Terms};
use super::{Answer, Errand, Pubsub};

impl Pubsub {
    /// §6.3.2
    pub(super) async fn options(
        &self,
        on: &Errand,
        name: String,
        jid: Jid,
        subid: Option<String>,
    ) -> Answer {
        is_own(on, &jid)?;
        let node = self.node(&on.realm, &name).await?;
        let state = node.there()?;
        let row = self.chosen(on, &state, &jid, subid.as_deref()).await?;
        let options = Options::from_text(row.options.as_deref());
        let form = options.form(FormType::Form, Ends::of(row.expires), has_words(&state.config));
        let mut out = opened();
        out.push_str("<options");
        for (key, value) in [("node", &*name), ("jid", jid.as_str()), ("subid", &*row.subid)] {
            write::attribute(&mut out, key, value);
        }
        out.push('>');
        out.push_str(&to_xml(&form));
        out.push_str("</options>");
        Ok(Some(closed(out)))
    }

    /// §6.3.5
    pub(super) async fn set_options(
        &self,
        on: &Errand,
        name: String,
        (jid, subid): (Jid, Option<String>),
        form: DataForm,
    ) -> Answer {
        is_own(on, &jid)?;
        let node = self.node(&on.realm, &name).await?;
        let _turn = node.turn(on.hub.db()).await.map_err(unstored)?;
        let state = node.there()?;
        let row = self.chosen(on, &state, &jid, subid.as_deref()).await?;
        if form.kind == FormType::Cancel {
            return Ok(None);
        }
        let (options, before) = (Options::from_text(row.options.as_deref()), Ends::of(row.expires));
        let (options, ends) = options.with(before, &form, self.lease(&state))?;
        self.check_presence(on, &jid, ends)?;
        // §4.2: an unconfigured subscription is one "but its subscription options have not yet been
        // configured".
        let status = match Status::of(row.state) {
            Status::Unconfigured => Status::Subscribed,
            status => status,
        };
        if before == Ends::WithPresence {
            self.voice.fleeting.remove(&jid, &node.owner, &row.subid);
        }
        let terms = Terms { subid: row.subid.into(), status, options, ends };
        self.keep(on, (&node, &state), &jid, &terms).await?;
        Ok(None)
    }

    /// §6.4
    pub(super) async fn default_options(&self, on: &Errand, name: Option<String>) -> Answer {
        let mut out = opened();
        out.push_str("<default");
        let form = match &name {
            Some(name) => {
                let node = self.node(&on.realm, name).await?;
                let state = self.allowed(on, &node, Action::Discover).await?;
                write::attribute(&mut out, "node", name);
                let ends = self.lease(&state).bound(Ends::Never);
                Options::default().form(FormType::Result, ends, has_words(&state.config))
            }
            None => Options::default().form(FormType::Result, Ends::Never, false),
        };
        out.push('>');
        out.push_str(&to_xml(&form));
        out.push_str("</default>");
        Ok(Some(closed(out)))
    }

    /// §5.6: "it MUST return all subscriptions for all JIDs that match the bare JID portion of the
    /// 'from' attribute on the request."
    pub(super) async fn my_subscriptions(&self, on: &Errand, name: Option<String>) -> Answer {
        let now = on.hub.clock().wall_millis().cast_signed();
        let mut out = opened();
        out.push_str("<subscriptions");
        let rows = match name {
            Some(name) => {
                let node = self.node(&on.realm, &name).await?;
                let state = node.there()?;
                write::attribute(&mut out, "node", &name);
                let rows = self.own(on, &state).await?;
                rows.into_iter().map(|row| (name.clone(), row)).collect()
            }
            None => {
                let stored = Subscriptions::new(on.hub.db().clone());
                let (mine, realm) = (on.asker.as_str(), on.realm.jid.as_str());
                // What was allowed before the limit was lowered is there.
                stored.everywhere(mine, realm, u32::MAX).await.map_err(unstored)?
            }
        };
        out.push('>');
        for (name, row) in rows {
            let (terms, Ok(jid)) = (terms_of(&row), Jid::new(&row.jid)) else { continue };
            if terms.lasts(now) {
                put(&mut out, &name, &jid, &terms);
            }
        }
        out.push_str("</subscriptions>");
        Ok(Some(closed(out)))
    }
}
