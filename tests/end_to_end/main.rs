//! End-to-end tests of the product, compared with independently known values.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and its figures are whole"
)]

mod gpus;
#[path = "../../crates/sootprint-hub/tests/publish/isolated.rs"]
mod isolated;
mod push;
