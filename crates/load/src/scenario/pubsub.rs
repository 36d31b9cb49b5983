//! A node to which one publishes and many are subscribed (XEP-0060).

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute, is_result};
use crate::latency::Latencies;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{AT_ONCE, Pace, Run, flatten};
use crate::scenario::audience::{Audience, Ear, Speaker};
use crate::scenario::pair::punctuality;
use crate::scenario::rhythm::ticks;

/// How long a subscriber waits behind the last item for one too many.
const STRAY: Duration = Duration::from_millis(300);
/// The number of the client that publishes.
const PUBLISHER: usize = 0;
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// How many, how much, how fast.
#[derive(Args)]
pub(crate) struct Pubsub {
    /// Clients that are subscribed, each with its account's address.
    #[arg(long, default_value_t = 1000, value_parser = crate::counts())]
    subscribers: u64,
    /// Items that the node keeps; with none they are passed on and forgotten.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    kept: u64,
    /// Closed loop: items on their way at a time; one has arrived when everybody has it.
    #[arg(long, default_value_t = 1, value_parser = crate::counts(), conflicts_with = "rate")]
    window: u64,
    /// Open loop: items a second. Latencies count from the moment when one was due.
    #[arg(long, value_parser = crate::counts())]
    rate: Option<u64>,
    /// Bytes of one request as it is sent, at least.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    bytes: u64,
    /// The service that has the node; `pubsub.` before the domain, where none is named.
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    pace: Pace,
}

/// Publishes, and counts what the server spends on each delivery.
pub(crate) async fn run(run: &Run, pubsub: &Pubsub) -> Outcome<Report> {
    let Pubsub { subscribers, window, rate, bytes, pace, .. } = *pubsub;
    let count = subscribers as usize + 1;
    run.make_room(count, if rate.is_some() { 2 } else { 1 })?;
    let mut clients = run.sign_in(0..count, count).await?.into_iter();
    let mut publisher = clients.next().ok_or("nobody has signed in")?;
    let node = Node::new(run, pubsub);
    let mut clients: Vec<Client> = clients.collect();
    if !run.target.is_floor() {
        node.create(&mut publisher, pubsub.kept).await?;
        clients = node.subscribe(run, clients).await?;
    }
    let audience = Audience::new(run, 1, subscribers, rate.is_none().then_some(window));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let (ear, progress) = (Ear::new(&audience, number), Arc::clone(&run.progress));
        let subscriber = Subscriber { client, node: node.clone(), ear, progress };
        tasks.spawn(subscriber.listen(Arc::clone(&audience)));
    }
    let speaker = Speaker::new(run, &audience, 0, rate)?;
    let text = Text::new(node, bytes as usize, run.target.is_floor());
    tasks.spawn(publish(publisher, text, speaker));
    let (measured, heard) = run.measure("publishing", pace, &mut tasks).await?;
    let lateness = Latencies::all(&heard);
    let report = pubsub.report(run, measured).latencies(audience.latencies());
    Ok(if rate.is_some() { punctuality(&lateness, report) } else { report })
}

impl Pubsub {
    fn report(&self, run: &Run, measured: (crate::meter::Usage, u64)) -> Report {
        let Self { subscribers, kept, window, rate, bytes, .. } = self;
        let how = match rate {
            Some(rate) => format!("{rate} items a second"),
            None => format!("{window} in flight"),
        };
        let text =
            format!("{subscribers} subscribers, {kept} items kept, {how}, {bytes} bytes an item");
        let figures = json!({ "subscribers": subscribers, "kept": kept, "bytes": bytes,
            "window": rate.is_none().then_some(window), "rate": rate });
        Report::new(run, "pubsub", "deliveries", measured)
            .line("node", text, ("parameters", figures))
            .line(
                "checked",
                "everybody got every item once and in order".into(),
                ("checked", true.into()),
            )
    }
}

