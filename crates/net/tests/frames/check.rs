//! However the bytes of a WebSocket are cut, the decoder says the same and keeps little.

use waxwing_net::websocket::codec::{Decoder, Fault, Piece};

/// Longest message, in bytes.
const LIMIT: usize = 256;
/// What an unfinished control frame may take beside it (RFC 6455 §5.5).
const CONTROL_BYTES: usize = 2 * 125;

/// What a decoder said, owned.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(Vec<u8>),
    Fragment,
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Protocol,
    Fault(Fault),
}

/// Panics unless `bytes`, cut at every one of `cuts`, say the same as in one piece and as byte by
/// byte.
pub(crate) fn check(bytes: &[u8], cuts: &[usize]) {
    let whole = decode(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode(&single), whole, "{}", bytes.escape_ascii());
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
    assert_eq!(decode(&pieces), whole, "{at:?} {}", bytes.escape_ascii());
    let is_end = |said: &Said| matches!(said, Said::Close(_) | Said::Protocol | Said::Fault(_));
    let ends = whole.iter().position(is_end);
    assert!(ends.is_none_or(|at| at + 1 == whole.len()), "nothing follows the end: {whole:?}");
}

fn decode(pieces: &[&[u8]]) -> Vec<Said> {
    let mut decoder = Decoder::new(LIMIT);
    let mut heard = Vec::new();
    for piece in pieces {
        decoder.decode(&mut piece.to_vec(), &mut |piece| heard.push(said(&piece)));
        assert!(decoder.held() <= LIMIT + CONTROL_BYTES, "{} bytes held", decoder.held());
    }
    heard
}

fn said(piece: &Piece<'_>) -> Said {
    match piece {
        Piece::Text(text) => {
            assert!(std::str::from_utf8(text).is_ok() && text.len() <= LIMIT);
            Said::Text(text.to_vec())
        }
        Piece::Fragment => Said::Fragment,
        Piece::Ping(payload) => Said::Ping(payload.to_vec()),
        Piece::Pong => Said::Pong,
        Piece::Close(code) => Said::Close(*code),
        // The wording of a fault is not part of what is compared.
        Piece::Fault(Fault::Protocol(_)) => Said::Protocol,
        Piece::Fault(fault) => Said::Fault(*fault),
    }
}
