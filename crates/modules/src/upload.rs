#![cfg_attr(not(doctest), doc = include_str!("upload.md"))]

mod file;
mod folder;
mod objects;
mod places;
mod s3;
mod shelf;
mod slot;
mod stock;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::command::Command;
use waxwing_kernel::config::{Bytes, Flaw};
use waxwing_kernel::events::EventAbout;
use waxwing_kernel::http::percent_encoded;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::request::{Happening, Request, Signal, unstored};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::stage::Effects;
use waxwing_kernel::{Hub, Site, SiteBuilder, section};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::payload::disco::{INFO, ITEMS, Identity, Info, Items};
use waxwing_stanza::{ErrorKind, StanzaError};
use waxwing_store::Table;
use waxwing_xml::write;

use self::file::{Bucket, File, Files};
use self::folder::Folder;
use self::s3::S3;
use self::shelf::Shelf;
use self::slot::{Purpose, Wish};

const NS: &str = "urn:xmpp:http:upload:0";
const PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";
const NAME: &str = "HTTP File Upload";
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How often files are looked for whose time has come.
const SWEEP: Duration = Duration::from_secs(300);
/// Bytes of randomness in the address of a file, and again in that of its upload.
const TOKEN_BYTES: usize = 16;

section! {
    /// Files that people send: stored here, and fetched by whoever was given the address.
    pub struct UploadConfig("upload", check = UploadConfig::check) {
        /// The largest file.
        pub file_size: Bytes = "64 MiB" in "1 KiB"..="1 TiB",
        /// What the files sent by one account may take together.
        pub quota: Bytes = "1 GiB" in "1 KiB"..="1 TiB",
        /// How long a file is kept (days).
        pub keep_days: u32 = 30 in 1..=36500,
        /// What the pictures of one account's profile may take together. They are kept as long as
        /// the account; the oldest make room for new ones. 0: they are not taken.
        pub profile_quota: Bytes = "8 MiB" in "0 B"..="1 TiB",
        /// What the files of one account may take together that it asks to keep for good. They are
        /// kept as long as the account. 0: they are not taken.
        pub permanent_quota: Bytes = "0 B" in "0 B"..="1 TiB",
        /// What the files of all accounts of a host may take together.
        pub capacity: Bytes = "32 GiB" in "1 MiB"..="1024 TiB",
        /// Uploads of one account that are announced or under way at the same time.
        pub slots: u32 = 20 in 1..=10_000,
        /// How long an announced upload may take to begin (seconds).
        pub slot_seconds: u32 = 300 in 10..=3600,
        /// How long an upload may take (seconds).
        pub upload_seconds: u32 = 3600 in 60..=86400,
        /// The folder of the files; `upload` in the data folder if absent. A relative path begins
        /// at the data folder.
        [restart] pub folder: Option<PathBuf> = None,
        /// Object storage that is spoken to as Amazon's S3 is, instead of a folder: a section
        /// `[modules.upload.s3]` with `bucket`, and where they differ from the usual `endpoint`
        /// (`https://s3.example.org`; Amazon's by default), `region` (`us-east-1`), `prefix` (what
        /// the names of objects begin with), `virtual_host` (whether the bucket is a part of the
        /// host's name), `writers` (files that are written at a time, each with up to 5 MiB of
        /// memory, and a quarter of them for one account; 16) and `readers` (files that are fetched
        /// at a time, each with up to 2 MiB of memory; 64). Its keys are `access_key` and
        /// `secret_key`, or two lines of the file `credentials`, or in the environment as
        /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
        [restart] pub s3: Option<S3> = None,
    }
}

impl UploadConfig {
    fn check(&self) -> Result<(), Flaw> {
        let problem = "must not be smaller than `file_size`, or no such file could be sent";
        let flaw = |key| Err(Flaw { key, problem: problem.to_owned() });
        match self {
            _ if self.quota < self.file_size => flaw("quota"),
            _ if self.capacity < self.file_size => flaw("capacity"),
            Self { folder: Some(_), s3: Some(_), .. } => {
                let problem = "either a folder, or object storage".to_owned();
                Err(Flaw { key: "s3", problem })
            }
            Self { s3: Some(_), .. } if self.file_size.0 > objects::FILE_BYTES_MAX => {
                let problem = "object storage takes files of up to 48 GiB".to_owned();
                Err(Flaw { key: "file_size", problem })
            }
            _ => Ok(()),
        }
    }
}

