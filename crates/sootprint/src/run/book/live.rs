//! What a run learns beside its measurements: where it is, and the intensity of its hours.

use jiff::{SignedDuration, Timestamp};
use sootprint_core::{
    Energy, Figure, Footprint, MetadataError, Origin, Place, ProviderError, PueOrigin, Series, moment,
};

use super::{Book, State};
use crate::ledger::Entry;

/// So much of the user's series is in the ledger from the start, for a run that is killed; more would be too much for a
/// series of years. A run that is finished has all of its hours.
const SERIES_AT_START: SignedDuration = SignedDuration::from_hours(48);

/// Where the run was, and when.
#[derive(Debug)]
pub(in crate::run) struct Question {
    pub(in crate::run) place: Place,
    pub(in crate::run) from: Timestamp,
    pub(in crate::run) to: Timestamp,
}

impl Book {
    /// The question at a run's end. None where an answer would change nothing: a figure that the user gave stands, all
    /// hours are found, or no energy emits nothing.
    pub(in crate::run) fn question(&mut self) -> Option<Question> {
        let Footprint { run, energy, .. } = self.footprint();
        if self.state != State::Read || !self.takes_answers() || energy.total <= Energy::ZERO {
            return None;
        }
        if Place::of(&self.fold.opened().grid).is_none() {
            self.remark("the live provider was not asked, because nobody said where the run is".to_owned());
        }
        self.question_up_to(run.duration_s)
    }

    /// The question while the run goes on.
    pub(in crate::run) fn question_so_far(&self, seconds: f64) -> Option<Question> {
        let asks = self.state == State::Begun && self.takes_answers() && seconds > 0.0;
        asks.then(|| self.question_up_to(seconds)).flatten()
    }

    /// About the time that nothing was found for yet.
    fn question_up_to(&self, seconds: f64) -> Option<Question> {
        let place = Place::of(&self.fold.opened().grid)?;
        let from = self.started()?;
        let (from, to) = self.fold.missing(from, moment(from, seconds)?)?;
        Some(Question { place, from, to })
    }

    fn takes_answers(&self) -> bool {
        self.fold.opened().grid.method != Figure::Given && self.series.is_none()
    }

    /// Keeps the answer; without one what was answered before stands, and beyond it the table's figure.
    pub(in crate::run) fn answered(&mut self, answer: Result<Series, ProviderError>) {
        match answer {
            Ok(series) => self.append(Entry::Live(series)),
            Err(error) if self.fold.has_hours() => {
                self.remark(format!("the live provider's last answer is missing: {error}"));
            }
            Err(error) => {
                self.remark(format!("no live intensity, the table's yearly figure stands: {error}"));
            }
        }
    }

    /// Keeps an answer from before the end, as far as it is new.
    pub(in crate::run) fn answered_so_far(&mut self, series: Series) {
        if self.state == State::Begun {
            let news = self.fold.news(series);
            if !news.periods().is_empty() {
                self.append(Entry::Live(news));
            }
        }
    }

    /// The first hours of the user's own series.
    pub(super) fn begin_series(&mut self) {
        let Some(from) = self.started() else { return };
        self.keep_series(from, from.saturating_add(SERIES_AT_START).unwrap_or(from));
    }

    /// All hours of the user's own series.
    pub(in crate::run) fn end_series(&mut self) {
        let (at, _) = self.fold.last();
        if let Some((from, to)) = self.started().and_then(|from| Some((from, moment(from, at)?))) {
            self.keep_series(from, to);
        }
    }

    fn keep_series(&mut self, from: Timestamp, to: Timestamp) {
        if let Some(series) = self.series.as_ref().map(|series| series.within(from, to))
            && matches!(self.state, State::Begun | State::Read)
        {
            self.append(Entry::Live(series));
        }
    }

    /// The machine's cloud said where it is, or why not. What it adds is known with it, if nobody said that.
    pub(in crate::run) fn located(&mut self, found: Result<Option<Place>, MetadataError>) {
        if !matches!(self.state, State::Begun | State::Read) {
            return;
        }
        match found {
            Ok(Some(place)) => {
                let said = self.fold.opened().pue;
                let pue = if said.origin() == PueOrigin::Assumed { place.pue(self.year) } else { None };
                let grid = Box::new(place.intensity(Origin::CloudMetadata, self.year));
                self.append(Entry::Located { grid, pue: pue.unwrap_or(said) });
            }
            Ok(None) => {}
            Err(error) => self.remark(error.to_string()),
        }
    }

    fn started(&self) -> Option<Timestamp> {
        self.fold.opened().started.parse().ok()
    }

    fn remark(&mut self, text: String) {
        tracing::warn!("{text}");
        let (at, _) = self.fold.last();
        self.append(Entry::Note { at, text });
    }
}
