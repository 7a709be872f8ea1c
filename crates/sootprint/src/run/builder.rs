//! Configuration and start of a run.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::{
    CarbonIntensity, CloudMetadata, IntensityProvider, IntensitySeries, Place, Pue, RunStatus, TrainingType,
};
use sootprint_power::{NvmlHelperCommand, Replay, VirtualClock};

use super::Run;
use super::background::{self, BackgroundQueries};
use super::budget::Budget;
use super::error::StartError;
use super::finish_hook::FinishHook;
use super::handle::RunHandle;
use super::label::RunLabel;
use super::nested::{NestedRunConfig, RemoteSampler};
use super::recorder::{RecorderOptions, RunRecorder};
use super::timeouts::{DROP_TIMEOUT, RANK_TIMEOUT};
use crate::ledger::LedgerError;
use crate::settings::{RunArguments, RunSettings, SettingError};

/// Configures a [`Run`] before it starts.
///
/// The place, the carbon intensity, the PUE, the NVML library and the idle baseline fall back to an environment
/// variable and then to a `sootprint.toml`: of the project (the nearest one in the working folder or above it), of the
/// user (in `~/.config/sootprint`) or of the site (in `/etc`).
#[must_use = "a run measures nothing until it is started"]
#[derive(Debug, Clone)]
pub struct RunBuilder {
    dir: PathBuf,
    training_type: Option<TrainingType>,
    base_model: Option<String>,
    arguments: RunArguments,
    cloud_metadata: Option<Arc<dyn CloudMetadata>>,
    intensity_provider: Option<Arc<dyn IntensityProvider>>,
    /// How often the provider is queried while the run continues.
    pub(crate) query_interval: Duration,
    resume: bool,
    /// How long rank 0 waits for the other ranks to end.
    pub(crate) rank_timeout: Duration,
    budgets: Vec<Budget>,
    finish_hooks: Vec<Arc<dyn FinishHook>>,
}

impl Run {
    /// Configures a training from random weights. The artifacts of the training are in `dir`, and the record of the run
    /// is written there too.
    pub fn pre_training(dir: impl Into<PathBuf>) -> RunBuilder {
        RunBuilder::new(dir.into(), Some(TrainingType::PreTraining), None)
    }

    /// Configures a training that starts from the weights of `base_model`, the id of a repository on the Hugging Face
    /// Hub, such as `owner/name`.
    pub fn fine_tuning(dir: impl Into<PathBuf>, base_model: impl Into<String>) -> RunBuilder {
        RunBuilder::new(dir.into(), Some(TrainingType::FineTuning), Some(base_model.into()))
    }

    /// Configures a run without a training type; its model card contains no `training_type`.
    pub fn untyped(dir: impl Into<PathBuf>) -> RunBuilder {
        RunBuilder::new(dir.into(), None, None)
    }
}

