//! Sections: declared once, and read, checked, documented and compared from that declaration.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::error::{ConfigError, Errors};
use super::host::HostConfig;
use super::sections::{ComponentConfig, PeerConfig};
use super::table::Table;
use super::value::Value;

/// A part of the configuration, declared with [`section!`](crate::section).
pub trait Section: Sized + Clone + Default + Send + Sync + 'static {
    /// How the section is called in the file.
    const NAME: &'static str;
    /// What it is about, as written in its declaration.
    const ABOUT: &'static str;
    /// Its settings in the order of the declaration.
    fn fields() -> &'static [FieldDoc];
    /// Reads it, collecting everything that is wrong with it.
    fn read(table: &Table<'_>) -> Result<Self, Errors>;
    /// The value of each field as TOML, in the order of `fields`.
    fn show(&self) -> Vec<Option<String>>;
}

/// What is known of one setting.
#[derive(Clone, Copy, Debug)]
pub struct FieldDoc {
    /// Its name in the file.
    pub key: &'static str,
    /// What it does, as written in the declaration.
    pub doc: &'static str,
    /// The kind of value, as in "expected …".
    pub kind: fn() -> String,
    /// The value it has when the file is silent, as TOML; `None`: nothing.
    pub default: fn() -> Option<String>,
    /// The smallest and greatest value allowed, in words.
    pub range: Option<fn() -> String>,
    /// The words allowed and what each does; empty when anything of the kind is.
    pub choices: fn() -> &'static [(&'static str, &'static str)],
    /// Whether the file must say it.
    pub is_required: bool,
    /// Whether a change takes effect while the server runs.
    pub is_reloadable: bool,
}

/// A setting that contradicts another, found after both were read.
#[derive(Debug)]
pub struct Flaw {
    /// The setting to point at.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// Declares a section of the configuration.
///
/// ```
/// waxwing_kernel::section! {
///     /// Asks silent clients whether they are still there.
///     pub struct PingConfig("ping") {
///         /// How long a client may be silent before it is asked (seconds).
///         pub idle_seconds: u32 = 60 in 10..=3600,
///         /// The name shown to clients.
///         pub name: String = "Waxwing",
///         /// Where requests are noted; nowhere if absent.
///         [restart] pub file: Option<std::path::PathBuf> = None,
///     }
/// }
/// use waxwing_kernel::config::Section;
/// assert_eq!(PingConfig::default().idle_seconds, 60);
/// assert_eq!(PingConfig::fields()[1].key, "name");
/// ```
///
/// A default is one token: a literal, a list, `None`, or anything in parentheses; without a
/// default the file must have the key. `in` gives the range allowed. `[restart]` marks what a
/// reload cannot change. `("ping", check = path)` names a `fn(&Self) -> Result<(), Flaw>` for
/// what must hold between settings.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident($name:literal $(, check = $check:path)?) {
            $(
                $(#[doc = $doc:literal])+
                $([$mark:ident])?
                pub $key:ident: $ty:ty $(= $default:tt $(in $range:expr)?)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Section {
            $($(#[doc = $doc])+ pub $key: $ty,)*
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $($key: $crate::section!(@default $ty $(, $default)?),)* }
            }
        }

        impl $crate::config::Section for $Section {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = concat!($($about, "\n"),+);

            fn fields() -> &'static [$crate::config::FieldDoc] {
                const FIELDS: &[$crate::config::FieldDoc] = &[$($crate::config::FieldDoc {
                    key: stringify!($key),
                    doc: concat!($($doc, "\n"),+),
                    kind: <$ty as $crate::config::Value>::kind,
                    default: || $crate::section!(@shown $ty $(, $default)?),
                    range: $crate::section!(@range $ty $($(, $range)?)?),
                    choices: <$ty as $crate::config::Value>::choices,
                    is_required: $crate::section!(@required $($default)?),
                    is_reloadable: $crate::section!(@reloadable $($mark)?),
                }),*];
                FIELDS
            }

            fn read(
                table: &$crate::config::Table<'_>,
            ) -> Result<Self, $crate::config::Errors> {
                let mut reader = $crate::config::Reader::new(table, Self::fields());
                let section = Self {
                    $($key: reader.field(
                        stringify!($key),
                        || $crate::section!(@default $ty $(, $default)?),
                        $crate::section!(@within $ty $($(, $range)?)?),
                    ),)*
                };
                reader.check($crate::section!(@verdict section $(, $check)?));
                reader.finish(section)
            }

            fn show(&self) -> Vec<Option<String>> {
                vec![$($crate::config::Value::show(&self.$key)),*]
            }
        }
    };
    (@verdict $section:ident) => { Ok(()) };
    (@verdict $section:ident, $check:path) => { $check(&$section) };
    (@default $ty:ty) => { <$ty as Default>::default() };
    (@default $ty:ty, $default:tt) => { <$ty as $crate::config::Preset<_>>::preset($default) };
    (@shown $ty:ty) => { None };
    (@shown $ty:ty, $default:tt) => {
        $crate::config::Value::show(&$crate::section!(@default $ty, $default))
    };
    (@range $ty:ty) => { None };
    (@range $ty:ty, $range:expr) => { Some(|| $crate::config::range_text::<$ty, _>($range)) };
    (@within $ty:ty) => { |_: &$ty| true };
    (@within $ty:ty, $range:expr) => { |value: &$ty| $crate::config::is_within(value, $range) };
    (@required) => { true };
    (@required $default:tt) => { false };
    (@reloadable) => { true };
    (@reloadable restart) => { false };
}

