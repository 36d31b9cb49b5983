//! What a token may be used for.

use std::fmt;

use waxwing_kernel::command::CommandAbout;

/// One thing that a token may be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// `*`: everything.
    Everything,
    /// `read`: every command that only tells what admins know anyway.
    Read,
    /// `events`: to hear what happens.
    Events,
    /// `user:read` and `user:write`: those of one group that only tell, or all of it.
    Group {
        /// The first word of its commands.
        group: String,
        /// Whether all of it.
        writes: bool,
    },
}

impl Scope {
    /// Reads one; None when it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "*" => return Some(Self::Everything),
            "read" => return Some(Self::Read),
            "events" => return Some(Self::Events),
            _ => {}
        }
        let (group, what) = text.split_once(':')?;
        let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter == b'-';
        if group.is_empty() || !group.bytes().all(is_plain) {
            return None;
        }
        let writes = match what {
            "write" => true,
            "read" => false,
            _ => return None,
        };
        Some(Self::Group { group: group.to_owned(), writes })
    }

    /// The one that a command needs at least.
    pub(super) fn of(about: &CommandAbout) -> Self {
        let group = about.words.first().copied().unwrap_or_default();
        Self::Group { group: group.to_owned(), writes: !about.is_read }
    }

    /// Whether who has this may give that command.
    pub(super) fn allows(&self, about: &CommandAbout) -> bool {
        match self {
            Self::Everything => true,
            Self::Read => about.is_read,
            Self::Events => false,
            Self::Group { group, writes } => {
                about.words.first() == Some(&group.as_str()) && (*writes || about.is_read)
            }
        }
    }

    /// Whether who has this may hear what happens.
    pub(super) fn hears(&self) -> bool {
        matches!(self, Self::Everything | Self::Events)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Read => f.write_str("read"),
            Self::Events => f.write_str("events"),
            Self::Group { group, writes } => {
                write!(f, "{group}:{}", if *writes { "write" } else { "read" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::form;

    use super::*;

    form! {
        /// Nothing.
        pub struct Nothing {}
    }
    static ADD: CommandAbout = CommandAbout::of::<Nothing>("add", &["user", "add"]);
    static COUNT: CommandAbout = CommandAbout::of::<Nothing>("count", &["user", "count"]).reads();
    static KICK: CommandAbout = CommandAbout::of::<Nothing>("kick", &["session", "kick"]);

    #[test]
    fn a_scope_allows_what_it_says() {
        for (text, allowed) in [
            ("*", [true, true, true]),
            ("read", [false, true, false]),
            ("events", [false, false, false]),
            ("user:write", [true, true, false]),
            ("user:read", [false, true, false]),
            ("session:write", [false, false, true]),
            ("use:write", [false, false, false]),
        ] {
            let scope = Scope::read(text).unwrap();
            assert_eq!([&ADD, &COUNT, &KICK].map(|about| scope.allows(about)), allowed, "{text}");
            assert_eq!(scope.to_string(), text);
        }
        assert_eq!(Scope::of(&ADD).to_string(), "user:write");
        assert_eq!(Scope::of(&COUNT).to_string(), "user:read");
    }

    #[test]
    fn nothing_else_is_a_scope() {
        for wrong in ["", "user", "user:", ":write", "user:all", "User:read", "user:read ", "**"] {
            assert_eq!(Scope::read(wrong), None, "{wrong}");
        }
    }
}
