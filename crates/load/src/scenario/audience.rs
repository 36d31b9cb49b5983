//! What few say to many, and what each of them must hear: everything, once, in order.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::Outcome;
use crate::clock::now;
use crate::latency::Latencies;
use crate::run::{Run, Window};
use crate::scenario::rhythm::{BREATH, Rhythm};

/// Things that one speaker may have on their way in open loop. More stay due.
const MOST_UNDER_WAY: u64 = 4096;
/// Histograms that deliveries are spread over, so that threads do not wait for each other.
const SHARDS: usize = 8;
/// A prime that stirs a running sum (FNV-1a, 64 bits).
const STIR: u64 = 0x100_0000_01b3;

/// Those who speak, and what is known of what they have said.
pub(super) struct Audience {
    voices: Vec<Voice>,
    /// Who hears each thing that is said.
    hearers: u64,
    /// Voices that will say nothing more, and have been heard by all.
    silent: AtomicUsize,
    over: watch::Sender<bool>,
    start: Instant,
    window: Arc<Window>,
    latencies: Vec<Mutex<Latencies>>,
}

/// One who speaks.
struct Voice {
    /// What is on its way, by its number modulo their count.
    slots: Box<[Slot]>,
    /// Somebody was the last to hear something.
    heard: Notify,
}

/// One thing that was said.
#[derive(Default)]
struct Slot {
    /// How many have heard it.
    arrived: AtomicU64,
    /// When it was said, or due, in nanoseconds since the start.
    since: AtomicU64,
}

impl Audience {
    /// So many who speak, each with so much on its way at a time or (open loop) as much as time
    /// brings, and so many who hear each of them.
    pub(super) fn new(run: &Run, voices: u64, hearers: u64, under_way: Option<u64>) -> Arc<Self> {
        let slots = under_way.unwrap_or(MOST_UNDER_WAY);
        let voice = |_| Voice {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            heard: Notify::new(),
        };
        Arc::new(Self {
            voices: (0..voices).map(voice).collect(),
            hearers,
            silent: AtomicUsize::new(0),
            over: watch::channel(false).0,
            start: now(),
            window: run.window(),
            latencies: (0..SHARDS).map(|_| Mutex::default()).collect(),
        })
    }

    /// What all voices have said has been heard, and they will say nothing more.
    pub(super) async fn over(&self) {
        let mut over = self.over.subscribe();
        // The sender lives as long as this does.
        let _ = over.wait_for(|over| *over).await;
    }

