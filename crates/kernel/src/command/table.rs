//! All commands of a server, found by node or by words.

use super::{Command, Refusal, RefusalKind};

/// All commands of a server or a host.
#[derive(Clone, Debug, Default)]
pub struct Commands(Vec<Command>);

impl Commands {
    /// Sorts commands by their words. No two may share their node or their words.
    ///
    /// # Errors
    /// The two that do.
    pub fn new(commands: impl IntoIterator<Item = Command>) -> Result<Self, String> {
        let mut list: Vec<Command> = commands.into_iter().collect();
        list.sort_by_key(|command| command.words);
        for (index, command) in list.iter().enumerate() {
            let mut earlier = list[..index].iter();
            let is_same =
                |other: &&Command| other.node == command.node || other.words == command.words;
            if let Some(other) = earlier.find(is_same) {
                return Err(format!("{other:?} and {command:?} have the same name"));
            }
        }
        Ok(Self(list))
    }

    /// Each command, by its words.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.0.iter()
    }

    /// The command of an ad-hoc node.
    pub fn by_node(&self, node: &str) -> Option<&Command> {
        self.0.iter().find(|command| command.node == node)
    }

    /// The command called by these words.
    ///
    /// # Errors
    /// That there is none, with the nearest.
    pub fn by_words(&self, words: &[String]) -> Result<&Command, Refusal> {
        let is_called = |command: &&Command| command.words.iter().eq(words);
        self.0.iter().find(is_called).ok_or_else(|| {
            let asked = words.join(" ");
            let known: Vec<String> = self.0.iter().map(|known| known.words.join(" ")).collect();
            let hint = crate::config::closest(&asked, known.iter().map(String::as_str));
            let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let text = format!("this server has no command `{asked}`{hint}");
            Refusal { kind: RefusalKind::NotFound, field: None, text }
        })
    }
}
