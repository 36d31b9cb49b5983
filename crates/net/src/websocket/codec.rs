//! The RFC 6455 frame codec, free of IO: that of a server, and of a server that calls another one.
//!
//! Own code, because an idle connection of the usual libraries keeps a read buffer (up to 137 KB
//! measured) where this one keeps none: frames are unmasked in place in the reader's buffer, and
//! a message that is neither fragmented nor cut by a read is handed over without a copy.

mod deflate;
mod encode;
mod mask;

use std::mem;
use std::sync::Arc;

use waxwing_kernel::metrics::Deflated;

pub use self::encode::{encode, encode_deflated, encode_masked};
use self::mask::{apply, header_size};

/// The size of the longest frame header: 2 bytes, 8 of length, 4 of mask.
const HEADER_BYTES_MAX: usize = 14;
/// §5.5 "All control frames MUST have a payload length of 125 bytes or less".
const CONTROL_BYTES_MAX: usize = 125;

/// What a frame carries (§11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, which XMPP does not use.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to a ping.
    Pong = 0xA,
}

impl Opcode {
    fn read(byte: u8) -> Option<Self> {
        Some(match byte & 0x0F {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// One thing the peer said, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole text message, valid UTF-8.
    Text(&'a [u8]),
    /// A fragment that does not end its message.
    Fragment,
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong,
    /// The peer closes, with its status code if it gave one. Nothing follows.
    Close(Option<u16>),
    /// The peer broke the protocol. Nothing follows.
    Fault(Fault),
}

/// Why a connection has to be failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Framing rules were broken; the text says which. Close code 1002.
    Protocol(&'static str),
    /// A binary message (RFC 7395 §3.2 allows text only). Close code 1003.
    Binary,
    /// Text that is not UTF-8. Close code 1007.
    NotUtf8,
    /// A message longer than the limit. Close code 1009.
    TooBig,
}

/// Takes frames apart as they arrive. Owns memory only while a message or frame is incomplete.
#[derive(Debug)]
pub struct Decoder {
    /// The longest message, reassembled and inflated, in bytes.
    limit: usize,
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    frame: Option<Frame>,
    is_fragmented: bool,
    is_done: bool,
    /// The peer is the server of the WebSocket.
    is_client: bool,
    /// The message under way is compressed.
    is_deflated: bool,
    /// Messages may be compressed, and are counted here.
    inflates: Option<Arc<Deflated>>,
    message: Vec<u8>,
    control: Vec<u8>,
}

/// A frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    is_final: bool,
    left: usize,
    mask: [u8; 4],
}

impl Decoder {
    /// Allows messages of up to `limit` bytes from now on; a message under way included.
    pub fn raise(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
    }

    /// A decoder that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            frame: None,
            is_fragmented: false,
            is_done: false,
            is_client: false,
            is_deflated: false,
            inflates: None,
            message: Vec::new(),
            control: Vec::new(),
        }
    }

    /// The same for who has called a server.
    pub fn of_client(limit: usize) -> Self {
        Self { is_client: true, ..Self::new(limit) }
    }

    /// Takes compressed messages from now on (RFC 7692), and counts them in `counts`.
    pub fn inflate(&mut self, counts: Arc<Deflated>) {
        self.inflates = Some(counts);
    }

    /// Takes all of `input`, unmasking it in place, and tells `sink` what it held.
    pub fn decode(&mut self, mut input: &mut [u8], sink: &mut dyn FnMut(Piece<'_>)) {
        while !self.is_done && !input.is_empty() {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(&mut input) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return,
                    Err(fault) => return self.fail(fault, sink),
                },
            };
            let (chunk, rest) = input.split_at_mut(frame.left.min(input.len()));
            input = rest;
            apply(&mut frame.mask, chunk);
            frame.left -= chunk.len();
            let taken = if frame.opcode.is_control() {
                self.take_control(frame, chunk, sink)
            } else {
                self.take_data(frame, chunk, sink)
            };
            match taken {
                Err(fault) => return self.fail(fault, sink),
                Ok(()) if frame.left > 0 => self.frame = Some(frame),
                Ok(()) => {}
            }
        }
    }

