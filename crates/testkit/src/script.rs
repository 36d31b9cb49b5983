//! Scenarios in Markdown: headings name them, indented blocks hold their lines. The language is
//! described in `docs/scenarios.md`.

pub(crate) mod road;

use std::fmt;
use std::time::Duration;

use crate::node::Node;
use crate::outside::WebAct;
use crate::roads::Papers;

pub use road::RoadAct;

/// One conversation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file, as it was named to [`read`].
    pub file: String,
    /// The heading above it.
    pub title: String,
    /// What happens, in order.
    pub lines: Vec<Line>,
}

/// One line of a scenario.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it stands, counted from 1.
    pub number: usize,
    /// As it is written.
    pub text: String,
    /// What it means.
    pub step: Step,
}

/// What a line asks for.
#[derive(Clone, Debug)]
pub enum Step {
    /// `set modules.offline.messages = 1`
    Set(String),
    /// `set capulet.example: modules.offline.messages = 1`, for another server.
    SetAt(String, String),
    /// `road capulet.example is cut`
    Road(RoadAct),
    /// `time + 60s`
    Time(Duration),
    /// `web …`: something that happens over HTTP.
    Web(WebAct),
    /// Something that a client does or gets.
    Of(Name, Act),
}

/// What a client does or gets.
#[derive(Clone, Debug)]
pub enum Act {
    /// `>`: sends this.
    Send(String),
    /// `<`: gets this next.
    Receive(Node),
    /// `<~`: gets this and its neighbours in any order.
    Mingled(Node),
    /// `<<`: gets nothing more.
    Silence,
    /// `<!`: its stream is ended by the server.
    Ended,
    /// `.`: closes its stream.
    Close,
    /// `!`: loses its connection.
    Cut,
    /// `+`: comes back and resumes its session; `+ elsewhere` over the other framing.
    Resume {
        /// Whether it changes the framing.
        elsewhere: bool,
    },
    /// `is online`: signs in and sends initial presence.
    Online,
    /// `is here`: signs in and does nothing else.
    Here,
    /// `is away`: has an account.
    Away,
    /// `connects`: opens a stream and does not sign in; the account need not exist.
    Connect,
    /// `opens a stream`: does that and nothing else; the account exists.
    Open,
    /// `is a component`: connects as the component that speaks for the domain of this name.
    Component,
    /// `signs in`: authenticates without binding a resource.
    SignIn,
    /// `is a server`: another server of ours has this domain.
    Server,
    /// `is a peer`: the scenario speaks for the server of this domain, in stanzas.
    Peer,
    /// `is a raw peer`: the same in the bytes of streams.
    RawPeer,
    /// `shows …`: what the server of this domain shows when it is asked who it is.
    Show(Papers),
    /// `calls localhost`, `calls localhost under TLS`: a raw peer connects to this domain.
    Call {
        /// The domain.
        to: String,
        /// Whether TLS begins with the first byte.
        is_secure: bool,
    },
    /// `is called`: a raw peer takes the oldest call that it has not taken.
    Called,
    /// `takes TLS`: on the connection of a raw peer, TLS begins.
    TakeTls,
}

/// A client: `romeo`, `romeo/phone`, `juliet@verona.example`, `romeo/phone#2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The local part of the account.
    pub local: String,
    /// The domain; `localhost` when it is not written.
    pub domain: String,
    /// The resource; `desk` when it is not written.
    pub resource: String,
    /// Tells connections with one address apart.
    number: String,
}

/// The domain of clients that name none.
pub const DOMAIN: &str = "localhost";
const RESOURCE: &str = "desk";

impl Name {
    /// The account.
    pub fn account(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    /// Reads a name as it stands in a scenario.
    pub fn parse(word: &str) -> Option<Self> {
        let (word, number) = word.split_once('#').unwrap_or((word, ""));
        let (account, resource) = word.split_once('/').unwrap_or((word, RESOURCE));
        let (local, domain) = account.split_once('@').unwrap_or((account, DOMAIN));
        let is_word = |text: &str| {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_fine)
        };
        let is_name = [local, domain, resource].into_iter().all(is_word);
        is_name.then(|| Self {
            local: local.to_owned(),
            domain: domain.to_owned(),
            resource: resource.to_owned(),
            number: number.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.local, self.domain, self.resource)?;
        if self.number.is_empty() { Ok(()) } else { write!(f, "#{}", self.number) }
    }
}

impl Scenario {
    /// Whether it only makes sense on a clock that can be moved.
    pub fn moves_time(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.step, Step::Time(_)))
    }

    /// Whether there are other servers, which are reached in memory only.
    pub fn is_federated(&self) -> bool {
        let is_place = |act: &Act| matches!(act, Act::Server | Act::Peer | Act::RawPeer);
        self.lines.iter().any(|line| matches!(&line.step, Step::Of(_, act) if is_place(act)))
    }

    /// Whether somebody loses a connection. On BOSH that is noticed a minute later, by silence.
    pub fn cuts(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.step, Step::Of(_, Act::Cut)))
    }
}

