//! Options for writing a card.

use crate::card::ModelCard;

/// Options for writing a card: what is written in addition to the emissions, and facts that the footprint does not
/// contain.
///
/// ```
/// use sootprint_card::{BaseModelRelation, CardOptions, CardWriter};
///
/// # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/footprint.json"))?;
/// let options = CardOptions::default().dia_report(false).relation(BaseModelRelation::Adapter);
/// let (card, _) = CardWriter::new(&footprint).options(options).apply("# Digits\n")?;
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

/// How a model was derived from its base model: the Hub's `base_model_relation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseModelRelation {
    /// The weights were trained further.
    Finetune,
    /// The weights are an adapter, such as `LoRA`, that is loaded on top of the base model.
    Adapter,
    /// The weights are those of the base model in a smaller number format.
    Quantized,
    /// Several models were merged into one.
    Merge,
}

impl CardOptions {
    /// Sets whether the card gets a `dia_report` (Data and Impact Accounting 0.1) with its `dia_version`; on by default.
    /// If it is off, a report that this crate wrote earlier is removed.
    #[must_use]
    pub const fn dia_report(mut self, enabled: bool) -> Self {
        self.omit_dia_report = !enabled;
        self
    }

    /// Sets how the model was derived from its base model. The relation is written if the card names the run's base
    /// model but no relation. Without a relation, the Hub guesses one.
    #[must_use]
    pub fn relation(mut self, relation: impl Into<Option<BaseModelRelation>>) -> Self {
        self.relation = relation.into();
        self
    }

    /// Sets the base model's card. The section "Environmental Impact" then states the base model's emissions
    /// separately, without adding them to those of the run.
    #[must_use]
    pub fn with_base_model_card(mut self, card: ModelCard) -> Self {
        self.base_model_card = Some(card);
        self
    }

    /// Sets whether the section shows a plot of the run's power, `sootprint.png` next to the card, provided that the
    /// footprint has a power curve. The plot is off by default, because the text that
    /// [`CardWriter::apply`](crate::CardWriter::apply) returns would otherwise refer to a file that may not exist.
    ///
    /// [`CardWriter::write`](crate::CardWriter::write) renders the plot if the feature `plot` is enabled; otherwise
    /// it shows an existing file. `apply` and `render` only refer to the file: the caller has to provide it.
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
    /// The name used by the Hub and in the `dia_report`.
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
