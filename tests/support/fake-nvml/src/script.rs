use crate::board::Board;
use crate::clock::{ClockChoice, VirtualClock};
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

/// A machine with NVIDIA boards: written to a file for the library, and asked for the truth by the test.
///
/// Its [`Display`](fmt::Display) is the text of the file, its [`FromStr`](std::str::FromStr) the library's own parser.
///
/// ```
/// use nvidia_ml::{Board, Script};
/// use std::time::Duration;
///
/// let script = Script::new().board(
///     Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
///         .power(Duration::ZERO, 100)
///         .power(Duration::from_millis(700), 400),
/// );
/// let joules = script.true_energy(0, Duration::from_millis(500), Duration::from_secs(1));
/// assert!((joules - 140.0).abs() < 1e-9);
/// assert_eq!(script.to_string().parse(), Ok(script));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub(crate) driver: String,
    pub(crate) clock: ClockChoice,
    pub(crate) boards: Vec<Board>,
}

impl Default for Script {
    fn default() -> Self {
        Self { driver: "580.90".into(), clock: ClockChoice::default(), boards: Vec::new() }
    }
}

impl Script {
    /// A machine with driver 580.90, a real clock and no boards.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of the driver.
    #[must_use]
    pub fn driver(mut self, version: impl Into<String>) -> Self {
        self.driver = version.into();
        self
    }

    /// The script's time is what this clock says.
    #[must_use]
    pub fn virtual_clock(mut self, clock: &VirtualClock) -> Self {
        self.clock = ClockChoice::File(clock.path().into());
        self
    }

    /// The script's time runs by itself and its zero is `zero`, for all processes alike.
    ///
    /// Without this, and without a virtual clock, zero is the moment of `nvmlInit`.
    #[must_use]
    pub fn clock_since(mut self, zero: SystemTime) -> Self {
        self.clock = ClockChoice::Since(zero.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self
    }

    /// Adds a board; its index is the number of boards before it.
    #[must_use]
    pub fn board(mut self, board: Board) -> Self {
        self.boards.push(board);
        self
    }

    /// The joules that a board draws between two of the script's times: the integral of its power trace, exact but for the
    /// last rounding to a float.
    ///
    /// Ticks, averages, resets and losses change what NVML tells and not what is drawn. A board that is not in the script, or
    /// that has no power trace, draws nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a float is what is asked for")]
    pub fn true_energy(&self, board: usize, from: Duration, to: Duration) -> f64 {
        let picojoules = self.boards.get(board).map_or(0, |board| board.trace.energy(from, to));
        picojoules as f64 / 1e12
    }

    /// Writes the text to a file.
    ///
    /// Fails when the file cannot be written, and, with [`InvalidInput`](io::ErrorKind::InvalidInput), when the library would
    /// not read the same script back: steps out of order, a counter without power, a name with a quotation mark.
    pub fn write(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let text = self.to_string();
        let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
        let read_back: Self = text.parse().map_err(|error: ScriptError| invalid(error.to_string()))?;
        if read_back != *self {
            return Err(invalid(format!("the script cannot be said in its text:\n{text}")));
        }
        fs::write(path, text)
    }
}

/// A line that is no statement, or one that contradicts those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The line, counted from 1; the last one for what is wrong with the whole.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ScriptError {}
