//! Location and intensity series that become known while the run is recorded.

use jiff::{SignedDuration, Timestamp};
use sootprint_core::format::error_chain;
use sootprint_core::{
    CloudMetadataError, Energy, Footprint, IntensityKind, IntensitySeries, LocationSource, Place,
    ProviderError, PueOrigin, timestamp_at,
};

use super::{RecorderState, RunRecorder};
use crate::ledger::LedgerEntry;

/// How much of the user's series is written to the ledger at the start, in case the run is killed. A series may cover
/// years, so the rest is written at the end.
const INITIAL_SERIES_SPAN: SignedDuration = SignedDuration::from_hours(48);

/// The place and the time range of an intensity query.
#[derive(Debug)]
pub(crate) struct IntensityQuery {
    pub(crate) place: Place,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl RunRecorder {
    /// The query at the end of the run. `None` if the answer would change nothing: the user set an intensity or a
    /// series, all hours are known, or no energy was used.
    pub(crate) fn provider_query(&mut self) -> Option<IntensityQuery> {
        let Footprint { run, energy, .. } = self.footprint();
        if self.state != RecorderState::Finalizing
            || !self.accepts_provider_series()
            || energy.total <= Energy::ZERO
        {
            return None;
        }
        if self.place.is_none() {
            self.add_note("live intensity provider not queried: location unknown".to_owned());
        }
        self.provider_query_until(run.duration_s)
    }

    /// The query while the run continues.
    pub(crate) fn interim_provider_query(&self, seconds: f64) -> Option<IntensityQuery> {
        let is_due =
            self.state == RecorderState::Recording && self.accepts_provider_series() && seconds > 0.0;
        is_due.then(|| self.provider_query_until(seconds)).flatten()
    }

    /// The query for the time that no series covers yet. Forecasts count as not covered, so a forecast is queried again
    /// until it is final, and an outage is filled from the provider's history.
    fn provider_query_until(&self, seconds: f64) -> Option<IntensityQuery> {
        let place = self.place?;
        let from = self.start_time()?;
        let (from, to) = self.builder.uncovered_range(from, timestamp_at(from, seconds)?)?;
        Some(IntensityQuery { place, from, to })
    }

    fn accepts_provider_series(&self) -> bool {
        self.builder.header().grid.method != IntensityKind::UserProvided && self.series.is_none()
    }

    /// Records the answer. After an error the earlier answers remain in use, and the yearly value where there are none.
    pub(crate) fn apply_answer(&mut self, answer: Result<IntensitySeries, ProviderError>) {
        match answer {
            Ok(series) => self.append(LedgerEntry::Intensity(series)),
            Err(error) if self.builder.has_intensity_series() => {
                let cause = error_chain(&error);
                self.add_note(format!("last query of the live intensity provider failed: {cause}"));
            }
            Err(error) => {
                let cause = error_chain(&error);
                self.add_note(format!("no live intensity, using the yearly value: {cause}"));
            }
        }
    }

    /// Records the new periods of an answer that arrived while the run continues.
    pub(crate) fn apply_interim_answer(&mut self, series: IntensitySeries) {
        if self.state == RecorderState::Recording {
            let new_periods = self.builder.new_periods(series);
            if !new_periods.periods().is_empty() {
                self.append(LedgerEntry::Intensity(new_periods));
            }
        }
    }

    /// Records the first hours of the user's series.
    pub(crate) fn record_initial_series(&mut self) {
        let Some(from) = self.start_time() else { return };
        self.record_series(from, from.saturating_add(INITIAL_SERIES_SPAN).unwrap_or(from));
    }

    /// Records the user's series for the whole run.
    pub(crate) fn record_full_series(&mut self) {
        let (at, _) = self.builder.last_totals();
        if let Some((from, to)) = self.start_time().and_then(|from| Some((from, timestamp_at(from, at)?))) {
            self.record_series(from, to);
        }
    }

    fn record_series(&mut self, from: Timestamp, to: Timestamp) {
        if let Some(series) = self.series.as_ref().map(|series| series.overlapping(from, to))
            && matches!(self.state, RecorderState::Recording | RecorderState::Finalizing)
        {
            self.append(LedgerEntry::Intensity(series));
        }
    }

    /// Records the result of the cloud metadata query. The region also determines the PUE, unless that is configured.
    pub(crate) fn apply_location(&mut self, found: Result<Option<Place>, CloudMetadataError>) {
        if !matches!(self.state, RecorderState::Recording | RecorderState::Finalizing) {
            return;
        }
        match found {
            Ok(Some(place)) => {
                self.place = Some(place);
                let current_pue = self.builder.header().pue;
                let pue =
                    if current_pue.origin() == PueOrigin::Assumed { place.pue(self.year) } else { None };
                let grid = Box::new(place.intensity(LocationSource::CloudMetadata, self.year));
                self.append(LedgerEntry::Location { grid, pue: pue.unwrap_or(current_pue) });
            }
            Ok(None) => {}
            Err(error) => self.add_note(error_chain(&error)),
        }
    }

    fn start_time(&self) -> Option<Timestamp> {
        self.builder.header().started.parse().ok()
    }

    fn add_note(&mut self, text: String) {
        tracing::warn!("{text}");
        let (at, _) = self.builder.last_totals();
        self.append(LedgerEntry::Note { at, text });
    }
}
