//! One who is in the room from beginning to end, sees everything, and throws people out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Stage;
use super::dice::Dice;
use super::judge::{Event, Stay};
use crate::Outcome;
use crate::client::{Client, attribute, is_result};
use crate::clock::now;

/// What the witness is called.
const NICK: &str = "witness";
/// Of so many things that the others do, one is thrown out.
const KICKS: u32 = 20;
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// How often the end is looked for.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Witness {
    stage: Arc<Stage>,
    client: Client,
    dice: Dice,
    events: Vec<Event>,
    /// Who is there now.
    present: Vec<Stay>,
    /// Removals that have not been answered.
    asked: u64,
}

impl Witness {
    /// Makes the room.
    pub(super) async fn enter(stage: &Arc<Stage>, mut client: Client, seed: u64) -> Outcome<Self> {
        let patience = stage.target.patience;
        let entered = tokio::time::timeout(patience, stage.forum.enter(&mut client, NICK)).await;
        entered.map_err(|_| "the room cannot be made in time".to_owned())??;
        let (stage, dice) = (Arc::clone(stage), Dice::of(seed, 0));
        Ok(Self { stage, client, dice, events: Vec::new(), present: Vec::new(), asked: 0 })
    }

    /// Watches until all others have done and are gone; gives what was seen.
    pub(super) async fn watch(mut self) -> Outcome<Vec<Event>> {
        let stage = Arc::clone(&self.stage);
        let mean = stage.mean.div_f64(stage.actors as f64) * KICKS;
        let mut ticks = tokio::time::interval(TICK);
        let mut kick = now() + self.dice.pause(mean);
        let mut moved = now();
        loop {
            tokio::select! {
                biased;
                element = self.client.next() => {
                    self.see(&element?)?;
                    moved = now();
                }
                () = tokio::time::sleep_until(kick.into()), if !stage.window.is_over() => {
                    self.throw_out();
                    kick = now() + self.dice.pause(mean);
                }
                _ = ticks.tick() => {
                    let are_done = stage.done.load(Ordering::Acquire) == stage.actors;
                    if are_done && self.present.is_empty() && self.asked == 0 {
                        return Ok(self.events);
                    }
                    if are_done && moved.elapsed() > stage.target.patience {
                        return Err(format!("the room still shows {:?}", self.present));
                    }
                }
            }
        }
    }

    /// Takes somebody's role away (XEP-0045 §8.2).
    fn throw_out(&mut self) {
        if self.present.is_empty() {
            return;
        }
        let place = self.dice.below(self.present.len());
        let nick = super::nick(self.present[place]);
        let rest = format!(
            " to='{}' type='set' id='kick'><query xmlns='{ADMIN}'><item nick='{nick}' \
             role='none'/></query></iq>",
            self.stage.forum.address
        );
        let request = self.client.stanza("<iq", &rest);
        self.client.push(&request);
        self.asked += 1;
    }

    fn see(&mut self, element: &str) -> Outcome<()> {
        if element.starts_with("<iq") && attribute(element, "id") == Some("kick") {
            self.asked = self.asked.saturating_sub(1);
            // Who has gone meanwhile cannot be thrown out.
            let is_gone = ["<item-not-found", "<not-acceptable", "<bad-request"];
            if is_result(element) {
                self.stage.tally.kicks.fetch_add(1, Ordering::Relaxed);
            } else if !is_gone.iter().any(|error| element.contains(error)) {
                return Err(format!("the owner may not throw somebody out: {element}"));
            }
            return Ok(());
        }
        self.stage.forum.refused(element)?;
        let Some(nick) = self.stage.forum.sender(element) else { return Ok(()) };
        if element.starts_with("<message") {
            if element.contains("<subject") {
                return Ok(());
            }
            let (stay, serial) = self.stage.read(element)?;
            if super::nick(stay) != nick {
                return Err(format!("somebody else is said to have said it: {element}"));
            }
            self.events.push(Event::Said(serial));
        } else if let Some(stay) = super::stay(nick) {
            let place = self.present.iter().position(|other| *other == stay);
            match (attribute(element, "type"), place) {
                (None, None) => {
                    self.present.push(stay);
                    self.events.push(Event::Came(stay));
                }
                (Some("unavailable"), Some(place)) => {
                    self.present.swap_remove(place);
                    self.events.push(Event::Went(stay));
                }
                _ => return Err(format!("nobody came, and nobody went: {element}")),
            }
        }
        Ok(())
    }
}
