//! Accounts are made, and nothing else happens.

use clap::Args;
use serde_json::json;

use crate::Outcome;
use crate::meter::Meter;
use crate::report::Report;
use crate::run::Run;

/// How many.
#[derive(Args)]
pub(crate) struct Register {
    /// Accounts that there are in the end.
    #[arg(long, default_value_t = 2000, value_parser = crate::counts())]
    users: u64,
}

/// Makes those that do not exist (XEP-0077).
pub(crate) async fn run(run: &Run, register: &Register) -> Outcome<Report> {
    if run.target.is_floor() {
        return Err("the floor knows no accounts: take another --auth".into());
    }
    let meter = Meter::start(run.pid)?;
    run.register(0..register.users as usize).await?;
    let measured = (meter.stop()?, register.users);
    let parameters = ("parameters", json!({ "users": register.users }));
    Ok(Report::new(run, "register", "accounts", measured)
        .line("checked", "all are there".into(), ("checked", true.into()))
        .line("accounts", register.users.to_string(), parameters))
}
