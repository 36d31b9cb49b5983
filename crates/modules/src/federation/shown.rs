//! What is known of other servers, as tables and facts.

use std::collections::HashSet;
use std::sync::Arc;

use waxwing_kernel::Hub;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{FieldKind, Grid, Refusal, Said};
use waxwing_kernel::links::ledger::{Direction, Happened, PeerState, Record, Summary, WayView};
use waxwing_kernel::links::policy::{Barred, By, Order};
use waxwing_store::domains::peers::Peers;

use super::Which;
use super::orders::failed;

/// All domains, or some.
pub(super) fn list(hub: &Hub, which: Option<Which>) -> Said {
    let policy = hub.policy();
    let mut grid = Grid::new(&[
        ("domain", "Domain"),
        ("state", "State"),
        ("ways", "Ways"),
        ("proof", "Proven by"),
        ("tls", "TLS"),
        ("queued", "Waiting"),
        ("sent", "Sent"),
        ("received", "Received"),
        ("trouble", "Trouble"),
    ]);
    let mut known = hub.ledger().list();
    let names: HashSet<Arc<str>> = known.iter().map(|peer| Arc::clone(&peer.domain)).collect();
    let said = said_of(hub).into_iter().filter(|(name, _)| !names.contains(&**name));
    known.extend(said.map(|(name, _)| Summary::unknown(&name)));
    known.sort_unstable_by(|one, other| one.domain.cmp(&other.domain));
    let mut counts = Counts::default();
    for peer in &known {
        let barred = policy.judge(&peer.domain).err();
        let is_said = policy.said(&peer.domain).is_some();
        counts.count(peer, barred.as_ref());
        if is_meant(which, peer, barred.as_ref(), is_said) {
            grid.row(row(peer, barred.as_ref(), is_said));
        }
    }
    let note = match policy.is_on() {
        false => "This server talks with no others: see [federation] in the configuration.".into(),
        true => counts.sentence(),
    };
    Said::note(note).table(grid)
}

/// Every name that was said something of, and what.
fn said_of(hub: &Hub) -> Vec<(Box<str>, Order)> {
    let rules = hub.policy().rules();
    let mut all: Vec<_> = rules.all_said().map(|(name, order)| (name.into(), order)).collect();
    all.extend(hub.policy().orders());
    all.sort_unstable_by(|one: &(Box<str>, Order), other| one.0.cmp(&other.0));
    all.dedup_by(|one, other| one.0 == other.0);
    all
}

#[derive(Default)]
struct Counts {
    open: usize,
    trouble: usize,
    barred: usize,
}

impl Counts {
    fn count(&mut self, peer: &Summary, barred: Option<&Barred>) {
        if barred.is_some() {
            self.barred += 1;
        } else if has_trouble(peer) {
            self.trouble += 1;
        } else if peer.state == PeerState::Open {
            self.open += 1;
        }
    }

    fn sentence(&self) -> String {
        let Self { open, trouble, barred } = self;
        format!("Linked: {open}. With trouble: {trouble}. Shut out: {barred}.")
    }
}

fn has_trouble(peer: &Summary) -> bool {
    peer.failure.is_some() || peer.state == PeerState::Claimed
}

fn is_meant(which: Option<Which>, peer: &Summary, barred: Option<&Barred>, is_said: bool) -> bool {
    match which {
        None => true,
        Some(Which::Open) => peer.state == PeerState::Open,
        Some(Which::Trouble) => barred.is_none() && has_trouble(peer),
        Some(Which::Said) => is_said,
    }
}

fn row(peer: &Summary, barred: Option<&Barred>, is_said: bool) -> [String; 9] {
    let trouble = match (barred, &peer.failure) {
        (Some(barred), _) => barred.to_string(),
        (None, Some(failure)) => failure.words.to_string(),
        (None, None) => String::new(),
    };
    let text = |text: Option<String>| text.unwrap_or_default();
    [
        peer.domain.to_string(),
        state_word(peer, barred, is_said).to_owned(),
        ways_word(peer).to_owned(),
        text(peer.proof.map(|proof| proof.word().to_owned())),
        text(peer.tls.as_deref().map(str::to_owned)),
        peer.queued.to_string(),
        peer.sent.to_string(),
        peer.received.to_string(),
        trouble,
    ]
}

fn state_word(peer: &Summary, barred: Option<&Barred>, is_said: bool) -> &'static str {
    match barred {
        Some(Barred::Blocked(_)) => "blocked",
        Some(Barred::Listed(_)) => "listed",
        Some(Barred::Closed) => "not allowed",
        Some(Barred::Off) => "off",
        None if peer.is_unknown() && is_said => "allowed",
        None => peer.state.word(),
    }
}

