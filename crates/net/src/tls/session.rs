//! TLS without IO: rustls' unbuffered connections, over buffers that the caller lends.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, Error, ServerConfig};

/// The most that is kept of a message whose end has not come: a handshake message in several
/// records, as rustls bounds it elsewhere. A record alone is at most 18 KiB.
const PARTIAL_BYTES_MAX: usize = 0xFFFF;
/// What a record adds to its contents, at most.
const RECORD_OVERHEAD: usize = 40;
/// The contents of one record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 * 1024;
/// Room for an alert or a small handshake message; larger ones say what they need.
const SMALL_RECORD: usize = 256;

/// One end of a TLS connection. Idle, it holds no buffer.
pub(crate) struct Session {
    connection: Connection,
    /// The beginning of a record, or the records of an unfinished handshake message.
    partial: Box<[u8]>,
    hearing: Hearing,
}

enum Connection {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What both ends do alike, although rustls has a type for each.
trait End {
    type Data;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn facts(&self) -> &CommonState;
}

/// Whether more can come from the peer.
#[derive(Debug)]
pub(crate) enum Hearing {
    /// It can.
    Open,
    /// The peer said `close_notify`: all that it sent is here.
    Closed,
    /// The connection ended without `close_notify`: something may be missing.
    Cut,
    /// Something came that TLS forbids.
    Broken(Error),
}

/// What is to be done once rustls has nothing else to do.
enum Errand<'a> {
    Seal(&'a [u8]),
    Close,
}

/// What rustls is to be given and asked for, and where the results go.
struct Desk<'a> {
    /// What the peer says.
    plain: &'a mut Vec<u8>,
    /// Records for the peer.
    out: &'a mut Vec<u8>,
    errand: Option<Errand<'a>>,
}

enum Step {
    /// Ask again, so many more bytes of input being used.
    More(usize),
    PeerClosed,
    /// The errand is done.
    Ran,
    Done,
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn facts(&self) -> &CommonState {
        self
    }
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn facts(&self) -> &CommonState {
        self
    }
}

impl Session {
    /// The server's end.
    pub(crate) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self::of(Connection::Server(UnbufferedServerConnection::new(config)?)))
    }

    /// The client's end, which offers the protocols `alpn`; appends its first words to `out`.
    pub(crate) fn call(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        alpn: Vec<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        let connection = UnbufferedClientConnection::new_with_alpn(config, name, alpn)?;
        let mut session = Self::of(Connection::Client(connection));
        let mut plain = Vec::new();
        session.drive(&mut [], &mut Desk { plain: &mut plain, out, errand: None })?;
        Ok(session)
    }

    fn of(connection: Connection) -> Self {
        Self { connection, partial: Box::default(), hearing: Hearing::Open }
    }

    pub(crate) fn hearing(&self) -> &Hearing {
        &self.hearing
    }

    /// Can more come?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.hearing, Hearing::Open)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.facts().is_handshaking()
    }

    /// What the handshake agreed on.
    pub(crate) fn facts(&self) -> &CommonState {
        match &self.connection {
            Connection::Server(end) => end.facts(),
            Connection::Client(end) => end.facts(),
        }
    }

    /// How many bytes of room [`Session::receive`] wants in front of what came.
    pub(crate) fn held(&self) -> usize {
        self.partial.len()
    }

    /// The socket has ended. Without `close_notify` before, the stream may have been cut short
    /// by anybody on the way.
    pub(crate) fn cut(&mut self) {
        if self.is_open() {
            self.hearing = Hearing::Cut;
            self.partial = Box::default();
        }
    }

    /// Takes in what came: `bytes` from [`Session::held`] on. What it says is appended to
    /// `plain`, and what must be answered to `out`.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>, out: &mut Vec<u8>) {
        let partial = std::mem::take(&mut self.partial);
        bytes[..partial.len()].copy_from_slice(&partial);
        drop(partial);
        match self.drive(bytes, &mut Desk { plain, out, errand: None }) {
            Ok(used) if self.is_open() => {
                let left = &bytes[used..];
                if left.len() > PARTIAL_BYTES_MAX {
                    self.hearing = Hearing::Broken(Error::PeerSentOversizedRecord);
                } else if !left.is_empty() {
                    self.partial = left.into();
                }
            }
            // "Any data received after a closure alert has been received MUST be ignored."
            // (RFC 8446 §6.1)
            Ok(_) => {}
            Err(error) => self.hearing = Hearing::Broken(error),
        }
    }

    /// Encrypts `bytes` and appends the records to `out`.
    pub(crate) fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.run(Errand::Seal(bytes), out)
    }

    /// Appends `close_notify`, unless an alert has ended the connection already.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        // A connection that cannot say goodbye any more is one that ends without.
        let _ = self.run(Errand::Close, out);
    }

    fn run(&mut self, errand: Errand<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if let Hearing::Broken(_) = self.hearing {
            return Err(ErrorKind::BrokenPipe.into());
        }
        // rustls wants to see what is left of the input each time, because it counts in it.
        let mut partial = std::mem::take(&mut self.partial);
        let mut plain = Vec::new();
        let mut desk = Desk { plain: &mut plain, out, errand: Some(errand) };
        let ran = self.drive(&mut partial, &mut desk);
        debug_assert!(plain.is_empty(), "a partial record has no contents");
        match ran {
            Ok(used) => {
                self.partial = if used == 0 { partial } else { partial[used..].into() };
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                self.hearing = Hearing::Broken(error);
                Err(io::Error::new(ErrorKind::BrokenPipe, text))
            }
        }
    }

    /// Lets rustls work until it wants more input, doing what is on the desk on the way. How much
    /// of `incoming` is used.
    fn drive(&mut self, incoming: &mut [u8], desk: &mut Desk<'_>) -> Result<usize, Error> {
        let (used, is_closed) = match &mut self.connection {
            Connection::Server(end) => drive(end, incoming, desk),
            Connection::Client(end) => drive(end, incoming, desk),
        }?;
        if is_closed {
            self.hearing = Hearing::Closed;
        }
        Ok(used)
    }
}

