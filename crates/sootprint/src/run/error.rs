//! Errors of starting and of loading a run.

use std::path::PathBuf;

use sootprint_core::format::error_chain;

use crate::ledger::LedgerError;
use crate::settings::SettingError;

/// Why a run cannot start as configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The ledger cannot be created, for example because another process is recording a run in the folder.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A setting in the environment or in a settings file is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The sampler thread cannot be started.
    #[error("cannot start the sampler thread")]
    Thread(#[source] std::io::Error),
}

impl StartError {
    /// The message without the user's paths, for the footprint, which may be published.
    pub(crate) fn without_path(&self) -> String {
        match self {
            Self::Ledger(error) => error.without_path(),
            Self::Setting(error) => error.without_path(),
            Self::Thread(_) => error_chain(self),
        }
    }
}

/// Why no footprint can be loaded from a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A ledger, or the folder of the ledgers, cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder contains no ledger.
    #[error("no run was recorded in {}; pass the folder that the run was started with", dir.display())]
    NoRun {
        /// The folder.
        dir: PathBuf,
    },
}
