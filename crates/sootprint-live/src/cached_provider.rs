//! Caches the series of a provider on disk.
//!
//! Each query asks the provider for everything that is not known yet. Forecasts are therefore replaced by measured
//! values, and the hours of an outage are filled later from the provider's history.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sootprint_core::file::write_atomic;
use sootprint_core::{IntensityProvider, IntensitySeries, LocationSource, Place, ProviderError};

/// Two years of hours. Older periods are dropped.
const MAX_PERIODS: usize = 17_520;

/// Wraps a provider and caches its responses on disk.
///
/// A query requests only the shortest time span that contains all gaps and forecasts of the cache. A forecast is
/// therefore requested again until its measured value arrives. If the provider fails, the cached part of the requested
/// time is returned, and the rest is a gap; if nothing is cached for that time, the provider's error is returned. A
/// cache file that cannot be read or written is ignored.
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
    /// `None` if the machine has no cache folder.
    cache_dir: Option<PathBuf>,
}

impl<P: IntensityProvider> CachedProvider<P> {
    /// Creates a provider that caches the responses of `provider` in `$XDG_CACHE_HOME/sootprint`, or in
    /// `~/.cache/sootprint`. `label` is part of the file name and must differ between providers.
    #[must_use]
    pub fn new(provider: P, label: impl Into<String>) -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        Self { provider, label: label.into(), cache_dir: cache.map(|cache| cache.join("sootprint")) }
    }

    /// Sets the folder of the cache, which replaces the default of [`new`](Self::new).
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
    fn configured_place(&self) -> Option<(Place, LocationSource)> {
        self.provider.configured_place()
    }

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
            (Ok(fetched), known) => {
                let series = match known {
                    Some(known) => known.updated_with(fetched),
                    None => fetched,
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

/// The cached series; `None` if the file is missing or invalid.
fn read_cache(path: &Path) -> Option<IntensitySeries> {
    let cached: IntensitySeries = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    // The file is validated like a response.
    IntensitySeries::new(cached.source(), cached.basis(), cached.periods().to_vec()).ok()
}

/// Errors are ignored: without the file, the provider is queried again.
fn write_cache(path: &Path, series: &IntensitySeries) {
    let try_write = || {
        fs::create_dir_all(path.parent()?).ok()?;
        let newest = series.periods().iter().rev().nth(MAX_PERIODS).map(|period| period.end);
        let recent = newest.map_or_else(|| series.clone(), |end| series.overlapping(end, Timestamp::MAX));
        write_atomic(path, &serde_json::to_vec(&recent).ok()?).ok()
    };
    let _ = try_write();
}
