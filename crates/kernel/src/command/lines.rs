//! A text of several lines.

use super::field::{Field, FieldKind};

/// A text of several lines, at most [`Lines::CHARACTERS`] long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(pub String);

impl Lines {
    /// The most that one may hold.
    pub const CHARACTERS: usize = 10_000;
}

impl Field for Lines {
    const KIND: FieldKind = FieldKind::Texts;

    fn read(values: &[&str]) -> Result<Self, String> {
        let text = values.join("\n");
        if text.trim().is_empty() {
            return Err("must be given".to_owned());
        }
        if text.chars().count() > Self::CHARACTERS {
            return Err(format!("takes {} characters at most", Self::CHARACTERS));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_come_twice_and_a_text_has_an_end() {
        assert_eq!(Lines::read(&["a", "a"]), Ok(Lines("a\na".to_owned())));
        assert!(Lines::read(&[" "]).is_err());
        assert!(Lines::read(&[&*"x".repeat(Lines::CHARACTERS + 1)]).is_err());
    }
}
