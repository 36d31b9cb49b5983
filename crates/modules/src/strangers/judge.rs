//! Whether somebody may approach a person: a pure function of what is known of both, so that it is
//! the same for whoever comes, from this server, from a component or from another server.

use waxwing_kernel::choice;

choice! {
    /// Who may write to a person.
    pub enum Who {
        /// Everybody; strangers within limits.
        Everybody = "everybody",
        /// Contacts, people written to before, and everybody of the same domain.
        Server = "server",
        /// Contacts and people written to before.
        Contacts = "contacts",
    }
}

/// What stands between a person and whoever approaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// In the roster, or written to before.
    Known,
    /// An account of the same host, and not known.
    Neighbour,
    /// Anybody else.
    Stranger,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Approach {
    /// To say something.
    Message {
        /// How long it is.
        bytes: u64,
        /// Web addresses in it.
        links: u32,
        /// Whether it says something, and not only that somebody types.
        has_content: bool,
    },
    /// To see the person's presence.
    Request {
        /// Whether this is asked again that waits for an answer already.
        is_repeated: bool,
    },
}

/// What is known when somebody approaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) relation: Relation,
    pub(super) approach: Approach,
    /// Whom the person lets write.
    pub(super) who: Who,
    /// What the sender has said since the person answered last, in [`weight`]s.
    pub(super) said: u32,
    /// Other strangers who wrote for the first time within the hour.
    pub(super) others: usize,
    /// Requests of strangers within the hour.
    pub(super) requests: usize,
    /// Requests that wait for an answer.
    pub(super) waiting: usize,
}

/// What strangers may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: u32,
    pub(super) senders: usize,
    pub(super) requests: usize,
    pub(super) waiting: usize,
    pub(super) links: u32,
    pub(super) bytes: u64,
    /// Whether people of the same host are limited as others are.
    pub(super) includes_neighbours: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It passes, and nothing is counted.
    Pass,
    /// It passes and counts.
    Count,
    /// It is withheld.
    Withhold(Reason),
}

/// Why something is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The person hears from others only.
    Unwanted,
    /// Too long for a stranger.
    Size,
    /// Too many web addresses for a stranger.
    Links,
    /// The person has not answered what came before.
    Unanswered,
    /// Too many strangers write to this person.
    Crowd,
    /// Too many strangers ask to see this person.
    Requests,
    /// On a list of addresses that nobody wants to hear from.
    Listed,
}

/// What a message counts: one that says something as much as four that do not.
pub(super) fn weight(has_content: bool) -> u32 {
    if has_content { CONTENT } else { 1 }
}

const CONTENT: u32 = 4;