/// How much of `incoming` one end has used, and whether the peer has said its last word.
fn drive(
    end: &mut impl End,
    incoming: &mut [u8],
    desk: &mut Desk<'_>,
) -> Result<(usize, bool), Error> {
    let (mut used, mut is_closed) = (0, false);
    loop {
        let UnbufferedStatus { discard, state, .. } = end.process(&mut incoming[used..]);
        let step = state.and_then(|state| desk.handle(state));
        used += discard;
        match step {
            Ok(Step::More(discard)) => used += discard,
            Ok(Step::PeerClosed) => is_closed = true,
            // An errand uses no input, so only a key update can wait behind it.
            Ok(Step::Ran) if end.facts().wants_write() => {}
            Ok(Step::Ran) => return Ok((used, is_closed)),
            Ok(Step::Done) => return Ok((used, is_closed)),
            Err(error) => {
                last_words(end, &mut incoming[used..], desk.out);
                return Err(error);
            }
        }
    }
}

/// Appends the alert that says what was wrong. rustls hands it out before it looks at input, and
/// must not look again.
fn last_words(end: &mut impl End, incoming: &mut [u8], out: &mut Vec<u8>) {
    while end.facts().wants_write() {
        let Ok(ConnectionState::EncodeTlsData(mut data)) = end.process(incoming).state else {
            return;
        };
        if append(out, SMALL_RECORD, |room| data.encode(room).map_err(encoding)).is_err() {
            return;
        }
    }
}

impl Desk<'_> {
    fn handle<D>(&mut self, state: ConnectionState<'_, '_, D>) -> Result<Step, Error> {
        match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                let mut discard = 0;
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    self.plain.extend_from_slice(record.payload);
                }
                return Ok(Step::More(discard));
            }
            ConnectionState::EncodeTlsData(mut data) => {
                append(self.out, SMALL_RECORD, |room| data.encode(room).map_err(encoding))?;
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::WriteTraffic(traffic) if self.errand.is_some() => {
                self.run(traffic)?;
                return Ok(Step::Ran);
            }
            ConnectionState::PeerClosed => return Ok(Step::PeerClosed),
            ConnectionState::WriteTraffic(_) => return Ok(Step::Done),
            ConnectionState::BlockedHandshake | ConnectionState::Closed => {
                return match self.errand {
                    None => Ok(Step::Done),
                    Some(_) => Err(Error::HandshakeNotComplete),
                };
            }
            _ => return Err(Error::General("early data was never offered".to_owned())),
        }
        Ok(Step::More(0))
    }

    fn run<D>(&mut self, mut traffic: WriteTraffic<'_, D>) -> Result<(), Error> {
        match self.errand.take() {
            None => Ok(()),
            Some(Errand::Seal(bytes)) => append(self.out, sealed_len(bytes.len()), |room| {
                traffic.encrypt(bytes, room).map_err(encrypting)
            }),
            Some(Errand::Close) => append(self.out, SMALL_RECORD, |room| {
                traffic.queue_close_notify(room).map_err(encrypting)
            }),
        }
    }
}

/// How long the records are that hold `count` bytes.
fn sealed_len(count: usize) -> usize {
    count + count.div_ceil(RECORD_BYTES) * RECORD_OVERHEAD
}

/// Appends what `write` writes; if it lacks room, it says with `Err(Some(_))` how much it needs.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let (start, mut room) = (out.len(), room);
    let result = loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(count) => break Ok(count),
            Err(Some(needed)) if needed > room => room = needed,
            Err(_) => break Err(Error::EncryptError),
        }
    };
    out.truncate(start + *result.as_ref().unwrap_or(&0));
    result.map(drop)
}

fn encoding(error: EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(error) => Some(error.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn encrypting(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(error) => Some(error.required_size),
        EncryptError::EncryptExhausted => None,
    }
}
