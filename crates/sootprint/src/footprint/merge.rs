//! Merges the ledgers of one run, from its ranks and attempts, into one footprint.
//!
//! Two ledgers of one host may contain the same GPU, or the same CPUs and memory. Time that both cover counts once and
//! is taken from the ledger that started earlier. Times are compared by the host's clock since boot. Clocks of different
//! hosts are never compared: an attempt is as long as on the host where it took longest.

mod components;
mod contributions;
mod epochs;
mod grid;
mod ledger_merge;
mod merged_footprint;
mod notes;
mod phases;
mod placed_ledger;
mod power;
#[cfg(test)]
mod tests;

pub(crate) use merged_footprint::merge_ledgers;
