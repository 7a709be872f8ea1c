//! A set of sources on one clock, and the sessions that listen to it.

mod channel;
mod edges;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::{Edge, Moment, OnMark, OnSample, Opening};
use crate::clock::{Clock, VirtualClock};
use crate::source::{Component, Replay, Source, open_system};
use crate::tally::{Finding, LONGEST_TICK, Tally};
use channel::{Channel, Read};
use edges::{Edges, OpenEdge};

/// A script is read as often as this when a virtual clock is caught up with, and in at most so many steps.
const SCRIPT_CADENCE: Duration = Duration::from_millis(10);
const LARGEST_CATCH_UP: u32 = 10_000;

/// Who waits longer than this for a reading waits for hardware that is gone.
const LONGEST_WITHOUT_READING: Duration = Duration::from_secs(2);

/// What a run asks to be measured with.
#[derive(Debug, Clone)]
pub enum Instruments {
    /// The hardware of this machine.
    System {
        /// The path of the NVML library when it is not the system's.
        nvml: Option<OsString>,
        /// The time that the hardware lives in, when that is a script's.
        clock: Option<VirtualClock>,
    },
    /// A script.
    Replay(Replay),
}

pub(crate) struct Rig {
    /// The library that the hardware is read with; none of what belongs to one run alone.
    system: Option<Option<OsString>>,
    clock: Clock,
    sources: Vec<Box<dyn Source>>,
    /// The components of all sources, one after the other, and for each how it is read.
    components: Vec<Component>,
    channels: Vec<Channel>,
    gaps: Vec<String>,
    listeners: Vec<Listener>,
    /// Marks whose energy is not known yet, in the order in which they came.
    pending: VecDeque<Mark>,
    /// The moment since which all components were read.
    observed: Duration,
    /// When all is to be read again, for a rough edge that came too soon after a reading.
    whole_due: Option<Duration>,
}

struct Listener {
    id: u64,
    origin: Duration,
    tally: Tally,
    edges: Edges,
    on_sample: OnSample,
}

struct Mark {
    id: u64,
    /// From the session's beginning.
    at: Duration,
    edge: OpenEdge,
    act: OnMark,
}

impl Rig {
    pub(crate) fn open(instruments: Instruments) -> Self {
        let mut gaps = Vec::new();
        let (system, clock, sources) = match instruments {
            Instruments::System { nvml, clock } => {
                let mut sources = Vec::new();
                for attempt in open_system(nvml.as_deref()) {
                    gaps.extend(attempt.gap());
                    sources.extend(attempt.source);
                }
                (clock.is_none().then_some(nvml), clock, sources)
            }
            Instruments::Replay(replay) => (None, replay.clock(), vec![Box::new(replay) as Box<dyn Source>]),
        };
        gaps.extend(sources.iter().flat_map(|source| source.gaps()));
        let clock = clock.map_or_else(|| Clock::System(Instant::now()), Clock::Virtual);
        let (mut components, mut channels) = (Vec::new(), Vec::new());
        for (position, source) in sources.iter().enumerate() {
            for (index, component) in source.components().into_iter().enumerate() {
                let ticks = source.ticks(index);
                channels.push(Channel::new(position, index, ticks));
                components.push(component);
            }
        }
        let (listeners, pending) = (Vec::new(), VecDeque::new());
        let (observed, whole_due) = (Duration::ZERO, None);
        Self { system, clock, sources, components, channels, gaps, listeners, pending, observed, whole_due }
    }

    /// Whether a run that asks for these instruments can share this rig.
    pub(crate) fn is_made_of(&self, instruments: &Instruments) -> bool {
        matches!(instruments, Instruments::System { nvml, clock: None } if self.system.as_ref() == Some(nvml))
    }

    pub(crate) fn serves(&self, id: u64) -> bool {
        self.listeners.iter().any(|listener| listener.id == id)
    }

