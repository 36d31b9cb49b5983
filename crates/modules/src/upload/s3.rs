//! Object storage as the operator describes it, asked through the server's own way to others.

use std::fmt;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use tokio::sync::Semaphore;
use waxwing_kernel::config::{Errors, FieldDoc, Flaw, Item, Preset, Section, Value};
use waxwing_kernel::outgoing::{FetchError, FetchRequest, Reach};
use waxwing_kernel::{Hub, section};

use super::objects::{Objects, PIECE_BYTES};

/// The longest answer: a piece of a file, or a list of a thousand names.
const REPLY_BYTES: usize = 2 * PIECE_BYTES as usize;
/// Requests that are under way at a time; others wait for their turn.
const REQUESTS: usize = 12;
/// How long a request may take, with a part of a file in it.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How often a request is tried again when the storage fails, and for how long.
const RETRIES: usize = 3;
const RETRY_TIME: Duration = Duration::from_secs(20);

section! {
    /// Object storage.
    pub struct S3Config("s3", check = S3Config::check) {
        /// Where it is; Amazon's, by its region, if absent.
        pub endpoint: Option<String> = None,
        /// The bucket. It must be there.
        pub bucket: String,
        /// The region.
        pub region: String = "us-east-1",
        /// What the names of objects begin with.
        pub prefix: String = "",
        /// Whether the bucket is a part of the host's name.
        pub virtual_host: bool = false,
        /// The name of the key.
        pub access_key: Option<String> = None,
        /// The key.
        pub secret_key: Option<String> = None,
        /// A file with both, one on a line.
        pub credentials: Option<PathBuf> = None,
        /// Files that are written at a time, each with up to 5 MiB of memory, and a quarter of
        /// them for one account.
        pub writers: u32 = 16 in 1..=1024,
        /// Files that are fetched at a time, each with up to 2 MiB of memory.
        pub readers: u32 = 64 in 1..=4096,
    }
}

impl S3Config {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        let schemes = ["https://", "http://"];
        match (&self.access_key, &self.secret_key, &self.credentials) {
            _ if self.bucket.is_empty() || self.bucket.contains('/') => {
                flaw("bucket", "expected the name of a bucket")
            }
            _ if self
                .endpoint
                .as_ref()
                .is_some_and(|url| !schemes.iter().any(|s| url.starts_with(s))) =>
            {
                flaw("endpoint", "it must begin with https:// or http://")
            }
            (Some(_), None, _) => flaw("access_key", "`access_key` needs `secret_key` beside it"),
            (None, Some(_), _) => flaw("secret_key", "`secret_key` needs `access_key` beside it"),
            (Some(_), Some(_), Some(_)) => {
                flaw("credentials", "either a file, or `access_key` and `secret_key`")
            }
            _ => Ok(()),
        }
    }
}

/// The section, as a value of the module's.
#[derive(Clone, PartialEq)]
pub struct S3(S3Config);

impl Value for S3 {
    fn kind() -> String {
        "a section with `bucket`".to_owned()
    }

    fn read(item: &Item<'_>) -> Result<Self, Errors> {
        item.table().and_then(|table| S3Config::read(&table)).map(Self)
    }

    fn show(&self) -> Option<String> {
        let pair = |(field, value): (&FieldDoc, Option<String>)| {
            value.map(|value| format!("{} = {value}", field.key))
        };
        let pairs: Vec<String> =
            S3Config::fields().iter().zip(self.0.show()).filter_map(pair).collect();
        Some(format!("{{ {} }}", pairs.join(", ")))
    }
}

impl Preset<S3Config> for S3 {
    fn preset(written: S3Config) -> Self {
        Self(written)
    }
}

/// Without the key, because this is what ends up in logs.
impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({:?}, {})", self.0.endpoint, self.0.bucket)
    }
}

