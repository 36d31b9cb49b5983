//! Masks of frames, which those have that a client sends (§5.3).

use super::HEADER_BYTES_MAX;

/// The size of a header whose first two bytes are known.
pub(super) fn header_size(header: &[u8; HEADER_BYTES_MAX]) -> usize {
    let mask = if header[1] & 0x80 == 0 { 0 } else { 4 };
    match header[1] & 0x7F {
        126 => 4 + mask,
        127 => 10 + mask,
        _ => 2 + mask,
    }
}

/// XORs `bytes` with the mask, and turns the mask so that the next call goes on where this ends.
pub(super) fn apply(mask: &mut [u8; 4], bytes: &mut [u8]) {
    let key = u64::from(u32::from_ne_bytes(*mask));
    let wide = key << 32 | key;
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word: [u8; 8] = (&*chunk).try_into().expect("a chunk has eight bytes");
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    mask.rotate_left(bytes.len() % 4);
}
