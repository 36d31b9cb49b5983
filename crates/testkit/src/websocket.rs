//! The client's side of RFC 6455, as small as a client of one server can be.

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::link::{Sent, Socket, poll_read, write};

/// The example of RFC 6455 §1.3: a key and what the server makes of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// An open WebSocket.
pub struct WebSocket {
    socket: Box<dyn Socket>,
    held: Vec<u8>,
}

impl WebSocket {
    /// Does the opening handshake, with these header lines besides the usual.
    ///
    /// # Errors
    /// The server's answer, if it is another.
    pub async fn open(
        mut socket: Box<dyn Socket>,
        domain: &str,
        headers: &str,
    ) -> Result<Self, String> {
        let request = format!(
            "GET /xmpp-websocket HTTP/1.1\r\nHost: {domain}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Protocol: xmpp\r\n{headers}\r\n"
        );
        write(&mut socket, request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut held = Vec::new();
        loop {
            if let Some(end) = held.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&held[..end]).into_owned();
                let is_open = head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT);
                held.drain(..end + 4);
                return if is_open { Ok(Self { socket, held }) } else { Err(head) };
            }
            let more = poll_fn(|cx| poll_read(&mut socket, cx)).await;
            if more.is_empty() {
                return Err("the server closed instead of opening a WebSocket".to_owned());
            }
            held.extend(more);
        }
    }

    /// What binds something to this very connection, if it has TLS.
    pub fn exporter(&self) -> Option<[u8; 32]> {
        self.socket.exporter()
    }

    /// Sends one text message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) -> Result<(), String> {
        self.frame(TEXT, text.as_bytes()).await
    }

    /// Answers a Ping.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self) -> Result<(), String> {
        self.frame(PONG, b"").await
    }

    /// Polls for a message or a Ping; `None` at the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        loop {
            match self.take_frame() {
                Some((CLOSE, _)) => return Poll::Ready(None),
                Some((PING, _)) => return Poll::Ready(Some(Sent::Ping)),
                Some((TEXT, data)) => return Poll::Ready(Some(Sent::Data(data))),
                Some(_) => continue,
                None => {}
            }
            let more = std::task::ready!(poll_read(&mut self.socket, cx));
            if more.is_empty() {
                return Poll::Ready(None);
            }
            self.held.extend(more);
        }
    }

    /// The next whole frame: what it is and what it holds. The server sends no fragments.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = *self.held.first()?;
        let (length, head) = match *self.held.get(1)? {
            126 => (usize::from(u16::from_be_bytes(*self.held[2..].first_chunk()?)), 4),
            127 => {
                let length = u64::from_be_bytes(*self.held[2..].first_chunk()?);
                (usize::try_from(length).ok()?, 10)
            }
            length => (usize::from(length), 2),
        };
        let frame = self.held.get(head..head + length)?.to_vec();
        self.held.drain(..head + length);
        Some((first & !FINAL, frame))
    }

    /// RFC 6455 §5.3: "a client MUST mask all frames". A test need not hide the mask.
    async fn frame(&mut self, opcode: u8, payload: &[u8]) -> Result<(), String> {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        let mut frame = vec![FINAL | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(MASKED | length as u8),
            length @ 126..=0xFFFF => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        write(&mut self.socket, &frame).await.map_err(|error| error.to_string())
    }
}
