//! How much anybody may ask of the server.

use crate::config::Bytes;
use crate::config::section::Flaw;

crate::section! {
    /// How much anybody may ask of the server. Whoever asks for more gets the error that the
    /// standard has for it, and nobody else notices.
    pub struct LimitsConfig("limits", check = LimitsConfig::check) {
        /// The largest stanza from a client that has signed in. RFC 6120 §13.12 demands at least
        /// 10000 bytes.
        pub stanza_bytes: Bytes = "256 KiB" in "10000 B"..="16 MiB",
        /// The largest element from a client that has not signed in yet.
        pub early_bytes: Bytes = "16 KiB" in "10000 B"..="1 MiB",
        /// How deep elements may be nested.
        pub depth: usize = 64 in 8..=512,
        /// How many attributes one element may have.
        pub attributes: usize = 64 in 16..=1024,
        /// How many elements may stand directly inside a stanza.
        pub children: usize = 512 in 16..=65536,
        /// Connections at a time, all together. Others are not accepted until one ends.
        pub connections: u32 = 100_000 in 1..=10_000_000,
        /// Connections at a time from one address (from one /64 for IPv6).
        pub connections_per_address: u32 = 1000 in 1..=10_000_000,
        /// Sessions at a time of one account.
        pub sessions_per_account: u32 = 50 in 1..=1000,
        /// How long a client may take from connecting to having signed in (seconds).
        pub handshake_seconds: u32 = 60 in 5..=600,
        /// How many times a client may fail to sign in on one connection. RFC 6120 §6.4.5 asks
        /// for 2 to 5.
        pub auth_attempts: u32 = 3 in 2..=5,
        /// How long a connection may be silent before the client is asked whether it is still
        /// there (seconds).
        pub idle_seconds: u32 = 60 in 10..=7200,
        /// How long the answer to that may take (seconds). Pages in the background of a browser
        /// wake up once a minute only.
        pub answer_seconds: u32 = 60 in 5..=600,
        /// How long a client may take to close its half of a closing connection (seconds).
        pub close_seconds: u32 = 5 in 1..=60,
        /// How long a lost session waits for its client to resume it (seconds); 0: not at all
        /// (XEP-0198).
        pub resume_seconds: u32 = 600 in 0..=86400,
        /// Stanzas kept for one client that has not acknowledged them. A session with more ends,
        /// and what was not acknowledged is stored.
        pub unacked_stanzas: usize = 1000 in 16..=65536,
        /// The same in bytes.
        pub unacked_bytes: Bytes = "2 MiB" in "64 KiB"..="256 MiB",
        /// Stanzas waiting for one session to take them.
        pub mailbox_stanzas: usize = 4096 in 16..=65536,
        /// Contacts in the roster of one account.
        pub roster_contacts: usize = 5000 in 10..=100_000,
        /// Subscription requests waiting for the answer of one account.
        pub subscription_requests: usize = 1000 in 10..=100_000,
        /// Addresses that one session may have sent directed presence to.
        pub directed_presences: usize = 2000 in 10..=100_000,
        /// Stanzas that one session may send each second, on average; 0: no limit. Whoever sends
        /// more is not refused: its connection is read more slowly.
        pub session_stanzas: u32 = 2000 in 0..=1_000_000,
        /// Stanzas that one session may send at once. While these are worked off, others wait.
        pub session_stanzas_burst: u32 = 1000 in 100..=10_000_000,
        /// Bytes that one session may send each second, on average; 0: no limit.
        pub session_rate: Bytes = "2 MiB" in "0 B"..="4 GiB",
        /// Bytes that one session may send at once.
        pub session_burst: Bytes = "16 MiB" in "64 KiB"..="16 GiB",
        /// Stanzas that all sessions of one account may send each second, on average; 0: no limit.
        pub account_stanzas: u32 = 4000 in 0..=1_000_000,
        /// Stanzas that all sessions of one account may send at once.
        pub account_stanzas_burst: u32 = 2000 in 100..=10_000_000,
        /// Bytes that all sessions of one account may send each second, on average; 0: no limit.
        pub account_rate: Bytes = "4 MiB" in "0 B"..="4 GiB",
        /// Bytes that all sessions of one account may send at once.
        pub account_burst: Bytes = "32 MiB" in "64 KiB"..="16 GiB",
        /// Bytes that a connection without a session may send each second, on average; 0: no
        /// limit.
        pub early_rate: Bytes = "32 KiB" in "0 B"..="4 GiB",
        /// Bytes that a connection without a session may send at once.
        pub early_burst: Bytes = "128 KiB" in "16 KiB"..="16 GiB",
        /// Accounts kept in memory for their next use.
        [restart] pub cached_accounts: usize = 10_000 in 100..=10_000_000,
        /// Passwords checked or hashed at the same time; others wait.
        [restart] pub password_checks: usize = 2 in 1..=64,
        /// How many may wait for that; others are asked to try later.
        pub password_waiting: usize = 1024 in 1..=1_000_000,
        /// How many of them may come from one address (from one /64 for IPv6).
        pub password_waiting_per_address: usize = 64 in 1..=1_000_000,
        /// Pairs of a domain here and a domain elsewhere that may be linked.
        pub peer_links: usize = 20_000 in 100..=10_000_000,
        /// Connections to other servers that may be under way at a time; others wait.
        pub peer_dials: usize = 1_000 in 1..=100_000,
        /// Stanzas that wait for one other domain while it is connected to; the next goes back to
        /// its sender.
        pub peer_queue: usize = 1_000 in 16..=65_536,
        /// The same in bytes.
        pub peer_queue_bytes: Bytes = "4 MiB" in "256 KiB"..="256 MiB",
        /// How long a link to another server stays open without a stanza (seconds).
        pub peer_idle_seconds: u32 = 600 in 30..=86400,
        /// How long it may take to find another server, to connect, and to prove who is who
        /// (seconds).
        pub peer_dial_seconds: u32 = 60 in 5..=600,
        /// How long a domain that cannot be reached is left alone (seconds); twice as long after
        /// each further failure.
        pub peer_backoff_seconds: u32 = 10 in 1..=3600,
        /// The longest that this becomes (seconds).
        pub peer_backoff_most_seconds: u32 = 900 in 1..=86400,
        /// Streams of other servers that have not proven who they are, all together.
        pub peer_arrivals: usize = 500 in 1..=1_000_000,
        /// Streams of one other domain at a time, beside one for each domain here.
        pub peer_arrivals_per_domain: usize = 20 in 1..=10_000,
        /// Pairs of domains on one stream of another server.
        pub peer_pairs: usize = 64 in 1..=10_000,
        /// Dialback keys that are asked back at a time.
        pub peer_verifications: usize = 200 in 1..=100_000,
        /// Stanzas that one stream of another server may bring each second, on average; 0: no
        /// limit. What comes faster is read more slowly.
        pub peer_stanzas: u32 = 4000 in 0..=1_000_000,
        /// Stanzas that it may bring at once.
        pub peer_stanzas_burst: u32 = 2000 in 100..=10_000_000,
        /// Bytes that it may bring each second, on average; 0: no limit.
        pub peer_rate: Bytes = "4 MiB" in "0 B"..="4 GiB",
        /// Bytes that it may bring at once.
        pub peer_burst: Bytes = "32 MiB" in "64 KiB"..="16 GiB",
        /// Domains that `waxwing federation` remembers, beside those with a link.
        pub peer_ledger: usize = 4096 in 64..=1_000_000,
    }
}

impl LimitsConfig {
    fn check(&self) -> Result<(), Flaw> {
        if self.early_bytes > self.stanza_bytes {
            let problem = format!(
                "a stranger may not send more than a client: `stanza_bytes` is {}",
                self.stanza_bytes
            );
            return Err(Flaw { key: "early_bytes", problem });
        }
        if self.peer_backoff_most_seconds < self.peer_backoff_seconds {
            let least = self.peer_backoff_seconds;
            let problem = format!("it begins with `peer_backoff_seconds`, which is {least}");
            return Err(Flaw { key: "peer_backoff_most_seconds", problem });
        }
        Ok(())
    }
}
