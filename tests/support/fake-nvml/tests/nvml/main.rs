//! The library as `nvml-wrapper`, the reader that the product uses, sees it.

mod boards;
mod machine;
mod readings;
