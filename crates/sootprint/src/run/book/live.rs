//! What a run asks a live provider at its end, and what it does with the answer.

use jiff::Timestamp;

use super::{Book, State};
use crate::footprint::Footprint;
use crate::grid::{Figure, ProviderError, Series, moment};
use crate::ledger::Entry;
use crate::units::Energy;

/// Where the run was, and when.
#[derive(Debug)]
pub(in crate::run) struct Question {
    pub(in crate::run) zone: String,
    pub(in crate::run) from: Timestamp,
    pub(in crate::run) to: Timestamp,
}

impl Book {
    /// None where an answer would change nothing: a figure that the user gave stands, and no energy emits nothing.
    pub(in crate::run) fn question(&mut self) -> Option<Question> {
        let Footprint { grid, run, energy, .. } = self.footprint();
        if self.state != State::Read || grid.method == Figure::Given || energy.total <= Energy::ZERO {
            return None;
        }
        let Some(zone) = grid.zone else {
            self.remark("the live provider was not asked, because nobody said where the run is".to_owned());
            return None;
        };
        let from: Timestamp = run.started.parse().ok()?;
        Some(Question { zone, from, to: moment(from, run.duration_s)? })
    }

    /// Keeps the answer; without one the table's figure stands.
    pub(in crate::run) fn answered(&mut self, answer: Result<Series, ProviderError>) {
        match answer {
            Ok(series) => self.append(Entry::Live(series)),
            Err(error) => {
                self.remark(format!("no live intensity, the table's yearly figure stands: {error}"));
            }
        }
    }

    fn remark(&mut self, text: String) {
        tracing::warn!("{text}");
        let (at, _) = self.fold.last();
        self.append(Entry::Note { at, text });
    }
}
