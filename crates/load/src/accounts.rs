//! Whose names the clients use.

use std::fs;
use std::path::Path;

use crate::Outcome;

/// Stands for the number in a pattern of names.
const PLACE: &str = "{}";

/// The accounts of a run, by the number of the client.
#[derive(Clone, Debug)]
pub(crate) enum Accounts {
    /// Names made from a number, with one password for all.
    Pattern { before: String, after: String, password: String },
    /// Names and passwords from a file.
    List(Vec<(String, String)>),
}

impl Accounts {
    /// Names like `load{}`, where the number takes the place of the brackets.
    pub(crate) fn pattern(pattern: &str, password: &str) -> Outcome<Self> {
        let Some((before, after)) = pattern.split_once(PLACE) else {
            return Err(format!(
                "--user {pattern:?} gives every client the same name: write {PLACE} where the \
                 number goes, as in \"{pattern}{PLACE}\""
            ));
        };
        let (before, after) = (before.to_owned(), after.to_owned());
        Ok(Self::Pattern { before, after, password: password.to_owned() })
    }

    /// A file with a name and a password on each line, with a space or a colon between.
    pub(crate) fn file(path: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("--accounts {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|reason| format!("--accounts {}: {reason}", path.display()))
    }

    fn parse(text: &str) -> Outcome<Self> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let one = |(index, line): (usize, &str)| {
            let (name, password) = line.trim().split_once([' ', ':', '\t']).ok_or_else(|| {
                format!("line {} has no password: write `name password`", index + 1)
            })?;
            Ok((name.to_owned(), password.trim().to_owned()))
        };
        let list: Vec<_> = lines.map(one).collect::<Outcome<_>>()?;
        if list.is_empty() { Err("no account stands in it".into()) } else { Ok(Self::List(list)) }
    }

    /// Refuses a run that needs more accounts than there are.
    pub(crate) fn suffice(&self, count: usize) -> Outcome<()> {
        match self {
            Self::List(list) if list.len() < count => Err(format!(
                "{count} accounts are needed and the file has {}: add some, or use fewer clients",
                list.len()
            )),
            _ => Ok(()),
        }
    }

    /// The name of the client with this number.
    pub(crate) fn name(&self, number: usize) -> String {
        match self {
            Self::Pattern { before, after, .. } => format!("{before}{number}{after}"),
            Self::List(list) => list[number].0.clone(),
        }
    }

    /// The password of the client with this number.
    pub(crate) fn password(&self, number: usize) -> &str {
        match self {
            Self::Pattern { password, .. } => password,
            Self::List(list) => &list[number].1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_names() {
        let accounts = Accounts::pattern("u{}x", "secret").expect("a pattern");
        assert_eq!((accounts.name(12).as_str(), accounts.password(3)), ("u12x", "secret"));
        assert!(Accounts::pattern("romeo", "x").is_err_and(|reason| reason.contains("romeo{}")));
    }

    #[test]
    fn a_file_has_a_name_and_a_password_on_each_line() {
        let accounts = Accounts::parse("# two\nromeo montague\n\njuliet:a b\n").expect("a list");
        assert_eq!((accounts.name(0).as_str(), accounts.password(0)), ("romeo", "montague"));
        assert_eq!((accounts.name(1).as_str(), accounts.password(1)), ("juliet", "a b"));
        assert!(accounts.suffice(2).is_ok());
        assert!(accounts.suffice(3).is_err_and(|reason| reason.contains("3 accounts are needed")));
        assert!(Accounts::parse("romeo").is_err_and(|reason| reason.contains("line 1")));
        assert!(Accounts::parse("\n").is_err());
    }
}
