//! Who was in the room must have seen what was said meanwhile: all of it, once, in the order in
//! which everybody else saw it.
//!
//! The order is that of the witness, who is there from beginning to end. Coming and going are part
//! of it: whoever comes hears everything that the witness hears behind the newcomer's presence, and
//! nothing that comes before it.

use std::collections::{HashMap, HashSet};

use crate::Outcome;

/// One stay of somebody in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stay {
    pub(super) person: usize,
    pub(super) number: u32,
}

/// What the witness sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Came(Stay),
    Went(Stay),
    Said(u32),
}

/// What somebody saw during a stay.
pub(super) struct Record {
    pub(super) stay: Stay,
    pub(super) heard: Vec<u32>,
    /// Whether the room told of the end: all that came before it has been heard.
    pub(super) knows_end: bool,
}

/// An error that tells the first thing that is not as it should be.
pub(super) fn judge(events: &[Event], records: &[Record]) -> Outcome<()> {
    let mut said = Vec::new();
    let mut once = HashSet::new();
    let (mut came, mut went) = (HashMap::new(), HashMap::new());
    for event in events {
        let is_new = match *event {
            Event::Said(serial) => {
                said.push(serial);
                once.insert(serial)
            }
            Event::Came(stay) => came.insert(stay, said.len()).is_none(),
            Event::Went(stay) => went.insert(stay, said.len()).is_none(),
        };
        if !is_new {
            return Err(format!("the witness saw this twice: {event:?}"));
        }
    }
    for record in records {
        let Record { stay, heard, knows_end } = record;
        let bounds = came.remove(stay).zip(went.remove(stay));
        let Some((from, to)) = bounds.filter(|(from, to)| from <= to) else {
            return Err(format!("the witness did not see {stay:?} come and go"));
        };
        let due = &said[from..to];
        let differs = heard.iter().zip(due).position(|(one, other)| one != other);
        if let Some(place) = differs {
            return Err(format!(
                "{stay:?} heard message {} where the witness heard {}, as number {place} of {}",
                heard[place],
                due[place],
                due.len()
            ));
        }
        if heard.len() > due.len() || (*knows_end && heard.len() < due.len()) {
            let (heard, due) = (heard.len(), due.len());
            return Err(format!("{stay:?} heard {heard} messages, and {due} were said meanwhile"));
        }
    }
    match came.keys().next() {
        Some(stay) => Err(format!("the witness saw {stay:?} come, who knows nothing of it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Event::{Came, Said, Went};
    use super::*;

    const ONE: Stay = Stay { person: 1, number: 0 };
    const EVENTS: &[Event] = &[Said(5), Came(ONE), Said(7), Said(6), Went(ONE), Said(8)];

    fn with(heard: &[u32], knows_end: bool) -> Outcome<()> {
        judge(EVENTS, &[Record { stay: ONE, heard: heard.to_vec(), knows_end }])
    }

    #[test]
    fn a_stay_has_what_was_said_meanwhile() {
        assert_eq!(with(&[7, 6], true), Ok(()));
        assert_eq!(with(&[7], false), Ok(()), "it ended before the rest was read");
        for (heard, what) in [
            (&[7][..], "lost at the end"),
            (&[6], "lost at the beginning"),
            (&[6, 7], "out of order"),
            (&[7, 7, 6], "twice"),
            (&[5, 7, 6], "from before"),
            (&[7, 6, 8], "from behind"),
        ] {
            assert!(with(heard, true).is_err(), "{what}");
        }
    }

    #[test]
    fn everybody_is_seen_and_nothing_twice() {
        assert!(judge(EVENTS, &[]).is_err(), "nobody tells of a stay");
        let record = || Record { stay: ONE, heard: vec![], knows_end: false };
        assert!(judge(&[Came(ONE)], &[record()]).is_err(), "never went");
        assert!(judge(&[Said(1), Said(1)], &[]).is_err());
        assert!(judge(&[Came(ONE), Came(ONE), Went(ONE)], &[record()]).is_err());
    }
}
