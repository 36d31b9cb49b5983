//! How a node is configured: what it keeps, whom it lets in, whom it tells.

mod fields;
mod form;

use std::sync::Arc;

use serde_json::{Map, Value};
use waxwing_jid::Jid;
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::DataForm;

pub(super) use self::fields::{FIELDS, FieldAbout};
pub(super) use self::form::{OPTIONS_FORM, differs, meta, submitted};

/// Bytes of all texts of a configuration: thousands are in memory.
const CONFIG_BYTES: usize = 16 * 1024;

/// A configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// What the node is called for people.
    pub(super) title: String,
    pub(super) description: String,
    /// The default language.
    pub(super) language: String,
    /// What kind of data it holds; usually the namespace of the payloads (`pubsub#type`).
    pub(super) kind: String,
    /// Those to ask about it.
    pub(super) contacts: Vec<Jid>,
    pub(super) access: Access,
    /// Groups of the owner's contacts that may read, where the access model asks for them.
    pub(super) groups: Vec<String>,
    pub(super) publish_model: PublishModel,
    /// Whether items are kept.
    pub(super) persists: bool,
    pub(super) max_items: Count,
    /// Seconds after which an item ends.
    pub(super) item_expire: Option<Count>,
    pub(super) when_full: WhenFull,
    pub(super) payload_bytes: u32,
    /// Whether anybody is told anything.
    pub(super) delivers: bool,
    /// Whether the payload is in what they are told.
    pub(super) delivers_payloads: bool,
    /// Whether notifications are headlines; otherwise they are normal messages.
    pub(super) headlines: bool,
    pub(super) notify_config: bool,
    pub(super) notify_delete: bool,
    pub(super) notify_retract: bool,
    /// Whether owners are told of those who subscribe and unsubscribe.
    pub(super) notify_sub: bool,
    /// Whether only those are told who are available.
    pub(super) presence_based: bool,
    /// Whether the items of somebody go when they go offline.
    pub(super) purge_offline: bool,
    pub(super) send_last: SendLast,
    /// Whether subscriptions end when the subscriber goes offline.
    pub(super) tempsub: bool,
    pub(super) takes_subscriptions: bool,
    /// Whether items say who published them.
    pub(super) itemreply: ItemReply,
}

/// Who may subscribe and read (§4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Open,
    Presence,
    Roster,
    Authorize,
    Whitelist,
}

impl Access {
    pub(super) const ALL: [Self; 5] =
        [Self::Open, Self::Presence, Self::Roster, Self::Authorize, Self::Whitelist];

    /// As it stands in the store.
    pub(super) fn number(self) -> i64 {
        Self::ALL.iter().position(|it| *it == self).unwrap_or_default() as i64
    }

    /// The one with this number in the store.
    pub(super) fn of(number: i64) -> Self {
        let found = usize::try_from(number).ok().and_then(|index| Self::ALL.get(index));
        found.copied().unwrap_or(Self::Whitelist)
    }
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PublishModel {
    Publishers,
    Subscribers,
    Open,
}

/// What happens when one more is published at a node that is full (§7.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenFull {
    RetractOldest,
    DiscardOldest,
    Reject,
}

/// When the item that was published last is sent to subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendLast {
    Never,
    OnSubscription,
    OnSubscriptionAndPresence,
}

/// Whom replies to items go to; whether items name their publisher follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemReply {
    None,
    Owner,
    Publisher,
}

/// A number, or as many as the service allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Number(u32),
    Max,
}

/// What a service allows at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Items of one node.
    pub(super) items: u32,
    /// Bytes of one payload.
    pub(super) payload_bytes: u32,
}

