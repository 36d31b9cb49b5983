//! Why something between two servers did not work.

use std::sync::Arc;

/// The longest text that is kept of what others say (bytes).
const TEXT: usize = 500;

/// Why something did not work, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of reason it is.
    pub reason: Reason,
    /// What is wrong, in a sentence for a person.
    pub words: Arc<str>,
    /// What to do, and who has to; may be empty.
    pub advice: Arc<str>,
}

impl Failure {
    /// Keeps the first 500 bytes of each text, on one line: others had a say in it, and it goes to
    /// logs and terminals.
    pub fn new(reason: Reason, words: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        let clip = |text: &str| Arc::from(clipped(text).replace(is_unseen, " "));
        Self { reason, words: clip(words.as_ref()), advice: clip(advice.as_ref()) }
    }
}

/// Whether a character steers terminals, or turns what stands beside it round.
fn is_unseen(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a text, at whole letters.
pub(super) fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no such domain, or it serves no XMPP.
    Name,
    /// No way leads there.
    Unreachable,
    /// Nobody listens there.
    Refused,
    /// Nobody answered in time.
    Timeout,
    /// TLS could not be begun, or is not offered.
    Tls,
    /// The certificate is not good.
    Certificate,
    /// Dialback said no, or could not be asked.
    Dialback,
    /// The other side ended the stream with an error.
    Stream,
    /// The rules of one side forbid it.
    Policy,
    /// The other side broke the protocol.
    Protocol,
    /// There is no room.
    Resources,
    /// The connection broke.
    Broken,
}

impl Reason {
    /// As it is counted and written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Dialback => "dialback",
            Self::Stream => "stream",
            Self::Policy => "policy",
            Self::Protocol => "protocol",
            Self::Resources => "resources",
            Self::Broken => "broken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_steers_no_terminal_and_makes_up_no_line() {
        let said = "No.\n2026-01-01 INFO all is well\u{9b}2J\u{202e}";
        let failure = Failure::new(Reason::Dialback, said, "");
        assert_eq!(&*failure.words, "No. 2026-01-01 INFO all is well 2J ");
    }
}
