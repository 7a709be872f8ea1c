use crate::clock::{ClockSource, ScriptClock};
use crate::gpu::FakeGpu;
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

/// A machine with NVIDIA boards: written to a file for the library, and asked for the truth by the test.
///
/// Its [`Display`](fmt::Display) is the text of the file, its [`FromStr`](std::str::FromStr) the library's own parser.
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
    pub(crate) gpus: Vec<FakeGpu>,
}

impl Default for NvmlScript {
    fn default() -> Self {
        Self { driver_version: "580.90".into(), clock: ClockSource::default(), gpus: Vec::new() }
    }
}

impl NvmlScript {
    /// A machine with driver 580.90, a real clock and no boards.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of the driver.
    #[must_use]
    pub fn driver_version(mut self, version: impl Into<String>) -> Self {
        self.driver_version = version.into();
        self
    }

    /// The script's time is what this clock says.
    #[must_use]
    pub fn with_clock(mut self, clock: &ScriptClock) -> Self {
        self.clock = ClockSource::File(clock.path().into());
        self
    }

    /// The script's time runs by itself and its zero is `zero`, for all processes alike.
    ///
    /// Without this, and without a virtual clock, zero is the moment of `nvmlInit`.
    #[must_use]
    pub fn real_clock_since(mut self, zero: SystemTime) -> Self {
        self.clock = ClockSource::Since(zero.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self
    }

    /// Adds a board; its index is the number of boards before it.
    #[must_use]
    pub fn with_gpu(mut self, board: FakeGpu) -> Self {
        self.gpus.push(board);
        self
    }

    /// The joules that a board draws between two of the script's times: the integral of its power trace, exact but for the
    /// last rounding to a float.
    ///
    /// Ticks, averages, resets and losses change what NVML tells and not what is drawn. A board that is not in the script, or
    /// that has no power trace, draws nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a float is what is asked for")]
    pub fn true_energy(&self, gpu_index: usize, from: Duration, to: Duration) -> f64 {
        let picojoules =
            self.gpus.get(gpu_index).map_or(0, |board| board.power_trace.energy_between(from, to));
        picojoules as f64 / 1e12
    }

    /// Writes the text to a file.
    ///
    /// Fails when the file cannot be written, and, with [`InvalidInput`](io::ErrorKind::InvalidInput), when the library would
    /// not read the same script back: steps out of order, a counter without power, a name with a quotation mark.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let text = self.to_string();
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let read_back: Self = text.parse().map_err(|error: NvmlScriptError| invalid(error.to_string()))?;
        if read_back != *self {
            return Err(invalid(format!("the script cannot be said in its text:\n{text}")));
        }
        fs::write(path, text)
    }
}

/// A line that is no statement, or one that contradicts those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmlScriptError {
    /// The line, counted from 1; the last one for what is wrong with the whole.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for NvmlScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for NvmlScriptError {}
