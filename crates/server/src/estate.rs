//! The domains that were added by commands: a file each in the data folder, read behind the
//! configuration file and written in its words.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use waxwing_kernel::command::Refusal;
use waxwing_kernel::config::DomainName;
use waxwing_kernel::steward::HostDraft;

/// The folder of these files, in the data folder.
pub(crate) const FOLDER: &str = "hosts";
/// How they end.
const ENDING: &str = "toml";
/// Domains that can be added so. Each costs memory in every module.
const MOST: usize = 1_000;
const HEAD: &str = "\
# Written by `waxwing host add` and `waxwing host change`. After a change by hand, `waxwing reload`
# lets it take effect.

";

/// A file in the place of the one that is there, or in spite of it: read, and not yet written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit<'a> {
    /// As they are.
    None,
    /// This text instead.
    Put(&'a DomainName, &'a str),
    /// Without it.
    Drop(&'a DomainName),
}

/// The files of the added domains below a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Estate {
    folder: PathBuf,
}

impl Estate {
    /// The one of this data folder, which need not exist.
    pub(crate) fn of(data: &Path) -> Self {
        Self { folder: data.join(FOLDER) }
    }

    /// Each file and its text, sorted by name.
    pub(crate) fn read(&self, edit: Edit<'_>) -> Result<Vec<(PathBuf, String)>, String> {
        let mut files = Vec::new();
        for path in self.files().map_err(|error| self.unreadable(&self.folder, &error))? {
            let text = fs::read_to_string(&path);
            files.push((path.clone(), text.map_err(|error| self.unreadable(&path, &error))?));
        }
        match edit {
            Edit::None => {}
            Edit::Put(domain, text) => {
                files.retain(|(path, _)| *path != self.file(domain));
                files.push((self.file(domain), text.to_owned()));
            }
            Edit::Drop(domain) => files.retain(|(path, _)| *path != self.file(domain)),
        }
        files.sort();
        Ok(files)
    }

    /// The settings of a domain that was added, as TOML.
    pub(crate) fn settings(&self, domain: &DomainName) -> Option<String> {
        let text = fs::read_to_string(self.file(domain)).ok()?;
        Some(text.strip_prefix(HEAD).unwrap_or(&text).to_owned())
    }

    /// Whether another domain can be added.
    pub(crate) fn has_room(&self) -> bool {
        self.files().is_ok_and(|files| files.len() < MOST)
    }

    /// What the file of a domain would say: what it says now, with the draft over it.
    ///
    /// # Errors
    /// What is wrong with the draft.
    pub(crate) fn compose(&self, draft: &HostDraft, pem: Option<&Path>) -> Result<String, Refusal> {
        let mut host = match self.settings(&draft.domain) {
            Some(text) => host_of(&text)?,
            None => Table::new(),
        };
        for path in &draft.unset {
            if !remove(&mut host, path) {
                let text = format!("{path} is not set by a command");
                return Err(Refusal::invalid("unset", text));
            }
        }
        if let Some(settings) = &draft.settings {
            merge(&mut host, fragment(settings)?);
        }
        host.insert("domain".to_owned(), Value::String(draft.domain.to_string()));
        if let Some(admins) = &draft.admins {
            let admins = admins.iter().map(|admin| Value::String(admin.to_string()));
            host.insert("admins".to_owned(), Value::Array(admins.collect()));
        }
        if let Some(pem) = pem {
            for key in ["certificate", "key"] {
                host.insert(key.to_owned(), Value::String(pem.display().to_string()));
            }
        }
        let document = Table::from_iter([("host".to_owned(), Value::Array(vec![host.into()]))]);
        let text =
            toml::to_string(&document).map_err(|error| Refusal::failed(error.to_string()))?;
        Ok(HEAD.to_owned() + &text)
    }

    /// Keeps a certificate with its key under a name that no other has. Gives the file.
    pub(crate) fn keep_pem(&self, draft: &HostDraft, id: u64) -> io::Result<Option<PathBuf>> {
        let Some(pem) = &draft.pem else { return Ok(None) };
        let file = self.folder.join(format!("{}-{id}.pem", draft.domain));
        self.write(&file, pem.reveal())?;
        // Relative to the folder, where the settings lie too.
        Ok(file.file_name().map(PathBuf::from))
    }

    /// Writes the file of a domain beside its place, durably.
    pub(crate) fn prepare(&self, domain: &DomainName, text: &str) -> io::Result<()> {
        self.write(&self.prepared(domain), text)
    }

    /// Puts the prepared file in its place.
    pub(crate) fn commit(&self, domain: &DomainName) -> io::Result<()> {
        fs::rename(self.prepared(domain), self.file(domain))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Takes the file of a domain away.
    pub(crate) fn discard(&self, domain: &DomainName) -> io::Result<()> {
        fs::remove_file(self.file(domain))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Takes away what was prepared and comes to nothing, and certificates that nobody names.
    pub(crate) fn tidy(&self, domain: &DomainName) {
        let _ = fs::remove_file(self.prepared(domain));
        let named = self.settings(domain).unwrap_or_default();
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let number = name.strip_prefix(domain.as_str()).and_then(|rest| rest.strip_prefix('-'));
            let number = number.and_then(|rest| rest.strip_suffix(".pem"));
            let is_its = number.is_some_and(|it| it.bytes().all(|digit| digit.is_ascii_digit()));
            if is_its && !named.contains(&*name) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            // A data folder that is none is told of by whoever needs it.
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push(path);
            }
        }
        Ok(files)
    }

    fn file(&self, domain: &DomainName) -> PathBuf {
        self.folder.join(format!("{domain}.{ENDING}"))
    }

    fn prepared(&self, domain: &DomainName) -> PathBuf {
        self.folder.join(format!("{domain}.{ENDING}.new"))
    }

    /// Settings may hold secrets, and keys are.
    fn write(&self, file: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> String {
        let remedy = "these files hold domains that were added by `waxwing host add`; let this \
                      user read them";
        format!("{}: {error}\n{remedy}", path.display())
    }
}

/// The one host of a file.
fn host_of(text: &str) -> Result<Table, Refusal> {
    let read = || {
        let document: Table = text.parse().ok()?;
        let Some(Value::Array(hosts)) = document.get("host") else { return None };
        hosts.first()?.as_table().cloned()
    };
    read().ok_or_else(|| Refusal::failed("the file of this domain cannot be read; mend it by hand"))
}

/// Settings as an operator writes them below `[[host]]`, with or without that line.
fn fragment(text: &str) -> Result<Table, Refusal> {
    let invalid = |text: String| Refusal::invalid("settings", text);
    let document: Table = text.parse().map_err(|error: toml::de::Error| {
        invalid(format!("this is no TOML: {}", error.to_string().trim_end()))
    })?;
    let host = match document.get("host") {
        Some(Value::Array(hosts)) => match hosts.as_slice() {
            [Value::Table(host)] => host.clone(),
            _ => return Err(invalid("settings are for one [[host]]".to_owned())),
        },
        // `[host.modules.x]` without `[[host]]` before it.
        Some(Value::Table(host)) => {
            let mut host = host.clone();
            merge(&mut host, document.iter().filter(|(key, _)| *key != "host").map(own).collect());
            host
        }
        _ => document,
    };
    Ok(host)
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// Puts `over` on top, table by table.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Removes what stands at a path such as `modules.register.open`; false when nothing does.
fn remove(table: &mut Table, path: &str) -> bool {
    match path.split_once('.') {
        None => table.remove(path).is_some(),
        Some((key, rest)) => match table.get_mut(key) {
            Some(Value::Table(below)) => remove(below, rest),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests;
