#![cfg_attr(not(doctest), doc = include_str!("export.md"))]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};
use waxwing_jid::BareJid;
use waxwing_kernel::command::{Command, CommandAbout, Order, Refusal, Said};
use waxwing_kernel::config::NoConfig;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, form};
use waxwing_store::domains::archive::{Archive, Order as Direction, Selection, With};
use waxwing_store::{Export as Rows, StoreError, Value};

/// Tables whose rows prove who somebody is.
const SECRET: [&str; 2] = ["credential", "token"];

/// The table that is too large to be held in memory, and is read in pages.
const LARGE: &str = "archive";

/// Messages read at a time.
const PAGE: u32 = 100;

/// Characters of an address that become part of the name of a file.
const NAME_CHARS: usize = 100;

form! {
    /// Write everything that an account owns to a file in the data folder.
    pub struct ExportUser {
        /// The address of the account.
        pub jid("accountjid"): BareJid,
    }
}
static EXPORT: CommandAbout =
    CommandAbout::of::<ExportUser>("urn:waxwing:command:export-user", &["user", "export"]);

/// Gives people what the server holds of them.
pub struct Export {
    hub: Hub,
    domain: BareJid,
}

impl Module for Export {
    const ABOUT: &'static About = &About {
        name: "export",
        summary: "Writes everything that an account owns to a file.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("export.md"),
    };
    type Config = NoConfig;

    fn start(site: &mut SiteBuilder<'_>, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self { hub: site.hub(), domain: site.jid().clone() })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.command(|export| Command::new(&EXPORT, export, Self::export));
    }
}

impl Export {
    async fn export(self: Arc<Self>, order: Order<ExportUser>) -> Result<Said, Refusal> {
        let jid = order.form.jid;
        let is_here = jid.domain() == self.domain.domain() && !jid.is_domain();
        let account = if is_here { self.hub.account(&jid).await.map_err(unread)? } else { None };
        if account.is_none() {
            return Err(Refusal::not_found(format!("there is no account {jid} here")));
        }
        let folder = self.hub.folder().ok_or_else(|| {
            Refusal::failed("this server keeps no files: it has no data folder".to_owned())
        })?;
        let (path, lines) = self.write(&folder.join("export"), &jid).await.map_err(|error| {
            tracing::error!(%jid, %error, "an account could not be exported");
            Refusal::failed(format!("the file could not be written: {error}"))
        })?;
        tracing::info!(%jid, file = %path.display(), "account exported");
        let note = format!("Wrote {lines} rows to {}.", path.display());
        Ok(Said::note(note).fact("file", "File", path.display().to_string()))
    }

    /// Writes the file under another name until it is whole.
    async fn write(&self, folder: &Path, jid: &BareJid) -> std::io::Result<(PathBuf, u64)> {
        tokio::fs::create_dir_all(folder).await?;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '@' | '.' | '-');
        let name = jid.as_str().chars().map(|c| if plain(c) { c } else { '_' });
        let name: String = name.take(NAME_CHARS).collect();
        let stamp = self.hub.clock().stamp().replace(':', "");
        let path = folder.join(format!("{name}-{stamp}.jsonl"));
        let part = path.with_extension("part");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).await?;
        let mut sheet = Sheet { file: BufWriter::new(file), lines: 0 };
        let outcome = self.fill(&mut sheet, jid.as_str()).await;
        if let Err(error) = outcome {
            // What is left of it says nothing.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error);
        }
        tokio::fs::rename(&part, &path).await?;
        Ok((path, sheet.lines))
    }

    async fn fill(&self, sheet: &mut Sheet, owner: &str) -> std::io::Result<()> {
        let db = self.hub.db();
        for table in db.owning().filter(|table| !SECRET.contains(table)) {
            if table == LARGE {
                self.fill_archive(sheet, owner).await?;
                continue;
            }
            let Rows { columns, rows, .. } =
                db.export_of(table, owner).await.map_err(std::io::Error::other)?;
            for row in &rows {
                let cells = columns.iter().zip(row.values());
                let cells: Map<_, _> = cells.map(|(name, it)| (name.clone(), json(it))).collect();
                sheet.line(table, Json::Object(cells)).await?;
            }
        }
        sheet.file.flush().await?;
        sheet.file.get_ref().sync_all().await
    }

    async fn fill_archive(&self, sheet: &mut Sheet, owner: &str) -> std::io::Result<()> {
        let archive = Archive::new(self.hub.db().clone());
        let mut rest = Selection { owner, above: 0, below: i64::MAX, with: With::Anybody };
        loop {
            let page = archive.page(&rest, Direction::Rising, PAGE).await;
            let page = page.map_err(std::io::Error::other)?;
            let Some(last) = page.last() else { return Ok(()) };
            rest.above = last.number;
            for entry in &page {
                let name = self.hub.names().name(entry.number.cast_unsigned());
                let row = json!({
                    "id": &*name,
                    "peer": entry.peer,
                    "resource": entry.resource,
                    "stanza": entry.stanza,
                });
                sheet.line(LARGE, row).await?;
            }
        }
    }
}

/// The file, line by line.
struct Sheet {
    file: BufWriter<File>,
    lines: u64,
}

impl Sheet {
    async fn line(&mut self, table: &str, row: Json) -> std::io::Result<()> {
        let mut line = json!({ "table": table, "row": row }).to_string();
        line.push('\n');
        self.lines += 1;
        self.file.write_all(line.as_bytes()).await
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(int) => (*int).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Blob(bytes) => {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.encode(bytes).into()
        }
    }
}

fn unread(error: StoreError) -> Refusal {
    tracing::error!(%error, "accounts");
    Refusal::failed(error.to_string())
}
