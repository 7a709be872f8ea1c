//! The workspace, read from `cargo metadata` and files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The repository root.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read_file(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A package of the workspace.
pub(crate) struct WorkspacePackage {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) is_published: bool,
    pub(crate) rust_version: String,
    pub(crate) metadata: Value,
    pub(crate) dependencies: Vec<PackageDependency>,
    /// The root files of its library and binaries.
    pub(crate) target_roots: Vec<PathBuf>,
    /// The same, including examples and benchmarks.
    pub(crate) source_roots: Vec<PathBuf>,
}

pub(crate) struct PackageDependency {
    pub(crate) name: String,
    /// Whether it is a dev-dependency.
    pub(crate) is_dev: bool,
    /// Whether it is part of this repository.
    pub(crate) is_ours: bool,
}

/// All packages, by name.
pub(crate) fn workspace_packages() -> Vec<WorkspacePackage> {
    let metadata = cargo_metadata(&["--no-deps"]);
    metadata["packages"].as_array().unwrap().iter().map(WorkspacePackage::from_json).collect()
}

/// Output of `cargo metadata`; without `--no-deps` it may download packages of `Cargo.lock` that were never
/// built on this machine.
pub(crate) fn cargo_metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(workspace_root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

impl WorkspacePackage {
    fn from_json(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let roots = |kinds: &[&str]| {
            let has_kind = |target: &&Value| {
                let mut its_kinds = target["kind"].as_array().unwrap().iter().filter_map(Value::as_str);
                its_kinds.any(|kind| kinds.contains(&kind))
            };
            let targets = value["targets"].as_array().unwrap().iter().filter(has_kind);
            targets.map(|target| target["src_path"].as_str().unwrap().into()).collect()
        };
        Self {
            name: text("name"),
            manifest_path: text("manifest_path").into(),
            // `publish = false` becomes an empty list of registries.
            is_published: value["publish"].is_null(),
            rust_version: text("rust_version"),
            metadata: value.clone(),
            dependencies: value["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(PackageDependency::from_json)
                .collect(),
            target_roots: roots(&["lib", "rlib", "cdylib", "bin"]),
            source_roots: roots(&["lib", "rlib", "cdylib", "bin", "example", "bench"]),
        }
    }

    /// Its normal and build dependencies, or only its dev-dependencies.
    pub(crate) fn dependencies_with_dev(&self, is_dev: bool) -> impl Iterator<Item = &PackageDependency> {
        self.dependencies.iter().filter(move |dependency| dependency.is_dev == is_dev)
    }
}

impl PackageDependency {
    fn from_json(value: &Value) -> Self {
        Self {
            name: value["name"].as_str().unwrap().to_owned(),
            is_dev: value["kind"] == "dev",
            is_ours: value["path"].is_string(),
        }
    }
}
