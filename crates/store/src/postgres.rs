//! The client-server engine.
use crate::queue::{Pulse, Queue};
use crate::value::Rows;
use crate::{Limits, OpenError, Statement, StoreError};

pub(crate) struct Postgres {
    pub(crate) queue: Queue,
    pub(crate) pulse: Pulse,
}

impl Postgres {
    pub(crate) async fn open(
        _url: &str,
        _schema: Option<&str>,
        _limits: Limits,
    ) -> Result<Self, OpenError> {
        Err(OpenError::Address("this build has no PostgreSQL yet; use SQLite".into()))
    }

    pub(crate) async fn read(&self, _statement: Statement) -> Result<Rows, StoreError> {
        Err(StoreError::Closed)
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
