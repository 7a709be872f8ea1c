//! Real trainings on the processor, measured on a script whose joules are known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and its figures are whole"
)]

mod boundaries;
mod combined;
mod endings;
mod evaluator;
mod fixture;
mod logging;
mod manual_loop;
mod phases;
mod renderers;
mod rl;
