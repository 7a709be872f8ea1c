use crate::quantity::parse_milliseconds;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

/// A clock controlled by the test: a file that contains the script's time and is read by the library on every
/// call.
///
/// The file is replaced and never rewritten, so a reader sees either the old time or the new one. One thread
/// moves the clock; any number may read it.
///
/// ```
/// use nvidia_ml::ScriptClock;
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("clock");
/// let clock = ScriptClock::new(&path)?;
/// clock.set_millis(700)?;
/// clock.advance(Duration::from_micros(500))?;
/// assert_eq!(clock.now()?, Duration::from_micros(700_500));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ScriptClock {
    path: PathBuf,
}

impl ScriptClock {
    /// Creates the file with time zero. Fails if the file cannot be written.
    pub fn new(path: impl AsRef<Path>) -> io::Result<Self> {
        // Absolute, because relative paths in a script are resolved against the script's folder.
        let clock = Self { path: std::path::absolute(path)? };
        clock.set(Duration::ZERO)?;
        Ok(clock)
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The script's time. Fails if the file cannot be read.
    pub fn now(&self) -> io::Result<Duration> {
        read_clock_file(&self.path)
    }

    /// Sets the script's time in milliseconds. Fails if the file cannot be written.
    pub fn set_millis(&self, milliseconds: u64) -> io::Result<()> {
        self.set(Duration::from_millis(milliseconds))
    }

    /// Advances the script's time. Fails if the file cannot be read or written.
    pub fn advance(&self, by: Duration) -> io::Result<()> {
        self.set(self.now()?.saturating_add(by))
    }

    fn set(&self, time: Duration) -> io::Result<()> {
        let mut next = self.path.clone().into_os_string();
        next.push(".next");
        fs::write(&next, format!("{}.{:06}", time.as_millis(), time.as_nanos() % 1_000_000))?;
        fs::rename(&next, &self.path)
    }
}

/// The clock that a script selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ClockSource {
    /// Zero is the moment of `nvmlInit`.
    #[default]
    Real,
    /// Zero is this Unix time.
    Since(Duration),
    /// The file of a [`ScriptClock`].
    File(PathBuf),
}

/// A clock started by `nvmlInit`.
#[derive(Debug)]
pub(crate) enum RunningClock {
    /// Monotonic: the Unix time is read once, when the clock starts.
    Real { epoch: Duration, started_unix: Duration, started: Instant },
    /// Read from a file.
    File(PathBuf),
}

impl RunningClock {
    /// A relative path is resolved against `folder`, the script's folder.
    pub(crate) fn start(source: &ClockSource, folder: &Path) -> Self {
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let started = Instant::now();
        match source {
            ClockSource::Real => Self::Real { epoch: started_at, started_unix: started_at, started },
            ClockSource::Since(zero) => Self::Real { epoch: *zero, started_unix: started_at, started },
            ClockSource::File(path) => Self::File(folder.join(path)),
        }
    }

    /// The script's time; zero before its start.
    pub(crate) fn now(&self) -> io::Result<Duration> {
        match self {
            Self::Real { epoch: zero, started_unix: started_at, started } => {
                Ok((*started_at + started.elapsed()).saturating_sub(*zero))
            }
            Self::File(path) => read_clock_file(path),
        }
    }

    /// The Unix time in microseconds of a script time; a virtual clock starts in 1970.
    pub(crate) fn unix_micros(&self, now: Duration) -> i64 {
        let zero = match self {
            Self::Real { epoch: zero, .. } => *zero,
            Self::File(_) => Duration::ZERO,
        };
        i64::try_from(zero.saturating_add(now).as_micros()).unwrap_or(i64::MAX)
    }
}

fn read_clock_file(path: &Path) -> io::Result<Duration> {
    let named = |problem: String| format!("the clock {}: {problem}", path.display());
    let text =
        fs::read_to_string(path).map_err(|error| io::Error::new(error.kind(), named(error.to_string())))?;
    parse_milliseconds(text.trim()).ok_or_else(|| {
        let problem = named(format!("`{}` is not a number of milliseconds", text.trim()));
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_before_script_start_is_zero() {
        let choice = ClockSource::Since(Duration::from_secs(u64::from(u32::MAX)));
        let clock = RunningClock::start(&choice, Path::new("/"));
        assert_eq!(clock.now().unwrap(), Duration::ZERO);
    }

    #[test]
    fn invalid_clock_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("clock"), "noon\n").unwrap();
        let clock = RunningClock::start(&ClockSource::File("clock".into()), folder.path());
        let problem = clock.now().unwrap_err().to_string();
        assert!(problem.ends_with("clock: `noon` is not a number of milliseconds"), "{problem}");
    }

    #[test]
    fn hand_written_clock_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("clock"), "1030\n").unwrap();
        let clock = RunningClock::start(&ClockSource::File("clock".into()), folder.path());
        let now = clock.now().unwrap();
        assert_eq!((now, clock.unix_micros(now)), (Duration::from_millis(1030), 1_030_000));
    }
}
