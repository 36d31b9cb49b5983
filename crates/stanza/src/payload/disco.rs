//! XEP-0030: Service Discovery, version 2.5.0.

use xso::{AsXml, FromXml};

use super::dataform::DataForm;

/// Namespace of questions about what an entity is and can do.
pub const INFO: &str = "http://jabber.org/protocol/disco#info";

/// Namespace of questions about what belongs to an entity.
pub const ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// What an entity is and can do (§3); without identities and features, the question.
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq, Eq)]
#[xml(namespace = INFO, name = "query", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Info {
    /// The part of the entity that is meant.
    #[xml(attribute(default))]
    pub node: Option<String>,
    /// What it is.
    #[xml(child(n = ..))]
    pub identities: Vec<Identity>,
    /// What it can do.
    #[xml(child(n = ..))]
    pub features: Vec<Feature>,
    /// More about it (XEP-0128).
    #[xml(child(n = ..))]
    pub forms: Vec<DataForm>,
}

/// What an entity is: a category and a type of the registry.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[xml(
    namespace = INFO,
    name = "identity",
    on_unknown_attribute = Discard,
    on_unknown_child = Discard
)]
pub struct Identity {
    /// The category, such as `server`.
    #[xml(attribute)]
    pub category: String,
    /// The type, such as `im`.
    #[xml(attribute = "type")]
    pub kind: String,
    /// The language of the name.
    #[xml(lang(default))]
    pub lang: Option<String>,
    /// A name for people.
    #[xml(attribute(default))]
    pub name: Option<String>,
}

/// Something that an entity can do.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[xml(
    namespace = INFO,
    name = "feature",
    on_unknown_attribute = Discard,
    on_unknown_child = Discard
)]
pub struct Feature {
    /// A namespace, or another registered name.
    #[xml(attribute)]
    pub var: String,
}

/// What belongs to an entity (§4); without items, the question.
#[derive(FromXml, AsXml, Clone, Debug, Default, PartialEq, Eq)]
#[xml(namespace = ITEMS, name = "query", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct Items {
    /// The part of the entity that is meant.
    #[xml(attribute(default))]
    pub node: Option<String>,
    /// What belongs to it.
    #[xml(child(n = ..))]
    pub items: Vec<Item>,
}

/// Something that belongs to an entity.
#[derive(FromXml, AsXml, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[xml(namespace = ITEMS, name = "item", on_unknown_attribute = Discard, on_unknown_child = Discard)]
pub struct Item {
    /// Its address.
    #[xml(attribute)]
    pub jid: String,
    /// The part of that address that is meant.
    #[xml(attribute(default))]
    pub node: Option<String>,
    /// A name for people.
    #[xml(attribute(default))]
    pub name: Option<String>,
}

crate::payload!(Info, "query", INFO);
crate::payload!(Items, "query", ITEMS);
crate::reply!(Info, Items);

impl Identity {
    /// An identity in no particular language.
    pub fn new(category: &str, kind: &str, name: Option<&str>) -> Identity {
        Identity {
            category: category.to_owned(),
            kind: kind.to_owned(),
            lang: None,
            name: name.map(str::to_owned),
        }
    }
}

impl Info {
    /// Adds features.
    pub fn with<'a>(mut self, features: impl IntoIterator<Item = &'a str>) -> Info {
        self.features.extend(features.into_iter().map(|var| Feature { var: var.to_owned() }));
        self
    }

    /// Whether it has the feature `var`.
    pub fn has(&self, var: &str) -> bool {
        self.features.iter().any(|feature| feature.var == var)
    }

    /// Puts everything in one order and drops what is there twice: XEP-0115 §5.4 calls an answer
    /// with the same identity, feature or form twice ill-formed.
    pub fn sorted(mut self) -> Info {
        self.identities.sort();
        self.identities.dedup();
        self.features.sort();
        self.features.dedup();
        self.forms.sort_by(|one, other| one.form_type().cmp(&other.form_type()));
        self.forms.dedup_by(|one, other| one.form_type() == other.form_type());
        self
    }
}
