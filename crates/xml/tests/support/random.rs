//! A small source of hostile bytes.

/// Random numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // xorshift64*, Vigna 2016
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// What a hostile peer would put somewhere.
const SPICES: &[&str] = &[
    "<",
    ">",
    "&",
    "'",
    "\"",
    "/",
    "=",
    ":",
    " ",
    "\t",
    "\n",
    "\r\n",
    "]]>",
    "]]",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<!DOCTYPE x>",
    "<![CDATA[",
    "&amp;",
    "&lt;",
    "&#60;",
    "&#x26;",
    "&#0;",
    "&#xFFFE;",
    "&nbsp;",
    "&#;",
    "xmlns",
    "xmlns=''",
    " xmlns='urn:a'",
    " xmlns:p='urn:p'",
    " xmlns:p=''",
    " xmlns='jabber:client'",
    "xml:",
    "p:",
    "q:",
    "a='1' ",
    "<a>",
    "</a>",
    "<a/>",
    "<p:a/>",
    "\0",
    "\u{1}",
    "\u{7F}",
    "\u{FFFD}",
    "\u{FFFE}",
    "\u{FFFF}",
    "é",
    "\u{10000}",
    "\u{300}",
    "·",
    "-",
    "0",
    "<?xml version='1.0'?>",
    "xmlns:xml='urn:x'",
    "xmlns:xmlns='urn:x'",
    " xmlns:z='http://www.w3.org/2000/xmlns/'",
    " xmlns='http://www.w3.org/XML/1998/namespace'",
];

/// Up to three small changes.
pub(crate) fn mutate(document: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(document.len() + 1);
        let rest = document.len() - at;
        match random.below(6) {
            0 if rest > 0 => document[at] = random.below(256) as u8,
            1 if rest > 0 => document[at] = b"<>&'\"/=: x]!?-\t"[random.below(15)],
            2 if rest > 0 => {
                let end = at + 1 + random.below(rest.min(8));
                document.drain(at..end);
            }
            3 if rest > 1 => {
                let end = at + 1 + random.below(rest.min(24));
                let piece = document[at..end].to_vec();
                let to = random.below(document.len());
                document.splice(to..to, piece);
            }
            4 if rest > 1 => document.swap(at, at + 1),
            _ => {
                let spice = random.pick(SPICES);
                document.splice(at..at, spice.bytes());
            }
        }
    }
}
