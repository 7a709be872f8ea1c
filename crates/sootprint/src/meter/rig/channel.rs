//! A component as the meter reads it.

use std::path::Path;
use std::time::Duration;

use crate::meter::Edge;
use crate::processes::Users;
use crate::source::{Reading, Source, Unreadable};
use crate::units::Power;

/// When a board's users are looked for first, and how often then.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(5);

/// A driver may keep a processor busy for milliseconds to tell a counter's power. The pauses are this many times as long:
/// at edges, where the power tells the energy up to the tick, and else.
const PAUSE_AT_A_SHARP_EDGE: u32 = 3;
const PAUSE_AT_A_ROUGH_EDGE: u32 = 20;
const PAUSE: u32 = 1_000;
/// However dear it is, the power is read as often as this.
const LONGEST_WITHOUT_POWER: Duration = Duration::from_secs(1);

/// How a component is read, and when next.
pub(super) struct Channel {
    /// The position of its source, and its own among that source's components.
    pub(super) source: usize,
    pub(super) index: usize,
    /// Whether it is a counter that moves in ticks.
    pub(super) ticks: bool,
    pub(super) due: Duration,
    /// What a reading of the counter takes, and one of its power.
    pub(super) cost: Cost,
    power_cost: Cost,
    /// When the power was read last.
    powered: Option<Duration>,
    /// Who uses it, and when to look again.
    users: Users,
    look: Duration,
}

impl Channel {
    pub(super) fn new(source: usize, index: usize, ticks: bool) -> Self {
        let (due, look) = (Duration::ZERO, Duration::ZERO);
        let (cost, power_cost) = (Cost::default(), Cost::default());
        Self { source, index, ticks, due, cost, power_cost, powered: None, users: Users::default(), look }
    }

    /// Reads it, and the power of a counter when that is due, as it is sooner at an edge. The moments are the clock's.
    pub(super) fn read(
        &mut self,
        source: &mut dyn Source,
        edge: Option<Edge>,
        clock: impl Fn() -> Duration,
    ) -> Read {
        let began = clock();
        let reading = source.read(self.index, began);
        self.due = began + source.cadence(self.index);
        if !self.ticks {
            return Read { at: began, reading, power: None };
        }
        let ended = clock();
        self.cost.add(ended.saturating_sub(began));
        // The counter was read somewhere in between.
        let at = began + ended.saturating_sub(began) / 2;
        let power = self.wants_power(ended, edge).then(|| {
            let power = source.power(self.index);
            self.power_cost.add(clock().saturating_sub(ended));
            self.powered = Some(ended);
            power.map(|power| (ended, power))
        });
        Read { at, reading, power: power.flatten() }
    }

    fn wants_power(&self, now: Duration, edge: Option<Edge>) -> bool {
        let times = match edge {
            Some(Edge::Last | Edge::Sharp) => PAUSE_AT_A_SHARP_EDGE,
            Some(Edge::Rough) => PAUSE_AT_A_ROUGH_EDGE,
            None => PAUSE,
        };
        let pause = (self.power_cost.least() * times).min(LONGEST_WITHOUT_POWER);
        self.powered.is_none_or(|last| now.saturating_sub(last) >= pause)
    }

    /// Who uses the component, when that is not who used it before.
    pub(super) fn look_for_users(&mut self, source: &mut dyn Source, now: Duration) -> Option<Users> {
        if now < self.look {
            return None;
        }
        self.look = now + LOOK;
        let users = Users::among(&source.processes(self.index)?, Path::new("/proc"));
        (std::mem::replace(&mut self.users, users) != users).then_some(users)
    }

    /// A new session has to hear of them too, once its record has begun and its training may have.
    pub(super) fn forget_users(&mut self, now: Duration) {
        (self.users, self.look) = (Users::default(), now + FIRST_LOOK);
    }
}

/// What came of reading a component.
pub(super) struct Read {
    pub(super) at: Duration,
    pub(super) reading: Result<Reading, Unreadable>,
    /// The power of a counter, when it was read as well, and when.
    pub(super) power: Option<(Duration, Power)>,
}

/// How long something took the last two times: that it once had to wait for a processor says nothing.
#[derive(Debug, Default)]
pub(super) struct Cost([Duration; 2]);

impl Cost {
    fn add(&mut self, took: Duration) {
        self.0 = [self.0[1], took];
    }

    pub(super) fn least(&self) -> Duration {
        self.0[0].min(self.0[1])
    }
}
