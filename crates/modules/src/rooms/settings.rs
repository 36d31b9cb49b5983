//! What the operator decides about rooms: bounds, and what a new room begins with.

use waxwing_kernel::config::Bytes;
use waxwing_kernel::section;

section! {
    /// Rooms where people talk, at `rooms.` in front of the domain.
    pub struct RoomsConfig("rooms") {
        /// Who may make rooms: everybody with an account here, or only the admins of the domain.
        pub anybody_creates: bool = true,
        /// Rooms of this domain.
        pub rooms: u32 = 100_000 in 1..=10_000_000,
        /// Rooms that one account may own, on all domains together.
        pub rooms_per_account: u32 = 100 in 1..=1_000_000,
        /// Rooms with somebody in them at a time. The memory they take is bounded by this and by
        /// `occupants`.
        pub rooms_open: u32 = 20_000 in 1..=1_000_000,
        /// People in one room at a time.
        pub occupants: u32 = 5_000 in 2..=100_000,
        /// Sessions of one person under one nick.
        pub sessions_per_nick: u32 = 10 in 1..=100,
        /// Addresses that stand in some way in one room: members, admins, owners, outcasts.
        pub affiliations: u32 = 20_000 in 1..=1_000_000,
        /// Changes of roles and affiliations that one request may ask for.
        pub changes: u32 = 100 in 1..=10_000,
        /// Invitations that one room remembers, so that they can be declined; older ones are
        /// forgotten.
        pub invitations: u32 = 200 in 1..=10_000,
        /// The longest nick (characters).
        pub nick_chars: u32 = 60 in 1..=1000,
        /// The longest subject (bytes).
        pub subject_bytes: u32 = 4096 in 16..=65536,
        /// Messages that those may get who enter, at most; they are kept in memory while somebody
        /// is in the room. A room may say less.
        pub history_max: u32 = 100 in 0..=10_000,
        /// The bytes that these may take in one room; the oldest are forgotten for longer ones, and
        /// are found in the archive.
        pub history_bytes: Bytes = "1 MiB" in "64 KiB"..="64 MiB",
        /// How many they get where a room does not say.
        pub history: u32 = 20 in 0..=10_000,
        /// Stanzas that wait for one room. Whoever sends more waits.
        pub waiting: u32 = 1024 in 16..=65536,
        /// Messages and presences of one session to one room each second, on average; who sends
        /// more is read later.
        pub messages_per_second: u32 = 50 in 1..=100_000,
        /// Messages to one room each second, of all who are in it; who sends more is read later.
        pub room_messages_per_second: u32 = 500 in 1..=1_000_000,
        /// Questions from one occupant to another that wait for an answer, in one room.
        pub questions: u32 = 1000 in 1..=100_000,
        /// How long a session that cannot be reached stays in a room (seconds).
        pub ghost_seconds: u32 = 10 in 1..=3600,
        /// How long nothing need be heard of an occupant on another server before it is asked
        /// whether it is still there (minutes). One that does not answer for as long leaves.
        pub silent_minutes: u32 = 15 in 1..=1440,
        /// Whether a new room stays when nobody is in it, unless its owner says otherwise.
        pub persistent: bool = false,
        /// Whether a new room can be found by everybody, unless its owner says otherwise.
        pub public: bool = true,
        /// Whether only members may enter a new room, unless its owner says otherwise.
        pub members_only: bool = false,
        /// Whether what is said in a new room is kept, unless its owner says otherwise.
        pub archive: bool = true,
        /// Days that what is said in rooms is kept; 0 for as long as there is room.
        pub archive_days: u32 = 0 in 0..=36_500,
        /// Messages kept of one room; the oldest go when there are more.
        pub archive_messages: u32 = 1_000_000 in 1..=1_000_000_000,
        /// So many in a room are all shown to each other. In a larger one newcomers are shown the
        /// moderators, and each other occupant when it speaks.
        pub all_shown: u32 = 1000 in 2..=100_000,
        /// Hats of one room (XEP-0317).
        pub hats: u32 = 50 in 0..=1000,
        /// The largest card of a room, with its picture.
        pub vcard_size: Bytes = "128 KiB" in "1 KiB"..="4 MiB",
    }
}
