//! The engines under test.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use waxwing_store::Location;

/// Where the rows of scenarios live.
#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite,
    Postgres(String),
}

impl Engine {
    /// Every engine that this machine has. PostgreSQL is used when `WAXWING_TEST_POSTGRES` holds
    /// the URL of a server that may be written to.
    pub(crate) fn at_hand() -> Vec<Self> {
        let mut engines = vec![Self::Sqlite];
        match variable("WAXWING_TEST_POSTGRES") {
            Some(url) => engines.push(Self::Postgres(url)),
            None => eprintln!("WAXWING_TEST_POSTGRES is not set: PostgreSQL is LEFT OUT"),
        }
        engines
    }

    /// A place for the rows of one scenario.
    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground { engine: self, schema: Schema::free() }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        })
    }
}

/// A place for the rows of one scenario, and of the next when it is dropped.
pub(crate) struct Ground<'a> {
    engine: &'a Engine,
    schema: Schema,
}

impl Ground<'_> {
    pub(crate) fn location(&self) -> Location {
        match self.engine {
            Engine::Sqlite => Location::Memory,
            Engine::Postgres(url) => {
                let schema = Some(self.schema.0.clone());
                Location::Postgres { url: url.clone(), schema }
            }
        }
    }
}

/// A schema that nobody else uses at the moment. To make its tables takes longer than to empty
/// them, so schemas are used again.
struct Schema(String);

static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static COUNT: AtomicU32 = AtomicU32::new(0);

impl Schema {
    fn free() -> Self {
        let free = FREE.lock().expect("nobody panics with it").pop();
        Self(free.unwrap_or_else(|| {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            // nextest has a process for every test, and numbers those that run at a time.
            let run = variable("NEXTEST_RUN_ID").zip(variable("NEXTEST_TEST_GLOBAL_SLOT"));
            match run {
                Some((run, slot)) => format!("scenario_{}_{slot}_{count}", run.replace('-', "")),
                None => format!("scenario_{}_{count}", std::process::id()),
            }
        }))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        FREE.lock().expect("nobody panics with it").push(std::mem::take(&mut self.0));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told what is at hand")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
