//! Allowed dependencies between crates.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::{read_file, workspace_packages, workspace_root};

/// The published crates in publication order, and the workspace crates that each may import.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 10] = [
    ("sootprint-core", &[]),
    ("sootprint-power", &["sootprint-core"]),
    ("sootprint", &["sootprint-core", "sootprint-power"]),
    ("sootprint-live", &["sootprint-core"]),
    ("sootprint-report", &["sootprint-core"]),
    ("sootprint-card", &["sootprint-core", "sootprint-report"]),
    ("sootprint-hub", &["sootprint-core", "sootprint", "sootprint-card", "sootprint-report"]),
    ("sootprint-burn", &["sootprint"]),
    ("sootprint-candle", &["sootprint"]),
    (
        "sootprint-cli",
        &["sootprint", "sootprint-live", "sootprint-report", "sootprint-card", "sootprint-hub"],
    ),
];

/// The unpublished crates that tests may use.
const TEST_FAKES: [&str; 3] = ["fake-nvml", "fake-hub", "digits"];

/// A third-party crate, and the only published crates that may depend on it directly.
const FOREIGN_DEPENDENCIES: [(&str, &[&str]); 20] = [
    ("nvml-wrapper", &["sootprint-power"]),
    ("csv", &["sootprint-core", "sootprint-power", "sootprint-report"]),
    ("toml", &["sootprint"]),
    // The network.
    ("ureq", &["sootprint-live"]),
    ("hf-hub", &["sootprint-hub"]),
    ("reqwest", &["sootprint-hub"]),
    ("tokio", &["sootprint-hub"]),
    ("axum", &[]),
    ("xet-client", &[]),
    // YAML and the plot.
    ("saphyr-parser", &["sootprint-card"]),
    ("plotters", &["sootprint-report"]),
    ("ttf-noto-sans", &["sootprint-report"]),
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

/// The two frameworks require different linking of cudarc: a crate with both could not be built for CUDA.
const EXCLUSIVE_FRAMEWORKS: [&str; 2] = ["burn", "candle-core"];

#[test]
fn crates_use_only_allowed_crates() {
    let packages = workspace_packages();
    let published: BTreeSet<&str> =
        packages.iter().filter(|package| package.is_published).map(|package| package.name.as_str()).collect();
    assert_eq!(published, ALLOWED_DEPENDENCIES.map(|(name, _)| name).into(), "the table is of other crates");
    for (name, allowed) in ALLOWED_DEPENDENCIES {
        let package = packages.iter().find(|package| package.name == name).unwrap();
        for dependency in package.dependencies.iter().filter(|dependency| dependency.is_ours) {
            let is_allowed = allowed.contains(&dependency.name.as_str());
            // In its tests, a crate may depend on itself to enable its own features, and on sootprint to test
            // whole runs.
            let is_allowed_in_tests = dependency.is_dev
                && (TEST_FAKES.contains(&dependency.name.as_str())
                    || ["sootprint", name].contains(&dependency.name.as_str()));
            assert!(is_allowed || is_allowed_in_tests, "{name} may not depend on {}", dependency.name);
        }
    }
}

#[test]
fn dependency_table_matches_architecture_document() {
    for (position, (name, allowed)) in ALLOWED_DEPENDENCIES.iter().enumerate() {
        let lower_crates: Vec<&str> =
            ALLOWED_DEPENDENCIES[..position].iter().map(|(name, _)| *name).collect();
        assert!(allowed.iter().all(|it| lower_crates.contains(it)), "{name} points down");
    }
    let document = read_file(workspace_root().join("ARCHITECTURE.md"));
    let (_, section) = document.split_once("## Crates").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: Vec<&str> = rows.map(|(name, _)| name).collect();
    assert_eq!(documented, ALLOWED_DEPENDENCIES.map(|(name, _)| name));
}

#[test]
fn foreign_dependencies_stay_in_allowed_crates() {
    let packages = workspace_packages();
    for (foreign, allowed) in FOREIGN_DEPENDENCIES {
        let dependents: BTreeSet<&str> = packages
            .iter()
            .filter(|package| package.is_published)
            .filter(|package| {
                package.dependencies_with_dev(false).any(|dependency| dependency.name == foreign)
            })
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(dependents, allowed.iter().copied().collect(), "dependents of {foreign}");
    }
}

#[test]
fn no_crate_reaches_both_frameworks() {
    let graph = lock_file_graph();
    let packages = workspace_packages();
    for package in packages.iter().filter(|package| package.is_published) {
        let direct = package.dependencies_with_dev(false).map(|dependency| dependency.name.clone());
        let reachable = reachable_packages(&graph, direct);
        let both = EXCLUSIVE_FRAMEWORKS.iter().all(|framework| reachable.contains(*framework));
        assert!(!both, "{} depends on {EXCLUSIVE_FRAMEWORKS:?}", package.name);
    }
    // Checks the search itself: each integration crate reaches its framework.
    let reached_by = |name: &str| reachable_packages(&graph, [name.to_owned()]);
    assert!(
        reached_by("sootprint-burn").contains("burn")
            && reached_by("sootprint-candle").contains("candle-core")
    );
}

/// Maps each package of `Cargo.lock` to its dependencies, merging all versions of a name.
fn lock_file_graph() -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = read_file(workspace_root().join("Cargo.lock")).parse().unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap().to_owned();
        let dependencies = package.get("dependencies").and_then(|list| list.as_array());
        // A name, followed by its version if there are several.
        let names = dependencies.into_iter().flatten().filter_map(|it| it.as_str()?.split(' ').next());
        graph.entry(name).or_default().extend(names.map(str::to_owned));
    }
    graph
}

/// All packages reachable from some packages, including those. The lock file does not mark dev-dependencies,
/// so for workspace packages the dependencies come from the manifests; the lock file is only used for
/// third-party packages.
fn reachable_packages(
    graph: &BTreeMap<String, BTreeSet<String>>,
    from: impl IntoIterator<Item = String>,
) -> BTreeSet<String> {
    let ours = workspace_packages();
    let mut reachable = BTreeSet::new();
    let mut open: Vec<String> = from.into_iter().collect();
    while let Some(name) = open.pop() {
        if !reachable.insert(name.clone()) {
            continue;
        }
        match ours.iter().find(|package| package.name == name) {
            Some(package) => {
                open.extend(package.dependencies_with_dev(false).map(|dependency| dependency.name.clone()))
            }
            None => open.extend(graph.get(&name).into_iter().flatten().cloned()),
        }
    }
    reachable
}
