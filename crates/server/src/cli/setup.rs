//! What the server does, given from outside, and the configuration it does it with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use waxwing_kernel::command::CommandAbout;
use waxwing_kernel::config::{Config, SectionAbout, Source};

use super::Stop;
use super::args::Common;
use crate::control::{Request, Response};

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
        let config = read(file.as_deref(), data.as_deref(), &program.sections());
        config.map(|config| Self { config, file, data }).map_err(Stop::usage)
    }

    /// Reads the file again, for a reload. The error lists everything wrong with it.
    pub(crate) fn again(&self, modules: &[&'static SectionAbout]) -> Result<Config, String> {
        read(self.file.as_deref(), self.data.as_deref(), modules)
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
) -> Result<Config, String> {
    let mut config = match file {
        None => Config::defaults(modules),
        Some(file) => {
            let name = file.display().to_string();
            let text = fs::read_to_string(file).map_err(|error| unreadable(&name, &error))?;
            let source = Source { name: &name, text: &text };
            Config::read(source, modules).map_err(|errors| {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                told.join("\n\n")
            })?
        }
    };
    config.settle(file.and_then(Path::parent).unwrap_or(Path::new("")));
    if let Some(data) = data {
        config.server.data = data.to_owned();
    }
    Ok(config)
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
