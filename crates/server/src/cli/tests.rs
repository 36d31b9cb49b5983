//! The command line as people type it.

use clap::ArgMatches;
use waxwing_jid::BareJid;
use waxwing_kernel::command::{CommandAbout, Secret};

use super::declared::Filled;
use super::*;

waxwing_kernel::form! {
    /// Make an account. The password is asked for, unless told otherwise.
    pub struct AddUser {
        /// The new address.
        pub jid("accountjid"): BareJid,
        /// The password.
        pub password: Option<Secret>,
        /// The password once more.
        [dialogue] pub again("password-verify"): Option<Secret>,
        /// Allow reserved names.
        pub force: bool,
        /// How many at most.
        pub max_items: Option<u32>,
    }
}

waxwing_kernel::form! {
    /// Remove accounts and everything they have.
    pub struct RemoveUsers {
        /// Their addresses.
        pub jids("accountjids"): Vec<BareJid>,
    }
}

static ADD: CommandAbout = CommandAbout::of::<AddUser>("add-user", &["user", "add"]);
static REMOVE: CommandAbout =
    CommandAbout::of::<RemoveUsers>("delete-user", &["user", "remove"]).danger();
static DECLARED: [&CommandAbout; 2] = [&ADD, &REMOVE];

fn parse(line: &str) -> Result<ArgMatches, clap::Error> {
    args::command(&DECLARED).try_get_matches_from(line.split_whitespace())
}

fn help(line: &str) -> String {
    parse(line).expect_err("help is no command").to_string()
}

fn fill(line: &str) -> Filled {
    let matches = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let (about, matches) = declared::find(&DECLARED, &matches).expect("a declared command");
    declared::fill(about, matches).unwrap_or_else(|stop| panic!("{line}: {}", stop.text))
}

#[test]
fn the_command_line_is_consistent() {
    args::command(&DECLARED).debug_assert();
}

#[test]
fn declared_commands_are_found_by_their_words() {
    let filled = fill("waxwing user add a@b --force --max-items 3 --generate");
    assert_eq!(filled.values.of("accountjid"), ["a@b"]);
    assert_eq!(filled.values.of("force"), ["true"]);
    assert_eq!(filled.values.of("max_items"), ["3"]);
    let password = filled.generated.expect("it was asked for");
    assert_eq!(filled.values.of("password"), [password.as_str()]);
    assert_eq!(password.len(), 23);

    let filled = fill("waxwing user remove a@b c@d --yes");
    assert_eq!(filled.values.of("accountjids"), ["a@b", "c@d"]);
}

#[test]
fn secrets_and_dialogue_fields_are_no_flags() {
    for line in ["waxwing user add a@b --password x", "waxwing user add a@b --again x"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn common_arguments_are_understood_everywhere() {
    for line in [
        "waxwing --config a.toml --data d --json",
        "waxwing serve --config a.toml --data d --json",
        "waxwing --json user add a@b --config a.toml -d d",
    ] {
        let matches = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let common = args::Common::from_arg_matches(&matches).expect("they are there");
        assert_eq!(common.config.as_deref(), Some("a.toml".as_ref()), "{line}");
        assert_eq!(common.data.as_deref(), Some("d".as_ref()), "{line}");
        assert!(common.json, "{line}");
    }
}

#[test]
fn every_help_has_an_example() {
    for line in [
        "waxwing serve --help",
        "waxwing check --help",
        "waxwing reload --help",
        "waxwing config --help",
        "waxwing config reference --help",
        "waxwing config example --help",
        "waxwing routes --help",
        "waxwing user --help",
        "waxwing user add --help",
        "waxwing user remove --help",
    ] {
        assert!(help(line).contains("Example:\n  waxwing "), "{line}:\n{}", help(line));
    }
    let add = help("waxwing user add --help");
    assert!(add.contains("waxwing user add juliet@example.org"), "{add}");
    assert!(add.contains("--password-stdin") && add.contains("--max-items <MAX-ITEMS>"), "{add}");
    assert!(help("waxwing --help").contains("Make, list, change and remove accounts"));
}

#[test]
fn slips_are_answered_with_what_was_meant() {
    let error = parse("waxwing user ad a@b").expect_err("there is no such command");
    assert!(error.to_string().contains("'add'"), "{error}");
}

#[test]
fn passwords_made_up_differ_and_avoid_lookalikes() {
    let made = || secret::generate().unwrap_or_else(|stop| panic!("{}", stop.text));
    let (one, two) = (made(), made());
    assert_ne!(one, two);
    assert!(!one.contains(['0', 'O', 'o', '1', 'l', 'I']), "{one}");
}
