//! Who finds a room, who may enter it, and who is seen there.

use waxwing_stanza::payload::dataform::FieldType;

use super::{Opt, flag, line, one, shown, word};
use crate::rooms::config::Whois;

pub(super) const OPTIONS: &[Opt] =
    &[PUBLIC, PERSISTENT, MEMBERS_ONLY, PROTECTED, PASSWORD, WHOIS, OCCUPANTS];

const PUBLIC: Opt = Opt {
    var: "muc#roomconfig_publicroom",
    label: "List the room for everybody",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_public),
    read: |config, values| flag(values).map(|is_on| config.is_public = is_on),
    feature: |config| Some(if config.is_public { "muc_public" } else { "muc_hidden" }),
    ..Opt::PLAIN
};

const PERSISTENT: Opt = Opt {
    var: "muc#roomconfig_persistentroom",
    label: "Keep the room when nobody is in it",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_persistent),
    read: |config, values| flag(values).map(|is_on| config.is_persistent = is_on),
    feature: |config| Some(if config.is_persistent { "muc_persistent" } else { "muc_temporary" }),
    ..Opt::PLAIN
};

const MEMBERS_ONLY: Opt = Opt {
    var: "muc#roomconfig_membersonly",
    label: "Let only members in",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_members_only),
    read: |config, values| flag(values).map(|is_on| config.is_members_only = is_on),
    feature: |config| Some(if config.is_members_only { "muc_membersonly" } else { "muc_open" }),
    ..Opt::PLAIN
};

const PROTECTED: Opt = Opt {
    var: "muc#roomconfig_passwordprotectedroom",
    label: "Ask for a password on entering",
    kind: FieldType::Boolean,
    show: |config| shown(config.password.is_some()),
    read: |config, values| {
        // The password itself stands in the next field.
        config.password = match flag(values)? {
            true => Some(config.password.take().unwrap_or_default()),
            false => None,
        };
        Ok(())
    },
    feature: |config| {
        Some(if config.password.is_some() { "muc_passwordprotected" } else { "muc_unsecured" })
    },
    ..Opt::PLAIN
};

const PASSWORD: Opt = Opt {
    var: "muc#roomconfig_roomsecret",
    label: "The password",
    kind: FieldType::TextPrivate,
    show: |config| vec![config.password.clone().unwrap_or_default()],
    read: |config, values| {
        let password = line(values)?;
        // Without protection there is nothing that it would open.
        if let Some(before) = &mut config.password {
            *before = password;
        }
        Ok(())
    },
    ..Opt::PLAIN
};

const WHOIS: Opt = Opt {
    var: "muc#roomconfig_whois",
    label: "Who may see real addresses",
    kind: FieldType::ListSingle,
    choices: &[("moderators", "Moderators only"), ("anyone", "Anyone")],
    show: |config| vec![config.whois.word().to_owned()],
    read: |config, values| {
        let words = [("moderators", Whois::Moderators), ("anyone", Whois::Anyone)];
        word(values, &words).map(|whois| config.whois = whois)
    },
    feature: |config| {
        Some(match config.whois {
            Whois::Moderators => "muc_semianonymous",
            Whois::Anyone => "muc_nonanonymous",
        })
    },
    // §10.2.1 "If the room is now non-anonymous, status code 172. If the room is now
    // semi-anonymous, status code 173."
    notice: |_, after| match after.whois {
        Whois::Anyone => 172,
        Whois::Moderators => 173,
    },
    ..Opt::PLAIN
};

const OCCUPANTS: Opt = Opt {
    var: "muc#roomconfig_maxusers",
    label: "How many may be in the room",
    kind: FieldType::ListSingle,
    choices: &[
        ("10", "10"),
        ("20", "20"),
        ("50", "50"),
        ("100", "100"),
        ("500", "500"),
        ("1000", "1000"),
        ("none", "As many as the service allows"),
    ],
    show: |config| vec![config.max_users.map_or("none".to_owned(), |most| most.to_string())],
    read: |config, values| {
        config.max_users = match one(values)? {
            "none" | "" => None,
            text => {
                let most: u32 = text.parse().ok().filter(|most| *most > 0).ok_or_else(|| {
                    format!("expected a whole number from 1 on, or `none`, found {text:?}")
                })?;
                Some(most as usize)
            }
        };
        Ok(())
    },
    ..Opt::PLAIN
};
