//! One who comes, talks, goes, is thrown out and loses connections.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until};

use super::dice::Dice;
use super::judge::{Record, Stay};
use super::{Stage, nick};
use crate::Outcome;
use crate::client::{Client, attribute};
use crate::clock::now;
use crate::scenario::forum::has_status;

/// How often somebody with nothing to do looks whether it is over.
const TICK: Duration = Duration::from_millis(250);
/// The longest time without a connection.
const AWAY: Duration = Duration::from_millis(2_000);
/// Of what somebody in the room does, so many percent are words, goodbyes and lost connections;
/// the rest are sessions that end without a goodbye.
const WORDS: usize = 75;
const GOODBYES: usize = 9;
const LOSSES: usize = 11;

pub(super) struct Actor {
    stage: Arc<Stage>,
    person: usize,
    dice: Dice,
    /// The stay that is going on.
    here: Option<Record>,
    stays: u32,
    records: Vec<Record>,
    /// What was said and has not come back.
    open: HashSet<u32>,
    /// What was said before somebody was thrown out; the room gives it back as an error.
    lost: HashSet<u32>,
    /// When the last word was said, and which it was.
    word: Option<(u32, Instant)>,
}

/// What somebody does next.
enum Deed {
    Speak,
    Leave,
    Lose,
    Quit,
}

/// How a stay ended.
#[derive(PartialEq, Eq)]
enum End {
    Told,
    Quit,
}

impl Actor {
    pub(super) fn new(stage: &Arc<Stage>, person: usize, seed: u64) -> Self {
        Self {
            stage: Arc::clone(stage),
            person,
            dice: Dice::of(seed, person),
            here: None,
            stays: 0,
            records: Vec::new(),
            open: HashSet::new(),
            lost: HashSet::new(),
            word: None,
        }
    }

    /// Does what the dice say until the window is over; gives what was heard.
    pub(super) async fn play(mut self, mut client: Client) -> Outcome<Vec<Record>> {
        let stage = Arc::clone(&self.stage);
        client.manage(&stage.target).await?;
        while !stage.window.is_over() {
            self.enter(&mut client).await?;
            let end;
            (client, end) = self.dwell(client).await?;
            if end == End::Quit {
                self.open.clear();
                stage.tally.quits.fetch_add(1, Ordering::Relaxed);
                client.leave().await?;
                client = Client::enter(&stage.target, self.person, 0).await?;
                client.show(&stage.target).await?;
                client.manage(&stage.target).await?;
            }
            self.rest(&mut client).await?;
        }
        let patience = now() + stage.target.patience;
        while !self.lost.is_empty() {
            tokio::select! {
                element = client.next() => drop(self.take(&element?)?),
                () = sleep_until(patience.into()) => {
                    return Err(format!("messages are lost without an error: {:?}", self.lost));
                }
            }
        }
        client.leave().await?;
        stage.done.fetch_add(1, Ordering::Release);
        Ok(self.records)
    }

    /// Enters under a name that nobody has had before.
    async fn enter(&mut self, client: &mut Client) -> Outcome<()> {
        let stage = Arc::clone(&self.stage);
        let _turn = stage.door.acquire().await.map_err(|error| error.to_string())?;
        let stay = Stay { person: self.person, number: self.stays };
        self.stays += 1;
        let name = nick(stay);
        let entry = stage.forum.entry(client, &name);
        client.push(&entry);
        let until = now() + stage.target.patience;
        loop {
            let element = tokio::select! {
                element = client.next() => element?,
                () = sleep_until(until.into()) => {
                    return Err(format!("{name} cannot enter in time"));
                }
            };
            let is_own = stage.forum.sender(&element) == Some(&*name);
            if is_own && element.starts_with("<presence") && has_status(&element, 110) {
                stage.forum.refused(&element)?;
                break;
            }
            if self.take(&element)?.is_some() {
                return Err(format!("somebody is out who is not in: {element}"));
            }
        }
        stage.tally.stays.fetch_add(1, Ordering::Relaxed);
        self.here = Some(Record { stay, heard: Vec::new(), knows_end: false });
        Ok(())
    }

    /// Is in the room until it ends, by whatever means.
    async fn dwell(&mut self, mut client: Client) -> Outcome<(Client, End)> {
        let stage = Arc::clone(&self.stage);
        let mut next = now() + self.dice.pause(stage.mean);
        loop {
            let look = now() + TICK;
            tokio::select! {
                biased;
                element = client.next() => {
                    if let Some(record) = self.take(&element?)? {
                        self.close(record);
                        return Ok((client, End::Told));
                    }
                    continue;
                }
                () = sleep_until(look.min(next).into()) => {}
            }
            let deed = match stage.window.is_over() {
                true => Deed::Leave,
                false if now() < next => continue,
                false => self.choose(),
            };
            next = now() + self.dice.pause(stage.mean);
            match deed {
                Deed::Speak => self.speak(&mut client),
                Deed::Leave => {
                    self.leave(&mut client).await?;
                    return Ok((client, End::Told));
                }
                Deed::Lose => client = self.lose(client).await?,
                Deed::Quit => {
                    self.records.extend(self.here.take());
                    return Ok((client, End::Quit));
                }
            }
        }
    }