impl S3 {
    /// The storage, which is not asked yet. Files of the operator are found from `data` on.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub(super) fn open(&self, hub: &Hub, data: &Path) -> Result<Objects, String> {
        let config = &self.0;
        // The environment knows what the settings do not say, keys above all, as with any other
        // program that speaks to S3.
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(config.virtual_host)
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIME,
                backoff: BackoffConfig::default(),
            })
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_http_connector(Asker::new(hub));
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some((access, secret)) = self.keys(data)? {
            builder = builder.with_access_key_id(access).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        let bounds = (config.writers as usize, config.readers as usize);
        Ok(Objects::new(store, &config.prefix, hub.clock().clone(), bounds))
    }

    fn keys(&self, data: &Path) -> Result<Option<(String, String)>, String> {
        let config = &self.0;
        if let Some(file) = &config.credentials {
            let file = data.join(file);
            let text = fs::read_to_string(&file);
            let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let (Some(access), Some(secret), None) = (lines.next(), lines.next(), lines.next())
            else {
                let expected = "expected two lines, `access_key` and `secret_key`";
                return Err(format!("{}: {expected}", file.display()));
            };
            return Ok(Some((access.to_owned(), secret.to_owned())));
        }
        Ok(config.access_key.clone().zip(config.secret_key.clone()))
    }
}

/// Asks over HTTP by way of the kernel: a module sees no sockets.
#[derive(Clone)]
struct Asker {
    hub: Hub,
    free: Arc<Semaphore>,
}

impl Asker {
    fn new(hub: &Hub) -> Self {
        Self { hub: hub.clone(), free: Arc::new(Semaphore::new(REQUESTS)) }
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let _turn = self.free.acquire().await.map_err(|_| lost(FetchError::Unavailable))?;
        let mut request = FetchRequest::new(head.method, head.uri.to_string(), Reach::Anywhere)
            .within(REQUEST_TIME)
            .at_most(REPLY_BYTES);
        (request.headers, request.body) = (head.headers, body);
        let reply = self.hub.fetch(request).await.map_err(lost)?;
        let mut response = HttpResponse::new(reply.body.into());
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}

impl HttpConnector for Asker {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Asker {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.ask(request))
    }
}

/// Which errors are worth another try.
fn lost(error: FetchError) -> HttpError {
    let kind = match error {
        FetchError::Unreachable(_) | FetchError::Busy => HttpErrorKind::Connect,
        FetchError::TimedOut => HttpErrorKind::Timeout,
        FetchError::Broken(_) => HttpErrorKind::Interrupted,
        FetchError::TooLong => HttpErrorKind::Decode,
        FetchError::BadUrl(_)
        | FetchError::NotPublic
        | FetchError::Untrusted(_)
        | FetchError::Unavailable => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut S3Config)) -> S3Config {
        let mut config = S3Config { bucket: "files".to_owned(), ..S3Config::default() };
        change(&mut config);
        config
    }

    #[test]
    fn what_makes_no_sense_is_pointed_at() {
        let flaw = |config: S3Config| config.check().err().map(|flaw| flaw.key);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(flaw(config(|_| {})), None);
        assert_eq!(flaw(config(|it| it.bucket.clear())), Some("bucket"));
        assert_eq!(flaw(config(|it| it.endpoint = some("s3.example"))), Some("endpoint"));
        assert_eq!(flaw(config(|it| it.access_key = some("a"))), Some("access_key"));
        assert_eq!(flaw(config(|it| it.secret_key = some("a"))), Some("secret_key"));
        let twice = |it: &mut S3Config| {
            (it.access_key, it.secret_key) = (some("a"), some("b"));
            it.credentials = Some("keys".into());
        };
        assert_eq!(flaw(config(twice)), Some("credentials"));
    }

    #[test]
    fn keys_come_from_the_settings_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let keys = |config: S3Config| S3(config).keys(folder.path());
        assert_eq!(keys(config(|_| {})), Ok(None));
        let own = keys(config(|it| {
            (it.access_key, it.secret_key) = (Some("a".to_owned()), Some("b".to_owned()));
        }));
        assert_eq!(own, Ok(Some(("a".to_owned(), "b".to_owned()))));
        let in_file = || keys(config(|it| it.credentials = Some("keys".into())));
        assert!(in_file().unwrap_err().contains("keys"));
        std::fs::write(folder.path().join("keys"), "name\n\n  secret \n").unwrap();
        assert_eq!(in_file(), Ok(Some(("name".to_owned(), "secret".to_owned()))));
        std::fs::write(folder.path().join("keys"), "name\n").unwrap();
        assert!(in_file().unwrap_err().contains("two lines"));
    }

    #[test]
    fn keys_stay_out_of_the_log() {
        let secret = config(|it| it.secret_key = Some("s3cr3t".to_owned()));
        assert!(!format!("{:?}", S3(secret)).contains("s3cr3t"));
    }
}
