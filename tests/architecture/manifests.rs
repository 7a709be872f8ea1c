//! Rules for manifests and crate roots.

use std::process::Command;

use crate::workspace::{WorkspacePackage, cargo_metadata, read_file, workspace_packages, workspace_root};

/// A C interface requires `unsafe`; this crate is not published.
const UNSAFE_CRATE: &str = "fake-nvml";

#[test]
fn only_fake_nvml_allows_unsafe() {
    let crates = workspace_root().join("crates");
    for package in workspace_packages().iter().filter(|package| package.name != UNSAFE_CRATE) {
        let manifest = parse_manifest(package);
        let inherits_lints = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(
            inherits_lints,
            Some(true),
            "{} does not inherit the workspace's lints, which forbid it",
            package.name
        );
        // Crates that users build also forbid it in their source.
        for path in package.target_roots.iter().filter(|path| path.starts_with(&crates)) {
            let forbids = read_file(path).lines().any(|line| line == "#![forbid(unsafe_code)]");
            assert!(forbids, "{} does not forbid unsafe code", path.display());
        }
    }
}

#[test]
fn published_dependencies_have_reason_comments() {
    for package in workspace_packages().iter().filter(|package| package.is_published) {
        for (dependency, is_explained) in dependencies_with_reasons(&read_file(&package.manifest_path)) {
            let is_ours = dependency.starts_with("sootprint");
            assert!(is_ours || is_explained, "{}: no reason for {dependency}", package.name);
        }
    }
    let workspace = read_file(workspace_root().join("Cargo.toml"));
    let (_, workspace) = workspace.split_once("[workspace.dependencies]").unwrap();
    let groups = workspace.split("\n\n").take_while(|group| !group.trim_start().starts_with('['));
    assert!(
        groups.into_iter().all(|group| group.trim_start().starts_with('#')),
        "a group of dependencies has no comment"
    );
}

#[test]
fn reason_comment_must_be_directly_above() {
    let manifest =
        "[dependencies]\n# Why.\na.workspace = true\nb = \"1\"\n\n# A word.\n\nc = \"1\"\n[lints]\nd = 1\n";
    let found: Vec<(&str, bool)> = dependencies_with_reasons(manifest).collect();
    assert_eq!(found, [("a", true), ("b", false), ("c", false)]);
}

#[test]
fn published_crates_have_metadata() {
    for package in workspace_packages().iter().filter(|package| package.is_published) {
        for key in ["description", "license", "repository", "readme"] {
            assert!(package.metadata[key].is_string(), "{} has no {key}", package.name);
        }
        for key in ["keywords", "categories"] {
            let words = package.metadata[key].as_array().map_or(0, Vec::len);
            assert!((1..=5).contains(&words), "{} has {words} {key}", package.name);
        }
        for text in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let file = package.manifest_path.with_file_name(text);
            assert_eq!(
                read_file(&file),
                read_file(workspace_root().join(text)),
                "{} is published without it",
                file.display()
            );
        }
    }
}

#[test]
fn dependencies_support_declared_rust_version() {
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let ours = workspace_packages();
    let minimum = &ours[0].rust_version;
    assert!(
        ours.iter().all(|package| package.rust_version == *minimum),
        "not all packages require {minimum}"
    );

    let host = host_triple();
    let all = cargo_metadata(&["--filter-platform", &host]);
    let newer: Vec<String> = all["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| {
            let required = package["rust_version"].as_str()?;
            (version(required) > version(minimum)).then(|| format!("{} asks for {required}", package["name"]))
        })
        .collect();
    assert!(newer.is_empty(), "{newer:?}");
}

#[test]
fn burn_crate_follows_burn_version() {
    let manifest: toml::Table = read_file(workspace_root().join("Cargo.toml")).parse().unwrap();
    let burn = manifest["workspace"]["dependencies"]["burn"]["version"].as_str().unwrap();
    let burn_crate =
        workspace_packages().into_iter().find(|package| package.name == "sootprint-burn").unwrap();
    let burn_crate_version = burn_crate.metadata["version"].as_str().unwrap().to_owned();
    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(minor(&burn_crate_version), minor(burn));
}

/// Each dependency of a manifest, and whether the line above it is a comment.
fn dependencies_with_reasons(manifest: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut inside = false;
    let mut above = "";
    manifest.lines().filter_map(move |line| {
        let before = std::mem::replace(&mut above, line);
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            return None;
        }
        let is_entry = inside && line.starts_with(|letter: char| letter.is_ascii_lowercase());
        let end = line.find(['.', ' ', '='])?;
        is_entry.then(|| (&line[..end], before.starts_with('#')))
    })
}

fn parse_manifest(package: &WorkspacePackage) -> toml::Table {
    read_file(&package.manifest_path).parse().unwrap()
}

/// The host target triple.
fn host_triple() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
