//! A set of sources on one clock, and the sessions that listen to it.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::{Moment, OnMark, OnSample, Opening};
use crate::clock::Clock;
use crate::source::{Component, Replay, Source, open_system};
use crate::tally::Tally;

/// A jump of a virtual clock is read in at most this many steps.
const LARGEST_CATCH_UP: u32 = 1_000;

/// What a run asks to be measured with.
#[derive(Debug, Clone)]
pub(crate) enum Instruments {
    /// The hardware of this machine; the path of the NVML library when it is not the system's.
    System { nvml: Option<OsString> },
    /// A script.
    Replay(Replay),
}

pub(crate) struct Rig {
    /// The library that the hardware is read with; none of a script, which belongs to one run alone.
    system: Option<Option<OsString>>,
    clock: Clock,
    sources: Vec<Box<dyn Source>>,
    /// The components of all sources, one after the other, each with the position of its source.
    components: Vec<Component>,
    origins: Vec<(usize, usize)>,
    gaps: Vec<String>,
    cadence: Duration,
    due: Duration,
    listeners: Vec<Listener>,
}

struct Listener {
    id: u64,
    origin: Duration,
    /// The moment of the last reading, from the session's beginning.
    observed: Duration,
    tally: Tally,
    on_sample: OnSample,
}

impl Rig {
    pub(crate) fn open(instruments: Instruments) -> Self {
        let mut gaps = Vec::new();
        let (system, clock, sources) = match instruments {
            Instruments::System { nvml } => {
                let mut sources = Vec::new();
                for attempt in open_system(nvml.as_deref()) {
                    gaps.extend(attempt.gap());
                    sources.extend(attempt.source);
                }
                (Some(nvml), Clock::System(Instant::now()), sources)
            }
            Instruments::Replay(replay) => {
                let clock = replay.clock().map_or_else(|| Clock::System(Instant::now()), Clock::Virtual);
                (None, clock, vec![Box::new(replay) as Box<dyn Source>])
            }
        };
        gaps.extend(sources.iter().flat_map(|source| source.gaps()));
        let (mut components, mut origins) = (Vec::new(), Vec::new());
        for (position, source) in sources.iter().enumerate() {
            let found = source.components();
            origins.extend((0..found.len()).map(|index| (position, index)));
            components.extend(found);
        }
        let cadence = sources.iter().map(|source| source.cadence()).min().unwrap_or(Duration::from_secs(1));
        let (due, listeners) = (Duration::ZERO, Vec::new());
        Self { system, clock, sources, components, origins, gaps, cadence, due, listeners }
    }

    pub(crate) fn is_made_of(&self, instruments: &Instruments) -> bool {
        matches!(instruments, Instruments::System { nvml } if self.system.as_ref() == Some(nvml))
    }

    pub(crate) fn serves(&self, id: u64) -> bool {
        self.listeners.iter().any(|listener| listener.id == id)
    }

    pub(crate) fn is_used(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// How long until the next reading is due; none when no sleep brings it nearer.
    pub(crate) fn sleep(&self) -> Option<Duration> {
        self.clock.until(self.due)
    }

    /// Begins a session with a reading.
    pub(crate) fn attach(&mut self, id: u64, on_sample: OnSample) -> Opening {
        let origin = self.clock.now();
        let tally = Tally::new(&self.components);
        self.listeners.push(Listener { id, origin, observed: Duration::ZERO, tally, on_sample });
        self.sample(origin);
        Opening {
            clock: self.clock.clone(),
            origin,
            components: self.components.clone(),
            gaps: self.gaps.clone(),
        }
    }

    pub(crate) fn detach(&mut self, id: u64) {
        self.listeners.retain(|listener| listener.id != id);
    }

    /// Reads once more unless the readings reach the moment already, then tells what they say of it.
    pub(crate) fn mark(&mut self, id: u64, at: Duration, act: OnMark) {
        let Some(position) = self.listeners.iter().position(|listener| listener.id == id) else { return };
        let Listener { origin, observed, .. } = self.listeners[position];
        if observed < at {
            self.catch_up(origin + at);
        }
        let listener = &self.listeners[position];
        act(&Moment { now: at, tally: &listener.tally, components: &self.components });
    }

    pub(crate) fn sample_when_due(&mut self) {
        if let Clock::System(_) = self.clock
            && self.is_used()
            && self.due <= self.clock.now()
        {
            self.sample(self.clock.now());
        }
    }

    /// Reads now. A virtual clock's script can be read in the past too: at each moment that was due, then at `at`.
    fn catch_up(&mut self, at: Duration) {
        if let Clock::System(_) = self.clock {
            return self.sample(self.clock.now());
        }
        let stride = self.cadence.max(at.saturating_sub(self.due) / LARGEST_CATCH_UP);
        while self.due < at {
            self.sample(self.due);
            self.due += stride - self.cadence;
        }
        self.sample(at);
    }

    /// Reads every component once and tells every session.
    fn sample(&mut self, now: Duration) {
        self.due = now + self.cadence;
        let Self { sources, listeners, components, origins, .. } = self;
        let mut findings = vec![Vec::new(); listeners.len()];
        for (component, &(source, index)) in origins.iter().enumerate() {
            let reading = sources[source].read(index, now);
            for (listener, findings) in listeners.iter_mut().zip(&mut findings) {
                let moment = now.saturating_sub(listener.origin);
                findings.extend(listener.tally.observe(moment, component, reading.clone()));
            }
        }
        for (listener, findings) in listeners.iter_mut().zip(findings) {
            listener.observed = now.saturating_sub(listener.origin);
            let moment = Moment { now: listener.observed, tally: &listener.tally, components };
            (listener.on_sample)(&moment, &findings);
        }
    }
}
