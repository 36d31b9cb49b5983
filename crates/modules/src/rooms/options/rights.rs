//! What those may do and see who are in a room, or want to be its members.

use waxwing_stanza::payload::dataform::FieldType;

use super::{Opt, flag, shown};
use crate::rooms::role::{Role, Roles};

pub(super) const OPTIONS: &[Opt] =
    &[INVITE, REGISTER, LOCKED_NICKS, ASK_FOR_VOICE, BROADCAST, MEMBER_LIST];

const ROLES: &[(&str, &str)] =
    &[("moderator", "Moderators"), ("participant", "Participants"), ("visitor", "Visitors")];

const INVITE: Opt = Opt {
    var: "muc#roomconfig_allowinvites",
    label: "Let members invite others to a room for members only",
    kind: FieldType::Boolean,
    show: |config| shown(config.allows_invites),
    read: |config, values| flag(values).map(|is_on| config.allows_invites = is_on),
    info: &["muc#roomconfig_allowinvites"],
    ..Opt::PLAIN
};

const REGISTER: Opt = Opt {
    var: "{urn:waxwing:rooms}register",
    label: "Let people ask to become members",
    kind: FieldType::Boolean,
    show: |config| shown(config.allows_registration),
    read: |config, values| flag(values).map(|is_on| config.allows_registration = is_on),
    feature: |config| config.allows_registration.then_some("jabber:iq:register"),
    ..Opt::PLAIN
};

/// §7.10 "the room MAY choose to restrict the user to use of the registered nickname only in that
/// room".
const LOCKED_NICKS: Opt = Opt {
    var: "{urn:waxwing:rooms}locknicks",
    label: "Let those who registered a nick use no other",
    kind: FieldType::Boolean,
    show: |config| shown(config.locks_nicks),
    read: |config, values| flag(values).map(|is_on| config.locks_nicks = is_on),
    ..Opt::PLAIN
};

const ASK_FOR_VOICE: Opt = Opt {
    var: "{urn:waxwing:rooms}voice",
    label: "Let visitors ask moderators for a voice",
    kind: FieldType::Boolean,
    show: |config| shown(config.allows_voice_requests),
    read: |config, values| flag(values).map(|is_on| config.allows_voice_requests = is_on),
    feature: |config| {
        config.allows_voice_requests.then_some("http://jabber.org/protocol/muc#request")
    },
    ..Opt::PLAIN
};

const BROADCAST: Opt = Opt {
    var: "muc#roomconfig_presencebroadcast",
    label: "Whose presence everybody is told of",
    kind: FieldType::ListMulti,
    choices: ROLES,
    show: |config| names(config.broadcasts),
    read: |config, values| roles(values).map(|roles| config.broadcasts = roles),
    ..Opt::PLAIN
};

const MEMBER_LIST: Opt = Opt {
    var: "muc#roomconfig_getmemberlist",
    label: "Who may see the list of members",
    kind: FieldType::ListMulti,
    choices: ROLES,
    show: |config| names(config.member_list),
    read: |config, values| roles(values).map(|roles| config.member_list = roles),
    ..Opt::PLAIN
};

/// In the order of the options: "The form-submitting entity MUST NOT modify the order of items"
/// (XEP-0004 §3.3).
fn names(roles: Roles) -> Vec<String> {
    let listed = ROLES.iter().filter(|(name, _)| Role::read(name).is_some_and(|it| roles.has(it)));
    listed.map(|(name, _)| (*name).to_owned()).collect()
}

fn roles(values: &[String]) -> Result<Roles, String> {
    let filled = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
    filled.into_iter().try_fold(Roles::NOBODY, |roles, name| {
        let role = Role::read(name).filter(|role| *role != Role::None).ok_or_else(|| {
            format!("expected some of moderator, participant, visitor, found {name:?}")
        })?;
        Ok(roles.with(role))
    })
}