    /// Bytes held for a message or frame that is not complete.
    pub fn held(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    fn fail(&mut self, fault: Fault, sink: &mut dyn FnMut(Piece<'_>)) {
        self.finish();
        sink(Piece::Fault(fault));
    }

    fn finish(&mut self) {
        self.is_done = true;
        self.message = Vec::new();
        self.control = Vec::new();
    }

    /// Collects a header from the front of `input`; None while it is incomplete.
    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, Fault> {
        loop {
            let have = usize::from(self.header_len);
            if have >= 2 {
                let need = header_size(&self.header);
                if have == 2 {
                    self.check_start()?;
                }
                if have == need {
                    self.header_len = 0;
                    return self.begin(need).map(Some);
                }
            }
            let Some((byte, rest)) = mem::take(input).split_first_mut() else { return Ok(None) };
            *input = rest;
            self.header[have] = *byte;
            self.header_len += 1;
        }
    }

    /// Judges the first two bytes, before the rest of the header has come.
    fn check_start(&self) -> Result<(), Fault> {
        let [first, second] = [self.header[0], self.header[1]];
        let opcode = Opcode::read(first).ok_or(Fault::Protocol("reserved opcode"))?;
        // §5.2 "MUST be 0 unless an extension is negotiated that defines meanings". RFC 7692 §6 has
        // one for RSV1, in the first frame of a data message only.
        let is_new = matches!(opcode, Opcode::Text | Opcode::Binary);
        let is_deflated = self.inflates.is_some() && is_new;
        if first & if is_deflated { 0x30 } else { 0x70 } != 0 {
            return Err(Fault::Protocol("a reserved bit is set"));
        }
        // §5.1 "The server MUST close the connection upon receiving a frame that is not masked."
        // "A client MUST close a connection if it detects a masked frame."
        match (second & 0x80 != 0, self.is_client) {
            (false, false) => return Err(Fault::Protocol("a client's frame is not masked")),
            (true, true) => return Err(Fault::Protocol("a server's frame is masked")),
            _ => {}
        }
        if opcode.is_control() {
            if first & 0x80 == 0 {
                return Err(Fault::Protocol("a control frame is fragmented"));
            }
            if usize::from(second & 0x7F) > CONTROL_BYTES_MAX {
                return Err(Fault::Protocol("a control frame is longer than 125 bytes"));
            }
            return Ok(());
        }
        match opcode {
            Opcode::Binary => Err(Fault::Binary),
            Opcode::Continuation if !self.is_fragmented => {
                Err(Fault::Protocol("a continuation of no message"))
            }
            Opcode::Text if self.is_fragmented => {
                Err(Fault::Protocol("a new message inside a fragmented one"))
            }
            _ => Ok(()),
        }
    }

    /// Reads length and mask of a complete header of `size` bytes.
    fn begin(&mut self, size: usize) -> Result<Frame, Fault> {
        let header = &self.header[..size];
        let (middle, mask) = header.split_at(if self.is_client { size } else { size - 4 });
        // §5.2 "the minimal number of bytes MUST be used to encode the length".
        let (length, least) = match middle.len() {
            2 => (u64::from(middle[1] & 0x7F), 0),
            4 => (u64::from(u16::from_be_bytes([middle[2], middle[3]])), 126),
            _ => (middle[2..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), 1 << 16),
        };
        if length < least {
            return Err(Fault::Protocol("a frame length is not in its shortest form"));
        }
        if length > i64::MAX as u64 {
            return Err(Fault::Protocol("a frame length has its highest bit set"));
        }
        let opcode = Opcode::read(header[0]).expect("check_start has seen the opcode");
        if opcode == Opcode::Text {
            self.is_deflated = header[0] & 0x40 != 0;
        }
        let room = self.message_max() - self.message.len();
        if !opcode.is_control() && length > room as u64 {
            return Err(Fault::TooBig);
        }
        Ok(Frame {
            opcode,
            is_final: header[0] & 0x80 != 0,
            left: length as usize,
            mask: mask.try_into().unwrap_or_default(),
        })
    }

    fn take_data(
        &mut self,
        frame: Frame,
        chunk: &[u8],
        sink: &mut dyn FnMut(Piece<'_>),
    ) -> Result<(), Fault> {
        self.is_fragmented = !frame.is_final;
        let is_complete = frame.is_final && frame.left == 0;
        if is_complete && self.message.is_empty() {
            return self.tell(chunk, sink);
        }
        self.keep(chunk);
        if is_complete {
            let message = mem::take(&mut self.message);
            self.tell(&message, sink)?;
        } else if frame.left == 0 {
            sink(Piece::Fragment);
        }
        Ok(())
    }

    fn tell(&self, payload: &[u8], sink: &mut dyn FnMut(Piece<'_>)) -> Result<(), Fault> {
        let mut tell = |text: &[u8]| valid(text).map(|text| sink(Piece::Text(text)));
        let Some(counts) = self.inflates.as_ref().filter(|_| self.is_deflated) else {
            return tell(payload);
        };
        deflate::inflate(payload, self.limit, |text| {
            counts.received(payload.len(), text.len());
            tell(text)
        })
    }

    /// The longest message as it comes, in bytes.
    fn message_max(&self) -> usize {
        if self.is_deflated { deflate::compressed_max(self.limit) } else { self.limit }
    }

    /// Appends to the message under way; its buffer never grows past the limit.
    fn keep(&mut self, chunk: &[u8]) {
        let limit = self.message_max();
        let message = &mut self.message;
        let need = message.len() + chunk.len();
        if need > message.capacity() {
            let capacity = (message.capacity() * 2).min(limit).max(need);
            message.reserve_exact(capacity - message.len());
        }
        message.extend_from_slice(chunk);
    }

    fn take_control(
        &mut self,
        frame: Frame,
        chunk: &[u8],
        sink: &mut dyn FnMut(Piece<'_>),
    ) -> Result<(), Fault> {
        if frame.left > 0 {
            self.control.extend_from_slice(chunk);
            return Ok(());
        }
        let mut whole = mem::take(&mut self.control);
        let payload = if whole.is_empty() {
            chunk
        } else {
            whole.extend_from_slice(chunk);
            &whole
        };
        match frame.opcode {
            Opcode::Ping => sink(Piece::Ping(payload)),
            Opcode::Pong => sink(Piece::Pong),
            _ => {
                let code = close_code(payload)?;
                self.finish();
                sink(Piece::Close(code));
            }
        }
        Ok(())
    }
}

fn valid(text: &[u8]) -> Result<&[u8], Fault> {
    std::str::from_utf8(text).map(str::as_bytes).map_err(|_| Fault::NotUtf8)
}

/// §5.5.1 and §7.4: an empty payload, or a code that may be sent followed by a UTF-8 reason.
fn close_code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Fault::Protocol("a close frame with half a status code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Fault::Protocol("a status code that must not be sent"));
    }
    valid(reason)?;
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
