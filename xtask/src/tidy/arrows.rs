//! Who may know whom: `server → console, net, modules → kernel → store, mesh, stream → stanza →
//! jid, xml`. Modules and net never see each other; what is free of IO has no tokio below it.

use std::path::Path;

use super::Finding;
use super::metadata::{Metadata, built};

/// What each crate may depend on; a crate that is not named here may depend on none of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("stanza", &["jid", "xml"]),
    ("stream", &["stanza", "jid", "xml"]),
    ("store", &["stanza", "jid", "xml"]),
    ("mesh", &["stanza", "jid", "xml"]),
    ("kernel", &["store", "mesh", "stream", "stanza", "jid", "xml"]),
    ("modules", &["kernel", "store", "mesh", "stream", "stanza", "jid", "xml"]),
    ("net", &["kernel", "store", "mesh", "stream", "stanza", "jid", "xml"]),
    ("console", &["kernel", "store", "mesh", "stream", "stanza", "jid", "xml"]),
    ("testkit", &["modules", "net", "kernel", "store", "mesh", "stream", "stanza", "jid", "xml"]),
    ("bench", &["testkit", "modules", "store", "stream", "stanza", "jid", "xml"]),
    (
        "server",
        &["console", "modules", "net", "kernel", "store", "mesh", "stream", "stanza", "jid", "xml"],
    ),
];

/// Free of IO: neither a runtime nor sockets below them.
const PURE: &[&str] = &["xml", "jid", "stanza", "stream"];
const RUNTIMES: &[&str] = &["tokio", "mio", "async-std", "smol", "socket2"];
const PREFIX: &str = "waxwing-";

/// Arrows that point the wrong way.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for id in &metadata.members {
        let package = &metadata.packages[id];
        let Some(name) = package.name.strip_prefix(PREFIX) else { continue };
        let allowed = ARROWS.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| to);
        for link in &package.links {
            let to = metadata.packages[&link.to].name.as_str();
            let Some(to) = to.strip_prefix(PREFIX) else { continue };
            // Tests may use the test kit, and a crate may test itself through it.
            let is_fine_in_tests = !link.is_shipped && (to == "testkit" || to == name);
            if !allowed.contains(&to) && !is_fine_in_tests {
                findings.push(wrong(name, format!("{name} → {to} is no arrow of ours")));
            }
        }
    }
    findings
}

/// Runtimes below what must be free of them.
pub(super) fn check_pure(root: &Path) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for name in PURE {
        let package = format!("{PREFIX}{name}");
        let built = built(root, &["-p", &package, "-e", "normal,build"])?;
        let runtimes = RUNTIMES.iter().filter(|runtime| built.contains(**runtime));
        findings.extend(runtimes.map(|runtime| impure(name, runtime)));
    }
    Ok(findings)
}

fn wrong(name: &str, what: String) -> Finding {
    Finding {
        file: format!("crates/{name}/Cargo.toml"),
        line: 0,
        what,
        why: "a crate that knows fewer others can be understood and tested alone",
        remedy: "let what both need sink to a crate below them; see ARCHITECTURE.md",
    }
}

fn impure(name: &str, runtime: &str) -> Finding {
    Finding {
        file: format!("crates/{name}/Cargo.toml"),
        line: 0,
        what: format!("{runtime} is in its dependency tree"),
        why: "the protocol's machines are free of IO, so that a test drives them byte by byte",
        remedy: "`cargo tree -p` this crate with `-i` that one tells who brings it; leave that out",
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::parse;
    use super::*;

    /// A graph from `from>to` (shipped) and `from~to` (tests only).
    fn graph(links: &[&str]) -> Metadata {
        let mut names: Vec<&str> = links.iter().flat_map(|link| link.split(['>', '~'])).collect();
        names.sort_unstable();
        names.dedup();
        let id = |name: &str| format!("{PREFIX}{name}");
        let node = |name: &&str| {
            let deps = links.iter().filter_map(|link| {
                let kind = if link.contains('~') { "dev".into() } else { serde_json::Value::Null };
                let (from, to) = link.split_once(['>', '~'])?;
                (from == *name).then(|| {
                    serde_json::json!({
                        "pkg": id(to), "dep_kinds": [{ "kind": kind }]
                    })
                })
            });
            serde_json::json!({ "id": id(name), "deps": deps.collect::<Vec<_>>() })
        };
        let packages: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({ "id": id(name), "name": id(name) }))
            .collect();
        let members: Vec<_> = names.iter().map(|name| id(name)).collect();
        parse(&serde_json::json!({
            "packages": packages,
            "workspace_members": members,
            "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
        }))
    }

    fn found(links: &[&str]) -> Vec<String> {
        check(&graph(links)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(found(&["server>net", "net>kernel", "kernel>store", "stanza>xml"]).is_empty());
        assert_eq!(found(&["kernel>net"]), ["kernel → net is no arrow of ours"]);
        assert_eq!(found(&["xml>jid"]), ["xml → jid is no arrow of ours"]);
    }

    #[test]
    fn modules_and_net_do_not_know_each_other_not_even_in_tests() {
        assert_eq!(found(&["modules~net"]), ["modules → net is no arrow of ours"]);
        assert_eq!(found(&["net>modules"]), ["net → modules is no arrow of ours"]);
        assert!(found(&["modules~testkit", "testkit>modules"]).is_empty());
    }
}
