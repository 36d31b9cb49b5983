//! The commands as they are declared: what each asks for, and how it is called.

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::command::{CommandAbout, Field, FieldKind, Lines, Secret};
use waxwing_kernel::form;

use super::trace::Seconds;

/// The nodes of XEP-0133.
macro_rules! node {
    ($name:literal) => {
        concat!("http://jabber.org/protocol/admin#", $name)
    };
}

form! {
    /// Add an account.
    pub struct AddUser {
        /// The address of the new account, such as `juliet@example.org`.
        pub jid("accountjid"): BareJid,
        /// Its password.
        pub password: Secret,
        /// The password once more.
        [dialogue] pub again("password-verify"): Option<Secret>,
    }
}
pub(super) static ADD: CommandAbout =
    CommandAbout::of::<AddUser>(node!("add-user"), &["user", "add"]);

form! {
    /// Remove accounts with everything they own. Their sessions end.
    pub struct RemoveUsers {
        /// The addresses of the accounts.
        pub jids("accountjids"): Vec<BareJid>,
    }
}
pub(super) static REMOVE: CommandAbout =
    CommandAbout::of::<RemoveUsers>(node!("delete-user"), &["user", "remove"]).danger();

form! {
    /// Keep accounts from signing in. Their sessions end; nothing is erased.
    pub struct DisableUsers {
        /// The addresses of the accounts.
        pub jids("accountjids"): Vec<BareJid>,
        /// What they are told when they try to sign in.
        pub reason: Option<String>,
    }
}
pub(super) static DISABLE: CommandAbout =
    CommandAbout::of::<DisableUsers>(node!("disable-user"), &["user", "disable"]);

form! {
    /// Let disabled accounts sign in again.
    pub struct EnableUsers {
        /// The addresses of the accounts.
        pub jids("accountjids"): Vec<BareJid>,
    }
}
pub(super) static ENABLE: CommandAbout =
    CommandAbout::of::<EnableUsers>(node!("reenable-user"), &["user", "enable"]);

form! {
    /// Give an account a new password. Its sessions go on.
    pub struct ChangePassword {
        /// The address of the account.
        pub jid("accountjid"): BareJid,
        /// The new password.
        pub password: Secret,
    }
}
pub(super) static PASSWORD: CommandAbout =
    CommandAbout::of::<ChangePassword>(node!("change-user-password"), &["user", "passwd"]);

form! {
    /// Show the contacts of an account.
    pub struct ShowRoster {
        /// The address of the account.
        pub jid("accountjids"): BareJid,
    }
}
pub(super) static ROSTER: CommandAbout =
    CommandAbout::of::<ShowRoster>(node!("get-user-roster"), &["user", "roster"]);

form! {
    /// Show when accounts were last seen.
    pub struct LastSeen {
        /// The addresses of the accounts.
        pub jids("accountjids"): Vec<BareJid>,
    }
}
pub(super) static SEEN: CommandAbout =
    CommandAbout::of::<LastSeen>(node!("get-user-lastlogin"), &["user", "seen"]).reads();

form! {
    /// Show what is known of an account.
    pub struct ShowUser {
        /// The address of the account.
        pub jid("accountjid"): BareJid,
    }
}
pub(super) static SHOW: CommandAbout =
    CommandAbout::of::<ShowUser>(node!("user-stats"), &["user", "show"]).reads();

form! {
    /// Count the accounts.
    pub struct CountUsers {}
}
pub(super) static COUNT: CommandAbout =
    CommandAbout::of::<CountUsers>(node!("get-registered-users-num"), &["user", "count"]).reads();

form! {
    /// Count the accounts that may not sign in.
    pub struct CountDisabled {}
}
pub(super) static COUNT_DISABLED: CommandAbout =
    CommandAbout::of::<CountDisabled>(node!("get-disabled-users-num"), &["user", "count-disabled"])
        .reads();

