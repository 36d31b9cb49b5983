//! What admins see and do of the files: a list, their removal, and a look for what nobody knows of.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::form;
use waxwing_store::StoreError;

use super::file::Listed;
use super::objects::Objects;
use super::shelf::{Kept, is_token};
use super::{DAY_MILLIS, Upload};

/// Files shown at once.
pub(super) const SHOWN: usize = 100;

form! {
    /// List the files that people have sent, the newest first.
    pub struct ListFiles {
        /// Only those of this account.
        pub account: Option<BareJid>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListFiles>("urn:waxwing:upload#list", &["upload", "list"]).reads();

form! {
    /// Remove a file.
    pub struct RemoveFile {
        /// Its id: the long number in its address, and in the list.
        pub id: String,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static REMOVE: CommandAbout =
    CommandAbout::of::<RemoveFile>("urn:waxwing:upload#remove", &["upload", "remove"]);

form! {
    /// Look for files that are stored and that the database does not know, and remove them if told
    /// to. There are some after a crash, or when an older copy of the database was put back. Those
    /// younger than a day are left alone.
    pub struct CleanFiles {
        /// Remove them. Without it they are only counted.
        pub remove: bool,
        /// The domain. The first one if nothing is said; the files of all are looked at.
        pub host: Option<String>,
    }
}
pub(super) static CLEAN: CommandAbout =
    CommandAbout::of::<CleanFiles>("urn:waxwing:upload#clean", &["upload", "clean"]);

/// Tells the operator at once when the storage cannot be used.
pub(super) async fn probe(objects: Arc<Objects>) {
    match objects.probe().await {
        Ok(()) => tracing::info!(%objects, "uploads are kept in object storage"),
        Err(error) => {
            tracing::error!(%error, %objects, "object storage cannot be used: uploads will fail");
        }
    }
}

impl Upload {
    pub(super) async fn list_files(
        self: Arc<Self>,
        order: Order<ListFiles>,
    ) -> Result<Said, Refusal> {
        let now = self.hub.clock().wall_millis().cast_signed();
        let owner = order.form.account.as_ref().map(BareJid::as_str);
        let mut files = self.files.list(owner, now).await.map_err(failed)?;
        let has_more = files.len() > SHOWN;
        files.truncate(SHOWN);
        let mut grid = Grid::new(&[
            ("id", "Id"),
            ("account", "Account"),
            ("name", "Name"),
            ("kind", "Kind"),
            ("bytes", "Bytes"),
            ("made", "Since"),
            ("until", "Until"),
        ]);
        files.into_iter().for_each(|file| grid.row(cells(file)));
        let note = match (grid.rows.is_empty(), has_more) {
            (true, _) => "There are no files.".to_owned(),
            (false, true) => format!("These are the newest {SHOWN}."),
            (false, false) => String::new(),
        };
        Ok(Said::note(note).table(grid))
    }

    pub(super) async fn remove_file(
        self: Arc<Self>,
        order: Order<RemoveFile>,
    ) -> Result<Said, Refusal> {
        let token = &order.form.id;
        let file = match is_token(token) {
            true => self.files.find(token).await.map_err(failed)?,
            false => None,
        };
        let file = file.ok_or_else(|| Refusal::not_found(format!("there is no file {token}")))?;
        let now = self.hub.clock().wall_millis().cast_signed();
        // From here on nobody gets it, whatever the storage says.
        self.files.end(token, now).await.map_err(failed)?;
        if !self.discard(token).await {
            let text = "nobody gets the file any more, but it could not be removed yet; the log \
                        says why";
            return Err(Refusal::failed(text));
        }
        self.files.forget(token, now).await.map_err(failed)?;
        Ok(Said::note(format!("{} of {} is gone.", file.name, file.owner)))
    }

    /// Looks at one part after the other, so that neither all names nor all rows are in memory.
    pub(super) async fn clean(self: Arc<Self>, order: Order<CleanFiles>) -> Result<Said, Refusal> {
        let Some(shelf) = &self.shelf else {
            return Err(Refusal::not_allowed("this server keeps no files"));
        };
        let before = self.hub.clock().wall_millis().cast_signed() - DAY_MILLIS;
        let (mut found, mut gone) = (0, 0);
        for digits in (0..=u8::MAX).map(|part| format!("{part:02x}")) {
            let kept = shelf.kept(&digits).await;
            let kept = kept.map_err(|error| Refusal::failed(format!("{shelf}: {error}")))?;
            let kept: Vec<Kept> = kept.into_iter().filter(|kept| kept.at < before).collect();
            if kept.is_empty() {
                continue;
            }
            // After the names: a file's row is there before the file is.
            let known = self.files.known(&digits).await.map_err(failed)?;
            for orphan in kept.iter().filter(|kept| !known.contains(&kept.token)) {
                found += 1;
                gone += usize::from(order.form.remove && self.discard(&orphan.token).await);
            }
        }
        let files = |count| format!("{count} {}", if count == 1 { "file" } else { "files" });
        Ok(Said::note(match (found, order.form.remove) {
            (0, _) => "Nothing is stored that the database does not know.".to_owned(),
            (found, false) => {
                format!("{} that nobody can have; --remove removes them.", files(found))
            }
            (found, true) => format!("{} of {found} removed.", files(gone)),
        }))
    }

    /// Tells the metrics how much is kept.
    pub(super) async fn count(&self) {
        match self.files.kept().await {
            Ok((count, bytes)) => self.hub.metrics().files_kept(count, bytes),
            Err(error) => tracing::warn!(%error, "uploads could not be counted"),
        }
    }
}

fn cells(file: Listed) -> [String; 7] {
    let until = match file.until {
        i64::MAX => "the account's end".to_owned(),
        until => stamp_of(until.unsigned_abs()),
    };
    let made = stamp_of(file.made.unsigned_abs());
    let kind = file.kind.unwrap_or_default();
    [file.token, file.owner, file.name, kind, file.size.to_string(), made, until]
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "uploads could not be looked up");
    Refusal::failed("the files cannot be looked up at the moment")
}
