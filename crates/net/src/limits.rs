//! Every bound of the network layer, in one place.

use std::time::Duration;

/// What the network layer allows. The defaults suit a server on the open internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of all listeners together; more are closed at once. Default 65 536.
    pub connections_max: usize,
    /// Open connections of one client address (of one /64 in IPv6). Loopback and trusted proxies
    /// are exempt; behind a proxy the forwarded address is counted. Default 1024: an office or a
    /// campus may share one address.
    pub address_connections_max: u32,
    /// New connections per second that one address may keep up. Default 32.
    pub address_rate: u32,
    /// New connections that one address may make in a burst. Default 256.
    pub address_burst: u32,
    /// Seconds for a TLS handshake. Default 10.
    pub handshake_seconds: u64,
    /// Seconds for the headers of an HTTP request, also while a kept-alive connection waits for
    /// the next one. Default 15.
    pub header_seconds: u64,
    /// Header fields of one HTTP request. Default 64.
    pub headers_max: usize,
    /// Bytes of request line and headers, at least 8192. Default 16 384.
    pub header_bytes_max: usize,
    /// Requests and WebSockets that are open at a time on one HTTP/2 connection. Default 32:
    /// each may cost some kilobytes while its client takes no answer.
    pub streams_max: u32,
    /// Bytes that an HTTP/2 client may send on one stream before somebody reads them, and that are
    /// kept for it on one before it does. Default 131 072.
    pub stream_window_bytes: u32,
    /// The same on all streams of a connection together, from the client. Default 262 144.
    pub connection_window_bytes: u32,
    /// Seconds between two questions whether an HTTP/2 client is still there. Default 60.
    pub stream_ping_seconds: u64,
    /// Seconds for the body of an HTTP request. Default 30.
    pub body_seconds: u64,
    /// Seconds that a BOSH request is held at most. Default 60.
    pub bosh_wait_seconds: u32,
    /// Seconds that a BOSH client may be silent while no request is held. Default 60: pages in the
    /// background of a browser wake up once a minute only.
    pub bosh_inactivity_seconds: u32,
    /// Seconds that a BOSH client may announce to be silent. Default 120.
    pub bosh_pause_seconds: u32,
    /// The same as `message_bytes_max` for clients that have not signed in. Default 16 384.
    pub early_message_bytes_max: usize,
    /// Bytes of one WebSocket message, reassembled and inflated; the same as the stanza limit that
    /// the stream advertises by XEP-0478. Default 262 144.
    pub message_bytes_max: usize,
    /// Messages on WebSockets that are shorter than this (bytes) are not compressed: the work would
    /// outweigh what is saved. Default 512.
    pub deflate_bytes_min: usize,
    /// Bytes read and thrown away while a closing connection waits for the peer's end.
    /// Default 1 048 576.
    pub farewell_bytes_max: usize,
    /// Milliseconds to wait before the next accept when the process or the system has no more
    /// file descriptors. Default 200.
    pub accept_pause_millis: u64,
    /// Seconds between two looks at the certificate files. Default 60.
    pub certificate_check_seconds: u64,
    /// Requests of the server itself that are under way at a time: so many to addresses that
    /// clients named, and so many to those that the operator did. More wait. Default 64.
    pub fetches_max: usize,
    /// Those of them that may be under way to one host; one more fails. Default 16.
    pub fetches_per_host_max: usize,
    /// Seconds for such a request to get a connection, TLS included. Default 10.
    pub fetch_connect_seconds: u64,
    /// Seconds that such a connection is kept for the next request. Default 30.
    pub fetch_idle_seconds: u64,
    /// Connections to one host that are kept so. Default 4.
    pub fetch_idle_per_host_max: usize,
    /// Other servers that are dialled at a time; more wait. Default 1024, so that hundreds that do
    /// not answer hold up nobody else.
    pub peer_dials_max: usize,
    /// Certificates of servers that came in for which names and web servers are asked at a time;
    /// more wait. Default 64.
    pub peer_vouching_max: usize,
    /// Addresses of one other server that are tried for one dial. Default 8.
    pub peer_tries_max: usize,
    /// Seconds for one such address to answer. Default 10.
    pub peer_connect_seconds: u64,
    /// Questions to DNS that are under way at a time; more wait. Default 64.
    pub dns_questions_max: usize,
    /// Seconds for the answer to one question, with everything that proves it. Default 10.
    pub dns_seconds: u64,
    /// Seconds that one DNS server has for one answer before it is asked again. Default 2.
    pub dns_try_seconds: u64,
    /// Answers that are kept, those that there is nothing among them. Default 4096.
    pub dns_cache_max: usize,
    /// Seconds that an answer is kept at least, whatever its zone says. Default 30.
    pub dns_keep_seconds_min: u64,
    /// Seconds that it is kept at most. Default 21 600.
    pub dns_keep_seconds_max: u64,
    /// Seconds that it is kept at most that there is nothing. Default 900.
    pub dns_negative_seconds_max: u64,
    /// Places of one server that are tried, and TLSA records of each that are read. Default 16.
    pub targets_max: usize,
    /// Addresses of one machine that are tried. Default 16.
    pub addresses_max: usize,
    /// Seconds for a file of another server's web server (POSH, host-meta). Default 10.
    pub well_known_seconds: u64,
    /// Bytes of such a file. Default 65 536.
    pub well_known_bytes_max: usize,
    /// Domains whose files are kept, of each kind. Default 1024.
    pub well_known_cache_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            address_connections_max: 1024,
            address_rate: 32,
            address_burst: 256,
            handshake_seconds: 10,
            header_seconds: 15,
            headers_max: 64,
            header_bytes_max: 16_384,
            streams_max: 32,
            stream_window_bytes: 131_072,
            connection_window_bytes: 262_144,
            stream_ping_seconds: 60,
            body_seconds: 30,
            bosh_wait_seconds: 60,
            bosh_inactivity_seconds: 60,
            bosh_pause_seconds: 120,
            early_message_bytes_max: 16_384,
            message_bytes_max: 262_144,
            deflate_bytes_min: 512,
            farewell_bytes_max: 1_048_576,
            accept_pause_millis: 200,
            certificate_check_seconds: 60,
            fetches_max: 64,
            fetches_per_host_max: 16,
            fetch_connect_seconds: 10,
            fetch_idle_seconds: 30,
            fetch_idle_per_host_max: 4,
            peer_dials_max: 1024,
            peer_vouching_max: 64,
            peer_tries_max: 8,
            peer_connect_seconds: 10,
            dns_questions_max: 64,
            dns_seconds: 10,
            dns_try_seconds: 2,
            dns_cache_max: 4096,
            dns_keep_seconds_min: 30,
            dns_keep_seconds_max: 21_600,
            dns_negative_seconds_max: 900,
            targets_max: 16,
            addresses_max: 16,
            well_known_seconds: 10,
            well_known_bytes_max: 65_536,
            well_known_cache_max: 1024,
        }
    }
}

