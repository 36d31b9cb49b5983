//! What the web side of the server answers, from the configuration.

use waxwing_kernel::config::{Config, Host as HostSettings};
use waxwing_net::Kind;
use waxwing_net::bosh::BOSH_PATH;
use waxwing_net::http::{
    Discovery, Everything, Proxies, SERVER_WEBSOCKET_PATH, WEBSOCKET_PATH, host_in_url,
};
use waxwing_net::websocket::handshake::Origins;

use super::listeners;

/// What HTTP answers besides the pages.
///
/// # Errors
/// A sentence for the operator: a public address that no browser could use.
pub(crate) fn http_site(config: &Config) -> Result<waxwing_net::http::Site, String> {
    let domain = first_domain(config);
    let (websocket, bosh) = match &config.http.public_url {
        Some(url) => (url.to_websocket(), url.as_str().to_owned()),
        None => {
            let addresses = listeners(config);
            let https = addresses.iter().find(|listener| listener.kind == Kind::Https);
            let port = https.map_or(443, |listener| listener.address.port());
            (format!("wss://{domain}:{port}"), format!("https://{domain}:{port}"))
        }
    };
    let networks = config.http.trusted_proxies.iter().filter_map(|n| n.to_string().parse().ok());
    Ok(waxwing_net::http::Site {
        routes: Vec::new(),
        folders: Vec::new(),
        websocket_paths: vec![WEBSOCKET_PATH.to_owned(), "/ws".to_owned()],
        server_websocket_paths: server_websockets(config),
        deflate: None,
        bosh_paths: vec![BOSH_PATH.to_owned()],
        origins: endpoint_origins(config),
        discovery: discovery(&websocket, &(bosh + BOSH_PATH), config),
        proxies: Proxies { networks: networks.collect(), ..Proxies::default() },
    })
}

/// Where other servers open WebSockets; nowhere where none are talked with.
fn server_websockets(config: &Config) -> Vec<String> {
    let path = config.federates().then(|| SERVER_WEBSOCKET_PATH.to_owned());
    path.into_iter().collect()
}

/// What clients are told of the ways in, and other servers where they are talked with; nothing
/// where those are not safe.
fn discovery(origin: &str, bosh: &str, config: &Config) -> Option<Discovery> {
    let websocket = format!("{origin}{WEBSOCKET_PATH}");
    let mut discovery = Discovery::new(Some(&websocket), Some(bosh), Vec::new()).ok()?;
    if config.federates() {
        discovery = discovery.with_servers(&format!("{origin}{SERVER_WEBSOCKET_PATH}")).ok()?;
    }
    let ips: Vec<_> = config.http.addresses.iter().map(|address| address.ip()).collect();
    if ips.is_empty() {
        return Some(discovery);
    }
    let addresses = listeners(config);
    let port = |kind| {
        let listener = addresses.iter().find(|listener| listener.kind == kind);
        listener.map(|listener| listener.address.port())
    };
    Some(discovery.with_everything(Everything {
        ips,
        tls_port: port(Kind::XmppTls),
        server_tls_port: port(Kind::ServerTls).filter(|_| config.federates()),
        sni: first_domain(config),
    }))
}

/// The first domain, as URLs have it.
fn first_domain(config: &Config) -> String {
    let first = config.hosts.first().map(|host| host.config.domain.as_str());
    host_in_url(first.unwrap_or("localhost"))
}

/// The web origins that a host lists, itself or by `http.origins`; none where every page may come.
pub(super) fn origins<'a>(host: &'a HostSettings, config: &'a Config) -> &'a [String] {
    let own = host.config.origins.as_slice();
    let listed = if own.is_empty() { &config.http.origins } else { own };
    if listed.iter().any(|origin| origin == "*") { &[] } else { listed }
}

/// What the endpoint admits: whom any host admits. Which host is meant is known only once the
/// stream opens, where the host's own list counts.
fn endpoint_origins(config: &Config) -> Origins {
    let lists: Vec<&[String]> = config.hosts.iter().map(|host| origins(host, config)).collect();
    match lists.iter().any(|listed| listed.is_empty()) {
        true => Origins::Any,
        false => Origins::Only(lists.concat()),
    }
}

#[cfg(test)]
mod tests {
    use waxwing_kernel::config::Source;

    use super::*;

    #[test]
    fn the_endpoint_admits_whom_any_host_admits() {
        let with = |http: &str, one: &str, two: &str| {
            let text = format!(
                "[http]\norigins = {http}\n[[host]]\ndomain = 'one.example'\norigins = {one}\n\
                 [[host]]\ndomain = 'two.example'\norigins = {two}\n"
            );
            let sections = crate::sections();
            endpoint_origins(
                &Config::read(Source { name: "test", text: &text }, &sections).unwrap(),
            )
        };
        let only = |list: &[&str]| Origins::Only(list.iter().map(|one| one.to_string()).collect());
        assert_eq!(with("[]", "[]", "['https://b']"), Origins::Any);
        assert_eq!(with("['https://a']", "[]", "['https://b']"), only(&["https://a", "https://b"]));
        assert_eq!(with("['https://a']", "['*']", "['https://b']"), Origins::Any);
        assert_eq!(
            with("['*']", "['https://a']", "['https://b']"),
            only(&["https://a", "https://b"])
        );
    }

    /// XEP-0468: who talks with no other servers names no WebSocket for them, and has none.
    #[test]
    fn other_servers_are_told_where_they_are_talked_with() {
        for (enabled, count) in [(true, 1), (false, 0)] {
            let text = format!(
                "[federation]\nenabled = {enabled}\n[http]\npublic_url = 'https://x.example'\n\
                 addresses = ['203.0.113.7']\n[[host]]\ndomain = 'x.example'\n"
            );
            let sections = crate::sections();
            let config = Config::read(Source { name: "test", text: &text }, &sections).unwrap();
            let site = http_site(&config).unwrap();
            assert_eq!(site.server_websocket_paths.len(), count);
            let told = format!("{:?}", site.discovery.unwrap());
            assert_eq!(told.matches("wss://x.example/xmpp-server-websocket").count(), count);
            assert_eq!(told.contains("server_tls_port: Some"), enabled, "{told}");
        }
    }
}
