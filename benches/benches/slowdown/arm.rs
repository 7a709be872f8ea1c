//! The trainings that are compared, with a run and without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nvidia_ml::{Board, Script, install};
use sootprint::Run;
use sootprint_benches::Failure;
use sootprint_benches::steps::Step;
use sootprint_benches::system::{self, Work};

use crate::clock::Clock;

/// What a training is done with.
#[derive(Debug)]
pub(crate) enum Arm {
    Measured(Run),
    Without,
    Control,
}

/// What a training took in its turns, and what sootprint's own threads did in the turns of all, where it is the measured one.
pub(crate) struct Took {
    pub(crate) time: Duration,
    pub(crate) turns: Vec<Vec<Step>>,
    pub(crate) own: Work,
}

/// The names of sootprint's threads, as far as Linux keeps them.
const OWN: [&str; 2] = ["sootprint-meter", "sootprint-ledge"];

impl Arm {
    /// Times a training, in its turns.
    pub(crate) fn time<T>(
        &self,
        clock: &Clock,
        train: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<(T, Took), Failure> {
        let own = || match self {
            Self::Measured(_) => {
                OWN.iter().try_fold(Work::default(), |sum, name| Ok(sum + system::thread_work(name)?))
            }
            Self::Without | Self::Control => Ok::<_, Failure>(Work::default()),
        };
        let before = own()?;
        clock.start(&OWN)?;
        let trained = train();
        let (time, turns) = clock.stop();
        Ok((trained?, Took { time, turns, own: own()? - before }))
    }
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
