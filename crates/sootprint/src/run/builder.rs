//! What a run is told before it starts, and its start.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::{
    CarbonIntensity, CloudMetadata, IntensityProvider, IntensitySeries, Place, Pue, RunStatus, TrainingType,
};
use sootprint_power::{Replay, VirtualClock};

use super::background::{self, BackgroundQueries};
use super::nested::RemoteSampler;
use super::recorder::{NestedRunConfig, RecorderOptions, RunLabel, RunRecorder};
use super::{Budget, DROP_TIMEOUT, FinishHook, RANK_TIMEOUT, Run, RunHandle};
use crate::ledger::LedgerError;
use crate::settings::{RunArguments, RunSettings, SettingError};

/// What a run is told before it starts.
#[must_use = "a run measures nothing until it is started"]
#[derive(Debug, Clone)]
pub struct RunBuilder {
    dir: PathBuf,
    training_type: Option<TrainingType>,
    base_model: Option<String>,
    arguments: RunArguments,
    cloud_metadata: Option<Arc<dyn CloudMetadata>>,
    intensity_provider: Option<Arc<dyn IntensityProvider>>,
    /// How often the provider is asked while the run goes on.
    pub(super) query_interval: Duration,
    resume: bool,
    /// How long the first rank waits for the others' last lines.
    pub(super) rank_timeout: Duration,
    budgets: Vec<Budget>,
    finish_hooks: Vec<Arc<dyn FinishHook>>,
}

