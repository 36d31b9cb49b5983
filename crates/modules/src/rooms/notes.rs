//! What a room keeps besides its configuration: values of some kind, each under a key.

use std::collections::BTreeMap;

use waxwing_store::domains::rooms::NoteRow;

/// The notes of a room.
#[derive(Clone, Debug, Default)]
pub struct Notes(BTreeMap<(String, String), String>);

impl Notes {
    /// Those that were stored.
    pub fn restore(rows: &[NoteRow]) -> Self {
        let pair = |row: &NoteRow| ((row.kind.clone(), row.key.clone()), row.value.clone());
        Self(rows.iter().map(pair).collect())
    }

    /// The note of this kind under this key.
    pub fn get(&self, kind: &str, key: &str) -> Option<&str> {
        self.0.get(&(kind.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Those of this kind by their keys.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from = (kind.to_owned(), String::new());
        let notes = self.0.range(from..).take_while(move |((of, _), _)| of == kind);
        notes.map(|((_, key), value)| (key.as_str(), value.as_str()))
    }

    /// Keeps one.
    pub fn set(&mut self, kind: &str, key: &str, value: &str) {
        self.0.insert((kind.to_owned(), key.to_owned()), value.to_owned());
    }

    /// Keeps it no more.
    pub fn remove(&mut self, kind: &str, key: &str) -> Option<String> {
        self.0.remove(&(kind.to_owned(), key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_found_by_kind_and_key() {
        let mut notes = Notes::default();
        notes.set("hat", "b", "2");
        notes.set("hat", "a", "1");
        notes.set("hats", "c", "3");
        assert_eq!(notes.get("hat", "a"), Some("1"));
        assert_eq!(notes.of("hat").collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(notes.remove("hat", "a").as_deref(), Some("1"));
        assert_eq!((notes.get("hat", "a"), notes.of("avatar").count()), (None, 0));
    }
}
