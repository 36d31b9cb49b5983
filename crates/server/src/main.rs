//! Waxwing, an XMPP server: one program, everything in it.

mod cli;
mod control;
mod direct;
mod logs;
mod metrics;
mod modules;
mod pages;
mod serve;
mod server;
mod welcome;
mod wiring;

use std::process::ExitCode;

use waxwing_kernel::config::SectionAbout;

use self::cli::{Program, Setup};
use self::logs::Logs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        modules: sections,
        commands: direct::commands,
        serve: run,
        routes: direct::routes,
        direct: Some(direct::run),
    };
    cli::main(&program, std::env::args_os())
}

/// What the modules let the operator set.
fn sections() -> Vec<&'static SectionAbout> {
    modules::MODULES.iter().map(|mount| &mount.section).collect()
}

/// Serves until asked to end.
fn run(setup: Setup) -> ExitCode {
    let server = &setup.config.server;
    let logs = Logs::start(server.log_level, server.log_format);
    let (data, config) = (server.data.clone(), setup.config.clone());
    let reread = Box::new(move || setup.again(&sections()));
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads can be started: {error}"))
        .and_then(|runtime| {
            runtime.block_on(serve::serve(server::Setup { config, data, reread, logs }))
        });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use waxwing_kernel::config::{example, reference};

    /// What users read about the configuration is reviewed where it changes. To renew:
    ///
    /// ```text
    /// cargo run -- config reference > golden/config.md
    /// cargo run -- config example > golden/waxwing.toml
    /// ```
    #[test]
    fn the_pages_about_the_configuration_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden");
        let sections = super::sections();
        for (name, current) in
            [("config.md", reference(&sections)), ("waxwing.toml", example(&sections))]
        {
            let golden = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            assert_eq!(golden, current, "golden/{name} is stale");
        }
    }
}
