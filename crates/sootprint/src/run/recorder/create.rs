//! How a run's record begins: which run it is of, and what is known before the boards are.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sootprint_core::{GridIntensity, IntensitySeries, LocationSource, Pue, PueOrigin};
use sootprint_power::HostShareId;

use super::{PhaseAccumulator, RecorderOptions, RecorderState, RunLabel, RunRecorder};
use crate::distributed::host_digest;
use crate::footprint::FootprintBuilder;
use crate::ledger::{
    LedgerEntry, LedgerError, OpenLedger, ProcessInfo, RunHeader, SCHEMA, create_alongside, create_ledger,
    resume_ledger,
};
use crate::settings::RunSettings;

impl RunRecorder {
    /// Begins the record of a run in `dir`; without a ledger when there can be none, and why.
    pub(in crate::run) fn open(
        dir: &Path,
        label: RunLabel,
        settings: RunSettings,
        options: RecorderOptions,
    ) -> (Self, Option<LedgerError>) {
        let now = jiff::Timestamp::now();
        let launch = &settings.launch;
        let header = initial_header(label, &settings, now);
        let resumed = if options.resume { resume_ledger(dir, launch, &header) } else { Ok(None) };
        let is_new = matches!(resumed, Ok(None));
        let ledger_result =
            resumed.and_then(|found| found.map_or_else(|| create_ledger(dir, now, launch, &header), Ok));
        let (mut ledger, error) = match ledger_result {
            Ok(ledger) => (Some(ledger), None),
            // The run is recorded all the same, but for who asked for an error.
            Err(error @ LedgerError::Busy { .. }) if !options.fail_if_busy => {
                (create_alongside(dir, now, launch, &header).ok(), Some(error))
            }
            Err(error) => (None, Some(error)),
        };
        if settings.uses_virtual_time() {
            ledger.iter_mut().for_each(|begun| begun.ledger.block_on_full_queue());
        }
        let mut recorder = Self::new(ledger, header, settings);
        if options.resume && is_new && error.is_none() {
            recorder
                .pending_notes
                .push("there was no unfinished run to resume: this is a new one".to_owned());
        }
        (recorder, error)
    }

    /// The record of a run that is switched off: nothing is in it.
    pub(in crate::run) fn disabled(label: RunLabel, settings: RunSettings) -> Self {
        let header = initial_header(label, &settings, jiff::Timestamp::now());
        let mut recorder = Self::new(None, RunHeader { run: "off".to_owned(), ..header }, settings);
        recorder.start(Vec::new(), vec!["SOOTPRINT=off: nothing was measured".to_owned()], 0.0);
        recorder
    }

    /// No record: another process's has it all.
    pub(in crate::run) fn unrecorded(run: &str, label: RunLabel, settings: RunSettings) -> Self {
        let header = initial_header(label, &settings, jiff::Timestamp::now());
        Self::new(None, RunHeader { run: run.to_owned(), ..header }, settings)
    }

