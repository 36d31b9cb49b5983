//! Runs every conversation in `transcripts/` in every cut.
//!
//! A transcript is a text file. Its lines:
//!
//! ```text
//! # a remark
//! set KEY VALUE        before the first line of talk; see `setting`
//! C: text              what the client sends (on a WebSocket: one message)
//! S: text              what the server must say then, byte for byte
//! W: close 1000        a mark of the outbox: the transport ends, or "ping"
//! E: event             what the driver must see
//! > action             what the driver does: see `Stage::act`
//! ```
//!
//! An indented line continues the line above. `{b64:…}` is encoded, with `\0` as NUL and `\1` as
//! U+0001 in it;
//! the other words in braces are in `WORDS`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "stage/servers.rs"]
mod ends;
mod stage;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use stage::peers::Peer;
use stage::{Domains, Output, Stage, host};
use waxwing_stream::{Framing, Input, Limits, PeerTrust, Security};

/// What would be repeated in every transcript.
const WORDS: [(&str, &str); 30] = [
    ("{space}", " "),
    ("{hello}", stage::HELLO),
    ("{ws-hello}", stage::WS_HELLO),
    ("{component-hello}", stage::COMPONENT_HELLO),
    ("{handshake}", stage::HANDSHAKE),
    (
        "{component-header}",
        "<?xml version='1.0'?><stream:stream from='plays.example.org' \
         id='2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a' xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{header}",
        "<?xml version='1.0'?><stream:stream from='example.org' \
         id='2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a' version=\"1.0\" xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{open}",
        "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" from='example.org' \
         id='2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a' version=\"1.0\" xml:lang='en' />",
    ),
    ("{close}", "<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" />"),
    ("{sasl}", "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"),
    ("{sasl2}", "xmlns='urn:xmpp:sasl:2'"),
    ("{bind2}", "xmlns='urn:xmpp:bind:0'"),
    (
        "{inline}",
        "<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
         <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>\
         <feature var='urn:xmpp:sm:3'/></inline></bind></inline>",
    ),
    (
        "{inline-fast}",
        "<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
         <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>\
         <feature var='urn:xmpp:sm:3'/></inline></bind><fast xmlns='urn:xmpp:fast:0'>\
         <mechanism>HT-SHA-256-NONE</mechanism></fast></inline>",
    ),
    (
        "{early}",
        "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes>\
         <idle-seconds>60</idle-seconds></limits>",
    ),
    (
        "{late}",
        "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>\
         <idle-seconds>60</idle-seconds></limits>",
    ),
    ("{streams}", "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"),
    ("{stanzas}", "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"),
    ("{sm}", "xmlns='urn:xmpp:sm:3'"),
    ("{tls}", "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"),
    (
        "{capulet}",
        "<?xml version='1.0'?><stream:stream from='capulet.example' to='montague.example' \
         version='1.0' xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{answers}",
        "<?xml version='1.0'?><stream:stream from='capulet.example' to='montague.example' \
         id='417GAF25' version='1.0' xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{montague}",
        "<?xml version='1.0'?><stream:stream from='montague.example' to='capulet.example' \
         id='2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a' version=\"1.0\" xml:lang='en' \
         xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{calls}",
        "<?xml version='1.0'?><stream:stream from='montague.example' to='capulet.example' \
         version=\"1.0\" xml:lang='en' xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
    ),
    (
        "{external}",
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL\
         </mechanism></mechanisms>",
    ),
    ("{dialback}", "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"),
    ("{bidi}", "<bidi xmlns='urn:xmpp:features:bidi'/>"),
    (
        "{both-ways}",
        "<bidi xmlns='urn:xmpp:bidi'><limits xmlns='urn:xmpp:stream-limits:0'>\
         <max-bytes>262144</max-bytes><idle-seconds>60</idle-seconds></limits></bidi>",
    ),
    // To capulet.example, on its stream 417GAF25 (XEP-0220 §2.1.2).
    ("{key}", "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"),
    ("{id}", "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"),
];

#[derive(Default)]
struct Transcript {
    name: String,
    settings: Vec<(String, String)>,
    blocks: Vec<Block>,
}

/// What is put in, and what must come of it.
#[derive(Default)]
struct Block {
    line: usize,
    client: Vec<String>,
    action: Option<String>,
    output: Vec<Output>,
    events: Vec<String>,
}

/// How the client's bytes are cut, and when questions are answered.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    LateAnswers,
    At(usize),
    Bytes,
}

#[test]
fn every_transcript_in_every_cut() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "the transcripts are there");
    let failures: Vec<String> =
        files.iter().filter_map(|file| run_all(&parse(file)).err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n\n"));
}

