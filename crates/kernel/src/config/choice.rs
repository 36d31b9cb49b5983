//! Settings and form fields that take one of a few words.

/// Declares an enum whose variants are words in the configuration and in forms:
///
/// ```
/// waxwing_kernel::choice! {
///     /// How much is written to the log.
///     pub enum Level {
///         /// Only what needs attention.
///         Quiet = "quiet",
///         /// Everything.
///         Loud = "loud",
///     }
/// }
/// assert_eq!(Level::Quiet.word(), "quiet");
/// ```
///
/// The first variant is the default of the type.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        pub enum $Choice:ident {
            $(#[doc = $first_doc:literal])+
            $First:ident = $first:literal
            $(, $(#[doc = $doc:literal])+ $Variant:ident = $word:literal)* $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $Choice {
            $(#[doc = $first_doc])+
            #[default]
            $First,
            $($(#[doc = $doc])+ $Variant,)*
        }

        impl $Choice {
            /// Every word and what it means.
            pub const WORDS: &'static [(&'static str, &'static str)] = &[
                ($first, concat!($($first_doc, "\n"),+)),
                $(($word, concat!($($doc, "\n"),+)),)*
            ];

            /// The word of this choice.
            pub fn word(self) -> &'static str {
                match self {
                    Self::$First => $first,
                    $(Self::$Variant => $word,)*
                }
            }

            /// The choice meant by a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $first => Some(Self::$First),
                    $($word => Some(Self::$Variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::config::Value for $Choice {
            fn kind() -> String {
                $crate::config::one_of(Self::WORDS)
            }
            fn read(
                item: &$crate::config::Item<'_>,
            ) -> Result<Self, $crate::config::Errors> {
                $crate::config::read_choice(item, Self::WORDS, Self::from_word)
            }
            fn show(&self) -> Option<String> {
                Some(format!("\"{}\"", self.word()))
            }
            fn choices() -> &'static [(&'static str, &'static str)] {
                Self::WORDS
            }
        }

        impl $crate::command::Field for $Choice {
            const KIND: $crate::command::FieldKind = $crate::command::FieldKind::Choice;
            const OPTIONS: &'static [(&'static str, &'static str)] = Self::WORDS;
            fn read(values: &[&str]) -> Result<Self, String> {
                $crate::command::read_choice(values, Self::WORDS, Self::from_word)
            }
        }

        impl $crate::config::Preset<&str> for $Choice {
            fn preset(written: &str) -> Self {
                Self::from_word(written).expect("a preset is one of the words")
            }
        }
    };
}

use super::error::Errors;
use super::table::Item;

/// `"a", "b" or "c"`.
pub fn one_of(words: &[(&str, &str)]) -> String {
    let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Reads one of `words`.
pub fn read_choice<T>(
    item: &Item<'_>,
    words: &'static [(&'static str, &'static str)],
    from_word: fn(&str) -> Option<T>,
) -> Result<T, Errors> {
    let text = super::value::text(item, &one_of(words))?;
    from_word(text).ok_or_else(|| {
        let error = item.expected(&one_of(words));
        vec![error.suggest(text, words.iter().map(|(word, _)| *word))]
    })
}
