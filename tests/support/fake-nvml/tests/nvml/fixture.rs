//! A scripted machine: a copy of the library with its script, opened by the reader that sootprint uses.

use nvidia_ml::{FakeGpu, NvmlScript, ScriptClock, install};
use nvml_wrapper::{Device, Nvml, error::NvmlError};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) type NvmlTestResult = Result<(), Box<dyn Error>>;

pub(crate) struct FakeNvmlFixture {
    pub(crate) nvml: Nvml,
    pub(crate) clock: ScriptClock,
    pub(crate) script: NvmlScript,
    pub(crate) folder: TempDir,
}

impl FakeNvmlFixture {
    pub(crate) fn with_gpus(gpus: impl IntoIterator<Item = FakeGpu>) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let clock = ScriptClock::new(folder.path().join("clock"))?;
        let script = gpus.into_iter().fold(NvmlScript::new().with_clock(&clock), NvmlScript::with_gpu);
        let nvml = open_library(&install(&script, folder.path())?)?;
        Ok(Self { nvml, clock, script, folder })
    }

    /// The first GPU, at a time in milliseconds.
    pub(crate) fn first_gpu_at(&self, milliseconds: u64) -> Result<Device<'_>, Box<dyn Error>> {
        self.clock.set_millis(milliseconds)?;
        Ok(self.nvml.device_by_index(0)?)
    }
}

pub(crate) fn open_library(library: &Path) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(library.as_os_str()).init()
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn first_gpu() -> FakeGpu {
    FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
}

/// 100 W for 700 ms, then 400 W for 330 ms, repeated: 202 J in each 1.03 s.
pub(crate) fn two_phase_gpu() -> FakeGpu {
    first_gpu().power_from(ms(0), 100).power_from(ms(700), 400).repeat_every(ms(1030))
}
