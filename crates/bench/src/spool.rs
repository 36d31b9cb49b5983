//! One message into the spool, or into an archive: a commit of its own on SQLite in memory.

use waxwing_store::domains::archive::{Archive, Entry};
use waxwing_store::domains::offline::{Offline, Spooled};
use waxwing_store::{Db, Limits, Location};

use crate::peer::block_on;
use crate::stanzas;
use crate::{Outcome, Runs};

pub(crate) fn append(runs: Runs) -> Outcome {
    block_on(async {
        let opened = Db::open(&Location::Memory, Limits::default()).await;
        let db = opened.map_err(|error| error.to_string())?;
        db.migrate(Offline::TABLES).await.map_err(|error| error.to_string())?;
        let stanza = stanzas::chat(" xmlns='jabber:client'");
        for id in 0..runs.now as i64 {
            let row = Spooled {
                id,
                owner: "juliet@localhost".into(),
                stamp: 1_769_860_800_000,
                stanza: stanza.clone(),
            };
            db.batch(vec![Offline::append(row)]).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

pub(crate) fn file(runs: Runs) -> Outcome {
    block_on(async {
        let opened = Db::open(&Location::Memory, Limits::default()).await;
        let db = opened.map_err(|error| error.to_string())?;
        db.migrate(Archive::TABLES).await.map_err(|error| error.to_string())?;
        let stanza = stanzas::chat(" xmlns='jabber:client'");
        for number in 0..runs.now as i64 {
            let entry = Entry {
                number,
                owner: "juliet@localhost".into(),
                peer: "romeo@localhost".into(),
                resource: "orchard".into(),
                stanza: stanza.clone(),
            };
            db.batch(vec![Archive::append(entry)]).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}
