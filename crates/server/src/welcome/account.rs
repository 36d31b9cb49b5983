//! From what a person typed to an account, or to what is wrong, said next to the field.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use waxwing_jid::{BareJid, JidError, Reason, prepare_local, prepare_password};
use waxwing_kernel::events::ACCOUNT_CREATED;
use waxwing_kernel::{Hub, auth};
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;

/// What was typed.
#[derive(Deserialize)]
pub(super) struct Wish {
    name: String,
    domain: String,
    password: String,
}

/// Why there is no account.
pub(super) enum Refusal {
    /// What is wrong, by the name of the field.
    Fields(BTreeMap<&'static str, String>),
    /// The server cannot right now.
    Unavailable(String),
}

/// Makes the account.
///
/// # Errors
/// What is wrong with each field, or that the database cannot be written.
pub(super) async fn create(hub: &Hub, wish: &Wish) -> Result<BareJid, Refusal> {
    let jid = judge(hub, wish).map_err(Refusal::Fields)?;
    let of_password = |text| Refusal::Fields(BTreeMap::from([("password", text)]));
    let keys = auth::credentials(hub.clock(), &wish.password).await.map_err(of_password)?;
    let created = hub.clock().wall_millis().cast_signed();
    match Accounts::new(hub.db().clone()).create(jid.as_str(), created, &keys).await {
        Ok(()) => {
            hub.tell(jid.domain(), &ACCOUNT_CREATED, || json!({ "jid": jid.as_str() }));
            Ok(jid)
        }
        Err(StoreError::Conflict(_)) => {
            let text = format!("{jid} is taken. Choose another name.");
            Err(Refusal::Fields(BTreeMap::from([("name", text)])))
        }
        Err(error) => {
            tracing::error!(%error, "an account could not be made");
            let text = "The database cannot be written at the moment; see the log of the server.";
            Err(Refusal::Unavailable(text.to_owned()))
        }
    }
}

/// The address, or everything that is wrong at once.
fn judge(hub: &Hub, wish: &Wish) -> Result<BareJid, BTreeMap<&'static str, String>> {
    let mut errors = BTreeMap::new();
    if let Err(error) = prepare_local(&wish.name) {
        errors.insert("name", name_error(error));
    }
    if let Err(error) = prepare_password(&wish.password) {
        errors.insert("password", password_error(error));
    }
    let Some(site) = hub.site(&wish.domain) else {
        errors.insert("domain", format!("This server does not serve {}.", wish.domain));
        return Err(errors);
    };
    if !site.keeps_passwords() {
        let text = "Accounts of this domain are not made here.";
        errors.insert("domain", text.to_owned());
        return Err(errors);
    }
    match BareJid::from_parts(Some(&wish.name), site.domain()) {
        Ok(jid) if errors.is_empty() => Ok(jid),
        Ok(_) => Err(errors),
        Err(error) => {
            errors.entry("name").or_insert_with(|| name_error(error));
            Err(errors)
        }
    }
}

fn name_error(error: JidError) -> String {
    match error {
        JidError::Empty(_) => "Choose a name.".to_owned(),
        JidError::TooLong(_) => "This name is too long.".to_owned(),
        JidError::Invalid(_, Reason::Character('@')) => {
            "Only the part before the @ is needed.".to_owned()
        }
        JidError::Invalid(_, Reason::Character(c)) if c.is_whitespace() => {
            "A name has no spaces.".to_owned()
        }
        JidError::Invalid(_, Reason::Character(c)) if c.is_control() => {
            "A name has no invisible characters.".to_owned()
        }
        JidError::Invalid(_, Reason::Character(c)) => format!("A name cannot contain {c}"),
        JidError::Invalid(_, Reason::Rule(_)) => format!("This cannot be a name: {error}."),
    }
}

fn password_error(error: JidError) -> String {
    match error {
        JidError::Empty(_) => "Choose a password.",
        JidError::TooLong(_) => "This password is too long.",
        JidError::Invalid(..) => "This password has a character that no password may have.",
    }
    .to_owned()
}
