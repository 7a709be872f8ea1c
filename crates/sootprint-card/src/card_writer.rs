//! A footprint into a card: its text, or its file.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sootprint_core::{Footprint, TrainingType};

use crate::atomic_file::{DirLock, LOCK_TIMEOUT, resolve_link, write_atomic};
use crate::card::{BASE_MODEL_KEY, BASE_MODEL_RELATION_KEY, ModelCard};
use crate::card_template::CardTemplate;
use crate::dia_report::{REPORT_KEY, is_generated, with_dia_report};
use crate::emissions_block::EmissionsBlock;
use crate::error::CardError;
use crate::impact_section;
use crate::managed_section::with_managed_section;
use crate::options::CardOptions;
use crate::plot_file::prepare_plot;
use crate::splice::replaced_text;

/// What writing a footprint did to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardUpdate {
    /// Whether the card is new, changed or as it was.
    pub kind: UpdateKind,
    /// The emissions of another author that made way, in one line, for the log and the commit's description.
    pub replaced_emissions: Option<String>,
    /// The `dia_report` of another author that made way, in one line.
    pub replaced_report: Option<String>,
    /// The `base_model` that was added.
    pub base_model: Option<String>,
    /// The picture that was drawn beside the card.
    pub plot: Option<PathBuf>,
}

/// What became of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateKind {
    /// There was no card.
    Created,
    /// The card's text is another one.
    Edited,
    /// The card said all of it already; its file was not written.
    Unchanged,
}

/// The text of a card with this footprint in it, as [`CardOptions`] are by default.
///
/// # Errors
/// Those of [`apply_with`].
pub fn apply(text: &str, footprint: &Footprint) -> Result<(String, CardUpdate), CardError> {
    apply_with(text, footprint, &CardOptions::default())
}

