//! Which messages a question is about.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use waxwing_jid::Jid;
use waxwing_kernel::Names;
use waxwing_kernel::shelf::{Peers, Shelf};
use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::Field;
use waxwing_store::domains::archive::{Entry, With, Words};

use super::query::Form;
use super::search;

/// Bits of a number that are not the time.
const COUNTER_BITS: u32 = 19;

/// The messages that a form selects.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Only those above this number.
    pub(super) above: i64,
    /// Only those below this number, if any.
    pub(super) below: Option<i64>,
    /// Only those exchanged with this address.
    with: Option<Jid>,
    /// Only those of these numbers, in rising order.
    pub(super) numbers: Option<Vec<i64>>,
    /// Only those that have these words.
    pub(super) words: Option<Words>,
    /// Numbers that must be in the archive.
    pub(super) landmarks: Vec<i64>,
}

/// When a message with this number was filed, in milliseconds since 1970.
pub(super) fn millis(number: i64) -> u64 {
    number.cast_unsigned() >> COUNTER_BITS
}

/// The lowest number of a millisecond.
pub(super) fn first_of(millis: u64) -> i64 {
    let millis = millis.min((i64::MAX >> COUNTER_BITS).cast_unsigned());
    millis.cast_signed() << COUNTER_BITS
}

/// The number behind an id that a client gives.
///
/// XEP-0313 §4.1.3: "If any UID requested by the client … is not present in the archive, the server
/// MUST return an item-not-found error".
pub(super) fn number(names: &Names, id: &str) -> Result<i64, StanzaError> {
    let number = names.number(id).and_then(|number| i64::try_from(number).ok());
    number.ok_or_else(not_found)
}

/// What a client hears that asks for an id that is not there.
pub(super) fn not_found() -> StanzaError {
    StanzaError::item_not_found().text("There is no message with this id in the archive.")
}

impl Filter {
    /// Reads a form, in which a reader of this archive may name so many messages.
    pub(super) fn read(
        form: &Form<'_>,
        names: &Names,
        shelf: &Shelf,
        most: usize,
    ) -> Result<Self, StanzaError> {
        let mut filter = Self::default();
        for (name, field) in form.fields() {
            match name {
                "FORM_TYPE" => {}
                "with" => filter.with = peer(address(only(name, field)?)?, shelf)?,
                "start" => filter.rise(first_of(instant(name, field)?.0) - 1),
                "end" => filter.sink(first_of(instant(name, field)?.1)),
                "after-id" => {
                    let number = number(names, only(name, field)?)?;
                    filter.landmarks.push(number);
                    filter.rise(number);
                }
                "before-id" => {
                    let number = number(names, only(name, field)?)?;
                    filter.landmarks.push(number);
                    filter.sink(number);
                }
                "ids" => filter.numbers = Some(listed(field, names, most)?),
                search::FIELD if shelf.is_indexed => filter.words = words(only(name, field)?)?,
                // §4.1.4: an account's archive has no messages of rooms, wanted or not.
                "include-groupchat" => flag(name, field)?,
                // §4.1.5: "If a client includes a form field that the server does not recognise,
                // the server MUST respond with a 'feature-not-implemented' error."
                _ => {
                    let text = format!("Archives know no field {name:?}.");
                    return Err(StanzaError::feature_not_implemented().text(text));
                }
            }
        }
        Ok(filter)
    }

    /// Nothing up to `number`.
    pub(super) fn rise(&mut self, number: i64) {
        self.above = self.above.max(number);
    }

    /// Nothing from `number` on.
    pub(super) fn sink(&mut self, number: i64) {
        self.below = Some(self.below.map_or(number, |below| below.min(number)));
    }

    /// With whom.
    ///
    /// §4.1.1: "If (and only if) the supplied JID is a bare JID", any resource matches. The own
    /// address means what was sent to oneself, as everything else would match as well.
    pub(super) fn with(&self) -> With<'_> {
        match &self.with {
            None => With::Anybody,
            Some(jid) => match jid.resource() {
                None => With::Account(jid.as_str()),
                Some(resource) => With::Resource(jid.bare_str(), resource),
            },
        }
    }

    /// Whether a message that was found by its number is among those selected.
    pub(super) fn admits(&self, entry: &Entry) -> bool {
        let is_within =
            entry.number > self.above && self.below.is_none_or(|below| entry.number < below);
        let has_words =
            || self.words.as_ref().is_none_or(|words| words.are_in(&search::words_of(entry)));
        is_within
            && has_words()
            && match self.with() {
                With::Anybody => true,
                With::Account(peer) => entry.peer == peer,
                With::Resource(peer, resource) => entry.peer == peer && entry.resource == resource,
            }
    }
}