fn run_all(transcript: &Transcript) -> Result<(), String> {
    run(transcript, Cut::Whole)?;
    run(transcript, Cut::LateAnswers)?;
    if transcript.framing() == Framing::Tcp {
        run(transcript, Cut::Bytes)?;
        (1..transcript.client_bytes()).try_for_each(|at| run(transcript, Cut::At(at)))?;
    }
    Ok(())
}

fn parse(file: &std::path::Path) -> Transcript {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let mut transcript = Transcript { name, ..Transcript::default() };
    for (line, text) in joined(&text) {
        let (kind, rest) = text.split_once(' ').unwrap_or((text.as_str(), ""));
        let input = matches!(kind, "C:" | ">");
        let fresh = transcript.blocks.last().is_none_or(|block| {
            kind == ">"
                || block.action.is_some()
                || !block.output.is_empty()
                || !block.events.is_empty()
        });
        if input && fresh {
            transcript.blocks.push(Block { line, ..Block::default() });
        }
        if kind == "set" {
            let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
            transcript.settings.push((key.into(), value.into()));
            continue;
        }
        let block = transcript.blocks.last_mut().expect("a conversation starts with input");
        match kind {
            "C:" => block.client.push(expand(rest)),
            ">" => block.action = Some(expand(rest)),
            "S:" => block.output.push(Output::Text(expand(rest))),
            "W:" => block.output.push(Output::Mark(rest.into())),
            "E:" => block.events.push(expand(rest)),
            _ => panic!("{}:{line}: what is {kind}?", transcript.name),
        }
    }
    transcript
}

/// Lines with their continuations, without remarks, numbered.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match line {
            "" => {}
            _ if line.starts_with('#') => {}
            _ if line.starts_with(' ') => {
                lines.last_mut().expect("a line to continue").1.push_str(line.trim_start());
            }
            _ => lines.push((number + 1, line.to_owned())),
        }
    }
    lines
}

fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{b64:") {
        let (data, behind) = after.split_once('}').expect("a closing brace");
        out.push_str(before);
        out.push_str(&BASE64.encode(data.replace("\\0", "\0").replace("\\1", "\x01")));
        rest = behind;
    }
    out.push_str(rest);
    WORDS.iter().fold(out, |out, (word, meaning)| out.replace(word, meaning))
}

impl Transcript {
    fn framing(&self) -> Framing {
        let websocket = self.settings.iter().any(|(key, _)| key == "websocket");
        if websocket { Framing::WebSocket } else { Framing::Tcp }
    }

    /// The server at the other end, where one is.
    fn peer(&self) -> Option<Peer> {
        let has = |key: &str| self.settings.iter().any(|(it, _)| it == key);
        let mut peer = match (has("incoming"), has("outgoing")) {
            (true, _) => Peer::incoming(),
            (_, true) => Peer::outgoing(),
            _ => return None,
        };
        let own = |(key, _): &&(String, String)| {
            !COMMON.contains(&key.as_str()) && key != "incoming" && key != "outgoing"
        };
        self.settings.iter().filter(own).for_each(|(key, value)| peer.set(key, value));
        Some(peer)
    }

    fn client_bytes(&self) -> usize {
        self.blocks.iter().flat_map(|block| &block.client).map(String::len).sum()
    }

    fn stage(&self) -> Stage {
        let mut security = Security { tls: true, exporter: Some([7; 32]), ..Security::default() };
        let mut domains = Domains::new(Limits::default());
        domains.component = self.settings.iter().any(|(key, _)| key == "component");
        domains.peer = self.peer();
        domains.default = !self.settings.iter().any(|(key, _)| key == "no-default");
        let mut host = host();
        let is_client = domains.peer.is_none();
        let common = |(key, _): &&(String, String)| is_client || COMMON.contains(&key.as_str());
        for (key, value) in self.settings.iter().filter(common) {
            setting(key, value, (&mut host, &mut security, &mut domains.limits));
        }
        domains.host = host.into();
        Stage::new(self.framing(), security, domains)
    }
}

/// What means the same between servers.
const COMMON: [&str; 10] = [
    "websocket",
    "clear",
    "chain",
    "trusted",
    "untrusted",
    "auth-attempts",
    "queue",
    "ack-every",
    "pairs",
    "dialbacks",
];

