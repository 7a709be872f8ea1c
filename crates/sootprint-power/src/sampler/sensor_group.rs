//! A set of sources on one clock, and the sessions that share their readings.
//!
//! A script can be read at any moment of the past. A query on a virtual clock is therefore answered by
//! reading the script at every moment that was due, while the same code takes a single reading on the
//! system's clock.

mod boundary;
mod channel;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use super::session::{QueryCallback, SampleCallback, SampleView, SessionStart};
use crate::accumulator::{EnergyAccumulator, MAX_TICK_INTERVAL, SensorEvent};
use crate::clock::{SamplerClock, VirtualClock};
use crate::gpu_processes::GpuUsers;
use crate::open_devices::{GpuDeviceFiles, OpenDevices};
use crate::source::{
    ComponentInfo, EnergySource, NvmlConfig, OpeningDriver, Replay, SourceProbe, SystemSources,
};
use boundary::{BoundaryHistory, PendingBoundary};
use channel::{SampleReading, SensorChannel, SensorSample};

pub use boundary::BoundaryPrecision;

/// Interval of the readings that catch up with a virtual clock, and the maximum number of these readings.
const REPLAY_INTERVAL: Duration = Duration::from_millis(10);
const MAX_REPLAY_STEPS: u32 = 10_000;

/// A query is answered with older readings if the hardware has not been read after this time: the hardware is
/// assumed to be gone.
const READING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the start of a run waits for drivers: on the system's clock, and on a virtual clock, where no
/// component can be added later.
const DRIVER_START_TIMEOUT: Duration = Duration::from_millis(100);
const VIRTUAL_START_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval between checks of a driver that has not answered: during [`FIRST_DRIVER_CHECKS`], and after
/// that.
const DRIVER_CHECK_INTERVALS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
const FIRST_DRIVER_CHECKS: Duration = Duration::from_secs(10);

/// When the processes on the GPUs are first listed after the start of a session, and how often after that. By
/// the first time, the record and probably the training have started.
const FIRST_PROCESS_SCAN: Duration = Duration::from_millis(500);
const PROCESS_SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// The sources with which a run is measured.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// The hardware of this machine.
    System {
        /// How NVIDIA GPUs are read.
        nvml: NvmlConfig,
        /// The virtual clock that simulated hardware follows. `None` for the system's clock.
        clock: Option<VirtualClock>,
    },
    /// A script in place of hardware.
    Replay(Replay),
}

pub(crate) struct SensorGroup {
    /// The configuration of a group that reads the system's hardware. `None` for a group that other runs
    /// cannot share.
    system_nvml: Option<NvmlConfig>,
    clock: SamplerClock,
    sources: Vec<Box<dyn EnergySource>>,
    /// The components of all sources in sequence, and the channel of each component.
    components: Vec<ComponentInfo>,
    channels: Vec<SensorChannel>,
    /// The reasons why existing hardware is not read.
    gaps: Vec<String>,
    /// Drivers that have not answered yet, and when to check them again.
    opening: Vec<OpeningDriver>,
    /// The names of those that do not wait for a GPU to wake.
    pending_drivers: Vec<&'static str>,
    driver_check_due: Duration,
    sessions: Vec<SessionState>,
    /// Queries whose energy is not known yet, in order of arrival.
    pending_queries: VecDeque<EnergyQuery>,
    /// The moment up to which all components have been read.
    sampled_until: Duration,
    /// When to determine again which processes use the GPUs.
    process_scan_due: Duration,
    /// Whether only descendants of this process can train, as in a command that measures another command.
    trains_elsewhere: bool,
    /// When to read all components again, for a low-precision boundary that followed a reading too closely.
    full_sample_due: Option<Duration>,
}

struct SessionState {
    id: u64,
    origin: Duration,
    accumulator: EnergyAccumulator,
    boundary_history: BoundaryHistory,
    on_sample: SampleCallback,
}

struct EnergyQuery {
    id: u64,
    /// From the start of the session.
    at: Duration,
    boundary: PendingBoundary,
    callback: QueryCallback,
}

