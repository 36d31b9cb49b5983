//! What goes on from one run of the server to the next.

use waxwing_store::StoreError;
use waxwing_store::domains::archive::Archive;
use waxwing_store::domains::offline::Offline;
use waxwing_store::domains::outgoing::Outgoing;
use waxwing_store::domains::peers::Peers;
use waxwing_store::domains::pubsub::Pubsub;
use waxwing_store::domains::secrets::Secrets;

use super::Hub;
use crate::links::policy::Order;
use crate::names::{KEY_BYTES, Names};

impl Hub {
    /// Goes on where the last run ended: identifiers rise across restarts, even when the wall
    /// clock was set back meanwhile, and have the same names.
    ///
    /// # Errors
    /// The store's.
    pub async fn restore(&self) -> Result<(), StoreError> {
        let spooled = Offline::new(self.0.db.clone()).last_id().await?;
        let filed = Archive::new(self.0.db.clone()).last_number().await?;
        let outgoing = Outgoing::new(self.0.db.clone()).last_id().await?;
        let published = Pubsub::last_number(&self.0.db).await?;
        self.0.ids.start_after(spooled.max(filed).max(published).max(outgoing).cast_unsigned());
        let said = Peers::new(self.0.db.clone()).list().await?;
        let orders =
            said.into_iter().filter_map(|it| Some((it.domain.into(), Order::from_word(&it.word)?)));
        self.policy().set_orders(orders);
        let secrets = Secrets::new(self.0.db.clone());
        let key = secrets.obtain("names", &self.fresh_key()).await?;
        self.0.names.get_or_init(|| Names::new(&key));
        self.0.links.keep_secret(secrets.obtain("dialback", &self.fresh_key()).await?);
        Ok(())
    }

    /// What identifiers are called by clients; under a key of this run alone where nothing was
    /// restored.
    pub fn names(&self) -> &Names {
        self.0.names.get_or_init(|| Names::new(&self.fresh_key()))
    }

    pub(crate) fn fresh_key(&self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        self.0.clock.random(&mut key);
        key
    }
}
