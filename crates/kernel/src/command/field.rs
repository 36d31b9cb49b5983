//! The kinds of fields a form may have.

use std::fmt;

use waxwing_jid::{BareJid, Jid};
use zeroize::Zeroizing;

/// A kind of field, as XEP-0004 §3.3 knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Yes or no.
    Boolean,
    /// One line of text.
    Text,
    /// Several lines of text.
    Texts,
    /// One line of text that is not shown while it is typed.
    Private,
    /// One address.
    Jid,
    /// Several addresses.
    Jids,
    /// One of the options.
    Choice,
    /// Some of the options.
    Choices,
}

impl FieldKind {
    /// The value of the `type` attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Text => "text-single",
            Self::Texts => "text-multi",
            Self::Private => "text-private",
            Self::Jid => "jid-single",
            Self::Jids => "jid-multi",
            Self::Choice => "list-single",
            Self::Choices => "list-multi",
        }
    }

    /// Whether it takes more than one value.
    pub const fn is_many(self) -> bool {
        matches!(self, Self::Texts | Self::Jids | Self::Choices)
    }

    /// The kind for several of these.
    pub const fn many(self) -> Self {
        match self {
            Self::Jid | Self::Jids => Self::Jids,
            Self::Choice | Self::Choices => Self::Choices,
            Self::Boolean | Self::Text | Self::Texts | Self::Private => Self::Texts,
        }
    }
}

/// What a field of a form may be.
pub trait Field: Sized {
    /// How it is asked for.
    const KIND: FieldKind;
    /// Whether it must be filled in.
    const IS_REQUIRED: bool = true;
    /// Whether it is a whole number, from 0 on.
    const IS_NUMBER: bool = false;
    /// The words allowed and what each means; empty when anything of the kind is.
    const OPTIONS: &'static [(&'static str, &'static str)] = &[];
    /// Reads what was filled in. `values` has no empty texts.
    fn read(values: &[&str]) -> Result<Self, String>;
}

/// A text that nobody may see: never printed, erased when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text that shall be secret from now on.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Field for Secret {
    const KIND: FieldKind = FieldKind::Private;
    fn read(values: &[&str]) -> Result<Self, String> {
        one(values).map(|text| Self::new(text.to_owned()))
    }
}

impl Field for String {
    const KIND: FieldKind = FieldKind::Text;
    fn read(values: &[&str]) -> Result<Self, String> {
        one(values).map(str::to_owned)
    }
}

impl Field for BareJid {
    const KIND: FieldKind = FieldKind::Jid;
    fn read(values: &[&str]) -> Result<Self, String> {
        let text = one(values)?.trim();
        BareJid::new(text).map_err(|error| format!("{text:?} is no address: {error}"))
    }
}

impl Field for Jid {
    const KIND: FieldKind = FieldKind::Jid;
    fn read(values: &[&str]) -> Result<Self, String> {
        let text = one(values)?.trim();
        Jid::new(text).map_err(|error| format!("{text:?} is no address: {error}"))
    }
}

impl Field for bool {
    const KIND: FieldKind = FieldKind::Boolean;
    const IS_REQUIRED: bool = false;
    fn read(values: &[&str]) -> Result<Self, String> {
        match values {
            [] | ["0" | "false"] => Ok(false),
            ["1" | "true"] => Ok(true),
            _ => Err("expected true or false".to_owned()),
        }
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Field for $number {
            const KIND: FieldKind = FieldKind::Text;
            const IS_NUMBER: bool = true;
            fn read(values: &[&str]) -> Result<Self, String> {
                let text = one(values)?.trim();
                text.parse().map_err(|_| {
                    format!("expected a whole number up to {}, found {text:?}", <$number>::MAX)
                })
            }
        }
    )*};
}
numbers! { u16 u32 u64 usize }

impl<T: Field> Field for Option<T> {
    const KIND: FieldKind = T::KIND;
    const IS_REQUIRED: bool = false;
    const IS_NUMBER: bool = T::IS_NUMBER;
    const OPTIONS: &'static [(&'static str, &'static str)] = T::OPTIONS;
    fn read(values: &[&str]) -> Result<Self, String> {
        if values.is_empty() { Ok(None) } else { T::read(values).map(Some) }
    }
}

/// Must have one element at least. XEP-0004 §3.3: "duplicate JIDs MUST be ignored".
impl<T: Field + PartialEq> Field for Vec<T> {
    const KIND: FieldKind = T::KIND.many();
    const IS_NUMBER: bool = T::IS_NUMBER;
    const OPTIONS: &'static [(&'static str, &'static str)] = T::OPTIONS;
    fn read(values: &[&str]) -> Result<Self, String> {
        let mut list = Vec::with_capacity(values.len());
        for value in values {
            let element = T::read(&[value])?;
            if !list.contains(&element) {
                list.push(element);
            }
        }
        if list.is_empty() { Err(MISSING.to_owned()) } else { Ok(list) }
    }
}

/// Reads one of `words`; used by [`choice!`](crate::choice).
pub fn read_choice<T>(
    values: &[&str],
    words: &[(&str, &str)],
    from_word: fn(&str) -> Option<T>,
) -> Result<T, String> {
    let word = one(values)?.trim();
    from_word(word).ok_or_else(|| {
        let near = crate::config::closest(word, words.iter().map(|(known, _)| *known));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("expected {}, found {word:?}{hint}", crate::config::one_of(words))
    })
}

const MISSING: &str = "must be given";

/// The only value.
fn one<'a>(values: &[&'a str]) -> Result<&'a str, String> {
    match values {
        [value] => Ok(value),
        [] => Err(MISSING.to_owned()),
        _ => Err("only one value may be given".to_owned()),
    }
}
