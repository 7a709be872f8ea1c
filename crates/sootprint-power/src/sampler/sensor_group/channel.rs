//! Schedules and performs the reads of one component.

use std::path::Path;
use std::time::Duration;

use sootprint_core::Power;

use super::boundary::BoundaryPrecision;
use crate::gpu_processes::GpuUsers;
use crate::open_devices::GpuDeviceFiles;
use crate::source::{EnergySource, ReadError, SensorReading, TimedReading};

/// Minimum time between two power reads, as a multiple of the cost of one. A driver may occupy a CPU for
/// milliseconds for such a read. The time is shorter after boundaries, where the power is used to interpolate
/// up to the next tick.
const HIGH_PRECISION_COST_MULTIPLE: u32 = 3;
const LOW_PRECISION_COST_MULTIPLE: u32 = 20;
const DEFAULT_COST_MULTIPLE: u32 = 1_000;
/// The power is read at least this often, whatever its cost. If a counter is read less often, power readings
/// between its readings ensure that little energy is lost if the process is killed.
const MAX_POWER_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest interval between power readings while the counter is not read. Drivers refresh the value every
/// 100 ms.
const MIN_POWER_INTERVAL: Duration = Duration::from_millis(100);

/// A counter that is read less often than this is followed by power readings.
const MIN_FOLLOWED_INTERVAL: Duration = Duration::from_millis(400);

/// A component whose driver has not answered is asked again after this time.
const PENDING_RETRY: Duration = Duration::from_millis(100);

/// A counter is read again this long after the start of a session, to find out early whether it works.
const FIRST_CHECK: Duration = Duration::from_millis(2_100);

/// The schedule and state of one component.
pub(super) struct SensorChannel {
    /// The position of the source, and of the component within it.
    pub(super) source_index: usize,
    pub(super) component_index: usize,
    /// Whether the component has a counter that updates in ticks.
    pub(super) is_ticking: bool,
    /// When to read the component next.
    pub(super) due: Duration,
    /// When the component was last read, and the interval of its reads.
    pub(super) last_read: Duration,
    cadence: Duration,
    /// The cost of reading the component, and of reading its power.
    pub(super) read_cost: ReadCost,
    pub(super) power_cost: ReadCost,
    /// When the power was last read, and whether the driver reported a value.
    last_power_read: Option<Duration>,
    has_power: bool,
    /// When to read the power without the counter. `None` if the counter is read often enough.
    power_due: Option<Duration>,
    /// When to check at the latest whether the counter works, after the start of a session.
    first_check_due: Duration,
    /// The number of scheduled readings, from which the variation of their intervals is derived.
    readings: u32,
    /// The processes that use the component.
    users: GpuUsers,
    /// The device files of the GPU, if the component is one.
    pub(super) device_files: Option<GpuDeviceFiles>,
}

impl SensorChannel {
    pub(super) fn new(source_index: usize, component_index: usize, is_ticking: bool) -> Self {
        let due = Duration::ZERO;
        let (read_cost, power_cost) = (ReadCost::default(), ReadCost::default());
        Self {
            source_index,
            component_index,
            is_ticking,
            due,
            last_read: due,
            cadence: due,
            read_cost,
            power_cost,
            last_power_read: None,
            has_power: false,
            power_due: None,
            first_check_due: due,
            readings: 0,
            users: GpuUsers::default(),
            device_files: None,
        }
    }

