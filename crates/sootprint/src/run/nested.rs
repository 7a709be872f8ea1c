//! Runs inside `sootprint run`, which measures them: no energy is measured twice.
//!
//! The command listens on a Unix socket next to its ledger and passes the folder to its children in `SOOTPRINT_RUN_DIR`.
//! A run that can connect to the socket opens neither the hardware nor a ledger. It sends its hook events with their
//! timestamps, and the command determines the energy at those times, as for its own hooks: once for its own record, and
//! once for a separate sum of the training, which becomes the training's footprint. Several ranks inside one command are
//! measured as one, the command.

#[cfg(unix)]
mod client;
mod config;
#[cfg(unix)]
mod connection;
#[cfg(unix)]
mod device_visibility;
#[cfg(unix)]
mod protocol;
#[cfg(unix)]
mod server;
#[cfg(unix)]
mod server_context;
#[cfg(unix)]
mod socket;
#[cfg(unix)]
#[cfg(test)]
mod tests;
#[cfg(not(unix))]
mod unsupported;

#[cfg(unix)]
pub(crate) use client::RemoteSampler;
pub(crate) use config::NestedRunConfig;
#[cfg(unix)]
pub use server::NestedRunListener;
#[cfg(not(unix))]
pub(crate) use unsupported::RemoteSampler;