form! {
    /// List the accounts.
    pub struct ListUsers {
        /// The most accounts to show. 1000 if nothing is said.
        pub max_items: Option<Most>,
        /// Only addresses that begin with this.
        pub prefix: Option<String>,
        /// Only addresses behind this one, the last of the page before.
        pub after: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListUsers>(node!("get-registered-users-list"), &["user", "list"]).reads();

form! {
    /// List the accounts that may not sign in.
    pub struct ListDisabled {
        /// The most accounts to show. 1000 if nothing is said.
        pub max_items: Option<Most>,
        /// Only addresses behind this one, the last of the page before.
        pub after: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST_DISABLED: CommandAbout =
    CommandAbout::of::<ListDisabled>(node!("get-disabled-users-list"), &["user", "list-disabled"])
        .reads();

form! {
    /// End sessions.
    pub struct KickSessions {
        /// Addresses of accounts, or of single sessions with their resource.
        pub jids("accountjids"): Vec<Jid>,
    }
}
pub(super) static KICK: CommandAbout =
    CommandAbout::of::<KickSessions>(node!("end-user-session"), &["session", "kick"]);

form! {
    /// List the sessions.
    pub struct ListSessions {
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SESSIONS: CommandAbout =
    CommandAbout::of::<ListSessions>("urn:waxwing:admin#sessions", &["session", "list"]).reads();

form! {
    /// Note what passes between the server and somebody's clients, for a while. Texts are not
    /// shown: of each element its name, addresses, id, children and sizes. The log says who asked.
    pub struct TraceSession {
        /// The address of an account, or of a single session with its resource.
        pub jid("accountjid"): Jid,
        /// For how many seconds, up to 60. 10 if nothing is said.
        pub seconds: Option<Seconds>,
    }
}
pub(super) static TRACE: CommandAbout =
    CommandAbout::of::<TraceSession>("urn:waxwing:admin#trace", &["session", "trace"]);

form! {
    /// Count the people who are online.
    pub struct CountOnline {}
}
pub(super) static COUNT_ONLINE: CommandAbout =
    CommandAbout::of::<CountOnline>(node!("get-online-users-num"), &["session", "count"]).reads();

form! {
    /// Count the people who are online and not away.
    pub struct CountActive {}
}
pub(super) static COUNT_ACTIVE: CommandAbout =
    CommandAbout::of::<CountActive>(node!("get-active-users-num"), &["session", "count-active"])
        .reads();

form! {
    /// Count the people who are online but away.
    pub struct CountIdle {}
}
pub(super) static COUNT_IDLE: CommandAbout =
    CommandAbout::of::<CountIdle>(node!("get-idle-users-num"), &["session", "count-idle"]).reads();

form! {
    /// List the people who are online.
    pub struct ListOnline {}
}
pub(super) static LIST_ONLINE: CommandAbout =
    CommandAbout::of::<ListOnline>(node!("get-online-users-list"), &["session", "online"]).reads();

form! {
    /// List the people who are online and not away.
    pub struct ListActive {}
}
pub(super) static LIST_ACTIVE: CommandAbout =
    CommandAbout::of::<ListActive>(node!("get-active-users"), &["session", "active"]).reads();

form! {
    /// List the people who are online but away.
    pub struct ListIdle {}
}
pub(super) static LIST_IDLE: CommandAbout =
    CommandAbout::of::<ListIdle>(node!("get-idle-users"), &["session", "idle"]).reads();

form! {
    /// Send a message to everybody who is online.
    pub struct Announce {
        /// The message.
        pub text("announcement"): Lines,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static ANNOUNCE: CommandAbout =
    CommandAbout::of::<Announce>(node!("announce"), &["server", "announce"]);

/// How many accounts a list shows at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Most(pub(super) u32);

impl Most {
    /// What one answer holds, whatever is asked.
    pub(super) const LIMIT: u32 = 1000;
}

/// §4.18 has these options.
impl Field for Most {
    const KIND: FieldKind = FieldKind::Choice;
    const OPTIONS: &'static [(&'static str, &'static str)] = &[
        ("25", "25 accounts."),
        ("50", "50 accounts."),
        ("75", "75 accounts."),
        ("100", "100 accounts."),
        ("150", "150 accounts."),
        ("200", "200 accounts."),
        ("none", "As many as one answer holds."),
    ];

    fn read(values: &[&str]) -> Result<Self, String> {
        match values {
            ["none"] => Ok(Self(Self::LIMIT)),
            [number] => match number.parse() {
                Ok(most @ 1..=Self::LIMIT) => Ok(Self(most)),
                _ => Err(format!("expected `none` or a number from 1 to {}", Self::LIMIT)),
            },
            _ => Err("only one value may be given".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_bounds() {
        assert_eq!(Most::read(&["25"]), Ok(Most(25)));
        assert_eq!(Most::read(&["none"]), Ok(Most(Most::LIMIT)));
        assert!(Most::read(&["0"]).is_err() && Most::read(&["1001"]).is_err());
    }
}
