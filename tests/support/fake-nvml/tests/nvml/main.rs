//! The library as `nvml-wrapper`, the reader that the product uses, sees it.

mod fixture;
mod gpus;
mod readings;
