//! The states of a subscription and what changes them, as pure functions.
//!
//! RFC 6121 Appendix A has nine states and, for each of the four kinds of stanza in each
//! direction, a table with nine rows. They fall out of three independent facts – who sees whom,
//! whose request waits – and are tested row by row. The fourth fact is the pre-approval of §3.4.

use waxwing_stanza::PresenceType;

/// Who sees whose presence, from the side of the roster's owner (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// "the user does not have a subscription to the contact's presence, and the contact does not
    /// have a subscription to the user's presence"
    #[default]
    None,
    /// "the user has a subscription to the contact's presence, but the contact does not have a
    /// subscription to the user's presence"
    To,
    /// "the contact has a subscription to the user's presence, but the user does not have a
    /// subscription to the contact's presence"
    From,
    /// "the user and the contact have subscriptions to each other's presence"
    Both,
}

impl Subscription {
    /// The value of the `subscription` attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// Reads the value of the `subscription` attribute.
    pub fn read(name: &str) -> Option<Self> {
        [Self::None, Self::To, Self::From, Self::Both].into_iter().find(|all| all.name() == name)
    }

    /// Whether the owner sees the contact's presence.
    pub fn sees(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact sees the owner's presence.
    pub fn shows(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }

    fn of(sees: bool, shows: bool) -> Self {
        match (sees, shows) {
            (false, false) => Self::None,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (true, true) => Self::Both,
        }
    }

    fn seeing(self, sees: bool) -> Self {
        Self::of(sees, self.shows())
    }

    fn showing(self, shows: bool) -> Self {
        Self::of(self.sees(), shows)
    }
}

/// What stands between an account and one contact (RFC 6121 Appendix A.1, and §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Who sees whom.
    pub subscription: Subscription,
    /// "Pending Out": the owner has asked and waits for the contact.
    pub is_asking: bool,
    /// "Pending In": the contact has asked and waits for the owner.
    pub is_asked: bool,
    /// The owner approved a request that the contact has not made yet.
    pub is_approved: bool,
}

/// What a server does with a subscription stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The state from now on.
    pub state: State,
    /// Whether the stanza goes on: out to the contact, or in to the owner's resources.
    pub passes: bool,
    /// What the server answers in the owner's name.
    pub reply: Option<PresenceType>,
}

/// A stanza that the account's owner sends (Appendix A.2).
pub fn outbound(state: State, kind: PresenceType) -> Ruling {
    let State { subscription, is_asking, is_asked, is_approved } = state;
    let refused = Ruling { state, passes: false, reply: None };
    match kind {
        // A.2.1. §3.1.2: the server always routes it, for the contact's side may have lost its.
        PresenceType::Subscribe => {
            let is_asking = is_asking || !subscription.sees();
            Ruling { state: State { is_asking, ..state }, passes: true, ..refused }
        }
        // A.2.2
        PresenceType::Unsubscribe => {
            let subscription = subscription.seeing(false);
            let state = State { subscription, is_asking: false, ..state };
            Ruling { state, passes: true, ..refused }
        }
        // A.2.3. §3.4.2: what answers no request is a pre-approval, which the server notes and
        // does not route to the contact.
        PresenceType::Subscribed if is_asked => {
            let subscription = subscription.showing(true);
            let state = State { subscription, is_asked: false, is_approved: false, ..state };
            Ruling { state, passes: true, ..refused }
        }
        PresenceType::Subscribed => {
            let is_approved = is_approved || !subscription.shows();
            Ruling { state: State { is_approved, ..state }, ..refused }
        }
        // A.2.4. It also takes back a pre-approval.
        PresenceType::Unsubscribed => {
            let passes = is_asked || subscription.shows();
            let subscription = subscription.showing(false);
            let state = State { subscription, is_asked: false, is_approved: false, ..state };
            Ruling { state, passes, ..refused }
        }
        _ => refused,
    }
}

/// A stanza that the contact sends to the account (Appendix A.3).
pub fn inbound(state: State, kind: PresenceType) -> Ruling {
    let State { subscription, is_asking, is_asked, is_approved } = state;
    let refused = Ruling { state, passes: false, reply: None };
    match kind {
        // A.3.1. §3.1.3: "If the contact exists and the user already has a subscription to the
        // contact's presence, then the contact's server MUST auto-reply on behalf of the contact
        // by sending a presence stanza of type "subscribed"".
        PresenceType::Subscribe if subscription.shows() => {
            Ruling { reply: Some(PresenceType::Subscribed), ..refused }
        }
        // §3.4.2: an approval given beforehand answers the request, and is thereby used up.
        PresenceType::Subscribe if is_approved => {
            let subscription = subscription.showing(true);
            let state = State { subscription, is_asked: false, is_approved: false, ..state };
            Ruling { state, reply: Some(PresenceType::Subscribed), ..refused }
        }
        PresenceType::Subscribe => {
            Ruling { state: State { is_asked: true, ..state }, passes: !is_asked, ..refused }
        }
        // A.3.2
        PresenceType::Unsubscribe => {
            let passes = is_asked || subscription.shows();
            let subscription = subscription.showing(false);
            Ruling { state: State { subscription, is_asked: false, ..state }, passes, ..refused }
        }
        // A.3.3
        PresenceType::Subscribed if is_asking => {
            let subscription = subscription.seeing(true);
            let state = State { subscription, is_asking: false, ..state };
            Ruling { state, passes: true, ..refused }
        }
        // A.3.4
        PresenceType::Unsubscribed => {
            let passes = is_asking || subscription.sees();
            let subscription = subscription.seeing(false);
            Ruling { state: State { subscription, is_asking: false, ..state }, passes, ..refused }
        }
        _ => refused,
    }
}
