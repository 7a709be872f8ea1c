//! Start and end of a run that this process measures.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{
    CloudMetadataError, Footprint, IntensityProvider, Place, Power, ProviderError, RunStatus,
};
use sootprint_power::{
    BoundaryPrecision, NvmlConfig, NvmlHelperCommand, SampleCallback, SampleView, Sampler, SamplerSession,
    SessionStart, SourceConfig,
};

use super::{MeasurementBackend, RunHandle, RunHandleInner};
use crate::ledger::LedgerId;
use crate::run::background::BackgroundQueries;
use crate::run::budget::{Budget, BudgetTracker};
use crate::run::error::StartError;
use crate::run::finish_waits::FinishWaits;
use crate::run::label::RunLabel;
use crate::run::recorder::{IntensityQuery, RecorderOptions, RunRecorder};
use crate::run::spans::RunSpans;
use crate::run::threads::spawn_thread;
use crate::run::timeouts::{FINISH_TIMEOUT, PROVIDER_TIMEOUT};
use crate::run::usage::UsageTracker;
use crate::settings::RunSettings;

impl RunHandle {
    /// Opens the ledger, then the hardware, and starts measuring. Each error is also a gap in the record.
    pub(crate) fn open(
        dir: &Path,
        label: RunLabel,
        mut settings: RunSettings,
        options: RecorderOptions,
        budgets: Vec<Budget>,
    ) -> (Self, Vec<StartError>) {
        let config = source_config(&settings);
        let mut errors: Vec<StartError> = settings.errors.drain(..).map(StartError::from).collect();
        let idle_baseline = settings.baseline;
        let (recorder, error) = RunRecorder::open(dir, label, settings, options);
        errors.extend(error.map(StartError::from));

        let (id, training_type) = recorder.id_and_training_type();
        let spans = RunSpans::for_run(id, training_type);
        let handle = Self::from_parts(recorder, BudgetTracker::new(budgets), spans);
        let mut idle_power = None;
        let session_result = Sampler::shared().and_then(|sampler| {
            idle_power =
                idle_baseline.and_then(|duration| measure_idle_power(&sampler, config.clone(), duration));
            sampler.start_session(config, handle.sample_callback())
        });
        let without_paths =
            |errors: &[StartError]| -> Vec<String> { errors.iter().map(StartError::without_path).collect() };
        match session_result {
            Ok((session, session_start)) => {
                for gap in &session_start.gaps {
                    tracing::warn!("{gap}");
                }
                let more_gaps = without_paths(&errors);
                handle.start_session(session, session_start, more_gaps);
                idle_power
                    .into_iter()
                    .for_each(|power| lock_ignoring_poison(&handle.0.recorder).record_idle_power(power));
            }
            Err(error) => {
                errors.push(StartError::Thread(error));
                lock_ignoring_poison(&handle.0.recorder).start(
                    Vec::new(),
                    without_paths(&errors),
                    0,
                    Vec::new(),
                    0.0,
                );
            }
        }
        (handle, errors)
    }

    /// Creates a handle that measures nothing until a session is started.
    pub(crate) fn without_sampler(recorder: RunRecorder) -> Self {
        Self::from_parts(recorder, BudgetTracker::default(), RunSpans::none())
    }

    pub(crate) fn from_parts(recorder: RunRecorder, budgets: BudgetTracker, spans: RunSpans) -> Self {
        Self(Arc::new(RunHandleInner {
            backend: Mutex::new(None),
            recorder: Arc::new(Mutex::new(recorder)),
            usage: Arc::new(Mutex::new(UsageTracker::default())),
            budgets: Arc::new(Mutex::new(budgets)),
            pending_events: Arc::default(),
            counts: Mutex::default(),
            spans,
            next_phase_id: AtomicU64::new(0),
            finish_waits: FinishWaits::default(),
        }))
    }

