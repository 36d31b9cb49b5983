//! Forms: declared once, and shown, filled in and read from that declaration.

use super::field::{Field, FieldKind};
use super::refusal::Refusal;
use super::values::Values;

/// What a command asks for, declared with [`form!`](crate::form).
pub trait Form: Sized + Send + 'static {
    /// What the command does.
    const ABOUT: &'static str;
    /// Its fields in the order of the declaration.
    const FIELDS: &'static [FieldAbout];
    /// Reads what was filled in. Fields that the form does not have are ignored
    /// (XEP-0004 §3.1).
    fn read(values: &Values) -> Result<Self, Refusal>;
}

/// A field as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct FieldAbout {
    /// Its name in the program, and in the help of the command line.
    pub name: &'static str,
    /// Its name on the wire and in JSON.
    pub var: &'static str,
    /// What it is, as written in the declaration.
    pub doc: &'static str,
    /// How it is asked for.
    pub kind: FieldKind,
    /// Whether it must be filled in.
    pub is_required: bool,
    /// The words allowed and what each means.
    pub options: &'static [(&'static str, &'static str)],
    /// Whether it is a whole number.
    pub is_number: bool,
    /// Whether it makes sense in a dialogue only, such as a password typed twice.
    pub is_dialogue: bool,
    /// Whether nobody keeps account of what was filled in, because it may be secret.
    pub is_unnoted: bool,
}

impl FieldAbout {
    /// Its label: the first sentence of its doc comment.
    pub fn label(&self) -> String {
        first_sentence(self.doc)
    }

    /// All that is said of it.
    pub fn text(&self) -> String {
        crate::config::paragraph(self.doc)
    }

    /// Whether the command line takes it by position: what must be given and is no secret.
    pub fn is_positional(&self) -> bool {
        self.is_required && self.kind != FieldKind::Private && !self.is_dialogue
    }
}

/// Declares a form.
///
/// ```
/// use waxwing_jid::BareJid;
/// use waxwing_kernel::command::{Form, Secret, Values};
///
/// waxwing_kernel::form! {
///     /// Adds an account.
///     pub struct AddUser {
///         /// The new address.
///         pub jid("accountjid"): BareJid,
///         /// The password. One is made up if none is given.
///         pub password: Option<Secret>,
///         /// The password once more.
///         [dialogue] pub again("password-verify"): Option<Secret>,
///         /// Whether reserved names are allowed.
///         pub force: bool,
///     }
/// }
///
/// let mut values = Values::default();
/// values.push("accountjid", "juliet@example.org");
/// let form = AddUser::read(&values).unwrap();
/// assert_eq!(form.jid.as_str(), "juliet@example.org");
/// assert!(form.password.is_none() && !form.force);
/// ```
///
/// The text in parentheses is the name on the wire where it differs. `[dialogue]` keeps a field
/// out of the command line, `[unnoted]` out of the account that is kept of what admins do.
#[macro_export]
macro_rules! form {
    (
        $(#[doc = $about:literal])+
        pub struct $Form:ident {
            $(
                $(#[doc = $doc:literal])+
                $([$mark:ident])?
                pub $field:ident $(($var:literal))?: $ty:ty
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $Form {
            $($(#[doc = $doc])+ pub $field: $ty,)*
        }

        impl $crate::command::Form for $Form {
            const ABOUT: &'static str = concat!($($about, "\n"),+);
            const FIELDS: &'static [$crate::command::FieldAbout] = &[
                $($crate::command::FieldAbout {
                    name: stringify!($field),
                    var: $crate::form!(@var $field $($var)?),
                    doc: concat!($($doc, "\n"),+),
                    kind: <$ty as $crate::command::Field>::KIND,
                    is_required: <$ty as $crate::command::Field>::IS_REQUIRED,
                    options: <$ty as $crate::command::Field>::OPTIONS,
                    is_number: <$ty as $crate::command::Field>::IS_NUMBER,
                    is_dialogue: $crate::form!(@is dialogue $($mark)?),
                    is_unnoted: $crate::form!(@is unnoted $($mark)?),
                },)*
            ];

            fn read(values: &$crate::command::Values) -> Result<Self, $crate::command::Refusal> {
                let _ = values;
                Ok(Self {
                    $($field: $crate::command::read_field(
                        values,
                        $crate::form!(@var $field $($var)?),
                    )?,)*
                })
            }
        }
    };
    (@var $field:ident) => { stringify!($field) };
    (@var $field:ident $var:literal) => { $var };
    (@is dialogue dialogue) => { true };
    (@is unnoted unnoted) => { true };
    (@is $mark:ident $($other:ident)?) => { false };
}

/// Reads one field; used by [`form!`](crate::form). An empty text is the same as no value: that
/// is how clients submit a field that was left empty.
pub fn read_field<T: Field>(values: &Values, var: &'static str) -> Result<T, Refusal> {
    let filled: Vec<&str> = values.of(var).iter().map(String::as_str).collect();
    let filled: Vec<&str> = filled.into_iter().filter(|text| !text.is_empty()).collect();
    T::read(&filled).map_err(|reason| Refusal::invalid(var, reason))
}

/// The first sentence of a doc comment, without its full stop.
pub(crate) fn first_sentence(doc: &str) -> String {
    let text = crate::config::paragraph(doc);
    match text.split_once(". ") {
        Some((first, _)) => first.to_owned(),
        None => text.trim_end_matches('.').to_owned(),
    }
}
