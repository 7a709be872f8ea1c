//! What a provider answered, kept on this machine's disk.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sootprint_core::{IntensityProvider, IntensitySeries, Place, ProviderError};

/// Two years of hours. Older ones are dropped.
const MAX_PERIODS: usize = 17_520;

/// A provider whose answers are kept on disk.
///
/// What was found for an hour is never asked for again; what was only foreseen is, until it is found. When the provider
/// stays away, what is kept of the time that is asked for stands, and the rest is a gap. A file that cannot be read or
/// written is as good as none.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use sootprint::Run;
/// use sootprint_live::{CachedProvider, UkCarbonIntensity};
///
/// let provider = CachedProvider::new(UkCarbonIntensity::new(), "uk");
/// let run = Run::pre_training("artifacts/digits").place("GB".parse()?).intensity_provider(Arc::new(provider)).start();
/// # Ok::<(), sootprint::PlaceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CachedProvider<P> {
    provider: P,
    label: String,
    /// None where the machine has no folder for what may be lost.
    cache_dir: Option<PathBuf>,
}

impl<P: IntensityProvider> CachedProvider<P> {
    /// In `$XDG_CACHE_HOME/sootprint`, or `~/.cache/sootprint`. `label` tells this provider's answers from another's.
    #[must_use]
    pub fn new(provider: P, label: impl Into<String>) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Self { provider, label: label.into(), cache_dir: cache.map(|cache| cache.join("sootprint")) }
    }

    /// In this folder instead.
    #[must_use]
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }

    fn cache_path(&self, place: Place) -> Option<PathBuf> {
        let name: String = format!("{}-{}", self.label, place.code())
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' })
            .collect();
        Some(self.cache_dir.as_ref()?.join(format!("{name}.json")))
    }
}

impl<P: IntensityProvider> IntensityProvider for CachedProvider<P> {
    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        let path = self.cache_path(place);
        let known = path.as_deref().and_then(read_cache);
        let (first, last) = match &known {
            Some(known) => match known.uncovered_range(from, to) {
                Some(missing) => missing,
                None => return Ok(known.overlapping(from, to)),
            },
            None => (from, to),
        };
        match (self.provider.intensity_between(place, first, last), known) {
            (Ok(answer), known) => {
                let series = match known {
                    Some(known) => known.updated_with(answer),
                    None => answer,
                };
                if let Some(path) = path {
                    write_cache(&path, &series);
                }
                Ok(series.overlapping(from, to))
            }
            (Err(error), Some(known)) => {
                let known = known.overlapping(from, to);
                if known.periods().is_empty() { Err(error) } else { Ok(known) }
            }
            (Err(error), None) => Err(error),
        }
    }
}

/// What is kept; none when there is no file or not a series in it.
fn read_cache(path: &Path) -> Option<IntensitySeries> {
    let kept: IntensitySeries = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // Whatever stands in the file has to be as good as an answer.
    IntensitySeries::new(kept.source(), kept.basis(), kept.periods().to_vec()).ok()
}

/// Whole or not at all. Without it the provider is asked again, which is why nothing is said.
fn write_cache(path: &Path, series: &IntensitySeries) {
    let try_write = || {
        let dir = path.parent()?;
        fs::create_dir_all(dir).ok()?;
        let newest = series.periods().iter().rev().nth(MAX_PERIODS).map(|period| period.end);
        let recent = newest.map_or_else(|| series.clone(), |end| series.overlapping(end, Timestamp::MAX));
        let mut file = tempfile::Builder::new().prefix(".series-").tempfile_in(dir).ok()?;
        file.write_all(serde_json::to_string(&recent).ok()?.as_bytes()).ok()?;
        file.persist(path).ok()
    };
    try_write();
}