    /// Every latency of what was said while it counted.
    pub(super) fn latencies(&self) -> Latencies {
        let mut all = Latencies::default();
        for shard in &self.latencies {
            all.add(&shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }

    fn slot(&self, voice: usize, number: u64) -> &Slot {
        let slots = &self.voices[voice].slots;
        &slots[number as usize % slots.len()]
    }

    fn has_arrived(&self, voice: usize, number: u64) -> bool {
        self.slot(voice, number).arrived.load(Ordering::Acquire) >= self.hearers
    }

    /// Somebody hears what is due, at last.
    fn arrive(&self, voice: usize, number: u64, listener: usize) {
        let slot = self.slot(voice, number);
        let since = self.start + Duration::from_nanos(slot.since.load(Ordering::Acquire));
        if self.window.has(since) {
            let shard = &self.latencies[listener % SHARDS];
            shard.lock().unwrap_or_else(PoisonError::into_inner).record(since.elapsed());
        }
        if slot.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.hearers {
            self.voices[voice].heard.notify_one();
        }
    }

    fn fall_silent(&self) {
        if self.silent.fetch_add(1, Ordering::AcqRel) + 1 == self.voices.len() {
            self.over.send_replace(true);
        }
    }
}

/// One who speaks, with its schedule.
pub(super) struct Speaker {
    audience: Arc<Audience>,
    voice: usize,
    rhythm: Rhythm,
    said: u64,
    /// Everything before this number has been heard by all.
    heard: u64,
    is_silent: bool,
    patience: Duration,
    /// From when something was due until it was written.
    pub(super) lateness: Latencies,
}

impl Speaker {
    /// The speaker with this number; with a rate, that is what all say in a second.
    pub(super) fn new(
        run: &Run,
        audience: &Arc<Audience>,
        voice: usize,
        rate: Option<u64>,
    ) -> Outcome<Self> {
        let slots = audience.voices[voice].slots.len() as u64;
        let rhythm = match rate {
            None => Rhythm::Closed { window: slots },
            Some(rate) => {
                let speakers = audience.voices.len() as u64;
                Rhythm::turn(audience.start + BREATH, rate, (voice, speakers))?
            }
        };
        Ok(Self {
            audience: Arc::clone(audience),
            voice,
            rhythm,
            said: 0,
            heard: 0,
            is_silent: false,
            patience: run.target.patience,
            lateness: Latencies::default(),
        })
    }

    /// The number of what is to be said now, if anything is.
    pub(super) fn next(&mut self) -> Option<u64> {
        while self.heard < self.said && self.audience.has_arrived(self.voice, self.heard) {
            self.heard += 1;
        }
        if self.is_done() {
            if self.heard == self.said && !self.is_silent {
                self.is_silent = true;
                self.audience.fall_silent();
            }
            return None;
        }
        let (moment, number) = (now(), self.said);
        let due = self.rhythm.due(number).unwrap_or(moment);
        let slots = self.audience.voices[self.voice].slots.len() as u64;
        if due > moment || number - self.heard >= slots {
            return None;
        }
        if self.audience.window.has(due) {
            self.lateness.record(moment - due);
        }
        let slot = self.audience.slot(self.voice, number);
        let since = due.saturating_duration_since(self.audience.start);
        slot.since.store(since.as_nanos() as u64, Ordering::Release);
        slot.arrived.store(0, Ordering::Release);
        self.said += 1;
        Some(number)
    }

    /// Which of the voices it is.
    pub(super) fn voice(&self) -> usize {
        self.voice
    }

    /// Whether everything was said, and heard by all.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Waits until there may be something to say. May be given up and called again.
    pub(super) async fn wait(&mut self) -> Outcome<()> {
        let is_full = self.said - self.heard >= self.audience.voices[self.voice].slots.len() as u64;
        let is_due = !is_full && !self.is_done();
        tokio::select! {
            () = self.audience.voices[self.voice].heard.notified() => Ok(()),
            rung = self.rhythm.wait(self.said), if is_due => rung,
        }
    }

    /// An error when something has been on its way for too long.
    pub(super) fn hurry(&self) -> Outcome<()> {
        let (audience, number) = (&self.audience, self.heard);
        let slot = audience.slot(self.voice, number);
        let since = audience.start + Duration::from_nanos(slot.since.load(Ordering::Acquire));
        if number == self.said || since + self.patience >= now() {
            return Ok(());
        }
        let (arrived, all) = (slot.arrived.load(Ordering::Relaxed), audience.hearers);
        let seconds = self.patience.as_secs();
        Err(format!(
            "message {number} of speaker {} has reached {arrived} of {all} within {seconds} s: the \
             server is overloaded, or has lost it; ask for fewer messages, or give it more time \
             with --patience",
            self.voice
        ))
    }

    /// Whether nothing more is to be said. In open loop what was due before the end is.
    fn is_done(&self) -> bool {
        match self.rhythm.due(self.said) {
            None => self.audience.window.is_over(),
            Some(due) => !self.audience.window.is_before_end(due),
        }
    }
}

/// One who hears all speakers.
pub(super) struct Ear {
    audience: Arc<Audience>,
    /// Which of the listeners it is.
    number: usize,
    /// The next number from each speaker.
    due: Vec<u64>,
    /// Stirred from everything that was heard, in its order.
    order: u64,
}

impl Ear {
    pub(super) fn new(audience: &Arc<Audience>, number: usize) -> Self {
        let due = vec![0; audience.voices.len()];
        Self { audience: Arc::clone(audience), number, due, order: 0 }
    }

    /// What is due from this speaker.
    pub(super) fn due(&self, voice: usize) -> Option<u64> {
        self.due.get(voice).copied()
    }

    /// Takes what came; `what` tells it in an error.
    pub(super) fn hear(&mut self, voice: usize, number: u64, what: &str) -> Outcome<()> {
        let Some(due) = self.due.get_mut(voice) else {
            return Err(format!("nobody speaks with the number {voice}, and this came: {what}"));
        };
        if number != *due {
            return Err(format!(
                "message {due} of speaker {voice} was due at listener {}, and this came: {what}",
                self.number
            ));
        }
        *due += 1;
        self.order = (self.order ^ (voice as u64 + 1)).wrapping_mul(STIR);
        self.audience.arrive(voice, number, self.number);
        Ok(())
    }

    /// The same for all who have heard the same in the same order.
    pub(super) fn order(&self) -> u64 {
        self.order
    }
}
