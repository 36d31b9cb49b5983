//! Where reads wait for a thread.
//!
//! One read wakes one thread, and a thread that is awake takes what waits before it sleeps again.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::queue::Errand;

/// The threads' end.
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    room: usize,
}

struct Waiting {
    errands: VecDeque<Errand>,
    /// Threads that sleep and were not rung for.
    idle: usize,
    /// Threads that have not ended.
    seats: usize,
    is_closed: bool,
}

/// One thread's place at the desk, given up when dropped. The last one closes the desk.
pub(super) struct Seat(Arc<Desk>);

/// The callers' end; the threads end when it is dropped.
pub(crate) struct Counter(Arc<Desk>);

impl Desk {
    /// A desk with room for so many reads, and a seat for each of its threads.
    pub(super) fn open(room: usize, seats: usize) -> (Counter, Vec<Seat>) {
        let waiting = Waiting { errands: VecDeque::new(), idle: 0, seats, is_closed: false };
        let (waiting, bell) = (Mutex::new(waiting), Condvar::new());
        let desk = Arc::new(Self { waiting, bell, room: room.max(1) });
        let seats = (0..seats).map(|_| Seat(Arc::clone(&desk))).collect();
        (Counter(desk), seats)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Waits for the next errand; none when nobody is left to ask.
    pub(super) fn take(&self) -> Option<Errand> {
        let mut waiting = self.0.lock();
        loop {
            if let Some(errand) = waiting.errands.pop_front() {
                return Some(errand);
            }
            if waiting.is_closed {
                return None;
            }
            waiting.idle += 1;
            waiting = self.0.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.seats -= 1;
        if waiting.seats == 0 {
            waiting.is_closed = true;
            // Whoever asked hears that nobody answers.
            let unanswered = std::mem::take(&mut waiting.errands);
            drop(waiting);
            drop(unanswered);
        }
    }
}

impl Counter {
    /// Leaves an errand for the next thread.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many wait and it is not urgent; [`StoreError::Closed`] when
    /// no thread is left.
    pub(crate) fn put(&self, errand: Errand, is_urgent: bool) -> Result<(), StoreError> {
        let mut waiting = self.0.lock();
        if waiting.is_closed {
            return Err(StoreError::Closed);
        }
        if waiting.errands.len() >= self.0.room && !is_urgent {
            return Err(StoreError::Busy);
        }
        waiting.errands.push_back(errand);
        let is_asleep = waiting.idle > 0;
        waiting.idle -= usize::from(is_asleep);
        drop(waiting);
        if is_asleep {
            self.0.bell.notify_one();
        }
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::sync::oneshot;

    use super::*;

    fn errand() -> (Errand, oneshot::Receiver<()>) {
        let (reply, answer) = oneshot::channel();
        (Errand::Close(reply), answer)
    }

    #[test]
    fn whoever_sleeps_is_woken_and_ends_with_the_last_who_asks() {
        let (counter, seats) = Desk::open(1000, 3);
        let work = |seat: Seat| {
            thread::spawn(move || {
                let mut done = 0;
                while let Some(errand) = seat.take() {
                    if let Errand::Close(reply) = errand {
                        let _ = reply.send(());
                    }
                    done += 1;
                }
                done
            })
        };
        let threads: Vec<_> = seats.into_iter().map(work).collect();
        for _ in 0..1000 {
            let (errand, answer) = errand();
            counter.put(errand, false).expect("there is room");
            answer.blocking_recv().expect("somebody did it");
        }
        drop(counter);
        let done: usize = threads.into_iter().map(|thread| thread.join().expect("it ends")).sum();
        assert_eq!(done, 1000);
    }

    #[test]
    fn more_than_there_is_room_for_is_refused() {
        let (counter, _seats) = Desk::open(2, 1);
        assert!(counter.put(errand().0, false).is_ok() && counter.put(errand().0, false).is_ok());
        assert_eq!(counter.put(errand().0, false), Err(StoreError::Busy));
        assert_eq!(counter.put(errand().0, true), Ok(()));
    }

    #[test]
    fn when_the_last_thread_has_gone_nobody_waits_in_vain() {
        let (counter, seats) = Desk::open(2, 2);
        let (errand_left, answer) = errand();
        counter.put(errand_left, false).expect("there is room");
        drop(seats);
        assert!(answer.blocking_recv().is_err());
        assert_eq!(counter.put(errand().0, true), Err(StoreError::Closed));
    }
}