/// The judgement.
pub(super) fn judge(facts: &Facts, bounds: &Bounds) -> Ruling {
    let is_message = matches!(facts.approach, Approach::Message { .. });
    let is_wanted = match (facts.who, facts.relation) {
        (_, Relation::Known) => return Ruling::Pass,
        (Who::Everybody, _) | (Who::Server, Relation::Neighbour) => true,
        (Who::Server, Relation::Stranger) | (Who::Contacts, _) => false,
    };
    // Who asks to become a contact may ask all the same.
    if is_message && !is_wanted {
        return Ruling::Withhold(Reason::Unwanted);
    }
    if facts.relation == Relation::Neighbour && !bounds.includes_neighbours {
        return Ruling::Pass;
    }
    match facts.approach {
        Approach::Request { is_repeated: true } => Ruling::Pass,
        Approach::Request { .. }
            if facts.requests >= bounds.requests || facts.waiting >= bounds.waiting =>
        {
            Ruling::Withhold(Reason::Requests)
        }
        Approach::Request { .. } => Ruling::Count,
        Approach::Message { bytes, .. } if bytes > bounds.bytes => Ruling::Withhold(Reason::Size),
        Approach::Message { links, .. } if links > bounds.links => Ruling::Withhold(Reason::Links),
        Approach::Message { has_content, .. }
            if facts.said + weight(has_content) > CONTENT * bounds.messages =>
        {
            Ruling::Withhold(Reason::Unanswered)
        }
        Approach::Message { .. } if facts.said == 0 && facts.others >= bounds.senders => {
            Ruling::Withhold(Reason::Crowd)
        }
        Approach::Message { .. } => Ruling::Count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        messages: 2,
        senders: 3,
        requests: 3,
        waiting: 10,
        links: 1,
        bytes: 100,
        includes_neighbours: false,
    };
    const WORDS: Approach = Approach::Message { bytes: 10, links: 0, has_content: true };
    const ASKS: Approach = Approach::Request { is_repeated: false };

    fn from(relation: Relation, approach: Approach) -> Facts {
        let who = Who::Everybody;
        Facts { relation, approach, who, said: 0, others: 0, requests: 0, waiting: 0 }
    }

    fn ruling(facts: Facts) -> Ruling {
        judge(&facts, &BOUNDS)
    }

    #[test]
    fn who_is_known_says_and_asks_what_they_like() {
        let endless = Approach::Message { bytes: 1 << 20, links: 50, has_content: true };
        let known = from(Relation::Known, endless);
        for who in [Who::Everybody, Who::Server, Who::Contacts] {
            let facts = Facts { who, said: 1000, others: 1000, requests: 1000, ..known };
            assert_eq!(ruling(facts), Ruling::Pass);
        }
    }

    #[test]
    fn a_person_says_who_may_write_and_everybody_may_ask() {
        let unwanted = Ruling::Withhold(Reason::Unwanted);
        for (who, neighbour, stranger) in [
            (Who::Everybody, Ruling::Pass, Ruling::Count),
            (Who::Server, Ruling::Pass, unwanted),
            (Who::Contacts, unwanted, unwanted),
        ] {
            assert_eq!(ruling(Facts { who, ..from(Relation::Neighbour, WORDS) }), neighbour);
            assert_eq!(ruling(Facts { who, ..from(Relation::Stranger, WORDS) }), stranger);
            assert_eq!(ruling(Facts { who, ..from(Relation::Stranger, ASKS) }), Ruling::Count);
        }
    }

    #[test]
    fn neighbours_are_limited_where_the_operator_wants_it() {
        let facts = Facts { said: 1000, ..from(Relation::Neighbour, WORDS) };
        assert_eq!(ruling(facts), Ruling::Pass);
        let all = Bounds { includes_neighbours: true, ..BOUNDS };
        assert_eq!(judge(&facts, &all), Ruling::Withhold(Reason::Unanswered));
    }

    #[test]
    fn a_stranger_says_so_much_until_answered() {
        let after = |said| ruling(Facts { said, ..from(Relation::Stranger, WORDS) });
        assert_eq!(
            [after(0), after(4), after(5)].map(|it| it == Ruling::Count),
            [true, true, false]
        );
        let typing = Approach::Message { bytes: 10, links: 0, has_content: false };
        let after = |said| ruling(Facts { said, ..from(Relation::Stranger, typing) });
        assert_eq!(after(7), Ruling::Count);
        assert_eq!(after(8), Ruling::Withhold(Reason::Unanswered));
    }

    #[test]
    fn a_crowd_keeps_out_newcomers_and_not_those_who_came_before() {
        let crowd = Facts { others: 3, ..from(Relation::Stranger, WORDS) };
        assert_eq!(ruling(crowd), Ruling::Withhold(Reason::Crowd));
        assert_eq!(ruling(Facts { said: 4, ..crowd }), Ruling::Count);
    }

    #[test]
    fn what_a_stranger_says_is_short_and_advertises_little() {
        let message = |bytes, links| {
            let approach = Approach::Message { bytes, links, has_content: true };
            ruling(from(Relation::Stranger, approach))
        };
        assert_eq!(message(100, 1), Ruling::Count);
        assert_eq!(message(101, 0), Ruling::Withhold(Reason::Size));
        assert_eq!(message(100, 2), Ruling::Withhold(Reason::Links));
    }

    #[test]
    fn requests_have_a_rate_and_a_room_and_may_be_repeated() {
        let asks = from(Relation::Stranger, ASKS);
        assert_eq!(ruling(Facts { requests: 2, waiting: 9, ..asks }), Ruling::Count);
        for full in [Facts { requests: 3, ..asks }, Facts { waiting: 10, ..asks }] {
            assert_eq!(ruling(full), Ruling::Withhold(Reason::Requests));
            let approach = Approach::Request { is_repeated: true };
            assert_eq!(ruling(Facts { approach, ..full }), Ruling::Pass);
        }
    }
}
