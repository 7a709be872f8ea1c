//! The workspace as cargo and the files tell of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) is_published: bool,
    pub(crate) rust_version: String,
    pub(crate) description: Value,
    pub(crate) dependencies: Vec<Dependency>,
    /// The root of its library, and those of its programs.
    pub(crate) roots: Vec<PathBuf>,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether it is there for tests only.
    pub(crate) is_dev: bool,
    /// Whether it lies in this repository.
    pub(crate) is_ours: bool,
}

/// All packages, by name.
pub(crate) fn packages() -> Vec<Package> {
    let metadata = metadata(&["--no-deps"]);
    metadata["packages"].as_array().unwrap().iter().map(Package::of).collect()
}

/// What cargo tells; without `--no-deps` it may fetch what is in `Cargo.lock` and was never built here.
pub(crate) fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

impl Package {
    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let is_root = |target: &&Value| {
            let kinds: BTreeSet<&str> =
                target["kind"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            ["lib", "rlib", "cdylib", "bin"].iter().any(|kind| kinds.contains(kind))
        };
        let targets = value["targets"].as_array().unwrap().iter().filter(is_root);
        Self {
            name: text("name"),
            manifest: text("manifest_path").into(),
            // `publish = false` is the empty list of registries.
            is_published: value["publish"].is_null(),
            rust_version: text("rust_version"),
            description: value.clone(),
            dependencies: value["dependencies"].as_array().unwrap().iter().map(Dependency::of).collect(),
            roots: targets.map(|target| target["src_path"].as_str().unwrap().into()).collect(),
        }
    }

    /// What it needs to be built, or only to be tested.
    pub(crate) fn needs(&self, dev: bool) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(move |dependency| dependency.is_dev == dev)
    }
}

impl Dependency {
    fn of(value: &Value) -> Self {
        Self {
            name: value["name"].as_str().unwrap().to_owned(),
            is_dev: value["kind"] == "dev",
            is_ours: value["path"].is_string(),
        }
    }
}
