//! The rules of ARCHITECTURE.md that can be checked from files: dependencies between crates, import cycles
//! between files, manifests.
//!
//! The tests read `cargo metadata` and the files; they do not build or measure anything.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

mod dependencies;
mod documents;
mod manifests;
mod modules;
mod workspace;
