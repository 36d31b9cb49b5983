//! The configuration: sections declared once beside what they configure.
//!
//! A section is declared with [`section!`](crate::section); from that come the struct, its
//! defaults, the reader with its errors, the reference, the example file, and the comparison on
//! reload. The sections of the server itself are in [`sections`]; every module brings its own,
//! known to the reader as a [`SectionAbout`].
//!
//! Nothing here touches a file: text goes in, values and errors come out.

mod bytes;
mod choice;
mod compare;
mod contradictions;
mod error;
mod host;
mod near;
mod read;
mod reference;
mod section;
pub mod sections;
mod table;
mod template;
mod uri;
pub(crate) mod value;

pub use bytes::Bytes;
pub use choice::{one_of, read_choice};
pub use compare::Change;
pub use error::{ConfigError, Errors, Place, Source};
pub use host::{DomainName, Host, HostConfig, ModuleSettings};
pub use near::closest;
pub use read::Config;
pub(crate) use reference::paragraph;
pub use reference::{example, reference};
pub use section::{AnySection, FieldDoc, Flaw, NoConfig, Reader, Section, SectionAbout};
pub use table::{Item, Table};
pub use template::Template;
pub use uri::Uri;
pub use value::{Preset, Value, is_within, range_text};