impl SensorGroup {
    pub(crate) fn open(config: SourceConfig) -> Self {
        let (system_nvml, clock) = match &config {
            SourceConfig::System { nvml, clock } => (clock.is_none().then(|| nvml.clone()), clock.clone()),
            SourceConfig::Replay(replay) => (None, replay.clock()),
        };
        let mut group = Self {
            system_nvml,
            clock: clock.map_or_else(|| SamplerClock::System(Instant::now()), SamplerClock::Virtual),
            sources: Vec::new(),
            components: Vec::new(),
            channels: Vec::new(),
            gaps: Vec::new(),
            opening: Vec::new(),
            pending_drivers: Vec::new(),
            driver_check_due: Duration::ZERO,
            sessions: Vec::new(),
            pending_queries: VecDeque::new(),
            sampled_until: Duration::ZERO,
            full_sample_due: None,
            process_scan_due: Duration::ZERO,
            trains_elsewhere: matches!(&config, SourceConfig::System { nvml, .. } if nvml.helper.is_some()),
        };
        match config {
            SourceConfig::System { nvml, .. } => group.open_system_sources(&nvml),
            SourceConfig::Replay(replay) => group.add_source(Box::new(replay)),
        }
        group
    }

    fn open_system_sources(&mut self, nvml: &NvmlConfig) {
        let timeout = if self.is_virtual() { VIRTUAL_START_TIMEOUT } else { DRIVER_START_TIMEOUT };
        let SystemSources { probes, opening } = SystemSources::open(nvml, self.clock.clone(), timeout);
        probes.into_iter().for_each(|probe| self.add_probe(probe));
        self.gaps.extend(opening.iter().map(OpeningDriver::pending_reason));
        self.opening = opening;
        self.update_pending_drivers();
    }

    fn update_pending_drivers(&mut self) {
        let pending = self.opening.iter().filter(|driver| !driver.waits_for_gpu());
        self.pending_drivers = pending.map(OpeningDriver::name).collect();
    }

    fn add_probe(&mut self, probe: SourceProbe) {
        self.gaps.extend(probe.warning());
        if let Some(source) = probe.source {
            self.add_source(source);
        }
    }

    fn add_source(&mut self, source: Box<dyn EnergySource>) {
        self.gaps.extend(source.gaps());
        for (index, component) in source.components().into_iter().enumerate() {
            let is_ticking = source.is_ticking_counter(index);
            for session in &mut self.sessions {
                session.accumulator.add_component(&component, is_ticking);
            }
            let mut channel = SensorChannel::new(self.sources.len(), index, is_ticking);
            channel.start_session(self.clock.now());
            channel.device_files = component
                .gpu
                .as_ref()
                .filter(|_| !source.is_scripted())
                .map(|gpu| GpuDeviceFiles::find(gpu, Path::new("/proc"), Path::new("/sys")));
            self.channels.push(channel);
            self.components.push(component);
        }
        self.sources.push(source);
    }

    /// Adds the components of the drivers that have answered since the last check.
    fn add_opened_drivers(&mut self, now: Duration) {
        if self.opening.is_empty() || now < self.driver_check_due {
            return;
        }
        let mut last_wait = Duration::ZERO;
        for driver in std::mem::take(&mut self.opening) {
            let (name, waited) = (driver.name(), driver.waited());
            match driver.finish(Duration::ZERO) {
                Ok(probe) => {
                    if probe.source.is_some() {
                        let seconds = waited.as_secs_f64();
                        self.gaps.push(format!(
                            "{name}: GPUs are measured from {seconds:.1} s after the start; their energy before \
                             that is unknown"
                        ));
                    }
                    self.add_probe(probe);
                }
                Err(driver) => {
                    last_wait = last_wait.max(waited);
                    self.opening.push(driver);
                }
            }
        }
        self.update_pending_drivers();
        let [first, later] = DRIVER_CHECK_INTERVALS;
        self.driver_check_due = now + if last_wait < FIRST_DRIVER_CHECKS { first } else { later };
    }

    /// Whether a run with this configuration can share the group.
    pub(crate) fn matches_config(&self, config: &SourceConfig) -> bool {
        matches!(config, SourceConfig::System { nvml, clock: None } if self.system_nvml.as_ref() == Some(nvml))
    }

    pub(crate) fn has_session(&self, id: u64) -> bool {
        self.sessions.iter().any(|session| session.id == id)
    }