    pub(crate) fn is_used(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// How long until the next reading is due; none when no sleep brings it nearer.
    pub(crate) fn sleep(&self) -> Option<Duration> {
        self.clock.until(self.due().into_iter().chain(self.patience_ends()).min()?)
    }

    /// When the mark in front has waited long enough for a tick.
    fn patience_ends(&self) -> Option<Duration> {
        let moment = self.pending.front()?.edge.moment;
        // A little later, so that it has.
        (self.observed >= moment).then_some(moment + LONGEST_TICK + Duration::from_millis(1))
    }

    /// Begins a session with a reading.
    pub(crate) fn attach(&mut self, id: u64, on_sample: OnSample) -> Opening {
        let origin = self.clock.now();
        let tally = Tally::new(self.components.iter().zip(self.channels.iter().map(|channel| channel.ticks)));
        self.listeners.push(Listener { id, origin, tally, edges: Edges::default(), on_sample });
        self.channels.iter_mut().for_each(|channel| channel.forget_users(origin));
        self.sample(origin, |_| true);
        // A session's beginning is an edge as well.
        if self.reads_ahead() {
            self.read_ahead(origin, |rig, ahead| rig.young_sessions(ahead).next().is_none());
        } else {
            self.hurry(origin);
        }
        Opening {
            clock: self.clock.clone(),
            origin,
            components: self.components.clone(),
            gaps: self.gaps.clone(),
        }
    }

    /// Ends a session; what it still waits for is told as it is known now.
    pub(crate) fn detach(&mut self, id: u64) {
        let (its, others): (VecDeque<Mark>, _) =
            std::mem::take(&mut self.pending).into_iter().partition(|mark| mark.id == id);
        self.pending = others;
        its.into_iter().for_each(|mark| self.tell(mark));
        self.listeners.retain(|listener| listener.id != id);
    }

    /// Tells what the readings say of a moment, as soon as they reach it and the counters have ticked.
    pub(crate) fn mark(&mut self, id: u64, at: Duration, edge: Edge, act: OnMark) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.id == id) else { return };
        let moment = listener.origin + at;
        let edge = listener.edges.open(edge, moment);
        self.pending.push_back(Mark { id, at, edge, act });
        if self.observed < moment {
            // Readings are not taken as often as a training may have phases.
            let pause = edge.pause(moment, self.whole_cost());
            if edge.can_wait(pause) && !self.is_virtual() && moment - self.observed < pause {
                let due = moment + pause;
                self.whole_due = Some(self.whole_due.map_or(due, |earlier| earlier.min(due)));
            } else {
                self.catch_up(moment);
            }
        }
        if self.reads_ahead() {
            self.read_ahead(moment, Self::tell_settled);
        } else {
            let now = self.clock.now();
            if !self.tell_settled(now) {
                self.hurry(now);
            }
        }
    }

    /// Reads what is due on the system's clock. A virtual one is caught up with when somebody asks.
    pub(crate) fn work(&mut self) {
        if self.is_virtual() || !self.is_used() {
            return;
        }
        let now = self.clock.now();
        if self.due().is_some_and(|due| due <= now) {
            let is_whole = self.whole_due.is_some_and(|due| due <= now);
            self.sample(now, |channel| is_whole || channel.is_due(now));
        }
        self.tell_settled(now);
        self.hurry(now);
    }

    fn due(&self) -> Option<Duration> {
        self.channels.iter().map(|channel| channel.due).chain(self.whole_due).min()
    }

    fn is_virtual(&self) -> bool {
        matches!(self.clock, Clock::Virtual(_))
    }

    /// Whether all is a script on a virtual clock, which can be read in the time to come too.
    fn reads_ahead(&self) -> bool {
        self.is_virtual() && self.sources.iter().all(|source| source.is_scripted())
    }

    /// Reads a script's ticking counters on from a moment until it is enough.
    fn read_ahead(&mut self, moment: Duration, is_enough: impl Fn(&mut Self, Duration) -> bool) {
        let mut ahead = moment;
        while !is_enough(self, ahead) {
            ahead += edges::pause_of_a_counter(ahead - moment);
            self.sample(ahead, |_| true);
        }
    }

    /// The edge after which a counter has yet to tick, a mark or the beginning of a session: the latest of those that are
    /// looked for most closely, as its own epoch allows.
    fn open_edge(&self, now: Duration) -> Option<OpenEdge> {
        let begun = self.young_sessions(now).map(|listener| OpenEdge::of_a_run(listener.origin));
        let cost = self.cost();
        let closest = |edge: &OpenEdge| (edge.pause(now, cost), Reverse(edge.rank()));
        self.pending.iter().map(|mark| mark.edge).chain(begun).min_by_key(closest)
    }

    /// The sessions that have just begun and whose counters have not ticked since.
    fn young_sessions(&self, now: Duration) -> impl Iterator<Item = &Listener> {
        let is_young = move |it: &&Listener| {
            now.saturating_sub(it.origin) <= LONGEST_TICK && !it.tally.is_settled(Duration::ZERO)
        };
        self.listeners.iter().filter(is_young)
    }

    /// Lets ticking counters be read again as soon as the open edge asks for it.
    fn hurry(&mut self, now: Duration) {
        let Some(edge) = self.open_edge(now) else { return };
        let pause = edge.pause(now, self.cost());
        let power: Duration = self.channels.iter().map(|channel| channel.power_cost.least()).sum();
        let closest = edges::closest_readings(pause, self.cost() + power);
        for channel in self.channels.iter_mut().filter(|channel| channel.ticks) {
            channel.due = channel.due.min(now + pause);
        }
        for listener in &mut self.listeners {
            listener.tally.see_ticks_within(closest);
        }
    }

    /// What reading all counters once takes.
    fn cost(&self) -> Duration {
        let counters = self.channels.iter().filter(|channel| channel.ticks);
        counters.map(|channel| channel.cost.least()).sum()
    }

    /// What reading all once takes.
    fn whole_cost(&self) -> Duration {
        self.channels.iter().map(|channel| channel.cost.least()).sum()
    }

    fn listener(&self, id: u64) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.id == id)
    }

    /// Tells the marks in front whose energy is known, or which waited long enough; whether none is left.
    fn tell_settled(&mut self, now: Duration) -> bool {
        while let Some(mark) = self.pending.front() {
            let waited = now.saturating_sub(mark.edge.moment);
            let is_awaited = if self.observed < mark.edge.moment {
                waited <= LONGEST_WITHOUT_READING
            } else {
                let is_settled = |it: &Listener| it.tally.is_settled(mark.at);
                waited <= LONGEST_TICK && !self.listener(mark.id).is_none_or(is_settled)
            };
            if is_awaited && self.can_wait() {
                return false;
            }
            let mark = self.pending.pop_front();
            mark.into_iter().for_each(|mark| self.tell(mark));
        }
        true
    }

    /// On a virtual clock hardware does not tick while one waits.
    fn can_wait(&self) -> bool {
        !self.is_virtual() || self.reads_ahead()
    }

    fn tell(&self, mark: Mark) {
        if let Some(listener) = self.listener(mark.id) {
            (mark.act)(&Moment { now: mark.at, tally: &listener.tally, components: &self.components });
        }
    }

    /// Reads all. A virtual clock's script can be read in the past too: at each moment that was due, then at `at`.
    fn catch_up(&mut self, at: Duration) {
        if !self.reads_ahead() {
            return self.sample(self.clock.now(), |_| true);
        }
        let due = self.due().unwrap_or(at);
        let stride = SCRIPT_CADENCE.max(at.saturating_sub(due) / LARGEST_CATCH_UP);
        let mut moment = due;
        while moment < at {
            self.sample(moment, |_| true);
            moment += stride;
        }
        self.sample(at, |_| true);
    }

    /// Reads some components once and tells every session.
    fn sample(&mut self, now: Duration, is_read: impl Fn(&Channel) -> bool) {
        let edge = self.open_edge(now).map(|edge| edge.kind);
        // A session begins with one moment for all. Else time goes on while one board after the other is read.
        let is_one_moment = self.is_virtual() || self.listeners.iter().any(|listener| listener.origin == now);
        let Self { clock, sources, channels, listeners, components, observed, whole_due, .. } = self;
        let moment = || if is_one_moment { now } else { clock.now() };
        let mut findings: Vec<Vec<Finding>> = vec![Vec::new(); listeners.len()];
        let mut is_whole = true;
        for (component, channel) in channels.iter_mut().enumerate() {
            if !is_read(channel) {
                is_whole = false;
                continue;
            }
            let source = sources[channel.source].as_mut();
            let Read { at, reading, power } = channel.read(source, edge, moment);
            let users = channel.look_for_users(source, now);
            let used = users.map(|users| Finding::Used { component, users });
            for (listener, findings) in listeners.iter_mut().zip(&mut findings) {
                let since = |at: Duration| at.saturating_sub(listener.origin);
                // The power first: what a counter used around a restart is found from the readings on either side.
                if let Some((at, power)) = power {
                    listener.tally.observe_power(since(at), component, power);
                }
                findings.extend(listener.tally.observe(since(at), component, reading.clone()));
                findings.extend(used.clone());
            }
        }
        if is_whole {
            *whole_due = None;
        }
        *observed = channels.iter().map(|channel| channel.last).min().unwrap_or(now);
        for (listener, findings) in listeners.iter_mut().zip(findings) {
            let now = now.saturating_sub(listener.origin);
            (listener.on_sample)(&Moment { now, tally: &listener.tally, components }, &findings);
        }
    }
}
