//! Sizes as people write them.

use std::fmt;

use toml::de::DeValue;

use super::error::Errors;
use super::table::Item;
use super::value::{Preset, Value};

/// A size in bytes, written as a number or as `"4 MiB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

const KIND: &str = "a size such as \"4 MiB\" or a number of bytes";

impl Bytes {
    /// As a length in memory.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.parse::<u64>().ok()?.checked_mul(*factor).map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| self.0 >= unit.1 && self.0.is_multiple_of(unit.1);
        let (name, factor) = UNITS.iter().find(fits).unwrap_or(&UNITS[4]);
        write!(f, "{} {name}", self.0 / factor)
    }
}

impl Value for Bytes {
    fn kind() -> String {
        KIND.to_owned()
    }

    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        match item.value() {
            DeValue::Integer(_) => u64::read(item).map(Self),
            DeValue::String(text) => Self::parse(text).ok_or_else(|| {
                vec![item.expected(KIND).hint("the units are B, KiB, MiB, GiB and TiB")]
            }),
            _ => Err(vec![item.expected(KIND)]),
        }
    }

    fn show(&self) -> Option<String> {
        Some(format!("\"{self}\""))
    }
}

impl Preset<&str> for Bytes {
    fn preset(written: &str) -> Self {
        Self::parse(written).expect("a preset is a size")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("4 MiB", 4 << 20, "4 MiB"),
            ("1536KiB", 1536 << 10, "1536 KiB"),
            ("0 B", 0, "0 B"),
            ("2048 mib", 2 << 30, "2 GiB"),
        ] {
            assert_eq!(Bytes::parse(text), Some(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
        for wrong in ["", "4", "4 MB", "MiB", "-1 B", "99999999 TiB"] {
            assert_eq!(Bytes::parse(wrong), None, "{wrong}");
        }
    }
}
