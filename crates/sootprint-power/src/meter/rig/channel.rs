//! A component as the meter reads it.

use std::path::Path;
use std::time::Duration;

use sootprint_core::Power;

use crate::meter::Edge;
use crate::processes::Users;
use crate::source::{Reading, Source, Unreadable};

/// When a board's users are looked for first, and how often then.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(5);

/// A driver may keep a processor busy for milliseconds to tell a counter's power. From one such reading
/// to the next it is this many times as long: at edges, where the power tells the energy up to the tick, and else.
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
    /// When it was read last, and how often it wants to be.
    pub(super) last: Duration,
    cadence: Duration,
    /// What a reading takes, and one of a counter's power.
    pub(super) cost: Cost,
    pub(super) power_cost: Cost,
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
        Self {
            source,
            index,
            ticks,
            due,
            last: due,
            cadence: due,
            cost,
            power_cost,
            powered: None,
            users: Users::default(),
            look,
        }
    }

    /// Whether it is to be read now: it is due, or will be so soon that it had better be read with the others. What is
    /// told of a moment is of readings of about that moment then.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due <= now + self.cadence / 4
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
        let ended = clock();
        self.cost.add(ended.saturating_sub(began));
        self.cadence = source.cadence(self.index, self.cost.least());
        (self.last, self.due) = (began, began + self.cadence);
        if !self.ticks {
            return Read { at: began, reading, power: None };
        }
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
            Some(Edge::Rough | Edge::Now) => PAUSE_AT_A_ROUGH_EDGE,
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
        // On a clock that stands still nothing is known of it.
        if !took.is_zero() {
            self.0 = [self.0[1], took];
        }
    }

    pub(super) fn least(&self) -> Duration {
        self.0[0].min(self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use sootprint_core::Energy;

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::Component;

    /// A counter that takes its time, as an H100's does, and a power that takes some, too.
    struct Dear {
        clock: VirtualClock,
        counter: Duration,
        power: Duration,
    }

    impl Source for Dear {
        fn components(&self) -> Vec<Component> {
            Vec::new()
        }

        fn cadence(&self, _index: usize, cost: Duration) -> Duration {
            Duration::from_millis(200).max(cost * 100)
        }

        fn read(&mut self, _index: usize, _now: Duration) -> Result<Reading, Unreadable> {
            self.clock.advance(self.counter);
            Ok(Reading::Counter(Energy::ZERO))
        }

        fn power(&mut self, _index: usize) -> Option<Power> {
            self.clock.advance(self.power);
            Some(Power::from_watts(400.0))
        }
    }

    /// How often the power was read in so many readings of the counter, 10 ms apart.
    fn powers(edge: Option<Edge>, power: Duration, readings: u32) -> usize {
        let clock = VirtualClock::default();
        let mut source = Dear { clock: clock.clone(), counter: Duration::from_millis(5), power };
        let mut channel = Channel::new(0, 0, true);
        // What it costs is known after two times.
        for _ in 0..2 {
            channel.powered = None;
            channel.read(&mut source, edge, || clock.now());
        }
        let read = |_| {
            clock.advance(Duration::from_millis(10));
            channel.read(&mut source, edge, || clock.now()).power.is_some()
        };
        (0..readings).map(read).filter(|is_read| *is_read).count()
    }

    #[test]
    fn a_counter_is_read_in_the_middle_of_the_time_that_it_takes() {
        let clock = VirtualClock::default();
        clock.advance(Duration::from_secs(1));
        let (counter, power) = (Duration::from_millis(5), Duration::from_millis(1));
        let mut source = Dear { clock: clock.clone(), counter, power };
        let mut channel = Channel::new(0, 0, true);
        let read = channel.read(&mut source, None, || clock.now());
        assert_eq!(read.at, Duration::from_micros(1_002_500));
        assert_eq!(read.power.map(|(at, _)| at), Some(Duration::from_millis(1_005)));
        assert_eq!(channel.due, Duration::from_millis(1_200));
        // A quarter of its 200 ms before that it goes with others that are due.
        assert_eq!([1_149, 1_150].map(|now| channel.is_due(Duration::from_millis(now))), [false, true]);
        // What it costs is known after two times, and says how often it is read.
        let began = clock.now();
        channel.read(&mut source, None, || clock.now());
        assert_eq!(channel.cost.least(), counter);
        assert_eq!(channel.due, began + Duration::from_millis(500));
    }

    #[test]
    fn the_power_is_read_as_often_as_it_is_cheap_and_once_a_second_at_least() {
        let micros = Duration::from_micros;
        // Of 100 readings, 15 ms and more apart.
        let often = [Some(Edge::Last), Some(Edge::Sharp), Some(Edge::Rough), None]
            .map(|edge| powers(edge, micros(1), 100));
        assert_eq!(often, [100; 4]);
        // A reading that costs 20 ms comes again after 60, 400 and 1,000 ms, and with 15 ms from one to the next that is
        // the third, the 26th and the 66th.
        assert_eq!(powers(Some(Edge::Sharp), micros(20_000), 100), 33);
        assert_eq!(powers(Some(Edge::Rough), micros(20_000), 100), 3);
        assert_eq!(powers(None, micros(20_000), 200), 3);
    }
}
