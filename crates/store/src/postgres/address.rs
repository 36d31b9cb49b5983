//! Where the server is, and how a connection to it is prepared.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::link::Link;
use crate::OpenError;

/// How long a connection may take to come about.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How much longer than the server's own limit an answer is waited for: the server is to speak
/// first, because its word is definite.
const GRACE: Duration = Duration::from_secs(2);
/// How soon a silent connection is looked after.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// A server, a database and a schema.
pub(super) struct Address {
    config: Config,
    schema: Option<String>,
    /// How long the server may take to answer.
    wait: Duration,
    /// Host and database for messages, without the password.
    name: String,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

impl Address {
    pub(super) fn parse(
        url: &str,
        schema: Option<&str>,
        wait: Duration,
    ) -> Result<Self, OpenError> {
        // The parser's own words never repeat the URL, which may hold a password.
        let mut config: Config = url.parse().map_err(|error| {
            OpenError::Address(format!(
                "{error}; expected postgres://user:password@host:port/database"
            ))
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(OpenError::Address(
                "sslmode=require is asked for, and connections to PostgreSQL are not encrypted; \
                 use a Unix socket, the loopback or a private network, and leave sslmode out"
                    .into(),
            ));
        }
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if let Some(schema) = schema
            && (schema.is_empty() || schema.len() > 63 || !schema.chars().all(legal))
        {
            return Err(OpenError::Address(format!(
                "{schema:?} is no name for a schema; use lower-case letters, digits and _"
            )));
        }
        config
            .ssl_mode(SslMode::Disable)
            .application_name("waxwing")
            .connect_timeout(CONNECT_WAIT)
            .keepalives_idle(KEEPALIVE_IDLE)
            .tcp_user_timeout(wait);
        let name = describe(&config);
        Ok(Self { config, schema: schema.map(str::to_owned), wait, name })
    }

    /// The first connection: tells apart why there is none, and makes the schema.
    pub(super) async fn open(&self) -> Result<Link, OpenError> {
        let server = || self.name.clone();
        let unreachable = |cause| OpenError::Unreachable { server: server(), cause };
        let connect = async {
            let (client, connection) = self.config.connect(NoTls).await?;
            let link = Link::new(client, connection, self.wait + GRACE);
            if let Some(schema) = &self.schema {
                link.command(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
            }
            link.command(&self.greeting(Use::Write)).await?;
            Ok(link)
        };
        let opened: Result<Link, tokio_postgres::Error> = timeout(CONNECT_WAIT, connect)
            .await
            .map_err(|_| unreachable("it took too long to connect".into()))?;
        let refused = |cause| OpenError::Refused { server: server(), cause };
        opened.map_err(|error| match error.code() {
            // The client's own word when the server asks for one.
            None if words(&error).contains("password missing") => {
                refused("the server asks for a password, and the address has none".into())
            }
            None => unreachable(words(&error)),
            Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => unreachable(words(&error)),
            Some(_) => refused(words(&error)),
        })
    }

    /// Any later connection.
    pub(super) async fn connect(&self, purpose: Use) -> Result<Link, String> {
        let connect = async {
            let (client, connection) = self.config.connect(NoTls).await?;
            let link = Link::new(client, connection, self.wait + GRACE);
            link.command(&self.greeting(purpose)).await?;
            Ok(link)
        };
        match timeout(CONNECT_WAIT, connect).await {
            Ok(connected) => connected.map_err(|error: tokio_postgres::Error| words(&error)),
            Err(_) => Err("it took too long to connect".into()),
        }
    }

    /// The settings every connection starts with. A commit that is reported has reached the disk,
    /// whatever the server's default is.
    fn greeting(&self, purpose: Use) -> String {
        let seconds = self.wait.as_secs();
        let mut sql = format!(
            "SET client_min_messages = warning; SET statement_timeout = '{seconds}s'; \
             SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') = 'off';"
        );
        if purpose == Use::Read {
            sql.push_str("SET default_transaction_read_only = on;");
        }
        if let Some(schema) = &self.schema {
            sql.push_str(&format!("SET search_path = {schema};"));
        }
        sql
    }
}

fn describe(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("its default database");
    format!("{host}:{port} ({database})")
}

/// The error with its cause, which is where the operating system's words are.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str, schema: Option<&str>) -> String {
        match Address::parse(url, schema, Duration::from_secs(1)) {
            Ok(_) => panic!("{url} is refused"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn encryption_that_cannot_be_had_is_refused() {
        let text = refusal("postgres://u:secret@h/d?sslmode=require", None);
        assert!(text.contains("sslmode") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn nonsense_is_refused_without_repeating_the_password() {
        let text = refusal("postgres://u:secret@h:port/d", None);
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn a_schema_has_a_plain_name() {
        assert!(refusal("postgres://h/d", Some("a; DROP")).contains("schema"));
    }
}
