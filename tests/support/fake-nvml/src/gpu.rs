use crate::faults::GpuFaults;
use crate::power_trace::PowerTrace;
use std::time::Duration;

/// A GPU of an [`NvmlScript`](crate::NvmlScript): its identity, its power trace, and what NVML reports about
/// it.
///
/// All times are relative to the script's zero. By default a GPU supports neither power nor energy nor a
/// power limit.
///
/// ```
/// use nvidia_ml::{FakeGpu, NvmlScript};
/// use std::time::Duration;
///
/// let gpu = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
///     .power_limit(700)
///     .power_from(Duration::ZERO, 100)
///     .power_from(Duration::from_millis(700), 400)
///     .repeat_every(Duration::from_millis(1030))
///     .energy_counter(Duration::from_millis(20));
/// let text = NvmlScript::new().with_gpu(gpu).to_string();
/// assert!(text.contains("power 0 700ms 400W"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeGpu {
    pub(crate) uuid: String,
    pub(crate) pci_address: String,
    pub(crate) name: String,
    pub(crate) power_limit: Option<u64>,
    pub(crate) power_trace: PowerTrace,
    pub(crate) counter_tick: Option<Duration>,
    pub(crate) initial_counter: u64,
    pub(crate) averaging_window: Option<Duration>,
    pub(crate) has_power_fields: bool,
    pub(crate) counter_resets: Vec<Duration>,
    pub(crate) lost_at: Option<Duration>,
    pub(crate) query_delay: Duration,
    pub(crate) counter_delay: Duration,
    pub(crate) lacks_memory_info: bool,
    pub(crate) mig_mode: Option<bool>,
    pub(crate) processes: Vec<u32>,
    pub(crate) mig_slices: Vec<FakeMigSlice>,
    pub(crate) faults: GpuFaults,
}

/// A slice of a GPU in MIG mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FakeMigSlice {
    pub(crate) uuid: String,
    /// Out of [`MIG_SLICES_PER_GPU`].
    pub(crate) compute_slices: u32,
    pub(crate) processes: Vec<u32>,
}

/// The number of slices of every GPU, as on A100, H100 and B200.
pub(crate) const MIG_SLICES_PER_GPU: u32 = 7;

/// Script statements.
impl FakeGpu {
    /// A GPU with its UUID (`GPU-…`), PCI address (`0000:07:00.0`) and product name.
    pub fn new(uuid: impl Into<String>, pci_address: impl Into<String>, name: impl Into<String>) -> Self {
        Self { uuid: uuid.into(), pci_address: pci_address.into(), name: name.into(), ..Self::default() }
    }

    /// The enforced power limit in watts.
    #[must_use]
    pub fn power_limit(mut self, watts: u32) -> Self {
        self.power_limit = Some(u64::from(watts) * 1000);
        self
    }

    /// The GPU draws `watts` from `at` on. The first step is at zero; later ones follow in order.
    #[must_use]
    pub fn power_from(mut self, at: Duration, watts: u32) -> Self {
        self.power_trace.steps.push((at, u64::from(watts) * 1000));
        self
    }

    /// Repeats the power trace after each `period`, which is longer than the time of its last step.
    #[must_use]
    pub fn repeat_every(mut self, period: Duration) -> Self {
        self.power_trace.period = Some(period);
        self
    }

    /// Adds an energy counter that updates every `tick`; with a tick of zero it is always current.
    #[must_use]
    pub fn energy_counter(mut self, tick: Duration) -> Self {
        self.counter_tick = Some(tick);
        self
    }

    /// The value of the [`energy_counter`](Self::energy_counter) at the script's zero, in joules.
    #[must_use]
    pub fn initial_counter(mut self, joules: u32) -> Self {
        self.initial_counter = u64::from(joules) * 1000;
        self
    }

    /// Reports power usage as the mean over this window; the first window starts at zero.
    #[must_use]
    pub fn averaging_window(mut self, window: Duration) -> Self {
        self.averaging_window = Some(window);
        self
    }

    /// Supports the fields 186 (instantaneous power) and 185 (average power).
    #[must_use]
    pub fn power_fields(mut self) -> Self {
        self.has_power_fields = true;
        self
    }

