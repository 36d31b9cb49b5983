//! What somebody may do in a room: for the length of a visit, and for good (XEP-0045 §5).

/// What an occupant may do for as long as the visit lasts (§5.1), from least to most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not in the room.
    #[default]
    None,
    /// May listen; in a moderated room not speak.
    Visitor,
    /// May speak.
    Participant,
    /// May decide who speaks and who stays.
    Moderator,
}

/// How somebody stands in a room for good (§5.2), from least to most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    /// May not enter.
    Outcast,
    /// Anybody.
    #[default]
    None,
    /// May enter where only members may.
    Member,
    /// May say who is a member and who may not enter.
    Admin,
    /// May do everything.
    Owner,
}

impl Role {
    /// From least to most.
    pub const ALL: [Self; 4] = [Self::None, Self::Visitor, Self::Participant, Self::Moderator];

    /// The value of `role`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// `None` when there is no such role.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it may speak to everybody.
    pub fn has_voice(self) -> bool {
        self >= Self::Participant
    }

    /// §5.1.2: what somebody is on entering.
    pub fn initial(affiliation: Affiliation, is_moderated: bool) -> Self {
        match affiliation {
            Affiliation::Outcast => Self::None,
            Affiliation::None if is_moderated => Self::Visitor,
            Affiliation::None | Affiliation::Member => Self::Participant,
            Affiliation::Admin | Affiliation::Owner => Self::Moderator,
        }
    }
}

impl Affiliation {
    /// From least to most.
    pub const ALL: [Self; 5] = [Self::Outcast, Self::None, Self::Member, Self::Admin, Self::Owner];

    /// The value of `affiliation`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// `None` when there is no such affiliation.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|affiliation| affiliation.name() == name)
    }

    /// What is stored: 0 for `none`, negative for `outcast`.
    pub fn number(self) -> i64 {
        match self {
            Self::Outcast => -1,
            Self::None => 0,
            Self::Member => 1,
            Self::Admin => 2,
            Self::Owner => 3,
        }
    }

    /// What was stored; `None` for a number that stands for nothing.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|affiliation| affiliation.number() == number)
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Those with a role at all.
    pub const EVERYBODY: Self = Self(0b1110);
    /// Moderators alone.
    pub const MODERATORS: Self = Self(0b1000);
    /// Nobody.
    pub const NOBODY: Self = Self(0);

    /// Whether `role` is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Those and `role`.
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | (1 << role as u8))
    }

    /// Their names.
    pub fn names(self) -> Vec<String> {
        let has = |role: &Role| *role != Role::None && self.has(*role);
        Role::ALL.into_iter().filter(has).map(|role| role.name().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of §5.1.2.
    #[test]
    fn initial_roles_follow_the_table() {
        use Affiliation::{Admin, Member, None, Outcast, Owner};
        let row = |is_moderated| {
            [Outcast, None, Member, Admin, Owner].map(|it| Role::initial(it, is_moderated).name())
        };
        assert_eq!(row(true), ["none", "visitor", "participant", "moderator", "moderator"]);
        assert_eq!(row(false), ["none", "participant", "participant", "moderator", "moderator"]);
    }

    #[test]
    fn names_and_numbers_lead_back() {
        for role in Role::ALL {
            assert_eq!(Role::read(role.name()), Some(role));
        }
        for affiliation in Affiliation::ALL {
            assert_eq!(Affiliation::read(affiliation.name()), Some(affiliation));
            assert_eq!(Affiliation::of_number(affiliation.number()), Some(affiliation));
        }
        assert_eq!(Role::read("king"), None);
        assert_eq!(Affiliation::of_number(9), None);
    }

    #[test]
    fn a_set_of_roles_has_what_was_put_in() {
        let some = Roles::MODERATORS.with(Role::Visitor);
        assert!(some.has(Role::Visitor) && some.has(Role::Moderator));
        assert!(!some.has(Role::Participant) && !some.has(Role::None));
        assert_eq!(some.names(), ["visitor", "moderator"]);
        assert!(Role::ALL[1..].iter().all(|role| Roles::EVERYBODY.has(*role)));
    }
}
