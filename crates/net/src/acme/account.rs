//! The account with an authority: made once, and kept with its key in the data folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use instant_acme::{Account, AccountCredentials, Error, ExternalAccountKey, NewAccount};
use serde_json::{Value, json};

use super::line::Line;
use super::trouble::Trouble;
use super::{AcmeOptions, files};

/// The key of an external account as authorities write it: base64url (RFC 8555 §7.3.4), with or
/// without padding.
pub fn external_key(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|key| !key.is_empty())
}

/// The account for these options: the one that is kept, or a new one.
pub(super) async fn open(options: &AcmeOptions, line: &Line) -> Result<Account, Trouble> {
    let path = path(options);
    let kept = match read(&path) {
        Ok(kept) => kept,
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let failed = |error: Error| Trouble::of(&options.directory, &error);
    let Some((credentials, contacts)) = kept else { return make(options, line, &path).await };
    let builder = Account::builder_with_http(Box::new(line.clone()));
    let key = serde_json::to_value(&credentials).map_err(|error| unreadable(&path, &error))?;
    let account = builder.from_credentials(credentials).await.map_err(failed)?;
    if contacts != options.contacts {
        let now: Vec<&str> = options.contacts.iter().map(String::as_str).collect();
        account.update_contacts(&now).await.map_err(failed)?;
        keep(&path, &key, &options.contacts)?;
    }
    Ok(account)
}

/// Puts the account away that the authority does not know any more.
pub(super) fn drop_kept(options: &AcmeOptions) {
    let path = path(options);
    if let Err(error) = fs::rename(&path, path.with_extension("json.unknown")) {
        tracing::warn!(%error, file = %path.display(), "an account that is gone stays in its file");
    }
}

async fn make(options: &AcmeOptions, line: &Line, path: &Path) -> Result<Account, Trouble> {
    let contacts: Vec<&str> = options.contacts.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: options.terms_agreed,
        only_return_existing: false,
    };
    let external = options.external.as_ref();
    let external = external.map(|(name, key)| ExternalAccountKey::new(name.clone(), key));
    let builder = Account::builder_with_http(Box::new(line.clone()));
    let made = builder.create(&wanted, options.directory.clone(), external.as_ref()).await;
    let (account, credentials) = made.map_err(|error| Trouble::of(&options.directory, &error))?;
    let key = serde_json::to_value(&credentials).map_err(|error| unreadable(path, &error))?;
    keep(path, &key, &options.contacts)?;
    tracing::info!(directory = options.directory, "made an account with the authority");
    Ok(account)
}

/// Each directory, and each external account there, has an account of its own.
fn path(options: &AcmeOptions) -> PathBuf {
    let external = options.external.as_ref().map_or("", |(name, _)| name);
    let whose = format!("{}\n{external}", options.directory);
    let hash = digest::digest(&digest::SHA256, whose.as_bytes());
    let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    options.folder.join(format!("account-{hash}.json"))
}

fn read(path: &Path) -> io::Result<Option<(AccountCredentials, Vec<String>)>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let mut kept: Value = serde_json::from_str(&text)?;
    let contacts = serde_json::from_value(kept["contacts"].take())?;
    Ok(Some((serde_json::from_value(kept["account"].take())?, contacts)))
}

fn keep(path: &Path, account: &Value, contacts: &[String]) -> Result<(), Trouble> {
    let kept = json!({ "account": account, "contacts": contacts });
    files::save(path, &format!("{kept:#}\n")).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(
        format!("The account with the authority, {}, cannot be used: {error}.", path.display()),
        "See that the file belongs to the server's user; if it is damaged, remove it, and a new \
         account is made.",
    )
}
