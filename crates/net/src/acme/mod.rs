//! Certificates from an authority that speaks ACME (RFC 8555): ordered, renewed and put in use
//! without anybody's work and without a restart.

mod account;
mod book;
mod door;
mod files;
mod keeper;
mod line;
mod options;
mod order;
mod proofs;
mod schedule;
mod trouble;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier};
use parking_lot::{Mutex, RwLock};
use rustls::RootCertStore;
use tokio::sync::Notify;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::outgoing::Fetch;

pub use self::account::external_key;
use self::book::{Book, Page};
pub(crate) use self::door::serve;
use self::files::Notes;
pub use self::files::certificate_file;
pub use self::keeper::Keeper;
use self::line::Line;
pub use self::options::{AcmeOptions, Challenge, KeyKind, NAMES_MAX, Wanted};
use self::order::{Failed, Job, obtain};
pub(crate) use self::proofs::ALPN;
pub use self::proofs::{PAGES, Proofs};
use self::trouble::Trouble;
use crate::fetch::Fetcher;
use crate::limits::Limits;
use crate::tls::{self, Tls};

/// How long nothing is looked at when nothing is due: clocks may be set meanwhile.
const LOOK: Duration = Duration::from_secs(3600);

/// Gets certificates, and sees that they do not expire.
pub struct Acme {
    tls: Arc<Tls>,
    fetch: Arc<dyn Fetch>,
    limits: Limits,
    clock: Clock,
    metrics: Arc<Metrics>,
    options: RwLock<Arc<AcmeOptions>>,
    open: Mutex<Option<Open>>,
    book: Mutex<Book>,
    /// One order at a time.
    turn: tokio::sync::Mutex<()>,
    changed: Notify,
}

/// An account that was opened.
#[derive(Clone)]
struct Open {
    account: Account,
    line: Line,
}

impl Acme {
    /// Keeps certificates for `tls`, asking by `fetch`.
    pub fn new(
        (tls, fetch): (Arc<Tls>, Arc<dyn Fetch>),
        limits: Limits,
        (clock, metrics): (Clock, Arc<Metrics>),
        options: AcmeOptions,
    ) -> Arc<Self> {
        let book = Mutex::new(Book::open(&options));
        let options = RwLock::new(Arc::new(options));
        let (open, turn, changed) = Default::default();
        Arc::new(Self { tls, fetch, limits, clock, metrics, options, open, book, turn, changed })
    }

    /// Takes other options. What failed before is tried again at once.
    pub fn configure(&self, options: AcmeOptions) {
        if **self.options.read() == options {
            return;
        }
        let mut book = Book::open(&options);
        book.forgive();
        *self.book.lock() = book;
        *self.open.lock() = None;
        *self.options.write() = Arc::new(options);
        self.changed.notify_one();
    }

