//! Waxwing, an XMPP server: one program, everything in it.

mod certificates;
mod cli;
mod control;
mod direct;
mod estate;
#[cfg(test)]
mod golden;
mod logs;
mod metrics;
mod modules;
mod pages;
mod peers;
mod serve;
mod server;
mod steward;
mod welcome;
mod wiring;

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use waxwing_kernel::Ending;
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
    let reread = Box::new(move |edit: estate::Edit<'_>| setup.again(&sections(), edit));
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads can be started: {error}"))
        .and_then(|runtime| {
            runtime.block_on(serve::serve(server::Setup { config, data, reread, logs }))
        });
    match served {
        Ok(Ending::Stop) => ExitCode::SUCCESS,
        Ok(Ending::Restart) => begin_anew(),
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes the program anew, as it was called: another version by now, perhaps. Whoever watches
/// over this process goes on watching it.
fn begin_anew() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_else(|| "waxwing".into());
    let error = std::process::Command::new(program).args(arguments).exec();
    eprintln!("the server has stopped and could not be started anew: {error}");
    ExitCode::FAILURE
}