    fn choose(&mut self) -> Deed {
        match self.dice.below(100) {
            roll if roll < WORDS => Deed::Speak,
            roll if roll < WORDS + GOODBYES => Deed::Leave,
            roll if roll < WORDS + GOODBYES + LOSSES => Deed::Lose,
            _ => Deed::Quit,
        }
    }

    fn speak(&mut self, client: &mut Client) {
        let Some(here) = &self.here else { return };
        let serial = self.stage.serial.fetch_add(1, Ordering::Relaxed);
        let message = self.stage.write(client, here.stay, serial);
        client.push(&message);
        self.stage.tally.said.fetch_add(1, Ordering::Relaxed);
        self.open.insert(serial);
        self.word = Some((serial, now()));
    }

    /// Says goodbye, and hears everything up to the room's own goodbye.
    async fn leave(&mut self, client: &mut Client) -> Outcome<()> {
        let stage = Arc::clone(&self.stage);
        let Some(here) = &self.here else { return Ok(()) };
        let exit = stage.forum.exit(client, &nick(here.stay));
        client.push(&exit);
        let until = now() + stage.target.patience;
        loop {
            let element = tokio::select! {
                element = client.next() => element?,
                () = sleep_until(until.into()) => return Err("nobody may leave in time".into()),
            };
            if let Some(record) = self.take(&element)? {
                // The goodbye came behind all words, unless somebody was thrown out before it.
                if !self.open.is_empty() && !has_status(&element, 307) {
                    let (stay, open) = (record.stay, &self.open);
                    return Err(format!("{stay:?} has left, and never heard its own {open:?}"));
                }
                self.close(record);
                return Ok(());
            }
        }
    }

    /// Loses the connection and comes back a moment later.
    async fn lose(&mut self, client: Client) -> Outcome<Client> {
        let managed = client.lose()?;
        sleep(self.dice.pause(AWAY / 2)).await;
        self.stage.tally.resumptions.fetch_add(1, Ordering::Relaxed);
        Client::resume(&self.stage.target, self.person, managed).await
    }

    /// Stays outside for a moment.
    async fn rest(&mut self, client: &mut Client) -> Outcome<()> {
        let stage = Arc::clone(&self.stage);
        let until = now() + self.dice.pause(stage.mean);
        while !stage.window.is_over() && now() < until {
            let look = (now() + TICK).min(until);
            tokio::select! {
                biased;
                element = client.next() => drop(self.take(&element?)?),
                () = sleep_until(look.into()) => {}
            }
        }
        Ok(())
    }

    /// Takes what came; gives the stay that has ended with it.
    fn take(&mut self, element: &str) -> Outcome<Option<Record>> {
        let stage = Arc::clone(&self.stage);
        let Some(sender) = stage.forum.sender(element) else {
            return self.bounced(element).map(|()| None);
        };
        if !element.starts_with("<message") {
            let is_own = self.here.as_ref().is_some_and(|here| nick(here.stay) == sender);
            let is_over = is_own && attribute(element, "type") == Some("unavailable");
            if !is_over {
                return stage.forum.refused(element).map(|()| None);
            }
            let record = self.here.take();
            return Ok(record.map(|record| Record { knows_end: true, ..record }));
        }
        if attribute(element, "type") == Some("error") {
            return self.bounced(element).map(|()| None);
        }
        if element.contains("<subject") {
            return Ok(None);
        }
        let Some(here) = &mut self.here else {
            return Err(format!("words of the room are heard outside: {element}"));
        };
        let (stay, serial) = stage.read(element)?;
        if nick(stay) != sender {
            return Err(format!("somebody else is said to have said it: {element}"));
        }
        here.heard.push(serial);
        stage.progress.count();
        if stay.person == self.person && !self.open.remove(&serial) {
            return Err(format!("this was not said, or came back already: {element}"));
        }
        if let Some((_, said)) = self.word.take_if(|(word, _)| *word == serial)
            && stage.window.has(said)
        {
            let latencies = stage.tally.latencies.lock();
            latencies.unwrap_or_else(PoisonError::into_inner).record(said.elapsed());
        }
        Ok(None)
    }

    /// An error for a word of somebody who was thrown out while saying it.
    fn bounced(&mut self, element: &str) -> Outcome<()> {
        let stage = &self.stage;
        let is_from_room =
            attribute(element, "from").is_some_and(|from| from.starts_with(&*stage.forum.address));
        if !is_from_room || attribute(element, "type") != Some("error") {
            return Ok(());
        }
        if element.starts_with("<presence") {
            // A goodbye to a room that has said it already.
            return Ok(());
        }
        let (_, serial) = stage.read(element)?;
        match self.lost.remove(&serial) || (self.here.is_none() && self.open.remove(&serial)) {
            true => Ok(()),
            false => Err(format!("the room refuses a word: {element}")),
        }
    }

    /// Keeps what was heard. What has not come back was said too late.
    fn close(&mut self, record: Record) {
        self.lost.extend(self.open.drain());
        self.records.push(record);
    }
}