impl RunBuilder {
    fn new(dir: PathBuf, training_type: Option<TrainingType>, base_model: Option<String>) -> Self {
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

    /// Continues the newest run in the folder, as after a restart from a checkpoint. The footprint includes all
    /// attempts, and repeated epochs count each time. The time between attempts is not counted.
    ///
    /// A completed run is never continued. If the newest run is completed, or there is none, a new one is started, with
    /// a note in the footprint.
    ///
    /// # Errors
    /// [`try_start`](Self::try_start) returns [`LedgerError::Busy`] if another process is still recording that run.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Sets the rank of this process among the processes that train together. `rank` counts from 0, and `of` is the
    /// number of ranks. Each rank writes its own ledger into the shared folder, and the footprint includes all of them.
    ///
    /// Without this, `SOOTPRINT_RANK` and `SOOTPRINT_WORLD_SIZE` are used, then the variables of the launcher: `RANK` and
    /// `WORLD_SIZE` of `torchrun`, those of Open MPI and PMI, and those of Slurm in processes that `srun` starts.
    ///
    /// Ranks belong to the same run if their launcher gives them the same job id. If it has none, set `SOOTPRINT_JOB` to a
    /// value that all ranks of a launch share; otherwise ranks that start within ten minutes of each other are merged.
    pub fn rank(mut self, rank: u32, of: u32) -> Self {
        self.arguments.rank = Some((rank, of));
        self
    }

    /// Sets the place of the run, which determines the carbon intensity.
    ///
    /// Without this, `SOOTPRINT_PLACE` is used, then a `sootprint.toml`, then the zone that the
    /// [intensity provider](Self::intensity_provider) is configured for, then the
    /// [cloud metadata](Self::cloud_metadata), then the country, state or province of the machine's time zone, which the footprint marks as a
    /// guess.
    pub fn place(mut self, place: Place) -> Self {
        self.arguments.place = Some(place);
        self
    }

    /// Looks up the cloud region from the instance metadata service if no location was configured. The region also
    /// determines the PUE.
    ///
    /// No lookup happens unless this method is called. `sootprint run` calls it with
    /// `sootprint_live::InstanceMetadataClient`. `SOOTPRINT_METADATA=off`, or `metadata = false` in a `sootprint.toml`,
    /// disables the lookup.
    pub fn cloud_metadata(mut self, metadata: Arc<dyn CloudMetadata>) -> Self {
        self.cloud_metadata = Some(metadata);
        self
    }

    /// Sets the carbon intensity for the hours of the run; see [`IntensitySeries::from_csv_file`]. Without this, and
    /// without a [place](Self::place) or an [intensity](Self::intensity) set here, the CSV file that `SOOTPRINT_SERIES`
    /// or a `sootprint.toml` names is used.
    ///
    /// Hours that the series does not cover use the configured [intensity](Self::intensity), otherwise the yearly
    /// figure of the place.
    pub fn intensity_series(mut self, series: IntensitySeries) -> Self {
        self.arguments.series = Some(series);
        self
    }

    /// Sets the carbon intensity of the electricity, instead of the yearly figure of the [place](Self::place). Without
    /// this, and without a place set here, `SOOTPRINT_INTENSITY` in g CO2e/kWh is used, then a `sootprint.toml`.
    pub fn intensity(mut self, intensity: CarbonIntensity) -> Self {
        self.arguments.intensity = Some(intensity);
        self
    }

    /// Queries this provider for the intensity of each hour of the run, instead of using the yearly figure of the
    /// place.
    ///
    /// The provider is queried for the run's [place](Self::place) every half hour, on a separate thread, and once more
    /// by [`Run::finish`], which waits for the answer. Each query covers all the time for which there is no answer so
    /// far, so that the provider's history fills the gap after an outage. The footprint's intensity is the mean over
    /// the run's hours, weighted with the energy used in each, and all epochs use that mean. Hours without an answer
    /// use the yearly value, with a note in the footprint. The provider is not queried if an
    /// [intensity](Self::intensity) or a [series](Self::intensity_series) was set, or if the location is unknown.
    ///
    /// # Limits
    /// The time of day is the system time at the start plus the elapsed time on a clock that stops while the machine is
    /// suspended, so it is too early after a suspension. In runs of more than eleven days the stored samples are more
    /// than half an hour apart; constant power is assumed between them.
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
    /// /// A site with its own turbine and a log of its emissions.
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
    ///         IntensitySeries::new("turbine log", EmissionScope::DirectGeneration, vec![period])
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
    /// assert_eq!(footprint.grid.source, "turbine log");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn intensity_provider(mut self, provider: Arc<dyn IntensityProvider>) -> Self {
        self.intensity_provider = Some(provider);
        self
    }

    /// Sets the power usage effectiveness (PUE) of the facility. Without this, `SOOTPRINT_PUE` is used, then a
    /// `sootprint.toml`, then the known value of the cloud region, then an assumed 1.0 with a high bound of 1.56.
    pub fn pue(mut self, pue: Pue) -> Self {
        self.arguments.pue = Some(pue);
        self
    }

    /// Reads NVIDIA GPUs through the NVML library at this path. Without this, `SOOTPRINT_NVML` is used, then the system's
    /// library.
    pub fn nvml_library(mut self, library: impl Into<PathBuf>) -> Self {
        self.arguments.nvml = Some(library.into().into_os_string());
        self
    }

