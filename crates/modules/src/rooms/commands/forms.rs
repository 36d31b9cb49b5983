//! What the commands about rooms ask for.

use waxwing_jid::BareJid;
use waxwing_kernel::command::CommandAbout;
use waxwing_kernel::{choice, form};

use crate::rooms::role::Affiliation;

form! {
    /// List the rooms of a domain, hidden ones included.
    pub struct ListRooms {
        /// Only those behind this one, as the last line of the list before says.
        pub after: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListRooms>("urn:waxwing:rooms#list", &["rooms", "list"]).reads();

form! {
    /// Show a room: its settings, its owners, and who is in it.
    pub struct ShowRoom {
        /// Its address.
        pub room: BareJid,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SHOW: CommandAbout =
    CommandAbout::of::<ShowRoom>("urn:waxwing:rooms#show", &["rooms", "show"]).reads();

form! {
    /// Make a room that stays when nobody is in it.
    pub struct CreateRoom {
        /// Its address.
        pub room: BareJid,
        /// The account that owns it.
        pub owner: BareJid,
        /// Its name for people.
        pub name: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static CREATE: CommandAbout =
    CommandAbout::of::<CreateRoom>("urn:waxwing:rooms#create", &["rooms", "create"]);

form! {
    /// Destroy a room with all that was said in it.
    pub struct DestroyRoom {
        /// Its address.
        pub room: BareJid,
        /// Why, for those who are in it.
        pub reason: Option<String>,
        /// Another room for them.
        pub alternate: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static DESTROY: CommandAbout =
    CommandAbout::of::<DestroyRoom>("urn:waxwing:rooms#destroy", &["rooms", "destroy"]).danger();

form! {
    /// Change a setting of a room.
    pub struct SetRoom {
        /// Its address.
        pub room: BareJid,
        /// The setting, as the form of the room calls it, with or without `muc#roomconfig_`.
        pub option: String,
        /// Its values. Nothing clears it.
        pub values: Option<Vec<String>>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static SET: CommandAbout =
    CommandAbout::of::<SetRoom>("urn:waxwing:rooms#set", &["rooms", "set"]);

choice! {
    /// How somebody stands in a room.
    pub enum Standing {
        /// In no way.
        None = "none",
        /// May enter where only members may.
        Member = "member",
        /// Chooses members and bans people.
        Admin = "admin",
        /// May do everything.
        Owner = "owner",
        /// May not enter.
        Outcast = "outcast",
    }
}

form! {
    /// Say how somebody stands in a room.
    pub struct Affiliate {
        /// The address of the room.
        pub room: BareJid,
        /// The account, or a whole domain.
        pub jid: BareJid,
        /// What it is from now on.
        pub affiliation: Standing,
        /// The nick that nobody else may use.
        pub nick: Option<String>,
        /// Why.
        pub reason: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static AFFILIATE: CommandAbout =
    CommandAbout::of::<Affiliate>("urn:waxwing:rooms#affiliate", &["rooms", "affiliate"]);

form! {
    /// List who stands how in a room.
    pub struct ListMembers {
        /// The address of the room.
        pub room: BareJid,
        /// Only those who stand so.
        pub affiliation: Option<Standing>,
        /// Only those behind this one, as the last line of the list before says.
        pub after: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static MEMBERS: CommandAbout =
    CommandAbout::of::<ListMembers>("urn:waxwing:rooms#members", &["rooms", "members"]).reads();

form! {
    /// Send somebody out of a room, who may come again.
    pub struct Kick {
        /// The address of the room.
        pub room: BareJid,
        /// The nick.
        pub nick: String,
        /// Why.
        pub reason: Option<String>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static KICK: CommandAbout =
    CommandAbout::of::<Kick>("urn:waxwing:rooms#kick", &["rooms", "kick"]);

impl Standing {
    /// The affiliation that the word stands for.
    pub(super) fn meant(self) -> Affiliation {
        match self {
            Self::None => Affiliation::None,
            Self::Member => Affiliation::Member,
            Self::Admin => Affiliation::Admin,
            Self::Owner => Affiliation::Owner,
            Self::Outcast => Affiliation::Outcast,
        }
    }
}
