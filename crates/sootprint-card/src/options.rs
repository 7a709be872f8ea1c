//! What a user may choose about the writing of a card.

use crate::card::ModelCard;

/// What is written beside the block, and what is known that the footprint does not say.
///
/// ```
/// use sootprint_card::{CardOptions, ModelCard, BaseModelRelation, apply_with};
///
/// # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/footprint.json"))?;
/// let options = CardOptions::default().dia_report(false).relation(BaseModelRelation::Adapter);
/// let (card, _) = apply_with("# Digits\n", &footprint, &options)?;
/// assert!(!card.contains("dia_report"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CardOptions {
    omit_dia_report: bool,
    relation: Option<BaseModelRelation>,
    base_model_card: Option<ModelCard>,
    plot: bool,
}

/// How a fine-tuned model came from its base model, as the Hub's `base_model_relation` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseModelRelation {
    /// The weights were trained further.
    Finetune,
    /// The weights are an adapter, such as of `LoRA`, that is loaded on top of the base model.
    Adapter,
    /// The base model with numbers of fewer bits.
    Quantized,
    /// Several models in one.
    Merge,
}

impl CardOptions {
    /// Whether the card gets a `dia_report` (Data and Impact Accounting 0.1) with its `dia_version`. It does, unless
    /// this is false; then a report that this crate wrote earlier goes.
    #[must_use]
    pub const fn dia_report(mut self, enabled: bool) -> Self {
        self.omit_dia_report = !enabled;
        self
    }

    /// How the model came from its base model. It is written where the card names this base model and no relation;
    /// without it, or with none, the Hub guesses.
    #[must_use]
    pub fn relation(mut self, relation: impl Into<Option<BaseModelRelation>>) -> Self {
        self.relation = relation.into();
        self
    }

    /// The base model's card. The section names the emissions that it publishes, as separate and not added.
    #[must_use]
    pub fn with_base_model_card(mut self, card: ModelCard) -> Self {
        self.base_model_card = Some(card);
        self
    }

    /// Whether the section shows a picture of the run's power, `sootprint.png` beside the card, where the footprint
    /// has a trace of its power.
    ///
    /// [`write_card_with`](crate::write_card_with) draws it, with the feature `plot`; without the feature it shows
    /// one that lies there. [`apply_with`](crate::apply_with) only names it: whoever takes the text sees to the file.
    #[must_use]
    pub const fn plot(mut self, enabled: bool) -> Self {
        self.plot = enabled;
        self
    }

    pub(crate) const fn includes_dia_report(&self) -> bool {
        !self.omit_dia_report
    }

    pub(crate) const fn base_model_relation(&self) -> Option<BaseModelRelation> {
        self.relation
    }

    pub(crate) const fn base_model_card(&self) -> Option<&ModelCard> {
        self.base_model_card.as_ref()
    }

    pub(crate) const fn includes_plot(&self) -> bool {
        self.plot
    }
}

impl BaseModelRelation {
    /// The word that the Hub and the report use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finetune => "finetune",
            Self::Adapter => "adapter",
            Self::Quantized => "quantized",
            Self::Merge => "merge",
        }
    }
}