    /// Reads NVIDIA GPUs in a helper process, so that a driver that hangs cannot keep this process from exiting. The
    /// helper program must call [`serve_nvml`]. If a path of the NVML library is configured, it is added to the
    /// arguments of the program.
    ///
    /// [`serve_nvml`]: sootprint_power::serve_nvml
    pub fn nvml_helper(mut self, helper: NvmlHelperCommand) -> Self {
        self.arguments.nvml_helper = Some(helper);
        self
    }

    /// Measures the idle power for this long before the run begins, so that the footprint can report the idle energy.
    /// The start blocks for this time, which does not count towards the run. A few seconds are enough.
    pub fn idle_baseline(mut self, duration: Duration) -> Self {
        self.arguments.baseline = Some(duration);
        self
    }

    /// Adds a budget; a run can have several.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Adds a callback for the end of the run; a run can have several.
    pub fn on_finish(mut self, hook: Arc<dyn FinishHook>) -> Self {
        self.finish_hooks.push(hook);
        self
    }

    /// Uses a virtual clock, for fake hardware that follows the same clock.
    pub fn virtual_clock(mut self, clock: VirtualClock) -> Self {
        self.arguments.clock = Some(clock);
        self
    }

    /// Measures a scripted power source instead of this machine.
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

    /// Starts the run. This never fails: each error becomes a note in the footprint and one warning.
    pub fn start(self) -> Run {
        let settings = self.resolve_settings();
        let (run, errors) = self.start_with(settings, false);
        for error in errors {
            tracing::warn!("{}", sootprint_core::format::error_chain(&error));
        }
        run
    }

    /// Starts the run, or returns the first error.
    ///
    /// # Errors
    /// [`StartError`] if a setting is invalid, if the folder cannot be written, if another process is recording a run
    /// there, or if the sampler thread cannot be started. An error in the project's settings file is only a warning.
    pub fn try_start(self) -> Result<Run, StartError> {
        let mut settings = self.resolve_settings();
        if let Some(position) = settings.errors.iter().position(|error| !error.is_in_project()) {
            return Err(settings.errors.swap_remove(position).into());
        }
        let (mut run, errors) = self.start_with(settings, true);
        let (in_project, errors): (Vec<_>, Vec<_>) = errors
            .into_iter()
            .partition(|error| matches!(error, StartError::Setting(it) if it.is_in_project()));
        for warning in in_project {
            tracing::warn!("{}", sootprint_core::format::error_chain(&warning));
        }
        match errors.into_iter().next() {
            None => Ok(run),
            Some(error) => {
                run.finish_with(Some(RunStatus::Failed), DROP_TIMEOUT, None);
                Err(error)
            }
        }
    }

    fn resolve_settings(&self) -> RunSettings {
        let provider_place =
            self.intensity_provider.as_ref().and_then(|provider| provider.configured_place());
        RunSettings::from_environment(RunArguments { provider_place, ..self.arguments.clone() })
    }

    pub(crate) fn start_with(self, mut settings: RunSettings, fail_if_busy: bool) -> (Run, Vec<StartError>) {
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
        // Inside `sootprint run` the command makes the queries.
        let is_query_allowed = !is_disabled && remote_sampler.is_none();
        let (handle, errors) = if settings.is_disabled {
            (RunHandle::without_sampler(RunRecorder::disabled(label, settings)), Vec::new())
        } else if let Some(remote_sampler) = remote_sampler {
            let mut errors: Vec<StartError> = settings.errors.drain(..).map(StartError::from).collect();
            // Without a ledger, the folder for the footprint is created here.
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

/// Connects to the enclosing `sootprint run`, if this process is inside one that answers.
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

/// Notes on configured options that are ignored inside `sootprint run`, because the command measures.
fn ignored_options(has_provider: bool, arguments: &RunArguments) -> Vec<&'static str> {
    let options = [
        (
            has_provider,
            "intensity provider ignored inside `sootprint run`: use `sootprint run --live` instead",
        ),
        (
            arguments.baseline.is_some(),
            "idle baseline ignored inside `sootprint run`: use `sootprint run --baseline` instead",
        ),
        (
            arguments.nvml.is_some(),
            "NVML library ignored inside `sootprint run`: set SOOTPRINT_NVML for `sootprint run` instead",
        ),
    ];
    options.into_iter().filter(|(is_set, _)| *is_set).map(|(_, text)| text).collect()
}
