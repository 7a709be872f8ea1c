//! Creating the recorder: the ledger, and the header before the hardware is known.

use std::fs;
use std::path::Path;

use sootprint_core::file::resolve_link;
use sootprint_core::{Footprint, IntensitySeries};
use sootprint_power::HostShareId;

use super::open_intervals::PhaseAccumulator;
use super::{RecorderOptions, RecorderState, RunRecorder};
use crate::distributed::host_digest;
use crate::footprint::FootprintBuilder;
use crate::ledger::{
    LedgerEntry, LedgerError, OpenLedger, ProcessInfo, RunHeader, SCHEMA, create_alongside, create_ledger,
    list_runs, resume_ledger,
};
use crate::run::label::RunLabel;
#[cfg(unix)]
use crate::run::nested::NestedRunConfig;
use crate::settings::RunSettings;

impl RunRecorder {
    /// Creates the recorder of a run in `dir`. If no ledger can be created, the recorder works without one and the error
    /// is returned too.
    pub(crate) fn open(
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
            // Another process is recording the run to resume: record a new one, unless the caller wants the error.
            Err(error @ LedgerError::Busy { .. }) if !options.fail_if_busy => {
                (create_alongside(dir, now, launch, &header).ok(), Some(error))
            }
            Err(error) => (None, Some(error)),
        };
        // Until this run ends, the footprint of an older one must not pass for its own.
        if ledger.is_some() && launch.rank == 0 {
            remove_footprint(dir);
        }
        if settings.uses_virtual_time() {
            ledger.iter_mut().for_each(|open| open.ledger.block_on_full_queue());
        }
        let mut recorder = Self::new(ledger, header, settings);
        if options.resume && is_new && error.is_none() {
            recorder.pending_notes.push("no unfinished run to resume: started a new run".to_owned());
        }
        (recorder, error)
    }

    /// Creates the recorder of a disabled run, which records nothing.
    pub(crate) fn disabled(label: RunLabel, settings: RunSettings) -> Self {
        let header = initial_header(label, &settings, jiff::Timestamp::now());
        let mut recorder = Self::new(None, RunHeader { run: "off".to_owned(), ..header }, settings);
        recorder.start(
            Vec::new(),
            vec!["SOOTPRINT=off: nothing was measured".to_owned()],
            0,
            Vec::new(),
            0.0,
        );
        recorder
    }

    /// Creates a recorder without a record, for a run that another process records.
    pub(crate) fn unrecorded(run: &str, label: RunLabel, settings: RunSettings) -> Self {
        let header = initial_header(label, &settings, jiff::Timestamp::now());
        Self::new(None, RunHeader { run: run.to_owned(), ..header }, settings)
    }

    /// Creates the recorder of a training nested in this run. It has no ledger. Electricity settings that the training
    /// does not specify are this run's.
    ///
    /// A nested training is summed up separately, from the same samples: its footprint, its budgets and what it
    /// pushes cover its own time only, not what the command did before it or another training in the command.
    #[cfg(unix)]
    pub(crate) fn nested_recorder(&self, run: String, config: &NestedRunConfig) -> Self {
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
            place: config.grid.as_ref().map_or(self.place, sootprint_core::Place::from_intensity),
            year: self.year,
            ..Self::from_parts(None, builder, series)
        }
    }

    /// Adopts the location and PUE of the enclosing run, unless the training specifies its own.
    #[cfg(unix)]
    pub(crate) fn inherit_location(&mut self, parent: &Self, config: &NestedRunConfig) {
        let (own, inherited) = (self.builder.header(), parent.builder.header());
        let grid = if config.grid.is_some() { own.grid.clone() } else { inherited.grid.clone() };
        let pue = if config.pue.is_some() { own.pue } else { inherited.pue };
        if (&grid, pue) != (&own.grid, own.pue) {
            self.record(LedgerEntry::Location { grid: Box::new(grid), pue });
        }
        if config.grid.is_none() {
            self.place = parent.place;
        }
    }

    fn new(ledger: Option<OpenLedger>, header: RunHeader, settings: RunSettings) -> Self {
        let mut builder = FootprintBuilder::new(Box::new(header));
        if let Some(OpenLedger { id, .. }) = &ledger {
            builder.apply(LedgerEntry::Resumed { run: id.run.clone(), attempt: id.attempt });
        }
        let (uses_virtual_time, place, year) = (settings.uses_virtual_time(), settings.place, settings.year);
        Self { uses_virtual_time, place, year, ..Self::from_parts(ledger, builder, settings.series) }
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
            place: None,
            series,
            year: 0,
            pending_notes: Vec::new(),
            first_events: Vec::new(),
            sampler_gaps: 0,
            unresolved_devices: Vec::new(),
        }
    }
}

/// Removes `footprint.json` if it can be rebuilt from its ledgers. A symbolic link is kept; its target is removed.
fn remove_footprint(dir: &Path) {
    let path = dir.join(Footprint::FILE_NAME);
    let is_rebuildable = Footprint::read(&path)
        .is_ok_and(|saved| list_runs(dir).is_ok_and(|runs| runs.contains(&saved.run.id)));
    if is_rebuildable && let Err(error) = resolve_link(&path).and_then(fs::remove_file) {
        tracing::warn!("cannot remove {} of an older run: {error}", path.display());
    }
}

/// The header before the hardware is known. The run id and the attempt are set when the ledger is created.
///
/// It is written before the hardware is opened, which can take a second with NVML, because other ranks need the run id;
/// the complete header follows.
fn initial_header(label: RunLabel, settings: &RunSettings, now: jiff::Timestamp) -> RunHeader {
    let launch = &settings.launch;
    // A replay's CPU belongs to no host.
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
        pending_drivers: Vec::new(),
        task: ProcessInfo {
            rank: launch.rank,
            ranks: launch.ranks,
            attempt: 1,
            launch: launch.is_launch_known().then(|| launch.launch_id()),
            array_index: launch.array_index.clone(),
            host: host_digest(&launch.job),
            booted: None,
            processors: host_share.as_ref().map(|share| share.cpus.clone()),
            memory: host_share.map(|share| share.memory),
        },
    }
}
