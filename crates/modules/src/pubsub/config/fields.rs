//! The fields of a node's configuration (XEP-0060 §16.4.4), one row each.
//!
//! Left out are those of collections (XEP-0248) and of style sheets, which nobody applies.

use waxwing_jid::Jid;
use waxwing_stanza::payload::dataform::FieldType;

use super::{Access, Config, Count, ItemReply, PublishModel, SendLast, WhenFull};

/// Characters that a text may have.
const TEXT_MAX: usize = 1024;
/// Values that a list may have.
const LIST_MAX: usize = 100;

/// The name of the field with the access model.
pub(super) const ACCESS: &str = "pubsub#access_model";

/// One field.
pub(in super::super) struct FieldAbout {
    /// Its name in forms.
    pub(in super::super) var: &'static str,
    /// Its name for people.
    pub(in super::super) label: &'static str,
    pub(in super::super) kind: FieldType,
    /// What may be chosen, with a name for people.
    pub(in super::super) choices: &'static [(&'static str, &'static str)],
    /// Its values in a configuration.
    pub(in super::super) show: fn(&Config) -> Vec<String>,
    /// Sets it from values, or says what is wrong with them.
    pub(in super::super) read: fn(&mut Config, &[String]) -> Result<(), String>,
}

impl FieldAbout {
    /// Whether no value means something else than silence.
    pub(super) fn may_be_empty(&self) -> bool {
        matches!(
            self.kind,
            FieldType::TextSingle
                | FieldType::TextMulti
                | FieldType::JidMulti
                | FieldType::ListMulti
        )
    }
}

/// The field of this name.
pub(super) fn find(var: &str) -> Option<&'static FieldAbout> {
    FIELDS.iter().find(|about| about.var == var)
}

type Choices = &'static [(&'static str, &'static str)];

const ACCESS_MODELS: Choices = &[
    ("open", "Anybody may subscribe and read"),
    ("presence", "Those may who are allowed to see the presence of the owner"),
    ("roster", "Those may who are in certain groups of the owner's contacts"),
    ("authorize", "Those may whom the owner has approved"),
    ("whitelist", "Those may who are on the owner's list"),
];
const PUBLISH_MODELS: Choices = &[
    ("publishers", "Only publishers may publish"),
    ("subscribers", "Subscribers may publish"),
    ("open", "Anybody may publish"),
];
const FULL: Choices = &[
    ("retract-oldest", "The oldest item is retracted"),
    ("discard-oldest", "The oldest item is removed silently"),
    ("reject", "The new item is refused"),
];
const LAST: Choices = &[
    ("never", "Never"),
    ("on_sub", "When somebody subscribes"),
    ("on_sub_and_presence", "When somebody subscribes or comes online"),
];
const REPLIES: Choices = &[
    ("none", "To nobody in particular"),
    ("owner", "To the owners of the node"),
    ("publisher", "To the publisher of the item"),
];
const STYLES: Choices = &[("normal", "Normal messages"), ("headline", "Headlines")];
const NODE_TYPES: Choices = &[("leaf", "A node with items")];

/// A field that is one text.
macro_rules! text {
    ($var:literal, $label:literal, $key:ident) => {
        FieldAbout {
            var: $var,
            label: $label,
            kind: FieldType::TextSingle,
            choices: &[],
            show: |config| some(&config.$key),
            read: |config, values| line(values).map(|text| config.$key = text),
        }
    };
}

/// A field that is yes or no.
macro_rules! flag {
    ($var:literal, $label:literal, $key:ident) => {
        FieldAbout {
            var: $var,
            label: $label,
            kind: FieldType::Boolean,
            choices: &[],
            show: |config| vec![if config.$key { "true" } else { "false" }.to_owned()],
            read: |config, values| boolean(values).map(|flag| config.$key = flag),
        }
    };
}

/// A field that is one of some words, in the order of the values of a type.
macro_rules! word {
    ($var:expr, $label:literal, $choices:expr, $key:ident = [$($value:expr),+]) => {
        FieldAbout {
            var: $var,
            label: $label,
            kind: FieldType::ListSingle,
            choices: $choices,
            show: |config| {
                let index = [$($value),+].iter().position(|value| *value == config.$key);
                vec![$choices[index.unwrap_or_default()].0.to_owned()]
            },
            read: |config, values| {
                chosen(values, $choices).map(|index| config.$key = [$($value),+][index])
            },
        }
    };
}

