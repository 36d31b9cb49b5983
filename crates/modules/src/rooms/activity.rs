//! How much is said in a room (XEP-0502, version 0.1.0).

use waxwing_stanza::payload::dataform::{Field, FieldType};
use waxwing_stanza::{CLIENT, Stanza};
use waxwing_store::Statement;
use waxwing_store::domains::rooms::{NoteRow, Rooms as Rows};

use super::letter::Now;
use super::notes::Notes;
use super::room::Room;

const FIELD: &str = "{urn:xmpp:muc-activity}message-activity";

/// The note of a room: the hour, and the counters from that on back.
const NOTE: &str = "activity";

const HOUR_MILLIS: u64 = 3_600_000;

/// §6: "a shift register of 25 counters", of which the first is not full yet.
const HOURS: usize = 25;

/// Messages of the last hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The hour that is being counted, since 1970.
    hour: u64,
    counts: [u32; HOURS],
}

impl Activity {
    /// As it was noted last.
    pub fn restore(notes: &Notes) -> Self {
        let Some(text) = notes.get(NOTE, "") else { return Self::default() };
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().unwrap_or(0));
        let hour = numbers.next().unwrap_or(0);
        let mut counts = [0; HOURS];
        for (count, number) in counts.iter_mut().zip(numbers) {
            *count = u32::try_from(number).unwrap_or(u32::MAX);
        }
        Self { hour, counts }
    }

    fn to_text(&self) -> String {
        let mut text = self.hour.to_string();
        self.counts.iter().for_each(|count| text.push_str(&format!(" {count}")));
        text
    }

    /// Moves on to the hour of that time; whether it is another.
    fn shift(&mut self, millis: u64) -> bool {
        let hour = millis / HOUR_MILLIS;
        let by = usize::try_from(hour.saturating_sub(self.hour)).unwrap_or(HOURS).min(HOURS);
        if by == 0 {
            return false;
        }
        self.counts.copy_within(..HOURS - by, by);
        self.counts[..by].fill(0);
        self.hour = hour;
        true
    }

    /// Messages an hour: "sum the counters two through 25 and divide the sum by 24".
    fn rate(&self, millis: u64) -> f64 {
        let mut shifted = self.clone();
        shifted.shift(millis);
        let sum: u64 = shifted.counts[1..].iter().map(|count| u64::from(*count)).sum();
        sum as f64 / (HOURS - 1) as f64
    }
}

/// Counts a message to everybody. The counters are stored with the first message of an hour, so a
/// room that goes to sleep forgets at most what was said in the hour before.
///
/// §5: "Services MUST NOT count messages without a <body/> element", and "SHOULD NOT count"
/// corrections (XEP-0308).
pub fn count(room: &mut Room, stanza: &Stanza, now: &Now<'_>) -> Option<Statement> {
    let is_counted = room.config.is_persistent
        && stanza.body.has("body", CLIENT)
        && !stanza.body.has("replace", "urn:xmpp:message-correct:0");
    if !is_counted {
        return None;
    }
    let is_new = room.activity.shift(now.millis);
    let first = &mut room.activity.counts[0];
    *first = first.saturating_add(1);
    let note =
        || NoteRow { kind: NOTE.to_owned(), key: String::new(), value: room.activity.to_text() };
    is_new.then(|| Rows::put_note(room.jid.as_str(), &note()))
}

/// §4: it is told "if: The room is persistent, and The room is public"; and §9: not "where users
/// would need some kind of specific authorization to join".
pub fn field(room: &Room, now: &Now<'_>) -> Option<Field> {
    let config = &room.config;
    let is_told = config.is_persistent
        && config.is_public
        && !config.is_members_only
        && config.password.is_none();
    let field = || Field::new(FieldType::TextSingle, FIELD).label("Messages per hour");
    is_told.then(|| field().value(format!("{:.2}", room.activity.rate(now.millis))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_full_day() {
        let mut activity = Activity::default();
        let at = |hour: u64| (1000 + hour) * HOUR_MILLIS + 5;
        activity.shift(at(0));
        activity.counts[0] = 48;
        assert_eq!(activity.rate(at(0)), 0.0, "the hour is not over");
        assert_eq!(activity.rate(at(1)), 2.0);
        assert_eq!(activity.rate(at(24)), 2.0);
        assert_eq!(activity.rate(at(25)), 0.0);
        assert!(activity.shift(at(3)) && !activity.shift(at(3)));
        activity.counts[0] = 24;
        assert_eq!(activity.rate(at(4)), 3.0);
        assert!(activity.shift(at(1000)));
        assert_eq!(activity.counts, [0; HOURS]);
    }

    #[test]
    fn what_was_noted_comes_back() {
        let mut activity = Activity { hour: 7, ..Activity::default() };
        (activity.counts[0], activity.counts[24]) = (3, 9);
        let mut notes = Notes::default();
        notes.set(NOTE, "", &activity.to_text());
        assert_eq!(Activity::restore(&notes), activity);
        notes.set(NOTE, "", "nonsense");
        assert_eq!(Activity::restore(&notes), Activity::default());
    }
}