    /// Whether the component should be read now: it is due, or will be due so soon that it is read together
    /// with the others. All values of one sample then come from about the same time.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due <= now + self.cadence / 4
    }

    /// Reads the component, and the power of a component with a counter if that is due. Timestamps come from
    /// `clock`.
    pub(super) fn read(
        &mut self,
        source: &mut dyn EnergySource,
        precision: Option<BoundaryPrecision>,
        clock: impl Fn() -> Duration,
    ) -> SensorSample {
        let asked = clock();
        let TimedReading { started, ended, reading } = source.read_timed(self.component_index, &clock);
        let Some(reading) = reading else {
            self.due = asked + PENDING_RETRY;
            return SensorSample { at: asked, reading: SampleReading::Pending, power: None };
        };
        let reading = SampleReading::Taken(reading);
        self.read_cost.record(ended.saturating_sub(started));
        self.last_read = started;
        self.cadence = source.cadence(self.component_index).interval(self.read_cost.min());
        if !self.is_ticking {
            self.due = started + self.cadence;
            return SensorSample { at: started, reading, power: None };
        }
        // The driver read the counter at some point during the call.
        let at = started + ended.saturating_sub(started) / 2;
        let power = if self.is_power_due(ended, precision) { self.read_power(source, &clock) } else { None };
        self.schedule(started);
        SensorSample { at, reading, power }
    }

    /// Reads the power alone, between two readings of the counter.
    pub(super) fn read_power_only(
        &mut self,
        source: &mut dyn EnergySource,
        clock: impl Fn() -> Duration,
    ) -> SensorSample {
        let power = self.read_power(source, &clock);
        let now = clock();
        self.power_due = Some(now + self.power_interval());
        SensorSample { at: now, reading: SampleReading::Skipped, power }
    }

    /// Whether the power should be read now without the counter.
    pub(super) fn is_power_only_due(&self, now: Duration) -> bool {
        self.power_due.is_some_and(|due| due <= now)
    }

    /// When to read the counter or its power next.
    pub(super) fn next_due(&self) -> Duration {
        self.power_due.map_or(self.due, |power| power.min(self.due))
    }

    fn read_power(
        &mut self,
        source: &mut dyn EnergySource,
        clock: impl Fn() -> Duration,
    ) -> Option<(Duration, Power)> {
        let started = clock();
        let power = source.read_power(self.component_index);
        self.power_cost.record(clock().saturating_sub(started));
        self.last_power_read = Some(started);
        self.has_power = power.is_some();
        power.map(|power| (started, power))
    }

    /// Schedules the next reading of a counter, and of its power in between.
    fn schedule(&mut self, now: Duration) {
        if !self.has_power {
            // Without power readings in between, all energy since the last reading is lost if the process is
            // killed.
            self.cadence = self.cadence.min(MAX_POWER_INTERVAL);
        }
        self.due = now + self.vary(self.cadence);
        if self.first_check_due > now {
            self.due = self.due.min(self.first_check_due);
        }
        self.power_due = (self.cadence > MIN_FOLLOWED_INTERVAL).then(|| now + self.power_interval());
    }

    fn power_interval(&mut self) -> Duration {
        let interval = self.power_cost.min() * DEFAULT_COST_MULTIPLE;
        self.vary(interval.clamp(MIN_POWER_INTERVAL, MAX_POWER_INTERVAL))
    }

    /// Shortens an interval by up to a fifth, differently each time, so that no load alternates in step with the
    /// readings.
    fn vary(&mut self, interval: Duration) -> Duration {
        /// Multiples of the golden ratio are spread evenly.
        const GOLDEN_RATIO: f64 = 0.618_033_988_749;

        self.readings = self.readings.wrapping_add(1);
        interval.mul_f64(1.0 - 0.2 * (f64::from(self.readings) * GOLDEN_RATIO).fract())
    }

    fn is_power_due(&self, now: Duration, precision: Option<BoundaryPrecision>) -> bool {
        let multiple = match precision {
            Some(BoundaryPrecision::Final | BoundaryPrecision::High) => HIGH_PRECISION_COST_MULTIPLE,
            Some(BoundaryPrecision::Low | BoundaryPrecision::Immediate) => LOW_PRECISION_COST_MULTIPLE,
            None => DEFAULT_COST_MULTIPLE,
        };
        let interval = (self.power_cost.min() * multiple).min(MAX_POWER_INTERVAL);
        self.last_power_read.is_none_or(|last| now.saturating_sub(last) >= interval)
    }

    /// Returns the users of the component according to the process list of the driver. `None` if the driver
    /// provides no list.
    pub(super) fn listed_users(&mut self, source: &mut dyn EnergySource) -> Option<GpuUsers> {
        let processes = source.compute_processes(self.component_index)?;
        Some(GpuUsers::from_process_ids(&processes, Path::new("/proc")))
    }

    /// Sets the users of the component, and returns them if they have changed.
    pub(super) fn set_users(&mut self, users: GpuUsers) -> Option<GpuUsers> {
        (std::mem::replace(&mut self.users, users) != users).then_some(users)
    }

    /// Prepares for a new session: the next scan reports the users again, and the counter is checked early.
    pub(super) fn start_session(&mut self, now: Duration) {
        self.users = GpuUsers::default();
        self.first_check_due = now + FIRST_CHECK;
    }
}

/// The result of reading a component.
pub(super) struct SensorSample {
    pub(super) at: Duration,
    pub(super) reading: SampleReading,
    /// The power of a component with a counter, if it was read as well, and its time.
    pub(super) power: Option<(Duration, Power)>,
}

/// The reading of a sample.
pub(super) enum SampleReading {
    /// The component was read, or the driver reported an error.
    Taken(Result<SensorReading, ReadError>),
    /// Only the power was read.
    Skipped,
    /// The driver has not answered yet.
    Pending,
}

/// The duration of the last two reads. The minimum ignores a single delay by the scheduler.
#[derive(Debug, Default)]
pub(super) struct ReadCost([Duration; 2]);

impl ReadCost {
    fn record(&mut self, elapsed: Duration) {
        // A virtual clock does not advance during a read, so the cost is unknown.
        if !elapsed.is_zero() {
            self.0 = [self.0[1], elapsed];
        }
    }