/// The node of this run.
#[derive(Clone)]
struct Node {
    service: Arc<str>,
    name: Arc<str>,
    /// What stands in the ids of this run.
    token: Arc<str>,
}

impl Node {
    fn new(run: &Run, pubsub: &Pubsub) -> Self {
        let domain = &run.target.domain;
        let service = pubsub.service.clone().unwrap_or_else(|| format!("pubsub.{domain}"));
        let name = format!("load{}", run.token);
        Self { service: service.into(), name: name.into(), token: run.token.as_str().into() }
    }

    /// Makes the node (§8.1.3): open to all, and it sends nothing of its own accord.
    async fn create(&self, owner: &mut Client, kept: u64) -> Outcome<()> {
        let persists = u64::from(kept > 0).to_string();
        let most = kept.max(1).to_string();
        let mut fields = String::new();
        for (name, value) in [
            ("access_model", "open"),
            ("send_last_published_item", "never"),
            ("notify_retract", "0"),
            ("persist_items", &persists),
            ("max_items", &most),
        ] {
            fields += &format!("<field var='pubsub#{name}'><value>{value}</value></field>");
        }
        let request = format!(
            "<pubsub xmlns='{PUBSUB}'><create node='{}'/><configure><x xmlns='jabber:x:data' \
             type='submit'><field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#node_config\
             </value></field>{fields}</x></configure></pubsub>",
            self.name
        );
        let answer = owner.ask("set", "create", &self.service, &request).await?;
        if is_result(&answer) {
            return Ok(());
        }
        Err(format!(
            "{} refuses a node: {answer}. Let the first account make nodes there, or name another \
             service with --service",
            self.service
        ))
    }

    /// Subscribes everybody (§6.1), and waits for the answers.
    async fn subscribe(&self, run: &Run, clients: Vec<Client>) -> Outcome<Vec<Client>> {
        run.progress.begin("subscribing", clients.len() as u64);
        let mut tasks = JoinSet::new();
        let mut done = Vec::with_capacity(clients.len());
        for (index, mut client) in clients.into_iter().enumerate() {
            let (node, address) = (self.clone(), run.target.bare_address(PUBLISHER + 1 + index));
            let (progress, patience) = (Arc::clone(&run.progress), run.target.patience);
            if tasks.len() >= AT_ONCE
                && let Some(joined) = tasks.join_next().await
            {
                done.push(flatten(joined)?);
            }
            tasks.spawn(async move {
                let request = format!(
                    "<pubsub xmlns='{PUBSUB}'><subscribe node='{}' jid='{address}'/></pubsub>",
                    node.name
                );
                let asking = client.ask("set", "subscribe", &node.service, &request);
                let answer = tokio::time::timeout(patience, asking).await;
                let answer = answer.map_err(|_| "a subscription was not answered".to_owned())??;
                progress.step();
                match is_result(&answer) {
                    true => Ok((index, client)),
                    false => Err(format!("the server refuses a subscription: {answer}")),
                }
            });
        }
        while let Some(joined) = tasks.join_next().await {
            done.push(flatten(joined)?);
        }
        run.go_on("subscribing")?;
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, client)| client).collect())
    }

    /// The number of the item that a notification brings; none when it is not of this node.
    fn item(&self, element: &str) -> Outcome<Option<u64>> {
        let event = element.split_once(EVENT).filter(|_| element.contains(&*self.name));
        let Some((_, event)) = event else { return Ok(None) };
        let items: Vec<&str> = event.match_indices("<item ").map(|(at, _)| &event[at..]).collect();
        let number = match items[..] {
            [item] => attribute(item, "id"),
            _ => None,
        };
        let number = number.and_then(|id| id.strip_prefix('i')?.strip_prefix(&*self.token));
        let number = number.and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        number.map(Some).ok_or_else(|| format!("this is no item of the node: {element}"))
    }
}

/// What is published.
struct Text {
    node: Node,
    body: String,
    /// A relay understands nothing: it gets what a server would make of the request.
    is_event: bool,
}

