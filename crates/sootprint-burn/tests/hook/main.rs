//! Real trainings on the CPU, measured with a script of known energy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "test helpers may panic and compare whole numbers"
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