/// Reads every scenario of a page.
///
/// # Errors
/// Lines that are not understood, with their places.
pub fn read(file: &str, text: &str) -> Result<Vec<Scenario>, String> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut title = String::new();
    for block in blocks(text) {
        let block = match block {
            Block::Heading(heading) => {
                title = heading.to_owned();
                continue;
            }
            Block::Lines(lines) => lines,
        };
        // An example of something else: configuration, or XML alone.
        if step(&block[0].1).is_none() {
            continue;
        }
        let mut lines = Vec::with_capacity(block.len());
        for (number, text) in block {
            let at = |reason: &str| format!("{file}:{number}: {reason}: {text}");
            let step = step(&text).ok_or_else(|| at("not understood"))?;
            let step = step.map_err(|reason| at(&reason))?;
            lines.push(Line { number, text, step });
        }
        match scenarios.last_mut() {
            Some(last) if last.title == title => last.lines.append(&mut lines),
            _ => scenarios.push(Scenario { file: file.to_owned(), title: title.clone(), lines }),
        }
    }
    Ok(scenarios)
}

enum Block<'a> {
    Heading(&'a str),
    Lines(Vec<(usize, String)>),
}

/// Headings and indented blocks. A line that is indented further goes on with the one before.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            blocks.push(Block::Heading(line.trim_start_matches('#').trim()));
            continue;
        }
        let Some(indented) = line.strip_prefix("    ").filter(|line| !line.trim().is_empty())
        else {
            // An empty line does not end a block, so a scenario can have paragraphs.
            if !line.trim().is_empty() {
                blocks.push(Block::Lines(Vec::new()));
            }
            continue;
        };
        let open = match blocks.last_mut() {
            Some(Block::Lines(lines)) => lines,
            _ => {
                blocks.push(Block::Lines(Vec::new()));
                let Some(Block::Lines(lines)) = blocks.last_mut() else { unreachable!() };
                lines
            }
        };
        match open.last_mut() {
            Some((_, before)) if indented.starts_with(' ') => {
                before.push(' ');
                before.push_str(indented.trim());
            }
            _ => open.push((index + 1, indented.trim().to_owned())),
        }
    }
    blocks.retain(|block| !matches!(block, Block::Lines(lines) if lines.is_empty()));
    blocks
}

/// The meaning of a line; `None` when it has the shape of no line.
fn step(text: &str) -> Option<Result<Step, String>> {
    let (first, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    match first {
        "set" => return Some(Ok(set(rest))),
        "road" => return Some(RoadAct::read(rest)?.map(Step::Road)),
        "web" => return Some(WebAct::read(rest)?.map(Step::Web)),
        "time" => return Some(duration(rest.strip_prefix('+')?.trim()).map(Step::Time)),
        _ => {}
    }
    let name = Name::parse(first)?;
    Some(act(rest)?.map(|act| Step::Of(name, act)))
}

/// A setting, of the server or of the one that is named before a colon.
fn set(text: &str) -> Step {
    match text.split_once(": ") {
        Some((domain, setting)) if !domain.contains([' ', '=']) => {
            Step::SetAt(domain.to_owned(), setting.trim().to_owned())
        }
        _ => Step::Set(text.to_owned()),
    }
}

fn act(text: &str) -> Option<Result<Act, String>> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    Some(match (verb, rest) {
        (">", xml) => Ok(Act::Send(xml.to_owned())),
        ("<", xml) => Node::parse(xml).map(Act::Receive),
        ("<~", xml) => Node::parse(xml).map(Act::Mingled),
        ("<<", "") => Ok(Act::Silence),
        ("<!", "") => Ok(Act::Ended),
        (".", "") => Ok(Act::Close),
        ("!", "") => Ok(Act::Cut),
        ("+", "") => Ok(Act::Resume { elsewhere: false }),
        ("+", "elsewhere") => Ok(Act::Resume { elsewhere: true }),
        ("is", "online") => Ok(Act::Online),
        ("is", "here") => Ok(Act::Here),
        ("is", "away") => Ok(Act::Away),
        ("is", "a component") => Ok(Act::Component),
        ("connects", "") => Ok(Act::Connect),
        ("opens", "a stream") => Ok(Act::Open),
        ("signs", "in") => Ok(Act::SignIn),
        ("is", "a server") => Ok(Act::Server),
        ("is", "a peer") => Ok(Act::Peer),
        ("is", "a raw peer") => Ok(Act::RawPeer),
        ("is", "called") => Ok(Act::Called),
        ("takes", "TLS") => Ok(Act::TakeTls),
        ("shows", words) => Ok(Act::Show(papers(words)?)),
        ("calls", to) => {
            let bare = to.strip_suffix(" under TLS");
            Ok(Act::Call { to: bare.unwrap_or(to).to_owned(), is_secure: bare.is_some() })
        }
        _ => return None,
    })
}

/// `its papers`, `expired papers`, `no papers`, `the papers of mallory.example`.
fn papers(words: &str) -> Option<Papers> {
    Some(match words {
        "its papers" => Papers::Valid,
        "expired papers" => Papers::Expired,
        "no papers" => Papers::Missing,
        _ => Papers::For(words.strip_prefix("the papers of ")?.to_owned()),
    })
}

/// `30s`, `5m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = "a time is a number with s, m or h behind it";
    let seconds = match text.char_indices().next_back() {
        Some((_, 's')) => 1,
        Some((_, 'm')) => 60,
        Some((_, 'h')) => 3600,
        _ => return Err(wrong.to_owned()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong.to_owned())?;
    Ok(Duration::from_secs(number * seconds))
}

#[cfg(test)]
mod tests;
