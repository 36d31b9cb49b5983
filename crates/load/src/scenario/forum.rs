//! A room (XEP-0045) at some server, and how many get in.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Client, attribute, is_result};
use crate::run::{AT_ONCE, Run, early, flatten};

/// Once nobody has heard anything for so long, everybody has seen everybody.
const QUIET: Duration = Duration::from_millis(300);
const MUC: &str = "http://jabber.org/protocol/muc";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

/// Where rooms are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Service {
    /// The service that has the rooms; `rooms.` before the domain, where none is named.
    #[arg(long)]
    service: Option<String>,
}

/// One room of this run.
#[derive(Clone)]
pub(super) struct Forum {
    /// Its address.
    pub(super) address: Arc<str>,
}

impl Forum {
    /// A room that did not exist before this run.
    pub(super) fn new(run: &Run, service: &Service) -> Self {
        let domain = &run.target.domain;
        let service = service.service.clone().unwrap_or_else(|| format!("rooms.{domain}"));
        Self { address: format!("load{}@{service}", run.token).into() }
    }

    /// The nickname of the client with this number.
    pub(super) fn nick(number: usize) -> String {
        format!("n{number}")
    }

    /// What asks to be let in (XEP-0045 §7.2.1), without any history (§7.2.13).
    pub(super) fn entry(&self, client: &Client, nick: &str) -> String {
        let to = &self.address;
        let rest =
            format!(" to='{to}/{nick}'><x xmlns='{MUC}'><history maxstanzas='0'/></x></presence>");
        client.stanza("<presence", &rest)
    }

    /// What says goodbye (§7.14).
    pub(super) fn exit(&self, client: &Client, nick: &str) -> String {
        client.stanza("<presence", &format!(" to='{}/{nick}' type='unavailable'/>", self.address))
    }

    /// The nickname of somebody whose stanza comes from the room.
    pub(super) fn sender<'a>(&self, element: &'a str) -> Option<&'a str> {
        attribute(element, "from")?.strip_prefix(&*self.address)?.strip_prefix('/')
    }

    /// Enters. Who comes first makes the room, and unlocks it as it is (§10.1.2).
    pub(super) async fn enter(&self, client: &mut Client, nick: &str) -> Outcome<()> {
        let entry = self.entry(client, nick);
        client.send(&entry).await?;
        loop {
            let element = client.next().await?;
            if !element.starts_with("<presence") || self.sender(&element) != Some(nick) {
                self.refused(&element)?;
                continue;
            }
            self.refused(&element)?;
            if has_status(&element, 201) {
                let form = format!(
                    "<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'/></query>"
                );
                let answer = client.ask("set", "unlock", &self.address, &form).await?;
                if !is_result(&answer) {
                    return Err(format!("the server refuses a room: {answer}"));
                }
            }
            return Ok(());
        }
    }

    /// An error when the room, or who would have it, refuses something.
    pub(super) fn refused(&self, element: &str) -> Outcome<()> {
        let is_error = attribute(element, "type") == Some("error")
            && attribute(element, "from").is_some_and(|from| from.starts_with(&*self.address));
        match is_error {
            true => Err(format!(
                "the room refuses: {element}. If the service is another, name it with --service"
            )),
            false => Ok(()),
        }
    }

    /// Lets these clients in, and waits until everybody has seen everybody. Nothing else is on its
    /// way then. On the floor they are together already.
    pub(super) async fn gather(
        &self,
        run: &Run,
        clients: Vec<Client>,
        numbers: Range<usize>,
    ) -> Outcome<Vec<Client>> {
        if run.target.is_floor() {
            return Ok(clients);
        }
        run.progress.begin("entering", clients.len() as u64);
        let crowd = Arc::new(Crowd::default());
        let (all, patience) = (clients.len(), run.target.patience);
        let mut tasks = JoinSet::new();
        let mut arriving = numbers.zip(clients);
        // Alone: the room has to be made before anybody else comes.
        if let Some((number, mut client)) = arriving.next() {
            let nick = Self::nick(number);
            let entering = self.enter(&mut client, &nick);
            let entered = tokio::time::timeout(patience, entering).await;
            entered.map_err(|_| "nobody may enter in time".to_owned())??;
            tasks.spawn(Arc::clone(&crowd).stay(self.clone(), (number, client), None));
        }
        for (number, client) in arriving {
            tasks.spawn(Arc::clone(&crowd).stay(self.clone(), (number, client), Some(patience)));
        }
        let everybody = async {
            let mut before = None;
            loop {
                run.progress.set(crowd.present.load(Ordering::Relaxed) as u64);
                let heard = crowd.heard.load(Ordering::Relaxed);
                let is_quiet = before.replace(heard) == Some(heard);
                if is_quiet && crowd.present.load(Ordering::Acquire) == all {
                    return;
                }
                tokio::time::sleep(QUIET).await;
            }
        };
        tokio::select! {
            () = everybody => {}
            Some(ended) = tasks.join_next() => return Err(early(ended)),
        }
        run.go_on("entering")?;
        crowd.together.send_replace(true);
        let mut done = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            done.push(flatten(joined)?);
        }
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, client)| client).collect())
    }
}

/// Those who come, some at a time.
struct Crowd {
    door: Semaphore,
    present: AtomicUsize,
    /// Elements that anybody has heard.
    heard: AtomicU64,
    together: watch::Sender<bool>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            door: Semaphore::new(AT_ONCE),
            present: AtomicUsize::new(0),
            heard: AtomicU64::new(0),
            together: watch::channel(false).0,
        }
    }
}

impl Crowd {
    /// Enters, unless already in, and listens until all are together.
    async fn stay(
        self: Arc<Self>,
        forum: Forum,
        (number, mut client): (usize, Client),
        entering: Option<Duration>,
    ) -> Outcome<(usize, Client)> {
        if let Some(patience) = entering {
            let _turn = self.door.acquire().await.map_err(|error| error.to_string())?;
            let nick = Forum::nick(number);
            let entered = tokio::time::timeout(patience, forum.enter(&mut client, &nick)).await;
            entered.map_err(|_| format!("{nick} has not come into the room in time"))??;
        }
        self.present.fetch_add(1, Ordering::Release);
        let mut together = self.together.subscribe();
        loop {
            tokio::select! {
                biased;
                _ = together.wait_for(|together| *together) => return Ok((number, client)),
                element = client.next() => forum.refused(&element?)?,
            }
            self.heard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether a presence from a room has this status code (XEP-0045 §15.6).
pub(super) fn has_status(element: &str, code: u16) -> bool {
    element.split("<status").skip(1).any(|status| {
        let tag = format!("<status{status}");
        attribute(&tag, "code") == Some(&*code.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_found_in_either_quotes() {
        let own = "<presence from='r@s/n'><x xmlns='u'><status code=\"201\"/>\
                   <status code='110'/></x></presence>";
        assert!(has_status(own, 201) && has_status(own, 110) && !has_status(own, 10));
        assert!(!has_status("<presence><status>110</status></presence>", 110));
    }
}
