//! The end of the server as somebody has ordered it: at once or after a while, for good or to begin
//! anew. Whoever runs the server waits for it.

use std::time::Instant;

use tokio::sync::watch;

use crate::hub::Hub;

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// For good.
    Stop,
    /// To begin anew.
    Restart,
}

/// What was ordered.
pub(crate) struct Orders(watch::Sender<Option<(Ending, Instant)>>);

impl Default for Orders {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Hub {
    /// Orders the end of the server. The last order counts. False when nobody is there to obey: the
    /// process does not serve.
    pub fn end(&self, ending: Ending, at: Instant) -> bool {
        self.orders().0.send(Some((ending, at))).is_ok()
    }

    /// Calls the ordered end off. Gives what it was, if there was one.
    pub fn stay(&self) -> Option<(Ending, Instant)> {
        self.orders().0.send_replace(None)
    }

    /// What is ordered, and for when.
    pub fn ordered(&self) -> Option<(Ending, Instant)> {
        *self.orders().0.borrow()
    }

    /// Resolves when the time of the ordered end has come.
    pub async fn ending(&self) -> Ending {
        let mut orders = self.orders().0.subscribe();
        loop {
            let order = *orders.borrow_and_update();
            tokio::select! {
                () = self.clock().until(order.map(|(_, at)| at)) => {
                    return order.map_or(Ending::Stop, |(ending, _)| ending);
                }
                // The sender lives as long as this hub.
                _ = orders.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use waxwing_store::{Db, Limits, Location};

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn the_last_order_counts_and_may_be_called_off() {
        let db = Db::open(&Location::Memory, Limits::default()).await.unwrap();
        let metrics = Arc::new(Metrics::new("0", "test"));
        let clock = Clock::simulated(1, 1);
        let hub = Hub::new(db, clock.clone(), crate::Limits::default(), metrics);
        let (minute, start) = (Duration::from_secs(60), clock.now());
        assert!(!hub.end(Ending::Stop, start), "nobody serves");
        assert!(hub.ordered().is_none());
        let mut ending = pin!(hub.ending());
        let mut look = || ending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(look().is_pending());
        assert!(hub.end(Ending::Stop, start + minute));
        assert!(look().is_pending());
        assert_eq!(hub.stay(), Some((Ending::Stop, start + minute)));
        assert!(look().is_pending());
        clock.advance(minute);
        assert!(look().is_pending(), "it was called off");
        assert!(hub.end(Ending::Restart, start + 2 * minute));
        assert!(look().is_pending());
        clock.advance(minute);
        assert_eq!(look(), Poll::Ready(Ending::Restart));
    }
}
