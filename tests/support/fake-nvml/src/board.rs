use crate::trace::Trace;
use std::time::Duration;

/// One board of a [`Script`](crate::Script): what it is, what it draws, and what NVML can tell about it.
///
/// All times count from the script's zero. A board that was only named supports neither power nor energy nor a limit.
///
/// ```
/// use nvidia_ml::{Board, Script};
/// use std::time::Duration;
///
/// let board = Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
///     .limit(700)
///     .power(Duration::ZERO, 100)
///     .power(Duration::from_millis(700), 400)
///     .repeat(Duration::from_millis(1030))
///     .counter(Duration::from_millis(20));
/// let text = Script::new().board(board).to_string();
/// assert!(text.contains("power 0 700ms 400W"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    pub(crate) uuid: String,
    pub(crate) pci: String,
    pub(crate) name: String,
    pub(crate) limit: Option<u64>,
    pub(crate) trace: Trace,
    pub(crate) counter_tick: Option<Duration>,
    pub(crate) counter_start: u64,
    pub(crate) average: Option<Duration>,
    pub(crate) instant: bool,
    pub(crate) resets: Vec<Duration>,
    pub(crate) lost: Option<Duration>,
    pub(crate) slow: Duration,
    pub(crate) slow_counter: Duration,
    pub(crate) no_memory: bool,
    pub(crate) mig: Option<bool>,
    pub(crate) processes: Vec<u32>,
    pub(crate) slices: Vec<Slice>,
}

/// A part of a board in MIG mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) uuid: String,
    /// Of the [`SLICES_OF_A_BOARD`].
    pub(crate) parts: u32,
    pub(crate) processes: Vec<u32>,
}

/// How many slices every board can be cut into, as A100, H100 and B200 can.
pub(crate) const SLICES_OF_A_BOARD: u32 = 7;

/// What the script says.
impl Board {
    /// A board with its UUID (`GPU-…`), its PCI address (`0000:07:00.0`) and its product name.
    pub fn new(uuid: impl Into<String>, pci: impl Into<String>, name: impl Into<String>) -> Self {
        Self { uuid: uuid.into(), pci: pci.into(), name: name.into(), ..Self::default() }
    }

    /// The enforced power limit in watts.
    #[must_use]
    pub fn limit(mut self, watts: u32) -> Self {
        self.limit = Some(u64::from(watts) * 1000);
        self
    }

    /// From `at` on the board draws `watts`. The first step is at zero, later ones follow in order.
    #[must_use]
    pub fn power(mut self, at: Duration, watts: u32) -> Self {
        self.trace.steps.push((at, u64::from(watts) * 1000));
        self
    }

    /// The power trace starts again after each `period`, which is longer than the time of its last step.
    #[must_use]
    pub fn repeat(mut self, period: Duration) -> Self {
        self.trace.repeat = Some(period);
        self
    }

    /// The board has an energy counter that moves every `tick`; with a tick of zero it is always current.
    #[must_use]
    pub fn counter(mut self, tick: Duration) -> Self {
        self.counter_tick = Some(tick);
        self
    }

    /// What the counter of [`counter`](Self::counter) has counted before the script begins, in joules.
    #[must_use]
    pub fn counter_start(mut self, joules: u32) -> Self {
        self.counter_start = u64::from(joules) * 1000;
        self
    }

    /// Power usage is the mean over this window, which begins at zero until it is full.
    #[must_use]
    pub fn average(mut self, window: Duration) -> Self {
        self.average = Some(window);
        self
    }

    /// The fields 186 (instantaneous power) and 185 (averaged power) are offered.
    #[must_use]
    pub fn instant(mut self) -> Self {
        self.instant = true;
        self
    }

    /// The driver is loaded anew: at this time the counter starts from zero. More than one is allowed.
    #[must_use]
    pub fn reset(mut self, at: Duration) -> Self {
        self.resets.push(at);
        self
    }

    /// From this time on every query of the board answers that it is lost.
    #[must_use]
    pub fn lost(mut self, at: Duration) -> Self {
        self.lost = Some(at);
        self
    }

    /// Each query of the board sleeps so long, on the real clock.
    #[must_use]
    pub fn slow(mut self, each_query: Duration) -> Self {
        self.slow = each_query;
        self
    }

    /// Each reading of the energy counter takes so long, and tells what it was when that began.
    #[must_use]
    pub fn slow_counter(mut self, each_reading: Duration) -> Self {
        self.slow_counter = each_reading;
        self
    }

    /// Memory information is not supported, as on boards that share the memory of the processor.
    #[must_use]
    pub fn no_memory(mut self) -> Self {
        self.no_memory = true;
        self
    }

    /// The board has a MIG mode, which is on or off.
    #[must_use]
    pub fn mig(mut self, on: bool) -> Self {
        self.mig = Some(on);
        self
    }

