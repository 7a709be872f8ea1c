//! What a provider answered, kept on this machine's disk.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sootprint_core::{Place, Provider, ProviderError, Series};

/// Two years of hours. Older ones are dropped.
const MOST_PERIODS: usize = 17_520;

/// A provider whose answers are kept on disk.
///
/// What was found for an hour is never asked for again; what was only foreseen is, until it is found. When the provider
/// stays away, what is kept of the time that is asked for stands, and the rest is a gap. A file that cannot be read or
/// written is as good as none.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use sootprint_core::Run;
/// use sootprint_live::{Cached, UkCarbonIntensity};
///
/// let provider = Cached::new(UkCarbonIntensity::new(), "uk");
/// let run = Run::pre_training("artifacts/digits").place("GB".parse()?).provider(Arc::new(provider)).start();
/// # Ok::<(), sootprint_core::PlaceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cached<P> {
    provider: P,
    label: String,
    /// None where the machine has no folder for what may be lost.
    dir: Option<PathBuf>,
}

impl<P: Provider> Cached<P> {
    /// In `$XDG_CACHE_HOME/sootprint`, or `~/.cache/sootprint`. `label` tells this provider's answers from another's.
    #[must_use]
    pub fn new(provider: P, label: impl Into<String>) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Self { provider, label: label.into(), dir: cache.map(|cache| cache.join("sootprint")) }
    }

    /// In this folder instead.
    #[must_use]
    pub fn in_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..self }
    }

    fn path(&self, place: Place) -> Option<PathBuf> {
        let name: String = format!("{}-{}", self.label, place.code())
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' })
            .collect();
        Some(self.dir.as_ref()?.join(format!("{name}.json")))
    }
}

impl<P: Provider> Provider for Cached<P> {
    fn hours(&self, place: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        let path = self.path(place);
        let known = path.as_deref().and_then(read);
        let (first, last) = match &known {
            Some(known) => match known.missing(from, to) {
                Some(missing) => missing,
                None => return Ok(known.within(from, to)),
            },
            None => (from, to),
        };
        match (self.provider.hours(place, first, last), known) {
            (Ok(answer), known) => {
                let series = match known {
                    Some(known) => known.updated(answer),
                    None => answer,
                };
                if let Some(path) = path {
                    write(&path, &series);
                }
                Ok(series.within(from, to))
            }
            (Err(error), Some(known)) => {
                let known = known.within(from, to);
                if known.periods().is_empty() { Err(error) } else { Ok(known) }
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// What is kept; none when there is no file or not a series in it.
fn read(path: &Path) -> Option<Series> {
    let kept: Series = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // Whatever stands in the file has to be as good as an answer.
    Series::new(kept.source(), kept.basis(), kept.periods().to_vec()).ok()
}

/// Whole or not at all. Without it the provider is asked again, which is why nothing is said.
fn write(path: &Path, series: &Series) {
    let keep = || {
        let dir = path.parent()?;
        fs::create_dir_all(dir).ok()?;
        let newest = series.periods().iter().rev().nth(MOST_PERIODS).map(|period| period.end);
        let kept = newest.map_or_else(|| series.clone(), |end| series.within(end, Timestamp::MAX));
        let mut file = tempfile::Builder::new().prefix(".series-").tempfile_in(dir).ok()?;
        file.write_all(serde_json::to_string(&kept).ok()?.as_bytes()).ok()?;
        file.persist(path).ok()
    };
    keep();
}
