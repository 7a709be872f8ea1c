//! The trainings that are compared, with a run and without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sootprint::Run;

use nvidia_ml::{FakeGpu, NvmlScript, install};
use sootprint_benches::BenchError;

/// What a training is done with.
#[derive(Debug)]
pub(crate) enum TrainingArm {
    Measured(Run),
    Without,
    Control,
}

/// A scripted board with a counter, so that there is one to read.
pub(crate) struct SlowdownMachine {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl SlowdownMachine {
    pub(crate) fn new() -> Result<Self, BenchError> {
        let folder = tempfile::tempdir()?;
        let board = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
            .power_limit(700)
            .power_from(Duration::ZERO, 400)
            .energy_counter(Duration::from_millis(20));
        let library = install(&NvmlScript::new().with_gpu(board), folder.path())?;
        Ok(Self { folder, library })
    }

    /// In a folder of its own, as each training has.
    pub(crate) fn start(&self, block: usize) -> Result<Run, BenchError> {
        let dir: &Path = self.folder.path();
        Ok(Run::pre_training(dir.join(format!("run{block}"))).nvml_library(&self.library).try_start()?)
    }
}
