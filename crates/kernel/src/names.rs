//! Names of numbers: what clients see of the numbers by which archives are in order.
//!
//! XEP-0313 §3: an id "MUST be unpredictable and unique within the archive"; XEP-0359 §6: "Entities
//! observing the value MUST NOT be able to infer any information from it". A number tells the time
//! and how busy the server is. So a name is its number under a key that only this server has: half
//! of it is a keyed hash of the number, the other half the number behind a mask made of the first.
//! It needs no column and no index of its own, and a name that was made up is found out.

use std::ops::Deref;

use siphasher::sip::SipHasher24;

/// Bytes of the key.
pub(crate) const KEY_BYTES: usize = 32;

/// Makes names of numbers, and numbers of names.
#[derive(Debug)]
pub struct Names {
    mark: SipHasher24,
    mask: SipHasher24,
}

/// The name of a number: 32 digits of lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name([u8; 32]);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

impl Names {
    /// Names under a key. Of a key that is too short, what is missing counts as zero.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut words = key.chunks(8).map(word).chain(std::iter::repeat(0));
        let mut hasher = || {
            let (one, two) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
            SipHasher24::new_with_keys(one, two)
        };
        Self { mark: hasher(), mask: hasher() }
    }

    /// The name of `number`.
    pub fn name(&self, number: u64) -> Name {
        let mark = self.mark.hash(&number.to_be_bytes());
        let hidden = number ^ self.mask.hash(&mark.to_be_bytes());
        let mut digits = [0; 32];
        let bytes = mark.to_be_bytes().into_iter().chain(hidden.to_be_bytes());
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Name(digits)
    }

    /// The number that has this name; `None` when it is the name of none.
    pub fn number(&self, name: &str) -> Option<u64> {
        let (mark, hidden) = name.split_at_checked(16)?;
        let mark = half(mark)?;
        let number = half(hidden)? ^ self.mask.hash(&mark.to_be_bytes());
        (self.mark.hash(&number.to_be_bytes()) == mark).then_some(number)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Eight bytes of a key, or what there is of them.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Sixteen lower-case digits; there is one way to write a name.
fn half(digits: &str) -> Option<u64> {
    let is_plain = digits.len() == 16
        && digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    is_plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_number_under_the_same_key_only() {
        let (ours, theirs) = (Names::new(&[7; KEY_BYTES]), Names::new(&[8; KEY_BYTES]));
        for number in [1, 2, 1 << 19, u64::MAX >> 1] {
            let name = ours.name(number);
            assert_eq!(ours.number(&name), Some(number));
            assert_eq!(theirs.number(&name), None);
            assert_ne!(*name, *theirs.name(number));
        }
    }

    #[test]
    fn what_is_no_name_has_no_number() {
        let names = Names::new(&[7; KEY_BYTES]);
        let name = names.name(5);
        let upper = name.to_uppercase();
        let mut other = name.to_string();
        other.replace_range(31.., if name.ends_with('0') { "1" } else { "0" });
        let signed = format!("+{}", &name[1..]);
        for text in ["", "5", "ä", &name[1..], &upper, &other, &signed, &format!("{}0", &*name)] {
            assert_eq!(names.number(text), None, "{text}");
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let names = Names::new(&[7; KEY_BYTES]);
        let same = |one: u64, two: u64| {
            let (one, two) = (names.name(one), names.name(two));
            one.bytes().zip(two.bytes()).filter(|(one, two)| one == two).count()
        };
        // Two of 32 are the same by chance.
        assert!((0..100).all(|number| same(number, number + 1) < 16));
    }
}