impl Limits {
    /// The time for a TLS handshake.
    pub fn handshake(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds)
    }

    /// The time to connect to somebody else.
    pub(crate) fn fetch_connect(&self) -> Duration {
        Duration::from_secs(self.fetch_connect_seconds)
    }

    /// The time for one address of another server to answer.
    pub(crate) fn peer_connect(&self) -> Duration {
        Duration::from_secs(self.peer_connect_seconds)
    }

    /// The time to ask others about the certificate of a server that came in.
    pub(crate) fn peer_vouching(&self) -> Duration {
        Duration::from_secs(2 * self.peer_connect_seconds)
    }

    /// How long a connection to somebody else is kept.
    pub(crate) fn fetch_idle(&self) -> Duration {
        Duration::from_secs(self.fetch_idle_seconds)
    }

    /// The time for an answer of DNS.
    pub(crate) fn dns(&self) -> Duration {
        Duration::from_secs(self.dns_seconds)
    }

    /// The time for one try to get it.
    pub(crate) fn dns_try(&self) -> Duration {
        Duration::from_secs(self.dns_try_seconds)
    }

    /// How long an answer is kept whose zone says `ttl`.
    pub(crate) fn dns_positive(&self, ttl: Duration) -> Duration {
        self.kept(ttl, self.dns_keep_seconds_max)
    }

    /// How long it is kept that there is nothing.
    pub(crate) fn dns_negative(&self, ttl: Duration) -> Duration {
        self.kept(ttl, self.dns_negative_seconds_max)
    }

    fn kept(&self, ttl: Duration, most: u64) -> Duration {
        // Not `clamp`, which panics where an operator gives the bounds the wrong way round.
        ttl.max(Duration::from_secs(self.dns_keep_seconds_min)).min(Duration::from_secs(most))
    }

    /// The time for a file of another server's web server.
    pub(crate) fn well_known(&self) -> Duration {
        Duration::from_secs(self.well_known_seconds)
    }
}
