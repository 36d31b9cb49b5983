//! The command line: what can be asked, and where it is answered.
//!
//! `serve`, `check` and `routes` are given from outside; declared commands are found by their
//! words and carried out by the running server through the control socket, or, where that makes
//! sense, on the database itself. Exit codes: 0 done, 1 refused, 2 wrong usage or configuration.

mod args;
mod check;
mod database;
mod declared;
mod secret;
mod setup;

pub(crate) use setup::{Program, Setup};

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use rustix::fs::Mode;
use serde_json::json;
use waxwing_kernel::command::CommandAbout;

use self::args::{Args, Builtin, ConfigPart};
use crate::control::{AskError, Request, Response, ask};

/// It was refused.
const REFUSED: u8 = 1;
/// The usage or the configuration is wrong.
const USAGE: u8 = 2;

/// Why a command ends early.
struct Stop {
    code: u8,
    /// For standard error; may have several lines.
    text: String,
}

impl Stop {
    fn refused(text: impl Into<String>) -> Self {
        Self { code: REFUSED, text: text.into() }
    }

    fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }
}

/// Does what the arguments say.
pub(crate) fn main(program: &Program, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // The database and the keys are nobody else's business, in whichever folder they are.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let declared = (program.commands)();
    let matches = match args::command(&declared).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match run(program, &declared, &matches) {
        Ok(code) => code,
        Err(stop) => {
            if matches.get_flag("json") {
                let refusal = json!({ "condition": null, "field": null, "text": stop.text });
                let _ = say(&format!("{refusal}\n"));
            }
            eprintln!("{}", stop.text);
            ExitCode::from(stop.code)
        }
    }
}

fn run(
    program: &Program,
    declared: &[&'static CommandAbout],
    matches: &ArgMatches,
) -> Result<ExitCode, Stop> {
    let common = args::Common::from_arg_matches(matches).map_err(|error| usage(&error))?;
    if let Some((about, matches)) = declared::find(declared, matches) {
        let filled = declared::fill(about, matches)?;
        let words = about.words.iter().map(|word| (*word).to_owned()).collect();
        let request = Request::Run { words, values: filled.values };
        let mut response = carry_out(program, &common, request)?;
        if let Some(password) = filled.generated {
            tell_password(&mut response, &password);
        }
        return print(&response, common.json);
    }
    let args = Args::from_arg_matches(matches).map_err(|error| usage(&error))?;
    match args.what.unwrap_or(Builtin::Serve) {
        Builtin::Serve => Ok((program.serve)(Setup::load(program, &common)?)),
        Builtin::Check => check::run(program, &common),
        Builtin::Reload => print(&carry_out(program, &common, Request::Reload)?, common.json),
        Builtin::Routes => {
            let routes = (program.routes)(Setup::load(program, &common)?);
            say(&routes.map_err(Stop::refused)?)
        }
        Builtin::Config { part: ConfigPart::Reference } => {
            say(&waxwing_kernel::config::reference(&program.sections()))
        }
        Builtin::Config { part: ConfigPart::Example } => {
            say(&waxwing_kernel::config::example(&program.sections()))
        }
    }
}

/// Asks the running server; without one, the database where that is enough.
fn carry_out(program: &Program, common: &args::Common, request: Request) -> Result<Response, Stop> {
    let folder = setup::folder(program, common)?;
    match ask(&folder, &request) {
        Ok(response) => Ok(response),
        Err(AskError::NotRunning(folder)) => {
            let can_do_without = match &request {
                Request::Run { words, .. } => words.first().is_some_and(|word| word == "user"),
                Request::Reload => false,
            };
            match program.direct.filter(|_| can_do_without) {
                Some(direct) => {
                    direct(Setup::load(program, common)?, request).map_err(Stop::refused)
                }
                None => Err(Stop::refused(AskError::NotRunning(folder).to_string())),
            }
        }
        Err(error) => Err(Stop::refused(error.to_string())),
    }
}

fn print(response: &Response, json: bool) -> Result<ExitCode, Stop> {
    match response {
        _ if json => {
            say(&format!("{}\n", response.to_json()))?;
        }
        Response::Said { text, .. } => {
            say(text)?;
        }
        Response::Refused { field: Some(field), text, .. } => eprintln!("refused: {field}: {text}"),
        Response::Refused { text, .. } => eprintln!("refused: {text}"),
    }
    let is_done = matches!(response, Response::Said { .. });
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Adds a password made up here to what the server said, if it took it.
fn tell_password(response: &mut Response, password: &str) {
    if let Response::Said { text, json } = response {
        text.push_str(&format!("Password: {password}\n"));
        if let Some(object) = json.as_object_mut() {
            object.insert("password".to_owned(), json!(password));
        }
    }
}

/// Writes to standard output. A reader that has gone away is no error.
fn say(text: &str) -> Result<ExitCode, Stop> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Stop::refused(format!("standard output: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn usage(error: &clap::Error) -> Stop {
    Stop::usage(error.to_string())
}

#[cfg(test)]
mod tests;