impl RunBuilder {
    pub(super) fn new(dir: PathBuf, training_type: Option<TrainingType>, base_model: Option<String>) -> Self {
        let arguments = RunArguments::default();
        Self {
            dir,
            training_type,
            base_model,
            arguments,
            cloud_metadata: None,
            intensity_provider: None,
            query_interval: background::QUERY_INTERVAL,
            resume: false,
            rank_timeout: RANK_TIMEOUT,
            budgets: Vec::new(),
            finish_hooks: Vec::new(),
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
        self.resume = true;
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
    /// machine's [cloud](Self::cloud_metadata); else the machine's time zone is a guess, and the footprint says so.
    pub fn place(mut self, place: Place) -> Self {
        self.arguments.place = Some(place);
        self
    }

    /// Asks the cloud that the machine is in where it is, when nobody else says so: a provider's region, and with it
    /// what the provider's data centres add.
    ///
    /// Nobody is asked unless this is called, as `sootprint_live::CloudMetadata` does over the network; the command
    /// calls it. `SOOTPRINT_METADATA=off` forbids it, as `metadata = false` in a `sootprint.toml` does.
    pub fn cloud_metadata(mut self, metadata: Arc<dyn CloudMetadata>) -> Self {
        self.cloud_metadata = Some(metadata);
        self
    }

    /// Figures of one's own for the hours of the run; see [`IntensitySeries::from_csv_file`]. Else `SOOTPRINT_SERIES` names the
    /// file.
    ///
    /// Where the series has no figure, the [intensity](Self::intensity) that was given stands, or the table's.
    pub fn intensity_series(mut self, series: IntensitySeries) -> Self {
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
    /// note in the footprint says so. An [intensity](Self::intensity) or a [series](Self::intensity_series) that was given
    /// stands: then nobody is asked, nor when nobody said where the run is.
    ///
    /// # Limits
    /// The hours are counted from the system's time at the start, on a clock that stands still while the machine
    /// sleeps. On a run of more than eleven days the readings that tell one hour's energy from the next one's are kept
    /// more than half an hour apart; in between, power is taken as even.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use jiff::Timestamp;
    /// use sootprint::{
    ///     CarbonIntensity, ComponentKind, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, Place, Power,
    ///     ProviderError, Replay, Run, VirtualClock,
    /// };
    ///
    /// /// A site with its own turbine and a record of what it emits.
    /// #[derive(Debug)]
    /// struct OwnTurbine;
    ///
    /// impl IntensityProvider for OwnTurbine {
    ///     fn intensity_between(
    ///         &self,
    ///         _place: Place,
    ///         from: Timestamp,
    ///         to: Timestamp,
    ///     ) -> Result<IntensitySeries, ProviderError> {
    ///         let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(500.0);
    ///         let period = IntensityPeriod { start: from, end: to, intensity, is_forecast: false };
    ///         IntensitySeries::new("our turbine's record", EmissionScope::DirectGeneration, vec![period])
    ///     }
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let clock = VirtualClock::default();
    /// # let kilowatt = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
    /// # let replay = Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", kilowatt).with_clock(clock.clone());
    /// let run = Run::pre_training(dir.path())
    ///     .place("GB".parse()?)
    ///     .intensity_provider(Arc::new(OwnTurbine))
    /// #   .pue(sootprint::Pue::new(1.0)?)
    /// #   .replay(replay)
    ///     .start();
    /// # clock.advance(Duration::from_secs(7_200));
    /// // Two hours at a kilowatt.
    /// let footprint = run.finish();
    /// assert!((footprint.emissions.best.grams() - 1_000.0).abs() < 1e-6);
    /// assert_eq!(footprint.grid.source, "our turbine's record");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn intensity_provider(mut self, provider: Arc<dyn IntensityProvider>) -> Self {
        self.intensity_provider = Some(provider);
        self
    }

    /// What the facility adds; else `SOOTPRINT_PUE` says it, else a `sootprint.toml`, else the provider of the cloud's
    /// region, else 1.0 is assumed, up to 1.56.
    pub fn pue(mut self, pue: Pue) -> Self {
        self.arguments.pue = Some(pue);
        self
    }

    /// Reads NVIDIA boards through the NVML library at this path; else `SOOTPRINT_NVML` names it, else the system's.
    pub fn nvml_library(mut self, library: impl Into<PathBuf>) -> Self {
        self.arguments.nvml = Some(library.into().into_os_string());
        self
    }

    /// Measures the hardware at rest for this long before the run begins, so that the footprint can say what the run
    /// would have used idle. The start waits for it; a few seconds are enough. Nothing of it counts as the run's.
    pub fn idle_baseline(mut self, duration: Duration) -> Self {
        self.arguments.baseline = Some(duration);
        self
    }

    /// Holds the run against a limit; several may be given.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Calls this when the run is finished; several may be given, and each is called.
    pub fn on_finish(mut self, hook: Arc<dyn FinishHook>) -> Self {
        self.finish_hooks.push(hook);
        self
    }

    /// Measures time by a virtual clock, as hardware that follows a script on that clock has to be measured.
    pub fn virtual_clock(mut self, clock: VirtualClock) -> Self {
        self.arguments.clock = Some(clock);
        self
    }

    /// Measures a script instead of this machine.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sootprint::{ComponentKind, Power, Replay, Run, VirtualClock};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let clock = VirtualClock::default();
    /// let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
    /// let replay = Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    ///
    /// let run = Run::pre_training(dir.path()).replay(replay).start();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(run.finish().energy.total.joules(), 6_000.0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn replay(mut self, replay: Replay) -> Self {
        self.arguments.replay = Some(replay);
        self
    }

    /// Starts the run, whatever is missing: each lack is a note in the footprint and one warning.
    pub fn start(self) -> Run {
        let settings = self.resolve_settings();
        let (run, errors) = self.start_with(settings, false);
        for error in errors {
            tracing::warn!("{}", sootprint_core::format::error_chain(&error));
        }
        run
    }

    /// Starts the run if nothing is missing.
    ///
    /// # Errors
    /// The first [`StartError`]: a variable that cannot be taken, a folder that cannot be written or in which another
    /// process records a run, no thread.
    pub fn try_start(self) -> Result<Run, StartError> {
        let mut settings = self.resolve_settings();
        if !settings.errors.is_empty() {
            return Err(settings.errors.swap_remove(0).into());
        }
        let (mut run, errors) = self.start_with(settings, true);
        match errors.into_iter().next() {
            None => Ok(run),
            Some(error) => {
                run.finish_with(Some(RunStatus::Failed), DROP_TIMEOUT, None);
                Err(error)
            }
        }
    }

    fn resolve_settings(&self) -> RunSettings {
        RunSettings::from_environment(self.arguments.clone())
    }

    pub(super) fn start_with(self, mut settings: RunSettings, fail_if_busy: bool) -> (Run, Vec<StartError>) {
        let Self {
            dir,
            training_type,
            base_model,
            cloud_metadata,
            intensity_provider,
            query_interval,
            resume,
            rank_timeout,
            ..
        } = self;
        let (budgets, mut finish_hooks) = (self.budgets, self.finish_hooks);
        let (rank, ranks) = (settings.launch.rank, settings.launch.ranks);
        let (is_disabled, query_cloud_metadata) = (settings.is_disabled, settings.query_cloud_metadata);
        let label = RunLabel { training_type, base_model };
        let ignored = ignored_options(intensity_provider.is_some(), &self.arguments);
        let remote_sampler = connect_to_parent(&settings, &label, ignored);
        // Who measures asks the others.
        let is_query_allowed = !is_disabled && remote_sampler.is_none();
        let (handle, errors) = if settings.is_disabled {
            (RunHandle::without_sampler(RunRecorder::disabled(label, settings)), Vec::new())
        } else if let Some(remote_sampler) = remote_sampler {
            let mut errors: Vec<StartError> = settings.errors.drain(..).map(StartError::from).collect();
            // Where there is a ledger its folder is made for it.
            let created = fs::create_dir_all(&dir);
            errors
                .extend(created.err().map(|source| LedgerError::Folder { path: dir.clone(), source }.into()));
            (RunHandle::with_remote_sampler(remote_sampler, label, settings, budgets), errors)
        } else {
            RunHandle::open(&dir, label, settings, RecorderOptions { resume, fail_if_busy }, budgets)
        };
        if resume && handle.is_nested() {
            handle.mark_resumed();
        }
        let metadata = cloud_metadata.filter(|_| query_cloud_metadata && is_query_allowed);
        let background = BackgroundQueries::start(
            &handle,
            metadata,
            intensity_provider.clone().filter(|_| is_query_allowed),
            query_interval,
        );
        if is_disabled {
            finish_hooks.clear();
        }
        (
            Run {
                handle,
                dir,
                intensity_provider,
                finish_hooks,
                background,
                rank,
                ranks,
                rank_timeout,
                is_finished: false,
            },
            errors,
        )
    }
}

/// The way to the run of `sootprint run` that this process is inside of, if it is inside of one that answers.
fn connect_to_parent(settings: &RunSettings, label: &RunLabel, ignored: Vec<&str>) -> Option<RemoteSampler> {
    let parent_run_dir = settings.parent_run_dir.as_deref().filter(|_| !settings.is_disabled)?;
    let mut gaps: Vec<String> = settings.errors.iter().map(SettingError::without_path).collect();
    gaps.extend(ignored.iter().map(|text| (*text).to_owned()));
    let remote_sampler = RemoteSampler::connect(
        parent_run_dir,
        &settings.launch,
        NestedRunConfig::from_settings(label.clone(), settings, gaps),
    )?;
    for text in ignored {
        tracing::warn!("{text}");
    }
    Some(remote_sampler)
}

/// What a training inside `sootprint run` asks for and does not get, because the command measures.
fn ignored_options(has_provider: bool, arguments: &RunArguments) -> Vec<&'static str> {
    let options = [
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
    options.into_iter().filter(|(is_set, _)| *is_set).map(|(_, text)| text).collect()
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
