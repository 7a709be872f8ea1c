//! The rules of ARCHITECTURE.md that are facts about files: dependencies between crates, circles between files, manifests.
//!
//! The tests read `cargo metadata` and the files; they build and measure nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first failure")]

mod dependencies;
mod documents;
mod manifests;
mod modules;
mod workspace;
