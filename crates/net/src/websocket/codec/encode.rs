//! Frames on their way out.

use super::{Opcode, deflate, mask};

/// RSV1, which marks a compressed message (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;
/// The bit beside the length that says that the payload is masked (§5.2).
const MASKED: u8 = 0x80;

/// Appends one unfragmented, unmasked frame to `out` (§5.1 "A server MUST NOT mask any frames").
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write(out, 0x80 | opcode as u8, payload);
}

/// Appends one unfragmented frame of a client, masked with `key`. §5.3 "The masking key needs to be
/// unpredictable".
pub fn encode_masked(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mut key: [u8; 4]) {
    write_head(out, 0x80 | opcode as u8, MASKED, payload.len());
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(&mut key, &mut out[start..]);
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

fn write(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    write_head(out, first, 0, payload.len());
    out.extend_from_slice(payload);
}

fn write_head(out: &mut Vec<u8>, first: u8, masked: u8, length: usize) {
    out.push(first);
    match length {
        length @ 0..=125 => out.push(masked | length as u8),
        length @ 126..=0xFFFF => {
            out.push(masked | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}
