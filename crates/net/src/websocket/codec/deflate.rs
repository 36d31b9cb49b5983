//! The compression of permessage-deflate (RFC 7692 §7.2), each message for itself.
//!
//! Nothing is remembered from one message to the next, so one compressor and one decompressor per
//! thread serve all its connections: the memory of compression depends on the number of threads
//! (about 350 KB each, once they have met a compressed message) and not on that of clients.

use std::cell::Cell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Fault;

/// What §7.2.1 lets the sender cut off, and §7.2.2 the receiver put back.
const CUT: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// The same and an empty last block: only whole data ends exactly behind it.
const TAIL: [u8; 9] = [0, 0, 0xFF, 0xFF, 1, 0, 0, 0xFF, 0xFF];
/// Blocks of one message that say that they are the last. Each of two bytes costs the clearing of a
/// window, so a message of nothing else would be a lot of work; senders that do it at all have one.
const ENDS_MAX: usize = 64;
/// The first guess at the size of an inflated message, in bytes.
const FIRST_BYTES: usize = 4096;
/// Larger buffers are not kept.
const KEPT_BYTES: usize = 64 * 1024;

thread_local! {
    static DEFLATER: Cell<Option<Compress>> = const { Cell::new(None) };
    static INFLATER: Cell<Option<Decompress>> = const { Cell::new(None) };
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that a message of `limit` bytes may have when it is compressed: data that does
/// not shrink grows by some bytes per block (RFC 1951 §3.2.4).
pub(super) fn compressed_max(limit: usize) -> usize {
    limit.saturating_add(limit / 1024 + 64)
}

/// Compresses a message and lends it to `take`, unless that would not make it smaller.
pub(super) fn deflate<T>(text: &[u8], take: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let fresh = || Compress::new(Compression::fast(), false);
    let mut deflater = DEFLATER.take().unwrap_or_else(fresh);
    deflater.reset();
    let mut out = SCRATCH.take();
    out.clear();
    // A result that fills this room was not worth it.
    out.reserve(text.len());
    let status = deflater.compress_vec(text, &mut out, FlushCompress::Sync);
    let is_whole = status.is_ok()
        && deflater.total_in() == text.len() as u64
        && out.len() < text.len()
        && out.ends_with(&CUT);
    DEFLATER.set(Some(deflater));
    let taken = is_whole.then(|| take(&out[..out.len() - CUT.len()]));
    put_away(out);
    taken
}

/// Inflates a message and lends it to `take`. What goes beyond `limit` bytes is never made.
pub(super) fn inflate<T>(
    message: &[u8],
    limit: usize,
    take: impl FnOnce(&[u8]) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut inflater = INFLATER.take().unwrap_or_else(|| Decompress::new(false));
    inflater.reset(false);
    let mut out = SCRATCH.take();
    out.clear();
    let mut inflating = Inflating { inflater: &mut inflater, out: &mut out, limit };
    let inflated = inflating.whole(message);
    INFLATER.set(Some(inflater));
    let taken = inflated.and_then(|()| take(&out));
    put_away(out);
    taken
}

fn put_away(out: Vec<u8>) {
    if out.capacity() <= KEPT_BYTES {
        SCRATCH.set(out);
    }
}

struct Inflating<'a> {
    inflater: &'a mut Decompress,
    out: &'a mut Vec<u8>,
    limit: usize,
}

impl Inflating<'_> {
    fn whole(&mut self, message: &[u8]) -> Result<(), Fault> {
        let (mut rest, mut ends) = (message, 0);
        while !rest.is_empty() {
            // §7.2.3.4: blocks may be last ones (BFINAL), with others behind them.
            let Some(behind) = self.stretch(rest)? else { break };
            (rest, ends) = (behind, ends + 1);
            if ends > ENDS_MAX {
                return Err(BROKEN);
            }
        }
        match self.stretch(&TAIL)? {
            Some([]) => Ok(()),
            _ => Err(BROKEN),
        }
    }

    /// Inflates up to the end of a last block, and gives what follows it; None when there was none.
    fn stretch<'a>(&mut self, mut input: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        loop {
            if self.out.len() == self.out.capacity() {
                let room = (self.out.capacity() * 2).max(FIRST_BYTES).min(self.limit + 1);
                self.out.reserve_exact(room.saturating_sub(self.out.len()).max(1));
            }
            let (before, had) = (self.inflater.total_in(), self.out.len());
            let none = FlushDecompress::None;
            let status = self.inflater.decompress_vec(input, self.out, none);
            let read = usize::try_from(self.inflater.total_in() - before).map_err(|_| BROKEN)?;
            input = &input[read..];
            if self.out.len() > self.limit {
                return Err(Fault::TooBig);
            }
            match status.map_err(|_| BROKEN)? {
                Status::StreamEnd => {
                    self.inflater.reset(false);
                    return Ok(Some(input));
                }
                _ if self.out.len() == self.out.capacity() => {}
                _ if input.is_empty() => return Ok(None),
                _ if read == 0 && self.out.len() == had => return Err(BROKEN),
                _ => {}
            }
        }
    }
}

