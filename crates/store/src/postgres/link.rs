//! One connection: its prepared statements, and requests sent without waiting in between.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, Error, Socket, Statement as Prepared};

use super::dialect::{placeholders, store_error};
use crate::queue::Found;
use crate::value::Rows;
use crate::{Row, Statement, StoreError};

/// Statements a connection keeps prepared. The program's own are far fewer.
const PREPARED_MAX: usize = 1_024;

/// A connection to the server.
pub(super) struct Link {
    client: Client,
    /// Moves the bytes; ends with the connection.
    driver: JoinSet<()>,
    prepared: HashMap<Cow<'static, str>, Prepared>,
    wait: Duration,
}

/// A request on its way, answered with the number of rows it changed.
pub(super) type Request<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

impl Link {
    pub(super) fn new(
        client: Client,
        connection: Connection<Socket, NoTlsStream>,
        wait: Duration,
    ) -> Self {
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to PostgreSQL ended");
            }
        });
        Self { client, driver, prepared: HashMap::new(), wait }
    }

    /// Resolves when the connection has ended.
    pub(super) async fn ended(&mut self) {
        while self.driver.join_next().await.is_some() {}
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Cuts the connection; the server undoes what was not committed.
    pub(super) fn cut(&mut self) {
        self.driver.abort_all();
    }

    /// Runs commands without arguments, several apart by `;`.
    pub(super) async fn command(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Runs statements one after the other, up to the first that fails.
    pub(super) async fn read_all(&mut self, statements: &[Statement]) -> Found {
        let mut found = Vec::with_capacity(statements.len());
        for statement in statements {
            found.push(self.read(statement).await?);
        }
        Ok(found)
    }

    /// Runs one statement and reads its rows.
    pub(super) async fn read(&mut self, statement: &Statement) -> Result<Rows, StoreError> {
        let prepared = self.prepare(statement).await?;
        let args: Vec<_> = statement.args.iter().map(|value| value as _).collect();
        let found = match timeout(self.wait, self.client.query(&prepared, &args)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                // The server may know the table otherwise than when the statement was prepared.
                self.prepared.remove(&statement.sql);
                return Err(store_error(&error));
            }
            Err(_) => {
                self.cut();
                return Err(StoreError::Timeout);
            }
        };
        let rows = found.iter().map(|row| {
            let values = (0..row.len()).map(|column| row.try_get(column));
            values.collect::<Result<_, _>>().map(Row::new)
        });
        let rows = rows.collect::<Result<_, _>>().map_err(|error| store_error(&error))?;
        let columns = if statement.is_named {
            prepared.columns().iter().map(|column| column.name().to_owned()).collect()
        } else {
            Arc::default()
        };
        Ok(Rows { columns, rows })
    }

    /// Makes the server know a statement.
    pub(super) async fn prepare(&mut self, statement: &Statement) -> Result<Prepared, StoreError> {
        if let Some(known) = self.prepared.get(&statement.sql) {
            return Ok(known.clone());
        }
        let sql = placeholders(&statement.sql);
        let Ok(prepared) = timeout(self.wait, self.client.prepare(&sql)).await else {
            self.cut();
            return Err(StoreError::Timeout);
        };
        let prepared = prepared.map_err(|error| store_error(&error))?;
        if self.prepared.len() >= PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.insert(statement.sql.clone(), prepared.clone());
        Ok(prepared)
    }

    /// Forgets what the server knows, for when its tables changed.
    pub(super) fn forget(&mut self) {
        self.prepared.clear();
    }

    /// A write, to be sent with [`pipeline`](Self::pipeline).
    pub(super) fn change<'a>(
        &'a self,
        prepared: Prepared,
        statement: &'a Statement,
    ) -> Request<'a> {
        Box::pin(async move { self.client.execute_raw(&prepared, &statement.args).await })
    }

    /// A command, to be sent with [`pipeline`](Self::pipeline).
    pub(super) fn word(&self, sql: &'static str) -> Request<'_> {
        Box::pin(async move { self.client.batch_execute(sql).await.map(|()| 0) })
    }

    /// Sends all requests, in order, before it waits for the first answer. `None`: the server took
    /// too long.
    pub(super) async fn pipeline(
        &self,
        mut requests: Vec<Request<'_>>,
    ) -> Option<Vec<Result<u64, Error>>> {
        let answers = async {
            let mut answers = Vec::with_capacity(requests.len());
            // The first poll of a request sends it.
            poll_fn(|context| {
                answers.extend(requests.iter_mut().map(|request| {
                    match request.as_mut().poll(context) {
                        Poll::Ready(answer) => Some(answer),
                        Poll::Pending => None,
                    }
                }));
                Poll::Ready(())
            })
            .await;
            let mut done = Vec::with_capacity(answers.len());
            for (request, answer) in requests.into_iter().zip(answers) {
                done.push(match answer {
                    Some(answer) => answer,
                    None => request.await,
                });
            }
            done
        };
        timeout(self.wait, answers).await.ok()
    }
}