/// All of them, in the order in which they are shown.
pub(in super::super) const FIELDS: &[FieldAbout] = &[
    text!("pubsub#title", "A name for people", title),
    text!("pubsub#description", "What it is about", description),
    text!("pubsub#type", "The kind of data, usually the namespace of the payloads", kind),
    text!("pubsub#language", "The default language", language),
    FieldAbout {
        var: "pubsub#contact",
        label: "Whom to ask about it",
        kind: FieldType::JidMulti,
        choices: &[],
        show: |config| config.contacts.iter().map(Jid::to_string).collect(),
        read: |config, values| addresses(values).map(|jids| config.contacts = jids),
    },
    word!(
        ACCESS,
        "Who may subscribe and read",
        ACCESS_MODELS,
        access =
            [Access::Open, Access::Presence, Access::Roster, Access::Authorize, Access::Whitelist]
    ),
    FieldAbout {
        var: "pubsub#roster_groups_allowed",
        label: "Groups of contacts that may, where groups decide",
        kind: FieldType::ListMulti,
        choices: &[],
        show: |config| config.groups.clone(),
        read: |config, values| list(values).map(|groups| config.groups = groups),
    },
    word!(
        "pubsub#publish_model",
        "Who may publish",
        PUBLISH_MODELS,
        publish_model = [PublishModel::Publishers, PublishModel::Subscribers, PublishModel::Open]
    ),
    flag!("pubsub#subscribe", "Whether anybody may subscribe", takes_subscriptions),
    flag!("pubsub#persist_items", "Whether items are kept", persists),
    FieldAbout {
        var: "pubsub#max_items",
        label: "How many items are kept; max for as many as the service allows",
        kind: FieldType::TextSingle,
        choices: &[],
        show: |config| vec![config.max_items.show()],
        read: |config, values| match count(values)? {
            Some(Count::Number(0)) => Err("at least 1, or `max`".into()),
            count => {
                config.max_items = count.unwrap_or(Count::Max);
                Ok(())
            }
        },
    },
    word!(
        "pubsub#publish_node_full",
        "What happens when one more is published",
        FULL,
        when_full = [WhenFull::RetractOldest, WhenFull::DiscardOldest, WhenFull::Reject]
    ),
    FieldAbout {
        var: "pubsub#item_expire",
        label: "After how many seconds an item ends; max for never",
        kind: FieldType::TextSingle,
        choices: &[],
        show: |config| config.item_expire.iter().map(|count| count.show()).collect(),
        read: |config, values| count(values).map(|count| config.item_expire = count),
    },
    FieldAbout {
        var: "pubsub#max_payload_size",
        label: "How many bytes a payload may have",
        kind: FieldType::TextSingle,
        choices: &[],
        show: |config| vec![config.payload_bytes.to_string()],
        read: |config, values| {
            if let Some(bytes) = number(values)? {
                config.payload_bytes = bytes;
            }
            Ok(())
        },
    },
    flag!("pubsub#deliver_notifications", "Whether subscribers are told", delivers),
    flag!("pubsub#deliver_payloads", "Whether they are told payloads", delivers_payloads),
    word!(
        "pubsub#notification_type",
        "The style of what they are told",
        STYLES,
        headlines = [false, true]
    ),
    flag!("pubsub#notify_config", "Whether they are told of a new configuration", notify_config),
    flag!("pubsub#notify_delete", "Whether they are told when the node goes", notify_delete),
    flag!("pubsub#notify_retract", "Whether they are told when items go", notify_retract),
    flag!("pubsub#notify_sub", "Whether owners are told of new subscribers", notify_sub),
    flag!(
        "pubsub#presence_based_delivery",
        "Whether only those are told who are available",
        presence_based
    ),
    word!(
        "pubsub#send_last_published_item",
        "When the last item is sent",
        LAST,
        send_last =
            [SendLast::Never, SendLast::OnSubscription, SendLast::OnSubscriptionAndPresence]
    ),
    flag!(
        "pubsub#purge_offline",
        "Whether the items of a publisher go when it goes offline",
        purge_offline
    ),
    flag!("pubsub#tempsub", "Whether subscriptions end when the subscriber goes offline", tempsub),
    word!(
        "pubsub#itemreply",
        "Whom replies go to",
        REPLIES,
        itemreply = [ItemReply::None, ItemReply::Owner, ItemReply::Publisher]
    ),
    FieldAbout {
        var: "pubsub#node_type",
        label: "What kind of node it is",
        kind: FieldType::ListSingle,
        choices: NODE_TYPES,
        show: |_| vec![NODE_TYPES[0].0.to_owned()],
        read: |_, values| chosen(values, NODE_TYPES).map(drop),
    },
];

impl Count {
    fn show(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Max => "max".to_owned(),
        }
    }
}

fn some(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text.to_owned()] }
}

fn line(values: &[String]) -> Result<String, String> {
    let text = values.first().map_or("", |text| text.trim());
    if text.chars().count() > TEXT_MAX {
        return Err(format!("at most {TEXT_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn list(values: &[String]) -> Result<Vec<String>, String> {
    if values.len() > LIST_MAX {
        return Err(format!("at most {LIST_MAX} values"));
    }
    values.iter().map(|value| line(std::slice::from_ref(value))).collect()
}

fn addresses(values: &[String]) -> Result<Vec<Jid>, String> {
    let read = |text: &String| Jid::new(text).map_err(|error| format!("{text}: {error}"));
    list(values)?.iter().map(read).collect()
}

/// XEP-0004 §3.3: the lexical forms of `xs:boolean`.
fn boolean(values: &[String]) -> Result<bool, String> {
    match values.first().map(String::as_str) {
        Some("1" | "true") => Ok(true),
        Some("0" | "false") => Ok(false),
        _ => Err("`true` or `false`".into()),
    }
}

fn number(values: &[String]) -> Result<Option<u32>, String> {
    let Some(text) = values.first().map(|text| text.trim()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a whole number".into());
    }
    // What is larger than any bound is bounded.
    Ok(Some(text.parse().unwrap_or(u32::MAX)))
}

/// §16.6: "either an integer or the string "max"".
fn count(values: &[String]) -> Result<Option<Count>, String> {
    match values.first().map(|text| text.trim()) {
        Some("max") => Ok(Some(Count::Max)),
        _ => match number(values) {
            Ok(number) => Ok(number.map(Count::Number)),
            Err(_) => Err("a whole number or `max`".into()),
        },
    }
}

/// The position of what was chosen.
fn chosen(values: &[String], choices: Choices) -> Result<usize, String> {
    let value = values.first().map_or("", String::as_str);
    let index = choices.iter().position(|(choice, _)| *choice == value);
    index.ok_or_else(|| {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.as_slice() {
            [word] => word.clone(),
            words => format!("one of {}", words.join(", ")),
        }
    })
}