    /// Simulates a driver reload: the counter restarts from zero at this time. May be called several times.
    #[must_use]
    pub fn counter_reset(mut self, at: Duration) -> Self {
        self.counter_resets.push(at);
        self
    }

    /// From this time on, every query of the GPU returns `NVML_ERROR_GPU_IS_LOST`.
    #[must_use]
    pub fn lost_at(mut self, at: Duration) -> Self {
        self.lost_at = Some(at);
        self
    }

    /// Each query of the GPU sleeps for this long, on the real clock.
    #[must_use]
    pub fn query_delay(mut self, delay: Duration) -> Self {
        self.query_delay = delay;
        self
    }

    /// Each read of the energy counter takes this long and returns the value from its start.
    #[must_use]
    pub fn counter_delay(mut self, delay: Duration) -> Self {
        self.counter_delay = delay;
        self
    }

    /// Memory information is not supported, as on GPUs that share the CPU's memory.
    #[must_use]
    pub fn without_memory_info(mut self) -> Self {
        self.lacks_memory_info = true;
        self
    }

    /// Makes MIG mode supported, and turns it on or off.
    #[must_use]
    pub fn mig_mode(mut self, on: bool) -> Self {
        self.mig_mode = Some(on);
        self
    }

    /// Adds a MIG slice with this UUID (`MIG-…`), this number of compute slices out of seven, and compute
    /// processes with these ids. Requires MIG mode. May be called several times.
    #[must_use]
    pub fn with_mig_slice(mut self, uuid: impl Into<String>, compute_slices: u32, processes: &[u32]) -> Self {
        self.mig_mode = Some(true);
        self.mig_slices.push(FakeMigSlice {
            uuid: uuid.into(),
            compute_slices,
            processes: processes.to_vec(),
        });
        self
    }

    /// Adds a compute process with this id. May be called several times.
    #[must_use]
    pub fn with_process(mut self, id: u32) -> Self {
        self.processes.push(id);
        self
    }
}

/// Script statements about faults of the driver.
impl FakeGpu {
    /// From this time on, no query of the GPU returns.
    #[must_use]
    pub fn hangs_from(mut self, at: Duration) -> Self {
        self.faults.hang_from = Some(at);
        self
    }

    /// The counter keeps its value for a while; then it shows the right one again.
    #[must_use]
    pub fn counter_frozen(mut self, from: Duration, to: Duration) -> Self {
        self.faults.freeze = Some((from, to));
        self
    }

    /// The counter shows this many joules for a while; then it shows the right value again.
    #[must_use]
    pub fn counter_dip(mut self, from: Duration, to: Duration, joules: u32) -> Self {
        self.faults.dip = Some((from, to, u64::from(joules) * 1000));
        self
    }

    /// From this time on, the counter shows this many joules less.
    #[must_use]
    pub fn counter_steps_back(mut self, at: Duration, joules: u32) -> Self {
        self.faults.step_back = Some((at, u64::from(joules) * 1000));
        self
    }

    /// All power readings show this many milliwatts for a while.
    #[must_use]
    pub fn false_power(mut self, from: Duration, to: Duration, milliwatts: u32) -> Self {
        self.faults.false_power = Some((from, to, u64::from(milliwatts)));
        self
    }

    /// The driver claims to list this many processes.
    #[must_use]
    pub fn process_count(mut self, count: u32) -> Self {
        self.faults.process_count = Some(count);
        self
    }
}

/// Values that NVML reports at a time; `None` if not supported.
impl FakeGpu {
    /// Milliwatts: the mean over the window, or the instantaneous power without a window.
    pub(crate) fn power_usage(&self, now: Duration) -> Option<u64> {
        let power = match self.averaging_window {
            Some(window) => self.power_trace.mean_power(now.saturating_sub(window), now),
            None => self.power_trace.power_at(now),
        };
        power.map(|power| self.faults.power(now, power))
    }

    /// Instantaneous power in milliwatts: field 186.
    pub(crate) fn instant_power_field(&self, now: Duration) -> Option<u64> {
        let power = self.power_trace.power_at(now).filter(|_| self.has_power_fields);
        power.map(|power| self.faults.power(now, power))
    }