    pub(crate) fn is_in_use(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// The time until the next reading is due. `None` if there is nothing to wait for, or on a virtual clock,
    /// which does not advance during a sleep.
    pub(crate) fn time_until_due(&self) -> Option<Duration> {
        let driver_check = (!self.opening.is_empty()).then_some(self.driver_check_due);
        let due = self.next_due().into_iter().chain(self.tick_deadline()).chain(driver_check).min()?;
        self.clock.time_until(due)
    }

    /// When the first query has waited long enough for a tick.
    fn tick_deadline(&self) -> Option<Duration> {
        let moment = self.pending_queries.front()?.boundary.moment;
        // Slightly later, so that the wait is over by then.
        (self.sampled_until >= moment).then_some(moment + MAX_TICK_INTERVAL + Duration::from_millis(1))
    }

    /// Starts a session with a reading.
    pub(crate) fn start_session(&mut self, id: u64, on_sample: SampleCallback) -> SessionStart {
        let origin = self.clock.now();
        let accumulator = EnergyAccumulator::new(
            self.components.iter().zip(self.channels.iter().map(|channel| channel.is_ticking)),
        );
        self.sessions.push(SessionState {
            id,
            origin,
            accumulator,
            boundary_history: BoundaryHistory::default(),
            on_sample,
        });
        self.channels.iter_mut().for_each(|channel| channel.start_session(origin));
        self.process_scan_due = origin + FIRST_PROCESS_SCAN;
        self.sample(origin, |_| true);
        // The start of a session is a boundary as well.
        if self.can_replay_ahead() {
            self.replay_ahead(origin, |group, ahead| group.starting_sessions(ahead).next().is_none());
        } else {
            self.tighten_cadence(origin);
        }
        SessionStart {
            clock: self.clock.clone(),
            origin,
            components: self.components.clone(),
            pending_drivers: self.pending_drivers.clone(),
            gaps: self.gaps.clone(),
        }
    }

    /// Ends a session. Its pending queries are answered with the current readings.
    pub(crate) fn end_session(&mut self, id: u64) {
        let (ended, others): (VecDeque<EnergyQuery>, _) =
            std::mem::take(&mut self.pending_queries).into_iter().partition(|query| query.id == id);
        self.pending_queries = others;
        ended.into_iter().for_each(|query| self.resolve(query));
        self.sessions.retain(|session| session.id != id);
    }

    /// Answers a query once the readings have reached the moment and the counters have ticked.
    pub(crate) fn add_query(
        &mut self,
        id: u64,
        at: Duration,
        precision: BoundaryPrecision,
        callback: QueryCallback,
    ) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) else { return };
        let moment = session.origin + at;
        let boundary = session.boundary_history.record(precision, moment);
        self.pending_queries.push_back(EnergyQuery { id, at, boundary, callback });
        if self.sampled_until < moment {
            // Low-precision boundaries may be more frequent than readings should be.
            let interval = boundary.poll_interval(moment, self.full_read_cost());
            if boundary.is_deferrable(interval)
                && !self.is_virtual()
                && moment - self.sampled_until < interval
            {
                let due = moment + interval;
                self.full_sample_due = Some(self.full_sample_due.map_or(due, |earlier| earlier.min(due)));
            } else {
                self.sample_until(moment);
            }
        }
        if self.can_replay_ahead() {
            self.replay_ahead(moment, Self::resolve_ready);
        } else {
            let now = self.clock.now();
            if !self.resolve_ready(now) {
                self.tighten_cadence(now);
            }
        }
    }

    /// Takes the readings that are due on the system's clock. On a virtual clock, queries take the readings.
    pub(crate) fn poll(&mut self) {
        if self.is_virtual() || !self.is_in_use() {
            return;
        }
        let now = self.clock.now();
        self.add_opened_drivers(now);
        if self.next_due().is_some_and(|due| due <= now) {
            let is_full_sample = self.full_sample_due.is_some_and(|due| due <= now);
            self.sample(now, |channel| is_full_sample || channel.is_due(now));
        }
        self.resolve_ready(now);
        self.tighten_cadence(now);
    }

    fn next_due(&self) -> Option<Duration> {
        self.channels.iter().map(SensorChannel::next_due).chain(self.full_sample_due).min()
    }

    fn is_virtual(&self) -> bool {
        matches!(self.clock, SamplerClock::Virtual(_))
    }

    /// Whether all sources are scripts on a virtual clock, which can be read ahead of it.
    fn can_replay_ahead(&self) -> bool {
        self.is_virtual() && self.sources.iter().all(|source| source.is_scripted())
    }

    /// Reads a script from a moment onwards, until `is_done`.
    fn replay_ahead(&mut self, moment: Duration, is_done: impl Fn(&mut Self, Duration) -> bool) {
        let mut ahead = moment;
        while !is_done(self, ahead) {
            ahead += boundary::tick_poll_interval(ahead - moment);
            self.sample(ahead, |_| true);
        }
    }

    /// The boundary whose tick is awaited: a pending query or the start of a session. Of several, the one
    /// that requires the shortest poll interval, then the one with the highest priority.
    fn active_boundary(&self, now: Duration) -> Option<PendingBoundary> {
        let starting = self.starting_sessions(now).map(|session| PendingBoundary::run_start(session.origin));
        let cost = self.counter_read_cost();
        let closest = |it: &PendingBoundary| (it.poll_interval(now, cost), Reverse(it.priority()));
        self.pending_queries.iter().map(|query| query.boundary).chain(starting).min_by_key(closest)
    }

    /// Sessions that have just started and whose start has not been located between two ticks.
    fn starting_sessions(&self, now: Duration) -> impl Iterator<Item = &SessionState> {
        let is_starting = move |it: &&SessionState| {
            now.saturating_sub(it.origin) <= MAX_TICK_INTERVAL * 2 && !it.accumulator.has_located_start()
        };
        self.sessions.iter().filter(is_starting)
    }

    /// Schedules the next reading of ticking counters as the active boundary requires.
    fn tighten_cadence(&mut self, now: Duration) {
        let Some(boundary) = self.active_boundary(now) else { return };
        let interval = boundary.poll_interval(now, self.counter_read_cost());
        let power: Duration = self.channels.iter().map(|channel| channel.power_cost.min()).sum();
        let resolution = boundary::achievable_resolution(interval, self.counter_read_cost() + power);
        for channel in self.channels.iter_mut().filter(|channel| channel.is_ticking) {
            channel.due = channel.due.min(now + interval);
        }
        for session in &mut self.sessions {
            session.accumulator.set_tick_resolution(resolution);
        }
    }

    /// The time that one reading of all counters takes.
    fn counter_read_cost(&self) -> Duration {
        let counters = self.channels.iter().filter(|channel| channel.is_ticking);
        counters.map(|channel| channel.read_cost.min()).sum()
    }

    /// The time that one reading of all components takes.
    fn full_read_cost(&self) -> Duration {
        self.channels.iter().map(|channel| channel.read_cost.min()).sum()
    }

    fn session(&self, id: u64) -> Option<&SessionState> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// Answers the queries at the front whose energy is known or that have waited long enough. Returns whether none
    /// is left.
    fn resolve_ready(&mut self, now: Duration) -> bool {
        while let Some(query) = self.pending_queries.front() {
            let waited = now.saturating_sub(query.boundary.moment);
            let is_pending = if self.sampled_until < query.boundary.moment {
                waited <= READING_TIMEOUT
            } else {
                let has_ticked = |it: &SessionState| it.accumulator.have_counters_ticked_since(query.at);
                waited <= MAX_TICK_INTERVAL && !self.session(query.id).is_none_or(has_ticked)
            };
            if is_pending && self.can_wait_for_tick() {
                return false;
            }
            let query = self.pending_queries.pop_front();
            query.into_iter().for_each(|query| self.resolve(query));
        }
        true
    }

    /// Whether waiting can bring a tick: hardware on a virtual clock does not tick during a wait.
    fn can_wait_for_tick(&self) -> bool {
        !self.is_virtual() || self.can_replay_ahead()
    }

    fn resolve(&self, query: EnergyQuery) {
        if let Some(session) = self.session(query.id) {
            (query.callback)(&SampleView {
                now: query.at,
                accumulator: &session.accumulator,
                components: &self.components,
                pending_drivers: &self.pending_drivers,
                gaps: &self.gaps,
            });
        }
    }

    /// Reads all components. A script on a virtual clock is read at each past moment that was due, then at `at`.
    fn sample_until(&mut self, at: Duration) {
        if !self.can_replay_ahead() {
            return self.sample(self.clock.now(), |_| true);
        }
        let due = self.next_due().unwrap_or(at);
        let stride = REPLAY_INTERVAL.max(at.saturating_sub(due) / MAX_REPLAY_STEPS);
        let mut moment = due;
        while moment < at {
            self.sample(moment, |_| true);
            moment += stride;
        }
        self.sample(at, |_| true);
    }

    /// Reads some components once and updates every session.
    fn sample(&mut self, now: Duration, is_read: impl Fn(&SensorChannel) -> bool) {
        let precision = self.active_boundary(now).map(|boundary| boundary.precision);
        // At the start of a session all readings have one timestamp. Otherwise time passes while one GPU after the
        // other is read.
        let is_single_timestamp =
            self.is_virtual() || self.sessions.iter().any(|session| session.origin == now);
        let Self {
            clock,
            sources,
            channels,
            sessions,
            components,
            gaps,
            sampled_until,
            full_sample_due,
            pending_drivers,
            process_scan_due,
            trains_elsewhere,
            ..
        } = self;
        let moment = || if is_single_timestamp { now } else { clock.now() };
        let mut events: Vec<Vec<SensorEvent>> = vec![Vec::new(); sessions.len()];
        let mut is_full_sample = true;
        // The drivers of GPUs come first in the list and are read last, so that nothing else waits for them.
        for (component, channel) in channels.iter_mut().enumerate().rev() {
            let source = sources[channel.source_index].as_mut();
            let SensorSample { at, reading, power } = if is_read(channel) {
                channel.read(source, precision, moment)
            } else {
                is_full_sample = false;
                if !channel.is_power_only_due(now) {
                    continue;
                }
                channel.read_power_only(source, moment)
            };
            for (session, events) in sessions.iter_mut().zip(&mut events) {
                let since = |at: Duration| at.saturating_sub(session.origin);
                // Power first: the energy around a counter reset is derived from the power samples on both sides.
                if let Some((at, power)) = power {
                    session.accumulator.record_power(since(at), component, power);
                }
                match &reading {
                    SampleReading::Taken(reading) => {
                        events.extend(session.accumulator.record_reading(
                            since(at),
                            component,
                            reading.clone(),
                        ));
                    }
                    SampleReading::Pending => session.accumulator.record_pending(since(at), component),
                    SampleReading::Skipped => {}
                }
            }
        }
        if is_full_sample {
            *full_sample_due = None;
        }
        if now >= *process_scan_due {
            *process_scan_due = now + PROCESS_SCAN_INTERVAL;
            let users = scan_users(channels, sources, *trains_elsewhere);
            events.iter_mut().for_each(|events| events.extend(users.iter().cloned()));
        }
        *sampled_until = channels.iter().map(|channel| channel.last_read).min().unwrap_or(now);
        for (session, events) in sessions.iter_mut().zip(events) {
            let now = now.saturating_sub(session.origin);
            (session.on_sample)(
                &SampleView { now, accumulator: &session.accumulator, components, pending_drivers, gaps },
                &events,
            );
        }
    }
}

/// Determines which processes use each GPU, and returns the changes.
fn scan_users(
    channels: &mut [SensorChannel],
    sources: &mut [Box<dyn EnergySource>],
    trains_elsewhere: bool,
) -> Vec<SensorEvent> {
    let open = if channels.iter().any(|channel| channel.device_files.is_some()) {
        OpenDevices::scan(Path::new("/proc"), std::process::id())
    } else {
        OpenDevices::default()
    };
    let listed: Vec<Option<GpuUsers>> = channels
        .iter_mut()
        .map(|channel| channel.listed_users(sources[channel.source_index].as_mut()))
        .collect();
    let is_listed = listed.iter().flatten().any(|users| users.own);
    let mut changes = Vec::new();
    for (component, (channel, listed)) in channels.iter_mut().zip(listed).enumerate() {
        let is_open = channel.device_files.as_ref().and_then(|files| open.uses(files, trains_elsewhere));
        if listed.is_some() || is_open.is_some() {
            let users = listed.unwrap_or_default().with_open_files(is_open, is_listed);
            let changed = channel.set_users(users);
            changes.extend(changed.map(|users| SensorEvent::UsersChanged { component, users }));
        }
    }
    changes
}
