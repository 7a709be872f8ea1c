//! What a run is told before it starts, and its start.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::{CarbonIntensity, Metadata, Outcome, Place, Provider, Pue, Series, TrainingType};
use sootprint_power::{Replay, VirtualClock};

use super::attach::Attached;
use super::book::{Asked, Book, Identity, Inside};
use super::watch::{self, Watch};
use super::{AtFinish, Budget, LONGEST_DROP, LONGEST_WAIT, Run, RunHandle};
use crate::ledger::LedgerError;
use crate::settings::{Arguments, SettingError, Settings};

/// What a run is told before it starts.
#[must_use = "a run measures nothing until it is started"]
#[derive(Debug, Clone)]
pub struct RunBuilder {
    dir: PathBuf,
    training_type: Option<TrainingType>,
    base_model: Option<String>,
    arguments: Arguments,
    metadata: Option<Arc<dyn Metadata>>,
    provider: Option<Arc<dyn Provider>>,
    /// How often the provider is asked while the run goes on.
    pub(super) every: Duration,
    resumes: bool,
    /// How long the first rank waits for the others' last lines.
    pub(super) waits: Duration,
    budgets: Vec<Budget>,
    at_finish: Vec<Arc<dyn AtFinish>>,
}

impl RunBuilder {
    pub(super) fn new(dir: PathBuf, training_type: Option<TrainingType>, base_model: Option<String>) -> Self {
        let arguments = Arguments::default();
        Self {
            dir,
            training_type,
            base_model,
            arguments,
            metadata: None,
            provider: None,
            every: watch::EVERY,
            resumes: false,
            waits: LONGEST_WAIT,
            budgets: Vec::new(),
            at_finish: Vec::new(),
        }
    }

    /// Goes on with the newest run of the folder, as after a restart from a checkpoint: the footprint is that of all
    /// attempts, and epochs that are trained again count as often as they were. The time in between counts nothing.
    ///
    /// A run that is complete is never appended to. Where there is none to go on with a new one is started, and a note
    /// in the footprint says so.
    ///
    /// # Errors
    /// [`try_start`](Self::try_start) gives [`LedgerError::Busy`] when another process still records that run.
    pub fn resume(mut self) -> Self {
        self.resumes = true;
        self
    }

    /// Says that this process is one of several that train together, and which: `rank` counts from 0. Each writes its own
    /// record in the folder, which all of them share, and the footprint has them all.
    ///
    /// Else `SOOTPRINT_RANK` and `SOOTPRINT_WORLD_SIZE` say it, else the launcher: `torchrun`'s `RANK` and `WORLD_SIZE`, Open
    /// MPI, PMI, and Slurm within a task of a step. `SOOTPRINT_JOB` tells one launch from another where no launcher does.
    pub fn rank(mut self, rank: u32, of: u32) -> Self {
        self.arguments.rank = Some((rank, of));
        self
    }

    /// Where the run is. Else `SOOTPRINT_PLACE` says it, else a `sootprint.toml` (of the project, which is the nearest in
    /// the working folder or above it; of the user, in `~/.config/sootprint`; of the site, in `/etc`), else the
    /// machine's [cloud](Self::metadata); else the machine's time zone is a guess, and the footprint says so.
    pub fn place(mut self, place: Place) -> Self {
        self.arguments.place = Some(place);
        self
    }

    /// Asks the cloud that the machine is in where it is, when nobody else says so: a provider's region, and with it
    /// what the provider's data centres add.
    ///
    /// Nobody is asked unless this is called, as `sootprint_live::CloudMetadata` does over the network; the command
    /// calls it. `SOOTPRINT_METADATA=off` forbids it, as `metadata = false` in a `sootprint.toml` does.
    pub fn metadata(mut self, metadata: Arc<dyn Metadata>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Figures of one's own for the hours of the run; see [`Series::from_csv_file`]. Else `SOOTPRINT_SERIES` names the
    /// file.
    ///
    /// Where the series has no figure, the [intensity](Self::intensity) that was given stands, or the table's.
    pub fn series(mut self, series: Series) -> Self {
        self.arguments.series = Some(series);
        self
    }

    /// The carbon intensity of the electricity, instead of a table's figure for the place.
    pub fn intensity(mut self, intensity: CarbonIntensity) -> Self {
        self.arguments.intensity = Some(intensity);
        self
    }

    /// Asks this provider for the intensity of each hour when the run is finished, instead of a table's figure for
    /// the year.
    ///
    /// It is asked about the run's [place](Self::place) every half hour, on a thread of its own, and once more by
    /// [`Run::finish`], which waits for the answer. Each time it is asked about all that was not found yet, so that an
    /// outage leaves no hole that its history can fill. The footprint's intensity is then the mean over the run's hours, each weighted with the energy that was used in
    /// it, and every epoch's grams use that mean. Where the provider has no answer the table's figure stands, and a
    /// note in the footprint says so. An [intensity](Self::intensity) or a [series](Self::series) that was given
    /// stands: then nobody is asked, nor when nobody said where the run is.
    ///
    /// # Limits
    /// The hours are counted from the system's time at the start, on a clock that stands still while the machine
    /// sleeps. On a run of more than eleven days the readings that tell one hour's energy from the next one's are kept
    /// more than half an hour apart; in between, power is taken as even.
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// What the facility adds; else `SOOTPRINT_PUE` says it, else a `sootprint.toml`, else the provider of the cloud's
    /// region, else 1.0 is assumed, up to 1.56.
    pub fn pue(mut self, pue: Pue) -> Self {
        self.arguments.pue = Some(pue);
        self
    }

    /// Reads NVIDIA boards through the NVML library at this path; else `SOOTPRINT_NVML` names it, else the system's.
    pub fn nvml(mut self, library: impl Into<PathBuf>) -> Self {
        self.arguments.nvml = Some(library.into().into_os_string());
        self
    }

    /// Measures the hardware at rest for this long before the run begins, so that the footprint can say what the run
    /// would have used idle. The start waits for it; a few seconds are enough. Nothing of it counts as the run's.
    pub fn baseline(mut self, rest: Duration) -> Self {
        self.arguments.baseline = Some(rest);
        self
    }

    /// Holds the run against a limit; several may be given.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Calls this when the run is finished; several may be given, and each is called.
    pub fn at_finish(mut self, hook: Arc<dyn AtFinish>) -> Self {
        self.at_finish.push(hook);
        self
    }

    /// Measures time by a virtual clock, as hardware that follows a script on that clock has to be measured.
    pub fn clock(mut self, clock: VirtualClock) -> Self {
        self.arguments.clock = Some(clock);
        self
    }

    /// Measures a script instead of this machine.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.arguments.replay = Some(replay);
        self
    }

