//! What needs no running server: the routes, the list of commands, and commands on the database.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use waxwing_kernel::clock::Clock;
use waxwing_kernel::command::CommandAbout;
use waxwing_kernel::config::Config;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::{Hub, Site, Sites};
use waxwing_net::Fetcher;
use waxwing_store::{Db, Location};

use crate::cli::Setup;
use crate::control::{Request, Response, lock};
use crate::{server, wiring};

/// The table of routes of the first host, in words.
pub(crate) fn routes(setup: Setup) -> Result<String, String> {
    let describe = async move {
        let (_hub, sites) = open(&setup.config, &Location::Memory).await?;
        Ok(sites.first().map(|site| site.router.describe()).unwrap_or_default())
    };
    wait(describe)
}

/// The same with every module at its defaults.
#[cfg(test)]
pub(crate) fn default_routes() -> String {
    let describe = async {
        let config = Config::defaults(&crate::sections());
        let (_hub, sites) = open(&config, &Location::Memory).await?;
        Ok(sites[0].router.describe())
    };
    wait(describe).expect("the modules start with their defaults")
}

/// Every command that a module declares, sorted by its words.
pub(crate) fn commands() -> Vec<&'static CommandAbout> {
    let list = async {
        let config = Config::defaults(&crate::sections());
        let (_hub, sites) = open(&config, &Location::Memory).await?;
        let abouts = sites.iter().flat_map(|site| site.router.commands());
        Ok(abouts.map(|command| command.about()).collect())
    };
    let mut abouts: Vec<&'static CommandAbout> =
        wait(list).expect("the modules start with their defaults");
    abouts.sort_by_key(|about| about.words);
    abouts
}

/// Carries out a command on the database, as long as no server has it open.
pub(crate) fn run(setup: Setup, request: Request) -> Result<Response, String> {
    let Request::Run { words, values } = request else {
        return Err("no server is running; it reads its configuration when it starts".to_owned());
    };
    let run = async move {
        let data = setup.config.server.data.clone();
        let location = wiring::location(&setup.config.storage, &data);
        if let Location::Sqlite { path, .. } = &location
            && !path.exists()
        {
            return Err(nothing_there(&data));
        }
        // Held so that no server starts meanwhile.
        let _lock = lock(&data).map_err(|error| error.to_string())?;
        let (hub, _sites) = open(&setup.config, &location).await?;
        let answer = server::run(&hub, &words, values).await;
        hub.db().clone().close().await.map_err(|error| error.to_string())?;
        Ok(Response::from(answer))
    };
    wait(run)
}

fn nothing_there(data: &Path) -> String {
    format!(
        "no server is running on the data folder {}, and there is no database in it yet\nstart one \
         with `waxwing serve`, or name its folder with --data or its file with --config",
        data.display()
    )
}

/// The modules on a database, with nothing listening.
async fn open(config: &Config, location: &Location) -> Result<(Hub, Vec<Arc<Site>>), String> {
    let db = Db::open(location, wiring::store_limits(&config.storage));
    let db = db.await.map_err(|error| error.to_string())?;
    db.migrate(&wiring::tables()).await.map_err(|error| error.to_string())?;
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), "release"));
    let hub = Hub::new(db, Clock::system(), wiring::limits(&config.limits), metrics);
    hub.restore().await.map_err(|error| error.to_string())?;
    hub.keep_files_in(config.server.data.clone());
    hub.policy().set(wiring::rules(config));
    // Files may be in object storage.
    hub.fetch_with(Arc::new(Fetcher::new(&wiring::net_limits(config))));
    // The secret makes up salts for streams, of which there are none.
    let sites = wiring::sites(&hub, config, [0; 32]).map_err(|error| error.to_string())?;
    hub.serve(Sites::new(sites.clone()));
    Ok((hub, sites))
}

fn wait<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.map_err(|error| format!("no threads can be started: {error}"))?.block_on(work)
}