    /// Orders what is due, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.clock.now() + Box::pin(self.round()).await;
            tokio::select! {
                () = self.clock.until(Some(next)) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Orders what is due now; how long nothing else is.
    async fn round(&self) -> Duration {
        let options = self.options();
        let mut soonest = LOOK;
        for wanted in options.orders.iter().filter(|_| options.is_on) {
            if self.tls.is_configured(&wanted.domain) {
                continue;
            }
            Box::pin(self.ask_when(&options, wanted)).await;
            if self.due(wanted) <= self.now() {
                // What comes of it is in the log and in the book.
                let _ = self.order(&options, wanted).await;
                Box::pin(self.ask_when(&options, wanted)).await;
            }
            let next = self.book.lock().page(&wanted.domain).next(wanted);
            let left = u64::try_from(next - self.now()).unwrap_or_default();
            soonest = soonest.min(Duration::from_secs(left.max(1)));
        }
        soonest
    }

    fn options(&self) -> Arc<AcmeOptions> {
        self.options.read().clone()
    }

    fn now(&self) -> i64 {
        (self.clock.wall_millis() / 1000).cast_signed()
    }

    fn draw(&self) -> u32 {
        let mut bytes = [0; 4];
        self.clock.random(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn due(&self, wanted: &Wanted) -> i64 {
        self.book.lock().page(&wanted.domain).due(wanted)
    }

    /// Asks the authority when it wants the certificate to be renewed, if it is time to ask.
    async fn ask_when(&self, options: &AcmeOptions, wanted: &Wanted) {
        let now = self.now();
        let held = {
            let book = self.book.lock();
            let page = book.page(&wanted.domain);
            page.held.clone().filter(|_| page.ask_at <= now)
        };
        let Some(held) = held else { return };
        let Ok(id) = CertificateIdentifier::try_from(&held.der) else { return };
        let asked = match self.open(options).await {
            Ok(open) => open.account.renewal_info(&id).await.map_err(|error| error.to_string()),
            Err(trouble) => Err(trouble.to_string()),
        };
        if let Err(error) = &asked {
            tracing::debug!(error, domain = wanted.domain, "the authority suggests no renewal");
        }
        let draw = self.draw();
        self.book.lock().page_mut(&wanted.domain).suggest(now, draw, asked.ok());
    }

    /// Orders one certificate, and puts it in use.
    async fn order(&self, options: &AcmeOptions, wanted: &Wanted) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let mut notes = self.book.lock().page(&wanted.domain).notes.clone();
        tracing::info!(domain = wanted.domain, "ordering a certificate");
        let tried = Box::pin(self.attempt(options, wanted, &mut notes)).await;
        let tried = tried.and_then(|()| self.weigh(options, wanted, &notes));
        self.metrics.certificates().ordered(tried.is_ok());
        let answer = match tried {
            Ok(()) => {
                notes.succeeded();
                for (name, why) in &notes.left_out {
                    tracing::warn!(name, "the new certificate does not name this: {why}");
                }
                tracing::info!(domain = wanted.domain, "a new certificate is in use");
                Ok(())
            }
            Err(trouble) => {
                let later = self.open.lock().as_ref().and_then(|open| open.line.later());
                notes.failures = notes.failures.saturating_add(1);
                let wait = schedule::wait(notes.failures, options.retry, later, self.draw());
                notes.next_at = self.now() + wait;
                notes.trouble = trouble.to_string();
                tracing::warn!(
                    domain = wanted.domain,
                    again_in_seconds = wait,
                    "no certificate: {trouble}"
                );
                Err(notes.trouble.clone())
            }
        };
        notes.keep(&options.folder, &wanted.domain);
        self.book.lock().turn_page(&options.folder, &wanted.domain, notes);
        answer
    }

    /// Whether what was got will do for a while. Whoever got less asks again later, as after any
    /// other failure: authorities count orders.
    fn weigh(&self, options: &AcmeOptions, wanted: &Wanted, notes: &Notes) -> Result<(), Trouble> {
        let page = Page::read(&options.folder, &wanted.domain, notes.clone());
        let Some(why) = page.lack(wanted, self.now()) else { return Ok(()) };
        let words = format!("The authority gave a certificate that will not do: {why}.");
        Err(Trouble::new(words, "See that acme.directory is right, and the clock of this machine."))
    }

    /// One order, in the ways that there are; a second one when the account is unknown.
    async fn attempt(
        &self,
        options: &AcmeOptions,
        wanted: &Wanted,
        notes: &mut Notes,
    ) -> Result<(), Trouble> {
        let mut ways = options.challenges.clone();
        // What worked before is tried first.
        ways.sort_by_key(|way| notes.challenge != Some(*way));
        let mut first: Option<Trouble> = None;
        for way in ways {
            let open = self.open(options).await?;
            let mut got = self.obtain(options, wanted, (&open, way), notes).await;
            if got.as_ref().is_err_and(|failed| failed.trouble.is_about_account) {
                account::drop_kept(options);
                *self.open.lock() = None;
                let open = self.open(options).await?;
                got = self.obtain(options, wanted, (&open, way), notes).await;
            }
            match got {
                Ok(pem) => {
                    notes.challenge = Some(way);
                    return self.put_in_use(options, wanted, &pem).await;
                }
                Err(failed) if failed.unproven.is_empty() => return Err(failed.trouble),
                Err(failed) => first = first.or(Some(failed.trouble)),
            }
        }
        Err(first.unwrap_or_else(|| Trouble::new("There is no way to prove a name.", "")))
    }

    /// A certificate with as many of the names as the authority can see.
    async fn obtain(
        &self,
        options: &AcmeOptions,
        wanted: &Wanted,
        (open, challenge): (&Open, Challenge),
        notes: &mut Notes,
    ) -> Result<String, Failed> {
        let mut names = [&wanted.names[..], &wanted.services[..]].concat();
        names.truncate(NAMES_MAX);
        let mut replaces = self.book.lock().page(&wanted.domain).replaced();
        let mut left_out = BTreeMap::new();
        loop {
            let job = Job {
                account: &open.account,
                directory: &options.directory,
                proofs: self.tls.proofs(),
                challenge,
                names: &names,
                key: options.key,
                replaces: replaces.clone(),
                time: options.order_time,
            };
            let failed = match obtain(&job).await {
                Ok(pem) => {
                    notes.left_out = left_out;
                    return Ok(pem);
                }
                Err(failed) => failed,
            };
            let is_needed = |name: &String| wanted.names.contains(name);
            if failed.unproven.keys().any(is_needed) || failed.trouble.is_about_account {
                return Err(failed);
            }
            if !failed.unproven.is_empty() {
                names.retain(|name| !failed.unproven.contains_key(name));
                let why = failed.unproven.into_iter();
                left_out.extend(why.map(|(name, trouble)| (name, trouble.to_string())));
            } else if replaces.take().is_none() {
                return Err(failed);
            }
            // RFC 9773 §5: the authority may refuse "replaces"; the certificate is wanted anyway.
        }
    }

    /// The account at the authority, opened once.
    async fn open(&self, options: &AcmeOptions) -> Result<Open, Trouble> {
        if let Some(open) = self.open.lock().clone() {
            return Ok(open);
        }
        let fetch: Arc<dyn Fetch> = match &options.authorities {
            None => Arc::clone(&self.fetch),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                let read = tls::certificates(path);
                let read = read.map_err(|error| Trouble::new(error.to_string(), ""))?;
                roots.add_parsable_certificates(read);
                Arc::new(Fetcher::trusting(&self.limits, roots))
            }
        };
        let line = Line::new(fetch, self.clock.clone());
        let account = account::open(options, &line).await?;
        let open = Open { account, line };
        *self.open.lock() = Some(open.clone());
        Ok(open)
    }

    /// Writes a certificate where it is read from, once it is known to be good.
    async fn put_in_use(
        &self,
        options: &AcmeOptions,
        wanted: &Wanted,
        pem: &str,
    ) -> Result<(), Trouble> {
        let file = certificate_file(&options.folder, &wanted.domain);
        let fresh = files::fresh_file(&options.folder, &wanted.domain);
        let unwritten = |error: std::io::Error| {
            let words = format!("The certificate could not be kept: {}: {error}.", file.display());
            Trouble::new(words, "See that the data folder is the server's and that there is room.")
        };
        files::save(&fresh, pem).map_err(unwritten)?;
        let judged = self.tls.judge(&fresh).map_err(|error| {
            Trouble::new(format!("What the authority gave is of no use: {error}"), "")
        });
        if let Err(trouble) = judged {
            let _ = fs::remove_file(&fresh);
            return Err(trouble);
        }
        fs::rename(&fresh, &file).map_err(unwritten)?;
        let tls = Arc::clone(&self.tls);
        let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
        match reloaded {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Trouble::new(error.to_string(), "")),
            Err(error) => Err(Trouble::new(error.to_string(), "")),
        }
    }
}