impl Text {
    fn new(node: Node, bytes: usize, is_event: bool) -> Self {
        let mut text = Self { node, body: String::new(), is_event };
        let (_, rest) = text.rest(0);
        let room = bytes.saturating_sub("<message".len() + rest.len());
        text.body = "What is in a name? ".chars().cycle().take(room).collect();
        text
    }

    fn rest(&self, number: u64) -> (&'static str, String) {
        let Node { service, name, token } = &self.node;
        let item = format!(
            "<item id='i{token}-{number}'><entry xmlns='http://www.w3.org/2005/Atom'><title>{}\
             </title></entry></item>",
            self.body
        );
        match self.is_event {
            true => (
                "<message",
                format!(
                    " to='{service}' type='headline'><event xmlns='{EVENT}'><items node='{name}'>\
                     {item}</items></event></message>"
                ),
            ),
            false => (
                "<iq",
                format!(
                    " to='{service}' type='set' id='p{number}'><pubsub xmlns='{PUBSUB}'><publish \
                     node='{name}'>{item}</publish></pubsub></iq>"
                ),
            ),
        }
    }
}

/// Publishes until the window is over; every request must be granted.
async fn publish(mut client: Client, text: Text, mut speaker: Speaker) -> Outcome<Latencies> {
    let mut ticks = ticks();
    let mut granted: u64 = 0;
    let mut said: u64 = 0;
    loop {
        while let Some(number) = speaker.next() {
            let (start, rest) = text.rest(number);
            let request = client.stanza(start, &rest);
            client.push(&request);
            said += 1;
        }
        if speaker.is_silent() && (granted == said || text.is_event) {
            return Ok(speaker.lateness);
        }
        tokio::select! {
            biased;
            element = client.next() => {
                let element = element?;
                if !element.starts_with("<iq") {
                    continue;
                }
                let is_due = attribute(&element, "id") == Some(&format!("p{granted}"));
                if !is_due || !is_result(&element) {
                    return Err(format!("the answer to item {granted} was due: {element}"));
                }
                granted += 1;
            }
            waited = speaker.wait() => waited?,
            _ = ticks.tick() => speaker.hurry()?,
        }
    }
}

/// One who is subscribed.
struct Subscriber {
    client: Client,
    node: Node,
    ear: Ear,
    progress: Arc<Progress>,
}

impl Subscriber {
    /// Listens until everything was said, and for one too many.
    async fn listen(mut self, audience: Arc<Audience>) -> Outcome<Latencies> {
        tokio::select! {
            biased;
            failed = self.hear() => return Err(failed),
            () = audience.over() => {}
        }
        match tokio::time::timeout(STRAY, self.hear()).await {
            Ok(failed) => Err(failed),
            Err(_) => Ok(Latencies::default()),
        }
    }

    /// Listens until something goes wrong.
    async fn hear(&mut self) -> String {
        loop {
            let item = match self.client.next().await {
                Ok(element) => self.take(&element),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = item {
                return reason;
            }
        }
    }

    fn take(&mut self, element: &str) -> Outcome<()> {
        let Some(number) = self.node.item(element)? else { return Ok(()) };
        self.ear.hear(0, number, element)?;
        self.progress.count();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_is_known_when_it_comes() {
        let node = Node { service: "p".into(), name: "loadab".into(), token: "ab".into() };
        let text = Text::new(node.clone(), 400, true);
        let (start, rest) = text.rest(7);
        let event = format!("{start}{rest}");
        assert_eq!(event.len(), 400);
        assert_eq!(node.item(&event), Ok(Some(7)));
        assert_eq!(node.item("<message><body>x</body></message>"), Ok(None));
        assert!(node.item(&event.replace("iab-", "icd-")).is_err());
        let twice = event.replace("</items>", "<item id='iab-8'/></items>");
        assert!(node.item(&twice).is_err(), "one notification for each item");
    }
}
