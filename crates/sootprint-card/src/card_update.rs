//! The report of an edit: what happened to a card, and which values of other authors were replaced.

use std::path::PathBuf;

use crate::card::ModelCard;
use crate::dia_report::{REPORT_KEY, is_generated};
use crate::emissions_block::{EMISSIONS_KEY, is_managed_key};
use crate::entry_span::{entry_spans, value_start};
use crate::file_change::FileChange;
use crate::options::CardOptions;
use crate::splice::{find_key, join_lines};
use crate::yaml::NodeKind;

/// The result of writing a footprint into a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardUpdate {
    /// Whether the card is new, changed or unchanged.
    pub kind: UpdateKind,
    /// The emissions that were replaced, in one line, if sootprint had not written them; otherwise `None`. Suitable for
    /// a log or a commit description.
    pub replaced_emissions: Option<String>,
    /// The `dia_report` that was replaced, in one line, if sootprint had not written it; otherwise `None`.
    pub replaced_report: Option<String>,
    /// The `base_model` that was added to the card. `None` if none was added.
    pub base_model: Option<String>,
    /// The path of the plot that was rendered next to the card. `None` if none was rendered.
    pub plot: Option<PathBuf>,
    /// What could not be kept when the card's file was replaced, such as its owner.
    pub file_changes: Vec<FileChange>,
}

/// Whether a card changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateKind {
    /// There was no card.
    Created,
    /// The card's text changed.
    Edited,
    /// The card already had the same content; its file was not written.
    Unchanged,
}

/// The emissions of another author, in one line; `None` if there are none, or this crate wrote them.
pub(crate) fn foreign_emissions(card: &ModelCard) -> Option<String> {
    if card.has_generated_emissions() { None } else { value_text(card, EMISSIONS_KEY) }
}

/// The `dia_report` of another author that is replaced, in one line.
pub(crate) fn foreign_report(card: &ModelCard, options: &CardOptions) -> Option<String> {
    let is_replaced = options.includes_dia_report() && !is_generated(card);
    is_replaced.then(|| value_text(card, REPORT_KEY)).flatten()
}

/// The part of a key's value that an edit replaces, in one line. Of the emissions, that is only the managed subkeys.
fn value_text(card: &ModelCard, key: &'static str) -> Option<String> {
    let front = card.front_matter()?;
    let target = find_key(card, front, key)?;
    let text = card.text();
    let pieces: Vec<&str> = match front.document.nodes.get(target.entry.value)?.kind {
        NodeKind::Mapping { flow: false } => {
            entry_spans(text, &front.document, target.entry.value, target.boundary)
                .iter()
                .filter(|inner| key != EMISSIONS_KEY || is_managed_key(&front.document, inner.entry))
                .map(|inner| &text[inner.start..inner.end])
                .collect()
        }
        _ => vec![&text[value_start(text, &front.document, target.entry)?..target.end]],
    };
    let pieces: Vec<_> =
        pieces.iter().map(|piece| join_lines(piece)).filter(|piece| !piece.is_empty()).collect();
    (!pieces.is_empty()).then(|| pieces.join(", "))
}
