//! What a feature is to the server: a value in a list that declares itself.

use std::fmt;
use std::sync::Arc;

use waxwing_store::Table;

use crate::config::{Section, SectionAbout};
use crate::router::Service;
use crate::routes::Routes;
use crate::site::SiteBuilder;

/// One feature of the server: usually one XEP, always one file and its manual page.
pub trait Module: Sized + Send + Sync + 'static {
    /// Its name, specifications and disco features.
    const ABOUT: &'static About;
    /// The tables it keeps; migrations, erase and export follow from them.
    const TABLES: &'static [Table] = &[];
    /// Its part of the configuration file.
    type Config: Section;

    /// Takes what it needs: slots, flags, settings.
    ///
    /// # Errors
    /// When the settings cannot work together; the server then does not start.
    fn start(site: &mut SiteBuilder<'_>, config: Self::Config) -> Result<Self, StartError>;

    /// Says where it wants to be asked.
    fn routes(on: &mut Routes<'_, Self>);
}

/// What a module says of itself.
#[derive(Debug)]
pub struct About {
    /// One short noun, unique; also the name of its configuration section.
    pub name: &'static str,
    /// What it is for, in one sentence for operators.
    pub summary: &'static str,
    /// Whether it runs where the configuration does not say.
    pub is_on: bool,
    /// What it implements.
    pub xeps: &'static [Xep],
    /// Features shown by the server's disco#info (XEP-0030).
    pub server_features: &'static [&'static str],
    /// Features shown by the disco#info of every account.
    pub account_features: &'static [&'static str],
    /// Its manual page, Markdown.
    pub manual: &'static str,
}

/// A specification, as far as it was implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// The version that was implemented.
    pub version: &'static str,
    /// What of it concerns servers and is left out, in words; empty when nothing is.
    pub lacks: &'static str,
}

/// `Xep(199, "2.0.1")`: a specification that was implemented whole, in this version.
#[allow(non_snake_case, reason = "in the lists of the modules it reads as a value")]
pub const fn Xep(number: u16, version: &'static str) -> Xep {
    Xep { number, version, lacks: "" }
}

impl Xep {
    /// Says what is left out, for `docs/xeps.md`: half a sentence.
    pub const fn lacks(self, lacks: &'static str) -> Self {
        Self { lacks, ..self }
    }
}

/// Why a module refuses to start, in words for the operator.
#[derive(Debug)]
pub struct StartError {
    /// The module.
    pub module: &'static str,
    /// What is wrong and how to mend it.
    pub reason: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module {}: {}", self.module, self.reason)
    }
}

impl std::error::Error for StartError {}

/// A module with its type forgotten. The server is a list of these.
pub struct Mount {
    /// What it says of itself.
    pub about: &'static About,
    /// Its tables.
    pub tables: &'static [Table],
    /// Its part of the configuration file.
    pub section: SectionAbout,
    pub(crate) mount: fn(&mut SiteBuilder<'_>) -> Result<(), StartError>,
}

impl Mount {
    /// Mounts `M`: the one line that a new feature adds to the list.
    pub const fn of<M: Module>() -> Self {
        Self {
            about: M::ABOUT,
            tables: M::TABLES,
            section: if M::ABOUT.is_on {
                SectionAbout::module::<M::Config>(M::ABOUT.name, M::ABOUT.summary)
            } else {
                SectionAbout::module::<M::Config>(M::ABOUT.name, M::ABOUT.summary).off()
            },
            mount: |site| {
                let config = site.section::<M::Config>(M::ABOUT.name);
                let module = Arc::new(M::start(site, config)?);
                M::routes(&mut Routes::new(module, site.table()));
                Ok(())
            },
        }
    }

    /// For a module with a service at `label.domain` ([`Routes::service`]). It must be said here as
    /// well, where the configuration is checked before any module starts: a component of that name
    /// would stand in front of the service.
    pub const fn serving(mut self, label: &'static str) -> Self {
        self.section.service = Some(label);
        self
    }

    /// Whether its services are what was said of them.
    pub(crate) fn check_services(&self, services: &[Service]) -> Result<(), StartError> {
        let mut own = services.iter().filter(|service| service.module == self.about.name);
        match own.find(|service| self.section.service != Some(service.label)) {
            None => Ok(()),
            Some(Service { label, .. }) => {
                let reason = format!("the list of modules does not say that it serves `{label}`");
                Err(StartError { module: self.about.name, reason })
            }
        }
    }
}
