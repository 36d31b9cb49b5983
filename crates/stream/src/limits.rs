//! Every number that bounds a stream.

use std::time::Duration;

/// What one stream may cost and how long its silences may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// XML limits until authentication has succeeded.
    pub before_auth: waxwing_xml::Limits,
    /// XML limits from authentication on; `element_bytes` is announced by XEP-0478.
    pub after_auth: waxwing_xml::Limits,
    /// Seconds from the connection to the bound resource. Default 60.
    pub handshake_seconds: u32,
    /// Seconds without any input before the peer is probed; announced by XEP-0478. Default 60.
    pub idle_seconds: u32,
    /// Up to so many seconds earlier, drawn for every stream: clients that come back together
    /// after a restart are not probed together for ever. Earlier and not later, because proxies
    /// cut what is silent for a minute. Default 5.
    pub idle_jitter_seconds: u8,
    /// Seconds that a probe may stay without any input. Default 60: background tabs of browsers
    /// run their timers once a minute.
    pub ping_wait_seconds: u32,
    /// How many times longer both waits are while the client says that it is inactive
    /// (XEP-0352). Default 5.
    pub inactive_factor: u32,
    /// Seconds to wait for the peer's closing tag after ours. Default 5.
    pub close_seconds: u32,
    /// Failed authentications before the stream is closed (RFC 6120 §6.4.5: 2 to 5). Default 3.
    pub auth_attempts: u8,
    /// Failed resource bindings before the stream is closed (RFC 6120 §7.6.2). Default 5.
    pub bind_attempts: u8,
    /// Bytes that may wait while a question is being answered. Default 262 144 (256 KiB); more
    /// than that is `policy-violation`.
    pub held_bytes: usize,
    /// Stanzas that may wait for the client's acknowledgement (XEP-0198). Default 1000.
    pub sm_queue_stanzas: usize,
    /// Bytes that may wait for the client's acknowledgement. Default 2 MiB.
    pub sm_queue_bytes: usize,
    /// Longest time in seconds that a lost stream may be resumed. Default 600.
    pub sm_resume_seconds: u32,
    /// Stanzas sent before an acknowledgement is requested at once. Default 10.
    pub ack_every_stanzas: u32,
    /// Seconds after a stanza before its acknowledgement is requested. Default 5.
    pub ack_every_seconds: u32,
    /// Pairs of domains that another server may prove on one stream (XEP-0220 §2.6). Default 64;
    /// more than that is `resource-constraint`.
    pub server_pairs: usize,
    /// Dialback keys of one stream that are verified at a time. Default 16. So many that come to
    /// nothing, one after the other, end a stream that stands for nobody; four times as many any
    /// other.
    pub server_dialbacks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let before_auth = waxwing_xml::Limits {
            element_bytes: 16 * 1024,
            depth: 8,
            attributes: 16,
            name_bytes: 64,
            namespace_bytes: 256,
            namespaces: 16,
            children: 16,
        };
        let after_auth = waxwing_xml::Limits {
            element_bytes: 256 * 1024,
            depth: 64,
            attributes: 64,
            name_bytes: 512,
            namespace_bytes: 1024,
            namespaces: 128,
            children: 1024,
        };
        Limits {
            before_auth,
            after_auth,
            handshake_seconds: 60,
            idle_seconds: 60,
            idle_jitter_seconds: 5,
            ping_wait_seconds: 60,
            inactive_factor: 5,
            close_seconds: 5,
            auth_attempts: 3,
            bind_attempts: 5,
            held_bytes: 256 * 1024,
            sm_queue_stanzas: 1000,
            sm_queue_bytes: 2 * 1024 * 1024,
            sm_resume_seconds: 600,
            ack_every_stanzas: 10,
            ack_every_seconds: 5,
            server_pairs: 64,
            server_dialbacks: 16,
        }
    }
}

pub(crate) fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