    /// The callback that records each sample.
    pub(crate) fn sample_callback(&self) -> SampleCallback {
        let (recorder, usage) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.usage));
        Box::new(move |sample: &SampleView<'_>, events: &[_]| {
            let mut recorder = lock_ignoring_poison(&recorder);
            recorder.on_sample(sample, events);
            lock_ignoring_poison(&usage).update(&recorder, sample);
        })
    }

    /// Starts the record once the hardware has been opened; from here on hook events are handled.
    pub(crate) fn start_session(
        &self,
        session: SamplerSession,
        session_start: SessionStart,
        more_gaps: Vec<String>,
    ) {
        let elapsed = session.now().as_secs_f64();
        let SessionStart { components, mut gaps, pending_drivers, .. } = session_start;
        let pending_drivers = pending_drivers.into_iter().map(str::to_owned).collect();
        let sampler_gaps = gaps.len();
        gaps.extend(more_gaps);
        lock_ignoring_poison(&self.0.recorder).start(
            components,
            gaps,
            sampler_gaps,
            pending_drivers,
            elapsed,
        );
        *lock_ignoring_poison(&self.0.backend) = Some(MeasurementBackend::Local(session));
    }

    /// Ends the run: takes the final sample, queries the intensity provider and writes the ledger's last line. Returns the
    /// footprint of this process, and the id of its ledger, if there is one.
    pub(crate) fn close(
        &self,
        status: Option<RunStatus>,
        timeout: Duration,
        background: Option<&mut BackgroundQueries>,
        intensity_provider: Option<Arc<dyn IntensityProvider>>,
    ) -> (Footprint, Option<LedgerId>) {
        // The lock is released here: `usage` must not block while this function waits.
        let backend = lock_ignoring_poison(&self.0.backend).take();
        let session = match backend {
            Some(MeasurementBackend::Local(session)) => Some(session),
            Some(MeasurementBackend::Remote(remote)) => {
                return (self.finish_nested(remote, status, timeout), None);
            }
            None => None,
        };
        let final_at = session.as_ref().map_or(0.0, |session| session.now().as_secs_f64());
        let is_sampled = session.is_some_and(|session| {
            let (done_tx, done_rx) = mpsc::channel();
            let recorder = Arc::clone(&self.0.recorder);
            let (counts, report_totals) = self.close_epoch(false, self.usage().energy, None);
            lock_ignoring_poison(&recorder).expect_final_sample();
            session.query_energy(session.now(), BoundaryPrecision::Final, move |sample| {
                let totals = lock_ignoring_poison(&recorder).record_final_sample(sample, counts);
                report_totals(totals);
                // The receiver may have timed out.
                let _ = done_tx.send(());
            });
            self.0.finish_waits.receive(&done_rx, timeout).is_some()
        });
        if !is_sampled {
            let mut recorder = lock_ignoring_poison(&self.0.recorder);
            for (at, event) in lock_ignoring_poison(&self.0.pending_events).drain(..) {
                recorder.handle_unsampled_event(event, at);
            }
            recorder.finish_without_sample(final_at);
        }
        if let Some(background) = background {
            background.stop(&self.0.finish_waits);
        }
        if let Some(intensity_provider) = intensity_provider {
            self.query_provider(intensity_provider);
        }
        let mut recorder = lock_ignoring_poison(&self.0.recorder);
        recorder.record_full_series();
        let ledger_id = recorder.close(status, timeout);
        let footprint = recorder.footprint();
        drop(recorder);
        self.0.spans.end_run(&footprint);
        (footprint, ledger_id)
    }

    /// Queries the provider without holding the recorder's lock: the sampler thread needs it, and also serves other runs.
    /// The query has a thread of its own, so that the wait can be ended.
    fn query_provider(&self, intensity_provider: Arc<dyn IntensityProvider>) {
        let query = lock_ignoring_poison(&self.0.recorder).provider_query();
        let Some(IntensityQuery { place, from, to }) = query else { return };
        let (answer_tx, answer_rx) = mpsc::channel();
        let query = move || {
            // The receiver may have stopped waiting.
            let _ = answer_tx.send(intensity_provider.intensity_between(place, from, to));
        };
        let answer = match spawn_thread("sootprint-intensity", query) {
            Ok(()) => self.0.finish_waits.receive(&answer_rx, PROVIDER_TIMEOUT),
            Err(_) => None,
        };
        let answer = answer.unwrap_or(Err(ProviderError::NoAnswer));
        lock_ignoring_poison(&self.0.recorder).apply_answer(answer);
    }

    /// Queries the provider for the run so far and records new periods. `None` if there is nothing to query.
    pub(crate) fn query_provider_so_far(
        &self,
        intensity_provider: &dyn IntensityProvider,
    ) -> Option<Result<(), ProviderError>> {
        let query = lock_ignoring_poison(&self.0.recorder).interim_provider_query(self.now()?.as_secs_f64());
        let IntensityQuery { place, from, to } = query?;
        let answer = intensity_provider.intensity_between(place, from, to);
        Some(answer.map(|series| lock_ignoring_poison(&self.0.recorder).apply_interim_answer(series)))
    }

    /// Records the result of the cloud metadata query.
    pub(crate) fn apply_location(&self, location: Result<Option<Place>, CloudMetadataError>) {
        lock_ignoring_poison(&self.0.recorder).apply_location(location);
    }

    /// Simulates a killed process: nothing more is written, and the ledger's lock is released.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        lock_ignoring_poison(&self.0.backend).take();
        lock_ignoring_poison(&self.0.recorder).kill();
    }
}

/// The energy sources of the run.
fn source_config(settings: &RunSettings) -> SourceConfig {
    match &settings.replay {
        Some(replay) => SourceConfig::Replay(replay.clone()),
        None => SourceConfig::System {
            nvml: NvmlConfig {
                library: settings.nvml.clone(),
                helper: settings.nvml_helper.as_ref().map(|helper| with_library(helper, settings)),
            },
            clock: settings.clock.clone(),
        },
    }
}

/// Adds the path of the library to the arguments of the helper process.
fn with_library(helper: &NvmlHelperCommand, settings: &RunSettings) -> NvmlHelperCommand {
    let mut helper = helper.clone();
    helper.arguments.extend(settings.nvml.clone());
    helper
}

/// Measures the mean power of each component over `duration`. `None` if no time passes, as on a virtual clock.
fn measure_idle_power(
    sampler: &Arc<Sampler>,
    config: SourceConfig,
    duration: Duration,
) -> Option<Vec<Power>> {
    let (session, _) = sampler.start_session(config, Box::new(|_, _| ())).ok()?;
    std::thread::sleep(duration);
    let (power_tx, power_rx) = mpsc::channel();
    session.query_energy(session.now(), BoundaryPrecision::Final, move |sample| {
        let energy = sample.accumulator.energy_at(sample.now);
        let power: Option<Vec<Power>> = energy.into_iter().map(|energy| energy / sample.now).collect();
        // The receiver may have timed out.
        let _ = power_tx.send(power);
    });
    power_rx.recv_timeout(FINISH_TIMEOUT).ok()?
}
