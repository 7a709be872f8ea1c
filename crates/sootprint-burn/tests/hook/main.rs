//! Real trainings on the processor, measured on a script whose joules are known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and its figures are whole"
)]

mod composed;
mod custom;
mod digits;
mod edges;
mod ends;
mod evaluator;
mod live;
mod parts;
mod renderers;
mod rl;
