//! The kinds of values a setting may have: how each is read, shown and explained.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;
use waxwing_jid::BareJid;

use super::error::Errors;
use super::table::Item;

/// A kind of value.
pub trait Value: Sized {
    /// What it is called in "expected …" and in the reference, such as `a whole number`.
    fn kind() -> String;
    /// Reads it from the file.
    fn read(item: &Item<'_>) -> Result<Self, Errors>;
    /// As TOML text; `None` when there is nothing to write.
    fn show(&self) -> Option<String>;
    /// The words allowed, each with what it does; empty when anything of the kind is.
    fn choices() -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// Makes a value from what a declaration may write after `=`.
pub trait Preset<D>: Sized {
    /// The value meant by `written`, which is part of the program and therefore right.
    fn preset(written: D) -> Self;
}

/// Whether `value` lies within the range of a declaration.
pub fn is_within<T: Preset<D> + PartialOrd, D>(value: &T, range: RangeInclusive<D>) -> bool {
    let (low, high) = range.into_inner();
    T::preset(low) <= *value && *value <= T::preset(high)
}

/// A range in words: `10 to 3600`.
pub fn range_text<T: Preset<D> + Value, D>(range: RangeInclusive<D>) -> String {
    let (low, high) = range.into_inner();
    let show = |bound: D| T::preset(bound).show().unwrap_or_default().replace('"', "");
    format!("{} to {}", show(low), show(high))
}

macro_rules! whole_numbers {
    ($($number:ty)*) => {$(
        impl Value for $number {
            fn kind() -> String {
                "a whole number".to_owned()
            }
            fn read(item: &Item<'_>) -> Result<Self, Errors> {
                let DeValue::Integer(integer) = item.value() else {
                    return Err(vec![item.expected(&Self::kind())]);
                };
                <$number>::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| {
                    vec![item.expected(&format!("a whole number from 0 to {}", <$number>::MAX))]
                })
            }
            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
        impl Preset<$number> for $number {
            fn preset(written: $number) -> Self {
                written
            }
        }
    )*};
}
whole_numbers! { u16 u32 u64 usize }

impl Value for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        match item.value() {
            DeValue::Boolean(truth) => Ok(*truth),
            _ => Err(vec![item.expected(&Self::kind())]),
        }
    }
    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Preset<bool> for bool {
    fn preset(written: bool) -> Self {
        written
    }
}

impl Value for String {
    fn kind() -> String {
        "text".to_owned()
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        match item.value() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(vec![item.expected("text in quotes")]),
        }
    }
    fn show(&self) -> Option<String> {
        Some(quote(self))
    }
}

impl Preset<&str> for String {
    fn preset(written: &str) -> Self {
        written.to_owned()
    }
}

impl Value for PathBuf {
    fn kind() -> String {
        "a path such as \"file.pem\"".to_owned()
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        match item.value() {
            DeValue::String(text) if !text.is_empty() => Ok(PathBuf::from(text.as_ref())),
            _ => Err(vec![item.expected(&Self::kind())]),
        }
    }
    fn show(&self) -> Option<String> {
        Some(quote(&self.to_string_lossy()))
    }
}

impl Preset<&str> for PathBuf {
    fn preset(written: &str) -> Self {
        written.into()
    }
}

/// Gives a type that is written as text its kind, its reader and its preset.
/// `$read: fn(&str) -> Result<Self, impl Display>`.
macro_rules! worded {
    ($type:ty, $kind:literal, $read:expr) => {
        impl $crate::config::Value for $type {
            fn kind() -> String {
                $kind.to_owned()
            }
            fn read(item: &$crate::config::Item<'_>) -> Result<Self, $crate::config::Errors> {
                let text = $crate::config::value::text(item, $kind)?;
                let read: fn(&str) -> Result<Self, _> = $read;
                read(text)
                    .map_err(|reason| vec![item.flaw(format!("expected {}: {reason}", $kind))])
            }
            fn show(&self) -> Option<String> {
                Some($crate::config::value::quote(&self.to_string()))
            }
        }
        impl $crate::config::Preset<&str> for $type {
            fn preset(written: &str) -> Self {
                let read: fn(&str) -> Result<Self, _> = $read;
                match read(written) {
                    Ok(value) => value,
                    Err(reason) => panic!("the preset {written} is wrong: {reason}"),
                }
            }
        }
    };
}
pub(crate) use worded;

worded!(SocketAddr, "an address with a port, such as \"[::]:5222\"", |text| text
    .parse::<SocketAddr>()
    .map_err(|_| "a number for the host and a port are needed"));
worded!(BareJid, "an address such as \"admin@example.org\"", BareJid::new);

impl<T: Value> Value for Option<T> {
    fn kind() -> String {
        T::kind()
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        T::read(item).map(Some)
    }
    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
    fn choices() -> &'static [(&'static str, &'static str)] {
        T::choices()
    }
}

impl<T> Preset<Option<T>> for Option<T> {
    fn preset(written: Option<T>) -> Self {
        written
    }
}

impl<T: Value> Value for Vec<T> {
    fn kind() -> String {
        format!("a list, each {}", T::kind())
    }
    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        let Some(elements) = item.elements() else {
            return Err(vec![item.expected("a list in brackets [ ]")]);
        };
        let mut values = Vec::with_capacity(elements.len());
        let mut errors = Vec::new();
        for element in &elements {
            match T::read(element) {
                Ok(value) => values.push(value),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok(values) } else { Err(errors) }
    }
    fn show(&self) -> Option<String> {
        let values: Vec<String> = self.iter().filter_map(T::show).collect();
        Some(format!("[{}]", values.join(", ")))
    }
    fn choices() -> &'static [(&'static str, &'static str)] {
        T::choices()
    }
}

impl<T: Preset<D>, D, const N: usize> Preset<[D; N]> for Vec<T> {
    fn preset(written: [D; N]) -> Self {
        written.into_iter().map(T::preset).collect()
    }
}

/// The text of an item.
pub(crate) fn text<'a>(item: &Item<'a>, kind: &str) -> Result<&'a str, Errors> {
    match item.value() {
        DeValue::String(text) => Ok(text),
        _ => Err(vec![item.expected(kind)]),
    }
}

/// Text as TOML writes it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}
