//! A machine under test: a copy of the library with its script, opened by the reader that the product uses.

use nvidia_ml::{Board, Script, VirtualClock, install};
use nvml_wrapper::{Device, Nvml, error::NvmlError};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

pub(crate) struct Machine {
    pub(crate) nvml: Nvml,
    pub(crate) clock: VirtualClock,
    pub(crate) script: Script,
    pub(crate) folder: TempDir,
}

impl Machine {
    pub(crate) fn with(boards: impl IntoIterator<Item = Board>) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let clock = VirtualClock::new(folder.path().join("clock"))?;
        let script = boards.into_iter().fold(Script::new().virtual_clock(&clock), Script::board);
        let nvml = open(&install(&script, folder.path())?)?;
        Ok(Self { nvml, clock, script, folder })
    }

    /// The first board, at a time in milliseconds.
    pub(crate) fn at(&self, milliseconds: u64) -> Result<Device<'_>, Box<dyn Error>> {
        self.clock.set_millis(milliseconds)?;
        Ok(self.nvml.device_by_index(0)?)
    }
}

pub(crate) fn open(library: &Path) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(library.as_os_str()).init()
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn first() -> Board {
    Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
}

/// 100 W for 700 ms, then 400 W for 330 ms, again and again: 202 J in each 1.03 s.
pub(crate) fn two_phases() -> Board {
    first().power(ms(0), 100).power(ms(700), 400).repeat(ms(1030))
}
