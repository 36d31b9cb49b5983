//! What the server does, given from outside, and the configuration it does it with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use waxwing_kernel::command::CommandAbout;
use waxwing_kernel::config::{Config, Errors, SectionAbout, Source};

use super::Stop;
use super::args::Common;
use crate::control::{Request, Response};
use crate::estate::{Edit, Estate};

/// Carries out a request on the database of a server that does not run. The error is a sentence
/// with the remedy.
pub(crate) type Direct = fn(Setup, Request) -> Result<Response, String>;

/// What the command line stands in front of.
pub(crate) struct Program {
    /// The sections of the modules.
    pub(crate) modules: fn() -> Vec<&'static SectionAbout>,
    /// Every declared command.
    pub(crate) commands: fn() -> Vec<&'static CommandAbout>,
    /// Runs the server until it is stopped.
    pub(crate) serve: fn(Setup) -> ExitCode,
    /// The frozen table of routes as text.
    pub(crate) routes: fn(Setup) -> Result<String, String>,
    /// Carries out commands when no server runs.
    pub(crate) direct: Option<Direct>,
}

impl Program {
    /// The sections of the modules.
    pub(crate) fn sections(&self) -> Vec<&'static SectionAbout> {
        (self.modules)()
    }
}

/// A configuration that was read, with the file it is from.
#[derive(Debug)]
pub(crate) struct Setup {
    /// What the operator decided; relative paths are settled.
    pub(crate) config: Config,
    /// The file, for reloading.
    pub(crate) file: Option<PathBuf>,
    /// `--data`, which wins over the file.
    pub(crate) data: Option<PathBuf>,
}

impl Setup {
    pub(super) fn load(program: &Program, common: &Common) -> Result<Self, Stop> {
        let (file, data) = (common.config.clone(), common.data.clone());
        let config = read(file.as_deref(), data.as_deref(), &program.sections(), Edit::None);
        config.map(|config| Self { config, file, data }).map_err(Stop::usage)
    }

    /// Reads the file again, for a reload, and the files of added domains as they would be after
    /// `edit`. The error lists everything wrong with them.
    pub(crate) fn again(
        &self,
        modules: &[&'static SectionAbout],
        edit: Edit<'_>,
    ) -> Result<Config, String> {
        read(self.file.as_deref(), self.data.as_deref(), modules, edit)
    }
}

/// The data folder that a command is about.
pub(super) fn folder(program: &Program, common: &Common) -> Result<PathBuf, Stop> {
    match &common.data {
        Some(data) => Ok(data.clone()),
        None => Setup::load(program, common).map(|setup| setup.config.server.data),
    }
}

fn read(
    file: Option<&Path>,
    data: Option<&Path>,
    modules: &[&'static SectionAbout],
    edit: Edit<'_>,
) -> Result<Config, String> {
    let (name, text) = match file {
        None => ("defaults".to_owned(), String::new()),
        Some(file) => {
            let name = file.display().to_string();
            let text = fs::read_to_string(file).map_err(|error| unreadable(&name, &error))?;
            (name, text)
        }
    };
    let main = Source { name: &name, text: &text };
    let told = |errors: Errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        told.join("\n\n")
    };
    let settle = |mut config: Config| {
        config.settle(file.and_then(Path::parent).unwrap_or(Path::new("")));
        if let Some(data) = data {
            config.server.data = data.to_owned();
        }
        config
    };
    let config = Config::read(main, modules).map(settle).map_err(told)?;
    // Only now is it known where the added domains are.
    let added = Estate::of(&config.server.data).read(edit)?;
    if added.is_empty() {
        return Ok(config);
    }
    let added: Vec<(String, String)> =
        added.into_iter().map(|(path, text)| (path.display().to_string(), text)).collect();
    let added: Vec<Source<'_>> = added.iter().map(|(name, text)| Source { name, text }).collect();
    Config::read_with(main, &added, modules).map(settle).map_err(told)
}

fn unreadable(name: &str, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("make one with `waxwing config example > {name}`, or mend the path")
        }
        io::ErrorKind::PermissionDenied => "let this user read it".to_owned(),
        io::ErrorKind::InvalidData => "save it as UTF-8".to_owned(),
        _ => "name the file with --config".to_owned(),
    };
    format!("{name}: {error}\n{remedy}")
}
