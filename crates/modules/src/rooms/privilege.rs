//! Who may do what in a room: the tables of XEP-0045 §5.1 and §5.2, once.
//!
//! Nothing here knows a room or a stanza; who is asked about, and what for, are the arguments.

#[cfg(test)]
mod tests;

use waxwing_stanza::StanzaError;

use super::config::{Config, Whois};
use super::role::{Affiliation, Role};

/// What somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// For good, by address.
    pub affiliation: Affiliation,
    /// For this visit, by nick; `None` for who is not in the room.
    pub role: Role,
}

/// Whether it is allowed, or why not.
pub type Leave = Result<(), StanzaError>;

impl Rank {
    /// Whether this is somebody who looks after the room and its members (§9).
    fn is_admin(self) -> bool {
        self.affiliation >= Affiliation::Admin
    }

    /// Whether somebody of this rank may give the role `to` to an occupant of rank `target`
    /// (§5.1.3, §8.2 to §8.5, §9.6 to §9.8); `Role::None` is a kick.
    ///
    /// # Errors
    /// `forbidden` to who may not do this to anybody, `not-allowed` about this occupant.
    pub fn set_role(self, target: Rank, to: Role) -> Leave {
        if to == Role::Visitor && (self.is_admin() || self.role == Role::Moderator) {
            self.revoke_voice(target)?;
        }
        let is_moderation = to == Role::Moderator;
        let unmakes_moderator = target.role == Role::Moderator && to != Role::None;
        if is_moderation || unmakes_moderator {
            // §9: these "MUST be denied if the <user@host> of the 'from' address of the request
            // does not match the bare JID of one of the room admins".
            if !self.is_admin() {
                return forbidden("Only admins of the room choose its moderators.");
            }
        } else if self.role != Role::Moderator {
            // §8: "MUST be denied if the <user@host> of the 'from' address of the request does not
            // match the bare JID portion of one of the moderators".
            return forbidden("Only moderators of the room may do this.");
        }
        match to {
            Role::None => self.kick(target),
            // §9.7 "An admin is allowed to revoke moderator status only from a user whose
            // affiliation is "member" or "none"".
            Role::Participant if unmakes_moderator && target.is_admin() => {
                not_allowed("Admins and owners of a room are always its moderators.")
            }
            Role::Visitor | Role::Participant | Role::Moderator => Ok(()),
        }
    }

    /// §8.2 "A user cannot be kicked by a moderator with a lower affiliation." §5.1.3: moderators
    /// are "kicked by an admin or owner".
    fn kick(self, target: Rank) -> Leave {
        if target.affiliation > self.affiliation {
            return not_allowed("You cannot kick somebody of a higher affiliation.");
        }
        if target.role == Role::Moderator && !self.is_admin() {
            return not_allowed("Moderators are kicked by admins of the room only.");
        }
        Ok(())
    }

    /// §8.4 "A moderator MUST NOT be able to revoke voice from a user whose affiliation is at or
    /// above the moderator's level. In addition, a service MUST NOT allow the voice privileges of
    /// an admin or owner to be removed by anyone." None is "the absence of an affiliation" (§5.2),
    /// so who has none is not above anybody.
    fn revoke_voice(self, target: Rank) -> Leave {
        if target.is_admin() {
            return not_allowed("Admins and owners of a room always have a voice.");
        }
        if target.affiliation >= Affiliation::Member && target.affiliation >= self.affiliation {
            return not_allowed("You can take the voice of those only who are below you.");
        }
        Ok(())
    }

    /// Whether somebody of this rank may see who has the role `list` (§8.5, §9.8).
    ///
    /// # Errors
    /// `forbidden`, and `bad-request` for the list of those who are not there.
    pub fn list_role(self, list: Role) -> Leave {
        match list {
            Role::None => Err(StanzaError::bad_request().text("Nobody is listed by that role.")),
            _ if self.is_admin() => Ok(()),
            Role::Moderator => forbidden("Only admins of the room may list its moderators."),
            _ if self.role == Role::Moderator => Ok(()),
            _ => forbidden("Only moderators of the room may do this."),
        }
    }

