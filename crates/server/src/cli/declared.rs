//! Declared commands on the command line.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use waxwing_kernel::command::{CommandAbout, FieldAbout, FieldKind, Values};

use super::{Stop, secret};

const STDIN: &str = "password-stdin";
const GENERATE: &str = "generate";
const YES: &str = "yes";

/// A form that was filled in on the command line.
pub(super) struct Filled {
    /// What goes to the server.
    pub(super) values: Values,
    /// The password that was made up, to be told.
    pub(super) generated: Option<String>,
}

/// A subcommand for each declared command, grouped by their words.
pub(super) fn subcommands(declared: &[&'static CommandAbout]) -> Vec<Command> {
    branches(declared, 0)
}

fn branches(declared: &[&'static CommandAbout], depth: usize) -> Vec<Command> {
    let mut words: Vec<&'static str> = Vec::new();
    for about in declared {
        let word = about.words[depth];
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let below = |word: &'static str| -> Vec<&'static CommandAbout> {
        declared.iter().copied().filter(|about| about.words[depth] == word).collect()
    };
    words.into_iter().map(|word| branch(word, &below(word), depth)).collect()
}

fn branch(word: &'static str, declared: &[&'static CommandAbout], depth: usize) -> Command {
    match declared {
        [about] if about.words.len() == depth + 1 => leaf(word, about),
        [first, ..] => Command::new(word)
            .about(group(word))
            .after_help(format!("Example:\n  {}", example(first)))
            .arg_required_else_help(true)
            .disable_help_subcommand(true)
            .subcommands(branches(declared, depth + 1)),
        [] => Command::new(word),
    }
}

/// What a first word is about; its commands explain themselves.
fn group(word: &str) -> String {
    match word {
        "user" => "Make, list, change and remove accounts".to_owned(),
        "session" => "See who is connected, and disconnect".to_owned(),
        "server" => "Tell everybody something".to_owned(),
        "invite" => "Invite people to make an account".to_owned(),
        "report" => "See which addresses people reported".to_owned(),
        "audit" => "See what admins did".to_owned(),
        "federation" => "See how it stands with other servers, block and allow them".to_owned(),
        "token" => "Let programs give commands by HTTP".to_owned(),
        other => format!("Commands about: {other}"),
    }
}

fn leaf(word: &'static str, about: &'static CommandAbout) -> Command {
    let fields = about.fields.iter().filter(|field| !field.is_dialogue);
    let args = fields.clone().filter(|field| field.kind != FieldKind::Private).map(arg);
    let mut command = Command::new(word)
        .about(about.title())
        .long_about(about.about.trim().replace("\n ", "\n"))
        .args(args)
        .after_help(format!("Example:\n  {}", example(about)));
    if fields.clone().any(|field| field.kind == FieldKind::Private) {
        command = command
            .arg(
                Arg::new(STDIN)
                    .long(STDIN)
                    .help("Read the password from the first line of standard input")
                    .action(ArgAction::SetTrue)
                    .conflicts_with(GENERATE),
            )
            .arg(
                Arg::new(GENERATE)
                    .long(GENERATE)
                    .help("Make up a good password and print it")
                    .action(ArgAction::SetTrue),
            );
    }
    if about.is_danger {
        let help = "Do not ask whether this is really wanted";
        command =
            command.arg(Arg::new(YES).long(YES).short('y').help(help).action(ArgAction::SetTrue));
    }
    command
}

fn arg(field: &'static FieldAbout) -> Arg {
    let name = field.name.replace('_', "-");
    let mut arg = Arg::new(field.var).help(help(field));
    if !field.options.is_empty() {
        let words = field.options.iter().map(|(word, doc)| {
            PossibleValue::new(*word).help(doc.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        arg = arg.value_parser(PossibleValuesParser::new(words));
    }
    if field.kind == FieldKind::Boolean {
        return arg.long(name).action(ArgAction::SetTrue);
    }
    arg = arg.value_name(name.to_uppercase());
    if field.kind.is_many() {
        arg = arg.action(ArgAction::Append);
    }
    if !field.is_positional() {
        return arg.long(name);
    }
    let arg = arg.required(true);
    if field.kind.is_many() { arg.num_args(1..) } else { arg }
}

fn help(field: &FieldAbout) -> String {
    let text = field.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end_matches('.').to_owned()
}

/// A command line that works, made from what must be given.
fn example(about: &CommandAbout) -> String {
    let mut words = vec!["waxwing"];
    words.extend(about.words);
    for field in about.fields.iter().filter(|field| field.is_positional()) {
        words.push(match (field.options, field.kind) {
            ([(word, _), ..], _) => word,
            (_, FieldKind::Jid | FieldKind::Jids) => "juliet@example.org",
            _ => "TEXT",
        });
    }
    words.join(" ")
}

/// The declared command that was called, and its own arguments.
pub(super) fn find<'m>(
    declared: &[&'static CommandAbout],
    matches: &'m ArgMatches,
) -> Option<(&'static CommandAbout, &'m ArgMatches)> {
    let mut words = Vec::new();
    let mut inner = matches;
    while let Some((word, next)) = inner.subcommand() {
        words.push(word);
        inner = next;
    }
    let about = declared.iter().find(|about| about.words == words)?;
    Some((about, inner))
}

/// Takes the values from the arguments, asking for passwords and for certainty.
pub(super) fn fill(about: &'static CommandAbout, matches: &ArgMatches) -> Result<Filled, Stop> {
    let mut filled = Filled { values: Values::default(), generated: None };
    for field in about.fields.iter().filter(|field| !field.is_dialogue) {
        match field.kind {
            FieldKind::Private => {}
            FieldKind::Boolean => {
                if matches.get_flag(field.var) {
                    filled.values.push(field.var, "true");
                }
            }
            _ => {
                for value in matches.get_many::<String>(field.var).into_iter().flatten() {
                    filled.values.push(field.var, value);
                }
            }
        }
    }
    if about.is_danger && !matches.get_flag(YES) {
        confirm(about, &filled.values)?;
    }
    let mut secrets = about.fields.iter();
    if let Some(field) =
        secrets.find(|field| field.kind == FieldKind::Private && !field.is_dialogue)
    {
        let password = password(matches, &mut filled)?;
        filled.values.push(field.var, password);
    }
    Ok(filled)
}

fn password(matches: &ArgMatches, filled: &mut Filled) -> Result<String, Stop> {
    if matches.get_flag(GENERATE) {
        let password = secret::generate()?;
        filled.generated = Some(password.clone());
        return Ok(password);
    }
    if matches.get_flag(STDIN) { secret::from_stdin() } else { secret::prompt() }
}

/// Asks a person whether this is really wanted.
fn confirm(about: &CommandAbout, values: &Values) -> Result<(), Stop> {
    let what: Vec<&str> =
        about.fields.iter().flat_map(|field| values.of(field.var)).map(String::as_str).collect();
    let words = about.words.join(" ");
    if !io::stdin().is_terminal() {
        let text = format!("`{words}` cannot be undone: add --yes if it is really wanted");
        return Err(Stop::usage(text));
    }
    eprint!("{}: {}. This cannot be undone. Type yes to go on: ", about.title(), what.join(" "));
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if answer.trim() == "yes" { Ok(()) } else { Err(Stop::refused("nothing was changed")) }
}
