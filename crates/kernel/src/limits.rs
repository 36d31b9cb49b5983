//! Every bound of the kernel, in one place. Those of streams are in `waxwing_stream::Limits`.

use crate::rate::{Flow, Rate};

/// Bounds on what sessions and accounts may cost. The same on every transport.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions of one account at a time; one more is refused with `resource-constraint`.
    pub sessions_per_account: usize,
    /// Stanzas waiting in one session's mailbox; one more ends the session and is spooled or
    /// bounced.
    pub mailbox_stanzas: usize,
    /// Bytes waiting for one client's socket before its mailbox is left alone.
    pub outbox_bytes: usize,
    /// Stanzas of one session whose commit is under way before its socket is left alone.
    pub pending_commits: usize,
    /// Addresses that one session may have sent directed presence to.
    pub directed_presences: usize,
    /// Contacts in one roster.
    pub roster_items: usize,
    /// Subscription requests waiting for one account.
    pub subscription_requests: usize,
    /// Accounts kept in memory after their last session ended.
    pub accounts_cached: usize,
    /// Events kept for those who watch; one that is further behind is not told the rest.
    pub events_kept: usize,
    /// Seconds a closing connection may take to say goodbye.
    pub close_seconds: u64,
    /// Password checks (PBKDF2) that may run at a time; more wait.
    pub password_checks: usize,
    /// Questions of the server and its services to others that may wait for an answer; a quarter of
    /// them to one address.
    pub inquiries: usize,
    /// Requests for a password check that may wait.
    pub password_waiting: usize,
    /// Those of them that may come from one network (one IPv4 address, one IPv6 /64).
    pub password_waiting_per_address: usize,
    /// How fast one session may send; who is faster is read later.
    pub session_rate: Rate,
    /// How fast all sessions of one account may send together.
    pub account_rate: Rate,
    /// How fast a connection may send that has no session yet.
    pub early_rate: Rate,
    /// What other servers may cost.
    pub peers: PeerLimits,
    /// Stream and stanza limits.
    pub stream: waxwing_stream::Limits,
}

/// Bounds on what other servers may cost.
#[derive(Clone, Debug)]
pub struct PeerLimits {
    /// Pairs of a domain here and one elsewhere with a link; one more is refused with
    /// `resource-constraint`. What others only make us answer begins no link when a quarter is
    /// left, their streams that go both ways take no more than half, and one network proves no
    /// more domains than a quarter.
    pub links: usize,
    /// Connections to other servers that may be under way at a time; more wait.
    pub dials: usize,
    /// Stanzas that wait for one pair; one more goes back with `resource-constraint`.
    pub queue: usize,
    /// The same in bytes.
    pub queue_bytes: usize,
    /// Seconds without a stanza after which a link is closed.
    pub idle_seconds: u64,
    /// Seconds from the first question to DNS until a link must be open.
    pub dial_seconds: u64,
    /// Seconds that nobody dials after a failure; twice as many after each further one.
    pub backoff_seconds: u64,
    /// The most that this grows to.
    pub backoff_most_seconds: u64,
    /// Incoming streams that have proven nothing yet, all together.
    pub arrivals_unproven: usize,
    /// Incoming streams of one domain at a time.
    pub arrivals_per_peer: usize,
    /// Questions whether a dialback key is right (XEP-0220) that may be under way at a time.
    pub verifications: usize,
    /// How fast one stream of another server may send; what is faster is read later.
    pub rate: Rate,
    /// Domains without a link that the ledger remembers.
    pub ledger: usize,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            links: 20_000,
            dials: 1_000,
            queue: 1_000,
            queue_bytes: 4 << 20,
            idle_seconds: 600,
            dial_seconds: 60,
            backoff_seconds: 10,
            backoff_most_seconds: 900,
            arrivals_unproven: 500,
            arrivals_per_peer: 20,
            verifications: 200,
            rate: Rate {
                stanzas: Flow { per_second: 4_000, burst: 2_000 },
                bytes: Flow { per_second: 4 << 20, burst: 32 << 20 },
            },
            ledger: 4_096,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_account: 50,
            mailbox_stanzas: 4_096,
            outbox_bytes: 256 * 1024,
            pending_commits: 256,
            directed_presences: 2_000,
            roster_items: 5_000,
            subscription_requests: 1_000,
            accounts_cached: 10_000,
            events_kept: 1024,
            close_seconds: 5,
            password_checks: 2,
            inquiries: 10_000,
            password_waiting: 1024,
            password_waiting_per_address: 64,
            session_rate: Rate {
                stanzas: Flow { per_second: 2_000, burst: 1_000 },
                bytes: Flow { per_second: 2 << 20, burst: 16 << 20 },
            },
            account_rate: Rate {
                stanzas: Flow { per_second: 4_000, burst: 2_000 },
                bytes: Flow { per_second: 4 << 20, burst: 32 << 20 },
            },
            early_rate: Rate {
                stanzas: Flow { per_second: 0, burst: 0 },
                bytes: Flow { per_second: 32 << 10, burst: 128 << 10 },
            },
            peers: PeerLimits::default(),
            stream: waxwing_stream::Limits::default(),
        }
    }
}
