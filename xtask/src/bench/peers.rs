//! The servers, and how each is started: its own configuration, a folder of its own, loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that can be measured.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// The configuration, with places for ports and the folder, and its file's name.
    config: (&'static str, &'static str),
    /// The program and its arguments; none when it is not installed.
    launch: fn(&Place<'_>) -> Option<Command>,
}

/// Where a server lives during one measurement.
pub(super) struct Place<'a> {
    pub(super) root: &'a Path,
    pub(super) folder: PathBuf,
    pub(super) ports: Ports,
}

/// The ports of one server, all on loopback.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) tcp: u16,
    pub(super) tls: u16,
    pub(super) http: u16,
}

pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: "waxwing",
        config: (include_str!("../../bench/waxwing.toml"), "waxwing.toml"),
        launch: waxwing,
    },
    Peer {
        name: "ejabberd",
        config: (include_str!("../../bench/ejabberd.yml"), "ejabberd.yml"),
        launch: ejabberd,
    },
    Peer {
        name: "prosody",
        config: (include_str!("../../bench/prosody.cfg.lua"), "prosody.cfg.lua"),
        launch: prosody,
    },
];

impl Peer {
    /// Whether it is installed here.
    pub(super) fn is_there(&self, place: &Place<'_>) -> bool {
        (self.launch)(place).is_some()
    }

    /// Writes the configuration and gives what starts the server.
    pub(super) fn command(&self, place: &Place<'_>) -> Result<Command, String> {
        let (template, name) = self.config;
        let Ports { tcp, tls, http } = place.ports;
        let config = template
            .replace("PORT_TCP", &tcp.to_string())
            .replace("PORT_TLS", &tls.to_string())
            .replace("PORT_HTTP", &http.to_string())
            .replace("FOLDER", &place.folder.to_string_lossy());
        let failed = |error: std::io::Error| format!("{}: {error}", place.folder.display());
        fs::create_dir_all(place.folder.join("data")).map_err(failed)?;
        fs::write(place.folder.join(name), config).map_err(failed)?;
        let mut command = (self.launch)(place).ok_or("the server is not installed")?;
        command.current_dir(&place.folder);
        Ok(command)
    }
}

fn waxwing(place: &Place<'_>) -> Option<Command> {
    let mut command = shell(&place.root.join("target/release/waxwing"))?;
    command.args(["serve", "--config", "waxwing.toml", "--data", "data"]);
    Some(command)
}

/// Debian's package, started without its script, which insists on its own user and folders.
fn ejabberd(place: &Place<'_>) -> Option<Command> {
    let libraries = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let library = libraries.chain([PathBuf::from("/usr/lib")]).find(|library| {
        let mut names = fs::read_dir(library).into_iter().flatten().flatten();
        names.any(|name| name.file_name().to_string_lossy().starts_with("ejabberd-"))
    })?;
    let mut command = shell(Path::new("/usr/bin/erl"))?;
    let data = format!("\"{}\"", place.folder.join("data").display());
    command
        .args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir", &data])
        .args(["-s", "ejabberd"])
        .env("ERL_LIBS", library)
        .env("ERL_CRASH_DUMP", "/dev/null")
        .env("HOME", &place.folder)
        .env("EJABBERD_CONFIG_PATH", place.folder.join("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", place.folder.join("ejabberd.log"));
    Some(command)
}

fn prosody(_: &Place<'_>) -> Option<Command> {
    let mut command = shell(Path::new("/usr/bin/prosody"))?;
    command.args(["-F", "--config", "prosody.cfg.lua"]);
    Some(command)
}

/// The program with as many open files as it may have; the shell makes room for it.
fn shell(program: &Path) -> Option<Command> {
    if !program.exists() {
        return None;
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -n $(ulimit -H -n); exec \"$0\" \"$@\""]).arg(program);
    Some(command)
}