fn setting(key: &str, value: &str, (host, security, limits): Setting<'_>) {
    let number = || value.parse().unwrap();
    match key {
        "websocket" | "component" | "no-default" => {}
        "clear" => *security = Security::default(),
        "proxy" => *security = Security { trusted_proxy: true, ..Security::default() },
        "certificate" => {
            security.peer_certificate = Some(value.as_bytes().to_vec());
            security.peer_verified = true;
            host.mechanisms.external = true;
        }
        "chain" => security.peer_chain = vec![value.as_bytes().to_vec()],
        "trusted" => security.peer_trust = Some(PeerTrust::Certificate),
        "untrusted" => security.peer_trust = Some(PeerTrust::Untrusted(value.into())),
        "pairs" => limits.server_pairs = number() as usize,
        "dialbacks" => limits.server_dialbacks = number() as usize,
        "end-point" => security.end_point = Some(value.as_bytes().to_vec()),
        "origin" => security.origin = Some(value.into()),
        "origins" => host.origins = value.split(' ').map(Into::into).collect(),
        "optional-tls" => host.require_tls = false,
        "no-starttls" => host.starttls = false,
        "sasl2" => host.sasl2 = true,
        "tokens" => host.tokens = true,
        "bearer" => {
            let discovery = Some("https://id.example/oidc".into());
            host.bearer = Some(waxwing_stream::BearerOffer { scope: None, discovery });
        }
        "no-exporter" => security.exporter = None,
        "plain" => {
            let none = waxwing_stream::Mechanisms { plain: true, ..NO_MECHANISM };
            host.mechanisms = none;
        }
        "scram" => {
            let only = waxwing_stream::Mechanisms { scram_sha_256: true, ..NO_MECHANISM };
            host.mechanisms = only;
        }
        "anonymous" => host.mechanisms.anonymous = true,
        "no-sha-1" => host.mechanisms.scram_sha_1 = false,
        "registration" => host.registration = true,
        "redirect-uri" => host.redirect.uri = Some(value.into()),
        "redirect-host" => host.redirect.host = Some(value.into()),
        "auth-attempts" => limits.auth_attempts = number() as u8,
        "ack-every" => limits.ack_every_stanzas = number(),
        "queue" => limits.sm_queue_stanzas = number() as usize,
        _ => panic!("unknown setting {key}"),
    }
}

const NO_MECHANISM: waxwing_stream::Mechanisms = waxwing_stream::Mechanisms {
    scram_sha_1: false,
    scram_sha_256: false,
    scram_sha_512: false,
    plain: false,
    external: false,
    anonymous: false,
};

type Setting<'a> = (&'a mut waxwing_stream::Host, &'a mut Security, &'a mut Limits);

fn run(transcript: &Transcript, cut: Cut) -> Result<(), String> {
    let mut stage = transcript.stage();
    stage.prompt = !matches!(cut, Cut::LateAnswers);
    let mut offset = 0;
    for block in &transcript.blocks {
        match transcript.framing() {
            Framing::WebSocket => {
                block.client.iter().for_each(|text| stage.receive(Input::Message(text.as_bytes())));
            }
            Framing::Tcp => {
                let bytes = block.client.concat().into_bytes();
                pieces(&bytes, offset, cut).for_each(|piece| stage.receive(Input::Bytes(piece)));
                offset += bytes.len();
            }
        }
        if let Some(action) = &block.action {
            stage.act(action);
        }
        stage.settle();
        let place = format!("{}:{} cut {cut:?}", transcript.name, block.line);
        let output = merged(std::mem::take(&mut stage.output), transcript.framing());
        let expected = merged(block.output.clone(), transcript.framing());
        same(&place, &output, &expected)?;
        let events = std::mem::take(&mut stage.events);
        same(&place, &events, &block.events)?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(place: &str, is: &T, wanted: &T) -> Result<(), String> {
    match is == wanted {
        true => Ok(()),
        false => Err(format!("{place}\n    is: {is:?}\nwanted: {wanted:?}")),
    }
}

fn pieces(bytes: &[u8], offset: usize, cut: Cut) -> impl Iterator<Item = &[u8]> {
    let size = if matches!(cut, Cut::Bytes) { 1 } else { usize::MAX };
    let middle = match cut {
        Cut::At(at) => at.saturating_sub(offset).min(bytes.len()),
        _ => 0,
    };
    let (left, right) = bytes.split_at(middle);
    left.chunks(size).chain(right.chunks(size))
}

/// On TCP nobody sees where one write ends and the next begins.
fn merged(output: Vec<Output>, framing: Framing) -> Vec<Output> {
    let mut all: Vec<Output> = Vec::new();
    for item in output {
        match (all.last_mut(), item) {
            (Some(Output::Text(text)), Output::Text(more)) if framing == Framing::Tcp => {
                text.push_str(&more);
            }
            (_, item) => all.push(item),
        }
    }
    all
}