    /// The board is in MIG mode and has a slice with this UUID (`MIG-…`), of so many of its seven parts, on which
    /// compute processes with these ids run. More than one is allowed.
    #[must_use]
    pub fn slice(mut self, uuid: impl Into<String>, parts: u32, processes: &[u32]) -> Self {
        self.mig = Some(true);
        self.slices.push(Slice { uuid: uuid.into(), parts, processes: processes.to_vec() });
        self
    }

    /// A compute process with this id runs on the board. More than one is allowed.
    #[must_use]
    pub fn process(mut self, id: u32) -> Self {
        self.processes.push(id);
        self
    }
}

/// What NVML tells at a time; none where it is not supported.
impl Board {
    /// Milliwatts: the mean of the window, or of the moment when the script has none.
    pub(crate) fn power_usage(&self, now: Duration) -> Option<u64> {
        match self.average {
            Some(window) => self.trace.mean(now.saturating_sub(window), now),
            None => self.trace.power(now),
        }
    }

    /// Milliwatts of the moment: field 186.
    pub(crate) fn instant_field(&self, now: Duration) -> Option<u64> {
        self.trace.power(now).filter(|_| self.instant)
    }

    /// Milliwatts over the script's window, or the one second of NVIDIA's documentation: field 185.
    pub(crate) fn average_field(&self, now: Duration) -> Option<u64> {
        let window = self.average.unwrap_or(Duration::from_secs(1));
        self.trace.mean(now.saturating_sub(window), now).filter(|_| self.instant)
    }

    /// Millijoules as of the last tick since the counter began, rounded down.
    pub(crate) fn total_energy(&self, now: Duration) -> Option<u64> {
        let tick = self.counter_tick?;
        let reset = self.resets.iter().filter(|at| **at <= now).max().copied();
        let began = reset.unwrap_or_default();
        let since_tick = (now - began).as_nanos().checked_rem(tick.as_nanos()).unwrap_or(0);
        let updated = now.saturating_sub(Duration::from_nanos(u64::try_from(since_tick).ok()?));
        let counted = u64::try_from(self.trace.energy(began, updated) / 1_000_000_000).ok()?;
        let start = if reset.is_some() { 0 } else { self.counter_start };
        counted.checked_add(start)
    }

    /// Per cent of the limit: a figure that moves with the load, not a model of a real board.
    pub(crate) fn utilization(&self, now: Duration) -> Option<u32> {
        // NVIDIA documents utilisation as not supported while MIG is on.
        let limit = self.limit.filter(|_| self.mig != Some(true))?;
        let per_cent = self.trace.power(now)?.saturating_mul(100).checked_div(limit)?;
        u32::try_from(per_cent.min(100)).ok()
    }

    pub(crate) fn is_lost(&self, now: Duration) -> bool {
        self.lost.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn board() -> Board {
        Board::new("GPU-a", "07:00.0", "Test").power(ms(0), 100).power(ms(700), 400).counter(ms(20))
    }

    #[test]
    fn a_counter_stands_still_between_ticks() {
        let readings = [0, 19, 20, 719, 720].map(|at| board().total_energy(ms(at)));
        assert_eq!(readings, [0, 0, 2_000, 70_000, 78_000].map(Some));
    }

    #[test]
    fn ticks_count_from_the_reset_and_the_start_is_forgotten() {
        let board = board().counter_start(5000).reset(ms(50)).reset(ms(90));
        let readings = [49, 50, 69, 70, 89, 90, 110].map(|at| board.total_energy(ms(at)));
        assert_eq!(readings, [5_004_000, 0, 0, 2_000, 2_000, 0, 2_000].map(Some));
    }

    #[test]
    fn a_window_that_is_not_full_begins_at_zero() {
        let board = board().average(ms(1000)).instant();
        assert_eq!(board.power_usage(ms(0)), Some(100_000));
        // 700 ms at 100 W and 100 ms at 400 W.
        assert_eq!(board.power_usage(ms(800)), Some(137_500));
        // 500 ms at 100 W and 500 ms at 400 W.
        assert_eq!(board.power_usage(ms(1200)), Some(250_000));
        assert_eq!(board.average_field(ms(1200)), Some(250_000));
        assert_eq!(board.instant_field(ms(1200)), Some(400_000));
    }

    #[test]
    fn what_the_script_does_not_say_is_not_supported() {
        let board = Board::new("GPU-a", "07:00.0", "Test");
        assert_eq!(board.power_usage(ms(5)), None);
        assert_eq!(board.total_energy(ms(5)), None);
        assert_eq!(board.utilization(ms(5)), None);
        assert_eq!(board.instant_field(ms(5)), None);
        assert_eq!(board.clone().power(ms(0), 100).average_field(ms(5)), None);
    }

    #[test]
    fn utilization_is_the_share_of_the_limit() {
        assert_eq!(board().limit(400).utilization(ms(0)), Some(25));
        assert_eq!(board().limit(300).utilization(ms(700)), Some(100));
        assert_eq!(board().limit(400).mig(true).utilization(ms(0)), None);
    }
}
