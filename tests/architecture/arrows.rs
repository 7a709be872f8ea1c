//! Who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{packages, read, root};

/// The house: each published crate and those of ours that it may import. Arrows only point up this list.
const HOUSE: [(&str, &[&str]); 7] = [
    ("sootprint", &[]),
    ("sootprint-live", &["sootprint"]),
    ("sootprint-card", &["sootprint"]),
    ("sootprint-hub", &["sootprint", "sootprint-card"]),
    ("sootprint-burn", &["sootprint"]),
    ("sootprint-candle", &["sootprint"]),
    ("sootprint-cli", &["sootprint", "sootprint-live", "sootprint-card", "sootprint-hub"]),
];

/// What tests may use of what is not published: the stand-ins for hardware and for the Hub.
const STAND_INS: [&str; 2] = ["fake-nvml", "fake-hub"];

/// The walls: a foreign crate, and the only published crates that may depend on it themselves.
const WALLS: [(&str, &[&str]); 20] = [
    ("nvml-wrapper", &["sootprint"]),
    ("csv", &["sootprint", "sootprint-cli"]),
    ("toml", &["sootprint"]),
    // The network.
    ("ureq", &["sootprint-live"]),
    ("hf-hub", &["sootprint-hub"]),
    ("reqwest", &["sootprint-hub"]),
    ("tokio", &["sootprint-hub"]),
    ("axum", &[]),
    ("xet-client", &[]),
    // YAML and the picture.
    ("saphyr-parser", &["sootprint-card"]),
    ("plotters", &["sootprint-card"]),
    ("ttf-noto-sans", &["sootprint-card"]),
    // The frameworks.
    ("burn", &["sootprint-burn"]),
    ("burn-tensor", &["sootprint-burn"]),
    ("candle-core", &["sootprint-candle"]),
    ("candle-nn", &[]),
    // The terminal.
    ("clap", &["sootprint-cli"]),
    ("indicatif", &["sootprint-cli"]),
    ("anyhow", &["sootprint-cli"]),
    ("tracing-subscriber", &["sootprint-cli"]),
];

/// The two frameworks ask cudarc for different linking: a crate that had both could not be built for CUDA.
const APART: [&str; 2] = ["burn", "candle-core"];

#[test]
fn each_published_crate_imports_only_from_above_itself() {
    let packages = packages();
    let published: BTreeSet<&str> =
        packages.iter().filter(|package| package.is_published).map(|package| package.name.as_str()).collect();
    assert_eq!(published, HOUSE.map(|(name, _)| name).into(), "the table is of other crates");
    for (name, allowed) in HOUSE {
        let package = packages.iter().find(|package| package.name == name).unwrap();
        for dependency in package.dependencies.iter().filter(|dependency| dependency.is_ours) {
            let may = allowed.contains(&dependency.name.as_str());
            // A crate names itself in its tests to have its own features there.
            let may_in_tests = dependency.is_dev
                && (STAND_INS.contains(&dependency.name.as_str()) || dependency.name == name);
            assert!(may || may_in_tests, "{name} may not depend on {}", dependency.name);
        }
    }
}

#[test]
fn the_table_of_the_house_points_up_and_the_document_has_the_same_order() {
    for (position, (name, allowed)) in HOUSE.iter().enumerate() {
        let above: Vec<&str> = HOUSE[..position].iter().map(|(name, _)| *name).collect();
        assert!(allowed.iter().all(|it| above.contains(it)), "{name} points down");
    }
    let document = read(root().join("ARCHITECTURE.md"));
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let told: Vec<&str> = rows.map(|(name, _)| name).filter(|name| name.starts_with("sootprint")).collect();
    let told: Vec<&str> = told.into_iter().filter(|name| !name.contains("::")).collect();
    assert_eq!(told[told.len() - HOUSE.len()..], HOUSE.map(|(name, _)| name));
}

#[test]
fn foreign_dependencies_stay_behind_their_walls() {
    let packages = packages();
    for (foreign, may) in WALLS {
        let have: BTreeSet<&str> = packages
            .iter()
            .filter(|package| package.is_published)
            .filter(|package| package.needs(false).any(|dependency| dependency.name == foreign))
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(have, may.iter().copied().collect(), "who depends on {foreign}");
    }
}

#[test]
fn no_published_crate_reaches_both_frameworks() {
    let graph = locked();
    let packages = packages();
    for package in packages.iter().filter(|package| package.is_published) {
        let direct = package.needs(false).map(|dependency| dependency.name.clone());
        let reached = reached(&graph, direct);
        let both = APART.iter().all(|framework| reached.contains(*framework));
        assert!(!both, "{} depends on {APART:?}", package.name);
    }
    // The search finds what it looks for: each is reached by its own hook.
    let hook = |name: &str| reached(&graph, [name.to_owned()]);
    assert!(hook("sootprint-burn").contains("burn") && hook("sootprint-candle").contains("candle-core"));
}

/// From each package of `Cargo.lock` to those that it names, all versions of one name together.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = read(root().join("Cargo.lock")).parse().unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap().to_owned();
        let dependencies = package.get("dependencies").and_then(|list| list.as_array());
        // A name, with the version behind it where there are several.
        let names = dependencies.into_iter().flatten().filter_map(|it| it.as_str()?.split(' ').next());
        graph.entry(name).or_default().extend(names.map(str::to_owned));
    }
    graph
}

/// All that can be come to from some packages, themselves included. The lock file does not tell what is for tests only,
/// so that of our own packages the manifests' word is taken: only foreign ones are followed further.
fn reached(
    graph: &BTreeMap<String, BTreeSet<String>>,
    from: impl IntoIterator<Item = String>,
) -> BTreeSet<String> {
    let ours = packages();
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = from.into_iter().collect();
    while let Some(name) = open.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        match ours.iter().find(|package| package.name == name) {
            Some(package) => open.extend(package.needs(false).map(|dependency| dependency.name.clone())),
            None => open.extend(graph.get(&name).into_iter().flatten().cloned()),
        }
    }
    reached
}