section! {
    /// Nothing to set.
    pub struct NoConfig("") {}
}

/// Reads the fields of one section and collects what is wrong; used by
/// [`section!`](crate::section).
pub struct Reader<'t, 'a> {
    table: &'t Table<'a>,
    fields: &'static [FieldDoc],
    errors: Errors,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// Begins a section, refusing keys that it does not have.
    pub fn new(table: &'t Table<'a>, fields: &'static [FieldDoc]) -> Self {
        let known = || fields.iter().map(|field| field.key).chain(table.hidden());
        let errors = table
            .items()
            .filter(|(key, _)| !known().any(|name| name == *key))
            .map(|(key, item)| item.key_flaw("no such setting").suggest(key, known()))
            .collect();
        Self { table, fields, errors }
    }

    /// The value of one field; its default where the file is silent or wrong.
    pub fn field<T: Value>(
        &mut self,
        key: &'static str,
        default: fn() -> T,
        is_within: fn(&T) -> bool,
    ) -> T {
        let Some(item) = self.table.item(key) else {
            let field = self.about(key);
            if field.is_required {
                let problem = format!("is missing: expected {}", (field.kind)());
                self.errors.push(self.table.flaw(key, problem));
            }
            return default();
        };
        match T::read(&item) {
            Ok(value) if is_within(&value) => value,
            Ok(_) => {
                let range = self.about(key).range.map(|range| range()).unwrap_or_default();
                self.errors.push(item.expected(&format!("a value from {range}")));
                default()
            }
            Err(errors) => {
                self.errors.extend(errors);
                default()
            }
        }
    }

    /// Takes in the verdict on the section as a whole, unless its parts are wrong already.
    pub fn check(&mut self, verdict: Result<(), Flaw>) {
        if let (true, Err(flaw)) = (self.errors.is_empty(), verdict) {
            self.errors.push(self.table.flaw(flaw.key, flaw.problem));
        }
    }

    /// The section, if nothing was wrong.
    pub fn finish<S>(self, section: S) -> Result<S, Vec<ConfigError>> {
        if self.errors.is_empty() { Ok(section) } else { Err(self.errors) }
    }

    fn about(&self, key: &str) -> &'static FieldDoc {
        self.fields.iter().find(|field| field.key == key).expect("the macro declares both")
    }
}

/// A section with its type forgotten: what the reader of the file and the reference need.
#[derive(Clone, Copy, Debug)]
pub struct SectionAbout {
    /// How the section is called in the file.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its settings.
    pub fields: fn() -> &'static [FieldDoc],
    /// Whether a module is on when the file does not say `enabled`.
    pub is_on: bool,
    /// What stands in front of a host's domain in the address of the module's service, if it has
    /// one.
    pub service: Option<&'static str>,
    read: fn(&Table<'_>) -> Result<AnySection, Errors>,
}

impl SectionAbout {
    /// Describes a section by its own name and doc comment.
    pub const fn of<S: Section>() -> Self {
        Self::module::<S>(S::NAME, S::ABOUT)
    }

    /// Describes the section of a module, which has the module's name.
    pub const fn module<S: Section>(name: &'static str, about: &'static str) -> Self {
        let read = |table: &Table<'_>| S::read(table).map(AnySection::new);
        Self { name, about, fields: S::fields, is_on: true, service: None, read }
    }

    /// For a module that the operator has to ask for.
    pub const fn off(mut self) -> Self {
        self.is_on = false;
        self
    }

    /// For a module with a service at `label.domain`.
    pub const fn serving(mut self, label: &'static str) -> Self {
        self.service = Some(label);
        self
    }

    /// Its header as the server's own sections have it.
    pub(crate) fn header(&self) -> String {
        if [HostConfig::NAME, ComponentConfig::NAME, PeerConfig::NAME].contains(&self.name) {
            format!("[[{}]]", self.name)
        } else {
            format!("[{}]", self.name)
        }
    }

    pub(crate) fn read(&self, table: &Table<'_>) -> Result<AnySection, Errors> {
        (self.read)(table)
    }
}

/// The settings of one section, whatever their type.
#[derive(Clone)]
pub struct AnySection {
    value: Arc<dyn Any + Send + Sync>,
    shown: Vec<Option<String>>,
}

impl AnySection {
    fn new<S: Section>(section: S) -> Self {
        let shown = section.show();
        Self { value: Arc::new(section), shown }
    }

    /// The settings, if they are of this type.
    pub fn get<S: Section>(&self) -> Option<&S> {
        self.value.downcast_ref()
    }

    /// The value of each field as TOML.
    pub(crate) fn shown(&self) -> &[Option<String>] {
        &self.shown
    }
}

impl fmt::Debug for AnySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown.iter().flatten()).finish()
    }
}
