//! What happens to the road between two servers: `road capulet.example is cut`.

use std::time::Duration;

use super::{DOMAIN, duration};

/// What happens to the road between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoadAct {
    /// One end; that of the first server when only one is named.
    pub one: String,
    /// The other.
    pub other: String,
    /// What happens.
    pub change: Change,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `is cut`: connections end, and nobody gets through.
    Cut,
    /// `is silent`: nothing arrives, and nobody is told.
    Silent,
    /// `is open`: as it was at the beginning; what was held arrives.
    Open,
    /// `breaks`: connections end, and others may begin at once.
    Break,
    /// `takes 2s 1s`: what is sent arrives so much later, on one connection after the other.
    Delay(Vec<Duration>),
}

impl RoadAct {
    /// Reads what stands behind `road`; None when it has the shape of no line.
    pub(super) fn read(text: &str) -> Option<Result<Self, String>> {
        let mut words = text.split_whitespace().peekable();
        let one = words.next()?.to_owned();
        let is_verb = |word: &&str| matches!(*word, "is" | "breaks" | "takes");
        let (one, other) = match words.next_if(|word| !is_verb(word)) {
            Some(other) => (one, other.to_owned()),
            None => (DOMAIN.to_owned(), one),
        };
        let rest: Vec<&str> = words.collect();
        let change = match rest.as_slice() {
            ["is", "cut"] => Change::Cut,
            ["is", "silent"] => Change::Silent,
            ["is", "open"] => Change::Open,
            ["breaks"] => Change::Break,
            ["takes", delays @ ..] if !delays.is_empty() => {
                match delays.iter().map(|delay| duration(delay)).collect() {
                    Ok(delays) => Change::Delay(delays),
                    Err(reason) => return Some(Err(reason)),
                }
            }
            _ => return None,
        };
        Some(Ok(Self { one, other, change }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_road_has_two_ends_one_of_which_may_be_left_out() {
        let read = |text| RoadAct::read(text).map(|act| act.unwrap());
        let act = |one: &str, other: &str, change| {
            Some(RoadAct { one: one.to_owned(), other: other.to_owned(), change })
        };
        assert_eq!(read("b.example is cut"), act("localhost", "b.example", Change::Cut));
        assert_eq!(
            read("a.example b.example breaks"),
            act("a.example", "b.example", Change::Break)
        );
        let delays = vec![Duration::from_secs(2), Duration::from_secs(60)];
        assert_eq!(
            read("b.example takes 2s 1m"),
            act("localhost", "b.example", Change::Delay(delays))
        );
        assert_eq!(read("b.example is long"), None);
        assert!(RoadAct::read("b.example takes ages").unwrap().is_err());
    }
}