    /// Starts the run, whatever is missing: each lack is a note in the footprint and one warning.
    pub fn start(self) -> Run {
        let settings = self.settings();
        let (run, problems) = self.begin(settings, false);
        for problem in problems {
            tracing::warn!("{problem}");
        }
        run
    }

    /// Starts the run if nothing is missing.
    ///
    /// # Errors
    /// The first [`StartError`]: a variable that cannot be taken, a folder that cannot be written or in which another
    /// process records a run, no thread.
    pub fn try_start(self) -> Result<Run, StartError> {
        let mut settings = self.settings();
        if !settings.problems.is_empty() {
            return Err(settings.problems.swap_remove(0).into());
        }
        let (mut run, problems) = self.begin(settings, true);
        match problems.into_iter().next() {
            None => Ok(run),
            Some(problem) => {
                run.end(Some(Outcome::Failed), LONGEST_DROP, None);
                Err(problem)
            }
        }
    }

    fn settings(&self) -> Settings {
        Settings::from_environment(self.arguments.clone())
    }

    pub(super) fn begin(self, mut settings: Settings, is_strict: bool) -> (Run, Vec<StartError>) {
        let Self { dir, training_type, base_model, metadata, provider, every, resumes, waits, .. } = self;
        let (budgets, mut at_finish) = (self.budgets, self.at_finish);
        let (rank, ranks) = (settings.launch.rank, settings.launch.ranks);
        let (is_off, asks_metadata) = (settings.is_off, settings.asks_metadata);
        let identity = Identity { training_type, base_model };
        let left = left_to_the_command(provider.is_some(), &self.arguments);
        let attached = attached(&settings, &identity, left);
        // Who measures asks the others.
        let asks = !is_off && attached.is_none();
        let (handle, problems) = if settings.is_off {
            (RunHandle::without_meter(Book::off(identity, settings)), Vec::new())
        } else if let Some(attached) = attached {
            let mut problems: Vec<StartError> = settings.problems.drain(..).map(StartError::from).collect();
            // Where there is a ledger its folder is made for it.
            let made = fs::create_dir_all(&dir);
            problems
                .extend(made.err().map(|source| LedgerError::Folder { path: dir.clone(), source }.into()));
            (RunHandle::attach(attached, identity, settings, budgets), problems)
        } else {
            RunHandle::open(&dir, identity, settings, Asked { resumes, is_strict }, budgets)
        };
        if resumes && handle.is_attached() {
            handle.resumed();
        }
        let metadata = metadata.filter(|_| asks_metadata && asks);
        let watch = Watch::start(&handle, metadata, provider.clone().filter(|_| asks), every);
        if is_off {
            at_finish.clear();
        }
        (Run { handle, dir, provider, at_finish, watch, rank, ranks, waits, is_finished: false }, problems)
    }
}

/// The way to the run of `sootprint run` that this process is inside of, if it is inside of one that answers.
fn attached(settings: &Settings, identity: &Identity, left: Vec<&str>) -> Option<Attached> {
    let outer = settings.outer.as_deref().filter(|_| !settings.is_off)?;
    let mut gaps: Vec<String> = settings.problems.iter().map(SettingError::without_path).collect();
    gaps.extend(left.iter().map(|text| (*text).to_owned()));
    let attached = Attached::to(outer, &settings.launch, Inside::of(identity.clone(), settings, gaps))?;
    for text in left {
        tracing::warn!("{text}");
    }
    Some(attached)
}

/// What a training inside `sootprint run` asks for and does not get, because the command measures.
fn left_to_the_command(has_provider: bool, arguments: &Arguments) -> Vec<&'static str> {
    let asked = [
        (
            has_provider,
            "inside `sootprint run` the command asks its live provider, as --live says, and not the training's",
        ),
        (
            arguments.baseline.is_some(),
            "inside `sootprint run` the rest before the command is measured, as SOOTPRINT_BASELINE says, and none before \
             the training",
        ),
        (
            arguments.nvml.is_some(),
            "inside `sootprint run` the command reads the boards, with the library that SOOTPRINT_NVML names",
        ),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, text)| text).collect()
}

/// Why a run cannot start as it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its record cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A variable of the environment is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The system gives no thread for the sampler.
    #[error("the sampler thread does not start: {0}")]
    Thread(#[source] std::io::Error),
}

impl StartError {
    /// The text without the paths of the user's files, for the footprint, which may be published.
    pub(super) fn without_path(&self) -> String {
        match self {
            Self::Ledger(error) => error.without_path(),
            Self::Setting(error) => error.without_path(),
            Self::Thread(_) => self.to_string(),
        }
    }
}
