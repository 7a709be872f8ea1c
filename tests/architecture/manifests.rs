//! What each manifest and each crate's root has to say.

use std::process::Command;

use crate::workspace::{Package, metadata, packages, read, root};

/// A C interface cannot be written without `unsafe`; this one is not published.
const UNSAFE: &str = "fake-nvml";

#[test]
fn unsafe_code_is_forbidden_in_every_crate_but_the_scripted_library() {
    let crates = root().join("crates");
    for package in packages().iter().filter(|package| package.name != UNSAFE) {
        let manifest = parse(package);
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherits, Some(true), "{} has not the workspace's lints, which forbid it", package.name);
        // Those that others build say it themselves, too.
        for path in package.roots.iter().filter(|path| path.starts_with(&crates)) {
            let forbids = read(path).lines().any(|line| line == "#![forbid(unsafe_code)]");
            assert!(forbids, "{} does not forbid unsafe code", path.display());
        }
    }
}

#[test]
fn each_dependency_of_a_published_crate_has_its_reason_above_it() {
    for package in packages().iter().filter(|package| package.is_published) {
        for (dependency, is_explained) in explained(&read(&package.manifest)) {
            let is_ours = dependency.starts_with("sootprint");
            assert!(is_ours || is_explained, "{}: no reason for {dependency}", package.name);
        }
    }
    let workspace = read(root().join("Cargo.toml"));
    let (_, workspace) = workspace.split_once("[workspace.dependencies]").unwrap();
    let groups = workspace.split("\n\n").take_while(|group| !group.trim_start().starts_with('['));
    assert!(
        groups.into_iter().all(|group| group.trim_start().starts_with('#')),
        "a group says not what it is for"
    );
}

#[test]
fn a_reason_is_a_comment_right_above_and_none_further_up() {
    let manifest =
        "[dependencies]\n# Why.\na.workspace = true\nb = \"1\"\n\n# A word.\n\nc = \"1\"\n[lints]\nd = 1\n";
    let found: Vec<(&str, bool)> = explained(manifest).collect();
    assert_eq!(found, [("a", true), ("b", false), ("c", false)]);
}

#[test]
fn what_is_published_says_what_it_is() {
    for package in packages().iter().filter(|package| package.is_published) {
        for key in ["description", "license", "repository", "readme"] {
            assert!(package.description[key].is_string(), "{} has no {key}", package.name);
        }
        for key in ["keywords", "categories"] {
            let words = package.description[key].as_array().map_or(0, Vec::len);
            assert!((1..=5).contains(&words), "{} has {words} {key}", package.name);
        }
        for text in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let file = package.manifest.with_file_name(text);
            assert_eq!(read(&file), read(root().join(text)), "{} is published without it", file.display());
        }
    }
}

#[test]
fn no_dependency_asks_for_a_newer_compiler_than_the_crates_say() {
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let ours = packages();
    let least = &ours[0].rust_version;
    assert!(ours.iter().all(|package| package.rust_version == *least), "not all say {least}");

    let host = host();
    let all = metadata(&["--filter-platform", &host]);
    let newer: Vec<String> = all["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| {
            let asked = package["rust_version"].as_str()?;
            (version(asked) > version(least)).then(|| format!("{} asks for {asked}", package["name"]))
        })
        .collect();
    assert!(newer.is_empty(), "{newer:?}");
}

#[test]
fn burn_s_hook_has_burn_s_version() {
    let manifest: toml::Table = read(root().join("Cargo.toml")).parse().unwrap();
    let burn = manifest["workspace"]["dependencies"]["burn"]["version"].as_str().unwrap();
    let hook = packages().into_iter().find(|package| package.name == "sootprint-burn").unwrap();
    let hook = hook.description["version"].as_str().unwrap().to_owned();
    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(minor(&hook), minor(burn));
}

/// Each dependency of a manifest, and whether a comment stands right above it.
fn explained(manifest: &str) -> impl Iterator<Item = (&str, bool)> {
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

fn parse(package: &Package) -> toml::Table {
    read(&package.manifest).parse().unwrap()
}

/// The system that this was built on, as cargo calls it.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
