//! Whether the database will work: opened and looked at, not changed.

use waxwing_kernel::config::Config;
use waxwing_store::{Db, Location};

use crate::wiring;

/// Opens the database as the server would.
///
/// # Errors
/// A sentence with the remedy.
pub(super) fn works(config: &Config) -> Result<(), String> {
    let location = wiring::location(&config.storage, &config.server.data);
    if let Location::Sqlite { path, .. } = &location
        && !path.exists()
    {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads can be started: {error}"))?;
    runtime.block_on(async {
        let db = Db::open(&location, wiring::store_limits(&config.storage));
        let db = db.await.map_err(|error| error.to_string())?;
        let examined = db.examine(&wiring::tables()).await;
        db.close().await.map_err(|error| error.to_string())?;
        examined.map_err(|error| error.to_string())
    })
}

/// What the operator calls it.
pub(super) fn name(config: &Config) -> String {
    match wiring::location(&config.storage, &config.server.data) {
        Location::Sqlite { path, .. } => format!("database {}", path.display()),
        Location::Memory => "database in memory".to_owned(),
        Location::Postgres { .. } => "database on PostgreSQL".to_owned(),
    }
}
