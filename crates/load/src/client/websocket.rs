//! The client's side of WebSocket frames, as far as XMPP needs them (RFC 6455, RFC 7395).

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Outcome;
use crate::client::socket::Socket;

/// The most a response head may have, in bytes.
const HEAD_BYTES: usize = 8192;
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Asks for the upgrade on a fresh connection.
pub(super) async fn open(socket: &mut impl Socket, domain: &str, path: &str) -> Outcome<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {domain}\r\nUpgrade: websocket\r\n\
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
        false => Err(format!(
            "no WebSocket at {path}; --path names another place. The server says {}",
            String::from_utf8_lossy(&head)
        )),
    }
}

/// Writes one text message, masked with zeros: the mask is for proxies, and there is none.
pub(super) fn message(text: &[u8], out: &mut Vec<u8>) {
    frame(TEXT, text, out);
}

/// Writes an empty Pong that nobody asked for.
pub(super) fn pong(out: &mut Vec<u8>) {
    frame(PONG, &[], out);
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | kind);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// What a server's frame says.
pub(super) enum Heard {
    /// A whole message.
    Text(String),
    /// A Ping, which has been answered into the output.
    Ping,
    /// Anything else; XMPP servers do not cut messages into fragments.
    Other,
}

/// Bytes that came and have not been understood yet.
#[derive(Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame. What has to be sent back goes to `out`.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Option<Heard> {
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
            PING => {
                frame(PONG, &payload, out);
                Heard::Ping
            }
            _ => Heard::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_they_arrive() {
        let long = "x".repeat(70_000);
        let mut sent = vec![0x81, 2, b'h', b'i', 0x89, 1, b'p', 0x81, 126, 1, 0];
        sent.extend([b'y'; 256]);
        sent.extend([0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        sent.extend(long.as_bytes());
        for step in [1, 7, sent.len()] {
            let (mut frames, mut out, mut found) = (Frames::default(), Vec::new(), Vec::new());
            for piece in sent.chunks(step) {
                frames.push(piece);
                while let Some(heard) = frames.next(&mut out) {
                    if let Heard::Text(text) = heard {
                        found.push(text);
                    }
                }
            }
            assert_eq!(found, ["hi".to_owned(), "y".repeat(256), long.clone()]);
            assert_eq!(out, [0x8A, 0x81, 0, 0, 0, 0, b'p']);
        }
    }
}
