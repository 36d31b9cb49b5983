//! A server process during one measurement.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::peers::{Mode, Peer, Place, Ports};

/// How long a server may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_000;
const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// A server that serves. It is stopped when dropped.
pub(super) struct Running {
    child: Child,
    /// From the start of its process to its first answer on XMPP's port.
    pub(super) took: Duration,
}

impl Running {
    /// Starts the server and waits until it answers.
    pub(super) fn start(peer: &Peer, place: &Place, mode: Mode) -> Result<Self, String> {
        let mut command = peer.command(place, mode)?;
        let port = place.ports.of(mode.transport);
        let log = place.folder.join("output.log");
        let output = File::create(&log).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let start = now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", peer.name))?;
        let mut running = Self { child, took: Duration::ZERO };
        while start.elapsed() < PATIENCE {
            let is_ready = if peer.is_floor() { connects(port) } else { answers(place.ports.tcp) };
            if is_ready {
                running.took = start.elapsed();
                return Ok(running);
            }
            if let Ok(Some(status)) = running.child.try_wait() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} does not start ({status}):\n{said}", peer.name));
            }
            sleep(PAUSE);
        }
        Err(format!("{} does not answer; see {}", peer.name, log.display()))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let mut left = PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && !left.is_zero() {
            sleep(PAUSE * 10);
            left = left.saturating_sub(PAUSE * 10);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Whether a stream can be opened: an open port alone does not serve anybody.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let mut first = [0];
    socket.write_all(HEADER).is_ok() && socket.read(&mut first).is_ok_and(|count| count == 1)
}

fn connects(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

/// Ports that are free now. They lie below those that the system gives to connections (from 32768
/// on, usually), for thousands of clients would soon have one of those. Each server, by its number,
/// has its own.
pub(super) fn free_ports(server: u16) -> Result<Ports, String> {
    let first = FIRST_PORT + (std::process::id() % 1000) as u16 + server * 1000;
    let mut free = (first..LAST_PORT)
        .filter_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)));
    let held: Vec<(u16, TcpListener)> = free.by_ref().take(4).collect();
    match held[..] {
        [(tcp, _), (tls, _), (ws, _), (wss, _)] => Ok(Ports { tcp, tls, ws, wss }),
        _ => Err(format!("no four ports are free between {first} and {LAST_PORT}")),
    }
}
