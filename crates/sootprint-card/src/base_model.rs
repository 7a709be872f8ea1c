//! The base model of a fine-tuning, as the Hub's keys `base_model` and `base_model_relation`.

use sootprint_core::{Footprint, RepoId, TrainingType};

use crate::card::ModelCard;
use crate::keys::KeyValue;
use crate::options::{BaseModelRelation, CardOptions};
use crate::yaml_quote::double_quote;

/// The key that names the model that was fine-tuned.
pub(crate) const BASE_MODEL_KEY: &str = "base_model";

/// The key of the relation to it.
pub(crate) const BASE_MODEL_RELATION_KEY: &str = "base_model_relation";

/// The base model, if it is a valid Hub repo id. Local paths are never published.
pub(crate) fn base_model_repo_id(footprint: &Footprint) -> Option<&str> {
    let name = footprint.run.base_model.as_deref()?;
    let is_fine_tuning = footprint.run.training_type == Some(TrainingType::FineTuning);
    (is_fine_tuning && name.parse::<RepoId>().is_ok()).then_some(name)
}

/// The base model that is added to the card: `None` if the run has none, or the card already names one.
pub(crate) fn added_base_model<'f>(card: &ModelCard, footprint: &'f Footprint) -> Option<&'f str> {
    base_model_repo_id(footprint).filter(|_| !card.has_key(BASE_MODEL_KEY))
}

/// The base model and the relation, as far as the card lacks them.
///
/// The relation is written only if the card names the base model of this run: the relation to any other base model is
/// unknown.
pub(crate) fn base_model_values(
    card: &ModelCard,
    footprint: &Footprint,
    options: &CardOptions,
) -> Vec<KeyValue> {
    let Some(name) = base_model_repo_id(footprint) else { return Vec::new() };
    let added = added_base_model(card, footprint);
    let is_same = added.is_some() || card.key_text(BASE_MODEL_KEY) == Some(name);
    let relation = options.base_model_relation().map(BaseModelRelation::as_str);
    let relation = relation.filter(|_| is_same && !card.has_key(BASE_MODEL_RELATION_KEY));
    [(BASE_MODEL_KEY, added), (BASE_MODEL_RELATION_KEY, relation)]
        .into_iter()
        .filter_map(|(key, text)| Some(KeyValue::Whole { key, value: double_quote(text?) }))
        .collect()
}
