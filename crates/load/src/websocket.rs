//! The client's side of WebSocket frames, as far as XMPP needs them (RFC 6455, RFC 7395).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;

/// The most a response head may have, in bytes.
const HEAD_BYTES: usize = 8192;
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Asks for the upgrade on a fresh connection.
pub(crate) async fn open(socket: &mut TcpStream, domain: &str) -> Outcome<()> {
    let request = format!(
        "GET /xmpp-websocket HTTP/1.1\r\nHost: {domain}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
    );
    let failed = |error: std::io::Error| format!("no WebSocket: {error}");
    socket.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES {
        head.push(socket.read_u8().await.map_err(failed)?);
    }
    match head.starts_with(b"HTTP/1.1 101") {
        true => Ok(()),
        false => Err(format!("no WebSocket: {}", String::from_utf8_lossy(&head))),
    }
}

/// One text message, masked with zeros: the mask is for proxies, and there is none.
pub(crate) fn message(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes())
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// What a server's frame says.
pub(crate) enum Heard {
    /// A whole message.
    Text(String),
    /// A Ping, with the frame to send back.
    Ping(Vec<u8>),
    /// Anything else; XMPP servers do not cut messages into fragments.
    Other,
}

/// Bytes that came and have not been understood yet.
#[derive(Default)]
pub(crate) struct Frames(Vec<u8>);

impl Frames {
    /// Adds what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        let (first, second) = (*self.0.first()?, *self.0.get(1)?);
        let (length, start): (usize, usize) = match second & 0x7F {
            126 => {
                let bytes = self.0.get(2..4)?.try_into().expect("two bytes were asked for");
                (usize::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => {
                let bytes = self.0.get(2..10)?.try_into().expect("eight bytes were asked for");
                (usize::try_from(u64::from_be_bytes(bytes)).ok()?, 10)
            }
            short => (usize::from(short), 2),
        };
        let payload = self.0.get(start..start.checked_add(length)?)?.to_vec();
        self.0.drain(..start + length);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(match first & 0x0F {
            TEXT => Heard::Text(String::from_utf8_lossy(&payload).into_owned()),
            PING => Heard::Ping(frame(PONG, &payload)),
            _ => Heard::Other,
        })
    }
}
