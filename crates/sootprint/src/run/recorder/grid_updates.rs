//! What a run learns beside its measurements: where it is, and the intensity of its hours.

use jiff::{SignedDuration, Timestamp};
use sootprint_core::format::error_chain;
use sootprint_core::{
    CloudMetadataError, Energy, Footprint, IntensityKind, IntensitySeries, LocationSource, Place,
    ProviderError, PueOrigin, timestamp_at,
};

use super::{RecorderState, RunRecorder};
use crate::ledger::LedgerEntry;

/// So much of the user's series is in the ledger from the start, for a run that is killed; more would be too much for a
/// series of years. A run that is finished has all of its hours.
const INITIAL_SERIES_SPAN: SignedDuration = SignedDuration::from_hours(48);

/// Where the run was, and when.
#[derive(Debug)]
pub(in crate::run) struct IntensityQuery {
    pub(in crate::run) place: Place,
    pub(in crate::run) from: Timestamp,
    pub(in crate::run) to: Timestamp,
}

impl RunRecorder {
    /// The question at a run's end. None where an answer would change nothing: a figure that the user gave stands, all
    /// hours are found, or no energy emits nothing.
    pub(in crate::run) fn provider_query(&mut self) -> Option<IntensityQuery> {
        let Footprint { run, energy, .. } = self.footprint();
        if self.state != RecorderState::Finalizing
            || !self.accepts_provider_series()
            || energy.total <= Energy::ZERO
        {
            return None;
        }
        if Place::from_intensity(&self.builder.header().grid).is_none() {
            self.add_note("the live provider was not asked, because nobody said where the run is".to_owned());
        }
        self.provider_query_until(run.duration_s)
    }

    /// The question while the run goes on.
    pub(in crate::run) fn interim_provider_query(&self, seconds: f64) -> Option<IntensityQuery> {
        let is_due =
            self.state == RecorderState::Recording && self.accepts_provider_series() && seconds > 0.0;
        is_due.then(|| self.provider_query_until(seconds)).flatten()
    }

    /// About the time that nothing was found for yet.
    fn provider_query_until(&self, seconds: f64) -> Option<IntensityQuery> {
        let place = Place::from_intensity(&self.builder.header().grid)?;
        let from = self.start_time()?;
        let (from, to) = self.builder.uncovered_range(from, timestamp_at(from, seconds)?)?;
        Some(IntensityQuery { place, from, to })
    }

    fn accepts_provider_series(&self) -> bool {
        self.builder.header().grid.method != IntensityKind::UserProvided && self.series.is_none()
    }

    /// Keeps the answer; without one what was answered before stands, and beyond it the table's figure.
    pub(in crate::run) fn apply_answer(&mut self, answer: Result<IntensitySeries, ProviderError>) {
        match answer {
            Ok(series) => self.append(LedgerEntry::Intensity(series)),
            Err(error) if self.builder.has_intensity_series() => {
                self.add_note(format!("the live provider's last answer is missing: {}", error_chain(&error)));
            }
            Err(error) => {
                self.add_note(format!(
                    "no live intensity, the table's yearly figure stands: {}",
                    error_chain(&error)
                ));
            }
        }
    }

    /// Keeps an answer from before the end, as far as it is new.
    pub(in crate::run) fn apply_interim_answer(&mut self, series: IntensitySeries) {
        if self.state == RecorderState::Recording {
            let new_periods = self.builder.new_periods(series);
            if !new_periods.periods().is_empty() {
                self.append(LedgerEntry::Intensity(new_periods));
            }
        }
    }

    /// The first hours of the user's own series.
    pub(super) fn record_initial_series(&mut self) {
        let Some(from) = self.start_time() else { return };
        self.record_series(from, from.saturating_add(INITIAL_SERIES_SPAN).unwrap_or(from));
    }

    /// All hours of the user's own series.
    pub(in crate::run) fn record_full_series(&mut self) {
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

    /// The machine's cloud said where it is, or why not. What it adds is known with it, if nobody said that.
    pub(in crate::run) fn apply_location(&mut self, found: Result<Option<Place>, CloudMetadataError>) {
        if !matches!(self.state, RecorderState::Recording | RecorderState::Finalizing) {
            return;
        }
        match found {
            Ok(Some(place)) => {
                let current_pue = self.builder.header().pue;
                let pue =
                    if current_pue.origin() == PueOrigin::Assumed { place.pue(self.year) } else { None };
                let grid = Box::new(place.intensity(LocationSource::CloudMetadata, self.year));
                self.append(LedgerEntry::Location { grid, pue: pue.unwrap_or(current_pue) });
            }
            Ok(None) => {}
            Err(error) => self.add_note(error.to_string()),
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
