//! The library as seen by `nvml-wrapper`, the reader that sootprint uses.

mod fixture;
mod gpus;
mod readings;