static UPLOAD_STORED: EventAbout = EventAbout {
    name: "upload.stored",
    about: "A file was uploaded and can be fetched.",
    fields: &[
        ("owner", "Whose it is."),
        ("size", "Its size in bytes."),
        ("media_type", "Its media type, if the client told it."),
    ],
};

/// Takes files by HTTP and gives them out again.
pub struct Upload {
    config: UploadConfig,
    hub: Hub,
    files: Files,
    /// None where there is no data folder: nothing can be uploaded then.
    shelf: Option<Arc<dyn Shelf>>,
}

impl Module for Upload {
    const ABOUT: &'static About = &About {
        name: "upload",
        summary: "Takes files by HTTP, so that people can send pictures and documents.",
        is_on: true,
        xeps: &[Xep(363, "1.2.0")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("upload.md"),
    };
    const TABLES: &'static [Table] = &[file::TABLE];
    type Config = UploadConfig;

    fn start(site: &mut SiteBuilder<'_>, config: UploadConfig) -> Result<Self, StartError> {
        let hub = site.hub();
        let shelf = match (hub.folder(), &config.s3) {
            (None, _) => None,
            (Some(data), None) => {
                let own = config.folder.clone().unwrap_or_else(|| "upload".into());
                Some(Arc::new(Folder::new(data.join(own))) as Arc<dyn Shelf>)
            }
            (Some(data), Some(s3)) => {
                let objects = s3.open(&hub, data);
                let refused = |reason| StartError { module: Self::ABOUT.name, reason };
                let objects = Arc::new(objects.map_err(refused)?);
                hub.clock().spawn(stock::probe(Arc::clone(&objects)));
                Some(objects as Arc<dyn Shelf>)
            }
        };
        let files = Files::new(hub.db().clone(), site.jid().domain());
        Ok(Self { config, hub, files, shelf })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.service("upload", NAME).get(Self::info).get(Self::items).get(Self::open_slot);
        on.http(web::answer);
        on.event(&UPLOAD_STORED);
        on.every(SWEEP, Self::sweep);
        on.command(|upload| Command::new(&stock::LIST, upload, Self::list_files));
        on.command(|upload| Command::new(&stock::REMOVE, upload, Self::remove_file));
        on.command(|upload| Command::new(&stock::CLEAN, upload, Self::clean));
        on.signal(Signal::Removed, Self::remove);
    }
}

impl Upload {
    async fn info(self: Arc<Self>, ask: Request<Info>) -> Result<Info, StanzaError> {
        if ask.payload.node.is_some() {
            return Err(StanzaError::item_not_found().text("There is no such node here."));
        }
        // §3 "The field name MUST be "max-file-size" and the value MUST be in bytes."
        let size = self.config.file_size.0.to_string();
        let size =
            Field { kind: None, ..Field::new(FieldType::TextSingle, "max-file-size") }.value(size);
        let info = Info {
            identities: vec![Identity::new("store", "file", Some(NAME))],
            forms: vec![DataForm::new(FormType::Result).about(NS).with(size)],
            ..Info::default()
        };
        let purposes = self.purposes().map(|name| format!("{PURPOSE}#{name}"));
        let purposes: Vec<String> = purposes.collect();
        let features = [INFO, ITEMS, NS].into_iter().chain(purposes.iter().map(String::as_str));
        Ok(info.with(features).sorted())
    }

    async fn items(self: Arc<Self>, ask: Request<Items>) -> Result<Items, StanzaError> {
        Ok(Items { node: ask.payload.node, items: Vec::new() })
    }