    /// The sum of a training inside the run of this book, without a record of its own. What the training does not say of
    /// its electricity is what the run says.
    #[cfg(unix)]
    pub(in crate::run) fn nested_recorder(&self, run: String, config: &NestedRunConfig) -> Self {
        let parent = self.builder.header();
        let header = RunHeader {
            run,
            training_type: config.label.training_type,
            base_model: config.label.base_model.clone(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            grid: config.grid.clone().unwrap_or_else(|| parent.grid.clone()),
            pue: config.pue.unwrap_or(parent.pue),
            task: ProcessInfo { rank: 0, ranks: 1, attempt: 1, ..parent.task.clone() },
            ..parent.clone()
        };
        let mut builder = FootprintBuilder::new(Box::new(header));
        if let Some(power) = self.builder.idle_power() {
            builder.apply(LedgerEntry::IdlePower { power: power.to_vec() });
        }
        let series = if config.grid.is_some() { config.series.clone() } else { self.series.clone() };
        Self {
            uses_virtual_time: self.uses_virtual_time,
            year: self.year,
            ..Self::from_parts(None, builder, series)
        }
    }

    /// What another's run has learnt of its place is this training's place, unless it says that itself.
    #[cfg(unix)]
    pub(in crate::run) fn inherit_location(&mut self, parent: &Self, config: &NestedRunConfig) {
        let (own, parent) = (self.builder.header(), parent.builder.header());
        let grid = if config.grid.is_some() { own.grid.clone() } else { parent.grid.clone() };
        let pue = if config.pue.is_some() { own.pue } else { parent.pue };
        if (&grid, pue) != (&own.grid, own.pue) {
            self.record(LedgerEntry::Location { grid: Box::new(grid), pue });
        }
    }

    fn new(ledger: Option<OpenLedger>, header: RunHeader, settings: RunSettings) -> Self {
        let mut builder = FootprintBuilder::new(Box::new(header));
        if let Some(OpenLedger { id: name, .. }) = &ledger {
            builder.apply(LedgerEntry::Resumed { run: name.run.clone(), attempt: name.attempt });
        }
        let (is_virtual, year) = (settings.uses_virtual_time(), settings.year);
        Self { uses_virtual_time: is_virtual, year, ..Self::from_parts(ledger, builder, settings.series) }
    }

    fn from_parts(
        ledger: Option<OpenLedger>,
        builder: FootprintBuilder,
        series: Option<IntensitySeries>,
    ) -> Self {
        Self {
            ledger,
            builder,
            epoch: None,
            phases: PhaseAccumulator::default(),
            last_entry_at: None,
            last_entry: (0.0, Vec::new(), 0),
            last_heartbeat_at: None,
            latest_totals: None,
            is_finishing: false,
            status: None,
            state: RecorderState::New,
            uses_virtual_time: false,
            series,
            year: 0,
            pending_notes: Vec::new(),
        }
    }
}

/// What a training says of itself to the run that measures it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::run) struct NestedRunConfig {
    pub(in crate::run) label: RunLabel,
    /// What its own program says of the electricity; all else the run knows as well.
    pub(in crate::run) grid: Option<GridIntensity>,
    pub(in crate::run) series: Option<IntensitySeries>,
    pub(in crate::run) pue: Option<Pue>,
    /// What it asked for and does not get.
    pub(in crate::run) gaps: Vec<String>,
}

impl NestedRunConfig {
    pub(in crate::run) fn from_settings(label: RunLabel, settings: &RunSettings, gaps: Vec<String>) -> Self {
        let series = settings.series.clone().filter(IntensitySeries::is_from_argument);
        let is_grid_explicit = series.is_some() || settings.grid.origin == LocationSource::Argument;
        let pue = Some(settings.pue).filter(|pue| pue.origin() == PueOrigin::Argument);
        Self { label, grid: is_grid_explicit.then(|| settings.grid.clone()), series, pue, gaps }
    }
}

/// What is known before the boards are. The run and the attempt are the ledger's to say.
fn initial_header(label: RunLabel, settings: &RunSettings, now: jiff::Timestamp) -> RunHeader {
    let launch = &settings.launch;
    // A script's processor is everybody's.
    let is_measured = settings.replay.is_none() && !settings.is_disabled;
    let host_share = is_measured.then(HostShareId::current).flatten();
    RunHeader {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!("unrecorded-{}", now.as_millisecond()),
        training_type: label.training_type,
        base_model: label.base_model,
        started: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        grid: settings.grid.clone(),
        pue: settings.pue,
        components: Vec::new(),
        gaps: Vec::new(),
        task: ProcessInfo {
            rank: launch.rank,
            ranks: launch.ranks,
            attempt: 1,
            launch: launch.is_launch_known().then(|| launch.launch_id()),
            host: host_digest(&launch.job),
            booted: None,
            processors: host_share.as_ref().map(|given| given.cpus.clone()),
            memory: host_share.map(|given| given.memory),
        },
    }
}
