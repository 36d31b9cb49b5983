//! However a client's bytes are cut, a stream sees and says the same.

use waxwing_stream::{Framing, Host, Input, Limits, Security};

use crate::stage::{Domains, Output, Stage, host};

/// What came of a conversation.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: String,
    events: Vec<String>,
    is_over: bool,
}

/// Who talks, and where a conversation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Without TLS.
    pub(crate) is_clear: bool,
    /// With a session bound, or after the handshake.
    pub(crate) is_signed_in: bool,
    /// A component and no client.
    pub(crate) is_component: bool,
}

/// Panics unless `bytes`, cut at every one of `cuts`, come to the same as in one piece and as byte
/// by byte.
pub(crate) fn check(start: Start, bytes: &[u8], cuts: &[usize]) {
    let whole = play(start, &[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(play(start, &single), whole, "{start:?} {}", bytes.escape_ascii());
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
    assert_eq!(play(start, &pieces), whole, "{start:?} {at:?} {}", bytes.escape_ascii());
}

fn play(start: Start, pieces: &[&[u8]]) -> Outcome {
    let security = match start.is_clear {
        true => Security::default(),
        false => Security { tls: true, exporter: Some([7; 32]), ..Security::default() },
    };
    let mut domains = Domains::new(Limits::default());
    domains.component = start.is_component;
    domains.host = Host { sasl2: true, ..host() }.into();
    let mut stage = Stage::new(Framing::Tcp, security, domains);
    if start.is_signed_in && (start.is_component || !start.is_clear) {
        stage.act("login");
    }
    for piece in pieces {
        stage.receive(Input::Bytes(piece));
    }
    let is_over = stage.stream.deadline().is_none();
    let closed = stage.events.iter().filter(|event| event.starts_with("closed")).count();
    assert_eq!(closed, usize::from(is_over), "{:?}", stage.events);
    Outcome { said: said(&stage.output), events: stage.events, is_over }
}

/// The bytes that went out; how they were put together is not compared.
fn said(output: &[Output]) -> String {
    let texts = output.iter().filter_map(|piece| match piece {
        Output::Text(text) => Some(text.as_str()),
        Output::Mark(_) => None,
    });
    texts.collect()
}