    fn purposes(&self) -> impl Iterator<Item = &'static str> {
        let offered = |quota: Bytes, name| (!quota.is_empty()).then_some(name);
        let profile = offered(self.config.profile_quota, "profile");
        let permanent = offered(self.config.permanent_quota, "permanent");
        ["message", "ephemeral"].into_iter().chain(profile).chain(permanent)
    }

    /// Gives the two addresses of a file that may be uploaded (§4).
    async fn open_slot(self: Arc<Self>, ask: Request<Wish>) -> Result<String, StanzaError> {
        let wish = &ask.payload;
        let account = match &ask.from.account {
            Some(account) if !account.is_guest() && ask.from.jid.domain() == ask.site.domain() => {
                Arc::clone(account)
            }
            _ => {
                let text = "Only those who have an account here may upload files.";
                return Err(StanzaError::forbidden().text(text));
            }
        };
        self.judge_size(wish)?;
        let file = self.file(account.jid().as_str(), wish)?;
        // One after the other, or two could find room where there is room for one.
        let _turn = account.turn().await;
        self.find_room(&file).await?;
        self.files.add(&file).await.map_err(|error| unstored(&error))?;
        let (url, name) = (ask.site.url_of(Self::ABOUT.name), percent_encoded(&file.name));
        let (mut slot, token) = (format!("<slot xmlns='{NS}'><put"), &file.token);
        write::attribute(&mut slot, "url", &format!("{url}{token}/{}/{name}", file.secret));
        slot += "/><get";
        write::attribute(&mut slot, "url", &format!("{url}{token}/{name}"));
        Ok(slot + "/></slot>")
    }

    /// §6 "the service MAY respond with an error if the requested file size is too large. In
    /// addition the entity MAY inform the requester about the maximum file size."
    fn judge_size(&self, wish: &Wish) -> Result<(), StanzaError> {
        let (bucket, quota) = self.bucket(&wish.purpose)?;
        let most = self.config.file_size.min(quota).0;
        if wish.size <= most {
            return Ok(());
        }
        let kind = if bucket == Bucket::Profile { " for a profile" } else { "" };
        let text = format!("File too large. The maximum file size{kind} is {most} bytes.");
        let most = format!("<max-file-size>{most}</max-file-size>");
        let app = format!("<file-too-large xmlns='{NS}'>{most}</file-too-large>");
        Err(StanzaError::not_acceptable().text(text).with(app))
    }

    /// Which quota a file counts in, and how large that is.
    fn bucket(&self, purpose: &Purpose) -> Result<(Bucket, Bytes), StanzaError> {
        let (bucket, quota) = match purpose {
            Purpose::Message | Purpose::Ephemeral { .. } => (Bucket::Message, self.config.quota),
            Purpose::Profile => (Bucket::Profile, self.config.profile_quota),
            Purpose::Permanent => (Bucket::Permanent, self.config.permanent_quota),
        };
        if quota.is_empty() {
            let text = "Files for this purpose are not taken here.";
            return Err(StanzaError::feature_not_implemented().text(text));
        }
        Ok((bucket, quota))
    }

    fn file(&self, owner: &str, wish: &Wish) -> Result<File, StanzaError> {
        let clock = self.hub.clock();
        let now = clock.wall_millis().cast_signed();
        let usual = now + i64::from(self.config.keep_days) * DAY_MILLIS;
        let (bucket, _) = self.bucket(&wish.purpose)?;
        let until = match wish.purpose {
            Purpose::Message => usual,
            // §5.3 "MUST NOT make the file available after the time specified in the expire-before
            // attribute".
            Purpose::Ephemeral { expire_before } if expire_before > now => usual.min(expire_before),
            Purpose::Ephemeral { .. } => {
                let text = "`expire-before` has passed already.";
                return Err(StanzaError::not_acceptable().text(text));
            }
            Purpose::Profile | Purpose::Permanent => i64::MAX,
        };
        Ok(File {
            token: clock.token(TOKEN_BYTES),
            secret: clock.token(TOKEN_BYTES),
            owner: owner.to_owned(),
            name: wish.name.clone(),
            kind: wish.kind.clone(),
            size: wish.size.cast_signed(),
            bucket,
            made: now,
            expires: now + i64::from(self.config.slot_seconds) * 1000,
            until,
            state: file::State::Slot,
        })
    }

    /// Whether the quotas leave room for a file.
    async fn find_room(&self, file: &File) -> Result<(), StanzaError> {
        let now = file.made;
        let held = self.files.held(file, now).await.map_err(|error| unstored(&error))?;
        if held.slots >= i64::from(self.config.slots) {
            let text = format!("You have {} uploads under way; finish one first.", held.slots);
            return Err(full(text, held.first_slot));
        }
        let quota = match file.bucket {
            Bucket::Message => self.config.quota,
            Bucket::Profile => self.config.profile_quota,
            Bucket::Permanent => self.config.permanent_quota,
        };
        let all = self.files.all_bytes(now).await.map_err(|error| unstored(&error))?;
        if excess(all, file.size, self.config.capacity) > 0 {
            let capacity = self.config.capacity;
            tracing::warn!(%capacity, "no room for uploads; raise modules.upload.capacity");
            return Err(full("This server has no room for more files.".to_owned(), None));
        }
        let excess = excess(held.bytes, file.size, quota);
        let may_replace = file.bucket == Bucket::Profile;
        if excess > 0 && !(may_replace && self.make_room(file, excess).await?) {
            let text = format!("Your files may take {quota} together, and would take more.");
            return Err(full(text, held.first_end));
        }
        Ok(())
    }

    /// Ends the oldest pictures of a profile until `excess` bytes are free; false when there are
    /// not enough.
    async fn make_room(&self, file: &File, excess: i64) -> Result<bool, StanzaError> {
        let old = self.files.oldest(file).await.map_err(|error| unstored(&error))?;
        let mut freed = 0;
        for (token, size) in old {
            if freed >= excess {
                break;
            }
            self.files.end(&token, file.made).await.map_err(|error| unstored(&error))?;
            freed += size;
        }
        Ok(freed >= excess)
    }

    /// Throws away files whose time has come. The file goes before its row, so that none is left
    /// that nobody knows of.
    async fn sweep(self: Arc<Self>, _: Hub, _: Arc<Site>) {
        let now = self.hub.clock().wall_millis().cast_signed();
        loop {
            let ended = match self.files.ended(now).await {
                Ok(ended) => ended,
                Err(error) => return tracing::error!(%error, "old uploads have to wait"),
            };
            let is_last = ended.len() < file::PAGE;
            for token in ended {
                if !self.discard(&token).await {
                    return;
                }
                if let Err(error) = self.files.forget(&token, now).await {
                    return tracing::error!(%error, "old uploads have to wait");
                }
            }
            if is_last {
                break;
            }
        }
        self.count().await;
    }

    /// The account goes, and its files with it; the rows follow by themselves.
    async fn remove(self: Arc<Self>, happening: Happening) -> Effects {
        match self.files.owned(happening.account.jid().as_str()).await {
            Ok(tokens) => {
                for token in tokens {
                    self.discard(&token).await;
                }
            }
            Err(error) => tracing::error!(%error, "the files of an account could not be found"),
        }
        Effects::default()
    }

    /// Removes a file. False, and said, when it cannot.
    async fn discard(&self, token: &str) -> bool {
        let Some(shelf) = &self.shelf else { return true };
        match shelf.remove(token).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, %shelf, token, "an upload could not be removed");
                false
            }
        }
    }
}

/// By how many bytes too many there would be.
fn excess(held: i64, size: i64, quota: Bytes) -> i64 {
    held.saturating_add(size).saturating_sub_unsigned(quota.0)
}

/// §6 "For temporary errors such as exceeding a personal quota the service MAY include a <retry/>
/// element".
fn full(text: String, again: Option<i64>) -> StanzaError {
    let error = StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text);
    match again.filter(|millis| *millis < i64::MAX) {
        None => error,
        Some(millis) => {
            let stamp = waxwing_kernel::clock::stamp_of(millis.cast_unsigned());
            error.with(format!("<retry xmlns='{NS}' stamp='{stamp}'/>"))
        }
    }
}
