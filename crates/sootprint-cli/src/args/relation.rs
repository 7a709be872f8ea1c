//! `--relation`, an option of `run`, `push` and `card write`.

/// How a fine-tuned model relates to its base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RelationArg {
    /// The base model's weights, trained further.
    Finetune,
    /// An adapter for the base model, such as `LoRA` weights.
    Adapter,
    /// The base model with lower numeric precision.
    Quantized,
    /// Several models merged into one.
    Merge,
}

impl From<RelationArg> for sootprint_card::BaseModelRelation {
    fn from(relation: RelationArg) -> Self {
        match relation {
            RelationArg::Finetune => Self::Finetune,
            RelationArg::Adapter => Self::Adapter,
            RelationArg::Quantized => Self::Quantized,
            RelationArg::Merge => Self::Merge,
        }
    }
}
