//! Batches in one transaction: all at once where nothing fails, one by one where something does.

use tokio_postgres::Error;

use super::dialect::{is_definite, store_error};
use super::link::{Link, Request};
use crate::queue::{Batch, Outcome};
use crate::{Statement, StoreError};

/// Why a transaction did not come about.
enum Failure {
    /// The server undid it; the connection lives on.
    Undone(StoreError),
    /// The connection is of no use any more.
    Lost(StoreError),
}

/// Applies the group in one transaction. An error concerns every batch of it.
pub(super) async fn apply(link: &mut Link, group: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
    if link.is_closed() {
        return Err(StoreError::Unreachable("the connection ended".into()));
    }
    match together(link, group).await {
        Ok(outcomes) => Ok(outcomes),
        Err(Failure::Undone(error)) if group.len() == 1 => Ok(vec![Err(error)]),
        Err(Failure::Undone(_)) => apart(link, group).await,
        Err(Failure::Lost(error)) => {
            link.cut();
            Err(error)
        }
    }
}

/// Runs all batches as one, which succeeds unless a batch has to fail. Where no statement demands
/// a count, even the commit is sent along: after a failing statement it undoes everything.
async fn together(link: &mut Link, group: &[Batch]) -> Result<Vec<Outcome>, Failure> {
    let statements: Vec<&Statement> = group.iter().flat_map(|batch| &batch.statements).collect();
    let is_demanding = statements.iter().any(|statement| statement.changes.is_some());
    let end = (!is_demanding).then_some("COMMIT");
    let changed = match changes(link, &statements, Some("BEGIN"), end).await {
        Err(Failure::Undone(error)) => {
            say(link, "ROLLBACK").await.map_err(Failure::Lost)?;
            return Err(Failure::Undone(error));
        }
        changed => changed?,
    };
    if is_demanding {
        commit(link).await?;
    }
    let mut changed = changed.into_iter();
    let outcome = |batch: &Batch| Ok(changed.by_ref().take(batch.statements.len()).collect());
    Ok(group.iter().map(outcome).collect())
}

/// Runs the batches one by one, so that one that fails leaves the others alone.
async fn apart(link: &mut Link, group: &[Batch]) -> Result<Vec<Outcome>, StoreError> {
    say(link, "BEGIN").await?;
    let mut outcomes = Vec::with_capacity(group.len());
    for batch in group {
        outcomes.push(alone(link, &batch.statements).await?);
    }
    match commit(link).await {
        Ok(()) => Ok(outcomes),
        Err(Failure::Undone(error)) => Err(error),
        Err(Failure::Lost(error)) => {
            link.cut();
            Err(error)
        }
    }
}

/// Runs one batch so that its failure leaves no trace in the transaction around it.
async fn alone(link: &mut Link, statements: &[Statement]) -> Result<Outcome, StoreError> {
    say(link, "SAVEPOINT batch").await?;
    let statements: Vec<&Statement> = statements.iter().collect();
    match changes(link, &statements, None, None).await {
        Ok(changed) => {
            say(link, "RELEASE batch").await?;
            Ok(Ok(changed))
        }
        Err(Failure::Undone(error)) => {
            say(link, "ROLLBACK TO batch; RELEASE batch").await?;
            Ok(Err(error))
        }
        Err(Failure::Lost(error)) => {
            link.cut();
            Err(error)
        }
    }
}

/// Sends `begin`, the statements and `end` without waiting in between, and checks every answer.
async fn changes(
    link: &mut Link,
    statements: &[&Statement],
    begin: Option<&'static str>,
    end: Option<&'static str>,
) -> Result<Vec<u64>, Failure> {
    let mut prepared = Vec::with_capacity(statements.len());
    for statement in statements {
        prepared.push(link.prepare(statement).await.map_err(|error| failed(error, false))?);
    }
    let mut requests: Vec<Request<'_>> = Vec::with_capacity(statements.len() + 2);
    requests.extend(begin.map(|begin| link.word(begin)));
    for (statement, prepared) in statements.iter().zip(prepared) {
        requests.push(link.change(prepared, statement));
    }
    requests.extend(end.map(|end| link.word(end)));
    let is_ended = end.is_some();
    let Some(answers) = link.pipeline(requests).await else {
        return Err(failed(StoreError::Timeout, is_ended));
    };
    check(answers, statements, begin.is_some(), is_ended)
}

fn check(
    mut answers: Vec<Result<u64, Error>>,
    statements: &[&Statement],
    is_begun: bool,
    is_ended: bool,
) -> Result<Vec<u64>, Failure> {
    let end = if is_ended { answers.pop() } else { None };
    if is_begun && let Err(error) = answers.remove(0) {
        // What followed ran outside a transaction, statement by statement.
        return Err(Failure::Lost(StoreError::Unconfirmed(store_error(&error).to_string())));
    }
    let mut changed = Vec::with_capacity(statements.len());
    for (statement, answer) in statements.iter().zip(answers) {
        let rows = answer.map_err(|error| undone(&error, is_ended))?;
        if !statement.admits(rows) {
            return Err(Failure::Undone(statement.surprise(rows)));
        }
        changed.push(rows);
    }
    match end {
        Some(Err(error)) => Err(undone(&error, true)),
        _ => Ok(changed),
    }
}

async fn commit(link: &Link) -> Result<(), Failure> {
    match link.pipeline(vec![link.word("COMMIT")]).await.as_deref() {
        Some([Ok(_)]) => Ok(()),
        Some([Err(error), ..]) => Err(undone(error, true)),
        _ => Err(failed(StoreError::Timeout, true)),
    }
}

/// Sends a command whose failure means that the connection is of no use.
async fn say(link: &mut Link, sql: &'static str) -> Result<(), StoreError> {
    let answers = link.pipeline(vec![link.word(sql)]).await;
    let error = match answers.as_deref() {
        Some([Ok(_)]) => return Ok(()),
        Some([Err(error), ..]) => store_error(error),
        _ => StoreError::Timeout,
    };
    link.cut();
    Err(error)
}

/// The failure behind the server's answer to a statement.
fn undone(error: &Error, is_commit_sent: bool) -> Failure {
    let kind = store_error(error);
    if is_definite(error) || !matches!(kind, StoreError::Unreachable(_)) {
        Failure::Undone(kind)
    } else {
        failed(kind, is_commit_sent)
    }
}

/// The failure of a connection, which leaves the outcome open once a commit was sent.
fn failed(error: StoreError, is_commit_sent: bool) -> Failure {
    match error {
        StoreError::Unreachable(_) | StoreError::Timeout if is_commit_sent => {
            Failure::Lost(StoreError::Unconfirmed(error.to_string()))
        }
        StoreError::Unreachable(_) | StoreError::Timeout => Failure::Lost(error),
        _ => Failure::Undone(error),
    }
}