    pub(super) fn min(&self) -> Duration {
        self.0[0].min(self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use sootprint_core::Energy;

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::{ComponentInfo, ReadCadence};

    /// A slow counter like that of an H100, with a power that takes time to read as well.
    struct SlowSource {
        clock: VirtualClock,
        counter: Duration,
        power: Duration,
    }

    impl EnergySource for SlowSource {
        fn components(&self) -> Vec<ComponentInfo> {
            Vec::new()
        }

        fn cadence(&self, _index: usize) -> ReadCadence {
            ReadCadence::by_cost(100, [Duration::from_millis(200), Duration::MAX])
        }

        fn read(&mut self, _index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
            self.clock.advance(self.counter);
            Ok(SensorReading::Counter(Energy::ZERO))
        }

        fn read_power(&mut self, _index: usize) -> Option<Power> {
            self.clock.advance(self.power);
            Some(Power::from_watts(400.0))
        }
    }

    /// Number of power reads during this many counter reads, 10 ms apart.
    fn power_read_count(precision: Option<BoundaryPrecision>, power: Duration, readings: u32) -> usize {
        let clock = VirtualClock::default();
        let mut source = SlowSource { clock: clock.clone(), counter: Duration::from_millis(5), power };
        let mut channel = SensorChannel::new(0, 0, true);
        // The cost is known after two reads.
        for _ in 0..2 {
            channel.last_power_read = None;
            channel.read(&mut source, precision, || clock.now());
        }
        let read = |_| {
            clock.advance(Duration::from_millis(10));
            channel.read(&mut source, precision, || clock.now()).power.is_some()
        };
        (0..readings).map(read).filter(|is_read| *is_read).count()
    }

    #[test]
    fn counter_timestamp_is_read_midpoint() {
        let clock = VirtualClock::default();
        clock.advance(Duration::from_secs(1));
        let (counter, power) = (Duration::from_millis(5), Duration::from_millis(1));
        let mut source = SlowSource { clock: clock.clone(), counter, power };
        let mut channel = SensorChannel::new(0, 0, true);
        let read = channel.read(&mut source, None, || clock.now());
        assert_eq!(read.at, Duration::from_micros(1_002_500));
        assert_eq!(read.power.map(|(at, _)| at), Some(Duration::from_millis(1_005)));
        let millis = Duration::from_millis;
        assert!((millis(1_160)..=millis(1_200)).contains(&channel.due), "{:?}", channel.due);
        // A quarter of its 200 ms earlier, it is read together with others that are due.
        let early = channel.due - millis(50);
        assert!(channel.is_due(early) && !channel.is_due(early - millis(1)));
        // The cost is known after two reads and then determines the interval.
        let began = clock.now();
        channel.read(&mut source, None, || clock.now());
        assert_eq!(channel.read_cost.min(), counter);
        assert!((began + millis(400)..=began + millis(500)).contains(&channel.due), "{:?}", channel.due);
    }

    #[test]
    fn expensive_counter_is_followed_by_power() {
        let clock = VirtualClock::default();
        let millis = Duration::from_millis;
        let (counter, power) = (millis(300), Duration::from_micros(60));
        let mut source = SlowSource { clock: clock.clone(), counter, power };
        let mut channel = SensorChannel::new(0, 0, true);
        channel.start_session(clock.now());
        channel.read(&mut source, None, || clock.now());
        assert_eq!(channel.next_due(), millis(200).mul_f64(1.0 - 0.2 * 0.618_033_988_749));
        clock.advance(millis(100));
        channel.read(&mut source, None, || clock.now());
        // 100 times its cost, but for the first time after 2 s.
        assert_eq!(channel.due, FIRST_CHECK);
        let mut readings = 0;
        while channel.due > clock.now() {
            clock.advance(channel.next_due().saturating_sub(clock.now()));
            if channel.is_power_only_due(clock.now()) {
                let read = channel.read_power_only(&mut source, || clock.now());
                assert!(matches!(read.reading, SampleReading::Skipped) && read.power.is_some());
                readings += 1;
            }
        }
        // 1.4 s at 80 to 100 ms.
        assert!((14..=17).contains(&readings), "{readings}");
        channel.read(&mut source, None, || clock.now());
        let interval = channel.due - channel.last_read;
        assert!((millis(24_000)..=millis(30_000)).contains(&interval), "{interval:?}");
    }

    #[test]
    fn power_read_interval_follows_cost() {
        let micros = Duration::from_micros;
        // 100 reads, at least 15 ms apart.
        let read_counts = [
            Some(BoundaryPrecision::Final),
            Some(BoundaryPrecision::High),
            Some(BoundaryPrecision::Low),
            None,
        ]
        .map(|precision| power_read_count(precision, micros(1), 100));
        assert_eq!(read_counts, [100; 4]);
        // A power read that costs 20 ms is repeated after 60, 400 and 1,000 ms; at 15 ms per read these are the
        // third, the 26th and the 66th.
        assert_eq!(power_read_count(Some(BoundaryPrecision::High), micros(20_000), 100), 33);
        assert_eq!(power_read_count(Some(BoundaryPrecision::Low), micros(20_000), 100), 3);
        assert_eq!(power_read_count(None, micros(20_000), 200), 3);
    }
}
