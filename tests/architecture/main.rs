//! The rules of the house that are facts about its files: who may import whom, and what each manifest has to say.
//!
//! `cargo metadata` and the files are read; nothing is built or measured.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod dependencies;
mod manifests;
mod workspace;
