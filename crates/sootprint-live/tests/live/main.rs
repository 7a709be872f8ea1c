//! Providers and metadata clients against fake servers on this machine. One binary, because linking takes longer than
//! running.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod cached_provider;
mod electricity_maps;
mod fake_server;
mod instance_metadata;
mod uk_carbon_intensity;