fn listed(field: &Field, names: &Names, most: usize) -> Result<Vec<i64>, StanzaError> {
    if field.values.len() > most {
        let text = format!("No more than {most} messages can be asked for by id at a time.");
        return Err(StanzaError::bad_request().text(text));
    }
    let numbers = field.values.iter().map(|id| number(names, id));
    let mut numbers = numbers.collect::<Result<Vec<i64>, _>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The one value of a field.
fn only<'a>(name: &str, field: &'a Field) -> Result<&'a str, StanzaError> {
    match field.values.as_slice() {
        [value] => Ok(value.trim()),
        _ => Err(StanzaError::bad_request().text(format!("The field {name} takes one value."))),
    }
}

fn address(text: &str) -> Result<Jid, StanzaError> {
    Jid::new(text).map_err(|error| {
        StanzaError::bad_request().text(format!("The field with holds no address: {error}"))
    })
}

/// Whose messages are meant, as far as the reader of this archive may choose.
fn peer(jid: Jid, shelf: &Shelf) -> Result<Option<Jid>, StanzaError> {
    let is_here = jid.bare_str() == shelf.jid.as_str();
    match shelf.peers {
        Peers::Partners => Ok(Some(jid)),
        Peers::Publishers | Peers::Hidden if is_here && jid.resource().is_none() => Ok(None),
        Peers::Publishers if is_here => {
            let text = "Messages are found here by the real address of who sent them.";
            Err(StanzaError::feature_not_implemented().text(text))
        }
        Peers::Publishers => Ok(Some(jid)),
        Peers::Hidden => {
            Err(StanzaError::forbidden().text("Who sent what is not told to you here."))
        }
    }
}

/// A moment as the milliseconds from which on it has been reached, and from which on it has passed:
/// what is kept is known to the millisecond.
fn instant(name: &str, field: &Field) -> Result<(u64, u64), StanzaError> {
    let moment = OffsetDateTime::parse(only(name, field)?, &Rfc3339).map_err(|_| {
        // XEP-0082 §3.2
        let text = format!("The field {name} takes a time such as 2026-01-31T12:00:00Z.");
        StanzaError::bad_request().text(text)
    })?;
    let nanos = u128::try_from(moment.unix_timestamp_nanos()).unwrap_or(0);
    let millis = |nanos: u128| u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX);
    let is_before = moment.unix_timestamp_nanos() < 0;
    let passed = if is_before { 0 } else { millis(nanos) + 1 };
    Ok((millis(nanos + 999_999), passed))
}

/// XEP-0431 §2.2: the text "if non-empty is used as input to a full text search".
fn words(text: &str) -> Result<Option<Words>, StanzaError> {
    let words = Words::of(text);
    if text.len() > search::BYTES || words.len() > search::WORDS {
        let text = format!("Search for {} words at most.", search::WORDS);
        return Err(StanzaError::bad_request().text(text));
    }
    Ok((!text.is_empty()).then_some(words))
}

fn flag(name: &str, field: &Field) -> Result<(), StanzaError> {
    match only(name, field)? {
        "true" | "1" | "false" | "0" => Ok(()),
        _ => Err(StanzaError::bad_request().text(format!("The field {name} takes true or false."))),
    }
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::payload::dataform::FieldType;

    use super::*;

    fn bounds(text: &str) -> Option<(u64, u64)> {
        instant("start", &Field::new(FieldType::TextSingle, "start").value(text)).ok()
    }

    #[test]
    fn moments_are_found_to_the_millisecond() {
        for (text, bounds_) in [
            ("1970-01-01T00:00:01Z", (1000, 1001)),
            ("1970-01-01T00:00:01.001Z", (1001, 1002)),
            // Between two: what is kept at 1001 is later than this, what is kept at 1000 is not.
            ("1970-01-01T00:00:01.0005Z", (1001, 1001)),
            ("1970-01-01T01:00:01+01:00", (1000, 1001)),
            ("1969-12-31T23:59:59Z", (0, 0)),
        ] {
            assert_eq!(bounds(text), Some(bounds_), "{text}");
        }
        for text in ["", "yesterday", "1970-01-01", "1970-01-01T00:00:01"] {
            assert_eq!(bounds(text), None, "{text}");
        }
        assert!(bounds("9999-12-31T23:59:59Z").is_some());
    }

    #[test]
    fn numbers_hold_the_time() {
        assert_eq!(millis(first_of(1_769_860_800_000)), 1_769_860_800_000);
        assert_eq!(millis(first_of(1_001) - 1), 1_000);
        assert!(first_of(u64::MAX) > 0);
    }
}
