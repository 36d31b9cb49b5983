//! What was said last, for those who come in (XEP-0045 §7.2.13, §7.2.14).

use std::collections::VecDeque;
use std::sync::OnceLock;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_stanza::payload::delay;
use waxwing_stanza::{Body, Stanza};

use super::forged::MUC;
use super::letter::Now;

/// What was said last, in order.
#[derive(Debug, Default)]
pub struct History {
    said: VecDeque<Said>,
    most: usize,
    most_bytes: usize,
    bytes: usize,
}

/// One message.
#[derive(Debug)]
pub struct Said {
    /// Its number in the archive.
    pub number: u64,
    /// When it was said, in Unix milliseconds.
    pub millis: u64,
    /// The message as everybody got it.
    pub stanza: Stanza,
    /// The same with the time when it was said, made when it is first needed.
    late: OnceLock<Stanza>,
}

/// How much of it somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// No more characters than this, of whole stanzas.
    pub chars: Option<usize>,
    /// No more messages than this.
    pub stanzas: Option<usize>,
    /// Nothing from before this time, in Unix milliseconds.
    pub since: Option<u64>,
}

impl Wish {
    /// What `<history/>` asks for. What cannot be read asks for nothing.
    pub fn read(body: &Body, now: &Now<'_>) -> Self {
        let Some(x) = body.child("x", MUC) else { return Self::default() };
        let Some(history) = x.child("history", MUC) else { return Self::default() };
        let number = |name: &str| history.attribute(name)?.trim().parse::<u64>().ok();
        let few = |name: &str| number(name).map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let seconds =
            number("seconds").map(|it| now.millis.saturating_sub(it.saturating_mul(1000)));
        let since = history.attribute("since").and_then(|since| moment(&since));
        Self { chars: few("maxchars"), stanzas: few("maxstanzas"), since: seconds.max(since) }
    }
}

/// A time as XEP-0082 writes it, in Unix milliseconds.
fn moment(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    Some(u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0))
}

impl History {
    /// With room for so many messages, which take so many bytes together.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, ..Self::default() }
    }

    /// Something was said.
    pub fn push(&mut self, number: u64, millis: u64, stanza: Stanza) {
        if self.most == 0 {
            return;
        }
        self.bytes += stanza.body.len_bytes();
        self.said.push_back(Said { number, millis, stanza, late: OnceLock::new() });
        while self.said.len() > self.most || self.bytes > self.most_bytes {
            let Some(oldest) = self.said.pop_front() else { break };
            self.bytes -= oldest.stanza.body.len_bytes();
        }
    }

    /// It was not said after all.
    pub fn take_back(&mut self, number: u64) {
        self.forget(number, |_| true);
    }

    /// A message was taken back, if it is the right one.
    pub fn forget(&mut self, number: u64, is_it: impl Fn(&Stanza) -> bool) {
        self.said.retain(|said| said.number != number || !is_it(&said.stanza));
        self.count();
    }

    fn count(&mut self) {
        self.bytes = self.said.iter().map(|said| said.stanza.body.len_bytes()).sum();
    }

    /// Puts something else in place of a message. False when it is not there.
    pub fn replace(&mut self, number: u64, stanza: Stanza) -> bool {
        let Some(said) = self.said.iter_mut().find(|said| said.number == number) else {
            return false;
        };
        said.stanza = stanza;
        said.late = OnceLock::new();
        self.count();
        true
    }

    /// What there is, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Said> {
        self.said.iter()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.said.clear();
        self.bytes = 0;
    }

    /// What somebody gets who wishes so, of at most `most` messages.
    ///
    /// "The service MUST send the smallest amount of traffic that meets any combination of the
    /// above criteria", and of characters "the largest number of complete stanzas that results in
    /// a number of characters less than or equal to the 'maxchars' value specified".
    pub fn replay(&self, wish: &Wish, most: usize, room: &BareJid) -> Vec<Stanza> {
        let most = wish.stanzas.map_or(most, |wanted| wanted.min(most));
        let mut room_left = wish.chars;
        let is_new = |said: &&Said| wish.since.is_none_or(|since| said.millis >= since);
        let mut last = Vec::new();
        for said in self.said.iter().rev().take_while(is_new).take(most) {
            let stanza = said.late(room);
            if let Some(left) = &mut room_left {
                let mut text = String::new();
                stanza.write(&mut text, None);
                match left.checked_sub(text.chars().count()) {
                    Some(rest) => *left = rest,
                    None => break,
                }
            }
            last.push(stanza);
        }
        last.reverse();
        last
    }
}

impl Said {
    /// "Discussion history messages MUST be stamped with … information qualified by the
    /// 'urn:xmpp:delay' namespace …. The 'from' attribute MUST be set to the JID of the room
    /// itself."
    fn late(&self, room: &BareJid) -> Stanza {
        let make = || {
            let delay = delay::delay(&stamp_of(self.millis), room.as_str());
            self.stanza.clone().with(delay)
        };
        self.late.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::MessageType;

    use super::*;

    #[test]
    fn large_messages_push_out_more_than_small_ones() {
        let said = |bytes: usize| {
            Stanza::message(MessageType::Groupchat)
                .with(format!("<body>{}</body>", "x".repeat(bytes)))
        };
        let mut history = History::new(5, 1000);
        let kept = |history: &History| history.iter().map(|it| it.number).collect::<Vec<_>>();
        (0..7).for_each(|number| history.push(number, 0, said(10)));
        assert_eq!(kept(&history), [2, 3, 4, 5, 6]);
        history.push(7, 0, said(950));
        assert_eq!(kept(&history), [6, 7]);
        history.take_back(7);
        (8..12).for_each(|number| history.push(number, 0, said(100)));
        assert_eq!(kept(&history), [6, 8, 9, 10, 11]);
        history.push(12, 0, said(2000));
        assert!(kept(&history).is_empty());
        history.push(13, 0, said(900));
        assert_eq!(kept(&history), [13]);
    }
}
