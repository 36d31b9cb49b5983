//! The two ends of a stream between servers, as tests begin with them.

use waxwing_stream::{Border, Call, Demand, Pair, Purpose};

use crate::stage::peers::Peer;

/// The secret and the names are those of XEP-0220 §2: we are montague.example.
const SECRET: &[u8] = b"d14lb4ck43v3r";
const OURS: &[&str] = &["montague.example", "chat.montague.example", "strict.example"];

impl Peer {
    pub(crate) fn incoming() -> Peer {
        Peer { call: None, border: Border::default(), secret: Some(SECRET), ours: OURS }
    }

    pub(crate) fn outgoing() -> Peer {
        let call = Call {
            pair: Pair::new("montague.example", "capulet.example"),
            purpose: Purpose::Link,
            demand: Demand::default(),
            external: true,
            bidi: false,
            acks: false,
        };
        Peer { call: Some(call), ..Peer::incoming() }
    }

    /// A line `set KEY VALUE` of a transcript.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let border = &mut self.border;
        match (key, &mut self.call) {
            ("verify", Some(call)) => {
                let (id, key) = value.split_once(' ').unwrap();
                call.purpose = Purpose::Verify { id: id.into(), key: key.into() };
            }
            ("bidi", Some(call)) => call.bidi = true,
            ("acks", Some(call)) => call.acks = true,
            ("no-external", Some(call)) => call.external = false,
            ("no-secret", _) => self.secret = None,
            ("no-bidi", None) => border.bidi = false,
            ("no-acks", None) => border.acks = false,
            ("no-starttls", None) => border.starttls = false,
            _ => self.set_demand(key),
        }
    }

    fn set_demand(&mut self, key: &str) {
        let demand = match &mut self.call {
            Some(call) => &mut call.demand,
            None => &mut self.border.demand,
        };
        match key {
            "optional-tls" => demand.tls_required = false,
            "certificate-required" => demand.certificate_required = true,
            "no-dialback" => demand.dialback_allowed = false,
            _ => panic!("unknown setting {key}"),
        }
    }
}
