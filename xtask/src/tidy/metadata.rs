//! What `cargo metadata` says, as far as tidy asks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The packages of the whole graph, by their ids.
pub(super) struct Metadata {
    pub(super) packages: BTreeMap<String, Package>,
    pub(super) members: BTreeSet<String>,
}

pub(super) struct Package {
    pub(super) name: String,
    pub(super) licence: Option<String>,
    pub(super) links: Vec<Link>,
}

/// One package needs another.
pub(super) struct Link {
    pub(super) to: String,
    /// False when only tests need it.
    pub(super) is_shipped: bool,
}

pub(super) fn read(root: &Path) -> Result<Metadata, String> {
    let output = cargo(root, &["metadata", "--format-version", "1"])?;
    let value = serde_json::from_str(&output).map_err(|error| error.to_string())?;
    Ok(parse(&value))
}

/// Names of everything that is built for these packages, as `cargo tree` selects them: the features
/// of one package alone, where `cargo metadata` mixes those of the whole workspace.
pub(super) fn built(root: &Path, selection: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut arguments = vec!["tree", "--prefix", "none", "--format", "{p}", "--target", "all"];
    arguments.extend(selection);
    let output = cargo(root, &arguments)?;
    Ok(output
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("{cargo} {}: {error}", arguments[0]))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

pub(super) fn parse(value: &Value) -> Metadata {
    let mut packages = BTreeMap::new();
    for package in list(&value["packages"]) {
        let licence = package["license"].as_str().map(str::to_owned);
        let entry = Package { name: text(&package["name"]), licence, links: Vec::new() };
        packages.insert(text(&package["id"]), entry);
    }
    for node in list(&value["resolve"]["nodes"]) {
        let links = list(&node["deps"]).map(|dep| Link {
            to: text(&dep["pkg"]),
            is_shipped: list(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"),
        });
        if let Some(package) = packages.get_mut(&text(&node["id"])) {
            package.links = links.collect();
        }
    }
    Metadata { packages, members: list(&value["workspace_members"]).map(text).collect() }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
