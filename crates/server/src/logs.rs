//! The log: text or JSON lines on standard error, at a level that can change while running.
//!
//! What may be logged is decided where it is logged: never the text of a message, a password or
//! a key. Other people's crates are heard from `warn` on only, since they do not know this rule.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};
use waxwing_kernel::config::sections::{LogFormat, LogLevel};

/// The running log.
#[derive(Clone, Debug)]
pub(crate) struct Logs(reload::Handle<Targets, Registry>);

impl Logs {
    /// Begins to log. Once per process; a second call changes nothing.
    pub(crate) fn start(level: LogLevel, format: LogFormat) -> Self {
        let (filter, handle) = reload::Layer::new(targets(level));
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = match format {
            LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
        Self(handle)
    }

    /// Changes the level.
    pub(crate) fn set_level(&self, level: LogLevel) {
        let _ = self.0.reload(targets(level));
    }
}

fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // What the resolver warns of, strangers' zones say; we say it in our own words.
    let others = own.min(LevelFilter::WARN);
    Targets::new()
        .with_default(others)
        .with_target("hickory", others.min(LevelFilter::ERROR))
        .with_target("waxwing", own)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn others_are_heard_from_warn_on() {
        let debug = targets(LogLevel::Debug);
        assert!(debug.would_enable("waxwing_kernel::session", &Level::DEBUG));
        assert!(debug.would_enable("hyper", &Level::WARN));
        assert!(!debug.would_enable("hyper", &Level::INFO));
        assert!(!debug.would_enable("hickory_net::dnssec", &Level::WARN));
        let error = targets(LogLevel::Error);
        assert!(!error.would_enable("waxwing_net", &Level::WARN));
        assert!(!error.would_enable("hyper", &Level::WARN));
    }
}
