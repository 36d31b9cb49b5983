//! What a module does again and again, unasked: sweeping out what is too old.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::hub::Hub;
use crate::request::Answer;
use crate::site::Site;

/// What is done on a round.
pub(crate) type RoundRoute = Box<dyn Fn(Hub, Arc<Site>) -> Answer<'static, ()> + Send + Sync>;

impl Hub {
    /// Starts the rounds of a site. They end with it: when another takes its place, or the server
    /// is about to end.
    pub(crate) fn start_rounds(&self, site: &Arc<Site>) {
        for (index, (_, period, _)) in site.router.0.rounds.iter().enumerate() {
            let (hub, site, period) = (self.clone(), Arc::downgrade(site), *period);
            self.clock().spawn(async move {
                tokio::select! {
                    () = hub.go_round(&site, index, period) => {}
                    () = hub.draining() => {}
                }
            });
        }
    }

    async fn go_round(&self, site: &Weak<Site>, index: usize, period: Duration) {
        loop {
            self.clock().until(Some(self.clock().now() + period)).await;
            let Some(site) = site.upgrade() else { return };
            let is_served = self.site(site.domain()).is_some_and(|now| Arc::ptr_eq(&now, &site));
            if !is_served {
                return;
            }
            let (_, _, round) = &site.router.0.rounds[index];
            round(self.clone(), Arc::clone(&site)).await;
        }
    }
}
