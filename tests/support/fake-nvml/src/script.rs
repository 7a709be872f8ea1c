use crate::clock::{ClockSource, ScriptClock};
use crate::gpu::FakeGpu;
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

/// A machine with NVIDIA GPUs: a test writes it to a file for the library and computes the true energy from
/// it.
///
/// [`Display`](fmt::Display) formats the file's text; [`FromStr`](std::str::FromStr) is the library's own
/// parser.
///
/// ```
/// use nvidia_ml::{FakeGpu, NvmlScript};
/// use std::time::Duration;
///
/// let script = NvmlScript::new().with_gpu(
///     FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
///         .power_from(Duration::ZERO, 100)
///         .power_from(Duration::from_millis(700), 400),
/// );
/// let joules = script.true_energy(0, Duration::from_millis(500), Duration::from_secs(1));
/// assert!((joules - 140.0).abs() < 1e-9);
/// assert_eq!(script.to_string().parse(), Ok(script));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmlScript {
    pub(crate) driver_version: String,
    pub(crate) clock: ClockSource,
    pub(crate) init_delay: Duration,
    pub(crate) device_count: Option<u32>,
    pub(crate) gpus: Vec<FakeGpu>,
}

impl Default for NvmlScript {
    fn default() -> Self {
        Self {
            driver_version: "580.90".into(),
            clock: ClockSource::default(),
            init_delay: Duration::ZERO,
            device_count: None,
            gpus: Vec::new(),
        }
    }
}

impl NvmlScript {
    /// A machine with driver 580.90, a real clock and no GPUs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the driver version.
    #[must_use]
    pub fn driver_version(mut self, version: impl Into<String>) -> Self {
        self.driver_version = version.into();
        self
    }

    /// The script's time is read from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: &ScriptClock) -> Self {
        self.clock = ClockSource::File(clock.path().into());
        self
    }

    /// The script's time is real time since `zero`, which is the same for all processes.
    ///
    /// Without this, and without a virtual clock, zero is the moment of `nvmlInit`.
    #[must_use]
    pub fn real_clock_since(mut self, zero: SystemTime) -> Self {
        self.clock = ClockSource::Since(zero.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self
    }

    /// `nvmlInit` takes this long, on the real clock.
    #[must_use]
    pub fn init_delay(mut self, delay: Duration) -> Self {
        self.init_delay = delay;
        self
    }

    /// The driver claims to have this many devices.
    #[must_use]
    pub fn device_count(mut self, count: u32) -> Self {
        self.device_count = Some(count);
        self
    }

    /// Adds a GPU; its index is the number of GPUs before it.
    #[must_use]
    pub fn with_gpu(mut self, gpu: FakeGpu) -> Self {
        self.gpus.push(gpu);
        self
    }

    /// The joules that a GPU draws between two script times: the integral of its power trace, exact except
    /// for the final rounding to a float.
    ///
    /// Ticks, averages, resets and losses affect what NVML reports, not what is drawn. A GPU that is not in
    /// the script, or that has no power trace, draws nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the result is a float")]
    pub fn true_energy(&self, gpu_index: usize, from: Duration, to: Duration) -> f64 {
        let picojoules = self.gpus.get(gpu_index).map_or(0, |gpu| gpu.power_trace.energy_between(from, to));
        picojoules as f64 / 1e12
    }

    /// Writes the text to a file.
    ///
    /// Fails if the file cannot be written, and with [`InvalidInput`](io::ErrorKind::InvalidInput) if the
    /// library would not read the same script back: steps out of order, a counter without power, a name with
    /// a quotation mark.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let text = self.to_string();
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let read_back: Self = text.parse().map_err(|error: NvmlScriptError| invalid(error.to_string()))?;
        if read_back != *self {
            return Err(invalid(format!("the script does not read back from its text:\n{text}")));
        }
        fs::write(path, text)
    }
}

/// An invalid line, or one that contradicts earlier lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmlScriptError {
    /// The line number, starting at 1; the last line for errors of the whole script.
    pub line: usize,
    /// The error message.
    pub message: String,
}

impl fmt::Display for NvmlScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for NvmlScriptError {}
