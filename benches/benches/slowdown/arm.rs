//! The trainings that are compared, with a run and without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sootprint::Run;

use nvidia_ml::{Board, Script, install};
use sootprint_benches::Failure;

/// What a training is done with.
#[derive(Debug)]
pub(crate) enum Arm {
    Measured(Run),
    Without,
    Control,
}

/// A scripted board with a counter, so that there is one to read.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Machine {
    pub(crate) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let board = Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
            .limit(700)
            .power(Duration::ZERO, 400)
            .counter(Duration::from_millis(20));
        let library = install(&Script::new().board(board), folder.path())?;
        Ok(Self { folder, library })
    }

    /// In a folder of its own, as each training has.
    pub(crate) fn start(&self, block: usize) -> Result<Run, Failure> {
        let dir: &Path = self.folder.path();
        Ok(Run::pre_training(dir.join(format!("run{block}"))).nvml(&self.library).try_start()?)
    }
}