impl Config {
    /// What stored configurations are told apart from. It never changes: they are kept as the
    /// difference from it.
    fn base() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            language: String::new(),
            kind: String::new(),
            contacts: Vec::new(),
            access: Access::Open,
            groups: Vec::new(),
            publish_model: PublishModel::Publishers,
            persists: true,
            max_items: Count::Max,
            item_expire: None,
            when_full: WhenFull::RetractOldest,
            payload_bytes: 256 * 1024,
            delivers: true,
            delivers_payloads: true,
            headlines: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            presence_based: false,
            purge_offline: false,
            send_last: SendLast::OnSubscriptionAndPresence,
            tempsub: false,
            takes_subscriptions: true,
            itemreply: ItemReply::None,
        }
    }

    /// What a node of a service is like when nobody says otherwise. §4.3: with the feature
    /// `last-published` "the value of this option MUST default to "on_sub_and_presence"".
    pub(super) fn of_service(bounds: Bounds) -> Self {
        Self { payload_bytes: bounds.payload_bytes, ..Self::base() }
    }

    /// What a node of an account is like when nobody says otherwise. XEP-0163 §3.5: "smart
    /// defaults", with an access model of "presence".
    pub(super) fn of_account(bounds: Bounds) -> Self {
        Self { access: Access::Presence, max_items: Count::Number(1), ..Self::of_service(bounds) }
    }

    /// How many items it may keep.
    pub(super) fn items_max(&self, bounds: Bounds) -> u32 {
        match self.max_items {
            Count::Number(number) => number.min(bounds.items),
            Count::Max => bounds.items,
        }
    }

    /// Milliseconds after which an item ends; none for never.
    pub(super) fn lifetime_millis(&self) -> Option<i64> {
        match self.item_expire {
            Some(Count::Number(seconds)) if seconds > 0 => Some(i64::from(seconds) * 1000),
            _ => None,
        }
    }

    /// The same with what a form says. Fields that are not known are passed over.
    ///
    /// # Errors
    /// `not-acceptable` with the field and what is wrong with it.
    pub(super) fn with(&self, form: &DataForm, bounds: Bounds) -> Result<Self, StanzaError> {
        let mut config = self.clone();
        for field in &form.fields {
            let Some(about) = field.var.as_deref().and_then(fields::find) else { continue };
            // XEP-0004 §3.3: what is not filled in stands without a value, or not at all.
            if field.values.is_empty() && !about.may_be_empty() {
                continue;
            }
            config.set(about, &field.values)?;
        }
        config.bound(bounds);
        match config.bytes() > CONFIG_BYTES {
            true => {
                let text = format!("All texts of a configuration may have {CONFIG_BYTES} bytes.");
                Err(StanzaError::not_acceptable().text(text))
            }
            false => Ok(config),
        }
    }

    /// Bytes of everything in it that has no length of its own.
    fn bytes(&self) -> usize {
        let texts = [&self.title, &self.description, &self.language, &self.kind];
        let texts = texts.into_iter().chain(&self.groups).map(String::len);
        texts.chain(self.contacts.iter().map(|jid| jid.as_str().len())).sum()
    }

    /// Sets one field.
    ///
    /// # Errors
    /// `not-acceptable` with the field and what is wrong with it.
    pub(super) fn set(&mut self, about: &FieldAbout, values: &[String]) -> Result<(), StanzaError> {
        (about.read)(self, values).map_err(|problem| {
            let error = StanzaError::not_acceptable().text(format!("{}: {problem}", about.var));
            match about.var {
                // §8.1.2: "If service does not support the specified access model".
                fields::ACCESS => super::errors::with(error, "unsupported-access-model"),
                _ => error,
            }
        })
    }

    /// What the module that knows a node says of it.
    pub(super) fn preset(&mut self, preset: &[(&str, &str)], bounds: Bounds) {
        for (var, value) in preset {
            let about = fields::find(var);
            let set = about.map(|about| self.set(about, &[(*value).to_owned()]));
            debug_assert!(matches!(set, Some(Ok(()))), "{var} cannot be {value}");
        }
        self.bound(bounds);
    }

    fn bound(&mut self, bounds: Bounds) {
        self.payload_bytes = self.payload_bytes.min(bounds.payload_bytes);
        if matches!(self.max_items, Count::Number(number) if number >= bounds.items) {
            self.max_items = Count::Max;
        }
    }

    /// As it is stored: the fields that are not as in [`Config::base`].
    pub(super) fn to_text(&self) -> String {
        let base = Self::base();
        let mut object = Map::new();
        for about in FIELDS {
            let values = (about.show)(self);
            if values != (about.show)(&base) {
                object.insert(about.var.to_owned(), values.into());
            }
        }
        Value::Object(object).to_string()
    }

    /// From what is stored. What cannot be read is as usual: a newer release may have written it.
    pub(super) fn from_text(text: &str) -> Arc<Self> {
        let mut config = Self::base();
        let object = serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
        for (var, values) in &object {
            let (Some(about), Some(values)) = (fields::find(var), values.as_array()) else {
                continue;
            };
            let values = values.iter().filter_map(|value| value.as_str().map(str::to_owned));
            let values: Vec<String> = values.collect();
            if let Err(problem) = (about.read)(&mut config, &values) {
                tracing::warn!(var, %problem, "a stored node configuration cannot be read");
            }
        }
        Arc::new(config)
    }
}

#[cfg(test)]
mod tests;