const BROKEN: Fault = Fault::Protocol("a compressed message does not inflate");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deflated(text: &[u8]) -> Option<Vec<u8>> {
        deflate(text, <[u8]>::to_vec)
    }

    fn inflated(message: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
        inflate(message, limit, |text| Ok(text.to_vec()))
    }

    /// As another sender would do it, however little it helps.
    fn by_others(text: &[u8], flushes: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * text.len() + 64);
        let mut compress = Compress::new(Compression::best(), false);
        compress.compress_vec(text, &mut out, flushes).unwrap();
        out
    }

    /// Marsaglia's xorshift: nothing that a compressor would find.
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 2_463_534_242_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        };
        (0..size).map(|_| next()).collect()
    }

    #[test]
    fn the_examples_of_rfc_7692_inflate() {
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        for (section, message) in [
            ("§7.2.3.1", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..]),
            ("§7.2.3.3, a stored block", &stored),
            ("§7.2.3.4, BFINAL", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
            (
                "§7.2.3.5, two blocks",
                &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
            ),
        ] {
            assert_eq!(inflated(message, 5), Ok(b"Hello".to_vec()), "{section}");
            assert_eq!(inflated(message, 4), Err(Fault::TooBig), "{section}");
        }
        // §7.2.3.6: an empty message.
        assert_eq!(inflated(&[0x00], 0), Ok(vec![]));
    }

    #[test]
    fn what_is_cut_or_goes_on_does_not_inflate() {
        let text =
            b"<message to='juliet@localhost'><body>Wherefore art thou Romeo?</body></message>";
        let whole = by_others(text, FlushCompress::Sync);
        let whole = &whole[..whole.len() - CUT.len()];
        assert_eq!(inflated(whole, 1000), Ok(text.to_vec()));
        for end in 0..whole.len() {
            assert_eq!(inflated(&whole[..end], 1000), Err(BROKEN), "{end} of {}", whole.len());
        }
        for junk in [&[0x07][..], &[0xFF, 0xFF], &[0x01, 0x02, 0x03]] {
            let more = [whole, junk].concat();
            assert_eq!(inflated(&more, 1000), Err(BROKEN), "{junk:?}");
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = by_others(&vec![b' '; 10_000_000], FlushCompress::Sync);
        assert!(bomb.len() < 20_000);
        assert_eq!(inflated(&bomb, 16_384), Err(Fault::TooBig));
        let kept = SCRATCH.take().capacity();
        assert!(kept <= KEPT_BYTES, "{kept}");
    }

    #[test]
    fn a_message_of_nothing_but_ends_is_not_worked_through() {
        // Each of these is a last block without content, and each begins the work anew.
        let ends = |count: usize| {
            let message = [[0x03, 0x00].repeat(count), vec![0x00]].concat();
            inflated(&message, 262_144)
        };
        assert_eq!(ends(ENDS_MAX), Ok(vec![]));
        assert_eq!(ends(ENDS_MAX + 1), Err(BROKEN));
        assert_eq!(ends(131_072), Err(BROKEN));
    }

    #[test]
    fn only_what_shrinks_is_compressed() {
        assert_eq!(deflated(b""), None);
        assert_eq!(deflated(b"<a/>"), None);
        assert_eq!(deflated(&noise(4000)), None);
        let text = "<item jid='nurse@localhost' name='Nurse'/>".repeat(8000);
        let small = deflated(text.as_bytes()).unwrap();
        assert!(small.len() * 20 < text.len(), "{} of {}", small.len(), text.len());
        assert_eq!(inflated(&small, text.len()), Ok(text.into_bytes()));
    }

    #[test]
    fn incompressible_data_of_the_longest_size_is_within_what_may_come() {
        for size in [16_384, 262_144] {
            let noise = noise(size);
            let stored = by_others(&noise, FlushCompress::Sync);
            assert!(stored.len() <= compressed_max(noise.len()), "{}", stored.len());
        }
    }

    proptest! {
        #[test]
        fn messages_come_back(text in "[ -~]{0,20}", times in 0usize..2000) {
            let text = text.repeat(times).into_bytes();
            if let Some(small) = deflated(&text) {
                prop_assert!(small.len() < text.len());
                prop_assert_eq!(inflated(&small, text.len()), Ok(text.clone()));
                if !text.is_empty() {
                    prop_assert_eq!(inflated(&small, text.len() - 1), Err(Fault::TooBig));
                }
            }
            let full = by_others(&text, FlushCompress::Full);
            prop_assert_eq!(inflated(&full[..full.len() - 4], text.len()), Ok(text));
        }

        #[test]
        fn arbitrary_bytes_never_inflate_beyond_the_limit(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Ok(text) = inflated(&bytes, 1000) {
                prop_assert!(text.len() <= 1000);
            }
        }
    }
}
