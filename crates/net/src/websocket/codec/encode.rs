//! The frames of a server.

use super::{Opcode, deflate};

/// RSV1, which marks a compressed message (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;

/// Appends one unfragmented, unmasked frame to `out` (§5.1 "A server MUST NOT mask any frames").
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write(out, 0x80 | opcode as u8, payload);
}

/// Appends a text message in compressed form, and gives the size of that. None, and nothing is
/// appended, when compression would not make it smaller.
pub fn encode_deflated(out: &mut Vec<u8>, text: &[u8]) -> Option<usize> {
    let first = 0x80 | COMPRESSED | Opcode::Text as u8;
    deflate::deflate(text, |payload| {
        write(out, first, payload);
        payload.len()
    })
}

/// Appends a close frame; without a code its payload is empty.
pub fn encode_close(out: &mut Vec<u8>, code: Option<u16>) {
    match code {
        Some(code) => encode(out, Opcode::Close, &code.to_be_bytes()),
        None => encode(out, Opcode::Close, &[]),
    }
}

fn write(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