    /// Whether somebody of this rank may see who has the affiliation `list` (§9.2, §9.5, §10.5,
    /// §10.8).
    ///
    /// # Errors
    /// `forbidden`, and `bad-request` for the list of those without one, which nobody keeps (§5.2).
    pub fn list_affiliation(self, list: Affiliation, config: &Config) -> Leave {
        let is_open = config.whois == Whois::Anyone;
        match list {
            Affiliation::None => {
                Err(StanzaError::bad_request().text("There is no list of those without one."))
            }
            _ if self.affiliation == Affiliation::Owner => Ok(()),
            Affiliation::Outcast if self.is_admin() => Ok(()),
            Affiliation::Outcast => forbidden("Only admins of the room may do this."),
            Affiliation::Member if self.is_admin() => Ok(()),
            // §9.5 "If the room is non-anonymous, a service SHOULD also allow any member to
            // retrieve the member list even if not yet an occupant."
            _ if is_open && (self.is_admin() || self.is_reader(config)) => Ok(()),
            // §5.2.1 "in such rooms, members SHOULD NOT be allowed to retrieve the member list";
            // moderators see real addresses there.
            Affiliation::Member
                if self.role == Role::Moderator && config.member_list.has(Role::Moderator) =>
            {
                Ok(())
            }
            // §10.5, §10.8 "the service MUST return a <forbidden/> error to the sender in
            // semi-anonymous rooms".
            _ => forbidden("You may not see this list."),
        }
    }

    /// Whether this is a member or moderator to whose role the lists are shown. A member who is not
    /// in the room has the role that it would have there (§5.1.2).
    fn is_reader(self, config: &Config) -> bool {
        let role = match self.role {
            Role::None if self.affiliation >= Affiliation::Member => Role::Participant,
            Role::Visitor | Role::Participant if self.affiliation < Affiliation::Member => {
                Role::None
            }
            role => role,
        };
        config.member_list.has(role)
    }

    /// Whether somebody of this rank may let the room invite others (§5.1.1, §7.8.2, §9.5).
    ///
    /// # Errors
    /// `forbidden`.
    pub fn invite(self, config: &Config) -> Leave {
        if self.role == Role::None {
            return forbidden("Only those who are in the room may invite others.");
        }
        let is_free = !config.is_members_only || self.is_admin();
        let is_member = self.affiliation >= Affiliation::Member;
        match is_free || config.allows_invites && is_member {
            true => Ok(()),
            // §9.5 "if invitation privileges are restricted to admins and a mere member attempts to
            // a send an invitation, the service MUST deny the invitation request and return a
            // <forbidden/> error".
            false => forbidden("Only admins of this room may invite others."),
        }
    }
}

impl Affiliation {
    /// Whether somebody of this affiliation may give the affiliation `to` to somebody who has
    /// `target` (§5.2.2).
    ///
    /// # Errors
    /// `forbidden` to who may not do this to anybody, and for what only owners may do;
    /// `not-allowed` where somebody is to be banned who cannot be.
    pub fn set_affiliation(self, target: Affiliation, to: Affiliation) -> Leave {
        match self {
            Self::Owner => Ok(()),
            Self::Admin if target < Self::Admin && to < Self::Admin => Ok(()),
            // §9.1 "if an admin attempts to ban an owner, the service MUST deny the request and
            // return a <not-allowed/> error".
            Self::Admin if to == Self::Outcast => {
                not_allowed("Only owners may ban admins and owners of the room.")
            }
            Self::Admin => forbidden("Only owners may change who else runs the room."),
            _ => forbidden("Only admins of the room may do this."),
        }
    }

    /// Whether somebody of this affiliation may see and change the settings of the room, and
    /// destroy it (§10.2, §10.9).
    ///
    /// # Errors
    /// `forbidden`.
    pub fn own(self) -> Leave {
        match self {
            Self::Owner => Ok(()),
            _ => forbidden("Only owners of the room may do this."),
        }
    }

    /// The role after the affiliation became this, in a room with these settings (§5.1.2, and the
    /// note in §5.1.3). `before` is what the occupant was until now.
    pub fn role_after(self, before: Rank, config: &Config) -> Role {
        let was_appointed =
            before.role == Role::Moderator && before.affiliation < Affiliation::Admin;
        match self {
            Self::Outcast => Role::None,
            Self::None if config.is_members_only => Role::None,
            Self::Admin | Self::Owner => Role::Moderator,
            // "the loss of the admin affiliation does not necessarily mean that the occupant no
            // longer has a role of moderator": whom an admin made one stays one.
            Self::Member | Self::None if was_appointed => Role::Moderator,
            Self::Member => Role::Participant,
            Self::None if before.affiliation == self => before.role,
            Self::None if config.is_moderated => Role::Visitor,
            Self::None => Role::Participant,
        }
    }
}

fn forbidden(why: &'static str) -> Leave {
    Err(StanzaError::forbidden().text(why))
}

fn not_allowed(why: &'static str) -> Leave {
    Err(StanzaError::not_allowed().text(why))
}