fn ways_word(peer: &Summary) -> &'static str {
    match (peer.goes_out, peer.comes_in) {
        (true, true) => "both",
        (true, false) => "out",
        (false, true) => "in",
        (false, false) => "",
    }
}

/// One domain.
///
/// # Errors
/// When nothing is known of it.
pub(super) async fn show(hub: &Hub, domain: &str) -> Result<Said, Refusal> {
    let record = hub.ledger().show(domain);
    let said = hub.policy().said(domain);
    if record.is_none() && said.is_none() {
        let text = format!(
            "nothing is known of {domain}: nobody has written there or come from there since the \
             server started. To try it: waxwing federation test {domain}"
        );
        return Err(Refusal { field: Some("domain"), ..Refusal::not_found(text) });
    }
    let record = record.unwrap_or_else(|| Record::unknown(domain));
    let peer = &record.summary;
    let barred = hub.policy().judge(domain).err();
    let state = state_word(peer, barred.as_ref(), said.is_some());
    let mut shown = Said::default()
        .fact("domain", "Domain", domain)
        .fact("state", "State", sentence(&record, state))
        .fact("rules", "Rules", rules(hub, domain, barred.as_ref()).await?);
    if let Some(failure) = peer.failure.as_ref().filter(|_| barred.is_none()) {
        let at = record.failed_millis.map(stamp_of).unwrap_or_default();
        shown = shown.fact("trouble", "Trouble", format!("{} ({at})", failure.words));
        if !failure.advice.is_empty() {
            shown = shown.fact("advice", "What to do", &*failure.advice);
        }
    } else if let Some(barred) = &barred {
        shown = shown.fact("advice", "What to do", barred.advice(domain));
    }
    shown = shown
        .fact("queued", "Waiting", peer.queued.to_string())
        .fact("sent", "Sent", peer.sent.to_string())
        .fact("received", "Received", peer.received.to_string());
    if !record.ways.is_empty() {
        let lines = record.ways.iter().map(stream).collect();
        shown = shown.facts("streams", "Streams", FieldKind::Texts, lines);
    }
    for (var, label, happened) in
        [("history", "History", &record.history), ("claims", "Refused", &record.claims)]
    {
        if !happened.is_empty() {
            let lines = happened.iter().map(line).collect();
            shown = shown.facts(var, label, FieldKind::Texts, lines);
        }
    }
    Ok(shown)
}

fn sentence(record: &Record, state: &str) -> String {
    let links = record.ways.len();
    match record.summary.state {
        PeerState::Resting { until_millis } if state == "resting" => {
            format!("resting: nobody tries again before {}", stamp_of(until_millis))
        }
        PeerState::Open if links > 1 => format!("{state}: {links} streams"),
        _ => state.to_owned(),
    }
}

/// Why it may talk with this server, or may not, and who said so.
async fn rules(hub: &Hub, domain: &str, barred: Option<&Barred>) -> Result<String, Refusal> {
    let mut words = match (barred, hub.policy().said(domain)) {
        (Some(barred), _) => barred.to_string(),
        (None, Some((Order::Allow, By::File))) => "allowed in the configuration file".to_owned(),
        (None, Some((Order::Allow, By::Command))) => "allowed by command".to_owned(),
        (None, _) => "it may talk with this server, as everybody may".to_owned(),
    };
    if let Some((_, By::Command)) = hub.policy().said(domain) {
        let names = waxwing_kernel::links::policy::names_of(domain);
        let peers = Peers::new(hub.db().clone());
        for name in names {
            if let Some(said) = peers.find(name).await.map_err(failed)? {
                let at = stamp_of(said.at.unsigned_abs());
                words.push_str(&format!(": {} by {} at {at}", said.domain, said.who));
                if !said.reason.is_empty() {
                    words.push_str(&format!(", because: {}", said.reason));
                }
                break;
            }
        }
    }
    Ok(words)
}

fn line(happened: &Happened) -> String {
    let times = match happened.times {
        1 => String::new(),
        times => format!(" ({times} times)"),
    };
    format!("{} {}{times}", stamp_of(happened.millis), happened.words)
}

/// A stream in a line, what matters first.
fn stream(way: &WayView) -> String {
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let address = way.address.map(|address| match way.direction {
        Direction::In => format!("from {address}"),
        Direction::Out | Direction::Both => format!("at {address}"),
    });
    let parts = [
        Some(format!("{} ({})", way.direction.word(), way.ours)),
        Some(format!("proven by {}", way.proof)),
        Some(way.transport.to_string()),
        text(&way.tls),
        text(&way.cipher),
        address,
        text(&way.found_by).map(|words| format!("found by {words}")),
        way.resumable.then(|| "stanzas are acknowledged".to_owned()),
        Some(format!("{} sent, {} received", way.sent, way.received)),
        Some(format!("since {}", stamp_of(way.since_millis))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
