//! A run inside `sootprint run` attaches to it: nothing is metered twice.
//!
//! The command that measures listens on a socket beside its ledger, and tells its children of the folder in
//! `SOOTPRINT_RUN_DIR`. A run that finds somebody listening there opens no meter and no ledger. It sends what its hooks
//! say, each with the time at which they said it, and the measuring process finds the energy at that time as it does for
//! its own hooks: for the command's record, and for a sum of the training's own, which its finish gives.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod connection;
#[cfg(unix)]
mod device_visibility;
#[cfg(unix)]
mod protocol;
#[cfg(unix)]
mod server;
#[cfg(unix)]
#[cfg(test)]
mod tests;
#[cfg(not(unix))]
mod unsupported;

#[cfg(unix)]
pub(super) use client::RemoteSampler;
#[cfg(unix)]
pub use server::NestedRunListener;
#[cfg(not(unix))]
pub(super) use unsupported::RemoteSampler;
