//! The sampler thread that all runs of a process share.
//!
//! A hook posts a timestamp and returns. The sampler thread reads the hardware and interpolates the energy at that
//! timestamp between its readings, so the training never waits for a GPU.
//!
//! The sampler is independent of runs: it calls closures on its own thread with a moment and the accumulator. The
//! ledger is built on top of it, and a run is recorded on the thread that has the readings.
//!
//! The thread owns the data and the handles own the sending half of a channel: when the last handle is dropped, the
//! channel closes and the thread ends.

mod sensor_group;
mod session;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use sootprint_core::sync::lock_ignoring_poison;

use crate::clock::SamplerClock;
use sensor_group::SensorGroup;
use session::QueryCallback;

pub use sensor_group::{BoundaryPrecision, SourceConfig};
pub use session::{SampleCallback, SampleView, SessionStart};

/// A handle to the sampler thread, which reads the sources for all runs of the process. The thread ends when the
/// last handle is dropped.
#[derive(Debug)]
pub struct Sampler {
    command_tx: mpsc::Sender<SamplerCommand>,
}

/// A measurement of one run, from [`Sampler::start_session`] until the session is dropped.
#[derive(Debug)]
pub struct SamplerSession {
    sampler: Arc<Sampler>,
    id: u64,
    clock: SamplerClock,
    origin: Duration,
}

enum SamplerCommand {
    StartSession {
        id: u64,
        source: SessionSource,
        on_sample: SampleCallback,
        start_tx: SyncSender<SessionStart>,
    },
    QueryEnergy {
        id: u64,
        at: Duration,
        precision: BoundaryPrecision,
        callback: QueryCallback,
    },
    EndSession {
        id: u64,
    },
}

/// The sources of a session.
enum SessionSource {
    Config(SourceConfig),
    /// The sources of the session with this id.
    Existing(u64),
}

impl Sampler {
    /// Returns the sampler of this process and starts it if necessary.
    ///
    /// # Errors
    /// If the thread cannot be spawned.
    pub fn shared() -> io::Result<Arc<Self>> {
        // Stored with the process id: a forked process inherits the handle but not the thread.
        static SHARED: Mutex<(u32, Weak<Sampler>)> = Mutex::new((0, Weak::new()));

        let process = std::process::id();
        let mut shared = lock_ignoring_poison(&SHARED);
        if shared.0 == process
            && let Some(sampler) = shared.1.upgrade()
        {
            return Ok(sampler);
        }
        let (command_tx, command_rx) = mpsc::channel();
        thread::Builder::new()
            .name("sootprint-sampler".to_owned())
            .spawn(move || run_sampler_loop(&command_rx))?;
        let sampler = Arc::new(Self { command_tx });
        *shared = (process, Arc::downgrade(&sampler));
        Ok(sampler)
    }

    /// Starts a session and blocks until its first reading, from which its energy is counted. `on_sample` is
    /// called after each reading.
    ///
    /// # Errors
    /// If the sampler thread has ended.
    pub fn start_session(
        self: &Arc<Self>,
        config: SourceConfig,
        on_sample: SampleCallback,
    ) -> io::Result<(SamplerSession, SessionStart)> {
        self.start_session_from(SessionSource::Config(config), on_sample)
    }

    fn start_session_from(
        self: &Arc<Self>,
        source: SessionSource,
        on_sample: SampleCallback,
    ) -> io::Result<(SamplerSession, SessionStart)> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);

        let ended = |_| io::Error::other("the sampler thread has ended");
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (start_tx, start_rx) = mpsc::sync_channel(1);
        self.command_tx
            .send(SamplerCommand::StartSession { id, source, on_sample, start_tx })
            .map_err(|_| ended(mpsc::RecvError))?;
        let start = start_rx.recv().map_err(ended)?;
        let session = SamplerSession {
            sampler: Arc::clone(self),
            id,
            clock: start.clock.clone(),
            origin: start.origin,
        };
        Ok((session, start))
    }
}

impl SamplerSession {
    /// Prepares another session that shares the readings of this one, at no additional cost.
    ///
    /// The returned closure starts the session and blocks until its first reading, so the caller can release a lock
    /// on this session before it calls the closure.
    ///
    /// # Errors
    /// The closure fails if the sampler thread has ended.
    pub fn session_starter(&self) -> impl FnOnce(SampleCallback) -> io::Result<(Self, SessionStart)> + use<> {
        let (sampler, id) = (Arc::clone(&self.sampler), self.id);
        move |on_sample| sampler.start_session_from(SessionSource::Existing(id), on_sample)
    }

    /// Returns the time since the session began.
    pub fn now(&self) -> Duration {
        self.clock.now().saturating_sub(self.origin)
    }

