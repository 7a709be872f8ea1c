//! Scripted GPUs on the real clock, and the true energy of a run on them.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use sootprint::{ComponentSummary, Footprint, Run};

use nvidia_ml::{FakeGpu, NvmlScript, install};
use sootprint_benches::BenchError;

/// The length of one cycle of 100 W and then 400 W.
pub(crate) const POWER_PERIOD: Duration = Duration::from_millis(1030);

/// The script time when the machine is created, so that a mean over the last second has a full window.
pub(crate) const SCRIPT_LEAD: Duration = Duration::from_secs(10);

/// A fake NVML library with GPUs, in its own folder.
pub(crate) struct BenchMachine {
    folder: tempfile::TempDir,
    pub(crate) library: PathBuf,
    script: NvmlScript,
    zero: SystemTime,
}

/// A finished run and its true energy.
pub(crate) struct ObservedRun {
    pub(crate) footprint: Footprint,
    script: NvmlScript,
    /// The measured window in script time, and its uncertainty.
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) uncertainty: Duration,
}

/// A GPU that draws 100 W for 700 ms and 400 W for 330 ms, repeated, or a multiple of that.
pub(crate) fn scripted_gpu(index: u8, times: u32) -> FakeGpu {
    FakeGpu::new(gpu_uuid(index), format!("0000:{:02x}:00.0", 7 + index), "NVIDIA H200")
        .power_limit(700 * times)
        .power_from(Duration::ZERO, 100 * times)
        .power_from(Duration::from_millis(700), 400 * times)
        .repeat_every(POWER_PERIOD)
}

/// `GPU-aaaaaaaa-0000-…` and so on.
pub(crate) fn gpu_uuid(index: u8) -> String {
    let letter = char::from(b'a' + index);
    format!("GPU-{}-0000-0000-0000-000000000000", String::from(letter).repeat(8))
}

impl BenchMachine {
    /// A machine whose script is at [`SCRIPT_LEAD`] plus a phase.
    pub(crate) fn new(gpus: impl IntoIterator<Item = FakeGpu>, phase: Duration) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir()?;
        let zero = SystemTime::now() - SCRIPT_LEAD - phase;
        let script = gpus.into_iter().fold(NvmlScript::new().real_clock_since(zero), NvmlScript::with_gpu);
        let library = install(&script, folder.path())?;
        Ok(Self { folder, library, script, zero })
    }

    pub(crate) fn start(&self) -> Run {
        Run::pre_training(self.folder.path().join("run")).nvml_library(&self.library).start()
    }

    /// Lets a run continue for `window` and determines what it measured.
    ///
    /// The start is known from the live usage, which has the time since the start; the end from the length of
    /// an epoch that is started here and ended by `finish`. Both are known to within the length of a call.
    /// Times are in script time, which the library and this process derive from the same Unix time.
    pub(crate) fn observe(self, window: Duration) -> Result<ObservedRun, BenchError> {
        let run = self.start();
        let handle = run.handle();
        let (asked_at, live, first_half) = most_precise(|| handle.usage());
        let (epoch, (), second_half) = time_call(|| handle.start_epoch(1));
        std::thread::sleep(window);
        let footprint = run.finish();
        let lasted = footprint.epochs.first().ok_or("the epoch is not in the footprint")?.duration_s;
        let from = self.script_time(asked_at - live.elapsed)?;
        let to = self.script_time(epoch + Duration::try_from_secs_f64(lasted)?)?;
        Ok(ObservedRun { footprint, script: self.script, from, to, uncertainty: first_half + second_half })
    }

    fn script_time(&self, moment: Instant) -> Result<Duration, BenchError> {
        let (instant, system, _) = most_precise(SystemTime::now);
        let ago = instant.checked_duration_since(moment).ok_or("the moment is still to come")?;
        Ok(system.duration_since(self.zero)? - ago)
    }
}

impl ObservedRun {
    /// The joules that a GPU drew while it was measured.
    pub(crate) fn true_energy(&self, gpu_index: usize) -> f64 {
        self.true_energy_until(gpu_index, self.to)
    }

    /// The joules that a GPU drew from the start to a script time.
    pub(crate) fn true_energy_until(&self, gpu_index: usize, to: Duration) -> f64 {
        self.script.true_energy(gpu_index, self.from, to)
    }

    /// The component of a GPU in the footprint.
    pub(crate) fn component(&self, index: u8) -> Result<&ComponentSummary, BenchError> {
        let found = self.footprint.components.iter().find(|it| it.id == gpu_uuid(index));
        Ok(found.ok_or_else(|| format!("GPU {index} is not in the footprint"))?)
    }
}

/// The fastest of a number of calls: its midpoint, its result, and half of its length.
fn most_precise<T>(call: impl Fn() -> T) -> (Instant, T, Duration) {
    let shorter = |best: (_, _, _), next: (_, _, _)| if next.2 < best.2 { next } else { best };
    (0..100).map(|_| time_call(&call)).fold(time_call(&call), shorter)
}

/// The midpoint of a call, its result, and half of its length.
fn time_call<T>(call: impl Fn() -> T) -> (Instant, T, Duration) {
    let before = Instant::now();
    let result = call();
    let half = before.elapsed() / 2;
    (before + half, result, half)
}
