//! The arguments that are not declared commands.

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use waxwing_kernel::command::CommandAbout;

use super::declared;

/// An XMPP server: chat, presence and messages for people and devices.
///
/// Without a command it starts serving, with an embedded database in the folder `waxwing-data`,
/// reachable from this machine only. Everything else is in a configuration file.
#[derive(Debug, Parser)]
#[command(
    name = "waxwing",
    version,
    disable_help_subcommand = true,
    after_help = "First steps:\n  \
        waxwing                                    start a server to try things out\n  \
        waxwing user add juliet@localhost          make an account (in another terminal)\n  \
        waxwing config example > waxwing.toml      begin a configuration\n  \
        waxwing check --config waxwing.toml        see whether it will work\n  \
        waxwing serve --config waxwing.toml        serve with it"
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) what: Option<Builtin>,
}

/// What every command understands.
#[derive(Debug, ClapArgs)]
pub(super) struct Common {
    /// The configuration file (TOML). Without it, the defaults hold.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The data folder: database, certificates, control socket. Wins over the file.
    #[arg(long, short, global = true, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Builtin {
    /// Start the server; the same as no command at all.
    ///
    /// It runs until it gets SIGTERM or Ctrl-C, then takes leave of its clients and exits. SIGHUP
    /// makes it read its configuration again.
    #[command(after_help = "Example:\n  waxwing serve --config /etc/waxwing.toml")]
    Serve,
    /// See whether a configuration will work, without starting anything.
    ///
    /// Looks at the file, the data folder, certificates and keys, the database, ports, and whether
    /// the domains lead to this machine. Says what to do about each thing that is wrong.
    #[command(after_help = "Example:\n  waxwing check --config waxwing.toml")]
    Check,
    /// Make the running server read its configuration again.
    ///
    /// Everything that can change while running changes, or nothing: if the file is wrong, or
    /// something in it needs a restart, the server keeps what it has and says why.
    #[command(after_help = "Example:\n  waxwing reload --config waxwing.toml")]
    Reload,
    /// Print the reference of the configuration, or an example file.
    #[command(
        arg_required_else_help = true,
        after_help = "Example:\n  waxwing config example > waxwing.toml"
    )]
    Config {
        #[command(subcommand)]
        part: ConfigPart,
    },
    /// Print which module answers which request, and what every stanza passes, in order.
    #[command(after_help = "Example:\n  waxwing routes")]
    Routes,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigPart {
    /// Every setting with its kind, range and default, as Markdown.
    #[command(after_help = "Example:\n  waxwing config reference | less")]
    Reference,
    /// A file with every setting as a comment, to start from.
    #[command(after_help = "Example:\n  waxwing config example > waxwing.toml")]
    Example,
}

/// The whole command line: the commands above and the declared ones.
pub(super) fn command(declared: &[&'static CommandAbout]) -> clap::Command {
    Args::command().subcommands(declared::subcommands(declared))
}