/// The text of a card with this footprint in it.
///
/// In the metadata, `co2_eq_emissions` is written as [`ModelCard::with_emissions`] does, and `dia_report` with its
/// `dia_version`. The `base_model` is added when the run was a fine-tuning of a model named `owner/name` and the card
/// names none. In the body, a section "Environmental Impact" is written between two marks, which are comments; the
/// empty lines of the Hub's own template are filled in, and a filled one is never changed.
///
/// # Errors
/// Those of [`ModelCard::parse`], [`EmissionsBlock::from_footprint`] and [`ModelCard::with_emissions`], and
/// [`CardError::UnpairedMarkers`].
pub fn apply_with(
    text: &str,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<(String, CardUpdate), CardError> {
    let block = EmissionsBlock::from_footprint(footprint)?;
    let card = ModelCard::parse(text)?;
    let base_model = base_model_repo_id(footprint).filter(|_| !card.has_key(BASE_MODEL_KEY));
    let values = impact_section::template_values(footprint);
    // Each edit of the front matter that fails is tried on the card as it is: its author knows no other lines.
    let step = |edited: &ModelCard, edit: &dyn Fn(&ModelCard) -> Result<ModelCard, CardError>| {
        edit(edited).map_err(|error| edit(&card).err().unwrap_or(error))
    };
    let edited = with_managed_section(&card, &values, |context| {
        impact_section::render_section(footprint, options, context)
    })?;
    let edited = step(&edited, &|card| with_base_model(card, footprint, options))?;
    let edited = step(&edited, &|card| card.with_emissions(&block))?;
    let edited = step(&edited, &|card| with_dia_report(card, footprint, options))?;
    let update = CardUpdate {
        kind: if edited.text() == text { UpdateKind::Unchanged } else { UpdateKind::Edited },
        replaced_emissions: card.foreign_emissions(),
        replaced_report: replaced_report(&card, options),
        base_model: base_model.map(str::to_owned),
        plot: None,
    };
    Ok((edited.into_text(), update))
}

/// Writes a footprint into the card at `path`, whole or not at all. Where there is no card, it makes a small one.
///
/// The file's permissions are kept, and a link is followed to its file. Two that write at once take turns, and the
/// last one wins.
///
/// # Errors
/// Those of [`apply`], with the path, [`CardError::Io`] and [`CardError::Locked`]. The file is then as it was.
pub fn write_card(path: impl AsRef<Path>, footprint: &Footprint) -> Result<CardUpdate, CardError> {
    write_card_from_template(path, footprint, &CardTemplate::default())
}

/// As [`write_card`], and says what a new card says.
///
/// # Errors
/// Those of [`write_card`].
pub fn write_card_from_template(
    path: impl AsRef<Path>,
    footprint: &Footprint,
    template: &CardTemplate,
) -> Result<CardUpdate, CardError> {
    write_card_with(path, footprint, template, &CardOptions::default())
}

/// As [`write_card_from_template`], with options.
///
/// # Errors
/// Those of [`write_card`].
pub fn write_card_with(
    path: impl AsRef<Path>,
    footprint: &Footprint,
    template: &CardTemplate,
    options: &CardOptions,
) -> Result<CardUpdate, CardError> {
    let path = path.as_ref();
    let file = |source| CardError::io(path, source);
    let target = resolve_link(path).map_err(file)?;
    // From the reading to the writing: what another one writes in between would be lost.
    let _lock = DirLock::acquire(&target, LOCK_TIMEOUT).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => CardError::Locked { path: path.to_owned() },
        _ => file(source),
    })?;
    let old = match fs::read(&target) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(file(source)),
    };
    let plot_file = prepare_plot(path, footprint, options)?;
    let options = options.clone().plot(plot_file.is_shown());
    let (text, mut update) = match old {
        Some(bytes) => {
            ModelCard::from_bytes(bytes).and_then(|card| apply_with(card.text(), footprint, &options))
        }
        None => template.with_defaults_from(path).render_with(footprint, &options).map(|text| {
            let base_model = base_model_repo_id(footprint).map(str::to_owned);
            (
                text,
                CardUpdate {
                    kind: UpdateKind::Created,
                    replaced_emissions: None,
                    replaced_report: None,
                    base_model,
                    plot: None,
                },
            )
        }),
    }
    .map_err(|error| error.with_path(path))?;
    // The picture comes first, so that the card never shows one that is not there.
    update.plot = plot_file.write().map_err(|(path, source)| CardError::io(&path, source))?;
    if update.kind != UpdateKind::Unchanged {
        write_atomic(&target, text.as_bytes()).map_err(file)?;
    }
    Ok(update)
}

fn with_base_model(
    card: &ModelCard,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<ModelCard, CardError> {
    let Some(base_model) = base_model_repo_id(footprint) else { return Ok(card.clone()) };
    let card = card.with_key_if_absent(BASE_MODEL_KEY, base_model)?;
    match options.base_model_relation() {
        // The relation is one to this base model; of another one that the card names we know nothing.
        Some(relation) if card.key_text(BASE_MODEL_KEY) == Some(base_model) => {
            card.with_key_if_absent(BASE_MODEL_RELATION_KEY, relation.as_str())
        }
        _ => Ok(card),
    }
}

/// The report that another author wrote and that made way.
fn replaced_report(card: &ModelCard, options: &CardOptions) -> Option<String> {
    let is_foreign = options.includes_dia_report() && card.has_key(REPORT_KEY) && !is_generated(card);
    is_foreign.then(|| replaced_text(card, REPORT_KEY)).flatten()
}

/// The base model of a fine-tuning, when it has a name that the Hub could know. A path is nobody's business.
pub(crate) fn base_model_repo_id(footprint: &Footprint) -> Option<&str> {
    let name = footprint.run.base_model.as_deref()?;
    (footprint.run.training_type == Some(TrainingType::FineTuning) && is_repo_id(name)).then_some(name)
}

/// The Hub's rules for `owner/name`: at most 96 ASCII letters, digits, `-`, `_` and `.` in two parts that neither
/// begin nor end with `-` or `.` and hold neither `--` nor `..`.
fn is_repo_id(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'))
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    name.len() <= 96 && name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

#[cfg(test)]
mod tests;
