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
    launch: fn(&Place, &str) -> Option<Command>,
    /// Whether it takes part in every round: aims are set against it.
    pub(super) is_often: bool,
}

/// Where a server lives during one measurement.
pub(super) struct Place {
    /// Where `waxwing` and `waxwing-load` are.
    pub(super) programs: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) ports: Ports,
}

/// The ports of one server, all on loopback.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) tcp: u16,
    pub(super) tls: u16,
    pub(super) ws: u16,
    pub(super) wss: u16,
}

impl Ports {
    /// The one for this transport.
    pub(super) fn of(self, transport: &str) -> u16 {
        match transport {
            "tls" => self.tls,
            "ws" => self.ws,
            "wss" => self.wss,
            _ => self.tcp,
        }
    }
}

/// How a server is started.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    pub(super) transport: &'static str,
    /// With limits on what one client may send.
    pub(super) is_limited: bool,
    /// With an archive of everything that is said.
    pub(super) is_archived: bool,
    /// With rooms and nodes.
    pub(super) has_services: bool,
}

impl Mode {
    /// The lines of a configuration that hold in this mode: those that say so hold in one only.
    fn choose(self, template: &str) -> String {
        let limits = if self.is_limited { UNLIMITED } else { LIMITED };
        let archive = if self.is_archived { UNARCHIVED } else { ARCHIVED };
        let services = if self.has_services { UNSERVED } else { SERVED };
        let unwanted = [limits, archive, services];
        let is_unwanted = |line: &str| unwanted.iter().any(|end| line.ends_with(end));
        let lines = template.lines().filter(|line| !is_unwanted(line));
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// What ends a line that holds with limits only, and without them only.
const LIMITED: &str = "(limited)";
const UNLIMITED: &str = "(unlimited)";
/// The same for an archive.
const ARCHIVED: &str = "(archived)";
const UNARCHIVED: &str = "(unarchived)";
/// The same for rooms and publish-subscribe.
const SERVED: &str = "(served)";
const UNSERVED: &str = "(unserved)";

pub(super) const PEERS: [Peer; 4] = [
    Peer {
        name: "waxwing",
        config: (include_str!("../../compare/waxwing.toml"), "waxwing.toml"),
        launch: waxwing,
        is_often: true,
    },
    Peer { name: "floor", config: ("", "floor"), launch: floor, is_often: true },
    Peer {
        name: "ejabberd",
        config: (include_str!("../../compare/ejabberd.yml"), "ejabberd.yml"),
        launch: ejabberd,
        is_often: true,
    },
    Peer {
        name: "prosody",
        config: (include_str!("../../compare/prosody.cfg.lua"), "prosody.cfg.lua"),
        launch: prosody,
        is_often: false,
    },
];

impl Peer {
    /// Whether it is the relay that understands nothing.
    pub(super) fn is_floor(&self) -> bool {
        self.name == "floor"
    }

    /// Whether it is Waxwing.
    pub(super) fn is_own(&self) -> bool {
        self.name == "waxwing"
    }

    /// Whether it is installed here.
    pub(super) fn is_there(&self, place: &Place) -> bool {
        (self.launch)(place, "tcp").is_some()
    }

    /// Writes the configuration and gives what starts the server, in this mode.
    pub(super) fn command(&self, place: &Place, mode: Mode) -> Result<Command, String> {
        let (template, name) = self.config;
        let Ports { tcp, tls, ws, wss } = place.ports;
        let config = mode
            .choose(template)
            .replace("PORT_TCP", &tcp.to_string())
            .replace("PORT_TLS", &tls.to_string())
            .replace("PORT_WSS", &wss.to_string())
            .replace("PORT_WS", &ws.to_string())
            .replace("FOLDER", &place.folder.to_string_lossy());
        let failed = |error: std::io::Error| format!("{}: {error}", place.folder.display());
        fs::create_dir_all(place.folder.join("data")).map_err(failed)?;
        fs::write(place.folder.join(name), config).map_err(failed)?;
        if template.contains(".pem") {
            make_certificate(&place.folder)?;
        }
        let mut command =
            (self.launch)(place, mode.transport).ok_or("the server is not installed")?;
        command.current_dir(&place.folder);
        Ok(command)
    }
}

/// A certificate of the kind that Waxwing makes for itself, so that handshakes cost the same.
fn make_certificate(folder: &Path) -> Result<(), String> {
    if folder.join("certificate.pem").exists() {
        return Ok(());
    }
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem"])
        .args(["-out", "certificate.pem"])
        .current_dir(folder)
        .output()
        .map_err(|error| format!("openssl: {error}; install it for certificates"))?;
    let both = || {
        let key = fs::read(folder.join("key.pem"))?;
        let mut certificate = fs::read(folder.join("certificate.pem"))?;
        certificate.extend(key);
        fs::write(folder.join("both.pem"), certificate)
    };
    match made.status.success() {
        true => both().map_err(|error| error.to_string()),
        false => Err(String::from_utf8_lossy(&made.stderr).into_owned()),
    }
}

fn waxwing(place: &Place, _: &str) -> Option<Command> {
    let mut command = shell(&place.programs.join("waxwing"))?;
    command.args(["serve", "--config", "waxwing.toml", "--data", "data"]);
    Some(command)
}

fn floor(place: &Place, transport: &str) -> Option<Command> {
    let mut command = shell(&place.programs.join("waxwing-load"))?;
    let port = place.ports.of(transport);
    command.args(["floor", "--listen", &format!("127.0.0.1:{port}")]);
    if transport == "tls" {
        command.arg("--tls");
    }
    Some(command)
}

/// Debian's package, started without its script, which insists on its own user and folders.
fn ejabberd(place: &Place, _: &str) -> Option<Command> {
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

fn prosody(_: &Place, _: &str) -> Option<Command> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_have_limits_and_archives_or_none() {
        for peer in PEERS.iter().filter(|peer| !peer.is_floor()) {
            let config = |is_limited, is_archived, has_services| {
                Mode { transport: "tcp", is_limited, is_archived, has_services }
                    .choose(peer.config.0)
            };
            let (none, limits, archive) = (
                config(false, false, false),
                config(true, false, false),
                config(false, true, false),
            );
            assert!(none != limits && none != archive && limits != archive, "{}", peer.name);
            assert!(!limits.contains(UNLIMITED) && !none.contains(LIMITED));
            let served = config(false, false, true);
            assert!(served != none || peer.is_own(), "{}", peer.name);
            assert!(!served.contains(UNSERVED) && !none.contains(SERVED));
            assert!(!archive.contains(UNARCHIVED) && !none.contains(ARCHIVED));
        }
    }
}