    /// Average power in milliwatts over the script's window, or over one second as in NVIDIA's documentation:
    /// field 185.
    pub(crate) fn average_power_field(&self, now: Duration) -> Option<u64> {
        let window = self.averaging_window.unwrap_or(Duration::from_secs(1));
        self.power_trace.mean_power(now.saturating_sub(window), now).filter(|_| self.has_power_fields)
    }

    /// Millijoules at the last tick since the counter started, rounded down.
    pub(crate) fn total_energy(&self, now: Duration) -> Option<u64> {
        let (tick, read_at) = (self.counter_tick?, now);
        let now = self.faults.counter_time(now);
        let reset = self.counter_resets.iter().filter(|at| **at <= now).max().copied();
        let began = reset.unwrap_or_default();
        let since_tick = (now - began).as_nanos().checked_rem(tick.as_nanos()).unwrap_or(0);
        let updated = now.saturating_sub(Duration::from_nanos(u64::try_from(since_tick).ok()?));
        let counted = u64::try_from(self.power_trace.energy_between(began, updated) / 1_000_000_000).ok()?;
        let start = if reset.is_some() { 0 } else { self.initial_counter };
        counted.checked_add(start).map(|millijoules| self.faults.counter(read_at, millijoules))
    }

    /// Power as a percentage of the limit: it follows the load but does not model a real GPU.
    pub(crate) fn utilization(&self, now: Duration) -> Option<u32> {
        // According to NVIDIA, utilisation is not supported in MIG mode.
        let limit = self.power_limit.filter(|_| self.mig_mode != Some(true))?;
        let per_cent = self.power_trace.power_at(now)?.saturating_mul(100).checked_div(limit)?;
        u32::try_from(per_cent.min(100)).ok()
    }

    pub(crate) fn is_lost(&self, now: Duration) -> bool {
        self.lost_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn test_gpu() -> FakeGpu {
        FakeGpu::new("GPU-a", "07:00.0", "Test")
            .power_from(ms(0), 100)
            .power_from(ms(700), 400)
            .energy_counter(ms(20))
    }

    #[test]
    fn counter_is_constant_between_ticks() {
        let readings = [0, 19, 20, 719, 720].map(|at| test_gpu().total_energy(ms(at)));
        assert_eq!(readings, [0, 0, 2_000, 70_000, 78_000].map(Some));
    }

    #[test]
    fn counter_restarts_at_zero_after_reset() {
        let gpu = test_gpu().initial_counter(5000).counter_reset(ms(50)).counter_reset(ms(90));
        let readings = [49, 50, 69, 70, 89, 90, 110].map(|at| gpu.total_energy(ms(at)));
        assert_eq!(readings, [5_004_000, 0, 0, 2_000, 2_000, 0, 2_000].map(Some));
    }

    #[test]
    fn partial_window_averages_from_zero() {
        let gpu = test_gpu().averaging_window(ms(1000)).power_fields();
        assert_eq!(gpu.power_usage(ms(0)), Some(100_000));
        // 700 ms at 100 W and 100 ms at 400 W.
        assert_eq!(gpu.power_usage(ms(800)), Some(137_500));
        // 500 ms at 100 W and 500 ms at 400 W.
        assert_eq!(gpu.power_usage(ms(1200)), Some(250_000));
        assert_eq!(gpu.average_power_field(ms(1200)), Some(250_000));
        assert_eq!(gpu.instant_power_field(ms(1200)), Some(400_000));
    }

    #[test]
    fn unscripted_values_are_not_supported() {
        let gpu = FakeGpu::new("GPU-a", "07:00.0", "Test");
        assert_eq!(gpu.power_usage(ms(5)), None);
        assert_eq!(gpu.total_energy(ms(5)), None);
        assert_eq!(gpu.utilization(ms(5)), None);
        assert_eq!(gpu.instant_power_field(ms(5)), None);
        assert_eq!(gpu.clone().power_from(ms(0), 100).average_power_field(ms(5)), None);
    }

    #[test]
    fn utilization_is_power_over_limit() {
        assert_eq!(test_gpu().power_limit(400).utilization(ms(0)), Some(25));
        assert_eq!(test_gpu().power_limit(300).utilization(ms(700)), Some(100));
        assert_eq!(test_gpu().power_limit(400).mig_mode(true).utilization(ms(0)), None);
    }
}
