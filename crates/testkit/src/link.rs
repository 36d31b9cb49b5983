//! A client's end of a connection, whatever carries it.

use std::task::{Context, Poll};

use waxwing_stream::Framing;

use crate::pipe::Far;

pub use crate::pipe::Sent;

/// A connection to the server. Dropping it cuts it.
pub enum Link {
    /// A pipe in memory.
    Memory(Framing, Far),
}

impl Link {
    /// How it is framed.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Memory(framing, _) => *framing,
        }
    }

    /// Sends a piece of a TCP stream, or one WebSocket message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) -> Result<(), String> {
        match self {
            Self::Memory(_, far) => far.send(text.as_bytes()),
        }
        Ok(())
    }

    /// Answers a WebSocket Ping.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn pong(&mut self) -> Result<(), String> {
        match self {
            Self::Memory(_, far) => far.pong(),
        }
        Ok(())
    }

    /// Polls for what the server sent; `None` at the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        match self {
            Self::Memory(_, far) => far.poll_receive(cx),
        }
    }

    /// Puts TLS under the stream.
    ///
    /// # Errors
    /// When the handshake fails, or this is no plain socket.
    pub async fn secure(self, _: &str) -> Result<Self, String> {
        match self {
            Self::Memory(..) => Err("STARTTLS is offered in memory".to_owned()),
        }
    }
}