    /// Queries the energy at `at`, a time since the start of this session, and returns immediately.
    /// `callback` runs on the sampler thread once the energy is known.
    pub fn query_energy(
        &self,
        at: Duration,
        precision: BoundaryPrecision,
        callback: impl FnOnce(&SampleView<'_>) + Send + 'static,
    ) {
        // If the thread has ended there is no result; the run detects this when it finishes.
        let _ = self.sampler.command_tx.send(SamplerCommand::QueryEnergy {
            id: self.id,
            at,
            precision,
            callback: Box::new(callback),
        });
    }
}

impl Drop for SamplerSession {
    fn drop(&mut self) {
        let _ = self.sampler.command_tx.send(SamplerCommand::EndSession { id: self.id });
    }
}

/// The thread's main loop: sleeps until a command arrives or a reading is due.
fn run_sampler_loop(command_rx: &Receiver<SamplerCommand>) {
    let mut groups: Vec<SensorGroup> = Vec::new();
    loop {
        let command = match groups.iter().filter_map(SensorGroup::time_until_due).min() {
            Some(sleep) => command_rx.recv_timeout(sleep),
            None => command_rx.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match command {
            Ok(SamplerCommand::StartSession { id, source, on_sample, start_tx }) => {
                let group = match source {
                    SessionSource::Config(config) => Some(sensor_group_for(&mut groups, config)),
                    SessionSource::Existing(other) => {
                        groups.iter_mut().find(|group| group.has_session(other))
                    }
                };
                if let Some(group) = group {
                    // The receiver may be gone; dropping its session then ends it here too.
                    let _ = start_tx.send(group.start_session(id, on_sample));
                }
            }
            Ok(SamplerCommand::QueryEnergy { id, at, precision, callback }) => {
                if let Some(group) = groups.iter_mut().find(|group| group.has_session(id)) {
                    group.add_query(id, at, precision, callback);
                }
            }
            Ok(SamplerCommand::EndSession { id }) => {
                groups.iter_mut().for_each(|group| group.end_session(id));
                groups.retain(SensorGroup::is_in_use);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        groups.iter_mut().for_each(SensorGroup::poll);
    }
}

/// The group for this configuration. Runs on the same hardware share a group, so each GPU is read once.
fn sensor_group_for(groups: &mut Vec<SensorGroup>, config: SourceConfig) -> &mut SensorGroup {
    let position = match groups.iter().position(|group| group.matches_config(&config)) {
        Some(position) => position,
        None => {
            groups.push(SensorGroup::open(config));
            groups.len() - 1
        }
    };
    &mut groups[position]
}

#[cfg(test)]
mod tests {
    use sootprint_core::{ComponentKind, Power};

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::{NvmlConfig, Replay};

    fn replay_config(clock: &VirtualClock) -> SourceConfig {
        let script = [(1.0, 100.0), (1.0, 300.0)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        SourceConfig::Replay(
            Replay::new().with_component(ComponentKind::Gpu, "GPU", script).with_clock(clock.clone()),
        )
    }

    /// The energy of a session's only component at a moment, in joules.
    fn energy_at(session: &SamplerSession, at: Duration) -> f64 {
        let (done_tx, done_rx) = mpsc::channel();
        session.query_energy(at, BoundaryPrecision::High, move |moment| {
            let _ = done_tx.send(moment.accumulator.energy_at(moment.now)[0]);
        });
        done_rx.recv().unwrap().joules()
    }

    #[test]
    fn late_query_returns_energy_at_timestamp() {
        let clock = VirtualClock::default();
        let sampler = Sampler::shared().unwrap();
        let (session, start) = sampler.start_session(replay_config(&clock), Box::new(|_, _| ())).unwrap();
        assert_eq!(start.components.len(), 1);
        clock.advance(Duration::from_millis(1_500));
        let at = session.now();
        clock.advance(Duration::from_secs(20));
        // 1 s at 100 W and 0.5 s at 300 W.
        assert!((energy_at(&session, at) - 250.0).abs() < 1e-6);
    }

    #[test]
    fn sessions_start_from_own_origin() {
        let sampler = Sampler::shared().unwrap();
        let clock = VirtualClock::default();
        let (first, _) = sampler.start_session(replay_config(&clock), Box::new(|_, _| ())).unwrap();
        clock.advance(Duration::from_secs(1));
        let (second, _) = sampler.start_session(replay_config(&clock), Box::new(|_, _| ())).unwrap();
        let (nested, _) = first.session_starter()(Box::new(|_, _| ())).unwrap();
        clock.advance(Duration::from_secs(1));
        assert!((energy_at(&first, first.now()) - 400.0).abs() < 1e-6);
        // `second` has a script of its own; `nested` shares that of `first`, which is in its second second.
        assert!((energy_at(&second, second.now()) - 300.0).abs() < 1e-6);
        assert!((energy_at(&nested, nested.now()) - 300.0).abs() < 1e-6);
    }

    #[test]
    fn system_sessions_share_readings() {
        let sampler = Sampler::shared().unwrap();
        let system = || SourceConfig::System {
            nvml: NvmlConfig { library: Some("/nowhere/libnvidia-ml.so.1".into()), helper: None },
            clock: None,
        };
        let (first, first_start) = sampler.start_session(system(), Box::new(|_, _| ())).unwrap();
        let (second, second_start) = sampler.start_session(system(), Box::new(|_, _| ())).unwrap();
        assert_eq!(first_start.components, second_start.components);
        assert!(second.origin >= first.origin, "one clock serves both");
    }
}
