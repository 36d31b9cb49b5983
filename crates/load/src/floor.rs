//! The floor: a relay that passes bytes between sockets and understands none of them. What it costs
//! is what the system asks of any server, and how far above it a server is, is the server's own.
//!
//! The first four bytes of a connection name a group; whatever comes behind them goes to all others
//! of the group. One thread, no runtime, one buffer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::Outcome;
use crate::limits::make_room;

const BUFFER_BYTES: usize = 65_536;
const EVENTS: usize = 256;
/// Connections that the listener may have at once.
const ROOM: usize = 8_192;
/// What may wait for one socket before it is given up, in bytes.
const BACKLOG_BYTES: usize = 1 << 24;
const LISTENER: u64 = 0;

/// Where to listen, and whether in the clear.
#[derive(clap::Args)]
pub(crate) struct Floor {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:5999")]
    listen: SocketAddr,
    /// With TLS and a certificate made for this run.
    #[arg(long)]
    tls: bool,
}

/// Passes bytes until it is stopped.
pub(crate) fn run(floor: &Floor) -> Outcome<()> {
    // A smaller limit only means fewer connections.
    let _ = make_room(ROOM, 1);
    let listener = TcpListener::bind(floor.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", floor.listen))?;
    let tls = floor.tls.then(certificate).transpose()?;
    let relay = Relay::new(listener, tls).and_then(Relay::run);
    relay.map_err(|error| format!("the floor ends: {error}"))
}

/// One side of a connection, with or without TLS.
trait Side: Read + Write {}
impl<T: Read + Write> Side for T {}

struct Peer {
    side: Box<dyn Side>,
    /// The descriptor below, for the system's list.
    socket: TcpStream,
    group: Option<u32>,
    /// The first bytes, while the group is not known.
    head: Vec<u8>,
    /// What did not fit into the socket.
    waiting: Vec<u8>,
}

struct Relay {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    ready: OwnedFd,
    peers: HashMap<u64, Peer>,
    groups: HashMap<u32, Vec<u64>>,
    last: u64,
}

impl Relay {
    fn new(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let ready = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&ready, listener.as_fd(), EventData::new_u64(LISTENER), EventFlags::IN)?;
        let (peers, groups) = (HashMap::new(), HashMap::new());
        Ok(Self { listener, tls, ready, peers, groups, last: LISTENER })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            events.clear();
            match epoll::wait(&self.ready, spare_capacity(&mut events), None) {
                Err(rustix::io::Errno::INTR) => continue,
                waited => waited?,
            };
            // Whoever comes joins its group before anybody says a word to it.
            let (members, comers): (Vec<_>, Vec<_>) = events
                .iter()
                .map(|event| (event.data.u64(), event.flags))
                .partition(|(id, _)| self.peers.get(id).is_some_and(|peer| peer.group.is_some()));
            for (id, flags) in comers.into_iter().chain(members) {
                match id {
                    LISTENER => self.accept(&mut buffer)?,
                    id => self.attend(id, flags, &mut buffer),
                }
            }
        }
    }

    fn attend(&mut self, id: u64, flags: EventFlags, buffer: &mut [u8]) {
        if self.serve(id, flags, buffer).is_err() {
            self.forget(id);
        }
    }

    fn accept(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            self.last += 1;
            epoll::add(&self.ready, &socket, EventData::new_u64(self.last), EventFlags::IN)?;
            let inner = socket.try_clone()?;
            let side: Box<dyn Side> = match &self.tls {
                None => Box::new(inner),
                Some(config) => {
                    let connection = ServerConnection::new(Arc::clone(config));
                    let connection = connection.map_err(io::Error::other)?;
                    Box::new(StreamOwned::new(connection, inner))
                }
            };
            let (head, waiting) = (Vec::new(), Vec::new());
            self.peers.insert(self.last, Peer { side, socket, group: None, head, waiting });
            self.attend(self.last, EventFlags::IN, buffer);
        }
    }

    /// Reads what is there and passes it on; writes what had to wait.
    fn serve(&mut self, id: u64, flags: EventFlags, buffer: &mut [u8]) -> io::Result<()> {
        if flags.contains(EventFlags::OUT) {
            self.write(id, &[])?;
        }
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let count = match peer.side.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        match peer.group {
            Some(group) => self.pass(id, group, &buffer[..count]),
            None => self.join(id, &buffer[..count]),
        }
    }

    fn join(&mut self, id: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        peer.head.extend_from_slice(bytes);
        let Some((name, rest)) = peer.head.split_first_chunk::<4>() else { return Ok(()) };
        let (group, rest) = (u32::from_be_bytes(*name), rest.to_vec());
        peer.group = Some(group);
        peer.head = Vec::new();
        self.groups.entry(group).or_default().push(id);
        if rest.is_empty() { Ok(()) } else { self.pass(id, group, &rest) }
    }

    fn pass(&mut self, from: u64, group: u32, bytes: &[u8]) -> io::Result<()> {
        let members = self.groups.remove(&group).unwrap_or_default();
        let (kept, gone): (Vec<u64>, Vec<u64>) =
            members.into_iter().partition(|to| *to == from || self.write(*to, bytes).is_ok());
        self.groups.insert(group, kept);
        gone.into_iter().for_each(|id| self.forget(id));
        Ok(())
    }

    /// Writes as much as fits; the rest waits for the socket.
    fn write(&mut self, to: u64, bytes: &[u8]) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(&to) else { return Ok(()) };
        let had_to_wait = !peer.waiting.is_empty();
        let mut left = bytes;
        if had_to_wait {
            peer.waiting.extend_from_slice(bytes);
            left = &peer.waiting;
        }
        let mut written = 0;
        while written < left.len() {
            match peer.side.write(&left[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        match had_to_wait {
            true => drop(peer.waiting.drain(..written)),
            false => peer.waiting.extend_from_slice(&bytes[written..]),
        }
        if peer.waiting.len() > BACKLOG_BYTES {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if peer.waiting.is_empty() == had_to_wait {
            let out = if peer.waiting.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
            epoll::modify(&self.ready, &peer.socket, EventData::new_u64(to), EventFlags::IN | out)?;
        }
        Ok(())
    }

    fn forget(&mut self, id: u64) {
        if let Some(peer) = self.peers.remove(&id)
            && let Some(members) = peer.group.and_then(|group| self.groups.get_mut(&group))
        {
            members.retain(|member| *member != id);
        }
    }
}

fn certificate() -> Outcome<Arc<ServerConfig>> {
    let failed = |error: rcgen::Error| format!("no certificate: {error}");
    let names = vec!["localhost".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(vec![cert.der().clone()], key.into())
        });
    let mut config = config.map_err(|error| format!("no TLS: {error}"))?;
    config.alpn_protocols = vec![b"xmpp-client".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
